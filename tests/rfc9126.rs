//! RFC 9126, Pushed Authorization Requests: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Request, Response};
use proofkey_core::{
    Authentication, Authorization, Body, Callback, Client, ClientBuilder, Error, Exchange, MAX_BODY, Pending, Push,
    Quirks, Remedy, Server, Step, UnixTime, Usage, Violation,
};
use serde_json::json;
use url::Url;

mod support;

use support::{CHALLENGE, CODE, NOW, Octets, REDIRECT_URI, STATE, VERIFIER, pairs, response, values};

const PAR: &str = "https://as.example.com/par";
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";
const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn server() -> Server {
    let mut server = support::server();
    server.pushed_authorization_request_endpoint = Some(PAR.to_owned());
    server
}

fn builder() -> ClientBuilder {
    Client::builder(server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI)
}

fn client() -> Client {
    builder().build().expect("a client")
}

/// The login's request, and the exchange that waits for its answer.
fn pushed(authorization: Authorization) -> (Request<Body>, Push) {
    let mut push = authorization.push();
    let request = push.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    (request, push)
}

fn answer(request_uri: &str, expires_in: u32) -> Response<Vec<u8>> {
    response(201, &[JSON], json!({ "request_uri": request_uri, "expires_in": expires_in }).to_string())
}

/// What becomes of this client's login when its push is answered so.
fn answered(client: &Client, answer: Response<Vec<u8>>) -> Result<(Url, Pending), Error> {
    match pushed(client.authorize().scope(["photos"])).1.handle_response(answer)? {
        Step::Done(left) => Ok(left),
        Step::Again { .. } => panic!("one answer ends a push"),
    }
}

/// Section 2: "The pushed authorization request endpoint is an HTTP API at the authorization server that accepts HTTP POST
/// requests with parameters in the HTTP request message body using the application/x-www-form-urlencoded format."
#[test]
fn s2_a_form_is_posted() {
    let (request, _) = pushed(client().authorize());
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", PAR));
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.uri().query(), None);
}

/// Section 2: "The rules for client authentication as defined in [RFC6749] for token endpoint requests, including the
/// applicable authentication methods, apply for the PAR endpoint as well." Each parameter once: the client's id is one of the
/// login's already.
#[test]
fn s2_the_client_authenticates_as_at_the_token_endpoint() {
    for (authentication, header, secrets) in [
        (Authentication::none(), None, 0),
        (Authentication::basic(SECRET), Some("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"), 0),
        (Authentication::post(SECRET), None, 1),
    ] {
        let client = builder().authentication(authentication).build().unwrap();
        let (request, _) = pushed(client.authorize());
        let token_request = support::token_request(&client);
        for request in [&request, &token_request] {
            let sent = request.headers().get("authorization").map(|value| value.to_str().unwrap());
            assert_eq!(sent, header);
            assert_eq!(values(request.body(), "client_secret").len(), secrets);
        }
        assert_eq!(values(request.body(), "client_id"), ["s6BhdRkqt3"]);
        let names: Vec<_> = pairs(request.body().as_ref()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(request.headers().get("authorization").is_none_or(http::HeaderValue::is_sensitive));
        assert!(!format!("{request:?}").contains(SECRET));
    }
}

/// Section 2.1: "A client sends the parameters that comprise an authorization request directly to the PAR endpoint." They
/// are those that the URL would have had.
#[test]
fn s2_1_the_parameters_are_those_of_the_url() {
    let login = |client: &Client| {
        let details = [json!({ "type": "payment_initiation" })];
        let login =
            client.authorize().scope(["photos", "profile"]).resource("https://rs.example.com/").details(&details);
        login.form_post().param("prompt", "consent").redirect_uri("http://127.0.0.1:8080/callback")
    };
    let (url, _) = login(&client()).redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let (request, _) = pushed(login(&client()));
    assert_eq!(pairs(request.body().as_ref()), pairs(url.query().unwrap().as_bytes()));
    assert_eq!(values(request.body(), "code_challenge"), [CHALLENGE]);
    assert_eq!(values(request.body(), "state"), [STATE]);
}

/// Section 2.1: "The request_uri authorization request parameter is one exception, and it MUST NOT be provided."
#[test]
fn s2_1_a_reference_is_not_pushed() {
    let mut push = client().authorize().param("request_uri", REQUEST_URI).push();
    let refused = push.next_request(NOW, &mut Octets::appendix_b()).unwrap_err();
    assert!(matches!(refused, Error::Usage(Usage::OwnedParameter(name)) if name == "request_uri"));
    let (request, _) = pushed(client().authorize());
    assert!(values(request.body(), "request_uri").is_empty());
    assert!(values(request.body(), "code_verifier").is_empty());
    assert!(!String::from_utf8_lossy(request.body().as_ref()).contains(VERIFIER));
}

/// Section 2.2: "If the verification is successful, the server MUST generate a request URI and provide it in the response
/// with a 201 HTTP status code."
#[test]
fn s2_2_success_is_a_201() {
    assert!(answered(&client(), answer(REQUEST_URI, 60)).is_ok());
    for (status, said) in [
        (200, "the server answered HTTP 200 without an error code"),
        (202, "the server answered HTTP 202 without an error code"),
        (204, "the server answered HTTP 204 without an error code"),
        (302, "the server answered with a redirect (HTTP 302), which is never followed"),
        (307, "the server answered with a redirect (HTTP 307), which is never followed"),
        (404, "the server answered HTTP 404 without an error code"),
    ] {
        let mut answer = answer(REQUEST_URI, 60);
        *answer.status_mut() = status.try_into().unwrap();
        assert_eq!(answered(&client(), answer).unwrap_err().to_string(), said);
    }
    let forgiving = builder().quirks(Quirks::none().success_of_any_kind()).build().unwrap();
    let mut other = answer(REQUEST_URI, 60);
    *other.status_mut() = 200.try_into().unwrap();
    assert!(answered(&forgiving, other).is_ok());
    assert!(answered(&forgiving, response(302, &[], "")).is_err());
}

/// Section 2.2: "request_uri The request URI corresponding to the authorization request posted. This URI is a single-use
/// reference". To a client it is opaque: it is passed on as it came, and never fetched.
#[test]
fn s2_2_the_reference_is_opaque() {
    for request_uri in [
        REQUEST_URI,
        "urn:uuid:6b1a2d2c-1f5e-4f8e-9d0c-5b7a3e1f0a2b",
        "https://as.example.com/requests/1?a=b&c=d#e",
        "javascript:alert(1)",
        "no URI",
        "a+b/c=%20",
    ] {
        let fits = !request_uri.contains(' ');
        match answered(&client(), answer(request_uri, 60)) {
            Ok((url, _)) => assert_eq!(values(url.query().unwrap(), "request_uri"), [request_uri]),
            Err(error) => {
                assert!(!fits, "{request_uri}");
                assert_eq!(error.to_string(), "request_uri in the server's answer has the wrong type or value");
            }
        }
    }
}

/// Section 2.2: "expires_in A JSON number that represents the lifetime of the request URI in seconds as a positive integer."
/// It is kept with the login, also when that is stored.
#[test]
fn s2_2_how_long_there_is_to_leave() {
    let (_, pending) = answered(&client(), answer(REQUEST_URI, 90)).unwrap();
    let leave_by = UnixTime::from_secs(NOW.as_secs() + 90);
    assert_eq!(pending.leave_by(), Some(leave_by));
    let restored: Pending = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
    assert_eq!(restored.leave_by(), Some(leave_by));
    let (_, open) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(open.leave_by(), None);
}

/// Section 2.2, what the server gets wrong.
#[test]
fn s2_2_an_answer_without_what_is_needed() {
    let uri = format!(r#""request_uri":"{REQUEST_URI}""#);
    for (body, said) in [
        ("{}".to_owned(), "the server's answer has no request_uri"),
        (r#"{"expires_in":60}"#.to_owned(), "the server's answer has no request_uri"),
        (r#"{"request_uri":null,"expires_in":60}"#.to_owned(), "the server's answer has no request_uri"),
        (r#"{"request_uri":"","expires_in":60}"#.to_owned(), "the server's answer has no request_uri"),
        (
            r#"{"request_uri":["urn:x"],"expires_in":60}"#.to_owned(),
            "request_uri in the server's answer has the wrong type or value",
        ),
        (
            r#"{"request_uri":"urn:\u0000x","expires_in":60}"#.to_owned(),
            "request_uri in the server's answer has the wrong type or value",
        ),
        (
            r#"{"request_uri":"urn:\u00fcx","expires_in":60}"#.to_owned(),
            "request_uri in the server's answer has the wrong type or value",
        ),
        (format!("{{{uri},{uri},\"expires_in\":60}}"), "the server's answer has request_uri more than once"),
        (format!("{{{uri}}}"), "the server's answer has no expires_in"),
        (format!("{{{uri},\"expires_in\":0}}"), "expires_in in the server's answer has the wrong type or value"),
        (format!("{{{uri},\"expires_in\":-60}}"), "expires_in in the server's answer has the wrong type or value"),
        (format!("{{{uri},\"expires_in\":\"soon\"}}"), "expires_in in the server's answer has the wrong type or value"),
        (format!("{{{uri},\"expires_in\":60}} x"), "the server's answer is not a JSON object"),
        (format!("[{{{uri},\"expires_in\":60}}]"), "the server's answer is not a JSON object"),
        ("<html>".to_owned(), "the server's answer is not a JSON object"),
        (" ".repeat(MAX_BODY + 1), "the server's answer is longer than 1048576 bytes"),
    ] {
        let error = answered(&client(), response(201, &[JSON], body.as_str())).unwrap_err();
        assert!(matches!(error, Error::Violation(_)), "{error:?}");
        assert_eq!(error.to_string(), said, "{body:.80}");
    }
}

/// Section 2.3: "The authorization server returns an error response with the same format as is specified for error
/// responses from the token endpoint in Section 5.2 of [RFC6749] using the appropriate error code from therein or from
/// Section 4.1.2.1 of [RFC6749]." The first of the RFC's examples, and others.
#[test]
fn s2_3_a_refusal_ends_the_login() {
    for (status, headers, body, said, remedy) in [
        (
            400,
            &[][..],
            r#"{"error":"invalid_request","error_description":"The redirect_uri is not valid for the given client"}"#,
            "the server refused: invalid_request (HTTP 400): The redirect_uri is not valid for the given client",
            Remedy::FixConfiguration,
        ),
        (
            401,
            &[("WWW-Authenticate", "Basic")],
            r#"{"error":"invalid_client"}"#,
            "the server refused: invalid_client (HTTP 401)",
            Remedy::FixConfiguration,
        ),
        (400, &[], r#"{"error":"access_denied"}"#, "the server refused: access_denied (HTTP 400)", Remedy::LogInAgain),
        (
            429,
            &[("Retry-After", "30")],
            "",
            "the server refused: temporarily_unavailable (HTTP 429)",
            Remedy::TryLater(Some(Duration::from_secs(30))),
        ),
        (503, &[], "<h1>Sorry</h1>", "the server refused: temporarily_unavailable (HTTP 503)", Remedy::TryLater(None)),
        (413, &[], "", "the server answered HTTP 413 without an error code", Remedy::Report),
        (405, &[], "", "the server answered HTTP 405 without an error code", Remedy::Report),
    ] {
        let error = answered(&client(), response(status, headers, body)).unwrap_err();
        assert_eq!(error.to_string(), said);
        assert_eq!(error.remedy(), remedy, "{said}");
    }
}

/// Section 2.3, of a server that quotes what it refuses.
#[test]
fn s2_3_what_was_secret_is_not_quoted() {
    let client = builder().authentication(Authentication::post(SECRET)).build().unwrap();
    let body = json!({ "error": "invalid_client", "error_description": format!("{SECRET} is not it; state {STATE}") });
    let error = answered(&client, response(400, &[JSON], body.to_string())).unwrap_err();
    for secret in [SECRET, STATE] {
        assert_eq!(support::leak(&format!("{error} {error:?}"), secret), None);
    }
}

/// Section 4: "The client uses the request_uri value returned by the authorization server to build an authorization request
/// as defined in [RFC9101]." With its id and nothing else: what stands beside it would be another request's.
#[test]
fn s4_the_url_has_the_client_and_the_reference_only() {
    let login = client().authorize().scope(["photos"]).param("prompt", "consent").resource("https://rs.example.com/");
    let (_, mut push) = pushed(login);
    let Step::Done((url, _)) = push.handle_response(answer(REQUEST_URI, 60)).unwrap() else { panic!("not over") };
    assert_eq!(
        url.as_str(),
        "https://as.example.com/authorize?client_id=s6BhdRkqt3\
         &request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    );
    // RFC 6749 section 3.1: the endpoint's own query "MUST be retained when adding additional query parameters".
    let mut server = server();
    server.authorization_endpoint = Some("https://as.example.com/authorize?tenant=1".to_owned());
    let client = Client::builder(server, "a b&c").redirect_uri(REDIRECT_URI).build().unwrap();
    let (url, _) = answered(&client, answer("urn:x", 60)).unwrap();
    assert_eq!(url.query(), Some("tenant=1&client_id=a%20b%26c&request_uri=urn%3Ax"));
}

/// Section 4: "Since parts of the authorization request content, e.g., the code_challenge parameter value, are unique to a
/// particular authorization request, the client MUST only use a request_uri value once." An exchange gives one URL, and the
/// next login pushes anew.
#[test]
fn s4_a_reference_is_used_once() {
    let (_, mut push) = pushed(client().authorize());
    assert!(matches!(push.handle_response(answer(REQUEST_URI, 60)), Ok(Step::Done(_))));
    assert!(matches!(push.handle_response(answer(REQUEST_URI, 60)), Err(Error::Usage(Usage::OutOfTurn))));
    let again = push.next_request(NOW, &mut Octets::appendix_b());
    assert!(matches!(again, Err(Error::Usage(Usage::OutOfTurn))));

    let mut octets = Octets::new([7; 128]);
    let mut push = client().authorize().push();
    drop(push.next_request(NOW, &mut octets).unwrap());
    let first = octets.drawn;
    drop(client().authorize().push().next_request(NOW, &mut octets).unwrap());
    assert_eq!((first, octets.drawn), (64, 128));
}

/// Section 5: "require_pushed_authorization_requests Boolean parameter indicating whether the authorization server accepts
/// authorization request data only via PAR. If omitted, the default value is false."
#[test]
fn s5_a_server_may_take_pushed_logins_only() {
    let mut server = server();
    assert!(!server.require_pushed_authorization_requests);
    server.require_pushed_authorization_requests = true;
    let client = Client::builder(server.clone(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().unwrap();
    let mut octets = Octets::appendix_b();
    let refused = client.authorize().redirect(NOW, &mut octets).unwrap_err();
    assert!(matches!(refused, Error::Usage(Usage::PushRequired)));
    assert_eq!(
        refused.to_string(),
        "the server takes pushed authorization requests only: run push() instead of redirect() or start()"
    );
    assert_eq!(octets.drawn, 0);
    assert!(answered(&client, answer(REQUEST_URI, 60)).is_ok());

    server.pushed_authorization_request_endpoint = None;
    let nowhere = Client::builder(server, "s6BhdRkqt3").build().unwrap_err();
    assert_eq!(nowhere.to_string(), "the server has no pushed_authorization_request_endpoint");
}

/// Section 5: "pushed_authorization_request_endpoint The URL of the pushed authorization request endpoint at which a client
/// can post an authorization request to exchange for a request_uri value usable at the authorization server." What cannot
/// be pushed is not sent anywhere, and costs no entropy.
#[test]
fn s5_what_cannot_be_pushed_is_not_sent() {
    let without = support::client();
    let mut machines = server();
    machines.authorization_endpoint = None;
    let machines = Client::builder(machines, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().unwrap();
    let bare = Client::builder(server(), "s6BhdRkqt3").build().unwrap();
    for (login, said) in [
        (without.authorize(), "the server has no pushed_authorization_request_endpoint"),
        (machines.authorize(), "the server has no authorization_endpoint"),
        (bare.authorize(), "a login needs a redirect URI: set it on the client or on the login"),
        (client().authorize().resource("/x"), "resource must be an absolute URI"),
        (
            client().authorize().details::<u8>(&[]),
            "authorization_details must be a list of objects that each have a type",
        ),
        (
            client().authorize().param("code_challenge_method", "plain"),
            "parameter \"code_challenge_method\" is set by the library and cannot be given as an extra one",
        ),
    ] {
        let mut octets = Octets::appendix_b();
        let refused = login.push().next_request(NOW, &mut octets).unwrap_err();
        assert!(matches!(refused, Error::Usage(_)));
        assert_eq!((refused.to_string().as_str(), octets.drawn), (said, 0));
    }
}

/// What was pushed comes back like any login: the code goes with the verifier of this push, to the server it was begun with.
#[test]
fn the_login_returns() {
    let client = client();
    let (_, pending) = answered(&client, answer(REQUEST_URI, 60)).unwrap();
    assert_eq!((pending.state(), pending.redirect_uri(), pending.started_at()), (STATE, REDIRECT_URI, NOW));
    let grant = pending.accept(Callback::parse(&format!("code={CODE}&state={STATE}")).unwrap()).unwrap();
    let request = client.exchange(grant).next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(request.uri(), "https://as.example.com/token");
    assert_eq!(values(request.body(), "code_verifier"), [VERIFIER]);
    assert_eq!(values(request.body(), "code"), [CODE]);
    assert!(values(request.body(), "request_uri").is_empty());
}

/// A failed push never falls back to the browser: there is no URL, and the exchange is over.
#[test]
fn there_is_no_way_back_to_the_front_channel() {
    for answer in [
        response(400, &[JSON], r#"{"error":"invalid_request"}"#),
        response(404, &[], ""),
        response(503, &[], ""),
        response(302, &[("Location", "https://as.example.com/authorize")], ""),
        response(201, &[JSON], "{}"),
    ] {
        let (_, mut push) = pushed(client().authorize());
        let error = push.handle_response(answer).unwrap_err();
        assert!(matches!(
            error,
            Error::Server(_) | Error::Violation(Violation::Status(_) | Violation::Redirect(_) | Violation::Missing(_))
        ));
        let again = push.next_request(NOW, &mut Octets::appendix_b());
        assert!(matches!(again, Err(Error::Usage(Usage::OutOfTurn))));
    }
}
