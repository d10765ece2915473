//! RFC 8707, Resource Indicators: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Callback, Error, Exchange, Usage};

mod support;

use support::{CODE, NOW, Octets, STATE, answered, client, values};

const CALENDAR: &str = "https://cal.example.com/";
const CONTACTS: &str = "https://contacts.example.com/app/";

/// Section 2: "Its value MUST be an absolute URI, as specified by Section 4.3 of [RFC3986]. The URI MUST NOT include a
/// fragment component."
#[test]
fn s2_a_resource_is_an_absolute_uri_without_fragment() {
    for (resource, why) in [
        ("cal", "resource must be an absolute URI"),
        ("/app/", "resource must be an absolute URI"),
        ("//cal.example.com/", "resource must be an absolute URI"),
        ("", "resource must be an absolute URI"),
        ("https://cal.example.com/#x", "resource must not have a fragment"),
        ("https://cal.example.com/#", "resource must not have a fragment"),
        ("https://cal.example.com/a b", "resource must be ASCII without spaces and control characters"),
    ] {
        let refused = client().authorize().resource(resource).redirect(NOW, &mut Octets::appendix_b());
        assert!(matches!(&refused, Err(Error::Usage(Usage::Resource(_)))), "{resource:?}");
        assert_eq!(refused.unwrap_err().to_string(), why, "{resource:?}");
    }
    for resource in [CALENDAR, "https://cal.example.com/?tenant=1", "urn:example:calendar"] {
        assert!(client().authorize().resource(resource).redirect(NOW, &mut Octets::appendix_b()).is_ok(), "{resource}");
    }
}

/// Section 2: "Multiple "resource" parameters MAY be used to indicate that the requested token is intended to be used at
/// multiple resources."
#[test]
fn s2_resources_may_be_several() {
    let login = client().authorize().resource(CALENDAR).resource(CONTACTS);
    let (url, _) = login.redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "resource"), [CALENDAR, CONTACTS]);
}

/// Section 2: "invalid_target The requested resource is invalid, missing, unknown, or malformed."
#[test]
fn s2_invalid_target_is_a_mistake_of_ours() {
    let error = answered(&client(), 400, &[], r#"{"error":"invalid_target"}"#).unwrap_err();
    assert_eq!(error.remedy(), proofkey_core::Remedy::FixConfiguration);
}

/// Section 2.2: "When the resource parameter is used on an access token request made to the token endpoint, for all grant
/// types, it indicates the target service or protected resource where the client intends to use the requested access
/// token": the token is asked for what the login was begun for, also after the login was stored.
#[test]
fn s2_2_the_token_request_names_them_again() {
    let client = client();
    let login = client.authorize().resource(CALENDAR).resource(CONTACTS);
    let (_, pending) = login.redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let stored = serde_json::to_string(&pending).unwrap();
    let restored: proofkey_core::Pending = serde_json::from_str(&stored).unwrap();
    let grant = restored.accept(Callback::parse(&format!("code={CODE}&state={STATE}")).unwrap()).unwrap();
    let request = client.exchange(grant).next_request(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(request.body(), "resource"), [CALENDAR, CONTACTS]);
}

/// Section 2.2, "for all grant types": a refresh asks for what the tokens were given for, and so does the one after it.
#[test]
fn s2_2_a_refresh_names_them_again() {
    let resources = format!(r#","refresh_token":"r","resource":["{CALENDAR}","{CONTACTS}"]"#);
    let mut tokens = support::stored(&resources);
    for _ in 0..2 {
        let sent = support::request(client().refresh(&tokens).unwrap());
        assert_eq!(values(sent.body(), "resource"), [CALENDAR, CONTACTS]);
        let body = r#"{"access_token":"a","token_type":"Bearer"}"#;
        tokens = support::outcome(client().refresh(&tokens).unwrap(), 200, &[], body).unwrap();
    }
    let own = support::client_at_all_endpoints(proofkey_core::Authentication::basic("secret"));
    let sent = support::request(own.credentials().resource(CALENDAR).resource(CONTACTS));
    assert_eq!(values(sent.body(), "resource"), [CALENDAR, CONTACTS]);
    assert!(values(support::request(own.credentials()).body(), "resource").is_empty());
}

/// The same of tokens for a device and for the client itself.
#[test]
fn s2_2_the_tokens_of_each_grant_remember_them() {
    let own = support::client_at_all_endpoints(proofkey_core::Authentication::basic("secret"));
    let device =
        r#"{"device_code":"d","user_code":"u","verification_uri":"https://as.example.com/device","expires_in":60}"#;
    let pending = support::outcome(own.device().resource(CALENDAR), 200, &[], device).unwrap();
    let body = r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r"}"#;
    let given = [
        support::outcome(own.credentials().resource(CALENDAR), 200, &[], body),
        support::outcome(own.poll(pending), 200, &[], body),
    ];
    for tokens in given {
        let sent = support::request(own.refresh(&tokens.unwrap()).unwrap());
        assert_eq!(values(sent.body(), "resource"), [CALENDAR]);
    }
}
