//! Whole logins by hand, and the ways they are refused.

mod client;

use client::{CHALLENGE, PORT, STATE, VERIFIER, authorization_url, code, get, post, query, redeem, refresh, tokens};
use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};
use serde_json::json;

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

#[test]
fn every_client_logs_in_and_sees_the_photos() {
    let server = start();
    for client in RegisteredClient::ALL {
        let bob = server.person().named("bob <b>");
        let location = bob.allow(&authorization_url(&server, client, &[]));
        assert!(location.starts_with("http://127.0.0.1:8917/callback?"), "{location}");
        let returned = query(&location);
        assert_eq!(returned["state"], STATE);
        assert_eq!(returned["iss"], server.issuer());

        let tokens = redeem(&server, client, &returned["code"], VERIFIER);
        assert_eq!(tokens.status, 200, "{}: {}", client.id, tokens.body);
        assert_eq!(tokens.text("token_type"), "Bearer");
        assert_eq!(tokens.json()["expires_in"], 3600);
        assert!(tokens.json()["refresh_token"].is_string());

        let photos = get(&server.resource(), Some(&tokens.text("access_token")));
        assert_eq!(photos.status, 200);
        assert_eq!(photos.text("sub"), "bob <b>");
        assert_eq!(photos.text("scope"), "photos profile");
        assert_eq!(photos.json()["photos"][0], "harbour.jpg");
    }
}

#[test]
fn metadata_is_served_and_agrees_with_the_handle() {
    let server = start();
    let metadata = get(&server.metadata_url(), None).json();
    for (name, url) in [
        ("issuer", server.issuer().to_owned()),
        ("authorization_endpoint", server.authorization_endpoint()),
        ("token_endpoint", server.token_endpoint()),
        ("revocation_endpoint", server.revocation_endpoint()),
        ("introspection_endpoint", server.introspection_endpoint()),
        ("pushed_authorization_request_endpoint", server.pushed_authorization_request_endpoint()),
        ("device_authorization_endpoint", server.device_authorization_endpoint()),
    ] {
        assert_eq!(metadata[name], url, "{name}");
    }
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
}

#[test]
fn a_denied_login_comes_back_with_state_and_iss() {
    let server = start();
    let url = authorization_url(&server, RegisteredClient::PUBLIC, &[]);
    let returned = query(&server.person().deny(&url));
    assert_eq!(returned["error"], "access_denied");
    assert_eq!(returned["state"], STATE);
    assert_eq!(returned["iss"], server.issuer());
    assert!(!returned.contains_key("code"));
}

/// What may be told to the client is told by redirect, without asking the user.
#[test]
fn faulty_requests_are_redirected_with_their_error() {
    let server = start();
    for (name, value, error) in [
        ("code_challenge", None, "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("scope", Some("photos everything"), "invalid_scope"),
    ] {
        let url = authorization_url(&server, RegisteredClient::PUBLIC, &[(name, value)]);
        let returned = query(&server.person().allow(&url));
        assert_eq!(returned["error"], error, "{name}={value:?}");
        assert_eq!(returned["state"], STATE);
        assert_eq!(returned["iss"], server.issuer());
    }
}

#[test]
fn what_must_not_be_redirected_gets_a_page_with_nothing_to_inject() {
    let server = start();
    let script = "\"><script>alert(1)</script>";
    for (name, value) in [
        ("client_id", script),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:8917/other"),
        ("redirect_uri", "http://localhost:8917/callback"),
        ("redirect_uri", script),
    ] {
        let client = RegisteredClient::POST;
        let url = authorization_url(&server, client, &[(name, Some(value))]);
        let page = server.person().open(&url).expect("the server answers");
        assert_eq!(page.status, 400, "{name}={value}");
        assert_eq!(page.location, None);
        assert!(page.body.contains("<code>invalid_request</code>"), "{}", page.body);
        assert!(!page.body.contains("<script"), "{}", page.body);
    }
}

#[test]
fn any_loopback_port_will_do_for_every_client_and_both_families() {
    let server = start();
    for client in RegisteredClient::ALL {
        for redirect_uri in [
            "http://127.0.0.1:49152/callback",
            "http://[::1]:65535/callback",
            "http://[::1]/callback",
            "http://127.0.0.1/callback",
        ] {
            let change = [("redirect_uri", Some(redirect_uri))];
            let url = authorization_url(&server, client, &change);
            let location = server.person().allow(&url);
            assert!(location.starts_with(&format!("{redirect_uri}?code=")), "{location}");
        }
    }
}

#[test]
fn a_redirect_uri_of_the_tests_own() {
    let callback = "https://app.example/callback?tenant=1";
    let server = TestServer::builder().redirect_uri(callback).start().expect("a port is free");
    let change = [("redirect_uri", Some(callback))];
    let url = authorization_url(&server, RegisteredClient::POST, &change);
    let location = server.person().allow(&url);
    assert!(location.starts_with("https://app.example/callback?tenant=1&code="), "{location}");
    assert!(TestServer::builder().redirect_uri("no URI").start().is_err());
}

#[test]
fn a_code_wants_its_own_verifier_client_and_redirect_uri() {
    let server = start();
    let public = RegisteredClient::PUBLIC;
    let wrong = "a-wrong-verifier-of-the-right-length-0123456789";
    assert_eq!(redeem(&server, public, &code(&server, public), wrong).error(), (400, "invalid_grant".to_owned()));
    assert_eq!(
        redeem(&server, RegisteredClient::POST, &code(&server, public), VERIFIER).error(),
        (400, "invalid_grant".to_owned())
    );
    // `oauth-as` does not count that as a use: who has the verifier may still redeem it.
    let tried = code(&server, public);
    redeem(&server, public, &tried, wrong);
    assert_eq!(redeem(&server, public, &tried, VERIFIER).status, 200);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code(&server, public)),
        ("redirect_uri", &redirect_uri(PORT + 1)),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(post(&server.token_endpoint(), public, &form).error(), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_replayed_code_is_refused_and_its_tokens_die() {
    let server = start();
    let public = RegisteredClient::PUBLIC;
    let code = code(&server, public);
    let tokens = redeem(&server, public, &code, VERIFIER);
    assert_eq!(server.code_replays(), 0);
    assert_eq!(redeem(&server, public, &code, VERIFIER).error(), (400, "invalid_grant".to_owned()));
    assert_eq!(server.code_replays(), 1);
    let photos = get(&server.resource(), Some(&tokens.text("access_token")));
    assert_eq!(photos.status, 401);
}

#[test]
fn wrong_secrets_are_refused() {
    let server = start();
    for client in [RegisteredClient::BASIC, RegisteredClient::POST] {
        let liar = RegisteredClient { secret: Some("guess"), ..client };
        // The liar sends them in the body: a client with a secret may authenticate either way.
        let answer = redeem(&server, liar, &code(&server, client), VERIFIER);
        assert_eq!(answer.error(), (400, "invalid_client".to_owned()));
        assert_eq!(answer.challenge, None);
    }
}

/// > If the client attempted to authenticate via the "Authorization" request header field, the
/// > authorization server MUST respond with an HTTP 401 (RFC 6749 section 5.2)
#[test]
fn a_wrong_header_is_challenged() {
    let server = start();
    let mut answer = client::agent()
        .post(server.token_endpoint())
        .header("authorization", "Basic bm9ib2R5Omd1ZXNz")
        .send_form([("grant_type", "client_credentials")])
        .expect("the server answers");
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].clone();
    assert!(challenge.as_bytes().starts_with(b"Basic realm="));
    let body = answer.body_mut().read_to_string().expect("text");
    assert!(body.contains("\"invalid_client\""), "{body}");
}

#[test]
fn a_page_is_answered_once() {
    let server = start();
    let url = authorization_url(&server, RegisteredClient::PUBLIC, &[]);
    let page = server.person().open(&url).expect("the server answers");
    let (_, ticket) = page.body.split_once("name=\"ticket\" value=\"").expect("a ticket");
    let (ticket, _) = ticket.split_once('"').expect("its end");
    let press = |ticket: &str| {
        let form = [("ticket", ticket), ("user", "alice"), ("decision", "allow")];
        let url = format!("{}/consent", server.issuer());
        client::agent().post(url).send_form(form).expect("an answer")
    };
    assert_eq!(press("forged").status(), 400);
    let pressed = press(ticket);
    assert_eq!(pressed.status(), 303);
    assert_eq!(pressed.headers()["cache-control"], "no-store");
    assert_eq!(press(ticket).status(), 400);
}

#[test]
fn the_page_is_safe_to_show() {
    let server = start();
    let url = authorization_url(&server, RegisteredClient::BASIC, &[]);
    let page = client::agent().get(&url).call().expect("the server answers");
    let headers = page.headers();
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let policy = headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let page = page.into_body().read_to_string().expect("text");
    assert!(!page.contains("<script") && !page.contains("src="), "{page}");
    for told in ["Print Shop", "See your photos", "profile", "http://127.0.0.1:8917/callback"] {
        assert!(page.contains(told), "no {told} in {page}");
    }
}

#[test]
fn pushed_requests() {
    let server = start();
    for client in RegisteredClient::ALL {
        let mut form = vec![
            ("response_type", "code"),
            ("redirect_uri", "http://127.0.0.1:50123/callback"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", STATE),
        ];
        if client == RegisteredClient::BASIC {
            form.push(("client_id", client.id));
        }
        let pushed = post(&server.pushed_authorization_request_endpoint(), client, &form);
        assert_eq!(pushed.status, 201, "{}", pushed.body);
        let url = url::Url::parse_with_params(
            &server.authorization_endpoint(),
            [("client_id", client.id), ("request_uri", &pushed.text("request_uri"))],
        )
        .expect("a URL");
        let returned = query(&server.person().allow(url.as_str()));
        assert_eq!(returned["state"], STATE);
        let again = server.person().open(url.as_str()).expect("the server answers");
        assert_eq!(again.status, 400);
    }
}

#[test]
fn a_code_expires_by_the_servers_clock() {
    let server = start();
    let public = RegisteredClient::PUBLIC;
    let code = code(&server, public);
    server.advance(std::time::Duration::from_secs(61));
    assert_eq!(redeem(&server, public, &code, VERIFIER).error(), (400, "invalid_grant".to_owned()));
}

#[test]
fn refresh_tokens_rotate_and_reuse_ends_the_family() {
    let server = start();
    for (n, client) in (1..).zip(RegisteredClient::ALL) {
        let first = tokens(&server, client).text("refresh_token");
        let second = refresh(&server, client, &first);
        assert_eq!(second.status, 200, "{}", second.body);
        assert_ne!(second.text("refresh_token"), first);
        assert_eq!((server.refreshes(), server.reuses()), (n, n - 1));

        let reused = refresh(&server, client, &first);
        assert_eq!(reused.error(), (400, "invalid_grant".to_owned()));
        assert_eq!((server.refreshes(), server.reuses()), (n, n));
        let orphan = refresh(&server, client, &second.text("refresh_token"));
        assert_eq!(orphan.error(), (400, "invalid_grant".to_owned()));
        let photos = get(&server.resource(), Some(&second.text("access_token")));
        assert_eq!(photos.status, 401);
    }
}

#[test]
fn a_stranger_cannot_refresh() {
    let server = start();
    let token = tokens(&server, RegisteredClient::PUBLIC).text("refresh_token");
    let answer = refresh(&server, RegisteredClient::POST, &token);
    assert_eq!(answer.error(), (400, "invalid_grant".to_owned()));
}

#[test]
fn client_credentials_are_for_those_with_a_secret() {
    let server = start();
    let form = [("grant_type", "client_credentials"), ("scope", "photos")];
    for client in [RegisteredClient::BASIC, RegisteredClient::POST] {
        let answer = post(&server.token_endpoint(), client, &form);
        let photos = get(&server.resource(), Some(&answer.text("access_token")));
        assert_eq!(photos.text("sub"), client.id);
        assert!(answer.json()["refresh_token"].is_null());
    }
    let answer = post(&server.token_endpoint(), RegisteredClient::PUBLIC, &form);
    assert_eq!(answer.error(), (400, "invalid_client".to_owned()));
}

#[test]
fn a_device() {
    let server = start();
    let client = RegisteredClient::PUBLIC;
    let ask = || post(&server.device_authorization_endpoint(), client, &[("scope", "photos")]);
    let poll = |device_code: &str| {
        server.advance(std::time::Duration::from_secs(30));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", device_code)];
        post(&server.token_endpoint(), client, &form)
    };
    let asked = ask();
    let device_code = asked.text("device_code");
    assert_eq!(asked.json()["interval"], 1);
    assert_eq!(poll(&device_code).error().1, "authorization_pending");
    let page = asked.text("verification_uri_complete");
    let page = server.person().open(&page).expect("the server answers");
    assert!(page.body.contains("Photo Viewer"), "{}", page.body);
    server.person().allow_device(&asked.text("user_code").to_lowercase());
    let tokens = poll(&device_code);
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(get(&server.resource(), Some(&tokens.text("access_token"))).status, 200);

    let asked = ask();
    server.person().deny_device(&asked.text("user_code"));
    assert_eq!(poll(&asked.text("device_code")).error().1, "access_denied");

    let nobody = format!("{}?user_code=%22%3E%3Cscript%3E", asked.text("verification_uri"));
    let page = server.person().open(&nobody).expect("the server answers");
    assert_eq!(page.status, 400);
    assert!(!page.body.contains("<script"), "{}", page.body);
}
