//! RFC 8252, Native Apps: the sentences that bind a client which opens no browser and listens on no port itself.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Callback, Client, Error, Usage};

mod support;

use support::{NOW, Octets, STATE, client, server, values};

fn redirecting_to(redirect_uri: &str) -> Result<Client, Error> {
    Client::builder(server(), "s6BhdRkqt3").redirect_uri(redirect_uri).build()
}

/// Section 6: "Public native app clients MUST implement the Proof Key for Code Exchange (PKCE [RFC7636]) extension to
/// OAuth".
#[test]
fn s6_a_public_client_uses_pkce() {
    let (url, _) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "code_challenge").len(), 1);
}

/// Section 7.1: "apps MUST use a URI scheme based on a domain name under their control, expressed in reverse order".
#[test]
fn s7_1_a_private_scheme_is_a_domain_name_reversed() {
    for good in ["com.example.app:/oauth2redirect/example-provider", "com.example.app://cb"] {
        assert!(redirecting_to(good).is_ok(), "{good}");
    }
    for bad in [
        "com.:/cb",
        "com..example:/cb",
        "com.example.app:cb",
        "myapp://cb",
        "myapp:/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///cb",
        "vbscript:x",
    ] {
        assert!(matches!(redirecting_to(bad), Err(Error::Usage(Usage::RedirectUri(_)))), "{bad}");
    }
}

/// Section 7.1: "When the browser or another app attempts to load a URI with a private-use URI scheme, the app that
/// registered it is launched to handle the request", and is given the whole URI.
#[test]
fn s7_1_the_application_is_given_the_uri() {
    let redirect_uri = "com.example.app:/oauth2redirect/example-provider";
    let client = redirecting_to(redirect_uri).unwrap();
    for (given, fits) in [
        (redirect_uri, true),
        ("com.example.app:/oauth2redirect/another", false),
        ("com.example.other:/oauth2redirect/example-provider", false),
        ("https://com.example.app/oauth2redirect/example-provider", false),
    ] {
        let (_, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
        let callback = Callback::parse(&format!("{given}?code=SplxlOBeZQQYbYS6WxSbIA&state={STATE}")).unwrap();
        assert_eq!(pending.accept(callback).is_ok(), fits, "{given}");
    }
}

/// Section 7.3: "Loopback redirect URIs use the "http" scheme and are constructed with the loopback IP literal and
/// whatever port the client is listening on."
#[test]
fn s7_3_the_port_is_chosen_for_each_login() {
    for port in [1024, 51004, 65535] {
        for loopback in [format!("http://127.0.0.1:{port}/cb"), format!("http://[::1]:{port}")] {
            let login = client().authorize().redirect_uri(&loopback);
            let (url, pending) = login.redirect(NOW, &mut Octets::appendix_b()).unwrap();
            assert_eq!(values(url.query().unwrap(), "redirect_uri"), [loopback.as_str()]);
            assert_eq!(pending.redirect_uri(), loopback);
        }
    }
}

/// Section 8.3: "Loopback interface redirect URIs use the "http" scheme (i.e., without Transport Layer Security (TLS))",
/// and no other `http` URIs do: where a host is loopback is told by the host, not by its looks.
#[test]
fn s8_3_plain_http_is_for_loopback_only() {
    for elsewhere in [
        "http://client.example.com/cb",
        "http://127.0.0.1.example.com/cb",
        "http://localhost.example.com/cb",
        "http://192.168.0.1/cb",
        "http://0.0.0.0/cb",
        "http://[::2]/cb",
    ] {
        let said = redirecting_to(elsewhere).expect_err(elsewhere).to_string();
        assert_eq!(said, "redirect_uri must be https, or http on a loopback host", "{elsewhere}");
    }
}
