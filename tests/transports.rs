//! Transport conformance: one scripted server, the same cases for each transport.
//!
//! The server speaks raw TCP, so that it can do what no HTTP server would. Every request carries a canary in its
//! query, a header and its body, and whatever a failure prints is searched for them.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use proofkey::{Body, CryptoRng, Error, Exchange, MAX_BODY, Remedy, Step, UnixTime, Usage, Violation};

// What an answer and a request look like.

#[test]
fn an_answer_comes_back_exactly() {
    for driver in Driver::all() {
        let server = Server::answering(
            b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 6\r\n\r\n\x00\xff{}\r\n",
        );
        let answer = driver.run(Ask::post(&server)).one();
        assert_eq!(answer.status(), StatusCode::OK, "{driver}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{driver}");
        assert_eq!(answer.headers().get_all("x-two").iter().collect::<Vec<_>>(), ["1", "2"], "{driver}");
        assert_eq!(answer.body(), b"\x00\xff{}\r\n", "{driver}");
    }
}

#[test]
fn chunks_come_back_joined() {
    for driver in Driver::all() {
        let server = Server::answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0003;ext=\"a\"\r\n\"a\"\r\n3\r\n:1}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        );
        assert_eq!(driver.run(Ask::post(&server)).one().body(), b"{\"a\":1}", "{driver}");
    }
}

#[test]
fn a_body_that_ends_with_the_connection_comes_back() {
    for driver in Driver::all() {
        let server = Server::closing(b"HTTP/1.1 200 OK\r\n\r\n{\"a\":1}");
        assert_eq!(driver.run(Ask::post(&server)).one().body(), b"{\"a\":1}", "{driver}");
    }
}

#[test]
fn compressed_bytes_that_nobody_asked_for_are_not_decompressed() {
    for driver in Driver::all() {
        let server = Server::answering(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        );
        assert_eq!(driver.run(Ask::post(&server)).one().body(), b"\x1f\x8b\x08\x00", "{driver}");
    }
}

#[test]
fn informational_answers_are_skipped() {
    for driver in Driver::all() {
        let server = Server::answering(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        );
        let answer = driver.run(Ask::post(&server)).one();
        assert_eq!((answer.status(), answer.body().as_slice()), (StatusCode::OK, &b"{}"[..]), "{driver}");
    }
}

#[test]
fn a_request_arrives_exactly() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        driver.run(Ask::post(&server)).one();

        let request = server.only_request();
        let (head, body) = parts(&request);
        assert!(head.starts_with("POST /token?q=canary-query&x=%2F%20+ HTTP/1.1\r\n"), "{driver}: {head}");
        assert_eq!(body, BODY.as_bytes(), "{driver}");
        assert_eq!(field(head, "host"), [server.address.to_string()], "{driver}");
        assert_eq!(field(head, "content-length"), [BODY.len().to_string()], "{driver}");
        assert_eq!(field(head, "content-type"), ["application/x-www-form-urlencoded"], "{driver}");
        assert_eq!(field(head, "authorization"), [AUTHORIZED], "{driver}");
        assert_eq!(field(head, "user-agent"), [concat!("proofkey/", env!("CARGO_PKG_VERSION"))], "{driver}");
        for unwanted in ["cookie", "accept-encoding", "transfer-encoding", "expect", "referer", "te", "upgrade"] {
            assert!(field(head, unwanted).is_empty(), "{driver}: {unwanted} in {head}");
        }
    }
}

#[test]
fn a_request_without_a_body_arrives_without_one() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        driver.run(Ask::get(&server)).one();

        let request = server.only_request();
        let (head, body) = parts(&request);
        assert!(head.starts_with("GET /token?"), "{driver}: {head}");
        assert!(body.is_empty(), "{driver}");
        assert!(field(head, "content-length").is_empty(), "{driver}: {head}");
        assert!(field(head, "transfer-encoding").is_empty(), "{driver}: {head}");
    }
}

#[test]
fn a_post_without_a_body_says_so() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        driver.run(Ask { body: "", ..Ask::post(&server) }).one();

        let request = server.only_request();
        assert_eq!(field(parts(&request).0, "content-length"), ["0"], "{driver}");
    }
}

#[test]
fn a_request_names_its_own_user_agent() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        driver.run(Ask { user_agent: Some("own/1"), ..Ask::post(&server) }).one();

        let request = server.only_request();
        assert_eq!(field(parts(&request).0, "user-agent"), ["own/1"], "{driver}");
    }
}

#[test]
fn every_status_is_an_answer() {
    for driver in Driver::all() {
        for status in [201, 204, 304, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503, 599] {
            let body = if matches!(status, 204 | 304) { "" } else { "{\"error\":\"x\"}" };
            let server = Server::answering(
                format!(
                    "HTTP/1.1 {status} S\r\nWWW-Authenticate: Basic\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
            let answer = driver.run(Ask::post(&server)).one();
            assert_eq!(answer.status().as_u16(), status, "{driver}");
            assert_eq!(answer.body(), body.as_bytes(), "{driver}: {status}");
            assert_eq!(server.requests().len(), 1, "{driver}: {status}");
        }
    }
}

// Several requests.

#[test]
fn a_cookie_is_not_sent_back() {
    for driver in Driver::all() {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n");
        driver.run(Ask::post(&server).rounds(2)).expect("an answer");

        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{driver}");
        for request in requests {
            assert!(field(parts(&request).0, "cookie").is_empty(), "{driver}");
        }
    }
}

#[test]
fn the_next_request_waits_as_long_as_it_was_told() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        let begun = Instant::now();
        let answers =
            driver.run(Ask { after: Duration::from_millis(150), ..Ask::post(&server).rounds(3) }).expect("answers");
        assert_eq!(answers.len(), 3, "{driver}");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{driver}");
    }
}

#[test]
fn a_connection_closed_between_two_requests_is_replaced() {
    for driver in Driver::all() {
        // Keep-alive is promised, and the connection closed all the same.
        let server = Server::closing(EMPTY);
        let answers = driver.run(Ask { after: Duration::from_millis(100), ..Ask::post(&server).rounds(2) });
        assert_eq!(answers.expect("answers").len(), 2, "{driver}");
        assert_eq!(server.requests().len(), 2, "{driver}");
    }
}

/// A code exchange whose answer was lost must not be repeated: the server would revoke what it issued (RFC 6749
/// section 4.1.2).
#[test]
fn a_request_whose_answer_is_lost_is_not_sent_again() {
    for driver in Driver::all() {
        for ask in [Ask::post, Ask::get] {
            let server = Server::start(|nth, _, stream| {
                // The first answer keeps the connection open, so that the second request goes out on a pooled one.
                if nth == 0 { stream.write_all(EMPTY).map(|()| Then::Keep) } else { Ok(Then::Close) }
            });
            let failure = driver.run(ask(&server).rounds(2)).expect_err("no answer");
            assert_eq!(failure.arm, Arm::Http, "{driver}: {failure:?}");
            thread::sleep(Duration::from_millis(50));
            assert_eq!(server.requests().len(), 2, "{driver}");
        }
    }
}

// Redirects.

#[test]
fn no_redirect_is_followed() {
    for driver in Driver::all() {
        for status in [301, 302, 303, 307, 308] {
            for ask in [Ask::post, Ask::get] {
                let other = Server::answering(EMPTY);
                let server = Server::redirecting(status, &format!("http://{}/", other.address));
                let answer = driver.run(ask(&server)).one();
                assert_eq!(answer.status().as_u16(), status, "{driver}");
                assert!(other.requests().is_empty(), "{driver}: {status}");
                assert_eq!(server.requests().len(), 1, "{driver}: {status}");
            }
        }
    }
}

#[test]
fn a_client_that_follows_redirects_carries_no_secret_and_is_refused() {
    for driver in Driver::following() {
        for status in [301, 302, 303, 307, 308] {
            let other = Server::answering(EMPTY);
            let server = Server::redirecting(status, &format!("http://{}/", other.address));
            let result = driver.run(Ask::post(&server));
            let seen = other.requests();
            match result {
                Ok(answers) => {
                    assert_eq!(answers[0].status().as_u16(), status, "{driver}");
                    assert!(seen.is_empty(), "{driver}: {status}");
                }
                Err(failure) => {
                    assert_eq!(failure.arm, Arm::Redirect, "{driver}: {failure:?}");
                    // Only reqwest cannot be told request by request, and only a bodiless GET can have gone.
                    assert_eq!((driver.library, seen.len()), (Library::Reqwest, 1), "{driver}: {status}");
                    assert!(matches!(status, 301..=303), "{driver}: {status}");
                    let text = String::from_utf8_lossy(&seen[0]);
                    assert!(text.starts_with("GET /"), "{driver}: {status}: {text}");
                    assert!(
                        !text.contains("canary-body") && !text.contains("canary-header"),
                        "{driver}: {status}: {text}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_redirect_that_cannot_be_followed_says_nothing_of_its_target() {
    for driver in Driver::all().into_iter().chain(Driver::following()) {
        // The last one leads back to itself: a client that follows it ends after one redirect too many.
        for (target, arm) in [
            ("ftp://a/?canary-target", Arm::Http),
            ("http://[/canary-target", Arm::Http),
            ("\u{7f}canary", Arm::Http),
            ("/token?q=canary-query&x=%2F%20+", Arm::Redirect),
        ] {
            let server = Server::redirecting(302, target);
            match driver.run(Ask::post(&server)) {
                Ok(answers) => assert_eq!(answers[0].status(), StatusCode::FOUND, "{driver}: {target:?}"),
                Err(failure) => assert_eq!(failure.arm, arm, "{driver}: {target:?}: {failure:?}"),
            }
        }
    }
}

// Long answers.

#[test]
fn a_body_of_the_limit_comes_whole() {
    for driver in Driver::all() {
        let body = vec![b' '; MAX_BODY];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY}\r\n\r\n");
        let server = Server::answering(&[head.as_bytes(), &body].concat());
        assert_eq!(driver.run(Ask::post(&server)).one().body().len(), MAX_BODY, "{driver}");
    }
}

#[test]
fn a_longer_body_is_cut_off_one_byte_later() {
    let heads = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 67108864\r\n\r\n",
    ];
    for driver in Driver::all() {
        for head in heads {
            let sent = Arc::new(AtomicUsize::new(0));
            let (result, outcome) = mpsc::channel();
            let server = Server::start({
                let sent = sent.clone();
                move |_, _, stream| {
                    let written = stream.write_all(head.as_bytes()).and_then(|()| {
                        for _ in 0..1024 {
                            if head.contains("chunked") {
                                stream.write_all(b"10000\r\n")?;
                            }
                            stream.write_all(&vec![b' '; 0x10000])?;
                            sent.fetch_add(0x10000, Ordering::Relaxed);
                            if head.contains("chunked") {
                                stream.write_all(b"\r\n")?;
                            }
                        }
                        Ok(())
                    });
                    result.send(written.is_err()).ok();
                    Ok(Then::Close)
                }
            });
            let answer = driver.run(Ask::post(&server)).one();
            assert_eq!(answer.body().len(), MAX_BODY + 1, "{driver}: {head}");
            assert!(
                outcome.recv_timeout(DEADLINE).expect("the server gives up"),
                "{driver}: the server could send all: {head}"
            );
            assert!(sent.load(Ordering::Relaxed) < 0x0400_0000, "{driver}: {head}");
        }
    }
}

// Answers that do not come, or not whole.

#[test]
fn a_refused_connection_is_an_error() {
    for driver in Driver::all() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        drop(listener);
        let failure =
            driver.run(Ask::to(Method::POST, &format!("http://{address}"), BODY)).expect_err("nobody listens");
        assert_eq!((failure.arm, failure.remedy), (Arm::Http, Remedy::TryLater(None)), "{driver}: {failure:?}");
    }
}

#[test]
fn a_host_that_does_not_exist_is_an_error() {
    for driver in Driver::all() {
        let failure = driver.run(Ask::to(Method::POST, "http://nobody.invalid", BODY)).expect_err("no such host");
        assert_eq!((failure.arm, failure.remedy), (Arm::Http, Remedy::TryLater(None)), "{driver}: {failure:?}");
    }
}

#[test]
fn an_uri_without_a_host_is_an_error() {
    for driver in Driver::all() {
        let failure = driver.run(Ask::to(Method::POST, "", BODY)).expect_err("no host");
        assert_eq!(failure.arm, Arm::Http, "{driver}: {failure:?}");
    }
}

#[test]
fn tls_with_a_server_that_does_not_speak_it_is_an_error() {
    for driver in Driver::all() {
        let server = Server::accepting(|mut stream| {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok();
            stream.read_to_end(&mut Vec::new()).ok();
        });
        let ask = Ask::to(Method::POST, &format!("https://{}", server.address), BODY);
        let failure = driver.run(ask).expect_err("no TLS");
        assert_eq!((failure.arm, failure.remedy), (Arm::Http, Remedy::TryLater(None)), "{driver}: {failure:?}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_an_error() {
    let cases: [(&str, &[u8]); 12] = [
        ("closed before the answer", b""),
        ("closed within the status line", b"HTTP/1.1 20"),
        ("closed within the head", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
        ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"a\"}"),
        ("a body of no end", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551614\r\n\r\n{}"),
        ("chunks without a last one", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        ("half a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"),
        ("a chunk of no size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ("a length that is no number", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}"),
        ("no HTTP", b"220 mail.example ESMTP\r\n"),
        ("a header without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    ];
    for driver in Driver::all() {
        for (case, bytes) in cases {
            let server = Server::closing(bytes);
            let failure = match driver.run(Ask::post(&server)) {
                Ok(answers) => panic!("{driver}: {case}: taken for an answer: {answers:?}"),
                Err(failure) => failure,
            };
            assert_eq!(
                (failure.arm, failure.remedy),
                (Arm::Http, Remedy::TryLater(None)),
                "{driver}: {case}: {failure:?}"
            );
            assert_eq!(server.requests().len(), 1, "{driver}: {case}");
        }
    }
}

#[test]
fn a_reset_connection_is_an_error() {
    let cases: [(&str, &[u8]); 4] = [
        ("before the answer", b""),
        ("within the head", b"HTTP/1.1 200 OK\r\nContent-"),
        ("within the body", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        ("within a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"),
    ];
    for driver in Driver::all() {
        for (case, bytes) in cases {
            let server = Server::accepting(move |mut stream| {
                // What is closed with something left unread is reset.
                let mut seen = vec![0; 64 * 1024];
                while !stream.peek(&mut seen).is_ok_and(|length| seen[..length].ends_with(BODY.as_bytes())) {}
                stream.write_all(bytes).ok();
            });
            let failure = driver.run(Ask::post(&server)).expect_err("no whole answer");
            assert_eq!(
                (failure.arm, failure.remedy),
                (Arm::Http, Remedy::TryLater(None)),
                "{driver}: {case}: {failure:?}"
            );
        }
    }
}

#[test]
fn an_answer_that_takes_too_long_is_a_time_out() {
    let cases: [(&str, &[u8], u8); 4] = [
        ("no byte", b"", 0),
        ("the head byte by byte", b"HTTP/1.1 200 OK\r\nX: ", b'x'),
        ("the body byte by byte", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b' '),
        ("nothing after the head", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 0),
    ];
    for driver in Driver::all().into_iter().chain(Driver::following()) {
        let driver = driver.timeout(Duration::from_millis(300));
        for (case, begin, drip) in cases {
            let server = Server::start(move |_, _, stream| {
                stream.write_all(begin)?;
                for _ in 0..400 {
                    thread::sleep(Duration::from_millis(25));
                    if drip != 0 {
                        stream.write_all(&[drip])?;
                    }
                }
                Ok(Then::Close)
            });
            let begun = Instant::now();
            let failure = driver.run(Ask::post(&server)).expect_err("no answer in time");
            assert_eq!(
                (failure.arm, failure.remedy),
                (Arm::Timeout, Remedy::TryLater(None)),
                "{driver}: {case}: {failure:?}"
            );
            assert!(begun.elapsed() < Duration::from_secs(5), "{driver}: {case}: {:?}", begun.elapsed());
            assert_eq!(server.requests().len(), 1, "{driver}: {case}");
        }
    }
}

#[test]
fn there_is_no_time_out_too_long() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        driver.timeout(Duration::MAX).run(Ask::post(&server)).one();
    }
}

// The exchange, and the environment.

#[test]
fn an_error_of_the_exchange_ends_it() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        let failure = driver.run(Ask { refuse: Some(Refuse::ToAsk), ..Ask::post(&server) }).expect_err("usage");
        assert_eq!((failure.arm, failure.remedy), (Arm::Protocol, Remedy::FixConfiguration), "{driver}: {failure:?}");
        assert!(server.requests().is_empty(), "{driver}");

        let failure = driver.run(Ask { refuse: Some(Refuse::Answer), ..Ask::post(&server) }).expect_err("violation");
        assert_eq!((failure.arm, failure.remedy), (Arm::Protocol, Remedy::Report), "{driver}: {failure:?}");
    }
}

#[test]
fn the_generator_is_seeded_anew_for_each_run() {
    for driver in Driver::all() {
        let server = Server::answering(EMPTY);
        for _ in 0..2 {
            driver.run(Ask::post(&server)).one();
        }
        let drawn: Vec<_> =
            server.requests().iter().map(|request| field(parts(request).0, "x-drawn").concat()).collect();
        assert_eq!(drawn.len(), 2, "{driver}");
        assert_ne!(drawn[0], drawn[1], "{driver}");
    }
}

/// Runs another test of this file in a process of its own, whose environment names a proxy.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let proxy = Server::answering(EMPTY);
    let url = format!("http://{}", proxy.address);
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", "a_request_arrives_exactly"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, &url);
    }
    for name in ["no_proxy", "NO_PROXY", "REQUEST_METHOD"] {
        child.env_remove(name);
    }
    let output = child.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert!(proxy.requests().is_empty(), "the proxy was asked");
}

#[test]
fn transports_are_shared_and_print_nothing_of_their_client() {
    fn shared<T: Clone + Send + Sync + fmt::Debug + 'static>(_: &T) {}
    fn sent<F: Future + Send + 'static>(_: F) {}

    let mut headers = http::HeaderMap::new();
    headers.insert("x-secret", HeaderValue::from_static("canary-default"));
    let client = reqwest_builder().default_headers(headers).build().expect("a client");
    let http = proofkey::reqwest::Transport::with_client(client);
    shared(&http);
    assert!(!format!("{http:?}").contains("canary"), "{http:?}");
    let future = http.run(Ask::to(Method::POST, "http://127.0.0.1", BODY));
    drop(http); // The future borrows nothing of it.
    sent(future);

    let http = proofkey::hyper::Transport::new().expect("a client");
    shared(&http);
    let future = http.run(Ask::to(Method::POST, "http://127.0.0.1", BODY));
    drop(http);
    sent(future);

    let http = proofkey::blocking::Transport::new().expect("a client");
    shared(&http);
}

#[test]
fn an_exchange_may_be_a_trait_object() {
    let server = Server::answering(EMPTY);
    let exchange: Box<dyn Exchange<Output = Answers> + Send> = Box::new(Ask::post(&server));
    let http = proofkey::hyper::Transport::new().expect("a client");
    assert_eq!(runtime().block_on(http.run(exchange)).expect("an answer").len(), 1);
    let exchange: Box<dyn Exchange<Output = Answers>> = Box::new(Ask::post(&server));
    assert_eq!(proofkey::blocking::Transport::new().expect("a client").run(exchange).expect("an answer").len(), 1);
}

#[test]
fn an_agent_for_https_only_hides_the_url_it_refuses() {
    let driver = Driver { https_only: true, ..Driver::new(Library::Ureq) };
    let server = Server::answering(EMPTY);
    let failure = driver.run(Ask::post(&server)).expect_err("not https");
    assert_eq!(failure.arm, Arm::Http, "{failure:?}");
    assert!(server.requests().is_empty());
}

/// An exchange that asks the same thing a number of times, and keeps the answers.
#[derive(Debug)]
struct Ask {
    method: Method,
    uri: String,
    body: &'static str,
    user_agent: Option<&'static str>,
    rounds: usize,
    after: Duration,
    refuse: Option<Refuse>,
    answers: Answers,
}

type Answers = Vec<Response<Vec<u8>>>;

#[derive(Debug, PartialEq)]
enum Refuse {
    ToAsk,
    Answer,
}

impl Ask {
    fn post(server: &Server) -> Self {
        Self::to(Method::POST, &format!("http://{}", server.address), BODY)
    }

    fn get(server: &Server) -> Self {
        Self::to(Method::GET, &format!("http://{}", server.address), "")
    }

    fn to(method: Method, origin: &str, body: &'static str) -> Self {
        let uri = format!("{origin}/token?q=canary-query&x=%2F%20+");
        let (user_agent, rounds, after, refuse, answers) = (None, 1, Duration::ZERO, None, Vec::new());
        Self { method, uri, body, user_agent, rounds, after, refuse, answers }
    }

    fn rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }
}

impl Exchange for Ask {
    type Output = Answers;

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        if self.refuse == Some(Refuse::ToAsk) {
            return Err(Usage::OutOfTurn.into());
        }
        assert!(now > UnixTime::from_secs(1_700_000_000), "the clock is not read");
        let mut authorization = HeaderValue::from_static(AUTHORIZED);
        authorization.set_sensitive(true);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.uri)
            .header(AUTHORIZATION, authorization)
            .header("x-drawn", rng.next_u64());
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(name) = self.user_agent {
            request = request.header(USER_AGENT, name);
        }
        Ok(request.body(Body::from(self.body.as_bytes().to_vec())).expect("a request"))
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        if self.refuse == Some(Refuse::Answer) {
            return Err(Violation::NotJson.into());
        }
        self.answers.push(response);
        if self.answers.len() < self.rounds {
            Ok(Step::Again { after: self.after })
        } else {
            Ok(Step::Done(std::mem::take(&mut self.answers)))
        }
    }
}

/// One transport, set up in one way.
#[derive(Clone, Debug)]
struct Driver {
    library: Library,
    /// A client of the caller's, which follows redirects.
    following: bool,
    https_only: bool,
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Library {
    Reqwest,
    Hyper,
    Ureq,
}

impl Driver {
    fn new(library: Library) -> Self {
        Self { library, following: false, https_only: false, timeout: None }
    }

    /// `Transport::new` of each.
    fn all() -> Vec<Self> {
        [Library::Reqwest, Library::Hyper, Library::Ureq].map(Self::new).into()
    }

    /// `Transport::with_client` of each, with a client as the library makes it.
    fn following() -> Vec<Self> {
        Self::all().into_iter().map(|driver| Self { following: true, ..driver }).collect()
    }

    fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Runs an exchange on a thread of its own, so that one which does not end fails rather than hangs.
    fn run(&self, ask: Ask) -> Result<Answers, Failure> {
        let (driver, name) = (self.clone(), self.to_string());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(driver.run_here(ask)).ok());
        let result = receiver.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{name}: no end: {error}"));
        if let Err(failure) = &result {
            assert!(!failure.printed.contains("canary"), "{name} prints a secret: {}", failure.printed);
        }
        result
    }

    fn run_here(self, ask: Ask) -> Result<Answers, Failure> {
        macro_rules! run {
            ($module:ident, $transport:expr, $finish:expr) => {{
                let transport = $transport;
                let transport = match self.timeout {
                    Some(timeout) => transport.timeout(timeout),
                    None => transport,
                };
                let finish = $finish;
                finish(transport.run(ask)).map_err(|error| {
                    let arm = match &error {
                        proofkey::$module::Error::Protocol(Error::Violation(
                            Violation::Redirect(_) | Violation::RedirectFollowed,
                        )) => Arm::Redirect,
                        proofkey::$module::Error::Protocol(_) => Arm::Protocol,
                        proofkey::$module::Error::Http(_) => Arm::Http,
                        proofkey::$module::Error::Timeout => Arm::Timeout,
                        _ => Arm::Other,
                    };
                    assert_eq!(error.source().is_some(), arm == Arm::Http);
                    Failure { arm, remedy: error.remedy(), printed: printed(&error) }
                })
            }};
        }
        match (self.library, self.following || self.https_only) {
            (Library::Reqwest, false) => {
                run!(reqwest, proofkey::reqwest::Transport::new().expect("a client"), |f| runtime().block_on(f))
            }
            (Library::Reqwest, true) => {
                let client = reqwest_builder().build().expect("a client");
                run!(reqwest, proofkey::reqwest::Transport::with_client(client), |f| runtime().block_on(f))
            }
            (Library::Hyper, false) => {
                run!(hyper, proofkey::hyper::Transport::new().expect("a client"), |f| runtime().block_on(f))
            }
            (Library::Hyper, true) => {
                use proofkey::hyper::hyper_util::{client::legacy::Client, rt::TokioExecutor};
                let client = Client::builder(TokioExecutor::new()).build_http();
                run!(hyper, proofkey::hyper::Transport::with_client(client), |f| runtime().block_on(f))
            }
            (Library::Ureq, false) => {
                run!(blocking, proofkey::blocking::Transport::new().expect("a client"), |result| result)
            }
            (Library::Ureq, true) => {
                let config = proofkey::blocking::ureq::Agent::config_builder().proxy(None).https_only(self.https_only);
                run!(blocking, proofkey::blocking::Transport::with_client(config.build().into()), |result| result)
            }
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.library, if self.following { " with the caller's client" } else { "" })
    }
}

/// reqwest's defaults, with a TLS that trusts nobody: it has none of its own here.
fn reqwest_builder() -> proofkey::reqwest::reqwest::ClientBuilder {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("it has suites for both versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    proofkey::reqwest::reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// An error, of whichever transport.
#[derive(Debug)]
struct Failure {
    arm: Arm,
    remedy: Remedy,
    printed: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arm {
    Protocol,
    Redirect,
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

trait One {
    /// The only answer.
    fn one(self) -> Response<Vec<u8>>;
}

impl One for Result<Answers, Failure> {
    #[track_caller]
    fn one(self) -> Response<Vec<u8>> {
        let mut answers = match self {
            Ok(answers) => answers,
            Err(failure) => panic!("no answer: {failure:?}"),
        };
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }
}

/// A server on a port of its own: a thread for each connection, and a script for each request.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What becomes of the connection after an answer.
enum Then {
    Keep,
    Close,
}

impl Server {
    /// Reads each request whole, counts it, and lets the script answer.
    fn start(script: impl Fn(usize, &[u8], &mut TcpStream) -> std::io::Result<Then> + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let server = Self::accepting(move |mut stream| {
            while let Some(request) = read_request(&mut stream) {
                let nth = {
                    let mut seen = seen.lock().expect("no script panics");
                    seen.push(request.clone());
                    seen.len() - 1
                };
                if !matches!(script(nth, &request, &mut stream), Ok(Then::Keep)) {
                    break;
                }
            }
        });
        Self { requests, ..server }
    }

    /// Does what it likes with each connection.
    fn accepting(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = script.clone();
                thread::spawn(move || script(stream));
            }
        });
        Self { address, requests: Arc::default() }
    }

    fn answering(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::start(move |_, _, stream| stream.write_all(&answer).map(|()| Then::Keep))
    }

    fn closing(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::start(move |_, _, stream| stream.write_all(&answer).map(|()| Then::Close))
    }

    fn redirecting(status: u16, to: &str) -> Self {
        Self::answering(
            format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").as_bytes(),
        )
    }

    fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().expect("no script panics").clone()
    }

    fn only_request(&self) -> Vec<u8> {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "one request");
        requests.remove(0)
    }
}

/// A request with as much body as its `Content-Length` says, or `None` at the end of the connection.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let length = field(parts(&request).0, "content-length").concat().parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.extend(body);
    Some(request)
}

fn parts(request: &[u8]) -> (&str, &[u8]) {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("the head's end") + 4;
    (std::str::from_utf8(&request[..end]).expect("a head in ASCII"), &request[end..])
}

/// The values of a header, in order.
fn field<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BODY: &str = "grant_type=authorization_code&code=canary-body";
const AUTHORIZED: &str = "Basic canary-header";

/// No case takes nearly as long, even on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(20);
