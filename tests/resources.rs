//! A resource indicator (RFC 8707) on its way through every request of a login and of what comes after it. The sentences
//! of the RFC are in `rfc8707.rs`.

use http::Request;
use proofkey_core::{
    Authentication, Authorization, Body, Callback, Client, Error, Exchange, Pending, Step, Tokens, Usage,
};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, STATE, response, values};

const CALENDAR: &str = "https://cal.example.com/";
const CONTACTS: &str = "https://contacts.example.com/app/?tenant=1";
const BOTH: [&str; 2] = [CALENDAR, CONTACTS];
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn client() -> Client {
    let mut server = support::server();
    server.pushed_authorization_request_endpoint = Some("https://as.example.com/par".to_owned());
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
    builder.authentication(Authentication::basic("7Fjfp0ZBr1KtDRbnfVdmIw")).build().expect("a client")
}

fn login(client: &Client) -> Authorization {
    client.authorize().resource(CALENDAR).resource(CONTACTS)
}

/// Runs an exchange of one request, and shows that request.
fn run<X: Exchange>(mut exchange: X, status: u16, body: &str) -> (Request<Body>, X::Output) {
    let request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    match exchange.handle_response(response(status, &[JSON], body)).expect("an answer") {
        Step::Done(output) => (request, output),
        Step::Again { .. } => panic!("one answer ends it"),
    }
}

/// Through a store, as an application with a session has it.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).expect("JSON")).expect("what was stored")
}

fn redeemed(client: &Client, pending: Pending) -> (Request<Body>, Tokens) {
    let callback = Callback::parse(&format!("code={CODE}&state={STATE}")).expect("a callback");
    let grant = pending.accept(callback).expect("a grant");
    run(
        client.exchange(grant),
        200,
        r#"{"access_token":"first","token_type":"Bearer","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}"#,
    )
}

#[test]
fn from_the_url_to_the_last_refresh() {
    let client = client();
    let (url, pending) = login(&client).redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "resource"), BOTH);
    let (request, mut tokens) = redeemed(&client, stored(&pending));
    assert_eq!(values(request.body(), "resource"), BOTH);
    for n in 0..3 {
        let body = format!(r#"{{"access_token":"{n}","token_type":"Bearer"}}"#);
        let (request, renewed) = run(client.refresh(&stored(&tokens)).unwrap(), 200, &body);
        assert_eq!(values(request.body(), "resource"), BOTH, "refresh {n}");
        tokens = renewed;
    }
}

#[test]
fn through_a_push() {
    let client = client();
    let body = r#"{"request_uri":"urn:x","expires_in":60}"#;
    let (request, (url, pending)) = run(login(&client).push(), 201, body);
    assert_eq!(values(request.body(), "resource"), BOTH);
    assert!(values(url.query().unwrap(), "resource").is_empty(), "it is in what was pushed");
    let (request, tokens) = redeemed(&client, stored(&pending));
    assert_eq!(values(request.body(), "resource"), BOTH);
    let mut refresh = client.refresh(&tokens).unwrap();
    let request = refresh.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(request.body(), "resource"), BOTH);
}

#[test]
fn for_the_client_itself() {
    let body = r#"{"access_token":"first","token_type":"Bearer"}"#;
    let (request, _) = run(client().credentials().resource(CALENDAR).resource(CONTACTS), 200, body);
    assert_eq!(values(request.body(), "resource"), BOTH);
}

/// Encoded as any value is, and decoded to the very text: servers compare text.
#[test]
fn it_is_sent_as_it_was_given() {
    for resource in ["https://RS.example.com:443/a/../b?x=y&z=%2F+", "urn:example:a%20b", "https://rs.example.com"] {
        let client = client();
        let (url, pending) = client.authorize().resource(resource).redirect(NOW, &mut Octets::appendix_b()).unwrap();
        assert_eq!(values(url.query().unwrap(), "resource"), [resource]);
        let (request, _) = redeemed(&client, stored(&pending));
        assert_eq!(values(request.body(), "resource"), [resource]);
    }
}

/// It has a method of its own, so it cannot be an extra parameter of any request.
#[test]
fn it_is_no_extra_parameter() {
    let client = client();
    let (_, pending) = login(&client).redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let (_, tokens) = redeemed(&client, pending);
    let mut octets = Octets::appendix_b();
    for refused in [
        client.authorize().param("resource", CALENDAR).redirect(NOW, &mut octets).map(drop),
        client.authorize().param("resource", CALENDAR).push().next_request(NOW, &mut octets).map(drop),
        client.refresh(&tokens).unwrap().param("resource", CALENDAR).next_request(NOW, &mut octets).map(drop),
        client.credentials().param("resource", CALENDAR).next_request(NOW, &mut octets).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Usage(Usage::OwnedParameter(name))) if name == "resource"));
    }
}
