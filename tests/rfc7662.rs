//! RFC 7662, Token Introspection: the sentences that bind who asks, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Authentication, Client, Error, Introspection, Remedy, TokenState, UnixTime, Violation};

mod support;

use support::{NOW, client_at_all_endpoints, outcome, request, server, values};

fn asking() -> Introspection {
    client_at_all_endpoints(Authentication::basic("secret")).introspect(&"mF_9.B5f-4.1JqM".into())
}

fn told(body: &str) -> Result<TokenState, Error> {
    outcome(asking(), 200, &[("content-type", "application/json")], body)
}

/// Section 2: "The introspection endpoint MUST be protected by a transport-layer security mechanism as described in
/// Section 4."
#[test]
fn s2_the_endpoint_is_https() {
    for (endpoint, fits) in [
        ("https://as.example.com/introspect", true),
        ("http://[::1]:8080/introspect", true),
        ("http://as.example.com/introspect", false),
        ("as.example.com/introspect", false),
    ] {
        let mut server = server();
        server.introspection_endpoint = Some(endpoint.to_owned());
        assert_eq!(Client::builder(server, "id").build().is_ok(), fits, "{endpoint}");
    }
}

/// Section 2.1: "The protected resource calls the introspection endpoint using an HTTP POST [RFC7231] request with parameters
/// sent as "application/x-www-form-urlencoded" data".
#[test]
fn s2_1_the_request_is_posted() {
    let sent = request(asking());
    assert_eq!(
        (sent.method().as_str(), sent.uri().to_string().as_str()),
        ("POST", "https://as.example.com/introspect")
    );
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(sent.headers()["accept"], "application/json");
}

/// Section 2.1: "token REQUIRED. The string value of the token."
#[test]
fn s2_1_the_token() {
    let client = client_at_all_endpoints(Authentication::basic("secret"));
    for token in ["mF_9.B5f-4.1JqM", "a&active=true", "a b+c/d=", "é\n\0"] {
        let sent = request(client.introspect(&token.into()));
        assert_eq!(values(sent.body(), "token"), [token]);
    }
}

/// Section 2.1: "To prevent token scanning attacks, the endpoint MUST also require some form of authorization to access this
/// endpoint".
#[test]
fn s2_1_the_client_authenticates() {
    assert!(request(asking()).headers().contains_key("authorization"));
    let post = client_at_all_endpoints(Authentication::post("7Fjfp0ZBr1KtDRbnfVdmIw"));
    let sent = request(post.introspect(&"a".into()));
    assert_eq!(values(sent.body(), "client_secret"), ["7Fjfp0ZBr1KtDRbnfVdmIw"]);
}

/// Section 2.2: "active REQUIRED. Boolean indicator of whether or not the presented token is currently active."
#[test]
fn s2_2_active_is_a_boolean() {
    assert!(told(r#"{"active":true}"#).unwrap().is_active());
    assert!(!told(r#"{"active":false}"#).unwrap().is_active());
    for missing in ["{}", r#"{"active":null}"#, r#"{"username":"jdoe"}"#] {
        assert!(matches!(told(missing), Err(Error::Violation(Violation::Missing("active")))), "{missing}");
    }
    for other in [r#""true""#, r#""false""#, "1", "0", "[]", "{}", "[true]", r#""""#] {
        let answer = told(&format!(r#"{{"active":{other}}}"#));
        assert!(matches!(answer, Err(Error::Violation(Violation::Invalid("active")))), "{other}");
    }
}

/// Section 2.2: "scope OPTIONAL. A JSON string containing a space-separated list of scopes associated with this token, in the
/// format described in Section 3.3 of OAuth 2.0 [RFC6749]."
#[test]
fn s2_2_the_scope() {
    let state = told(r#"{"active":true,"scope":"read write dolphin"}"#).unwrap();
    assert_eq!(state.scope().unwrap().iter().collect::<Vec<_>>(), ["read", "write", "dolphin"]);
    assert!(told(r#"{"active":true}"#).unwrap().scope().is_none());
}

/// Section 2.2: "exp OPTIONAL. Integer timestamp, measured in the number of seconds since January 1 1970 UTC, indicating when
/// this token will expire, as defined in JWT [RFC7519]."
#[test]
fn s2_2_the_expiry() {
    let state = told(r#"{"active":true,"exp":1419356238}"#).unwrap();
    assert_eq!(state.expires_at(), Some(UnixTime::from_secs(1_419_356_238)));
    assert!(state.is_active() && !state.is_valid_at(NOW));
    assert!(state.is_valid_at(UnixTime::from_secs(1_419_356_237)));
    assert!(!state.is_valid_at(UnixTime::from_secs(1_419_356_238)));
    let endless = told(r#"{"active":true}"#).unwrap();
    assert!(endless.expires_at().is_none() && endless.is_valid_at(UnixTime::from_secs(u64::MAX)));
}

/// Section 2.2: "Specific implementations MAY extend this structure with their own service-specific response names as
/// top-level members of this JSON object."
#[test]
fn s2_2_other_members_are_kept() {
    let body = r#"{"active":true,"username":"jdoe","extension_field":"twenty-seven","iat":1419350238,"aud":["a","b"]}"#;
    let state = told(body).unwrap();
    assert_eq!(state.extra().names(), ["username", "extension_field", "iat", "aud"]);
    assert_eq!(state.extra().get::<String>("extension_field").as_deref(), Some("twenty-seven"));
    assert_eq!(state.extra().get::<Vec<String>>("aud").unwrap(), ["a", "b"]);
}

/// Section 2.2: "If the introspection call is properly authorized but the token is not active, does not exist on this server,
/// or the protected resource is not allowed to introspect this particular token, then the authorization server MUST return
/// an introspection response with the "active" field set to "false"." That is an answer, and no error.
#[test]
fn s2_2_an_inactive_token_is_no_error() {
    let state = told(r#"{"active":false,"sub":"x","exp":99999999999,"scope":"admin"}"#).unwrap();
    assert!(!state.is_active() && !state.is_valid_at(UnixTime::from_secs(0)));
    assert!(state.subject().is_none() && state.expires_at().is_none() && state.scope().is_none());
}

/// Section 2.3: "If the protected resource uses OAuth 2.0 client credentials to authenticate to the introspection endpoint
/// and its credentials are invalid, the authorization server responds with an HTTP 401 (Unauthorized) as described in
/// Section 5.2 of OAuth 2.0 [RFC6749]."
#[test]
fn s2_3_a_refusal_is_not_an_inactive_token() {
    for body in [r#"{"error":"invalid_client"}"#, r#"{"error":"invalid_client","active":false}"#] {
        let error = outcome(asking(), 401, &[], body).unwrap_err();
        assert_eq!(error.remedy(), Remedy::FixConfiguration);
        assert!(matches!(error, Error::Server(error) if error.code.as_str() == "invalid_client"));
    }
    for status in [401, 403, 500, 503] {
        assert!(outcome(asking(), status, &[], r#"{"active":true}"#).is_err(), "{status}");
    }
}
