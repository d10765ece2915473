//! The loopback listener against everybody who may come to its port, in both ways of waiting: each stranger gets its
//! answer and nothing else, and the login completes.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use proofkey::loopback::{Builder, Error, Loopback};
use proofkey::{Callback, CodeGrant, ErrorCode, Pending};

mod strangers;
mod support;

use support::{NOW, Octets, STATE, client};

// Strangers.

#[test]
fn every_stranger_is_answered_and_the_login_completes() {
    for waiting in Waiting::BOTH {
        let login = Login::begin(waiting, Loopback::builder());
        for stranger in strangers::all(&login.host, STATE) {
            let what = stranger.what;
            let answer = stranger.play(login.address).unwrap_or_else(|error| panic!("{waiting:?}, {what}: {error}"));
            match stranger.status {
                None => assert!(answer.is_empty(), "{waiting:?}, {what}"),
                Some(status) => {
                    let answer = Answer::read(&answer);
                    assert_eq!(answer.status, status, "{waiting:?}, {what}");
                    assert!(!answer.body.contains("stolen") && !answer.body.contains(STATE), "{waiting:?}, {what}");
                    assert_eq!(answer.body.is_empty(), what == "HEAD", "{waiting:?}, {what}");
                    assert_eq!(answer.headers.contains_key("allow"), status == 405, "{waiting:?}, {what}");
                }
            }
        }
        assert_eq!(login.visit(&own()).status, 200, "{waiting:?}");
        assert!(login.end().is_ok(), "{waiting:?}");
    }
}

/// More than are let in, each with half a request: the oldest give way to the browser.
#[test]
fn those_who_only_sit_there_do_not_keep_the_browser_out() {
    for waiting in Waiting::BOTH {
        let login = Login::begin(waiting, Loopback::builder());
        let idle: Vec<_> = (0..300)
            .map(|number| {
                let mut stream = TcpStream::connect(login.address).expect("a connection");
                // Whether it still can be written to is the listener's choice.
                let _ = stream.write_all(if number % 2 == 0 { b"" } else { b"GET /callback?code=" });
                stream
            })
            .collect();
        let mut browser = TcpStream::connect(login.address).expect("a connection");
        strangers::drip(&mut browser, &get(&login.host, &own(), "").as_bytes()[..50]).expect("it is let in");
        // Whoever came before it has been looked at by now.
        assert_eq!(login.visit("/").status, 404, "{waiting:?}");
        let open = idle.iter().filter(|stream| is_open(stream)).count();
        assert!(open < 100, "{waiting:?}: {open} are let sit");
        browser.write_all(&get(&login.host, &own(), "").as_bytes()[50..]).expect("it is still there");
        assert_eq!(read(browser).status, 200, "{waiting:?}");
        assert!(login.end().is_ok(), "{waiting:?}");
    }
}

/// Nor are they waited for, however few they are.
#[test]
fn a_request_that_does_not_come_is_not_waited_for() {
    let logins = Waiting::BOTH.map(|waiting| Login::begin(waiting, Loopback::builder()));
    let mute = logins.each_ref().map(|login| {
        let half = get(&login.host, &own(), "")[..50].to_owned();
        ["", &half].map(|said| {
            let mut stream = TcpStream::connect(login.address).expect("a connection");
            stream.write_all(said.as_bytes()).expect("it is taken");
            stream
        })
    });
    mute.iter().flatten().for_each(is_closed);
    for login in logins {
        assert_eq!(login.visit(&own()).status, 200);
        assert!(login.end().is_ok());
    }
}

/// Those who came to the redirect URI are counted, those who came elsewhere are not.
#[test]
fn when_nobody_comes_strangers_are_told() {
    let login = Loopback::bind().expect("a port");
    let pending = pending(&login);
    let address = address(&login);
    let mut said = Vec::new();
    for target in ["/callback?code=injected&state=another", "/callback", "/", "/favicon.ico"] {
        let mut stream = TcpStream::connect(address).expect("a connection");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it is taken");
        said.push(stream);
    }
    // They are all there already, and everybody is looked at once, however late it is.
    let error = login.wait(&pending, Instant::now()).expect_err("nobody");
    assert!(matches!(error, Error::TimedOut { strangers: 2 }), "{error:?}");
    assert_eq!(error.to_string(), "nobody came back in time, but for 2 with another login's answer, or with none");
}

// This login's browser.

#[test]
fn the_browser_is_understood_however_it_talks() {
    let cookies = format!("Cookie: theme={}\r\nSec-Fetch-Mode: navigate\r\n", "a".repeat(50_000));
    let long = format!("/callback?code={}&state={STATE}", "c".repeat(60_000));
    let form = format!("code=abc&state={STATE}");
    let post = format!(
        "POST /callback HTTP/1.1\r\nHost: HERE\r\nOrigin: https://as.example.com\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let requests = [
        ("as usual", get("HERE", &own(), "")),
        ("with a host's worth of cookies", get("HERE", &own(), &cookies)),
        ("with a long code", get("HERE", &long, "")),
        ("with parameters that nobody knows", get("HERE", &format!("{}&a=b&a=c&session_state=d", own()), "")),
        ("in HTTP/1.0", get("HERE", &own(), "").replace("HTTP/1.1", "HTTP/1.0")),
        ("asking twice", get("HERE", &own(), "").repeat(2)),
        ("with more than was asked for", get("HERE", &own(), "") + &"a".repeat(300_000)),
        ("by a form", post),
    ];
    for waiting in Waiting::BOTH {
        for (how, request) in &requests {
            let login = Login::begin(waiting, Loopback::builder());
            let answer = login.say(request.replace("HERE", &login.host).as_bytes());
            assert_eq!((answer.status, answer.outcome()), (200, "success"), "{waiting:?}, {how}");
            assert!(login.end().is_ok(), "{waiting:?}, {how}");
        }
    }
}

#[test]
fn the_browser_may_be_slow_and_may_end_its_side() {
    for waiting in Waiting::BOTH {
        let form = format!("code=abc&state={STATE}");
        let login = Login::begin(waiting, Loopback::builder());
        let mut stream = TcpStream::connect(login.address).expect("a connection");
        let head = format!(
            "POST /callback HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            login.host,
            form.len()
        );
        strangers::drip(&mut stream, (head + &form).as_bytes()).expect("it is taken");
        stream.shutdown(Shutdown::Write).expect("its own side");
        assert_eq!(read(stream).outcome(), "success", "{waiting:?}");
        assert!(login.end().is_ok(), "{waiting:?}");
    }
}

/// The page is for the person; the application has the callback without it.
#[test]
fn a_browser_that_is_gone_has_returned_all_the_same() {
    for waiting in Waiting::BOTH {
        let login = Login::begin(waiting, Loopback::builder());
        let mut stream = TcpStream::connect(login.address).expect("a connection");
        stream.write_all(get(&login.host, &own(), "").as_bytes()).expect("it is taken");
        drop(stream);
        assert!(login.end().is_ok(), "{waiting:?}");
    }
}

#[test]
fn an_error_ends_the_wait_if_it_is_this_login_s() {
    for waiting in Waiting::BOTH {
        for (error, outcome) in [("access_denied", "denied"), ("server_error", "failed"), ("x%3Cb%3E", "failed")] {
            let login = Login::begin(waiting, Loopback::builder());
            let description = "error_description=%3Cscript%3Ealert(1)%3C/script%3E&error_uri=https://evil.example";
            let answer = login.visit(&format!("/callback?error={error}&{description}&state={STATE}"));
            assert_eq!((answer.status, answer.outcome()), (200, outcome), "{waiting:?}");
            for foreign in ["alert", "evil.example", "&lt;b"] {
                assert!(!answer.body.contains(foreign), "{waiting:?}: {}", answer.body);
            }
            let Err(proofkey::Error::Server(told)) = login.end() else { panic!("{waiting:?}: an error was sent") };
            assert_eq!(told.code == ErrorCode::ACCESS_DENIED, outcome == "denied", "{waiting:?}");
        }
    }
}

// The listener itself.

#[test]
fn the_redirect_uri_is_the_address_and_the_port() {
    let cases: [(Builder, &str, &str); 5] = [
        (Loopback::builder(), "http://127.0.0.1:", "/callback"),
        (Loopback::builder().ipv6(), "http://[::1]:", "/callback"),
        (Loopback::builder().path("/"), "http://127.0.0.1:", "/"),
        (Loopback::builder().path(""), "http://127.0.0.1:", ""),
        (
            Loopback::builder().path("/oauth2redirect/example-provider"),
            "http://127.0.0.1:",
            "/oauth2redirect/example-provider",
        ),
    ];
    for (builder, before, after) in cases {
        let login = Login::begin(Waiting::Blocking, builder);
        let port = login.redirect_uri.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        assert_eq!(port.and_then(|port| port.parse().ok()), Some(login.address.port()), "{}", login.redirect_uri);
        let path = if after.is_empty() { "/" } else { after };
        assert_eq!(login.visit(&format!("{path}?code=abc&state={STATE}")).status, 200, "{}", login.redirect_uri);
        assert!(login.end().is_ok());
    }
}

#[test]
fn ports_are_tried_in_their_order() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = (taken.local_addr().expect("an address").port(), taken);
    let other = Loopback::builder().ports([taken.0, 0]).bind().expect("the second");
    let free = address(&other).port();
    assert_ne!(free, taken.0);
    drop(other);
    // Free again, unless somebody else was quicker.
    let chosen = Loopback::builder().ports([free, 0]).bind().expect("the first or the second");
    assert!(address(&chosen).port() == free || TcpListener::bind(("127.0.0.1", free)).is_err());
    let error = Loopback::builder().ports([taken.0]).bind().expect_err("it is taken");
    assert_eq!(error.to_string(), "no loopback port could be listened on");
    assert!(matches!(error, Error::Bind(error) if error.kind() == ErrorKind::AddrInUse));
    assert!(matches!(Loopback::builder().ports([]).bind(), Err(Error::Usage(_))));
}

#[test]
fn what_reads_differently_for_different_readers_is_no_path() {
    for path in [
        "callback",
        "//callback",
        "/a/../b",
        "/./a",
        "/a%20b",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\r\nb",
        "/ä",
        "/a\\b",
        "http://x/",
    ] {
        let error = Loopback::builder().path(path).bind().expect_err(path);
        assert!(matches!(error, Error::Usage(_)), "{path:?}: {error:?}");
    }
}

#[test]
fn a_template_has_to_tell_how_it_ended() {
    let bind = |html| Loopback::builder().template(html).bind();
    assert!(bind("<p>{{text}}").is_ok() && bind("<p class={{outcome}}>").is_ok());
    for html in ["", "<p>Done!", "<p>{text}", "<p>{{title}}"] {
        assert!(matches!(bind(html), Err(Error::Usage(_))), "{html:?}");
    }
}

/// A login that would come back elsewhere is not waited for.
#[test]
fn another_redirect_uri_is_another_login() {
    let one = Loopback::bind().expect("a port");
    let other = Loopback::bind().expect("a port");
    let pending = pending(&other);
    let late = Instant::now() + Duration::from_secs(3600);
    assert!(matches!(one.wait(&pending, late), Err(Error::OtherRedirectUri)));
    let one = Loopback::bind().expect("a port");
    assert!(matches!(runtime().block_on(one.wait_async(&pending, late)), Err(Error::OtherRedirectUri)));
}

#[test]
fn the_port_is_free_when_the_wait_is_over() {
    for waiting in Waiting::BOTH {
        let login = Login::begin(waiting, Loopback::builder());
        let address = login.address;
        let _idle = TcpStream::connect(address).expect("a connection");
        assert_eq!(login.visit(&own()).status, 200);
        assert!(login.end().is_ok());
        assert!(TcpListener::bind(address).is_ok(), "{waiting:?}");
    }
}

/// Dropping the future is enough: nothing of it goes on elsewhere.
#[test]
fn the_port_is_free_when_the_future_is_dropped() {
    runtime().block_on(async {
        let loopback = Loopback::bind().expect("a port");
        let (address, pending) = (address(&loopback), pending(&loopback));
        let mut idle = TcpStream::connect(address).expect("a connection");
        let late = Instant::now() + Duration::from_secs(3600);
        let wait = loopback.wait_async(&pending, late);
        assert!(tokio::time::timeout(Duration::from_millis(50), wait).await.is_err());
        assert!(TcpListener::bind(address).is_ok());
        assert!(!matches!(idle.read(&mut [0]), Ok(1..)));
    });
}

/// A person who would rather not, told from whatever thread: before the wait, and while it lasts.
#[test]
fn a_wait_can_be_cancelled() {
    let late = Instant::now() + Duration::from_secs(3600);
    let loopback = Loopback::bind().expect("a port");
    let login = pending(&loopback);
    loopback.canceller().cancel();
    let error = loopback.wait(&login, late).expect_err("it is cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert_eq!(error.to_string(), "the wait was cancelled");

    let loopback = Loopback::bind().expect("a port");
    let (address, canceller, login) = (address(&loopback), loopback.canceller(), pending(&loopback));
    // One that is dropped does nothing, and neither does another listener's.
    drop(loopback.canceller());
    Loopback::bind().expect("a port").canceller().cancel();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(loopback.wait(&login, late)).is_ok());
    // By then it sleeps. If it should not have begun, it has to end all the same.
    thread::sleep(Duration::from_millis(300));
    canceller.clone().cancel();
    // By itself it would look up once a minute.
    let error = told.recv_timeout(Duration::from_secs(30)).expect("it is woken").expect_err("it is cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert!(TcpListener::bind(address).is_ok());
    canceller.cancel();
}

/// Once the browser is back, there is a callback.
#[test]
fn a_login_that_has_returned_is_not_cancelled() {
    let loopback = Loopback::bind().expect("a port");
    let (address, canceller, login) = (address(&loopback), loopback.canceller(), pending(&loopback));
    let waits = thread::spawn(move || loopback.wait(&login, Instant::now() + Duration::from_secs(3600)));
    let mut browser = TcpStream::connect(address).expect("a connection");
    browser.write_all(get(&address.to_string(), &own(), "").as_bytes()).expect("it is taken");
    // The page has begun to come, and this side is still open.
    browser.read_exact(&mut [0]).expect("an answer");
    canceller.cancel();
    assert!(waits.join().expect("nothing panics").is_ok());
}

#[test]
fn what_waits_can_wait_anywhere() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send>(_: &T) {}
    let loopback = Loopback::bind().expect("a port");
    let pending = pending(&loopback);
    is_send(&loopback);
    is_shared(&loopback.canceller());
    is_send(&loopback.wait_async(&pending, Instant::now()));
}

// What is shown, and what is not.

#[test]
fn every_page_keeps_itself_to_itself() {
    let login = Login::begin(Waiting::Blocking, Loopback::builder().application("\"><script>alert(1)</script>"));
    for target in ["/", "/callback?code=injected&state=another", own().as_str()] {
        let answer = login.visit(target);
        let headers: Vec<_> = answer.headers.keys().map(String::as_str).collect();
        let expected = [
            "cache-control",
            "connection",
            "content-length",
            "content-security-policy",
            "content-type",
            "referrer-policy",
            "x-content-type-options",
        ];
        assert_eq!(headers, expected, "{target}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        // One script, its own, and nothing from elsewhere.
        assert_eq!(answer.body.matches("<script").count(), 1, "{target}");
        assert!(answer.body.contains("&quot;&gt;&lt;script&gt;alert(1)"), "{target}");
        assert!(!answer.body.contains("://") || answer.body.matches("://").count() == 1, "{target}");
    }
    assert!(login.end().is_ok());
}

/// lg-015 of `tests/vectors`: no log has the request line; nor has anything else that prints.
#[test]
fn nothing_that_is_printed_holds_what_a_browser_brought() {
    log::set_logger(&KEPT).expect("there is no other");
    log::set_max_level(log::LevelFilter::Trace);
    let mut printed = Vec::new();
    for waiting in Waiting::BOTH {
        let builder = Loopback::builder();
        printed.push(format!("{builder:?}"));
        let login = Login::begin(waiting, builder);
        login.visit("/callback?code=canary-one&state=canary-two");
        login.say(get(&login.host, "/canary-three", "Cookie: session=canary-four\r\n").as_bytes());
        login.visit(&format!("/callback?code=canary-five&state={STATE}"));
        let grant = login.end().expect("a grant");
        printed.push(format!("{grant:?}"));
    }
    let loopback = Loopback::bind().expect("a port");
    printed.push(format!("{loopback:?}"));
    let mut stream = TcpStream::connect(address(&loopback)).expect("a connection");
    stream.write_all(b"GET /callback?code=canary-six HTTP/1.1\r\n\r\n").expect("it is taken");
    let error = loopback.wait(&pending(&Loopback::bind().expect("a port")), Instant::now()).expect_err("another");
    printed.push(format!("{error} {error:?}"));
    printed.extend(KEPT.0.lock().expect("nothing panics").drain(..));
    assert!(printed.len() > 10, "the logger hears nothing");
    for line in printed {
        assert!(!line.contains("canary") && !line.contains(STATE), "{line}");
    }
}

/// What is logged, by this process.
struct Kept(Mutex<Vec<String>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().expect("nothing panics").push(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

// Whoever waits, and whoever comes.

#[derive(Clone, Copy, Debug)]
enum Waiting {
    Blocking,
    OnTokio,
}

impl Waiting {
    const BOTH: [Self; 2] = [Self::Blocking, Self::OnTokio];
}

/// A login that is waited for, on a thread of its own.
struct Login {
    address: SocketAddr,
    host: String,
    redirect_uri: String,
    wait: JoinHandle<Result<CodeGrant, proofkey::Error>>,
}

impl Login {
    fn begin(waiting: Waiting, builder: Builder) -> Self {
        let loopback = builder.bind().expect("a port");
        let (address, pending) = (address(&loopback), pending(&loopback));
        let redirect_uri = loopback.redirect_uri().to_owned();
        let wait = thread::spawn(move || {
            let callback = wait(waiting, loopback, &pending).expect("a callback");
            pending.accept(callback)
        });
        Self { address, host: address.to_string(), redirect_uri, wait }
    }

    fn visit(&self, target: &str) -> Answer {
        self.say(get(&self.host, target, "").as_bytes())
    }

    fn say(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.write_all(bytes).expect("it is taken");
        read(stream)
    }

    fn end(self) -> Result<CodeGrant, proofkey::Error> {
        self.wait.join().expect("nothing panics")
    }
}

fn wait(waiting: Waiting, loopback: Loopback, pending: &Pending) -> Result<Callback, Error> {
    let deadline = Instant::now() + Duration::from_secs(300);
    match waiting {
        Waiting::Blocking => loopback.wait(pending, deadline),
        Waiting::OnTokio => runtime().block_on(loopback.wait_async(pending, deadline)),
    }
}

fn pending(loopback: &Loopback) -> Pending {
    let login = client().authorize().redirect_uri(loopback.redirect_uri());
    login.redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

fn address(loopback: &Loopback) -> SocketAddr {
    let authority = loopback.redirect_uri().split('/').nth(2).expect("an authority");
    authority.parse().expect("an address as a literal")
}

/// The target of this login's browser.
fn own() -> String {
    format!("/callback?code=abc&state={STATE}")
}

fn get(host: &str, target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
}

fn read(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    Answer::read(&answer)
}

/// Whether the listener has not closed it yet.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it can be asked");
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Waits until the listener has closed it.
fn is_closed(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("it is not zero");
    let read = stream.read(&mut [0]);
    let is_open = matches!(&read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(!is_open && !matches!(read, Ok(1..)), "{read:?}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// One whole answer, with nothing behind it.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|line| line.get(..3));
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let answer = Self {
            status: status.and_then(|status| status.parse().ok()).expect("a status"),
            headers: headers.collect(),
            body: body.to_owned(),
        };
        // Told in the answer to HEAD as well, where no body comes.
        let length: usize = answer.headers["content-length"].parse().expect("a length");
        assert!(body.is_empty() || body.len() == length, "{} of {length} bytes", body.len());
        assert_eq!(answer.headers["connection"], "close");
        answer
    }

    fn outcome(&self) -> &str {
        self.body.split_once("<main class=\"").and_then(|(_, rest)| rest.split_once('"')).expect("the page").0
    }
}
