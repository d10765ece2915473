//! RFC 9207, Issuer Identification: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Callback, CallbackError, Client, CodeGrant, Error, Pending, Server, Violation};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, STATE};

const ISSUER: &str = "https://honest.as.example";

/// A login at a server of this issuer.
fn pending(promised: bool) -> Pending {
    let mut server = Server::new("https://honest.as.example/authorize", "https://honest.as.example/token");
    server.issuer = Some(ISSUER.to_owned());
    server.authorization_response_iss_parameter_supported = promised;
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("a client");
    client.authorize().redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

fn accept(promised: bool, query: &str) -> Result<CodeGrant, Error> {
    pending(promised).accept(Callback::parse(&format!("{query}&state={STATE}")).expect("a callback"))
}

/// Section 2.4: "Clients that support this specification MUST extract the value of the iss parameter from authorization
/// responses they receive if the parameter is present."
#[test]
fn s2_4_iss_is_looked_at_wherever_it_is() {
    for promised in [true, false] {
        let refused = accept(promised, &format!("code={CODE}&iss=https%3A%2F%2Fevil.as.example"));
        assert!(matches!(refused, Err(Error::Violation(Violation::Issuer))), "promised: {promised}");
    }
    let twice = Callback::parse(&format!("code={CODE}&iss={ISSUER}&iss={ISSUER}"));
    assert!(matches!(twice, Err(Error::Callback(CallbackError::Repeated("iss")))));
}

/// Section 2.4: "Clients MUST then decode the value from its "application/x-www-form-urlencoded" form according to
/// Appendix B of [RFC6749] and compare the result to the issuer identifier of the authorization server where the
/// authorization request was sent to."
#[test]
fn s2_4_iss_is_decoded_once() {
    for same in ["https%3A%2F%2Fhonest.as.example", "https://honest.as.example", "https%3a%2f%2fhonest%2Eas.example"] {
        assert!(accept(true, &format!("code={CODE}&iss={same}")).is_ok(), "{same}");
    }
    for other in ["https%253A%252F%252Fhonest.as.example", "https://honest.as.example+", "+https://honest.as.example"] {
        let refused = accept(true, &format!("code={CODE}&iss={other}"));
        assert!(matches!(refused, Err(Error::Violation(Violation::Issuer))), "{other}");
    }
}

/// Section 2.4: "This comparison MUST use simple string comparison as defined in Section 6.2.1 of [RFC3986]."
#[test]
fn s2_4_iss_is_compared_as_text() {
    for alike in [
        "https://honest.as.example/",
        "https://honest.as.example:443",
        "https://HONEST.as.example",
        "HTTPS://honest.as.example",
        "https://honest.as.example/.",
        "https://honest.as.example?",
        "https://honest.as.example%23",
        "https://honest%252Eas.example",
        "https://user@honest.as.example",
        "https://honest.as.example.",
        "https://honest.as.exampl",
    ] {
        let refused = accept(true, &format!("code={CODE}&iss={alike}"));
        assert!(matches!(refused, Err(Error::Violation(Violation::Issuer))), "{alike}");
    }
}

/// Section 2.4: "If the value does not match the expected issuer identifier, clients MUST reject the authorization
/// response and MUST NOT proceed with the authorization grant."
#[test]
fn s2_4_without_the_right_iss_there_is_no_grant() {
    let refused = accept(false, &format!("code={CODE}&iss=https://evil.as.example"));
    let said = refused.expect_err("no grant").to_string();
    assert_eq!(
        said,
        "the answer comes from another issuer than was asked; they are compared letter by letter, a slash at the end included"
    );
}

/// Section 2.4: "For error responses, clients MUST NOT assume that the error originates from the intended authorization
/// server."
#[test]
fn s2_4_the_error_of_another_issuer_is_not_told() {
    let refused = accept(false, "error=access_denied&error_description=Canary&iss=https://evil.as.example");
    let error = refused.expect_err("no grant");
    assert!(matches!(error, Error::Violation(Violation::Issuer)));
    assert!(!format!("{error} {error:?}").contains("Canary"));
    let believed = accept(false, &format!("error=access_denied&iss={ISSUER}"));
    assert!(matches!(believed, Err(Error::Server(error)) if error.code.as_str() == "access_denied"));
}

/// Section 2.4: "clients MUST retain state about whether each authorization server supports the iss parameter."
#[test]
fn s2_4_the_promise_is_kept_with_the_login() {
    let stored = serde_json::to_string(&pending(true)).expect("JSON");
    let restored: Pending = serde_json::from_str(&stored).expect("a login");
    let refused = restored.accept(Callback::parse(&format!("code={CODE}&state={STATE}")).expect("a callback"));
    assert!(matches!(refused, Err(Error::Violation(Violation::IssuerMissing))));
}

/// Section 2.4: "Clients MUST reject authorization responses without the iss parameter from authorization servers that do
/// support the parameter according to the client's configuration."
#[test]
fn s2_4_a_promised_iss_may_not_be_missing() {
    for query in [format!("code={CODE}"), format!("code={CODE}&iss="), "error=access_denied".to_owned()] {
        assert!(matches!(accept(true, &query), Err(Error::Violation(Violation::IssuerMissing))), "{query}");
    }
}

/// Section 2.4: "clients that support this specification MAY accept authorization responses that do not contain the iss
/// parameter".
#[test]
fn s2_4_an_iss_that_was_not_promised_may_be_missing() {
    assert!(accept(false, &format!("code={CODE}")).is_ok());
}

/// Section 3: "If omitted, the default value is false."
#[test]
fn s3_metadata_without_the_flag_promises_nothing() {
    let json = r#"{"issuer":"https://a.example","token_endpoint":"https://a.example/t"}"#;
    let server: Server = serde_json::from_str(json).expect("metadata");
    assert!(!server.authorization_response_iss_parameter_supported);
    for wrong in [r#""true""#, "1", "{}", "[]"] {
        let json = format!(r#"{{"token_endpoint":"https://a.example/t",{FLAG}:{wrong}}}"#);
        assert!(serde_json::from_str::<Server>(&json).is_err(), "{wrong}");
    }
}

const FLAG: &str = r#""authorization_response_iss_parameter_supported""#;

/// Section 4: "the client MUST ensure that the accepted iss values are unique for each authorization server", so a server
/// that promises `iss` needs an issuer that it can be compared with.
#[test]
fn s4_a_promise_without_an_issuer_cannot_be_checked() {
    let mut server = support::server();
    server.authorization_response_iss_parameter_supported = true;
    assert!(Client::builder(server, "s6BhdRkqt3").build().is_err());
}
