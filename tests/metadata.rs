//! The ways in which a server's metadata can lie or be useless, each with its own sentence; and what the quirks forgive of
//! it, and what not.

use std::time::Duration;

use proofkey_core::{Client, Discovery, Error, MAX_BODY, Miss, Quirks, Remedy, Server, Usage, Violation};
use serde_json::{Value, json};

mod known;
mod support;

use known::{ISSUER, JSON, found, metadata, metadata_with, missing, told, walk};
use support::response;

const ENDPOINTS: [&str; 6] = [
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
];

/// A browser would run it, a server would be sent to it, or two parsers would read two hosts.
#[test]
fn an_endpoint_that_nobody_should_be_sent_to() {
    for (url, why) in [
        ("http://as.example.com/x", "must be https, or http on a loopback host"),
        ("http://10.0.0.1/x", "must be https, or http on a loopback host"),
        ("http://127.0.0.1.as.example.com/x", "must be https, or http on a loopback host"),
        ("javascript:alert(1)//as.example.com", "must be an https URI"),
        ("JavaScript:alert(1)", "must be an https URI"),
        ("data:text/html,<script>alert(1)</script>", "must be an https URI"),
        ("file:///etc/passwd", "must be an https URI"),
        ("app.example:/x", "must be an https URI"),
        ("https://user:pw@as.example.com/x", "must not have a user name or password"),
        ("https://as.example.com@evil.example/x", "must not have a user name or password"),
        ("https://as.example.com/x#", "must not have a fragment"),
        ("https://as.example.com/x#code=y", "must not have a fragment"),
        ("https://as.example.com\\@evil.example/x", "must not have a backslash"),
        ("https:\\\\as.example.com/x", "must not have a backslash"),
        ("https:/as.example.com/x", "must have a host after \"https://\""),
        ("https:as.example.com/x", "must have a host after \"https://\""),
        ("https:///as.example.com/x", "must have a host after \"https://\""),
        ("//as.example.com/x", "must be an absolute URI"),
        ("/x", "must be an absolute URI"),
        ("", "must be an absolute URI"),
        (" https://as.example.com/x", "must be ASCII without spaces and control characters"),
        ("https://as.example.com/x\n", "must be ASCII without spaces and control characters"),
        ("https://as.exam\tple.com/x", "must be ASCII without spaces and control characters"),
        ("https://as\u{3002}example.com/x", "must be ASCII without spaces and control characters"),
        ("https://2130706433/x", "must write its host in the usual form"),
        ("https://0x7f.1/x", "must write its host in the usual form"),
        ("https://%61s.example.com/x", "must write its host in the usual form"),
        ("https://as.example.com/x?state=fixed", "must not have a query with parameters that a request sets"),
        (
            "https://as.example.com/x?tenant=1&client%5Fid=other",
            "must not have a query with parameters that a request sets",
        ),
    ] {
        for name in ENDPOINTS {
            let error = told(&metadata_with(name, json!(url))).expect_err(url);
            assert!(matches!(error, Error::Violation(Violation::Metadata(_, _))), "{name}: {url}: {error:?}");
            assert_eq!(error.to_string(), format!("the server's {name} {why}"), "{url}");
            assert_eq!(error.remedy(), Remedy::Report);
            assert!(!format!("{error:?}").contains("pw"), "{error:?}");
        }
    }
    for name in ENDPOINTS {
        assert!(told(&metadata_with(name, json!("https://elsewhere.example:8443/x?tenant=1"))).is_ok(), "{name}");
    }
}

/// The same document from a cache or by hand is the caller's mistake, in the same words but for whose.
#[test]
fn a_stored_server_is_vetted_as_one_that_was_found() {
    let stored = metadata_with("token_endpoint", json!("http://as.example.com/token")).to_string();
    let server: Server = serde_json::from_str(&stored).unwrap();
    let error = Client::builder(server, "s6BhdRkqt3").build().unwrap_err();
    assert!(matches!(error, Error::Usage(Usage::Endpoint("token_endpoint", _))));
    assert_eq!(error.to_string(), "token_endpoint must be https, or http on a loopback host");
}

/// Wrong types where they matter fail closed, whatever else the document says.
#[test]
fn a_member_of_the_wrong_type() {
    let texts = [json!(1), json!(true), json!(["https://as.example.com/x"]), json!({})];
    let flags = [json!("true"), json!("false"), json!(1), json!(0), json!([])];
    let lists =
        [json!("code S256 none"), json!({ "0": "S256" }), json!([1]), json!([["S256"]]), json!([null]), json!(1)];
    let rows = [
        (["issuer"].iter().chain(&ENDPOINTS).copied().collect::<Vec<_>>(), texts.to_vec()),
        (
            vec!["authorization_response_iss_parameter_supported", "require_pushed_authorization_requests"],
            flags.to_vec(),
        ),
        (
            vec![
                "token_endpoint_auth_methods_supported",
                "response_types_supported",
                "code_challenge_methods_supported",
            ],
            lists.to_vec(),
        ),
    ];
    for (names, values) in rows {
        for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
            let error = told(&metadata_with(name, value.clone())).expect_err(name);
            let said = format!("{name} in the server's answer has the wrong type or value");
            assert_eq!(error.to_string(), said, "{value}");
        }
    }
}

/// What cannot be written with [`metadata_with`].
#[test]
fn a_member_that_is_null_or_stands_twice() {
    let with = |text: &str| {
        let body = metadata_with("token_endpoint", Value::Null).to_string().replacen('{', &format!("{{{text},"), 1);
        walk(Discovery::new(ISSUER), [response(200, &[JSON], body)]).result
    };
    let token = r#""token_endpoint":"https://as.example.com/token""#;
    let flag = "require_pushed_authorization_requests";
    for (text, said) in [
        (r#""token_endpoint":null"#.to_owned(), "the server's answer has no token_endpoint"),
        (format!("{token},{token}"), "the server's answer has token_endpoint more than once"),
        (
            format!(r#"{token},"token\u005fendpoint":"https://evil.example""#),
            "the server's answer has token_endpoint more than once",
        ),
        (format!(r#"{token},"issuer":"{ISSUER}""#), "the server's answer has issuer more than once"),
        (format!(r#"{token},"{flag}":true,"{flag}":false"#), &format!("the server's answer has {flag} more than once")),
    ] {
        assert_eq!(with(&text).expect_err(&text).to_string(), said, "{text}");
    }
    for fits in [flag, "revocation_endpoint", "introspection_endpoint", "scopes_supported", "example"] {
        assert!(with(&format!(r#"{token},"{fits}":null"#)).is_ok(), "{fits}");
    }
}

/// Nothing could be asked of such a server, or not safely.
#[test]
fn a_server_that_cannot_do_it() {
    let lists = "code_challenge_methods_supported";
    let pushed = "pushed_authorization_request_endpoint";
    let must_push = {
        let mut document = metadata_with(pushed, Value::Null);
        document["require_pushed_authorization_requests"] = json!(true);
        document
    };
    for (document, said) in [
        (metadata_with("issuer", Value::Null), "the server's answer has no issuer"),
        (metadata_with("token_endpoint", Value::Null), "the server's answer has no token_endpoint"),
        (metadata_with(lists, json!(["plain"])), "the server's code_challenge_methods_supported does not list S256"),
        (metadata_with(lists, json!([])), "the server's code_challenge_methods_supported does not list S256"),
        (metadata_with(lists, json!(["s256"])), "the server's code_challenge_methods_supported does not list S256"),
        (
            metadata_with("response_types_supported", json!(["token", "id_token"])),
            "the server's response_types_supported does not list code",
        ),
        (
            metadata_with("response_types_supported", json!([])),
            "the server's response_types_supported does not list code",
        ),
        (must_push, "the server's answer has no pushed_authorization_request_endpoint"),
        (json!({}), "the server's answer has no token_endpoint"),
    ] {
        let error = told(&document).expect_err(said);
        assert!(matches!(error, Error::Violation(_)), "{error:?}");
        assert_eq!(error.to_string(), said);
    }
    // One for machines only has nowhere for a browser to go; that shows when somebody logs in.
    let machines = told(&metadata_with("authorization_endpoint", Value::Null)).unwrap();
    let client = Client::builder(machines, "s6BhdRkqt3").redirect_uri(support::REDIRECT_URI).build().unwrap();
    let refused = client.authorize().redirect(support::NOW, &mut support::Octets::appendix_b()).unwrap_err();
    assert_eq!(refused.to_string(), "the server has no authorization_endpoint");
}

/// Answers that end the search in the first place: the next would be a guess.
#[test]
fn an_answer_that_ends_the_search() {
    let whole = metadata().to_string();
    let redirect = |status| response(status, &[("Location", "https://evil.example/metadata")], "");
    for (answer, said) in [
        (redirect(301), "the server answered with a redirect (HTTP 301), which is never followed"),
        (redirect(302), "the server answered with a redirect (HTTP 302), which is never followed"),
        (redirect(303), "the server answered with a redirect (HTTP 303), which is never followed"),
        (redirect(307), "the server answered with a redirect (HTTP 307), which is never followed"),
        (redirect(308), "the server answered with a redirect (HTTP 308), which is never followed"),
        (response(304, &[], ""), "the server answered with a redirect (HTTP 304), which is never followed"),
        (response(201, &[JSON], whole.clone()), "the server answered HTTP 201 without an error code"),
        (response(202, &[JSON], whole.clone()), "the server answered HTTP 202 without an error code"),
        (response(204, &[], ""), "the server answered HTTP 204 without an error code"),
        (response(206, &[JSON], whole.clone()), "the server answered HTTP 206 without an error code"),
        (response(200, &[JSON], &whole[..whole.len() - 1]), "the server's answer is not a JSON object"),
        (response(200, &[JSON], format!("{whole} x")), "the server's answer is not a JSON object"),
        (response(200, &[JSON], format!("[{whole}]")), "the server's answer is not a JSON object"),
        (response(200, &[JSON], "null"), "the server's answer is not a JSON object"),
        (response(200, &[JSON], ""), "the server's answer is not a JSON object"),
        (response(200, &[JSON], "<html>Log in</html>"), "the server's answer is not a JSON object"),
        (
            response(200, &[("Content-Type", "application/json; charset=utf-8")], b"{\"issuer\":\"\xFF\"}".to_vec()),
            "the server's answer is not a JSON object",
        ),
        (
            response(200, &[JSON], [whole.as_bytes(), &vec![b' '; MAX_BODY]].concat()),
            "the server's answer is longer than 1048576 bytes",
        ),
    ] {
        let status = answer.status();
        let walk = walk(Discovery::new(ISSUER), [answer]);
        assert_eq!(walk.asked.len(), 1, "{status}");
        assert_eq!(walk.refusal(), said, "{status}");
    }
}

/// A server that is down or busy: another document might say something else, so the search ends, and may be begun again.
#[test]
fn a_server_that_is_down_or_busy() {
    for (status, headers, said, delay) in [
        (500, &[][..], "the server refused: server_error (HTTP 500)", None),
        (502, &[], "the server refused: temporarily_unavailable (HTTP 502)", None),
        (503, &[("Retry-After", "120")], "the server refused: temporarily_unavailable (HTTP 503)", Some(120)),
        (
            503,
            &[("Retry-After", "Thu, 01 Jan 2026 00:01:00 GMT")],
            "the server refused: temporarily_unavailable (HTTP 503)",
            Some(60),
        ),
        (429, &[("Retry-After", "3")], "the server refused: temporarily_unavailable (HTTP 429)", Some(3)),
        (408, &[], "the server refused: temporarily_unavailable (HTTP 408)", None),
        (425, &[], "the server refused: temporarily_unavailable (HTTP 425)", None),
    ] {
        // Also where the second place is busy, after a first that has nothing.
        for missed in [0, 1] {
            let answers = (0..missed).map(|_| missing()).chain([response(status, headers, "<h1>Sorry</h1>")]);
            let error = walk(Discovery::new(ISSUER), answers).result.unwrap_err();
            assert_eq!(error.to_string(), said);
            assert_eq!(error.remedy(), Remedy::TryLater(delay.map(Duration::from_secs)), "{status}");
        }
    }
}

/// A page for people is no document, and no reason to give up: one real server answers every unknown path with its login.
#[test]
fn a_login_page_in_a_documents_place() {
    for (headers, body) in [
        (&[("Content-Type", "text/html; charset=utf-8")][..], "<!DOCTYPE html><h1>Log in</h1>"),
        (&[("Content-Type", "text/html")], ""),
        (&[("Content-Type", "text/plain")], "Not Found"),
        (&[], "Not Found"),
        (&[("Content-Type", "text/html")], "[1]"),
    ] {
        let walk = walk(Discovery::new(ISSUER), [response(200, headers, body), found(&metadata())]);
        assert_eq!(walk.asked.len(), 2, "{body}");
        assert!(walk.result.is_ok(), "{body}");
    }
}

/// Whoever reads the log learns of every place, and what it said.
#[test]
fn nothing_anywhere() {
    let page = response(200, &[("Content-Type", "text/html")], "<h1>Log in</h1>");
    let forbidden = response(403, &[], "");
    let walk = walk(Discovery::new("https://as.example.com/t"), [page, missing(), forbidden]);
    let Err(Error::Violation(Violation::NoMetadata(missed))) = &walk.result else { panic!("{walk:?}") };
    let miss = |status: u16, url: &str| Miss { url: url.to_owned(), status: status.try_into().unwrap() };
    assert_eq!(
        *missed,
        [
            miss(200, "https://as.example.com/.well-known/oauth-authorization-server/t"),
            miss(404, "https://as.example.com/.well-known/openid-configuration/t"),
            miss(403, "https://as.example.com/t/.well-known/openid-configuration"),
        ]
    );
    assert_eq!(
        walk.refusal(),
        "there is no metadata: \
         200 at https://as.example.com/.well-known/oauth-authorization-server/t; \
         404 at https://as.example.com/.well-known/openid-configuration/t; \
         403 at https://as.example.com/t/.well-known/openid-configuration"
    );
}

/// After its end, and out of turn, an exchange says so and asks nobody.
#[test]
fn out_of_turn() {
    use proofkey_core::Exchange;
    let mut octets = support::Octets::new([]);
    let is_usage = |result: Result<(), Error>| matches!(result, Err(Error::Usage(Usage::OutOfTurn)));
    assert!(is_usage(Discovery::new(ISSUER).handle_response(missing()).map(drop)));
    let mut discovery = Discovery::new(ISSUER);
    drop(discovery.next_request(support::NOW, &mut octets).unwrap());
    assert!(is_usage(discovery.next_request(support::NOW, &mut octets).map(drop)));
    assert!(discovery.handle_response(response(302, &[], "")).is_err());
    assert!(is_usage(discovery.next_request(support::NOW, &mut octets).map(drop)));
    assert!(is_usage(discovery.handle_response(missing()).map(drop)));
}

/// What the metadata says in place of what was asked for, and whether it is forgiven.
fn forgiven(quirks: Quirks, asked: &str, says: &str) -> Option<Server> {
    walk(Discovery::new(asked).quirks(quirks), [found(&metadata_with("issuer", json!(says)))]).result.ok()
}

/// `issuer_with_trailing_slash` forgives one slash at the end, either way, and the metadata's own text counts from then on.
#[test]
fn a_trailing_slash_and_no_more() {
    let quirks = Quirks::none().issuer_with_trailing_slash();
    for (asked, says) in [
        ("https://as.example.com", "https://as.example.com/"),
        ("https://as.example.com/", "https://as.example.com"),
        ("https://as.example.com/t", "https://as.example.com/t/"),
        ("https://as.example.com/t", "https://as.example.com/t"),
    ] {
        let server = forgiven(quirks, asked, says).expect(says);
        assert_eq!(server.issuer.as_deref(), Some(says));
        assert_eq!(forgiven(Quirks::none(), asked, says).is_some(), asked == says);
        // The same text comes back as `iss`, and the asked one does not pass for it.
        let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(support::REDIRECT_URI).quirks(quirks);
        let client = client.build().unwrap();
        for (iss, passes) in [(says, true), (asked, asked == says)] {
            let (_, pending) = client.authorize().redirect(support::NOW, &mut support::Octets::appendix_b()).unwrap();
            let query = format!("code={}&state={}&iss={iss}", support::CODE, support::STATE);
            let accepted = pending.accept(proofkey_core::Callback::parse(&query).unwrap());
            assert_eq!(accepted.is_ok(), passes, "{iss}");
        }
    }
    for says in [
        "https://as.example.com//",
        "https://as.example.com/t",
        "https://AS.example.com/",
        "https://as.example.com:443/",
        "http://as.example.com/",
        "https://as.example.com./",
        "https://as.example.com.evil.example/",
        "https://as.example.com?/",
        "https://{tenant}.example.com",
        "/",
        "",
    ] {
        assert!(forgiven(quirks, ISSUER, says).is_none(), "{says}");
    }
}

/// `issuer_template` lets one placeholder stand for one segment of the path; never the host, nor anything else.
#[test]
fn a_template_for_a_tenant_and_no_more() {
    let quirks = Quirks::none().issuer_template();
    let asked = "https://login.example.com/common/v2.0";
    for says in [
        "https://login.example.com/{tenantid}/v2.0",
        "https://login.example.com/{}/v2.0",
        "https://login.example.com/com{x}/v2.0",
        asked,
    ] {
        let server = forgiven(quirks, asked, says).expect(says);
        assert_eq!(server.issuer.as_deref(), Some(asked), "the asked text is kept");
        assert_eq!(forgiven(Quirks::none(), asked, says).is_some(), says == asked);
    }
    for says in [
        "https://{host}/common/v2.0",
        "https://{host}.example.com/common/v2.0",
        "https://login.{domain}/common/v2.0",
        "{issuer}",
        "https:/{rest}",
        "{scheme}//login.example.com/common/v2.0",
        "https://login.example.com/{rest}",
        "https://login.example.com/{tenant}",
        "https://login.example.com/{tenant}/",
        "https://login.example.com/{tenant}/v1.0",
        "https://login.example.com/common{tenant}/v2.0",
        "https://login.example.com/{a}/{b}",
        "https://login.example.com/{tenant/v2.0",
        "https://login.example.com/tenant}/v2.0",
        "https://evil.example/{tenant}/v2.0",
        "https://login.example.com.evil.example/{tenant}/v2.0",
        "https://LOGIN.example.com/{tenant}/v2.0",
        "https://login.example.com/other/v2.0",
        "https://login.example.com/common/v2.0/",
    ] {
        assert!(forgiven(quirks, asked, says).is_none(), "{says}");
    }
}

/// `danger_allow_http` is about the scheme only.
#[test]
fn plain_http_where_it_was_allowed() {
    let plain = "http://as.test";
    let document = json!({ "issuer": plain, "token_endpoint": "http://as.test/token" });
    assert!(walk(Discovery::new(plain).danger_allow_http(), [found(&document)]).result.is_ok());
    assert!(walk(Discovery::new(plain), []).result.is_err());
    for (url, why) in [
        ("javascript:alert(1)", "must be an https URI"),
        ("http://user@as.test/token", "must not have a user name or password"),
        ("http://as.test/token#x", "must not have a fragment"),
        ("http://2130706433/token", "must write its host in the usual form"),
    ] {
        let document = json!({ "issuer": plain, "token_endpoint": url });
        let refused = walk(Discovery::new(plain).danger_allow_http(), [found(&document)]).refusal();
        assert_eq!(refused, format!("the server's token_endpoint {why}"), "{url}");
    }
    let other = json!({ "issuer": "https://as.test", "token_endpoint": "http://as.test/token" });
    assert!(walk(Discovery::new(plain).danger_allow_http(), [found(&other)]).result.is_err());
}

/// A server elsewhere has no business on this machine; one on this machine has.
#[test]
fn endpoints_on_this_machine_are_for_issuers_on_it() {
    let said = "the server's token_endpoint names this machine";
    for local in [
        "http://127.0.0.1:6379/x",
        "https://localhost./x",
        "https://any.name.localhost/x",
        "https://0.0.0.0/x",
        "https://[::]/x",
        "https://[::ffff:7f00:1]/x",
    ] {
        let document = metadata_with("token_endpoint", json!(local));
        let refused = walk(Discovery::new(ISSUER), [response(200, &[JSON], document.to_string())]).refusal();
        assert_eq!(refused, said, "{local}");
    }
    let issuer = "http://127.0.0.1:8080";
    let own = json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token") });
    assert!(walk(Discovery::new(issuer), [response(200, &[JSON], own.to_string())]).result.is_ok());
}
