//! What the tests of the transports share: each transport set up in one way or another, and a server that does what no
//! HTTP server would.
#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use proofkey::{Error, Exchange, Remedy, Violation};
use rustls::pki_types::CertificateDer;

/// One transport, set up in one way.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) library: Library,
    setup: Setup,
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Library {
    Reqwest,
    Hyper,
    Ureq,
}

/// `Transport::new`, or `Transport::with_client`.
#[derive(Clone, Debug)]
enum Setup {
    New,
    /// A client as the library makes it, which follows redirects.
    Following,
    HttpsOnly,
    /// A client that trusts whom this certificate names.
    Trusting(CertificateDer<'static>),
    /// HTTP/2 from the first byte, without TLS.
    Http2,
    Proxied(String),
}

impl Driver {
    pub(crate) fn new(library: Library) -> Self {
        Self { library, setup: Setup::New, timeout: None }
    }

    /// `Transport::new` of each.
    pub(crate) fn all() -> Vec<Self> {
        [Library::Reqwest, Library::Hyper, Library::Ureq].map(Self::new).into()
    }

    /// `Transport::with_client` of each, with a client as the library makes it.
    pub(crate) fn following() -> Vec<Self> {
        Self::all().into_iter().map(|driver| Self { setup: Setup::Following, ..driver }).collect()
    }

    pub(crate) fn https_only(library: Library) -> Self {
        Self { setup: Setup::HttpsOnly, ..Self::new(library) }
    }

    pub(crate) fn trusting(self, certificate: &CertificateDer<'static>) -> Self {
        Self { setup: Setup::Trusting(certificate.clone()), ..self }
    }

    /// `None` where the library has no HTTP/2.
    pub(crate) fn http2(self) -> Option<Self> {
        (self.library != Library::Ureq).then_some(Self { setup: Setup::Http2, ..self })
    }

    /// `None` where the library has no proxies of its own.
    pub(crate) fn proxied(self, proxy: &str) -> Option<Self> {
        let setup = Setup::Proxied(proxy.to_owned());
        (self.library != Library::Hyper).then_some(Self { setup, ..self })
    }

    pub(crate) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Runs an exchange on a thread of its own, so that one which does not end fails rather than hangs.
    pub(crate) fn run<X>(&self, exchange: X) -> Result<X::Output, Failure>
    where
        X: Exchange<Output: Send> + Send + 'static,
    {
        let (driver, name) = (self.clone(), self.to_string());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(driver.run_here(exchange)).ok());
        let result = receiver.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{name}: no end: {error}"));
        if let Err(failure) = &result {
            assert!(!failure.printed.contains("canary"), "{name} prints a secret: {}", failure.printed);
        }
        result
    }

    fn run_here<X: Exchange + Send>(self, exchange: X) -> Result<X::Output, Failure> {
        macro_rules! failure {
            ($module:ident) => {
                |error| {
                    let arm = match &error {
                        proofkey::$module::Error::Protocol(Error::Violation(
                            Violation::Redirect(_) | Violation::RedirectFollowed,
                        )) => Arm::Redirect,
                        proofkey::$module::Error::Protocol(_) => Arm::Protocol,
                        proofkey::$module::Error::Unsent(_) => Arm::Unsent,
                        proofkey::$module::Error::Http(_) => Arm::Http,
                        proofkey::$module::Error::Timeout => Arm::Timeout,
                        _ => Arm::Other,
                    };
                    assert_eq!(error.source().is_some(), matches!(arm, Arm::Unsent | Arm::Http));
                    Failure {
                        arm,
                        remedy: error.remedy(),
                        ambiguous: error.ambiguous(),
                        told: error.to_string(),
                        printed: printed(&error),
                    }
                }
            };
        }
        match self.library {
            Library::Reqwest => {
                let future = self.reqwest().run(exchange);
                runtime().block_on(future).map_err(failure!(reqwest))
            }
            Library::Hyper => self.run_hyper(exchange).map_err(failure!(hyper)),
            Library::Ureq => self.ureq().run(exchange).map_err(failure!(blocking)),
        }
    }

    pub(crate) fn reqwest(&self) -> proofkey::reqwest::Transport {
        use proofkey::reqwest::{Transport, reqwest::Proxy};

        let client = match &self.setup {
            Setup::New => None,
            Setup::Following => Some(reqwest_builder(None)),
            Setup::HttpsOnly => Some(reqwest_builder(None).https_only(true)),
            Setup::Trusting(certificate) => Some(reqwest_builder(Some(certificate))),
            Setup::Http2 => Some(reqwest_builder(None).http2_prior_knowledge()),
            Setup::Proxied(proxy) => Some(reqwest_builder(None).proxy(Proxy::all(proxy).unwrap())),
        };
        let transport = match client {
            None => Transport::new().unwrap(),
            Some(client) => Transport::with_client(client.build().unwrap()),
        };
        self.timeout.map_or(transport.clone(), |timeout| transport.timeout(timeout))
    }

    pub(crate) fn ureq(&self) -> proofkey::blocking::Transport {
        use proofkey::blocking::{Transport, ureq::Agent, ureq::Proxy, ureq::tls};

        let root = match &self.setup {
            Setup::Trusting(certificate) => vec![tls::Certificate::from_der(certificate).to_owned()],
            _ => Vec::new(),
        };
        let tls = tls::TlsConfig::builder()
            .root_certs(tls::RootCerts::Specific(Arc::new(root)))
            .unversioned_rustls_crypto_provider(rustls::crypto::ring::default_provider().into());
        let config = Agent::config_builder().proxy(None).tls_config(tls.build());
        let config = match &self.setup {
            Setup::New => None,
            Setup::Following | Setup::Http2 | Setup::Trusting(_) => Some(config),
            Setup::HttpsOnly => Some(config.https_only(true)),
            Setup::Proxied(proxy) => Some(config.proxy(Some(Proxy::new(proxy).unwrap()))),
        };
        let transport = match config {
            None => Transport::new().unwrap(),
            Some(config) => Transport::with_client(config.build().into()),
        };
        self.timeout.map_or(transport.clone(), |timeout| transport.timeout(timeout))
    }

    /// The transport's type depends on the connector.
    fn run_hyper<X: Exchange + Send>(&self, exchange: X) -> Result<X::Output, proofkey::hyper::Error> {
        use proofkey::hyper::Transport;
        use proofkey::hyper::hyper_util::{client::legacy::Client, rt::TokioExecutor};

        let mut builder = Client::builder(TokioExecutor::new());
        let timeout = self.timeout.unwrap_or(DEADLINE);
        match &self.setup {
            Setup::New => {
                let transport = Transport::new().unwrap();
                let future = self.timeout.map_or(transport.clone(), |after| transport.timeout(after)).run(exchange);
                runtime().block_on(future)
            }
            Setup::Trusting(certificate) => {
                let connector = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_tls_config(tls(Some(certificate)))
                    .https_or_http()
                    .enable_http1()
                    .build();
                runtime().block_on(Transport::with_client(builder.build(connector)).timeout(timeout).run(exchange))
            }
            setup => {
                let client = builder.http2_only(matches!(setup, Setup::Http2)).build_http();
                runtime().block_on(Transport::with_client(client).timeout(timeout).run(exchange))
            }
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = match self.setup {
            Setup::New => "",
            Setup::Following => " with the caller's client",
            Setup::HttpsOnly => " for https only",
            Setup::Trusting(_) => " with a root",
            Setup::Http2 => " with HTTP/2",
            Setup::Proxied(_) => " with a proxy",
        };
        write!(f, "{:?}{setup}", self.library)
    }
}

/// reqwest's defaults, but for a TLS: it has none of its own here.
pub(crate) fn reqwest_builder(root: Option<&CertificateDer<'static>>) -> proofkey::reqwest::reqwest::ClientBuilder {
    proofkey::reqwest::reqwest::Client::builder().tls_backend_preconfigured(tls(root)).no_proxy()
}

/// A TLS that trusts nobody else.
fn tls(root: Option<&CertificateDer<'static>>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(root.cloned());
    rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("it has suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// An error, of whichever transport.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) arm: Arm,
    pub(crate) remedy: Remedy,
    pub(crate) ambiguous: bool,
    /// What it says of itself.
    pub(crate) told: String,
    /// All that a log could say of it.
    pub(crate) printed: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arm {
    Protocol,
    Redirect,
    Unsent,
    Http,
    Timeout,
    Other,
}

/// All that a log could say of an error: it and its sources, in every form.
fn printed(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        write!(text, "{error} | {error:#} | {error:?} | {error:#?} || ").expect("a string takes it");
        next = error.source();
    }
    text
}

/// A server on a port of its own: a thread for each connection, and a script for each request.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What a script reads from and writes to.
pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// What becomes of the connection after an answer.
pub(crate) enum Then {
    Keep,
    Close,
}

impl Server {
    /// Reads each request whole, counts it, and lets the script answer.
    pub(crate) fn start(
        script: impl Fn(usize, &[u8], &mut dyn Stream) -> std::io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        Self::accepting(move |stream, seen| serve(stream, seen, &script))
    }

    /// The same behind TLS.
    pub(crate) fn tls(
        config: rustls::ServerConfig,
        script: impl Fn(usize, &[u8], &mut dyn Stream) -> std::io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(config);
        Self::accepting(move |stream, seen| {
            let connection = rustls::ServerConnection::new(config.clone()).expect("a configuration that works");
            serve(&mut rustls::StreamOwned::new(connection, stream), seen, &script);
        })
    }

    /// Does what it likes with each connection, and notes the requests it has seen.
    pub(crate) fn accepting(script: impl Fn(&mut TcpStream, &Mutex<Vec<Vec<u8>>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let server = Self { address, connections: Arc::default(), requests: Arc::default() };
        let (counted, seen, script) = (server.connections.clone(), server.requests.clone(), Arc::new(script));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (script.clone(), seen.clone());
                thread::spawn(move || script(&mut stream, &seen));
            }
        });
        server
    }

    pub(crate) fn answering(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::start(move |_, _, stream| stream.write_all(&answer).map(|()| Then::Keep))
    }

    pub(crate) fn closing(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::start(move |_, _, stream| stream.write_all(&answer).map(|()| Then::Close))
    }

    /// Writes this once the request is there, and resets the connection after a while.
    pub(crate) fn resetting(answer: &[u8], after: Duration) -> Self {
        let answer = answer.to_vec();
        Self::accepting(move |stream, seen| {
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            while !is_whole(&request[..length]) {
                match stream.peek(&mut request) {
                    Ok(there) if there > length => length = there,
                    Ok(there) if there > 0 => thread::sleep(Duration::from_millis(1)),
                    _ => return,
                }
            }
            seen.lock().unwrap().push(request[..length].to_vec());
            stream.write_all(&answer).ok();
            thread::sleep(after);
            // What is closed with something left unread is reset.
        })
    }

    pub(crate) fn redirecting(status: u16, to: &str) -> Self {
        Self::answering(
            format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").as_bytes(),
        )
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().expect("no script panics").clone()
    }

    pub(crate) fn only_request(&self) -> Vec<u8> {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "one request");
        requests.remove(0)
    }
}

pub(crate) fn serve(
    stream: &mut (impl Read + Write),
    seen: &Mutex<Vec<Vec<u8>>>,
    script: &impl Fn(usize, &[u8], &mut dyn Stream) -> std::io::Result<Then>,
) {
    while let Some(request) = read_request(stream) {
        let nth = {
            let mut seen = seen.lock().expect("no script panics");
            seen.push(request.clone());
            seen.len() - 1
        };
        if !matches!(script(nth, &request, stream), Ok(Then::Keep)) {
            break;
        }
    }
}

/// A request with as much body as its `Content-Length` says, or `None` at the end of the connection.
fn read_request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    Some(request)
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).rposition(|window| window == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&request[..end + 4]).expect("a head in ASCII");
    let length = field(head, "content-length").concat().parse().unwrap_or(0);
    request.len() >= end + 4 + length
}

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// All frames of a connection up to the end of its first request.
pub(crate) fn read_http2(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = vec![0; 24];
    stream.read_exact(&mut request).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        request.extend([&head[..], &payload].concat());
        // SETTINGS: only what is acknowledged holds.
        if head[3] == 4 && head[4] == 0 {
            stream.write_all(&frame(4, 1, 0, b"")).ok()?;
        }
        // DATA or HEADERS, with END_STREAM.
        if head[3] <= 1 && head[4] & 1 == 1 {
            return Some(request);
        }
    }
}

pub(crate) fn parts(request: &[u8]) -> (&str, &[u8]) {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("the head's end") + 4;
    (std::str::from_utf8(&request[..end]).expect("a head in ASCII"), &request[end..])
}

/// The values of a header, in order.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

/// No case takes nearly as long, even on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
