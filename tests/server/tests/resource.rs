//! The protected resource: whom it lets in, and how it says no.

mod client;

use std::time::Duration;

use client::{agent, authorization_url, get, post, query, redeem, tokens};
use proofkey_test_server::{RegisteredClient, TestServer};

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

const INVALID: &str = "error=\"invalid_token\"";

#[test]
fn no_token_no_error_code() {
    let server = start();
    let answer = get(&server.resource(), None);
    assert_eq!(answer.status, 401);
    let metadata = format!("{}/.well-known/oauth-protected-resource/resource", server.issuer());
    let challenge = format!("Bearer realm=\"photos\", resource_metadata=\"{metadata}\"");
    assert_eq!((answer.challenge, server.resource_metadata_url()), (Some(challenge), metadata));
}

#[test]
fn an_unknown_token() {
    let server = start();
    let answer = get(&server.resource(), Some("guess"));
    assert_eq!(answer.status, 401);
    assert!(answer.challenge.is_some_and(|c| c.contains(INVALID)));
}

#[test]
fn a_revoked_token() {
    let server = start();
    for client in RegisteredClient::ALL {
        let token = tokens(&server, client).text("access_token");
        assert_eq!(get(&server.resource(), Some(&token)).status, 200);
        let form = [("token", &*token), ("token_type_hint", "access_token")];
        let revoked = post(&server.revocation_endpoint(), client, &form);
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        let answer = get(&server.resource(), Some(&token));
        assert_eq!(answer.status, 401);
        assert!(answer.challenge.is_some_and(|c| c.contains(INVALID)));
    }
}

#[test]
fn revoking_the_refresh_token_ends_the_access_token_too() {
    let server = start();
    let client = RegisteredClient::POST;
    let tokens = tokens(&server, client);
    let form = [("token", &*tokens.text("refresh_token"))];
    assert_eq!(post(&server.revocation_endpoint(), client, &form).status, 200);
    let answer = get(&server.resource(), Some(&tokens.text("access_token")));
    assert_eq!(answer.status, 401);
}

#[test]
fn an_expired_token_by_either_way_of_waiting() {
    let server = start();
    let token = tokens(&server, RegisteredClient::PUBLIC).text("access_token");
    server.advance(Duration::from_secs(3599));
    assert_eq!(get(&server.resource(), Some(&token)).status, 200);
    server.advance(Duration::from_secs(2));
    assert_eq!(get(&server.resource(), Some(&token)).status, 401);

    let server = TestServer::builder().access_token_lifetime(Duration::from_secs(1)).start().expect("a port is free");
    let tokens = tokens(&server, RegisteredClient::PUBLIC);
    assert_eq!(tokens.json()["expires_in"], 1);
    std::thread::sleep(Duration::from_millis(1100));
    let answer = get(&server.resource(), Some(&tokens.text("access_token")));
    assert_eq!(answer.status, 401);
}

#[test]
fn a_token_for_something_else() {
    let server = start();
    let client = RegisteredClient::PUBLIC;
    let url = authorization_url(&server, client, &[("scope", Some("profile"))]);
    let code = query(&server.person().allow(&url))["code"].clone();
    let tokens = redeem(&server, client, &code, client::VERIFIER);
    let answer = get(&server.resource(), Some(&tokens.text("access_token")));
    assert_eq!(answer.status, 403);
    let challenge = answer.challenge.expect("a challenge");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"photos\""), "{challenge}");
    assert!(challenge.contains(&server.resource_metadata_url()), "{challenge}");
}

#[test]
fn a_token_for_another_resource() {
    for must_be_named in [false, true] {
        let builder = TestServer::builder();
        let builder = if must_be_named { builder.require_resource_indicator() } else { builder };
        let server = builder.start().expect("a port is free");
        let client = RegisteredClient::PUBLIC;
        let resource = server.resource();
        for (named, status) in [
            (Some(resource.as_str()), 200),
            (Some("https://elsewhere.example/resource"), 401),
            (Some(&format!("{resource}/")), 401),
            (None, if must_be_named { 401 } else { 200 }),
        ] {
            let url = authorization_url(&server, client, &[("resource", named)]);
            let code = query(&server.person().allow(&url))["code"].clone();
            let tokens = redeem(&server, client, &code, client::VERIFIER);
            let answer = get(&resource, Some(&tokens.text("access_token")));
            assert_eq!(answer.status, status, "{named:?} {must_be_named}");
            assert_eq!(answer.challenge.is_some_and(|challenge| challenge.contains(INVALID)), status == 401);
        }
    }
}

#[test]
fn a_post_is_echoed() {
    let server = start();
    let token = tokens(&server, RegisteredClient::PUBLIC).text("access_token");
    let answer = agent()
        .post(server.resource())
        .header("authorization", format!("bearer {token}"))
        .send("a new photo")
        .expect("the server answers");
    let body = answer.into_body().read_to_string().expect("text");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(json["received"], "a new photo");
    assert_eq!(json["sub"], "alice");
}

#[test]
fn introspection_is_for_a_tokens_own_client() {
    let server = start();
    let token = tokens(&server, RegisteredClient::BASIC).text("access_token");
    let ask = |client| {
        let form = [("token", &*token)];
        post(&server.introspection_endpoint(), client, &form)
    };
    let own = ask(RegisteredClient::BASIC).json();
    assert_eq!((&own["active"], &own["sub"]), (&true.into(), &"alice".into()));
    assert_eq!(ask(RegisteredClient::POST).json()["active"], false);
    let stranger = ask(RegisteredClient::PUBLIC);
    assert_eq!(stranger.error(), (400, "invalid_client".to_owned()));
}
