//! A server that answers whatever it likes, for ever: every exchange ends, nothing panics, and no secret is printed.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use proofkey_core::{
    Authentication, Authorization, BearerChallenge, Body, Callback, CallbackError, Challenge, Client, ClientBuilder,
    CodeExchange, CodeGrant, Completion, Credentials, CryptoRng, DeviceAuthorization, DevicePending, Discovery, Error,
    ErrorCode, Exchange, Extra, Introspection, MAX_BODY, Miss, Next, Pending, Polling, ProtectedResource, Provider,
    Push, Quirks, Refresh, Remedy, ResourceCall, ResourceDiscovery, Revocation, Scope, Secret, Server, ServerError,
    Session, Step, Ticket, TokenState, TokenType, Tokens, UnixTime, Usage, Verifier, Violation,
};

use serde_json::json;

mod support;

use support::{NOW, Octets, REDIRECT_URI, client, damaged, forms, grant, leak, leaked, response, server};

/// Any exchange, whatever it is for.
struct Blind<X>(X);

impl<X: Exchange> Exchange for Blind<X> {
    type Output = ();

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.0.next_request(now, rng)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<()>, Error> {
        Ok(match self.0.handle_response(response)? {
            Step::Again { after } => Step::Again { after },
            Step::Done(_) => Step::Done(()),
        })
    }
}

/// An exchange that polls would wait first, and through whatever holds it.
#[test]
fn a_delay_is_told_through_a_box_and_a_borrow() {
    struct Waits;
    impl Exchange for Waits {
        type Output = ();

        fn initial_delay(&self) -> Duration {
            Duration::from_secs(5)
        }

        fn next_request(&mut self, _: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
            Err(Usage::OutOfTurn.into())
        }

        fn handle_response(&mut self, _: Response<Vec<u8>>) -> Result<Step<()>, Error> {
            Err(Usage::OutOfTurn.into())
        }
    }
    fn delay(exchange: &impl Exchange) -> u64 {
        exchange.initial_delay().as_secs()
    }
    let boxed: Box<dyn Exchange<Output = ()>> = Box::new(Waits);
    assert_eq!((delay(&boxed), delay(&&mut Waits), delay(&everything().credentials())), (5, 5, 0));
}

#[test]
fn bodies_are_handed_over_and_secrets_have_one_word() {
    for body in [Body::from("abc"), Body::from("abc".to_owned()), Body::from(b"abc".to_vec())] {
        assert_eq!((format!("{body:?}").as_str(), Vec::from(body).as_slice()), ("Body(3 bytes)", &b"abc"[..]));
    }
    assert!(Vec::from(Body::from(())).is_empty());
    let secret = Secret::new(CLIENT_SECRET);
    assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    assert_eq!(format!("{:?} {:?}", tokens().extra(), ErrorCode::INVALID_GRANT), "Extra(1 members) invalid_grant");
}

fn blind<X: Exchange + 'static>(exchange: X) -> Box<dyn Exchange<Output = ()>> {
    Box::new(Blind(exchange))
}

/// Every operation there is: its name, the requests it may make at most, and how it begins.
type Operation = (&'static str, usize, fn(&Client) -> Box<dyn Exchange<Output = ()>>);
const OPERATIONS: &[Operation] = &[
    ("code exchange", 1, |client| blind(exchange(client))),
    ("refresh", 1, |client| blind(client.refresh(&tokens()).expect("a refresh"))),
    ("credentials", 1, |client| blind(client.credentials().scope(["photos"]))),
    ("call", 1, |client| blind(client.call(&tokens(), resource()))),
    ("revocation", 2, |client| blind(client.revoke(&tokens()).expect("a revocation"))),
    ("introspection", 1, |client| blind(client.introspect(&Secret::new(INTROSPECTED)))),
    ("device authorization", 1, |client| blind(client.device().scope(["photos"]))),
    // Half an hour, every five seconds.
    ("polling", 360, |client| blind(client.poll(device_pending()))),
    ("push", 1, |client| blind(client.authorize().scope(["photos"]).push())),
    ("discovery", 3, |_| blind(Discovery::new("https://as.example.com/tenant"))),
    ("resource discovery", 1, |_| blind(ResourceDiscovery::new("https://api.example.com/photos"))),
];

/// A client with a secret, at a server with every endpoint.
fn everything() -> Client {
    everything_by(Authentication::post(CLIENT_SECRET))
}

fn everything_by(authentication: Authentication) -> Client {
    let mut server = server();
    server.revocation_endpoint = Some("https://as.example.com/revoke".to_owned());
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    server.pushed_authorization_request_endpoint = Some("https://as.example.com/par".to_owned());
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
    builder.authentication(authentication).build().expect("a client")
}

/// A login of its, without a browser.
fn device_pending() -> DevicePending {
    support::outcome(everything().device().scope(["photos"]), 200, &[], device_answer()).expect("a login")
}

fn device_answer() -> String {
    format!(
        r#"{{"device_code":"{DEVICE_CODE}","user_code":"{USER_CODE}","verification_uri":"https://as.example.com/device",
            "verification_uri_complete":"https://as.example.com/device?user_code={USER_CODE}","expires_in":1800}}"#
    )
}

/// Its tokens, with whatever they may have.
fn tokens() -> Tokens {
    let stored = format!(
        r#"{{"v":1,"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","issued_at":{now},"expires_at":{now},
            "refresh_token":"{REFRESH_TOKEN}","id_token":"{ID_TOKEN}","scope":"photos","client_id":"s6BhdRkqt3",
            "token_endpoint":"https://as.example.com/token","extra":{{"member":"{MEMBER}"}}}}"#,
        now = NOW.as_secs()
    );
    serde_json::from_str(&stored).expect("tokens")
}

/// A request of the application's, with what is its own secret.
fn resource() -> Request<String> {
    let mut request = Request::post("https://api.example.com/photos").body(BODY.to_owned()).expect("a request");
    let mut own = HeaderValue::from_static(HEADER);
    own.set_sensitive(true);
    request.headers_mut().insert("x-own", own);
    request
}

/// What the server answers, each for ever.
fn answers() -> Vec<(&'static str, Response<Vec<u8>>)> {
    let nonce = [("dpop-nonce", "eyJ7S_zG.eyJH0-Z.HX4w-7v"), ("content-type", "application/json")];
    let challenge = [("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "x")];
    let token = r#"{"access_token":"a","token_type":"Bearer","x":"#;
    let many: Vec<_> = (0..60_000).map(|number| format!(r#","m{number}":{number}"#)).collect();
    vec![
        ("404", response(404, &[("content-type", "text/html")], "<html>not here</html>")),
        ("300", response(300, &[], "")),
        ("301", response(301, &[("location", "/token")], "")),
        ("302", response(302, &[("location", "https://as.example.com/token")], "")),
        ("303", response(303, &[("location", "https://as.example.com/token")], "")),
        ("304", response(304, &[], "")),
        ("307", response(307, &[("location", "https://evil.example/token")], "")),
        ("308", response(308, &[("location", "https://evil.example/token")], "")),
        ("500", response(500, &[], "<html>")),
        ("503 now", response(503, &[("retry-after", "0")], "")),
        ("503 some day", response(503, &[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], "")),
        ("429", response(429, &[("retry-after", "1")], r#"{"error":"slow_down"}"#)),
        ("a huge success", response(200, &[], vec![b' '; MAX_BODY + 1])),
        ("a huge refusal", response(400, &[], vec![b'{'; MAX_BODY + 1])),
        (
            "deep at a stranger's",
            response(200, &[], format!("{token}{}{}}}", "[".repeat(100_000), "]".repeat(100_000))),
        ),
        ("deep and open", response(200, &[], format!("{token}{}", "[{\"a\":".repeat(100_000)))),
        ("deep at our own", response(200, &[], format!(r#"{{"access_token":{}}}"#, "[".repeat(100_000)))),
        ("many members", response(200, &[], format!("{token}1{}}}", many.concat()))),
        ("use_dpop_nonce", response(400, &nonce, r#"{"error":"use_dpop_nonce"}"#)),
        ("use_dpop_nonce in a challenge", response(401, &challenge, "")),
        ("slow_down", response(400, &[], r#"{"error":"slow_down","interval":0}"#)),
        ("authorization_pending", response(400, &[], r#"{"error":"authorization_pending"}"#)),
        ("garbage", response(200, &[], (0..=255).collect::<Vec<u8>>())),
        ("garbage in a refusal", response(400, &[], (0..=255).rev().collect::<Vec<u8>>())),
        ("an empty object", response(200, &[], "{}")),
        ("an empty object, created", response(201, &[], "{}")),
        ("nothing", response(200, &[], "")),
        ("no content", response(204, &[], "")),
        ("early hints", response(103, &[], "")),
        ("no such status", response(999, &[], "")),
    ]
}

#[test]
fn every_exchange_ends() {
    for (operation, most, begin) in OPERATIONS {
        for (answer, response) in answers() {
            let mut exchange = begin(&everything());
            let (mut now, mut requests) = (NOW, 0);
            while exchange.next_request(now, &mut Octets::appendix_b()).is_ok() {
                requests += 1;
                assert!(requests <= *most, "{operation}: {answer} is answered by another request");
                match exchange.handle_response(response.clone()) {
                    Ok(Step::Again { after }) => now = now.saturating_add(after.max(Duration::from_secs(1))),
                    Ok(Step::Done(())) => break,
                    Err(error) => {
                        assert!(
                            !matches!(error, Error::Usage(_)),
                            "{operation}: {answer} is nobody's mistake here: {error}"
                        );
                        break;
                    }
                }
            }
            assert!(requests > 0, "{operation} never asked");
            assert_over(&mut *exchange, &format!("{operation}: {answer}"));
        }
    }
}

/// Whatever is asked of it, an exchange that is over says so.
fn assert_over(exchange: &mut dyn Exchange<Output = ()>, which: &str) {
    for _ in 0..3 {
        let asked = exchange.next_request(NOW, &mut Octets::appendix_b());
        assert!(matches!(asked, Err(Error::Usage(Usage::OutOfTurn))), "{which}: {asked:?}");
        let told = exchange.handle_response(response(200, &[], r#"{"access_token":"a","token_type":"Bearer"}"#));
        assert!(matches!(told, Err(Error::Usage(Usage::OutOfTurn))), "{which}");
    }
}

#[test]
fn out_of_turn_is_an_error_and_the_end() {
    let out_of_turn = "an exchange takes one answer for each request, and nothing after its end";
    for (operation, _, begin) in OPERATIONS {
        let mut answered_first = begin(&everything());
        let told = answered_first.handle_response(response(200, &[], "{}"));
        let error = told.err().unwrap();
        assert_eq!(
            (error.to_string().as_str(), error.remedy()),
            (out_of_turn, Remedy::FixConfiguration),
            "{operation}"
        );
        assert_over(&mut *answered_first, operation);

        let mut asked_twice = begin(&everything());
        assert!(asked_twice.next_request(NOW, &mut Octets::appendix_b()).is_ok());
        let again = asked_twice.next_request(NOW, &mut Octets::appendix_b());
        assert_eq!(again.unwrap_err().to_string(), out_of_turn, "{operation}");
        assert_over(&mut *asked_twice, operation);
    }
}

#[test]
fn damaged_input_is_an_error_and_never_a_panic() {
    let body =
        r#"{"access_token":"a","token_type":"Bearer","expires_in":3600.5,"scope":["b","c"],"x":{"\u00e9":[1e9]}}"#;
    let (mut good, mut bad) = (0, 0);
    for damaged in damaged(body, 4000) {
        for status in [200, 400, 503] {
            let answered = support::answered(&client(), status, &[], damaged.clone());
            *(if answered.is_ok() { &mut good } else { &mut bad }) += 1;
        }
    }
    assert!(good > 100 && bad > 1000, "{good} answers were tokens, {bad} were not");
    let (mut good, mut bad) = (0, 0);
    for damaged in
        damaged("https://client.example.com/cb?code=a%2Fb+c&state=%41&iss=https://as.example.com&error=#x", 4000)
    {
        let read = Callback::parse(&String::from_utf8_lossy(&damaged));
        *(if read.is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 100 && bad > 100, "{good} callbacks were read, {bad} were not");
    let (mut good, mut bad) = (0, 0);
    for damaged in damaged(r#"{"active":true,"scope":["a","b"],"exp":1.5e9,"sub":"\u00e9","x":[{}]}"#, 4000) {
        let mut exchange = everything().introspect(&Secret::new("a"));
        let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
        let read = exchange.handle_response(response(200, &[], damaged));
        *(if read.is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 100 && bad > 100, "{good} tokens were told of, {bad} were not");
    let (mut good, mut bad) = (0, 0);
    for damaged in
        damaged(r#"Basic realm="a \"b\", c", Bearer scope="d e", error=invalid_token, Negotiate ab+/=="#, 4000)
    {
        let Ok(value) = HeaderValue::from_bytes(&damaged) else { continue };
        let headers: HeaderMap = [(http::header::WWW_AUTHENTICATE, value)].into_iter().collect();
        let read = Challenge::bearer(&headers).is_some();
        assert!(Challenge::all(&headers).len() <= damaged.len() && (!read || !Challenge::all(&headers).is_empty()));
        *(if read { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 100 && bad > 100, "{good} challenges were read, {bad} were not");
}

/// A request of the application's may be as full as a header map can be.
#[test]
fn a_request_with_no_room_for_the_token_is_refused() {
    let mut request = resource();
    let mut number = 0;
    while request.headers_mut().try_insert(header(number), HeaderValue::from_static("x")).is_ok() {
        number += 1;
    }
    assert_eq!(
        tokens().authorize(&mut request).expect_err("no room").to_string(),
        "resource is asked for with too many headers"
    );
    let mut call = everything().call(&tokens(), request);
    let error = call.next_request(NOW, &mut Octets::appendix_b()).expect_err("no room");
    assert_eq!(error.remedy(), Remedy::FixConfiguration);
}

fn header(number: usize) -> HeaderName {
    format!("x-{number}").parse().expect("a name")
}

/// 64 KiB of challenges are read, and `growth.rs` counts what they cost. What is longer hides nothing that stands before it.
#[test]
fn challenges_are_read_up_to_their_limit() {
    let headers = |values: &[&str]| -> HeaderMap {
        let values = values.iter().map(|value| value.parse().expect("a value"));
        values.map(|value| (http::header::WWW_AUTHENTICATE, value)).collect()
    };
    let short = "Bearer error=invalid_token";
    for (length, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let whole = short.to_owned() + &",".repeat(length - short.len());
        assert_eq!(Challenge::bearer(&headers(&[&whole])).is_some(), is_read, "{length}");
        let rest = ",".repeat(length - short.len());
        assert_eq!(Challenge::all(&headers(&[short, &rest, "Basic"])).len(), 1, "{length}");
        assert_eq!(Challenge::bearer(&headers(&[&rest, short])).is_some(), is_read, "{length}");
    }
}

// What must not be printed. Each has characters that encodings change.
const CODE: &str = "Canary/code+of~the=login";
const CLIENT_SECRET: &str = "Canary secret/of+the=client";
const ACCESS_TOKEN: &str = "Canary.access/token+1==";
const REFRESH_TOKEN: &str = "Canary.refresh/token+2==";
const ID_TOKEN: &str = "eyJDYW5hcnk.Canary-id.token_3";
const MEMBER: &str = "Canary member/that+nobody=knows";
const INTROSPECTED: &str = "Canary.introspected/token+4==";
const DEVICE_CODE: &str = "Canary.device/code+5==";
const USER_CODE: &str = "CANARY-USER-CODE";
const HEADER: &str = "Canary header/of+the=application";
const BODY: &str = "Canary body/of+the=application";
/// The verifier and the state: base64url of these octets, each of which is another.
const OCTETS: fn() -> Octets = || Octets::new((100..164).collect::<Vec<u8>>());
const VERIFIER: &str = "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoM";
const STATE: &str = "hIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqM";
const SECRETS: [&str; 13] = [
    CODE,
    CLIENT_SECRET,
    ACCESS_TOKEN,
    REFRESH_TOKEN,
    ID_TOKEN,
    MEMBER,
    INTROSPECTED,
    DEVICE_CODE,
    USER_CODE,
    HEADER,
    BODY,
    VERIFIER,
    STATE,
];

/// The client with a secret, in the header or in the body.
fn confidential(authentication: Authentication) -> Client {
    let builder = Client::builder(server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
    builder.authentication(authentication).build().expect("a client")
}

fn returning(client: &Client) -> (Pending, Callback) {
    let (_, pending) = client.authorize().scope(["photos"]).redirect(NOW, &mut OCTETS()).expect("a URL");
    let code: String = url::form_urlencoded::byte_serialize(CODE.as_bytes()).collect();
    let callback = Callback::parse(&format!("{REDIRECT_URI}?code={code}&state={STATE}")).expect("a callback");
    (pending, callback)
}

fn exchange(client: &Client) -> CodeExchange {
    let (pending, callback) = returning(client);
    client.exchange(pending.accept(callback).expect("a grant"))
}

fn assert_silent(what: &str, printed: &str) {
    // Written once: this is asked of thousands of texts.
    static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| SECRETS.into_iter().flat_map(forms).collect());
    if let Some(form) = leaked(printed, &FORMS) {
        panic!("{what} prints {form:?}:\n{printed}");
    }
}

fn debugged(value: &impl Debug) -> String {
    assert!(!format!("{value:?}").is_empty(), "what says nothing of itself helps nobody");
    format!("{value:?}\n{value:#?}\n{:?}\n{:#?}", Some(value), [value])
}

/// The search below would find each secret in each form.
#[test]
fn a_leak_would_be_seen() {
    assert_eq!((exchange(&client()), returning(&client()).0.state().to_owned()).1, STATE);
    for secret in SECRETS {
        for form in forms(secret).into_iter().chain([secret.to_owned()]) {
            assert!(leak(&format!("x {form}y"), secret).is_some(), "{form}");
        }
        assert!(leak(&format!("{:#?}", secret.as_bytes()), secret).is_some());
        assert!(leak(&format!("{:?}", secret.as_bytes()), secret).is_some());
        for before in ["", "a", "ab"] {
            use base64::Engine as _;
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{before}{secret}:x"));
            assert!(leak(&encoded, secret).is_some(), "{encoded}");
        }
    }
    assert!(leak("nothing", CODE).is_none());
}

#[test]
fn no_value_prints_a_secret() {
    for authentication in [Authentication::basic(CLIENT_SECRET), Authentication::post(CLIENT_SECRET)] {
        assert_silent("Authentication", &debugged(&authentication));
        let builder = Client::builder(server(), "s6BhdRkqt3").authentication(authentication.clone());
        assert_silent("ClientBuilder", &debugged(&builder));
        let client = confidential(authentication);
        assert_silent("Client", &debugged(&client));
        let authorization = debugged(&client.authorize().scope(["photos"]).param("vendor", MEMBER));
        assert!(authorization.contains("vendor"), "{authorization}");
        assert_silent("Authorization", &authorization);
        let (pending, callback) = returning(&client);
        // The first login is kept, and what it asked for not shown.
        let kept = debugged(&client);
        assert!(kept.contains("Prepared") && !kept.contains("photos"), "{kept}");
        assert_silent("Pending", &debugged(&pending));
        assert_silent("Callback", &debugged(&callback));
        let grant: CodeGrant = pending.accept(callback).unwrap();
        assert_silent("CodeGrant", &debugged(&grant));

        let mut exchange = client.exchange(grant);
        assert_silent("CodeExchange, before", &debugged(&exchange));
        let request = exchange.next_request(NOW, &mut OCTETS()).unwrap();
        assert!(leak(str::from_utf8(request.body().as_ref()).unwrap(), CODE).is_some(), "the request holds the code");
        assert_silent("Request", &debugged(&request));
        let (head, body) = request.into_parts();
        assert_silent("its head", &debugged(&head));
        assert_silent("its body", &debugged(&body));
        assert_silent("CodeExchange, waiting", &debugged(&exchange));

        let body = format!(
            r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","refresh_token":"{REFRESH_TOKEN}",
                "id_token":"{ID_TOKEN}","scope":"photos","member":"{MEMBER}","{MEMBER}":1}}"#
        );
        let step = exchange.handle_response(response(200, &[], body)).unwrap();
        assert_silent("Step", &debugged(&step));
        assert_silent("CodeExchange, over", &debugged(&exchange));
        let Step::Done(tokens) = step else { panic!("one answer is enough") };
        assert_eq!(tokens.access_token().expose(), ACCESS_TOKEN);
        assert_silent("Tokens", &debugged(&tokens));
        assert_silent("Extra", &debugged(tokens.extra()));
        assert_silent("Secret", &format!("{}{}", debugged(tokens.access_token()), tokens.access_token()));
        assert_silent("Verifier", &debugged(&Verifier::new(VERIFIER).unwrap()));
    }
}

/// The same for all that comes after the login: whatever is answered, and where a server quotes what it was sent.
#[test]
fn no_operation_prints_a_secret() {
    let bodies = [
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","refresh_token":["{REFRESH_TOKEN}"]}}"#),
        format!(r#"{{"active":"{MEMBER}","access_token":["{ACCESS_TOKEN}"]}}"#),
        format!(r#"{{"active":true,"sub":["{MEMBER}"]}}"#),
        format!(r#"{{"active":false,"active":false,"{MEMBER}":1"#),
        format!(r#"{{"error":["{REFRESH_TOKEN}"]}}"#),
        format!("<h1>{MEMBER}</h1>"),
    ];
    for (operation, _, begin) in OPERATIONS.iter().skip(1) {
        for (status, body) in bodies.iter().flat_map(|body| [200, 400, 503].map(|status| (status, body))) {
            answer(operation, begin(&everything()), status, body);
        }
        let sent: &[&str] = match *operation {
            "refresh" => &[REFRESH_TOKEN, CLIENT_SECRET],
            "revocation" => &[REFRESH_TOKEN, ACCESS_TOKEN, CLIENT_SECRET],
            "introspection" => &[INTROSPECTED, CLIENT_SECRET],
            "polling" => &[DEVICE_CODE, CLIENT_SECRET],
            "push" => &[STATE, CLIENT_SECRET],
            _ => &[CLIENT_SECRET],
        };
        for secret in sent {
            answer(operation, begin(&everything()), 503, &format!(r#"{{"error":"{secret}"}}"#));
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for quoted in [*secret, &form, &form.replace('+', "%20")] {
                answer(operation, begin(&everything()), 400, &description(quoted));
                answer(operation, begin(&everything()), 200, &description(quoted));
            }
        }
    }
}

/// A server that shows what it was sent, as one that is being debugged does: whole or in part, in each place for words.
#[test]
fn no_operation_prints_what_a_server_mirrors() {
    for authentication in [Authentication::basic(CLIENT_SECRET), Authentication::post(CLIENT_SECRET)] {
        let client = everything_by(authentication);
        for (operation, _, begin) in OPERATIONS {
            let request = begin(&client).next_request(NOW, &mut OCTETS()).expect("a request");
            let body = str::from_utf8(request.body().as_ref()).expect("text").to_owned();
            let mut seen: Vec<String> =
                request.headers().values().map(|value| value.to_str().expect("ASCII").to_owned()).collect();
            seen.extend(body.split('&').map(str::to_owned));
            seen.extend(support::pairs(body.as_bytes()).into_iter().map(|(_, value)| value));
            seen.push(body);
            for (seen, status) in
                seen.iter().flat_map(|seen| [200, 201, 400, 401, 403, 503].map(|status| (seen, status)))
            {
                for (error, description) in [("x", &format!("It was {seen}.")), (seen, seen)] {
                    let uri = format!("https://as.example.com/?{seen}");
                    let mirror = json!({ "error": error, "error_description": description, "error_uri": uri });
                    answer(operation, begin(&client), status, &mirror.to_string());
                }
            }
        }
    }
}

/// Runs an exchange whose requests are all answered so, and looks at whatever can be printed of it.
fn answer(operation: &str, mut exchange: Box<dyn Exchange<Output = ()>>, status: u16, body: &str) {
    while let Ok(request) = exchange.next_request(NOW, &mut OCTETS()) {
        assert_silent(&format!("the request of a {operation}"), &debugged(&request));
        match exchange.handle_response(response(status, &[], body)) {
            Err(error) => assert_silent(&format!("{operation}: {status} {body}"), &told(&error)),
            Ok(Step::Again { .. }) => {}
            Ok(Step::Done(())) => break,
        }
    }
}

/// Before, between and after their requests.
#[test]
fn no_exchange_prints_a_secret() {
    fn play<X: Exchange<Output: Debug> + Debug>(what: &str, mut exchange: X, answer: &str) {
        let status = if what == "Push" { 201 } else { 200 };
        assert_silent(&format!("{what}, before"), &debugged(&exchange));
        let mut requests = 0;
        loop {
            let request = exchange.next_request(NOW, &mut OCTETS()).expect("a request");
            assert!(
                SECRETS.iter().any(|secret| {
                    let (headers, body) = (request.headers(), String::from_utf8_lossy(request.body().as_ref()));
                    let header = headers.get("authorization").map(|value| value.to_str().expect("ASCII"));
                    leak(&body, secret).is_some() || header.is_some_and(|header| leak(header, secret).is_some())
                }),
                "{what} sends no secret"
            );
            assert_silent(&format!("{what}'s request"), &debugged(&request));
            assert_silent(&format!("{what}, waiting"), &debugged(&exchange));
            requests += 1;
            let step = exchange.handle_response(response(status, &[], answer)).expect("a step");
            assert_silent(&format!("{what}, over"), &debugged(&exchange));
            // What a resource answers is the application's, to print or not.
            if what != "ResourceCall" {
                assert_silent(&format!("{what}'s step"), &debugged(&step));
            }
            if let Step::Done(_) = step {
                assert!(requests <= 2);
                return;
            }
        }
    }
    let (client, tokens) = (everything(), tokens());
    assert_silent("Client", &debugged(&client));
    let token = format!(
        r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","refresh_token":"{REFRESH_TOKEN}","id_token":"{ID_TOKEN}","member":"{MEMBER}"}}"#
    );
    play("CodeExchange", exchange(&client).param("vendor", MEMBER), &token);
    play("Push", client.authorize().param("vendor", MEMBER).push(), r#"{"request_uri":"urn:x","expires_in":60}"#);
    play("Refresh", client.refresh(&tokens).unwrap().param("vendor", MEMBER), &token);
    play("Credentials", client.credentials().param("vendor", MEMBER), &token);
    play("ResourceCall", client.call(&tokens, resource()), "");
    play("Revocation", client.revoke(&tokens).unwrap(), MEMBER);
    let state = format!(r#"{{"active":true,"sub":"alice","username":"{MEMBER}","{MEMBER}":1}}"#);
    play("Introspection", client.introspect(&Secret::new(INTROSPECTED)), &state);

    play("DeviceAuthorization", client.device().param("vendor", MEMBER), &device_answer());
    assert_silent("DevicePending", &debugged(&device_pending()));
    play("Polling", client.poll(device_pending()), &token);

    let mut request = Request::new(());
    *request.uri_mut() = "https://api.example.com/".parse().unwrap();
    tokens.authorize(&mut request).unwrap();
    assert!(request.headers()["authorization"].is_sensitive() && tokens.authorization_header().is_sensitive());
    assert_silent("an authorized request", &debugged(&request));
}

/// What a resource's URL has behind its path is the caller's, and may be a key.
#[test]
fn no_resource_prints_its_query() {
    let resource = format!("https://api.example.com/mcp?key={VERIFIER}");
    let challenged = format!(r#"Bearer resource_metadata="https://api.example.com/metadata?key={VERIFIER}""#);
    let headers = [(http::header::WWW_AUTHENTICATE, challenged.parse().unwrap())].into_iter().collect();
    let challenge = Challenge::bearer(&headers).unwrap();
    assert_silent("BearerChallenge", &debugged(&challenge));
    let server = "https://as.example.com";
    let about = json!({ "resource": resource, "authorization_servers": [server] }).to_string();
    let endpoint = "https://as.example.com/token";
    let metadata = json!({ "issuer": server, "token_endpoint": endpoint, "authorization_endpoint": endpoint,
        "code_challenge_methods_supported": ["S256"] });
    for mut discovery in [ResourceDiscovery::new(&resource), ResourceDiscovery::from_challenge(&resource, &challenge)] {
        let mut found = None;
        for body in [about.clone(), metadata.to_string()] {
            let printed = debugged(&discovery);
            assert_silent("ResourceDiscovery", &printed);
            assert!(printed.contains("https://api.example.com/mcp"), "{printed}");
            let _request = discovery.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
            if let Step::Done(resource) = discovery.handle_response(response(200, &[], body)).expect("a document") {
                found = Some(resource);
            }
        }
        let found = found.expect("a resource");
        assert_eq!(found.resource, resource);
        assert_silent("ProtectedResource", &debugged(&found));
    }
    for odd in [
        format!("https://u:{VERIFIER}@h"),
        format!("https://h#{VERIFIER}"),
        format!("{VERIFIER} :"),
        format!("urn:{VERIFIER}"),
    ] {
        assert_silent("ResourceDiscovery", &debugged(&ResourceDiscovery::new(odd)));
    }
    assert_silent("Authorization", &debugged(&client().authorize().resource(&resource)));
    let (_, pending) = client().authorize().resource(&resource).redirect(NOW, &mut OCTETS()).expect("a login");
    let printed = debugged(&pending);
    assert!(printed.contains("https://api.example.com/mcp"), "{printed}");
    assert_silent("Pending", &printed);
    let stored = json!({ "v": 1, "access_token": "a", "token_type": "Bearer", "issued_at": 0, "resource": [resource] });
    assert_silent("Tokens", &debugged(&serde_json::from_value::<Tokens>(stored).expect("tokens")));
}

/// A session holds everything there is.
#[test]
fn no_session_prints_a_secret() {
    let mut session = Session::new(everything(), tokens()).unwrap();
    assert_silent("Session", &debugged(&session));
    let next = session.next(NOW, &mut OCTETS());
    assert_silent("Next::Refresh", &debugged(&next));
    assert_silent("Session, refreshing", &debugged(&session));
    let Next::Refresh(ticket, refresh) = next else { panic!("{next:?}") };
    assert_silent("Ticket", &debugged(&ticket));
    assert_silent("Refresh", &debugged(&refresh));
    let completion = session.complete(ticket, Ok(std::sync::Arc::new(tokens())), NOW);
    assert_silent("Completion::Renewed", &debugged(&completion));
    let next = session.next(NOW, &mut OCTETS());
    assert!(matches!(next, Next::Use(_)));
    assert_silent("Next::Use", &debugged(&next));
    assert_silent("what is cleared", &debugged(&session.clear()));
    assert_silent("Session, cleared", &debugged(&session));
    // Another's tokens are refused, and not shown.
    let elsewhere = Client::builder(server(), "another").build().unwrap();
    assert_silent("a refusal", &told(&Session::new(elsewhere, tokens()).unwrap_err()));
    let mut session = Session::new(everything(), tokens()).unwrap();
    let Next::Refresh(ticket, _) = session.next(NOW, &mut OCTETS()) else { panic!("tokens are fresh") };
    session.install(serde_json::from_str(r#"{"access_token":"new"}"#).unwrap()).unwrap();
    let stale = session.complete(ticket, Ok(std::sync::Arc::new(tokens())), NOW);
    assert!(matches!(stale, Completion::Stale(Some(_))));
    assert_silent("Completion::Stale", &debugged(&stale));
}

#[test]
fn credentials_are_marked_sensitive() {
    let request =
        exchange(&confidential(Authentication::basic(CLIENT_SECRET))).next_request(NOW, &mut OCTETS()).unwrap();
    assert!(request.headers()["authorization"].is_sensitive());
    for (name, value) in request.headers() {
        let said = value.to_str().unwrap();
        assert!(value.is_sensitive() || leak(said, CLIENT_SECRET).is_none(), "{name}: {said}");
    }
    assert!(leak(request.headers()["authorization"].to_str().unwrap(), "Canary%20secret").is_some());
}

/// What is told of each error that this answer brings about, to people and to logs.
fn told(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<_> = causes.map(|cause| format!("{cause}\n{cause:?}")).collect();
    format!("{error}\n{:?}\n{}\n{}", error.remedy(), debugged(error), causes.join("\n"))
}

/// The errors that name members must not show what was in them.
#[test]
fn no_error_prints_a_secret() {
    let bodies = [
        format!(r#""{ACCESS_TOKEN}""#),
        format!("access_token={ACCESS_TOKEN}&token_type=bearer"),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}\n","token_type":"Bearer"}}"#),
        format!(r#"{{"access_token":["{ACCESS_TOKEN}"],"token_type":"Bearer"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"{REFRESH_TOKEN}"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","expires_in":"{REFRESH_TOKEN}"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","scope":["{REFRESH_TOKEN}",1]}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","scope":"{MEMBER}\n"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","access_token":"{ACCESS_TOKEN}","token_type":"Bearer"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","error":["{ID_TOKEN}"]}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","refresh_token":{{"{REFRESH_TOKEN}":1}}}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","id_token":"{ID_TOKEN}\u0000"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","error":"x"}}"#),
        format!(r#"{{"access_token":"{ACCESS_TOKEN}" {MEMBER}"#),
        format!(r#"{{"error":"x\u0000{CODE}"}}"#),
        format!(r#"{{"error":"x","error_description":["{CODE}"],"error_uri":"{CODE}"}}"#),
    ];
    let headers = [("location", ACCESS_TOKEN), ("retry-after", REFRESH_TOKEN), ("www-authenticate", CLIENT_SECRET)];
    for (status, body) in bodies.iter().flat_map(|body| [200, 201, 302, 400, 401, 500].map(|status| (status, body))) {
        let mut exchange = exchange(&confidential(Authentication::basic(CLIENT_SECRET)));
        let _request = exchange.next_request(NOW, &mut OCTETS()).unwrap();
        let error = exchange.handle_response(response(status, &headers, body.as_str())).unwrap_err();
        assert_silent(&format!("{status} {body}"), &told(&error));
    }
}

/// Errors of callbacks that are not ours, or of a client that is misused.
#[test]
fn no_refused_callback_is_printed() {
    let code: String = url::form_urlencoded::byte_serialize(CODE.as_bytes()).collect();
    for query in [
        format!("code={code}&code={code}&state={STATE}"),
        format!("code={code}&error=x&state={STATE}"),
        format!("code={code}%00&state={STATE}"),
        format!("code={code}&state={STATE}&state={STATE}"),
        format!("access_token={ACCESS_TOKEN}&state={STATE}"),
        format!("id_token={ID_TOKEN}&state={STATE}"),
        format!("error={code}%00&state={STATE}"),
        format!("code={code}&state=%FF{STATE}"),
        format!("state={STATE}"),
        format!("https://{code}\\/cb?code={code}&state={STATE}"),
        format!("code={code}&state={STATE}{}", "x".repeat(70_000)),
    ] {
        assert_silent(&query, &told(&Callback::parse(&query).unwrap_err()));
    }
    for query in [format!("code={code}&state={STATE}x"), format!("https://evil.example/cb?code={code}&state={STATE}")] {
        let (pending, _) = returning(&client());
        let callback = Callback::parse(&query).unwrap();
        assert_silent(&query, &debugged(&callback));
        assert_silent(&query, &told(&pending.accept(callback).unwrap_err()));
    }
    let mistakes = [
        Verifier::new(format!("{VERIFIER} ")).unwrap_err(),
        Client::builder(server(), "id")
            .authentication(Authentication::post(format!("{CLIENT_SECRET}\n")))
            .build()
            .unwrap_err(),
        Client::builder(Server::new("https://as.example.com", format!("https://u:{VERIFIER}@h")), "id")
            .build()
            .unwrap_err(),
        Client::builder(server(), "id").redirect_uri(format!("https://u:{VERIFIER}@h")).build().unwrap_err(),
        client().authorize().param("client_secret", CLIENT_SECRET).redirect(NOW, &mut OCTETS()).unwrap_err(),
        client().authorize().resource(format!("{VERIFIER} ")).redirect(NOW, &mut OCTETS()).unwrap_err(),
        client().authorize().scope([VERIFIER, "a b"]).redirect(NOW, &mut OCTETS()).unwrap_err(),
    ];
    for mistake in mistakes {
        assert_silent("a mistake", &told(&mistake));
    }
}

/// What becomes of this description of a refusal: it quotes the request.
fn quoted(authentication: Authentication, body: &str) -> Error {
    let mut exchange = exchange(&confidential(authentication));
    let _request = exchange.next_request(NOW, &mut OCTETS()).expect("a request");
    exchange.handle_response(response(400, &[], body)).expect_err("a refusal")
}

/// A refusal with these words of the server's, beside which nothing else is lost.
fn description(words: &str) -> String {
    format!(r#"{{"error":"invalid_grant","error_description":"Before. {words} After."}}"#)
}

#[test]
fn secrets_that_a_server_quotes_are_taken_out() {
    for secret in [CODE, VERIFIER, CLIENT_SECRET] {
        for authentication in [Authentication::basic(CLIENT_SECRET), Authentication::post(CLIENT_SECRET)] {
            let error = quoted(authentication, &description(&format!("{secret}, I said {secret}!")));
            assert_silent("a quoted secret", &told(&error));
            let said = "the server refused: invalid_grant (HTTP 400): Before. [redacted], I said [redacted]! After.";
            assert_eq!(error.to_string(), said);
        }
    }
    let request =
        exchange(&confidential(Authentication::basic(CLIENT_SECRET))).next_request(NOW, &mut OCTETS()).unwrap();
    let header = request.headers()["authorization"].to_str().unwrap();
    let error = quoted(Authentication::basic(CLIENT_SECRET), &description(header));
    assert_silent("a quoted header", &told(&error));
    let uri = format!(r#"{{"error":"x","error_uri":"https://as.example.com/?v={VERIFIER}"}}"#);
    assert_silent("a quoted verifier", &told(&quoted(Authentication::none(), &uri)));
}

/// "No `Debug`, `Display`, error or log line ever holds a code, verifier, token, secret or a body."
#[test]
fn secrets_that_a_server_quotes_otherwise_are_taken_out() {
    let mut leaks = Vec::new();
    for secret in [CODE, VERIFIER, CLIENT_SECRET] {
        // The request as it was sent, which is what a debugging server quotes.
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let sent = form.replace('+', "%20").replace("%7E", "~");
        for answer in [
            description(&format!("Bad body: code={sent}&code_verifier={sent}&client_secret={sent}")),
            // As other libraries encode.
            description(&form),
            // Where no text is expected, and across the place where descriptions are cut off.
            format!(r#"{{"error":"{secret}"}}"#),
            description(&format!("{}{secret}", "x".repeat(1024 - "Before. ".len() - secret.len() * 2 / 3))),
        ] {
            let told = told(&quoted(Authentication::post(CLIENT_SECRET), &answer));
            let half = secret.get(..secret.len() / 2).unwrap_or_default();
            if leak(&told, secret).is_some() || told.contains(half) {
                leaks.push(answer.replace(&"x".repeat(900), ".."));
            }
        }
    }
    assert!(leaks.is_empty(), "printed:\n{}", leaks.join("\n"));
}

#[test]
fn secrets_that_a_server_quotes_encoded_as_its_error_are_taken_out() {
    let form: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
    for sent in [form.replace('+', "%20"), form] {
        let error = quoted(Authentication::post(CLIENT_SECRET), &format!(r#"{{"error":"{sent}"}}"#));
        assert_silent("a quoted secret", &told(&error));
    }
}

/// The browser brings the server's words too, and with them whatever the server, or an attacker, knows of the login.
#[test]
fn a_state_that_a_server_quotes_is_taken_out() {
    let (pending, _) = returning(&client());
    let callback = Callback::parse(&format!("error=x&error_description=Bad+state+{STATE}&state={STATE}")).unwrap();
    assert_silent("a callback", &debugged(&callback));
    assert_silent("its error", &told(&pending.accept(callback).unwrap_err()));
}

/// What an application holds, it holds without type parameters, and may share.
struct Application {
    client: Client,
    pending: Option<Pending>,
    tokens: Option<Tokens>,
    running: Box<dyn Exchange<Output = Tokens> + Send + Sync>,
}

#[test]
fn values_are_plain_to_hold() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Application>();
    shared::<(Server, Client, ClientBuilder, Authentication, Authorization)>();
    shared::<(Pending, Challenge, Verifier, Callback, CodeGrant, CodeExchange)>();
    shared::<(Tokens, TokenType, Extra, Scope, Secret, UnixTime, Body)>();
    shared::<(Refresh, Credentials, ResourceCall, Revocation, Introspection)>();
    shared::<(TokenState, BearerChallenge, Session, Next, Ticket, Completion)>();
    shared::<(DeviceAuthorization, DevicePending, Polling)>();
    shared::<(Discovery, ResourceDiscovery, ProtectedResource, Miss, Push, Quirks, Provider)>();
    shared::<(Step<Tokens>, Error, Usage, ServerError, ErrorCode, Violation, CallbackError, Remedy)>();

    let client = client();
    let (_, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let running: Box<dyn Exchange<Output = Tokens> + Send + Sync> = Box::new(client.exchange(grant(&client)));
    let mut application = Application { client: client.clone(), pending: Some(pending), tokens: None, running };
    // Borrowed or boxed, an exchange is one.
    let mut borrowed = &mut application.running;
    assert!(Exchange::next_request(&mut borrowed, NOW, &mut Octets::appendix_b()).is_ok());
    let answer = response(200, &[], r#"{"access_token":"a","token_type":"Bearer"}"#);
    if let Ok(Step::Done(tokens)) = application.running.handle_response(answer) {
        application.tokens = Some(tokens);
    }
    assert!(application.tokens.is_some() && application.pending.is_some());
    assert_eq!(application.client.client_id(), "s6BhdRkqt3");
}
