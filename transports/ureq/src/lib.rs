//! Runs [`proofkey_core`]'s exchanges over [`ureq`], blocking: no runtime, no `await`.
//!
//! ```no_run
//! # use proofkey_core::{Callback, Client, Pending, Tokens};
//! use proofkey_ureq::{Error, Transport};
//!
//! # fn show(_: &url::Url) {}
//! # fn returned() -> String { String::new() }
//! fn log_in(http: &Transport, client: &Client) -> Result<Tokens, Error> {
//!     let (url, pending) = http.start(client.authorize().scope(["photos"]))?;
//!     show(&url); // the person agrees there, and the browser comes back to the redirect URI
//!     let grant = pending.accept(Callback::parse(&returned())?)?;
//!     http.run(client.exchange(grant))
//! }
//! ```
//!
//! What it refuses, by itself and whatever client it is given:
//!
//! * to follow a redirect, which each request tells the agent;
//! * a body longer than [`MAX_BODY`], counted after decompression: reading stops one byte later;
//! * to wait longer than 30 seconds for a whole answer, unless told [otherwise](Transport::timeout);
//! * to send a request again once a byte of it may have left;
//! * to go on without entropy from the system.
//!
//! A 4xx or 5xx is an answer, and the exchange judges it. A body without a length ends, for ureq, even with a reset
//! connection: the exchange has to notice what is missing, and of JSON it does.
//!
//! # TLS
//!
//! [`Transport::new`] verifies `https` with rustls against Mozilla's roots (the `webpki-roots` crate), which are the
//! same on every machine. Its crypto provider is a feature: `ring` (on by default) or `aws-lc-rs`; with both, it is
//! aws-lc-rs, because that one was asked for by name. The process's default provider is neither read nor set. Without
//! either feature there is no `new`: the caller's client brings its own TLS.

mod session;

use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chacha20::ChaCha20Rng;
use getrandom::SysRng;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use proofkey_core::rand_core::SeedableRng;
use proofkey_core::{Authorization, Body, Exchange, MAX_BODY, Pending, Remedy, Step, UnixTime};
pub use session::Session;
pub use ureq;
use url::Url;

/// Sends requests over ureq. Cheap to clone; the clones share one pool of connections.
#[derive(Clone)]
pub struct Transport {
    client: ureq::Agent,
    timeout: Duration,
}

impl Transport {
    /// An agent of its own: rustls with Mozilla's roots, HTTP/1.1, no redirects, compression, or proxy from the
    /// environment (secrets for a server on this machine must not pass through one), ten seconds to connect, and the
    /// user agent `proofkey/VERSION`. It keeps no cookies, unless another crate compiles them into ureq.
    ///
    /// It does not fail today; [`Error::Unsent`] is kept for the day it can.
    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    pub fn new() -> Result<Self, Error> {
        let config = ureq::Agent::config_builder()
            .tls_config(tls())
            .proxy(None)
            // Other crates may compile gzip into ureq.
            .accept_encoding("")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(USER_AGENT)
            .build();
        Ok(Self::with_client(config.into()))
    }

    /// The caller's agent, with its own roots, proxy, resolver and user agent.
    ///
    /// Its settings for redirects, for statuses as errors and for the total time do not apply. It is trusted in the
    /// rest: middleware sees the secrets.
    pub fn with_client(client: ureq::Agent) -> Self {
        Self { client, timeout: TIMEOUT }
    }

    /// How long a request may take, from its start to the last byte of its answer: 30 seconds unless set. An exchange
    /// of several requests has it for each.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(LONGEST), ..self }
    }

    /// Begins a login with the system's clock and entropy: the URL for the browser, and what to keep until it is back.
    ///
    /// [`Error::Protocol`] as [`Authorization::redirect`] says, or [`Error::Entropy`].
    pub fn start(&self, authorization: Authorization) -> Result<(Url, Pending), Error> {
        Ok(authorization.redirect(now(), &mut entropy()?)?)
    }

    /// Runs an exchange to its end, and blocks the thread until then.
    pub fn run<X>(&self, mut exchange: X) -> Result<X::Output, Error>
    where
        X: Exchange,
    {
        let mut rng = entropy()?;
        let mut after = exchange.initial_delay();
        loop {
            std::thread::sleep(after);
            let request = exchange.next_request(now(), &mut rng)?;
            let response = self.send(request)?;
            after = match exchange.handle_response(response)? {
                Step::Again { after } => after,
                Step::Done(output) => return Ok(output),
            };
        }
    }

    /// One request, and its answer with at most one byte more than is believed.
    fn send(&self, request: Request<Body>) -> Result<Response<Vec<u8>>, Error> {
        let (mut head, body) = request.into_parts();
        let length = body.as_ref().len();
        // An empty body has a `Content-Length: 0` where the method gives a body a meaning (RFC 9110 section 8.6).
        let answer = if length > 0 || matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            let mut body = Outgoing { bytes: Cursor::new(body), begun: false };
            let request = Request::from_parts(head, ureq::SendBody::from_reader(&mut body));
            self.client.run(self.configure(request)).map_err(|error| {
                // A body is read once there is a connection to send it on; an empty one tells nothing.
                if length > 0 { Error::sort(error, body.begun) } else { error.into() }
            })?
        } else {
            self.client.run(self.configure(Request::from_parts(head, ureq::SendBody::none())))?
        };

        let (head, answer) = answer.into_parts();
        let mut body = Vec::new();
        let read = answer.into_reader().take(MAX_BODY as u64 + 1).read_to_end(&mut body);
        read.map_err(|error| Error::sort(error.into(), true))?;
        Ok(Response::from_parts(head, body))
    }

    /// What holds for every request, whatever the agent was told.
    fn configure<'a>(&self, request: Request<ureq::SendBody<'a>>) -> Request<ureq::SendBody<'a>> {
        self.client
            .configure_request(request)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(self.timeout))
            .build()
    }
}

/// Says nothing of the client, whose proxy may hold credentials.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A request's body on its way. It is wiped when dropped.
struct Outgoing {
    bytes: Cursor<Body>,
    /// Some of it was asked for.
    begun: bool,
}

impl Read for Outgoing {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.begun = true;
        self.bytes.read(to)
    }
}

/// Why an exchange came to no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The exchange ended: the caller erred, or the server refused or broke the protocol.
    Protocol(proofkey_core::Error),
    /// Nothing was sent, or no more than the head of a request that has a body: no such host, no connection, none in time,
    /// no trust in the certificate, a URI that cannot be asked. The URL has been taken out.
    Unsent(ureq::Error),
    /// The request may have left, and no whole answer came: a connection that broke, bytes that are not HTTP. The URL has
    /// been taken out.
    Http(ureq::Error),
    /// The request may have left, and no whole answer came within the transport's [time-out](Transport::timeout); or
    /// waiting for a [`Session`]'s refresh took twice as long.
    Timeout,
    /// The system gave no entropy; nothing was sent.
    Entropy(std::io::Error),
    /// A [`Session`] could not renew its tokens, and cannot use those it has. Everybody who waited gets the same error,
    /// and so does, with what is left of its delay, whoever asks before the next try is due.
    Refresh {
        /// What came of the refresh.
        cause: Arc<Self>,
        /// What to do about it.
        remedy: Remedy,
    },
    /// A [`Session`] has nothing to renew: after a logout, or if its tokens have ended and there is no refresh token.
    LogIn,
    /// A [`Session`]'s refresh came to a sudden end, by a panic or with its runtime; its request may have left.
    Interrupted,
}

impl Error {
    /// By what became of the request. The URL is taken out: its query may hold secrets.
    fn sort(error: ureq::Error, sent: bool) -> Self {
        match error {
            ureq::Error::BadUri(_) => Self::Unsent(ureq::Error::BadUri(HIDDEN.to_owned())),
            ureq::Error::RequireHttpsOnly(_) => Self::Unsent(ureq::Error::RequireHttpsOnly(HIDDEN.to_owned())),
            error if !sent => Self::Unsent(error),
            ureq::Error::Timeout(ureq::Timeout::Global) => Self::Timeout,
            error => Self::Http(error),
        }
    }

    /// What to do about it.
    ///
    /// After [`Unsent`](Self::Unsent), [`Http`](Self::Http) and [`Timeout`](Self::Timeout) the same may work later. A
    /// certificate that is not trusted and a TLS that is too old are to be reported, because nothing that a program could
    /// do by itself tells a careless server from a forged one.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Protocol(error) => error.remedy(),
            Self::Unsent(ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_)) => Remedy::FixConfiguration,
            Self::Unsent(ureq::Error::Io(error)) if distrusts(error) => Remedy::Report,
            Self::Unsent(_) | Self::Http(_) | Self::Timeout | Self::Interrupted => Remedy::TryLater(None),
            Self::Entropy(_) => Remedy::Report,
            Self::Refresh { remedy, .. } => *remedy,
            Self::LogIn => Remedy::LogInAgain,
        }
    }

    /// Whether the request may have reached the server, and no whole answer came, or none that can be read: what was in it,
    /// a code or a refresh token, may be spent, and what it asked for may be done. If not, nothing was sent, or the answer
    /// is known.
    ///
    /// In doubt it may: ureq does not tell all that goes wrong before a request without a body from what does after it.
    pub fn ambiguous(&self) -> bool {
        match self {
            Self::Http(_) | Self::Timeout | Self::Interrupted => true,
            Self::Protocol(error) => error.ambiguous(),
            Self::Unsent(_) | Self::Entropy(_) | Self::LogIn => false,
            Self::Refresh { cause, .. } => cause.ambiguous(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Unsent(_) => f.write_str("the request could not be sent"),
            Self::Http(_) => f.write_str("the server gave no whole HTTP answer"),
            Self::Timeout => f.write_str("the server gave no whole HTTP answer in time"),
            Self::Entropy(_) => f.write_str("the system gave no entropy"),
            Self::Refresh { cause, .. } => write!(f, "the tokens could not be renewed: {cause}"),
            Self::LogIn => f.write_str("nobody is logged in, or not any more"),
            Self::Interrupted => f.write_str("the refresh came to a sudden end"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => error.source(),
            Self::Unsent(error) | Self::Http(error) => Some(error),
            Self::Timeout | Self::LogIn | Self::Interrupted => None,
            Self::Entropy(error) => Some(error),
            Self::Refresh { cause, .. } => cause.source(),
        }
    }
}

impl From<proofkey_core::Error> for Error {
    fn from(error: proofkey_core::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Sorts it into the arms by what ureq says of it, and takes the URL out: its query may hold secrets.
impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error::{ConnectProxyFailed, ConnectionFailed, HostNotFound, Io, Timeout, Tls};

        let unsent = match &error {
            HostNotFound | ConnectionFailed | ConnectProxyFailed(_) | Tls(_) => true,
            Timeout(when) => matches!(when, ureq::Timeout::Resolve | ureq::Timeout::Connect),
            Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused || distrusts(error),
            _ => false,
        };
        Self::sort(error, !unsent)
    }
}

/// Whether rustls does not trust the server's certificate, or finds its TLS too old.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn distrusts(error: &std::io::Error) -> bool {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented, PeerIncompatible};

    error.get_ref().and_then(|error| error.downcast_ref()).is_some_and(|error| {
        matches!(
            error,
            InvalidCertificate(_)
                | NoCertificatesPresented
                | PeerIncompatible(_)
                | AlertReceived(rustls::AlertDescription::ProtocolVersion)
        )
    })
}

/// The TLS is the caller's, and so are its errors.
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn distrusts(_: &std::io::Error) -> bool {
    false
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

/// A generator of its own for each run, seeded by the system.
fn entropy() -> Result<ChaCha20Rng, Error> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|error| Error::Entropy(error.into()))
}

/// rustls as [`Transport::new`] wants it: TLS 1.2 and 1.3, Mozilla's roots, no early data.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn tls() -> ureq::tls::TlsConfig {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();

    ureq::tls::TlsConfig::builder()
        .provider(ureq::tls::TlsProvider::Rustls)
        .root_certs(ureq::tls::RootCerts::WebPki)
        .unversioned_rustls_crypto_provider(provider.into())
        .build()
}

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Token endpoints answer within a second or two; a person waits no longer than this.
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
const USER_AGENT: &str = concat!("proofkey/", env!("CARGO_PKG_VERSION"));

/// Where "for ever" begins: ureq adds time-outs to the clock, which must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Stands where a URL would.
const HIDDEN: &str = "[hidden]";
