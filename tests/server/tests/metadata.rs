//! What the server says of itself, and where it says nothing.

mod client;

use client::{authorization_url, get, post};
use proofkey_test_server::{Documents, RegisteredClient, TestServer};
use serde_json::json;

#[test]
fn the_two_documents_are_the_same() {
    let server = TestServer::start().expect("a port is free");
    let (oauth, openid) = (get(&server.metadata_url(), None), get(&server.openid_configuration_url(), None));
    assert_eq!((oauth.status, openid.status), (200, 200));
    assert_eq!(oauth.json(), openid.json());
    assert_eq!(oauth.json()["require_pushed_authorization_requests"], false);
    assert_eq!(oauth.json()["protected_resources"], json!([server.resource()]));
}

#[test]
fn documents_may_be_missing() {
    for (documents, oauth, openid) in [
        (Documents::Both, true, true),
        (Documents::OnlyOAuth, true, false),
        (Documents::OnlyOpenId, false, true),
        (Documents::Neither, false, false),
    ] {
        let server = TestServer::builder().documents(documents).start().expect("a port is free");
        for (url, there) in [(server.metadata_url(), oauth), (server.openid_configuration_url(), openid)] {
            assert_eq!(get(&url, None).status, if there { 200 } else { 404 }, "{documents:?}: {url}");
        }
        let builder = TestServer::builder().documents(documents).login_page_for_missing_documents();
        let server = builder.start().expect("a port is free");
        for (url, there) in [(server.metadata_url(), oauth), (server.openid_configuration_url(), openid)] {
            let answer = get(&url, None);
            assert_eq!((answer.status, answer.body.starts_with("<!DOCTYPE html>")), (200, !there), "{url}");
        }
    }
}

#[test]
fn the_resource_describes_itself() {
    let server = TestServer::start().expect("a port is free");
    let metadata = get(&server.resource_metadata_url(), None).json();
    assert_eq!(metadata["resource"], server.resource());
    assert_eq!(metadata["authorization_servers"], json!([server.issuer()]));
    assert_eq!(metadata["scopes_supported"], json!(["photos", "profile", "offline_access"]));
}

#[test]
fn a_server_may_take_pushed_requests_only() {
    let server = TestServer::builder().require_pushed_authorization_requests().start().expect("a port is free");
    assert_eq!(get(&server.metadata_url(), None).json()["require_pushed_authorization_requests"], true);
    let client = RegisteredClient::PUBLIC;
    let open = authorization_url(&server, client, &[]);
    let page = server.person().open(&open).expect("the server answers");
    assert_eq!((page.status, page.location), (400, None));

    let url = url::Url::parse(&open).expect("a URL");
    let pairs: Vec<_> = url.query_pairs().filter(|(name, _)| name != "client_id").collect();
    let form: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let pushed = post(&server.pushed_authorization_request_endpoint(), client, &form);
    let query = [("client_id", client.id), ("request_uri", &pushed.text("request_uri"))];
    let url = url::Url::parse_with_params(&server.authorization_endpoint(), query).expect("a URL");
    assert!(server.person().allow(url.as_str()).contains("code="));
}
