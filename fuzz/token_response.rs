//! Whatever a token endpoint answers: tokens are those of the answer, usable and stored as they are; errors print none of
//! what was sent.
#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use oracle::{
    Counting, NOW, ORIGIN, assert_over, assert_request, assert_silent, clients, member, members, response, told,
};
use proofkey_core::{Exchange, Step, Tokens};
use serde_json::Value;

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    let Ok(status) = StatusCode::from_u16(200 + status % 400) else { return };
    for (client, forgiving) in clients().iter().zip([false, false, true]) {
        let mut exchange = oracle::exchange(client);
        let request = exchange.next_request(NOW, &mut Counting(0)).expect("the fixture is valid");
        assert_request(&request, &[ORIGIN]);
        let sent = oracle::secrets(&request);
        match exchange.handle_response(response(status, &[], body)) {
            Ok(Step::Done(tokens)) => {
                assert!(status == 200 || (forgiving && status.is_success()));
                if let Some(members) = members(body) {
                    check(&tokens, &members, forgiving);
                } else {
                    assert!(forgiving, "only a form is no object");
                }
                assert!(http::HeaderValue::from_str(tokens.access_token().expose()).is_ok());
                // A scope is the server's word and no secret, whatever it repeats in it.
                let scope = tokens.scope().map(|scope| format!("{scope:?}")).unwrap_or_default();
                let printed = format!("{tokens:?}").replace(&scope, "");
                assert_silent(&printed, sent.iter().map(String::as_str));
                let secrets = [Some(tokens.access_token()), tokens.refresh_token(), tokens.id_token()];
                for secret in secrets.into_iter().flatten().filter(|secret| secret.expose().contains("anary")) {
                    assert!(!printed.contains(secret.expose()));
                }
                let kept = serde_json::to_string(&tokens).expect("tokens can be stored");
                let back: Tokens = serde_json::from_str(&kept).expect("and read back");
                assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
            }
            Ok(Step::Again { .. }) => panic!("a code is sent once"),
            Err(error) => assert_silent(&told(&error), sent.iter().map(String::as_str)),
        }
        assert_over(&mut exchange);
    }
});

/// RFC 6749 section 5.1, read once more.
fn check(tokens: &Tokens, members: &[(String, Box<serde_json::value::RawValue>)], forgiving: bool) {
    let text = |name| match member(members, name) {
        Some(Value::String(text)) => Some(text),
        None => None,
        Some(_) => panic!("{name} is not text"),
    };
    assert_eq!(text("access_token").as_deref(), Some(tokens.access_token().expose()));
    match text("token_type") {
        Some(kind) => assert!(kind.eq_ignore_ascii_case("bearer")),
        None => assert!(forgiving),
    }
    assert!(member(members, "error").is_none(), "a token beside an error");
    assert_eq!(text("refresh_token").as_deref(), tokens.refresh_token().map(|token| token.expose()));
    assert_eq!(text("id_token").as_deref(), tokens.id_token().map(|token| token.expose()));
    let lifetime = member(members, "expires_in").and_then(|value| match value {
        Value::String(text) => serde_json::from_str(&text).ok(),
        number => number.as_f64(),
    });
    match (lifetime, tokens.expires_at()) {
        (Some(lifetime), Some(at)) => {
            let expected = (NOW.as_secs() as f64 + lifetime.floor()).min(i64::MAX as f64);
            assert!((at.as_secs() as f64 - expected).abs() <= expected * 1e-9, "{lifetime} ends at {at:?}");
        }
        (Some(lifetime), None) => panic!("{lifetime} is forgotten"),
        // Beyond what the other parser holds.
        (None, _) => {}
    }
}
