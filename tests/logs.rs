//! What is logged while each transport runs each operation: everything that any crate says through `log` or `tracing`, at
//! the level TRACE, searched for every secret.
//!
//! These crates say nothing. What the HTTP libraries say is theirs, and measured here: at DEBUG nothing may leak, and at
//! TRACE only where [`KNOWN`] has it. `cargo test --all-features --test logs -- --nocapture` prints who says how much.
#![allow(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use proofkey::{Authentication, Callback, Client, Exchange, Tokens};
use serde_json::json;
use tracing::{field, span};
use transport::{Driver, Library, Server, Then, frame, parts, read_http2};

mod support;
mod transport;

#[test]
fn no_secret_is_logged() {
    log::set_logger(&Recorder).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    tracing::subscriber::set_global_default(Recorder).unwrap();

    let mut secrets = Vec::new();
    for library in [Library::Reqwest, Library::Hyper, Library::Ureq] {
        let server = Server::start(|_, request, stream| {
            let head = parts(request).0;
            let status = if head.contains("/par ") { "201 Created" } else { "200 OK" };
            write!(
                stream,
                "HTTP/1.1 {status}\r\nSet-Cookie: {COOKIE}\r\nContent-Length: {}\r\n\r\n{ANSWER}",
                ANSWER.len()
            )?;
            Ok(Then::Keep)
        });
        secrets.extend(operations(&Driver::new(library), &server));
        if let Some(driver) = Driver::new(library).http2() {
            let server = Server::accepting(|stream, seen| {
                stream.write_all(&frame(4, 0, 0, b"")).unwrap();
                let Some(request) = read_http2(stream) else { return };
                seen.lock().unwrap().push(request);
                let answer = [frame(1, 4, 1, &[0x88]), frame(0, 1, 1, ANSWER.as_bytes())].concat();
                stream.write_all(&answer).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                std::io::copy(stream, &mut std::io::sink()).ok();
            });
            secrets.extend(operations(&driver, &server));
        }
    }
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() > 20, "not all secrets were seen: {secrets:?}");

    let records = std::mem::take(&mut *RECORDS.lock().unwrap());
    let mut told: BTreeMap<(&str, &str), (usize, String)> = BTreeMap::new();
    for (target, level, text) in &records {
        let (count, texts) = told.entry((target, level)).or_default();
        *count += 1;
        texts.extend([text, "\n"]);
    }
    let mut leaking = Vec::new();
    for (&(target, level), (count, text)) in &told {
        let leaks = secrets.iter().filter(|(_, secret)| support::leak(text, secret).is_some());
        let leaks: BTreeSet<_> = leaks.map(|(name, _)| name).collect();
        println!("{target:<42} {level:<5} {count:>5} records, leaks {leaks:?}");
        if !leaks.is_empty() {
            leaking.push((target, level));
        }
    }
    assert!(!records.is_empty(), "nothing is recorded");
    assert!(records.iter().all(|(target, ..)| !target.starts_with("proofkey")), "these crates log");
    assert!(leaking.iter().all(|leak| KNOWN.contains(leak)), "{leaking:?}");
}

/// Runs every operation, and gives every secret that went either way.
fn operations(driver: &Driver, server: &Server) -> Vec<(String, String)> {
    fn run<X: Exchange<Output: Send> + Send + 'static>(driver: &Driver, exchange: X) {
        driver.run(exchange).ok();
    }
    let client = client(&server.origin());
    let tokens: Tokens = serde_json::from_value(json!({
        "access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer", "token_endpoint": client.server().token_endpoint,
    }))
    .unwrap();
    let mut states = Vec::new();
    let mut exchange = |client: &Client| {
        let (url, pending) = proofkey::blocking::Transport::new().unwrap().start(client.authorize()).unwrap();
        assert!(url.query().is_some_and(|query| query.contains(pending.state())));
        states.push(("state".to_owned(), pending.state().to_owned()));
        let callback = Callback::parse(&format!("code={CODE}&state={}", pending.state())).unwrap();
        client.exchange(pending.accept(callback).unwrap())
    };
    run(driver, exchange(&client));
    run(driver, client.refresh(&tokens).unwrap());
    run(driver, client.credentials());
    run(driver, client.call(&tokens, Request::post(format!("{}/photos", server.origin())).body(BODY).unwrap()));
    run(driver, client.revoke(&tokens).unwrap());
    run(driver, client.introspect(tokens.access_token()));
    run(driver, client.authorize().push());
    run(driver, proofkey::Discovery::new(server.origin()));
    // What goes wrong is told, too.
    let reset = Server::resetting(b"HTTP/1.1 200 OK\r\nContent-", std::time::Duration::ZERO);
    run(driver, exchange(&self::client(&reset.origin())));
    run(driver, exchange(&self::client("http://127.0.0.1:1")));

    let requests: Vec<_> = [server.requests(), reset.requests()].concat();
    let sent = String::from_utf8_lossy(&requests.concat()).into_owned();
    let verifiers = sent.split("code_verifier=").skip(1).map(|rest| ("verifier".to_owned(), rest[..43].to_owned()));
    assert!(sent.contains(ACCESS) || driver.to_string().contains("HTTP/2"), "the canaries were sent");
    let known = [
        ("client secret", SECRET),
        ("code", CODE),
        ("access token", ACCESS),
        ("refresh token", REFRESH),
        ("new access token", "canary-4-new-access"),
        ("new refresh token", "canary-5-new-refresh"),
        ("id token", "canary-6-id"),
        ("body", BODY),
    ];
    let known = known.map(|(name, secret)| (name.to_owned(), secret.to_owned()));
    verifiers.chain(known).chain(states).collect()
}

fn client(origin: &str) -> Client {
    let mut server = proofkey::Server::new(format!("{origin}/authorize"), format!("{origin}/token"));
    server.revocation_endpoint = Some(format!("{origin}/revoke"));
    server.introspection_endpoint = Some(format!("{origin}/introspect"));
    server.pushed_authorization_request_endpoint = Some(format!("{origin}/par"));
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri("https://client.example.com/cb");
    builder.authentication(Authentication::basic(SECRET)).build().unwrap()
}

/// Takes down everything, through `log` and through `tracing`.
struct Recorder;

static RECORDS: Mutex<Vec<(String, &'static str, String)>> = Mutex::new(Vec::new());

fn record(target: &str, level: &'static str, text: String) {
    RECORDS.lock().unwrap().push((target.to_owned(), level, text));
}

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, said: &log::Record<'_>) {
        record(said.target(), said.level().as_str(), said.args().to_string());
    }

    fn flush(&self) {}
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut text = Text(span.metadata().name().to_owned());
        span.record(&mut text);
        record(span.metadata().target(), span.metadata().level().as_str(), text.0);
        span::Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut text = Text(String::new());
        values.record(&mut text);
        record("a span", "TRACE", text.0);
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        record(event.metadata().target(), event.metadata().level().as_str(), text.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of a span or an event.
struct Text(String);

impl field::Visit for Text {
    fn record_debug(&mut self, field: &field::Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

/// Who says too much, and at which level: ureq writes down each byte that it sends and gets.
const KNOWN: [(&str, &str); 1] = [("ureq_proto::util", "TRACE")];

const SECRET: &str = "canary-0 client+secret";
const CODE: &str = "canary-1-code/+";
const ACCESS: &str = "canary-2-access";
const REFRESH: &str = "canary-3-refresh";
const BODY: &str = "canary-7-body";
const COOKIE: &str = "canary-8-cookie";
const ANSWER: &str = r#"{"access_token":"canary-4-new-access","token_type":"Bearer","refresh_token":"canary-5-new-refresh",
    "id_token":"canary-6-id","active":true,"request_uri":"urn:x","expires_in":3600}"#;
