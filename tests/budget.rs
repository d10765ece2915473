//! What a login costs is held to a budget: its allocations, which are the same in every run. (Reallocations count as
//! allocations here.) The instructions have theirs in `benches/src/budget.rs`; times are never asserted.

#![allow(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use proofkey_core::rand_core::CryptoRng;
use proofkey_core::{
    Authentication, Callback, Client, CodeExchange, CodeGrant, Exchange, Pending, Server, Step, Tokens,
};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, response};

/// Each step's allocations. What is within a twentieth of these is no reason to fail: in a single step, that is none.
/// (A debug build of `url` parses the URL again, to compare.)
const BEGIN: u64 = 5 + cfg!(debug_assertions) as u64;
const CALLBACK: u64 = 2;
const TOKEN_REQUEST: u64 = 3;
const TOKEN_RESPONSE: u64 = 2;
const LOGIN: u64 = 12 + cfg!(debug_assertions) as u64;
/// A request with the token on it, when it is not the first.
const CALL: u64 = 2;

#[test]
fn a_login_keeps_to_its_budget() {
    let client = client();
    let mut rng = Octets::new([7; 128]);
    // The first prepares what all others share.
    log_in(&client, &mut rng);

    let (pending, begun) = counted(|| begin(&client, &mut rng));
    let query = query(&pending);
    let (grant, returned) = counted(|| pending.accept(Callback::parse(&query).unwrap()).unwrap());
    let (exchange, sent) = counted(|| send(&client, grant, &mut rng));
    let answer = answer();
    let (tokens, received) = counted(|| receive(exchange, answer));
    hold("begin", begun, BEGIN);
    hold("callback", returned, CALLBACK);
    hold("token request", sent, TOKEN_REQUEST);
    hold("token response", received, TOKEN_RESPONSE);
    hold("login", begun + returned + sent + received, LOGIN);

    let call = || {
        let mut request = http::Request::new(());
        *request.uri_mut() = http::Uri::from_static("https://api.example.com/photos");
        tokens.authorize(&mut request).unwrap();
    };
    call();
    hold("call", counted(call).1, CALL);
}

fn log_in(client: &Client, rng: &mut dyn CryptoRng) -> Tokens {
    let pending = begin(client, rng);
    let callback = Callback::parse(&query(&pending)).unwrap();
    receive(send(client, pending.accept(callback).unwrap(), rng), answer())
}

/// What the members of an answer cost that nobody knows: one buffer, however many there are.
#[test]
fn unknown_members_cost_no_allocation_each() {
    let received = |count: usize| {
        let client = client();
        let mut rng = Octets::new([7; 128]);
        let pending = begin(&client, &mut rng);
        let callback = Callback::parse(&query(&pending)).unwrap();
        let exchange = send(&client, pending.accept(callback).unwrap(), &mut rng);
        let members: String =
            (0..count).flat_map(|index| [r#","member_"#, &index.to_string(), r#"":0"#].map(str::to_owned)).collect();
        let body = format!(r#"{{"access_token":"a","token_type":"Bearer"{members}}}"#);
        counted(|| receive(exchange, response(200, &[], body))).1
    };
    let (few, many) = (received(100), received(10_000));
    // It doubles.
    assert!(many <= few + 8, "100 members: {few}, 10,000: {many}");
}

/// An answer that is more than its tokens is not kept with them.
#[test]
fn tokens_keep_little_but_themselves() {
    let client = client();
    let mut rng = Octets::new([7; 128]);
    for (before, room) in [(" ".repeat(100_000), 0), (String::new(), 100_000)] {
        let pending = begin(&client, &mut rng);
        let callback = Callback::parse(&query(&pending)).unwrap();
        let exchange = send(&client, pending.accept(callback).unwrap(), &mut rng);
        let mut answer = answer();
        let mut body = (before + std::str::from_utf8(answer.body()).unwrap()).into_bytes();
        body.reserve_exact(room);
        *answer.body_mut() = body;
        let mut tokens = None;
        let counted = allocation_counter::measure(|| tokens = Some(receive(exchange, answer)));
        assert!(counted.bytes_current < -90_000, "{} bytes are kept", 100_000 + counted.bytes_current);
        drop(tokens);
    }
}

fn client() -> Client {
    let mut server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    server.issuer = Some("https://as.example.com".to_owned());
    let secret = Authentication::basic("7Fjfp0ZBr1KtDRbnfVdmIw");
    Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).authentication(secret).build().unwrap()
}

fn begin(client: &Client, rng: &mut dyn CryptoRng) -> Pending {
    client.authorize().scope(["openid", "profile", "photos"]).redirect(NOW, rng).unwrap().1
}

fn query(pending: &Pending) -> String {
    format!("code={CODE}&state={}&iss=https%3A%2F%2Fas.example.com", pending.state())
}

fn send(client: &Client, grant: CodeGrant, rng: &mut dyn CryptoRng) -> CodeExchange {
    let mut exchange = client.exchange(grant);
    exchange.next_request(NOW, rng).unwrap();
    exchange
}

fn receive(mut exchange: CodeExchange, answer: http::Response<Vec<u8>>) -> Tokens {
    match exchange.handle_response(answer) {
        Ok(Step::Done(tokens)) => tokens,
        other => panic!("{other:?}"),
    }
}

fn answer() -> http::Response<Vec<u8>> {
    let (access_token, id_token) = ("a".repeat(888), "i".repeat(1300));
    let body = format!(
        r#"{{"access_token":"{access_token}","token_type":"Bearer","expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"openid profile photos","id_token":"{id_token}"}}"#
    );
    response(200, &[("content-type", "application/json")], body)
}

/// What comes of it, and the allocations that it took.
fn counted<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(run()));
    (result.expect("it ran"), counted.count_total)
}

fn hold(step: &str, taken: u64, budget: u64) {
    assert!(taken * 20 <= budget * 21, "{step}: {taken} allocations, and the budget is {budget}");
}
