//! RFC 6750, Bearer Token Usage: the sentences that bind a client, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use http::{HeaderMap, Request};
use proofkey_core::{Authentication, BearerChallenge, Challenge, Error, ErrorCode, Exchange, Session, Usage};

mod support;

use support::{NOW, Octets, client, client_at_all_endpoints, outcome, request, response, stored};

const RESOURCE: &str = "https://server.example.com/resource";

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).expect("a request")
}

/// What this header asks of a bearer token.
fn bearer(header: &str) -> Option<BearerChallenge> {
    let headers: HeaderMap = [(http::header::WWW_AUTHENTICATE, header.parse().expect("a value"))].into_iter().collect();
    Challenge::bearer(&headers)
}

/// Section 2: "Clients MUST NOT use more than one method to transmit the token in each request."
#[test]
fn s2_one_method() {
    let twice = Request::get(RESOURCE).header("authorization", "Bearer other").body(()).unwrap();
    for request in [twice, get("https://server.example.com/resource?access_token=mF_9.B5f-4.1JqM&p=q")] {
        let refused = client().call(&stored(""), request).next_request(NOW, &mut Octets::appendix_b());
        assert!(matches!(refused, Err(Error::Usage(Usage::SecondCredential))), "{refused:?}");
    }
}

/// Section 2.1: "Clients SHOULD make authenticated requests with a bearer token using the "Authorization" request header
/// field with the "Bearer" HTTP authorization scheme."
#[test]
fn s2_1_the_header() {
    // The example.
    let sent = request(client().call(&stored(""), get(RESOURCE)));
    assert_eq!((sent.method().as_str(), sent.uri().to_string().as_str()), ("GET", RESOURCE));
    assert_eq!(sent.headers().len(), 1);
    assert_eq!(sent.headers()["authorization"], "Bearer mF_9.B5f-4.1JqM");
    assert!(sent.headers()["authorization"].is_sensitive());

    let mut by_hand = get(RESOURCE);
    stored("").authorize(&mut by_hand).unwrap();
    assert_eq!(by_hand.headers(), sent.headers());
    assert_eq!(stored("").authorization_header(), sent.headers()["authorization"]);
}

/// Section 2.1: "credentials = "Bearer" 1*SP b64token": the scheme is ours, however the server spelled the token's type.
#[test]
fn s2_1_the_scheme_is_spelled_as_it_is_registered() {
    for spelled in ["bearer", "BEARER", "Bearer"] {
        let tokens = stored(&format!(r#","token_type":"{spelled}""#));
        assert_eq!(tokens.authorization_header(), "Bearer mF_9.B5f-4.1JqM");
    }
}

/// Section 2.2: the token is not put into the body, which is the application's.
#[test]
fn s2_2_the_body_stays_as_it_is() {
    let form = Request::post(RESOURCE).header("content-type", "application/x-www-form-urlencoded").body("p=q").unwrap();
    let sent = request(client().call(&stored(""), form));
    assert_eq!(sent.body().as_ref(), b"p=q");
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
}

/// Section 2.3: "Because of the security weaknesses associated with the URI method (see Section 5), including the high
/// likelihood that the URL containing the access token will be logged, it SHOULD NOT be used".
#[test]
fn s2_3_the_token_is_not_in_the_uri() {
    for url in [RESOURCE, "https://server.example.com/resource?p=q", "https://server.example.com"] {
        let sent = request(client().call(&stored(""), get(url))).uri().to_string();
        assert!(!sent.contains("mF_9") && sent.starts_with(url), "{sent}");
    }
}

/// Section 3: "All challenges defined by this specification MUST use the auth-scheme value "Bearer"."
#[test]
fn s3_the_scheme() {
    for others in [r#"Basic realm="Bearer", Digest error="invalid_token""#, "DPoP error=invalid_token", "BearerX a=b"] {
        assert_eq!(bearer(others), None, "{others}");
    }
    for header in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(bearer(header), Some(BearerChallenge::default()), "{header}");
    }
}

/// Section 3: "The "realm" attribute MUST NOT appear more than once.", "The "scope" attribute MUST NOT appear more than
/// once." and "The "error", "error_description", and "error_uri" attributes MUST NOT appear more than once."
#[test]
fn s3_what_stands_twice_is_not_believed() {
    let header = |name: &str| format!(r#"Bearer {name}="a", Other=x, {name}="b", kept=y"#);
    let twice = |name: &str| bearer(&header(name)).unwrap();
    assert_eq!(twice("realm").realm, None);
    assert_eq!(twice("scope").scope, None);
    assert_eq!(twice("error").error, None);
    assert_eq!(twice("error_description").error_description, None);
    assert_eq!(twice("resource_metadata").resource_metadata, None);
}

/// Section 3: "The "scope" attribute is a space-delimited list of case-sensitive scope values indicating the required scope
/// of the access token for accessing the requested resource."
#[test]
fn s3_the_scope_is_a_list() {
    // The examples.
    let scope = bearer(r#"Bearer scope="openid profile email""#).unwrap().scope.unwrap();
    assert_eq!(scope.iter().collect::<Vec<_>>(), ["openid", "profile", "email"]);
    assert!(!scope.contains("OpenID"));
    let scope = bearer(r#"Bearer scope="urn:example:channel=HBO&urn:example:rating=G,PG-13""#).unwrap().scope.unwrap();
    assert_eq!(scope.iter().collect::<Vec<_>>(), ["urn:example:channel=HBO&urn:example:rating=G,PG-13"]);
}

/// Section 3: a scope "MUST NOT include characters outside the set %x21 / %x23-5B / %x5D-7E for representing scope values
/// and %x20 for delimiters between scope values", and an error none outside "%x20-21 / %x23-5B / %x5D-7E".
#[test]
fn s3_the_characters() {
    for byte in 0x20..0x7F_u8 {
        let quoted = format!("a\\{}", char::from(byte));
        let read = bearer(&format!(r#"Bearer scope="{quoted}", error="{quoted}""#)).unwrap();
        let fits = !matches!(byte, b'"' | b'\\');
        assert_eq!(read.scope.is_some(), fits, "{quoted}");
        assert_eq!(read.error.is_some(), fits, "{quoted}");
    }
}

/// Section 3: the examples.
#[test]
fn s3_the_examples() {
    let unauthenticated = bearer(r#"Bearer realm="example""#).unwrap();
    assert_eq!((unauthenticated.realm.as_deref(), unauthenticated.error), (Some("example"), None));
    let header = r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#;
    let expired = bearer(header).unwrap();
    assert_eq!(expired.realm.as_deref(), Some("example"));
    assert_eq!(expired.error, Some(ErrorCode::INVALID_TOKEN));
    assert_eq!(expired.error_description.as_deref(), Some("The access token expired"));
}

/// Section 3.1: "invalid_token The access token provided is expired, revoked, malformed, or invalid for other reasons. The
/// resource SHOULD respond with the HTTP 401 (Unauthorized) status code. The client MAY request a new access token and retry
/// the protected resource request."
#[test]
fn s3_1_an_invalid_token_is_told_from_all_else() {
    for (status, header, rejected) in [
        (401, r#"Bearer error="invalid_token""#, true),
        (401, r#"Basic realm="x", bearer realm="y", Error=invalid_token"#, true),
        (403, r#"Bearer error="invalid_token""#, false),
        (400, r#"Bearer error="invalid_token""#, false),
        (200, r#"Bearer error="invalid_token""#, false),
        (401, r#"Bearer error="invalid_request""#, false),
        (401, r#"Bearer error="insufficient_scope""#, false),
        (401, r#"Bearer realm="example""#, false),
        (401, r#"Basic error="invalid_token""#, false),
        (401, r#"Bearer realm="x", error_description="error=\"invalid_token\"""#, false),
        (401, r#"Bearer x-error="invalid_token""#, false),
        (401, r#"Bearer error="invalid_token", error="invalid_request""#, false),
        (401, r#"error="invalid_token""#, false),
    ] {
        let response = response(status, &[("www-authenticate", header)], "");
        assert_eq!(Session::is_rejection(&response), rejected, "{status} {header}");
    }
}

/// Section 3.1: "insufficient_scope The request requires higher privileges than provided by the access token. The resource
/// server SHOULD respond with the HTTP 403 (Forbidden) status code and MAY include the "scope" attribute with the scope
/// necessary to access the protected resource."
#[test]
fn s3_1_insufficient_scope_names_what_is_needed() {
    let needed = bearer(r#"Bearer error="insufficient_scope", scope="photos videos""#).unwrap();
    assert_eq!(needed.error, Some(ErrorCode::INSUFFICIENT_SCOPE));
    assert_eq!(needed.scope.unwrap().as_str(), "photos videos");
}

/// Section 3.1: "When a request fails, the resource server responds using the appropriate HTTP status code (typically, 400,
/// 401, 403, or 405)": each is an answer, with all that is in it, and the application's to judge.
#[test]
fn s3_1_every_answer_comes_back() {
    for status in [200, 204, 206, 301, 302, 307, 400, 401, 403, 405, 429, 500, 503] {
        let headers = [("www-authenticate", "Bearer realm=a"), ("www-authenticate", "Basic realm=b"), ("x", "y")];
        let answer = outcome(client().call(&stored(""), get(RESOURCE)), status, &headers, "{\"error\":1}").unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!((answer.headers().len(), answer.body().as_slice()), (3, &b"{\"error\":1}"[..]));
    }
}

/// Section 4: the example of an answer with a bearer token.
#[test]
fn s4_the_example() {
    let body = r#"{"access_token":"mF_9.B5f-4.1JqM","token_type":"Bearer","expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}"#;
    let client = client_at_all_endpoints(Authentication::basic("secret"));
    let tokens = outcome(client.credentials(), 200, &[("cache-control", "no-store")], body).unwrap();
    assert_eq!(tokens.authorization_header(), "Bearer mF_9.B5f-4.1JqM");
}

/// Section 5.3: "Always use TLS (https): Clients MUST always use TLS [RFC5246] (https) or equivalent transport security when
/// making requests with bearer tokens." What stays on this machine is on no wire.
#[test]
fn s5_3_tls_always() {
    for (url, sent) in [
        ("https://server.example.com/", true),
        ("https://192.0.2.1:8443/", true),
        ("http://127.0.0.1:8080/", true),
        ("http://[::1]/", true),
        ("http://localhost/", true),
        ("http://server.example.com/", false),
        ("http://localhost.example.com/", false),
        ("http://127.0.0.1.example.com/", false),
        ("http://0.0.0.0/", false),
        ("http://192.168.1.1/", false),
        ("ftp://server.example.com/", false),
    ] {
        let made = client().call(&stored(""), get(url)).next_request(NOW, &mut Octets::appendix_b());
        assert_eq!(made.is_ok(), sent, "{url}: {made:?}");
        assert_eq!(stored("").authorize(&mut get(url)).is_ok(), sent, "{url}");
    }
}

/// Section 5.3: "Safeguard bearer tokens: Client implementations MUST ensure that bearer tokens are not leaked to unintended
/// parties, as they will be able to use them to gain access to protected resources."
#[test]
fn s5_3_a_redirect_is_not_followed() {
    let mut call = client().call(&stored(""), get(RESOURCE));
    let _request = call.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    let answer = call.handle_response(response(307, &[("location", "https://evil.example/")], ""));
    assert!(matches!(answer, Ok(proofkey_core::Step::Done(answer)) if answer.status().as_u16() == 307));
    assert!(matches!(call.next_request(NOW, &mut Octets::appendix_b()), Err(Error::Usage(Usage::OutOfTurn))));
}
