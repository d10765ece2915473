//! Transport conformance: one scripted server, the same cases for each transport. `faults.rs` has what goes wrong.
//!
//! The server speaks raw TCP, so that it can do what no HTTP server would. Every request carries a canary in its
//! query, a header and its body, and whatever a failure prints is searched for them.

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use proofkey::{Body, CryptoRng, Error, Exchange, MAX_BODY, Remedy, Step, UnixTime, Usage, Violation};
use transport::{Arm, DEADLINE, Driver, Failure, Library, Server, Then, field, parts, reqwest_builder, runtime};

mod transport;

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

/// What stands behind an answer is nobody's: the next request has an answer of its own.
#[test]
fn an_answer_before_its_request_is_not_taken() {
    for driver in Driver::all() {
        let server = Server::start(|nth, _, stream| {
            let own = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nown {nth}");
            let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            stream.write_all(format!("{own}{forged}").as_bytes()).map(|()| Then::Keep)
        });
        match driver.run(Ask { after: Duration::from_millis(50), ..Ask::post(&server).rounds(2) }) {
            Ok(answers) => assert_eq!(answers[1].body(), b"own 1", "{driver}"),
            Err(failure) => assert_eq!(failure.arm, Arm::Http, "{driver}: {failure:?}"),
        }
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

/// The first place has had the request, though the second has not.
#[test]
fn a_redirect_to_where_nobody_listens_is_no_request_that_was_not_sent() {
    for driver in Driver::all().into_iter().chain(Driver::following()) {
        for (status, ask) in [301, 302, 303, 307, 308].into_iter().flat_map(|status| {
            let asks: [fn(&Server) -> Ask; 2] = [Ask::post, Ask::get];
            asks.map(|ask| (status, ask))
        }) {
            let server = Server::redirecting(status, "http://127.0.0.1:1/");
            match driver.run(ask(&server)) {
                Ok(answers) => assert_eq!(answers[0].status().as_u16(), status, "{driver}"),
                Err(failure) => {
                    assert_eq!(driver.library, Library::Reqwest, "{driver}: {failure:?}");
                    assert_eq!((failure.arm, failure.ambiguous), (Arm::Http, true), "{driver}: {status}: {failure:?}");
                }
            }
            assert_eq!(server.requests().len(), 1, "{driver}: {status}");
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

#[test]
fn an_uri_without_a_host_is_an_error() {
    for driver in Driver::all() {
        let failure = driver.run(Ask::to(Method::POST, "", BODY)).expect_err("no host");
        let seen = (failure.arm, failure.remedy, failure.ambiguous);
        assert_eq!(seen, (Arm::Unsent, Remedy::FixConfiguration, false), "{driver}: {failure:?}");
    }
}

/// Its own time-out is not asked for.
#[test]
fn a_client_of_the_caller_has_the_time_out_too() {
    for driver in Driver::following() {
        let server = Server::start(|_, _, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            for _ in 0..400 {
                thread::sleep(Duration::from_millis(50));
                stream.write_all(b" ")?;
            }
            Ok(Then::Close)
        });
        let failure = driver.timeout(Duration::from_secs(1)).run(Ask::post(&server)).expect_err("no answer in time");
        let seen = (failure.arm, failure.remedy, failure.ambiguous);
        assert_eq!(seen, (Arm::Timeout, Remedy::TryLater(None), true), "{failure:?}");
        assert_eq!(server.requests().len(), 1);
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
    let client = reqwest_builder(None).default_headers(headers).build().expect("a client");
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
fn a_client_for_https_only_hides_the_url_it_refuses() {
    for library in [Library::Reqwest, Library::Ureq] {
        let server = Server::answering(EMPTY);
        let failure = Driver::https_only(library).run(Ask::post(&server)).expect_err("not https");
        assert_eq!((failure.arm, failure.remedy), (Arm::Unsent, Remedy::FixConfiguration), "{failure:?}");
        assert_eq!(server.connections(), 0, "{library:?}");
    }
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

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BODY: &str = "grant_type=authorization_code&code=canary-body";
const AUTHORIZED: &str = "Basic canary-header";
