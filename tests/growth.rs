//! What input costs: memory within a bound that its sender cannot move, and no more than twice as much for twice the input.
//!
//! Counted in allocated bytes and allocations, which are the same on every machine. A loop that does not allocate would
//! not show in those; it is caught by a deadline that a quadratic one cannot meet.

use std::time::{Duration, Instant};

use allocation_counter::{AllocationInfo, measure};
use http::header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use proofkey_core::{
    Authentication, Callback, Challenge, Client, Discovery, Exchange, MAX_BODY, MAX_CALLBACK, Quirks,
    ResourceDiscovery, Secret, Session, Step, Tokens,
};

mod support;

use support::{NOW, Octets, REDIRECT_URI, grant, server};

const ISSUER: &str = "https://as.example.com";

/// Four times the longest body, the body itself among it, and a mebibyte.
const MOST: u64 = 4 * MAX_BODY as u64 + 1024 * 1024;

fn client() -> Client {
    let mut server = server();
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    server.pushed_authorization_request_endpoint = Some("https://as.example.com/par".to_owned());
    let quirks = Quirks::none().token_response_form_encoded();
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).quirks(quirks);
    builder.authentication(Authentication::post("7Fjfp0ZBr1KtDRbnfVdmIw")).build().expect("a client")
}

/// A body of so many bytes: how it begins, what is repeated, how it ends. A `#` is a number, another each time.
struct Body(&'static str, &'static str, &'static str, &'static str);

const BODIES: [Body; 22] = [
    Body("deep arrays at a stranger's", r#"{"access_token":"a","token_type":"Bearer","x":"#, "[", ""),
    Body("deep objects at a stranger's", r#"{"access_token":"a","token_type":"Bearer","x":"#, r#"{"a":"#, ""),
    Body("deep arrays at our own", r#"{"access_token":"#, "[", ""),
    Body("many members", r#"{"access_token":"a","token_type":"Bearer","active":true"#, r##","#":0"##, "}"),
    Body("many empty names", r#"{"access_token":"a","token_type":"Bearer","active":true"#, r#","":0"#, "}"),
    Body("many escaped names", r#"{"access_token":"a","token_type":"Bearer","active":true"#, r#","\u0000":0"#, "}"),
    Body("one member many times", r#"{"access_token":"a","token_type":"Bearer""#, r#","scope":"a""#, "}"),
    Body("many numbers", r#"{"access_token":"a","token_type":"Bearer","active":true,"x":[0"#, ",0", "]}"),
    Body("many empty arrays", r#"{"access_token":"a","token_type":"Bearer","active":true,"x":[[]"#, ",[]", "]}"),
    Body("many empty objects", r#"{"access_token":"a","token_type":"Bearer","active":true,"x":[{}"#, ",{}", "]}"),
    Body(
        "many scope tokens",
        r#"{"access_token":"a","token_type":"Bearer","active":true,"scope":["a""#,
        r#","a""#,
        "]}",
    ),
    Body("a long scope", r#"{"access_token":"a","token_type":"Bearer","active":true,"scope":"a"#, " a", "\"}"),
    Body("a long token", r#"{"token_type":"Bearer","active":true,"access_token":"a"#, "a", "\"}"),
    Body("a long number", r#"{"access_token":"a","token_type":"Bearer","expires_in":1"#, "0", "}"),
    Body("escapes", r#"{"access_token":"a","token_type":"Bearer","active":true,"id_token":"a"#, r"\u0041", "\"}"),
    Body("white space", r#"{"access_token":"a","token_type":"Bearer","active":true"#, " \n", "}"),
    Body("a long description", r#"{"error":"x","error_description":"a"#, "%61", "\"}"),
    Body("a long code", r#"{"error":"a"#, "a", "\"}"),
    Body("a form", "access_token=a&token_type=Bearer", "&#=0", ""),
    Body("a form of signs", "access_token=a&token_type=Bearer&x=", "\u{1}", ""),
    Body(
        "metadata of many members",
        r#"{"resource":"https://as.example.com","authorization_servers":["https://as.example.com"],"issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token""#,
        r##","#":0"##,
        "}",
    ),
    Body(
        "metadata of many values",
        r#"{"resource":"https://as.example.com","authorization_servers":["https://as.example.com"],"issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token","scopes_supported":["a""#,
        r#","a""#,
        r#"],"x":[0]}"#,
    ),
];

impl Body {
    fn of(&self, bytes: usize) -> Vec<u8> {
        let Self(_, begin, middle, end) = self;
        let mut body = Vec::with_capacity(bytes);
        body.extend_from_slice(begin.as_bytes());
        let mut number = 0;
        while body.len() + end.len() + middle.len() + 8 <= bytes {
            match middle.split_once('#') {
                Some((before, after)) => body.extend_from_slice(format!("{before}{number}{after}").as_bytes()),
                None => body.extend_from_slice(middle.as_bytes()),
            }
            number += 1;
        }
        body.extend_from_slice(end.as_bytes());
        body
    }
}

/// Every operation that reads a body: its name, its success, and how it is run to its end. What it gave is stored too.
type Operation = (&'static str, StatusCode, fn(StatusCode, Vec<u8>));
const OPERATIONS: [Operation; 5] = [
    ("tokens", StatusCode::OK, |status, body| {
        let mut exchange = client().exchange(grant(&client()));
        if let Some(tokens) = answer(&mut exchange, status, body) {
            serde_json::to_writer(std::io::sink(), &tokens).expect("tokens can be stored");
        }
    }),
    ("introspection", StatusCode::OK, |status, body| {
        drop(answer(&mut client().introspect(&Secret::new("a")), status, body));
    }),
    ("push", StatusCode::CREATED, |status, body| drop(answer(&mut client().authorize().push(), status, body))),
    ("discovery", StatusCode::OK, |status, body| drop(answer(&mut Discovery::new(ISSUER), status, body))),
    ("resource discovery", StatusCode::OK, |status, body| {
        drop(answer(&mut ResourceDiscovery::new(ISSUER), status, body));
    }),
];

fn answer<X: Exchange>(exchange: &mut X, status: StatusCode, body: Vec<u8>) -> Option<X::Output> {
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    let mut response = Response::new(body);
    *response.status_mut() = status;
    match exchange.handle_response(response) {
        Ok(Step::Done(output)) => Some(output),
        _ => None,
    }
}

/// What a size of input costs.
fn cost(input: impl FnOnce()) -> AllocationInfo {
    let began = Instant::now();
    let cost = measure(input);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    cost
}

/// Twice the input costs at most twice as much, and a little.
fn assert_linear(what: &str, half: &AllocationInfo, whole: &AllocationInfo) {
    for (unit, half, whole, little) in [
        ("bytes", half.bytes_total, whole.bytes_total, 256 * 1024),
        ("allocations", half.count_total, whole.count_total, 200),
    ] {
        assert!(whole <= half * 5 / 2 + little, "{what}: {half} {unit} become {whole}");
    }
    assert!(whole.bytes_max <= MOST, "{what}: {} bytes at once", whole.bytes_max);
}

#[test]
fn a_body_costs_what_its_length_says() {
    for body in &BODIES {
        let [half, whole] = [MAX_BODY / 2, MAX_BODY].map(|bytes| body.of(bytes));
        for (operation, success, run) in OPERATIONS {
            for status in [success, StatusCode::BAD_REQUEST] {
                let [half, whole] = [&half, &whole].map(|body| cost(|| run(status, body.clone())));
                assert_linear(&format!("{operation}: {status}, {}", body.0), &half, &whole);
            }
        }
    }
}

/// What is too long is not looked at.
#[test]
fn a_body_beyond_the_limit_costs_nothing_more() {
    for (operation, success, run) in OPERATIONS {
        for status in [success, StatusCode::BAD_REQUEST] {
            let body = vec![b'['; 16 * MAX_BODY];
            let spent = cost(|| run(status, body));
            assert!(spent.bytes_total < 64 * 1024, "{operation}: {status}, {spent:?}");
        }
    }
}

/// Values are counted whatever the answer is for: the last that is read, and the first that is not.
#[test]
fn values_are_counted() {
    for (count, is_read) in [(16 * 1024 - 3, true), (16 * 1024 - 2, false)] {
        let body = format!(r#"{{"access_token":"a","token_type":"Bearer","x":[0{}]}}"#, ",0".repeat(count - 1));
        let error = support::answered(&client(), 200, &[], body).err().map(|error| error.to_string());
        let expected = (!is_read).then(|| "the server's answer has more values than any answer needs".to_owned());
        assert_eq!(error, expected, "{count}");
    }
    let refused = format!(r#"{{"error":"x","x":[{}]}}"#, "[],".repeat(16 * 1024));
    let error = support::answered(&client(), 400, &[], refused).expect_err("a refusal").to_string();
    assert_eq!(error, "the server answered HTTP 400 without an error code");
}

/// Tokens may be kept for months: they hold what is theirs, not the room that an answer took.
#[test]
fn tokens_keep_no_more_than_they_have() {
    let mut body = br#"{"access_token":"a","token_type":"Bearer","other":1}"#.to_vec();
    body.resize(MAX_BODY, b' ');
    let mut kept = None;
    let spent = cost(|| kept = support::answered(&client(), 200, &[], body).ok());
    // The body was there before.
    let left = spent.bytes_current + i64::try_from(MAX_BODY).expect("a mebibyte");
    assert!(kept.is_some() && left < 4096, "{left} bytes stay");
}

#[test]
fn a_refusal_is_read_up_to_its_limit() {
    for (bytes, said) in [
        (MAX_BODY, "the server refused: x (HTTP 400)"),
        (MAX_BODY + 1, "the server answered HTTP 400 without an error code"),
    ] {
        let mut body = br#"{"error":"x"}"#.to_vec();
        body.resize(bytes, b' ');
        let error = support::answered(&client(), 400, &[], body).expect_err("a refusal");
        assert_eq!(error.to_string(), said, "{bytes}");
    }
}

#[test]
fn a_form_is_read_up_to_its_limit() {
    for (bytes, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let mut body = b"access_token=a&token_type=Bearer&x=".to_vec();
        body.resize(bytes, b'x');
        let error = support::answered(&client(), 200, &[], body).err().map(|error| error.to_string());
        assert_eq!(error, (!is_read).then(|| "the server's answer is not a JSON object".to_owned()), "{bytes}");
    }
}

const CALLBACKS: [(&str, &str); 8] = [
    ("parameters without a name", "&"),
    ("parameters without a value", "&a"),
    ("parameters", "&a=b"),
    ("a repeated one", "&code=a"),
    ("escapes", "%41"),
    ("halves of escapes", "%"),
    ("signs", "+"),
    ("places", "/a?b#c"),
];

#[test]
fn a_callback_costs_what_its_length_says() {
    for (what, repeated) in CALLBACKS {
        for begin in
            ["code=a&state=b&x=", "https://client.example.com/cb?code=a&state=b&x=", "error=a&error_description="]
        {
            let run = |length: usize| {
                let input = format!("{begin}{}", repeated.repeat((length - begin.len()) / repeated.len()));
                cost(|| {
                    let (_, pending) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).expect("a URL");
                    drop(Callback::parse(&input).map(|callback| pending.accept(callback)));
                })
            };
            let [half, whole] = [MAX_CALLBACK / 2, MAX_CALLBACK].map(run);
            assert_linear(&format!("{what} behind {begin}"), &half, &whole);
            let long = run(16 * MAX_BODY);
            assert!(long.bytes_total < 64 * 1024, "{what} for ever: {long:?}");
        }
    }
}

const CHALLENGES: [&str; 19] = [
    "a,",
    "a b=c,",
    "Bearer a=b, ",
    "Bearer ",
    ",",
    " ",
    "a=",
    "a=b,",
    "\"",
    "Bearer a=\"\\\"\",",
    "a =\t\"\" ,",
    "a/=, ",
    "Bearer, ",
    "a=b, ",
    "a = b ,",
    "=",
    "ab/",
    "\\\\",
    "\\\"",
];

#[test]
fn challenges_cost_what_their_length_says() {
    for repeated in CHALLENGES {
        for begin in ["", "Bearer ", "Bearer a=\"", "Bearer a=b,"] {
            let run = |bytes: usize| {
                let value = format!("{begin}{}", repeated.repeat(bytes / repeated.len()));
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                response.headers_mut().insert(WWW_AUTHENTICATE, value.parse().expect("a value"));
                cost(|| drop((Session::is_rejection(&response), Challenge::all(response.headers()))))
            };
            let [half, whole] = [30 * 1024, 60 * 1024].map(run);
            assert_linear(&format!("{begin}{repeated}"), &half, &whole);
            let long = run(MAX_BODY);
            assert!(long.bytes_total < 1024, "{repeated} for ever: {long:?}");
        }
    }
}

/// As many headers as a map holds, of the names that are read among them.
#[test]
fn headers_cost_nothing_by_their_number() {
    let run = |count: usize| {
        let mut headers = HeaderMap::new();
        for number in 0..count / 2 {
            let name: HeaderName = format!("x-{number}").parse().expect("a name");
            headers.append(name, HeaderValue::from_static("x"));
            headers.append(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT"));
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=invalid_token"));
        }
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        *response.headers_mut() = headers;
        cost(|| {
            let mut exchange = client().exchange(grant(&client()));
            let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
            assert!(!Session::is_rejection(&response));
            drop(Challenge::all(response.headers()));
            drop(exchange.handle_response(response));
        })
    };
    let [half, whole] = [8_000, 16_000].map(run);
    assert_linear("headers", &half, &whole);
}

/// A store may hand back anything; what is kept of it is counted like an answer's.
#[test]
fn a_record_costs_what_its_length_says() {
    for body in &BODIES {
        let run = |bytes: usize| {
            let body = body.of(bytes);
            cost(|| drop(serde_json::from_slice::<Tokens>(&body).map(|tokens| serde_json::to_vec(&tokens))))
        };
        let [half, whole] = [128 * 1024, 256 * 1024].map(run);
        for (unit, half, whole) in
            [("bytes", half.bytes_total, whole.bytes_total), ("allocations", half.count_total, whole.count_total)]
        {
            assert!(whole <= half * 5 / 2 + 64 * 1024, "{}: {half} {unit} become {whole}", body.0);
        }
    }
}
