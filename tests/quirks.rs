//! What each quirk does not forgive. What it does is in `transcripts/quirk_*.http`, and for the metadata in `metadata.rs`.

use http::Response;
use proofkey_core::{
    Authentication, Callback, Client, CodeGrant, Error, ErrorCode, Quirks, Server, TokenType, Tokens, Usage, Violation,
};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, STATE, answered, token_request};

const ISSUER: &str = "https://as.example.com";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn client(quirks: Quirks) -> Client {
    let builder = Client::builder(support::server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
    builder.quirks(quirks).build().expect("a client")
}

fn redeemed(quirks: Quirks, status: u16, body: &str) -> Result<Tokens, Error> {
    answered(&client(quirks), status, &[], body)
}

#[test]
fn none_is_the_default() {
    assert_eq!(Quirks::default(), Quirks::none());
    assert_ne!(Quirks::none().token_type_missing(), Quirks::none());
}

/// A type that is there is still looked at.
#[test]
fn a_missing_token_type_is_not_another() {
    let quirks = Quirks::none().token_type_missing();
    for absent in ["", r#","token_type":null"#, r#","token_type":"""#] {
        let tokens = redeemed(quirks, 200, &format!(r#"{{"access_token":"a"{absent}}}"#)).expect(absent);
        assert_eq!(tokens.token_type(), TokenType::Bearer);
    }
    for (present, said) in [
        (r#""mac""#, "the server's token_type is not Bearer"),
        (r#""N_A""#, "the server's token_type is not Bearer"),
        ("1", "token_type in the server's answer has the wrong type or value"),
        (r#"["Bearer"]"#, "token_type in the server's answer has the wrong type or value"),
    ] {
        let refused = redeemed(quirks, 200, &format!(r#"{{"access_token":"a","token_type":{present}}}"#));
        assert_eq!(refused.expect_err(present).to_string(), said);
    }
    assert!(redeemed(quirks, 200, "{}").is_err(), "the token itself is needed");
}

/// A form is judged as JSON is, and JSON is read as before.
#[test]
fn a_form_is_judged_as_json_is() {
    let quirks = Quirks::none().token_response_form_encoded();
    assert!(redeemed(quirks, 200, r#"{"access_token":"a","token_type":"Bearer"}"#).is_ok());
    assert!(redeemed(quirks, 200, "access_token=a%2Bb&token_type=bearer&expires_in=60").is_ok());
    for (body, said) in [
        ("access_token=a", "the server's answer has no token_type"),
        ("token_type=bearer", "the server's answer has no access_token"),
        ("access_token=&token_type=bearer", "the server's answer has no access_token"),
        ("access_token=a&access_token=b&token_type=bearer", "the server's answer has access_token more than once"),
        ("access_token=a%00b&token_type=bearer", "access_token in the server's answer has the wrong type or value"),
        ("access_token=a&token_type=mac", "the server's token_type is not Bearer"),
        (
            "access_token=a&token_type=bearer&expires_in=-1",
            "expires_in in the server's answer has the wrong type or value",
        ),
        ("<html>Log in</html>", "the server's answer has no access_token"),
        ("{\"access_token\":\"a\"", "the server's answer is not a JSON object"),
        ("", "the server's answer is not a JSON object"),
    ] {
        assert_eq!(redeemed(quirks, 200, body).expect_err(body).to_string(), said, "{body}");
    }
    // GitHub's refusals have status 200. A token beside one is none.
    for beside in ["", "&access_token=a&token_type=bearer"] {
        let body = format!("error=bad_verification_code&error_description=The+code+is+incorrect.{beside}");
        let error = answered(&client(quirks), 200, &[FORM], body).expect_err("a refusal");
        let said = "the server refused: bad_verification_code (HTTP 200): The code is incorrect.";
        assert_eq!(error.to_string(), said);
    }
}

/// Success is one still: a redirect is not, nor an error, whatever its body says.
#[test]
fn success_of_any_kind_is_success() {
    let quirks = Quirks::none().success_of_any_kind();
    let body = r#"{"access_token":"a","token_type":"Bearer"}"#;
    for status in [200, 201, 202, 203, 206] {
        assert!(redeemed(quirks, status, body).is_ok(), "{status}");
    }
    for (status, said) in [
        (302, "the server answered with a redirect (HTTP 302), which is never followed"),
        (304, "the server answered with a redirect (HTTP 304), which is never followed"),
        (400, "the server answered HTTP 400 without an error code"),
        (500, "the server refused: server_error (HTTP 500)"),
    ] {
        assert_eq!(redeemed(quirks, status, body).expect_err(said).to_string(), said);
    }
    assert!(redeemed(quirks, 204, "").is_err());
    let refusal = redeemed(quirks, 201, r#"{"error":"invalid_grant"}"#);
    assert!(matches!(refusal, Err(Error::Server(error)) if error.code == ErrorCode::INVALID_GRANT));
}

fn returned(quirks: Quirks, query: &str) -> Result<CodeGrant, Error> {
    let mut server = support::server();
    server.issuer = Some(ISSUER.to_owned());
    server.authorization_response_iss_parameter_supported = true;
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).quirks(quirks).build()?;
    let (_, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b())?;
    // Through a store, where the login waits.
    let pending: proofkey_core::Pending =
        serde_json::from_str(&serde_json::to_string(&pending).expect("JSON")).expect("what was stored");
    pending.accept(Callback::parse(&format!("{query}&state={STATE}"))?)
}

/// A code without its issuer is a code of nobody's, and an error with another's is that one's.
#[test]
fn iss_may_be_missing_on_errors_only() {
    let quirks = Quirks::none().iss_missing_on_errors();
    let denied = returned(quirks, "error=access_denied");
    assert!(matches!(denied, Err(Error::Server(error)) if error.code == ErrorCode::ACCESS_DENIED));
    let code = returned(quirks, &format!("code={CODE}"));
    assert!(matches!(code, Err(Error::Violation(Violation::IssuerMissing))));
    for other in ["error=access_denied&iss=https://evil.example", &format!("code={CODE}&iss=https://evil.example")] {
        assert!(matches!(returned(quirks, other), Err(Error::Violation(Violation::Issuer))), "{other}");
    }
    assert!(returned(quirks, &format!("code={CODE}&iss={ISSUER}")).is_ok());
    let strict = returned(Quirks::none(), "error=access_denied");
    assert!(matches!(strict, Err(Error::Violation(Violation::IssuerMissing))));
}

/// With a template there is nothing to compare `iss` with, but a promised one must still be there.
#[test]
fn a_template_does_not_make_iss_optional() {
    let quirks = Quirks::none().issuer_template();
    assert!(returned(quirks, &format!("code={CODE}&iss=https://as.example.com/9122040d/v2.0")).is_ok());
    for query in [format!("code={CODE}"), "error=access_denied".to_owned(), format!("code={CODE}&iss=")] {
        assert!(matches!(returned(quirks, &query), Err(Error::Violation(Violation::IssuerMissing))), "{query}");
    }
}

/// Whoever does not decode would part the pair at the first colon.
#[test]
fn an_id_with_a_colon_cannot_go_out_raw() {
    let build = |id: &str, quirks| {
        let builder = Client::builder(support::server(), id).redirect_uri(REDIRECT_URI).quirks(quirks);
        builder.authentication(Authentication::basic("p:q 100%")).build()
    };
    let raw = Quirks::none().basic_not_encoded();
    assert!(matches!(build("a:b", raw), Err(Error::Usage(Usage::ClientId))));
    assert!(build("a:b", Quirks::none()).is_ok());
    let sent = |quirks| token_request(&build("a b", quirks).unwrap()).headers()["authorization"].clone();
    assert_eq!(sent(raw), "Basic YSBiOnA6cSAxMDAl");
    assert_eq!(sent(Quirks::none()), "Basic YSUyMGI6cCUzQXElMjAxMDAlMjU=");
    // The header only: a body is a form everywhere.
    let builder = Client::builder(support::server(), "a b").redirect_uri(REDIRECT_URI).quirks(raw);
    let post = builder.authentication(Authentication::post("p:q 100%")).build().unwrap();
    let body = token_request(&post);
    assert!(str::from_utf8(body.body().as_ref()).unwrap().ends_with("&client_id=a%20b&client_secret=p%3Aq%20100%25"));
}

/// Commas part scope tokens, and nothing else changes.
#[test]
fn commas_part_scope_tokens() {
    let granted = |quirks, scope: &str| {
        let body = serde_json::json!({ "access_token": "a", "token_type": "Bearer", "scope": scope }).to_string();
        redeemed(quirks, 200, &body).map(|tokens| tokens.scope().unwrap().iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let commas = Quirks::none().scope_separated_by_commas();
    for scope in ["a,b", "a, b", "a b", "a,,b,", ",a b,"] {
        assert_eq!(granted(commas, scope).unwrap(), ["a", "b"], "{scope}");
    }
    assert_eq!(granted(Quirks::none(), "a,b").unwrap(), ["a,b"]);
    assert!(granted(commas, "").unwrap().is_empty());
    for odd in ["a\"b", "a\\b", "a\u{fc}"] {
        assert!(granted(commas, odd).is_err(), "{odd}");
    }
}

/// The client's own method is used, listed or not: never another.
#[test]
fn an_unlisted_method_is_not_switched() {
    let mut server: Server = support::server();
    server.token_endpoint_auth_methods_supported = Some(vec!["private_key_jwt".to_owned()]);
    let build = |quirks| {
        let builder = Client::builder(server.clone(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI).quirks(quirks);
        builder.authentication(Authentication::post("7Fjfp0ZBr1KtDRbnfVdmIw")).build()
    };
    let refused = build(Quirks::none()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the client authenticates by client_secret_post, and the server lists private_key_jwt: use one of these, or, where the provider takes yours all the same, Quirks::authentication_unlisted"
    );
    let request = token_request(&build(Quirks::none().authentication_unlisted()).unwrap());
    assert_eq!(support::values(request.body(), "client_secret"), ["7Fjfp0ZBr1KtDRbnfVdmIw"]);
    assert!(request.headers().get("authorization").is_none());
}

/// Being forgiving does not make a client forget what it refuses always.
#[test]
fn all_of_them_together_forgive_no_more() {
    let all = Quirks::none()
        .token_type_missing()
        .token_response_form_encoded()
        .success_of_any_kind()
        .iss_missing_on_errors()
        .basic_not_encoded()
        .scope_separated_by_commas()
        .issuer_with_trailing_slash()
        .issuer_template()
        .authentication_unlisted()
        .verification_url();
    assert!(!format!("{all:?}").contains("false"), "one is missing here");
    let mut server = support::server();
    server.code_challenge_methods_supported = Some(vec!["plain".to_owned()]);
    assert!(Client::builder(server, "s6BhdRkqt3").quirks(all).build().is_err());
    assert!(
        Client::builder(Server::new("http://as.example.com/a", "https://as.example.com/t"), "x")
            .quirks(all)
            .build()
            .is_err()
    );
    let answers: [Response<Vec<u8>>; 4] = [
        support::response(307, &[("Location", "https://evil.example/")], ""),
        support::response(200, &[], r#"{"access_token":"a","error":"invalid_grant"}"#),
        support::response(200, &[], r#"[{"access_token":"a"}]"#),
        support::response(200, &[], r#"{"access_token":["a"]}"#),
    ];
    for answer in answers {
        let (head, body) = answer.into_parts();
        assert!(answered(&client(all), head.status.as_u16(), &[], body).is_err());
    }
    let (_, pending) = client(all).authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(pending.accept(Callback::parse(&format!("code={CODE}&state=another")).unwrap()).is_err());
}
