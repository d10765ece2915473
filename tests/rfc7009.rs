//! RFC 7009, Token Revocation: the sentences that bind a client, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use std::time::Duration;

use proofkey_core::{Authentication, Client, Error, ErrorCode, Exchange, Remedy, Revocation, Step, Tokens};

mod support;

use support::{NOW, Octets, client_at_all_endpoints, outcome, pairs, request, response, server, stored, values};

fn public() -> Client {
    client_at_all_endpoints(Authentication::none())
}

/// Tokens of which both may be revoked.
fn both() -> Tokens {
    stored(r#","refresh_token":"45ghiukldjahdnhzdauz""#)
}

fn revocation(tokens: &Tokens) -> Revocation {
    public().revoke(tokens).expect("a revocation")
}

/// Section 2: "Implementations MUST support the revocation of refresh tokens and SHOULD support the revocation of access
/// tokens".
#[test]
fn s2_both_are_revoked() {
    let mut exchange = revocation(&both());
    let mut sent = Vec::new();
    loop {
        let request = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
        sent.extend(values(request.body(), "token"));
        match exchange.handle_response(response(200, &[], "")).unwrap() {
            Step::Again { after } => assert_eq!(after, Duration::ZERO),
            Step::Done(()) => break,
        }
    }
    assert_eq!(sent, ["45ghiukldjahdnhzdauz", "mF_9.B5f-4.1JqM"]);
}

/// Section 2: "The client MUST verify that the URL is an HTTPS URL."
#[test]
fn s2_the_endpoint_is_https() {
    for (endpoint, fits) in [
        ("https://as.example.com/revoke", true),
        ("http://127.0.0.1/revoke", true),
        ("http://as.example.com/revoke", false),
        ("//as.example.com/revoke", false),
        ("https://as.example.com/revoke#x", false),
    ] {
        let mut server = server();
        server.revocation_endpoint = Some(endpoint.to_owned());
        assert_eq!(Client::builder(server, "id").build().is_ok(), fits, "{endpoint}");
    }
}

/// Section 2: "This URL MAY include a query component."
#[test]
fn s2_the_query_of_the_endpoint_is_retained() {
    let mut server = server();
    server.revocation_endpoint = Some("https://as.example.com/revoke?tenant=a%20b".to_owned());
    let client = Client::builder(server, "s6BhdRkqt3").build().unwrap();
    assert_eq!(request(client.revoke(&both()).unwrap()).uri(), "https://as.example.com/revoke?tenant=a%20b");
}

/// Section 2.1: "The client constructs the request by including the following parameters using the
/// "application/x-www-form-urlencoded" format in the HTTP request entity-body: token REQUIRED. The token that the client
/// wants to get revoked. token_type_hint OPTIONAL. A hint about the type of the token submitted for revocation."
#[test]
fn s2_1_the_request() {
    let client = client_at_all_endpoints(Authentication::basic("7Fjfp0ZBr1KtDRbnfVdmIw"));
    let sent = request(client.revoke(&both()).unwrap());
    assert_eq!((sent.method().as_str(), sent.uri().to_string().as_str()), ("POST", "https://as.example.com/revoke"));
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    // The example, but for the case of the header's name.
    assert_eq!(sent.body().as_ref(), b"token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token");
    assert_eq!(sent.headers()["authorization"], "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
    let sent = request(client.revoke(&stored("")).unwrap());
    assert_eq!(sent.body().as_ref(), b"token=mF_9.B5f-4.1JqM&token_type_hint=access_token");
}

/// Section 2.1: "The client also includes its authentication credentials as described in Section 2.3. of [RFC6749]."
#[test]
fn s2_1_the_client_authenticates_or_names_itself() {
    let named = |authentication| {
        let client = client_at_all_endpoints(authentication);
        let sent = request(client.revoke(&both()).unwrap());
        let names: Vec<_> = pairs(sent.body().as_ref()).into_iter().map(|(name, _)| name).skip(2).collect();
        (names.join(" "), sent.headers().contains_key("authorization"))
    };
    assert_eq!(named(Authentication::none()), ("client_id".to_owned(), false));
    assert_eq!(named(Authentication::post("secret")), ("client_id client_secret".to_owned(), false));
    assert_eq!(named(Authentication::basic("secret")), (String::new(), true));
}

/// Section 2.2: "The authorization server responds with HTTP status code 200 if the token has been revoked successfully or if
/// the client submitted an invalid token."
#[test]
fn s2_2_success_is_a_200() {
    assert!(outcome(revocation(&stored("")), 200, &[], "").is_ok());
    for status in [201, 202, 204, 206, 302] {
        assert!(outcome(revocation(&stored("")), status, &[], "").is_err(), "{status}");
    }
}

/// Section 2.2: "The content of the response body is ignored by the client as all necessary information is conveyed in the
/// response code."
#[test]
fn s2_2_the_body_is_ignored() {
    for body in ["{}", "<html>", r#"{"error":"invalid_token"}"#, r#"{"error":"#, "\u{0}", "[1]"] {
        assert!(outcome(revocation(&stored("")), 200, &[], body).is_ok(), "{body}");
    }
}

/// Section 2.2.1: "The error presentation conforms to the definition in Section 5.2 of [RFC6749]."
#[test]
fn s2_2_1_errors_are_those_of_the_token_endpoint() {
    for (status, code, remedy) in [
        (401, "invalid_client", Remedy::FixConfiguration),
        (400, "invalid_request", Remedy::FixConfiguration),
        (400, "unauthorized_client", Remedy::FixConfiguration),
        (400, "something_else", Remedy::Report),
    ] {
        let error = outcome(revocation(&both()), status, &[], format!(r#"{{"error":"{code}"}}"#)).unwrap_err();
        assert_eq!(error.remedy(), remedy);
        assert!(matches!(error, Error::Server(error) if error.code.as_str() == code), "{code}");
    }
}

/// Section 2.2.1: "unsupported_token_type The authorization server does not support the revocation of the presented token
/// type. That is, the client tried to revoke an access token on a server not supporting this feature."
#[test]
fn s2_2_1_an_unsupported_type() {
    let body = r#"{"error":"unsupported_token_type"}"#;
    let error = outcome(revocation(&stored("")), 400, &[], body).unwrap_err();
    assert!(matches!(&error, Error::Server(error) if error.code == ErrorCode::UNSUPPORTED_TOKEN_TYPE));
    assert_eq!(error.remedy(), Remedy::FixConfiguration);
    // For the refresh token it is no less an error; behind it, there is nothing more to be had.
    assert!(outcome(revocation(&both()), 400, &[], body).is_err());
    let mut exchange = revocation(&both());
    let _first = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(matches!(exchange.handle_response(response(200, &[], "")), Ok(Step::Again { .. })));
    let _second = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(matches!(exchange.handle_response(response(400, &[], body)), Ok(Step::Done(()))));
}

/// Section 2.2.1: "If the server responds with HTTP status code 503, the client must assume the token still exists and may
/// retry after a reasonable delay. The server may include a "Retry-After" header in the response to indicate how long the
/// service is expected to be unavailable to the requesting client."
#[test]
fn s2_2_1_an_outage() {
    for (headers, remedy) in [
        (&[][..], Remedy::TryLater(None)),
        (&[("retry-after", "120")], Remedy::TryLater(Some(Duration::from_secs(120)))),
        (&[("retry-after", "Thu, 01 Jan 2026 00:01:00 GMT")], Remedy::TryLater(Some(Duration::from_secs(60)))),
    ] {
        assert_eq!(outcome(revocation(&both()), 503, headers, "").unwrap_err().remedy(), remedy);
    }
}
