//! RFC 8628, the Device Authorization Grant: the sentences that bind a client, each with the test that holds the library
//! to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use std::time::Duration;

use proofkey_core::{
    Authentication, CallbackError, Client, DevicePending, Error, ErrorCode, Exchange, Polling, Quirks, Remedy, Step,
    Tokens, UnixTime, Usage, Violation,
};

use serde_json::Value;

mod support;

use support::{NOW, Octets, client, client_at_all_endpoints, outcome, pairs, request, response, server, values};

/// Section 3.2's own example.
const ANSWER: &str = r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT",
    "verification_uri":"https://example.com/device",
    "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_in":1800,"interval":5}"#;
const TOKEN: &str = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600}"#;
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn public() -> Client {
    client_at_all_endpoints(Authentication::none())
}

fn begun(body: &str) -> Result<DevicePending, Error> {
    outcome(public().device().scope(["photos"]), 200, &[], body)
}

/// [`ANSWER`] with a member set to this JSON.
fn with(member: &str, value: &str) -> String {
    let mut answer: Value = serde_json::from_str(ANSWER).expect("JSON");
    answer[member] = serde_json::from_str(value).expect("JSON");
    answer.to_string()
}

fn without(member: &str) -> String {
    with(member, "null").replace(&format!("\"{member}\":null"), "\"x\":0")
}

fn refused(code: &str) -> (u16, String) {
    (400, format!(r#"{{"error":"{code}"}}"#))
}

/// Polls with a clock that does what it is told: the seconds at which each poll was sent, and what came of it.
fn polled(mut polling: Polling, answers: impl IntoIterator<Item = (u16, String)>) -> (Vec<u64>, Result<Tokens, Error>) {
    let (mut now, mut at) = (NOW.saturating_add(polling.initial_delay()), Vec::new());
    for (status, body) in answers {
        match polling.next_request(now, &mut Octets::appendix_b()) {
            Ok(_) => at.push(now.saturating_since(NOW).as_secs()),
            Err(error) => return (at, Err(error)),
        }
        match polling.handle_response(response(status, &[], body)) {
            Ok(Step::Again { after }) => now = now.saturating_add(after),
            Ok(Step::Done(tokens)) => return (at, Ok(tokens)),
            Err(error) => return (at, Err(error)),
        }
    }
    panic!("polling goes on after its last answer: {at:?}")
}

fn polling(body: &str) -> Polling {
    public().poll(begun(body).expect("a login"))
}

/// Section 3.1: "The client initiates the authorization flow by requesting a set of verification codes from the
/// authorization server by making an HTTP "POST" request to the device authorization endpoint."
#[test]
fn s3_1_the_codes_are_asked_for() {
    let exchange =
        public().device().scope(["photos", "videos"]).resource("https://api.example.com/").param("locale", "de");
    let sent = request(exchange);
    assert_eq!(
        (sent.method().as_str(), sent.uri().to_string().as_str()),
        ("POST", "https://as.example.com/device_authorization")
    );
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        pairs(sent.body().as_ref()),
        [
            ("scope", "photos videos"),
            ("resource", "https://api.example.com/"),
            ("locale", "de"),
            ("client_id", "s6BhdRkqt3")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let error = client().device().next_request(NOW, &mut Octets::appendix_b()).unwrap_err();
    assert_eq!(error.to_string(), "the server has no device_authorization_endpoint");
    for owned in ["client_id", "device_code", "scope"] {
        let error = public().device().param(owned, "x").next_request(NOW, &mut Octets::appendix_b()).unwrap_err();
        assert!(matches!(error, Error::Usage(Usage::OwnedParameter(_))), "{owned}: {error}");
    }
}

/// Section 3.1: "The client authentication requirements of Section 3.2.1 of [RFC6749] apply to requests on this endpoint".
#[test]
fn s3_1_the_client_authenticates() {
    let sent = request(client_at_all_endpoints(Authentication::basic("secret")).device());
    assert_eq!(sent.headers()["authorization"], "Basic czZCaGRSa3F0MzpzZWNyZXQ=");
    let sent = request(client_at_all_endpoints(Authentication::post("secret")).device());
    assert_eq!(values(sent.body(), "client_secret"), ["secret"]);
}

/// Section 3.2: "device_code REQUIRED", "user_code REQUIRED", "verification_uri REQUIRED", "verification_uri_complete
/// OPTIONAL", "expires_in REQUIRED".
#[test]
fn s3_2_what_is_shown() {
    let pending = begun(ANSWER).unwrap();
    assert_eq!(
        (pending.user_code(), pending.verification_uri(), pending.verification_uri_complete()),
        ("WDJB-MJHT", "https://example.com/device", Some("https://example.com/device?user_code=WDJB-MJHT"))
    );
    assert_eq!(pending.expires_at(), NOW.saturating_add(Duration::from_secs(1800)));
    assert_eq!(begun(&without("verification_uri_complete")).unwrap().verification_uri_complete(), None);
    for member in ["device_code", "user_code", "verification_uri", "expires_in"] {
        for lacking in [without(member), with(member, "null")] {
            let error = begun(&lacking).unwrap_err();
            assert_eq!(error.to_string(), format!("the server's answer has no {member}"));
            assert_eq!(error.remedy(), Remedy::Report);
        }
        assert!(matches!(begun(&with(member, "[1]")), Err(Error::Violation(Violation::Invalid(_)))), "{member}");
    }
}

/// Section 3.2: "expires_in REQUIRED. The lifetime in seconds"; here a day at most, and not nothing.
#[test]
fn s3_2_the_lifetime() {
    for (expires_in, lives) in [("6", 6), ("\"900\"", 900), ("900.9", 900), ("86401", 86_400), ("1e308", 86_400)] {
        let pending = begun(&with("expires_in", expires_in)).unwrap();
        assert_eq!(pending.expires_at().saturating_since(NOW).as_secs(), lives, "{expires_in}");
    }
    for odd in ["0", "-1", "\"soon\"", "true"] {
        let error = begun(&with("expires_in", odd)).unwrap_err();
        assert_eq!(error.to_string(), "expires_in in the server's answer has the wrong type or value", "{odd}");
    }
}

/// Section 3.2: "interval OPTIONAL. The minimum amount of time in seconds that the client SHOULD wait between polling
/// requests to the token endpoint. If no value is provided, clients MUST use 5 as the default."
#[test]
fn s3_2_the_interval() {
    for (interval, seconds) in [
        ("1", 1),
        ("7", 7),
        ("\"7\"", 7),
        ("7.0", 7),
        ("\"7.2\"", 8),
        ("0", 1),
        ("0.5", 1),
        ("null", 5),
        ("1799", 1799),
    ] {
        assert_eq!(polling(&with("interval", interval)).initial_delay().as_secs(), seconds, "{interval}");
    }
    assert_eq!(polling(&without("interval")).initial_delay().as_secs(), 5);
    // Who may not ask before the code has ended need not begin.
    for odd in ["-1", "[]", "\"fast\"", "1800", "1e308"] {
        let error = begun(&with("interval", odd)).unwrap_err();
        assert_eq!(error.to_string(), "interval in the server's answer has the wrong type or value", "{odd}");
    }
}

/// Section 3.3: "the client displays or otherwise communicates the "user_code" and the "verification_uri" to the end user".
/// What is displayed must not do more than be read.
#[test]
fn s3_3_what_is_displayed_is_harmless() {
    for (code, fits) in [
        ("WDJB MJHT", true),
        ("12 34-é", true),
        ("\u{1b}[2J", false),
        ("A\nB", false),
        ("A\u{202E}B", false),
        ("\u{200B}", false),
        (" ", false),
    ] {
        let read = begun(&with("user_code", &serde_json::to_string(code).unwrap()));
        assert_eq!(read.is_ok(), fits, "{code:?}");
    }
    assert!(begun(&with("user_code", &format!("\"{}\"", "A".repeat(100)))).is_ok());
    assert!(begun(&with("user_code", &format!("\"{}\"", "A".repeat(101)))).is_err());
    for (uri, fits) in [
        ("https://example.com/device#start", true),
        ("http://example.com/device", true),
        ("javascript:alert(1)", false),
        ("file:///etc/passwd", false),
        ("https://example.com/de vice", false),
        ("https://example.com/\u{1b}[2J", false),
        ("https://example.com/#\u{1b}[2J", false),
        ("https://example.com/#'; rm -rf ~", false),
        ("https://example.com/#a#b", false),
        ("https://example.com/\\u0022", false),
        ("https://user:pw@example.com/", false),
        ("example.com/device", false),
        ("--help", false),
    ] {
        let written = serde_json::to_string(uri).unwrap();
        match begun(&with("verification_uri", &written)) {
            Ok(_) => assert!(fits, "{uri}"),
            Err(error) => {
                assert!(!fits, "{uri}");
                let said = "verification_uri in the server's answer has the wrong type or value";
                assert_eq!(error.to_string(), said);
            }
        }
        // The link only spares the typing.
        let pending = begun(&with("verification_uri_complete", &written)).unwrap();
        assert_eq!(pending.verification_uri_complete(), Some(uri).filter(|_| fits));
    }
    for odd in ["[1]", "{}", "0"] {
        let pending = begun(&with("verification_uri_complete", odd)).unwrap();
        assert_eq!(pending.verification_uri_complete(), None, "{odd}");
    }
}

/// Google's answer, which has another name for the address.
#[test]
fn s3_2_verification_url_by_name() {
    let google = ANSWER.replace("verification_uri\"", "verification_url\"");
    assert_eq!(begun(&google).unwrap_err().to_string(), "the server's answer has no verification_uri");
    let mut server = server();
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    let client = Client::builder(server, "id").quirks(Quirks::none().verification_url()).build().unwrap();
    // It stands in for the right name, and gives way to it.
    let both = google.replace("\"expires_in", "\"verification_uri\":\"https://example.com/right\",\"expires_in");
    for (answer, uri) in [(google, "device"), (ANSWER.to_owned(), "device"), (both, "right")] {
        let pending = outcome(client.device(), 200, &[], answer).unwrap();
        assert_eq!(pending.verification_uri(), format!("https://example.com/{uri}"));
    }
}

/// A refusal at the device authorization endpoint is one as at any other.
#[test]
fn s3_2_a_refusal() {
    for status in [200, 400, 401] {
        let error = outcome(public().device(), status, &[], r#"{"error":"invalid_client"}"#).unwrap_err();
        let Error::Server(error) = error else { panic!("{error}") };
        assert_eq!((error.code.clone(), error.remedy()), (ErrorCode::INVALID_CLIENT, Remedy::FixConfiguration));
    }
    assert!(matches!(outcome(public().device(), 302, &[], ""), Err(Error::Violation(Violation::Redirect(_)))));
    assert!(matches!(outcome(public().device(), 404, &[], "<html>"), Err(Error::Violation(Violation::Status(_)))));
}

/// Section 3.4: "grant_type REQUIRED. Value MUST be set to "urn:ietf:params:oauth:grant-type:device_code".
/// device_code REQUIRED. The device verification code, "device_code" from the device authorization response".
#[test]
fn s3_4_the_poll() {
    let sent = request(polling(ANSWER));
    assert_eq!((sent.method().as_str(), sent.uri().to_string().as_str()), ("POST", "https://as.example.com/token"));
    assert_eq!(
        pairs(sent.body().as_ref()),
        [
            ("grant_type", GRANT),
            ("device_code", "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"),
            ("client_id", "s6BhdRkqt3")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let confidential = client_at_all_endpoints(Authentication::basic("secret"));
    assert_eq!(
        request(confidential.poll(begun(ANSWER).unwrap())).headers()["authorization"],
        "Basic czZCaGRSa3F0MzpzZWNyZXQ="
    );
}

/// Section 3.5: "If the user has approved the grant, the token endpoint responds with a success response defined in
/// Section 5.1 of [RFC6749]".
#[test]
fn s3_5_success() {
    let (at, tokens) = polled(polling(ANSWER), [(200, TOKEN.to_owned())]);
    let tokens = tokens.unwrap();
    assert_eq!((at, tokens.access_token().expose()), (vec![5], "2YotnFZFEjr1zCsicMWpAA"));
    assert_eq!(tokens.scope().unwrap().as_str(), "photos");
    assert_eq!(tokens.expires_at(), Some(NOW.saturating_add(Duration::from_secs(3605))));
    // The same checks as for a code.
    let (_, refused) = polled(polling(ANSWER), [(200, r#"{"access_token":"at"}"#.to_owned())]);
    assert_eq!(refused.unwrap_err().to_string(), "the server's answer has no token_type");
}

/// Section 3.5: "authorization_pending .. the client .. SHOULD repeat the access token request to the token endpoint
/// (a process known as polling). Before each new request, the client MUST wait at least the number of seconds specified by
/// the "interval" parameter". Some servers say it with another status.
#[test]
fn s3_5_authorization_pending() {
    let pending = || refused("authorization_pending");
    let (at, tokens) = polled(
        polling(ANSWER),
        [pending(), (200, pending().1), (428, pending().1), (503, pending().1), (200, TOKEN.to_owned())],
    );
    assert_eq!((at, tokens.is_ok()), (vec![5, 10, 15, 20, 25], true));
}

/// Section 3.5: "slow_down: A variant of "authorization_pending", the authorization request is still pending and polling
/// should continue, but the interval MUST be increased by 5 seconds for this and all subsequent requests."
#[test]
fn s3_5_slow_down() {
    let answers = [
        refused("slow_down"),
        refused("authorization_pending"),
        refused("slow_down"),
        // More than the five seconds may be asked for, less may not.
        (400, r#"{"error":"slow_down","interval":60}"#.to_owned()),
        (400, r#"{"error":"slow_down","interval":1}"#.to_owned()),
        (400, r#"{"error":"slow_down","interval":"x"}"#.to_owned()),
        (200, TOKEN.to_owned()),
    ];
    let (at, tokens) = polled(polling(ANSWER), answers);
    assert_eq!((at, tokens.is_ok()), (vec![5, 15, 25, 40, 100, 165, 235], true));
}

/// Section 3.5: "access_denied The authorization request was denied. expired_token The "device_code" has expired, and the
/// device authorization session has concluded." And: "If the client receives an error response with any other error code, it
/// MUST stop polling".
#[test]
fn s3_5_every_other_refusal_ends_it() {
    for (code, remedy) in [
        ("access_denied", Remedy::LogInAgain),
        ("expired_token", Remedy::LogInAgain),
        ("invalid_grant", Remedy::LogInAgain),
        ("invalid_client", Remedy::FixConfiguration),
        ("something_else", Remedy::Report),
    ] {
        let mut over = polling(ANSWER);
        let _request = over.next_request(NOW, &mut Octets::appendix_b()).unwrap();
        let (status, body) = refused(code);
        let error = over.handle_response(response(status, &[], body)).unwrap_err();
        assert_eq!(error.remedy(), remedy, "{code}");
        assert!(matches!(error, Error::Server(error) if error.code.as_str() == code));
        assert!(!over.resume());
        assert!(matches!(over.next_request(NOW, &mut Octets::appendix_b()), Err(Error::Usage(Usage::OutOfTurn))));
    }
}

/// RFC 9110 section 10.2.3: a server that is down says how long, and is asked again after that, but not sooner than the
/// interval.
#[test]
fn a_server_that_is_down_is_asked_again() {
    for (retry_after, waits) in
        [(Some("60"), 60), (Some("1"), 5), (None, 5), (Some("Fri, 31 Dec 9999 23:59:59 GMT"), 1800)]
    {
        let mut polling = polling(ANSWER);
        let _request = polling.next_request(NOW, &mut Octets::appendix_b()).unwrap();
        let headers: Vec<_> = retry_after.map(|value| ("retry-after", value)).into_iter().collect();
        let step = polling.handle_response(response(503, &headers, "<html>")).unwrap();
        assert!(matches!(step, Step::Again { after } if after.as_secs() == waits), "{retry_after:?}: {step:?}");
    }
}

/// Section 3.5: "On encountering a connection timeout, clients MUST unilaterally reduce their polling frequency before
/// retrying. The use of an exponential backoff algorithm to achieve this, such as doubling the polling interval on each such
/// connection timeout, is RECOMMENDED."
#[test]
fn s3_5_a_lost_answer() {
    let mut polling = polling(ANSWER);
    assert!(polling.resume() && polling.initial_delay().as_secs() == 5, "nothing is lost before the first poll");
    for waits in [10, 20, 40] {
        let _request = polling.next_request(NOW, &mut Octets::appendix_b()).unwrap();
        assert!(polling.resume());
        assert_eq!(polling.initial_delay().as_secs(), waits);
    }
    let _request = polling.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    let (status, body) = refused("authorization_pending");
    let step = polling.handle_response(response(status, &[], body)).unwrap();
    assert!(
        matches!(step, Step::Again { after } if after.as_secs() == 5),
        "as before once there is an answer: {step:?}"
    );
}

/// Section 3.2: the lifetime of the code ends polling, by our clock, whatever the server says, and even if the clock stands
/// still.
#[test]
fn s3_5_the_end_of_the_code() {
    let late = NOW.saturating_add(Duration::from_secs(1800));
    for now in [late, UnixTime::from_secs(u64::MAX)] {
        let error = polling(ANSWER).next_request(now, &mut Octets::appendix_b()).unwrap_err();
        assert!(matches!(error, Error::Callback(CallbackError::Expired)), "{error}");
        assert_eq!(error.remedy(), Remedy::LogInAgain);
    }
    let (at, end) =
        polled(polling(&with("expires_in", "17")), std::iter::repeat_with(|| refused("authorization_pending")));
    assert!(matches!(end, Err(Error::Callback(CallbackError::Expired))));
    assert_eq!(at, [5, 10, 15]);

    for lost in [true, false] {
        let (mut polling, mut polls) = (polling(ANSWER), 0);
        while polling.next_request(NOW, &mut Octets::appendix_b()).is_ok() {
            polls += 1;
            assert!(polls <= 360, "polling never ends");
            let (status, body) = refused("authorization_pending");
            let goes_on =
                if lost { polling.resume() } else { polling.handle_response(response(status, &[], body)).is_ok() };
            assert!(goes_on);
        }
        assert_eq!(polls, if lost { 8 } else { 360 });
    }
}

/// A clock that is set back while the person decides does not make the tokens' life longer.
#[test]
fn a_clock_set_back_between_two_polls() {
    let mut polling = polling(ANSWER);
    let _request = polling.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    let (status, body) = refused("authorization_pending");
    assert!(matches!(polling.handle_response(response(status, &[], body)), Ok(Step::Again { .. })));
    let earlier = UnixTime::from_secs(NOW.as_secs() - 600);
    let _request = polling.next_request(earlier, &mut Octets::appendix_b()).unwrap();
    let Ok(Step::Done(tokens)) = polling.handle_response(response(200, &[], TOKEN)) else { panic!("no tokens") };
    assert_eq!(tokens.expires_at(), Some(earlier.saturating_add(Duration::from_secs(3600))));
}

/// The code goes only where it came from.
#[test]
fn a_login_goes_on_where_it_was_begun() {
    let builder = |id: &str| Client::builder(server(), id);
    let other = builder("another").build().unwrap();
    let error = other.poll(begun(ANSWER).unwrap()).next_request(NOW, &mut Octets::appendix_b()).unwrap_err();
    assert!(matches!(error, Error::Usage(Usage::OtherClient)), "{error}");
    let mut elsewhere = server();
    elsewhere.token_endpoint = "https://evil.example/token".to_owned();
    let other = Client::builder(elsewhere, "s6BhdRkqt3").build().unwrap();
    let error = other.poll(begun(ANSWER).unwrap()).next_request(NOW, &mut Octets::appendix_b()).unwrap_err();
    assert!(matches!(error, Error::Usage(Usage::OtherServer)), "{error}");
}
