//! A login's code exchange through real sockets, where the other end fails or lies in every way: what comes of it, whether
//! the code may be spent, and that it went out no more than once.
//!
//! Each fault is played to each transport, as `Transport::new` makes it unless the fault takes another client.
//! `cargo test --all-features --test faults -- --nocapture` prints a line for each.
#![allow(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proofkey::{Authentication, Callback, Client, CodeExchange, MAX_BODY, Remedy, Tokens};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use transport::{Arm, DEADLINE, Driver, Library, Server, Stream, Then, frame, read_http2, runtime, serve};

mod transport;

// Nothing is sent.

#[test]
fn a_connection_does_not_come_about() {
    play("nobody listens", |_| Scene::at("http://127.0.0.1:1".to_owned(), UNSENT));
    play("no such host", |_| Scene::at("https://nobody.invalid".to_owned(), UNSENT));
    play("reset within the TLS handshake", |_| {
        Scene::tls(Server::accepting(|stream, _| drop(stream.peek(&mut [0]))), UNSENT)
    });
    play("closed within the TLS handshake", |_| {
        Scene::tls(Server::accepting(|stream, _| drop(stream.read(&mut [0; 16384]))), UNSENT)
    });
    play("HTTP where TLS should be", |_| Scene::tls(Server::accepting(says(b"HTTP/1.1 400 Bad\r\n\r\n")), UNSENT));
    play("a TLS handshake without an answer", |_| Scene::tls(Server::accepting(says(b"")), UNSENT).hurried());
}

/// Without a body, the libraries' own word has to do.
#[test]
fn a_request_without_a_body_does_not_leave() {
    let tokens = r#"{"access_token":"canary-access","token_type":"Bearer"}"#;
    let tokens: Tokens = serde_json::from_str(tokens).unwrap();
    let scene = Scene::certified(HERE, VALID, Root::Unknown, DISTRUSTED);
    let rows = [
        ("http://127.0.0.1:1/".to_owned(), Remedy::TryLater(None)),
        ("https://nobody.invalid/".to_owned(), Remedy::TryLater(None)),
        (format!("{}/", scene.origin), Remedy::Report),
    ];
    for driver in Driver::all() {
        for (url, remedy) in &rows {
            let request = http::Request::get(url).body("").unwrap();
            let failure = driver.run(client(&scene.origin).call(&tokens, request)).unwrap_err();
            let seen = (failure.arm, failure.remedy, failure.ambiguous);
            // To ureq a lookup that fails is an I/O error like any other.
            let doubtful = driver.library == Library::Ureq && url.contains("invalid");
            let arm = if doubtful { Arm::Http } else { Arm::Unsent };
            assert_eq!(seen, (arm, *remedy, doubtful), "{driver}: {url}: {failure:?}");
        }
    }
}

#[test]
fn a_server_is_not_to_be_trusted() {
    play("a certificate that is trusted (nothing is wrong)", |_| Scene::certified(HERE, VALID, Root::Known, TOKENS));
    play("a self-signed certificate", |_| Scene::certified(HERE, VALID, Root::Unknown, DISTRUSTED));
    play("a certificate that has expired", |_| Scene::certified(HERE, [2020, 2021], Root::Known, DISTRUSTED));
    play("a certificate that is not valid yet", |_| Scene::certified(HERE, [4000, 4001], Root::Known, DISTRUSTED));
    play("a certificate of another name", |_| Scene::certified("other.example", VALID, Root::Known, DISTRUSTED));
    play("TLS 1.0", |_| Scene::tls(Server::accepting(says(&server_hello(1))), DISTRUSTED));
    play("TLS 1.1", |_| Scene::tls(Server::accepting(says(&server_hello(2))), DISTRUSTED));
    play("a TLS alert: protocol version", |_| {
        Scene::tls(Server::accepting(says(b"\x15\x03\x01\x00\x02\x02\x46")), DISTRUSTED)
    });
}

// The answer breaks off.

#[test]
fn a_connection_is_reset() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", GRANTED.len());
    let whole = format!("{head}{GRANTED}");
    for (name, answer) in [
        ("reset before the answer", String::new()),
        ("reset within the head", "HTTP/1.1 200 OK\r\nContent-".to_owned()),
        ("reset after the head", head.clone()),
        ("reset within the body", format!("{head}{}", &GRANTED[..20])),
        ("reset within a chunk", format!("{CHUNKED}40\r\n{}", &GRANTED[..20])),
    ] {
        play(name, |_| Scene::of(Server::resetting(answer.as_bytes(), Duration::ZERO), LOST));
    }
    // For ureq such a body ends with the connection, however that ends.
    play("reset within a body without a length", |library| {
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}", &GRANTED[..20]);
        let end = if library == Library::Ureq { NOT_JSON } else { LOST };
        Scene::of(Server::resetting(answer.as_bytes(), Duration::ZERO), end)
    });
    play("reset after the answer", |_| Scene::of(Server::resetting(whole.as_bytes(), SOON), TOKENS));
}

#[test]
fn an_answer_is_not_whole() {
    let json = GRANTED.len();
    let rows: [(&str, String); 9] = [
        ("closed before the answer", String::new()),
        ("closed within the status line", "HTTP/1.1 20".to_owned()),
        ("closed within the head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n".to_owned()),
        ("half an answer", format!("HTTP/1.1 200 OK\r\nContent-Length: {json}\r\n\r\n{}", &GRANTED[..20])),
        ("Content-Length: one more", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{GRANTED}", json + 1)),
        ("Content-Length: 2^64 - 2", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{GRANTED}", u64::MAX - 1)),
        ("chunks without the last", format!("{CHUNKED}{json:x}\r\n{GRANTED}\r\n")),
        ("half a chunk", format!("{CHUNKED}{:x}\r\n{GRANTED}", json + 9)),
        ("a chunk without an end", format!("{CHUNKED}{json:x}\r\n{GRANTED}0\r\n\r\n")),
    ];
    for (name, answer) in rows {
        play(name, |_| Scene::of(Server::closing(answer.as_bytes()), LOST));
    }
}

#[test]
fn an_answer_is_not_http() {
    let json = GRANTED.len();
    let rows: [(&str, String); 8] = [
        ("another protocol", "220 mail.example ESMTP\r\n".to_owned()),
        ("a header without a colon", format!("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n{GRANTED}")),
        ("a chunk of no size", format!("{CHUNKED}zz\r\n{GRANTED}\r\n0\r\n\r\n")),
        ("a chunk of 2^64 bytes", format!("{CHUNKED}10000000000000000\r\n{GRANTED}\r\n0\r\n\r\n")),
        ("a chunk of minus one", format!("{CHUNKED}-1\r\n{GRANTED}\r\n0\r\n\r\n")),
        ("two lengths", format!("HTTP/1.1 200 OK\r\nContent-Length: {json}\r\nContent-Length: 3\r\n\r\n{GRANTED}")),
        ("Content-Length: two", format!("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{GRANTED}")),
        ("Content-Length: -1", format!("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{GRANTED}")),
    ];
    for (name, answer) in rows {
        play(name, |_| Scene::of(Server::closing(answer.as_bytes()), LOST));
    }
    play("Content-Length: less", |_| {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{GRANTED}", json - 1);
        Scene::of(Server::answering(answer.as_bytes()), NOT_JSON)
    });
    // RFC 9112 section 6.3: "the Transfer-Encoding overrides the Content-Length".
    play("a length and chunks", |_| {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{json:x}\r\n{GRANTED}\r\n0\r\n\r\n"
        );
        Scene::of(Server::closing(answer.as_bytes()), TOKENS)
    });
}

// The answer takes too long, or is too long.

#[test]
fn an_answer_takes_too_long() {
    let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let rows: [(&str, &[u8], &[u8]); 6] = [
        ("no byte of an answer", b"", b""),
        ("nothing after the head", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b""),
        ("the head, byte by byte", b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        ("the body, byte by byte", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        ("chunks, byte by byte", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        ("informational answers without end", b"", &hints),
    ];
    for (name, head, drip) in rows {
        play(name, |_| {
            let (head, drip) = (head.to_vec(), drip.to_vec());
            let server = Server::start(move |_, _, stream| {
                stream.write_all(&head)?;
                let begun = Instant::now();
                while begun.elapsed() < DEADLINE {
                    thread::sleep(Duration::from_millis(50));
                    stream.write_all(&drip)?;
                }
                Ok(Then::Close)
            });
            Scene::of(server, TOO_LATE).hurried()
        });
    }
}

#[test]
fn an_answer_is_too_long() {
    play("1 GiB with a length", |_| {
        Scene::endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", &[b' '; 16384], TOO_LONG)
    });
    play("1 GiB without a length", |_| Scene::endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b' '; 16384], TOO_LONG));
    play("1 GiB in chunks", |_| Scene::endless(CHUNKED.as_bytes(), b"10\r\n                \r\n", TOO_LONG));
    play("1 GiB of an error", |_| Scene::endless(b"HTTP/1.1 400 Bad\r\n\r\n", &[b' '; 16384], UNTOLD));
    play("1 GiB of a chunk's extension", |_| Scene::endless(format!("{CHUNKED}1;").as_bytes(), &[b'x'; 16384], LOST));
    // ureq drops them one by one, for as long as it may take.
    play("1 GiB of trailers", |library| {
        let trailers = |end| Scene::endless(format!("{CHUNKED}0\r\n").as_bytes(), b"X: y\r\n", end);
        if library == Library::Ureq { trailers(TOO_LATE).hurried() } else { trailers(LOST) }
    });
    play("1 GiB of headers", |_| Scene::endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", LOST));
    play("1 GiB of one header", |_| Scene::endless(b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 16384], LOST));
    play("1 GiB of a status line", |_| Scene::endless(b"HTTP/1.1 200 ", &[b'x'; 16384], LOST));
    play("a gzip bomb that nobody asked for", |_| {
        let bomb = gzip_bomb();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
        Scene::of(Server::answering(&[head.as_bytes(), &bomb].concat()), NOT_JSON)
    });
}

// The answer leads elsewhere.

#[test]
fn a_redirect_is_not_followed() {
    for status in 300..=308 {
        play(&format!("{status} to another origin"), |_| {
            let other = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let server = Server::redirecting(status, &format!("{}/collect", other.origin()));
            Scene { bystander: Some(other), ..Scene::of(server, REDIRECT) }
        });
    }
}

#[test]
fn a_proxy_has_its_own_answers() {
    let says = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 6\r\n\r\n<html>");
    for (name, status, end) in [
        ("a proxy that wants to know who asks", "407 Proxy Authentication Required", UNTOLD),
        ("a proxy that cannot reach the server", "502 Bad Gateway", DOWN),
        ("a proxy that gives up", "504 Gateway Timeout", DOWN),
    ] {
        play(name, |library| {
            // ureq asks every proxy for a tunnel.
            let end = if library == Library::Ureq { UNSENT } else { end };
            Scene { requests: 1, ..Scene::of(Server::answering(says(status).as_bytes()), end).through_it() }
        });
    }
    // What it sees is CONNECT, and no secret.
    play("a proxy that allows no tunnel", |_| Scene {
        requests: 1,
        ..Scene::tls(Server::answering(says("403 Forbidden").as_bytes()), UNSENT).through_it()
    });
    play("a proxy that puts itself at the tunnel's end", |_| {
        let server = Server::accepting(|stream, seen| {
            serve(stream, seen, &|_, _, stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                Err(std::io::ErrorKind::Other.into())
            });
            self::says(&server_hello(2))(stream, seen);
        });
        Scene { requests: 1, ..Scene::tls(server, DISTRUSTED).through_it() }
    });
}

// HTTP/2, which ureq has not.

#[test]
fn http2_goes_wrong() {
    const HEADERS: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    const DATA: &[u8] = b"\0\0\x02\0\0\0\0\0\x01{}";
    let rows: [(&str, Vec<u8>); 7] = [
        ("HTTP/2: the stream refused", frame(3, 0, 1, &[0, 0, 0, 7])),
        ("HTTP/2: GOAWAY, our stream not seen", frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0])),
        ("HTTP/2: the stream reset after the headers", [HEADERS, &frame(3, 0, 1, &[0, 0, 0, 2])].concat()),
        ("HTTP/2: the stream reset within the body", [HEADERS, DATA, &frame(3, 0, 1, &[0, 0, 0, 2])].concat()),
        ("HTTP/2: closed within the body", [HEADERS, DATA].concat()),
        ("HTTP/2: a frame that is too long", b"\xff\xff\xff\0\0\0\0\0\x01".to_vec()),
        ("HTTP/2: an answer to nobody", frame(1, 4, 3, &[0x88])),
    ];
    for (name, answer) in rows {
        play(name, |_| Scene::http2(&answer, b"", LOST));
    }
    play("HTTP/2: more than 1 MiB of a body", |_| {
        let body = frame(0, 0, 1, &[b' '; 16384]).repeat(MAX_BODY / 16384 + 1);
        Scene::http2(&[HEADERS, &body].concat(), b"", TOO_LONG)
    });
    play("HTTP/2: empty frames without end", |_| Scene::http2(HEADERS, &frame(0, 0, 1, b""), LOST).hurried());
    play("HTTP/2: headers without end", |_| {
        Scene::http2(&frame(1, 0, 1, &[0x88]), &frame(9, 0, 1, b"\x00\x01x\x01y"), LOST)
    });
    play("HTTP/2: settings without end", |_| Scene::http2(b"", &frame(4, 0, 0, b""), TOO_LATE).hurried());
    play("HTTP/2: pings without end", |_| Scene::http2(b"", &frame(6, 0, 0, &[0; 8]), TOO_LATE).hurried());
}

// The caller gives up.

/// The request goes out once, and the connection ends with the future.
#[test]
fn a_future_is_dropped() {
    fn dropped<T>(name: &str, run: impl FnOnce(CodeExchange) -> T)
    where
        T: Future + Send,
    {
        let ended = Arc::new(AtomicBool::new(false));
        let server = Server::accepting({
            let ended = ended.clone();
            move |stream, seen| {
                serve(stream, seen, &|_, _, _| Ok(Then::Keep));
                ended.store(true, Ordering::SeqCst);
            }
        });
        let runtime = runtime();
        let future = run(exchange(&server.origin()));
        runtime.block_on(async {
            let asked = async {
                while server.requests().is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                _ = future => panic!("{name}: there is no answer"),
                () = asked => {}
            }
            // What is left of a connection is a task of the library's.
            let begun = Instant::now();
            while !ended.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < DEADLINE, "{name}: the connection is kept");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        println!(
            "{name:<8} the future dropped: {} request, {} connection",
            server.requests().len(),
            server.connections()
        );
        assert_eq!((server.requests().len(), server.connections()), (1, 1), "{name}");
    }
    dropped("reqwest", |exchange| Driver::new(Library::Reqwest).reqwest().run(exchange));
    dropped("hyper", |exchange| proofkey::hyper::Transport::new().unwrap().run(exchange));
}

/// What is to come of a code exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Tokens,
    /// There was an answer. What the error says, and whether the code may be spent.
    Answered(&'static str, Remedy, bool),
    /// No whole answer came. Whether the code may be spent.
    Failed(Arm, Remedy, bool),
}

const TOKENS: End = End::Tokens;
const UNSENT: End = End::Failed(Arm::Unsent, Remedy::TryLater(None), false);
const DISTRUSTED: End = End::Failed(Arm::Unsent, Remedy::Report, false);
const LOST: End = End::Failed(Arm::Http, Remedy::TryLater(None), true);
const TOO_LATE: End = End::Failed(Arm::Timeout, Remedy::TryLater(None), true);
const TOO_LONG: End = End::Answered("the server's answer is longer than 1048576 bytes", Remedy::Report, true);
const NOT_JSON: End = End::Answered("the server's answer is not a JSON object", Remedy::Report, true);
const UNTOLD: End = End::Answered("without an error code", Remedy::Report, false);
const REDIRECT: End = End::Answered("a redirect", Remedy::Report, false);
const DOWN: End = End::Answered("temporarily_unavailable", Remedy::TryLater(None), false);

/// The other end of a code exchange, and what is to come of it.
struct Scene {
    origin: String,
    server: Option<Server>,
    /// Whom nobody may ask for anything.
    bystander: Option<Server>,
    /// Where the fault takes another client than the transport's own; `None` where the library has no such thing.
    client: Box<dyn Fn(Driver) -> Option<Driver>>,
    end: End,
    requests: usize,
    /// Of an answer without end: how much of it was sent, and whether that is over.
    sent: Option<(Arc<AtomicUsize>, Arc<AtomicBool>)>,
}

#[derive(Clone, Copy)]
enum Root {
    Known,
    Unknown,
}

impl Scene {
    fn at(origin: String, end: End) -> Self {
        let requests = usize::from(!matches!(end, End::Failed(Arm::Unsent, ..)));
        Self { origin, server: None, bystander: None, client: Box::new(Some), end, requests, sent: None }
    }

    fn of(server: Server, end: End) -> Self {
        Self { origin: server.origin(), server: Some(server), ..Self::at(String::new(), end) }
    }

    fn tls(server: Server, end: End) -> Self {
        Self { origin: format!("https://{}", server.address), ..Self::of(server, end) }
    }

    /// A server with a certificate for this name and these years, and a client that knows who signed it, or not.
    fn certified(name: &str, [from, until]: [i32; 2], root: Root, end: End) -> Self {
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let (certificate, root): (_, Option<CertificateDer<'static>>) = match root {
            Root::Known => (params.signed_by(&key, &ca).unwrap(), Some(ca.der().clone())),
            Root::Unknown => (params.self_signed(&key).unwrap(), None),
        };
        let provider = rustls::crypto::ring::default_provider().into();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let server = Server::tls(config, |_, _, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{GRANTED}", GRANTED.len())?;
            Ok(Then::Keep)
        });
        let client = move |driver: Driver| Some(root.iter().fold(driver, Driver::trusting));
        Self { client: Box::new(client), ..Self::tls(server, end) }
    }

    /// A server that begins its answer like this, and goes on like that to the end of 1 GiB.
    fn endless(begin: &[u8], more: &[u8], end: End) -> Self {
        let (sent, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (begin, more, flood) = (begin.to_vec(), more.to_vec(), (sent.clone(), over.clone()));
        let server = Server::start(move |_, _, stream| {
            flooded(stream, &begin, &more, &flood);
            Ok(Then::Close)
        });
        Self { sent: Some((sent, over)), ..Self::of(server, end) }
    }

    /// A server that speaks HTTP/2 up to there, and ends the connection or goes on like that.
    fn http2(begin: &[u8], more: &[u8], end: End) -> Self {
        let endless = !more.is_empty();
        let (sent, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (begin, more, flood) = (begin.to_vec(), more.to_vec(), (sent.clone(), over.clone()));
        let server = Server::accepting(move |stream, seen| {
            stream.write_all(&frame(4, 0, 0, b"")).ok();
            let Some(request) = read_http2(stream) else { return };
            seen.lock().unwrap().push(request);
            if endless {
                flooded(stream, &begin, &more, &flood);
            } else {
                stream.write_all(&begin).ok();
                stream.shutdown(std::net::Shutdown::Write).ok();
            }
            std::io::copy(stream, &mut std::io::sink()).ok();
        });
        Self { sent: endless.then_some((sent, over)), client: Box::new(Driver::http2), ..Self::of(server, end) }
    }

    /// The exchange may take as long as [`HURRY`] only.
    fn hurried(self) -> Self {
        let client = self.client;
        Self { client: Box::new(move |driver| Some(client(driver)?.timeout(HURRY))), ..self }
    }

    /// The server is a proxy, which the client asks instead.
    fn through_it(self) -> Self {
        let proxy = format!("http://{}", self.server.as_ref().unwrap().address);
        Self { client: Box::new(move |driver| driver.proxied(&proxy)), ..self }
    }

    /// Runs a code exchange, and tells what came of it.
    fn run(self, name: &str, library: Library) -> String {
        let Some(driver) = (self.client)(Driver::new(library)) else {
            return format!("{name:<48} {library:<8?} has none");
        };
        let begun = Instant::now();
        let result = driver.run(exchange(&self.origin));
        let took = begun.elapsed();
        let told = match &result {
            Ok(_) => "tokens".to_owned(),
            Err(failure) => {
                format!("{}: {:?}{}", failure.told, failure.remedy, if failure.ambiguous { ", ambiguous" } else { "" })
            }
        };
        let case = format!("{name}, {library:?}: {result:?}");
        match (self.end, result) {
            (End::Tokens, Ok(tokens)) => assert_eq!(tokens.access_token().expose(), "granted", "{case}"),
            (End::Answered(what, remedy, ambiguous), Err(failure)) => {
                assert!(matches!(failure.arm, Arm::Protocol | Arm::Redirect) && failure.told.contains(what), "{case}");
                assert_eq!((failure.remedy, failure.ambiguous), (remedy, ambiguous), "{case}");
            }
            (End::Failed(arm, remedy, ambiguous), Err(failure)) => {
                assert_eq!((failure.arm, failure.remedy, failure.ambiguous), (arm, remedy, ambiguous), "{case}");
            }
            _ => panic!("{case}"),
        }
        // Late enough for a repetition.
        thread::sleep(SOON);
        let (requests, connections) = self.server.as_ref().map_or((0, 0), |it| (it.requests().len(), it.connections()));
        assert_eq!(requests, self.requests, "{case}");
        assert!(connections <= 1, "{case}: {connections} connections");
        assert!(self.bystander.is_none_or(|other| other.connections() == 0), "{case}: the bystander was asked");
        let mut sent = String::new();
        if let Some((count, over)) = self.sent {
            while !over.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < DEADLINE * 2, "{case}: the server is not stopped");
                thread::sleep(Duration::from_millis(5));
            }
            let count = count.load(Ordering::SeqCst);
            assert!(count < GIB, "{case}: it took all");
            sent = format!(", {} KiB taken", count / 1024);
        }
        format!("{name:<48} {library:<8?} {told}; {requests} sent{sent}, {took:.1?}")
    }
}

/// Plays a fault to each transport.
#[track_caller]
fn play(name: &str, scene: impl Fn(Library) -> Scene + Sync) {
    let lines: Vec<_> = thread::scope(|scope| {
        let played = [Library::Reqwest, Library::Hyper, Library::Ureq].map(|library| {
            scope.spawn({
                let scene = &scene;
                move || scene(library).run(name, library)
            })
        });
        played.map(thread::ScopedJoinHandle::join).into_iter().collect()
    });
    for line in lines {
        println!("{}", line.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
}

fn client(origin: &str) -> Client {
    let server = proofkey::Server::new(format!("{origin}/authorize"), format!("{origin}/token"));
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri("https://client.example.com/cb");
    builder.authentication(Authentication::basic("canary-secret")).build().unwrap()
}

/// A code exchange with this server.
fn exchange(origin: &str) -> CodeExchange {
    let client = client(origin);
    let (_, pending) = proofkey::blocking::Transport::new().unwrap().start(client.authorize()).unwrap();
    let callback = Callback::parse(&format!("code=canary-code&state={}", pending.state())).unwrap();
    client.exchange(pending.accept(callback).unwrap())
}

/// Reads something, says this, and waits for the other end to go.
fn says(words: &[u8]) -> impl Fn(&mut TcpStream, &Mutex<Vec<Vec<u8>>>) + Send + Sync + 'static {
    let words = words.to_vec();
    move |stream, _| {
        if stream.read(&mut [0; 16384]).is_ok() && stream.write_all(&words).is_ok() {
            std::io::copy(stream, &mut std::io::sink()).ok();
        }
    }
}

fn flooded(stream: &mut dyn Stream, begin: &[u8], more: &[u8], (sent, over): &(Arc<AtomicUsize>, Arc<AtomicBool>)) {
    let much = more.repeat(65536_usize.div_ceil(more.len()));
    let mut well = stream.write_all(begin).is_ok();
    while well && sent.load(Ordering::SeqCst) < GIB {
        well = stream.write_all(&much).is_ok();
        sent.fetch_add(much.len(), Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
}

/// TLS 1.0 is 1, as it is SSL 3.1.
fn server_hello(minor: u8) -> Vec<u8> {
    let hello = [&[3, minor][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
    [&[22, 3, minor, 0, 42, 2, 0, 0, 38], &hello[..]].concat()
}

/// 64 MiB of zeros in half a megabyte: a zero, and matches of 258 bytes at distance one, in DEFLATE's fixed codes.
fn gzip_bomb() -> Vec<u8> {
    // The last block, with fixed codes; the code of the literal 0.
    let mut bits = "11000110000".to_owned();
    bits.push_str(&"1100010100000".repeat(64 * 1024 * 1024 / 258));
    bits.push_str("0000000");
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.extend(bits.as_bytes().chunks(8).map(byte));
    gzip
}

const GRANTED: &str = r#"{"access_token":"granted","token_type":"Bearer"}"#;
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const HERE: &str = "127.0.0.1";
const VALID: [i32; 2] = [2020, 4000];
const GIB: usize = 1024 * 1024 * 1024;

/// A short time-out, where one is to be seen; long enough for a connection on a loaded machine.
const HURRY: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(50);
