//! Whatever a store hands back as tokens: usable and kept as they are, or none; they go to their own server only.
#![no_main]

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use oracle::{CLIENT_ID, Counting, ISSUER, NOW, ORIGIN, all, assert_request, body, clients, stored};
use proofkey_core::{Error, Exchange, Next, Session, Tokens, UnixTime, Usage};

fuzz_target!(|input: &[u8]| {
    let tokens: Tokens = match serde_json::from_slice(input) {
        Ok(tokens) => tokens,
        // It names a member and shows no value.
        Err(error) => return assert!(!error.to_string().contains("anary")),
    };
    let kept = serde_json::to_string(&tokens).expect("tokens can be stored");
    let back: Tokens = serde_json::from_str(&kept).expect("and read back");
    assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
    assert!(tokens.expires_at().is_none_or(|at| at <= UnixTime::from_secs(u64::MAX)));

    let header = tokens.authorization_header();
    assert_eq!(header, format!("Bearer {}", tokens.access_token().expose()));
    assert!(header.is_sensitive() && !tokens.access_token().expose().trim().is_empty());

    // What is not said may be anybody's.
    let record = serde_json::to_value(&tokens).expect("as before");
    let is_or_unsaid = |name: &str, own: &str| record[name].as_str().is_none_or(|told| told == own);
    let is_own = is_or_unsaid("client_id", CLIENT_ID)
        && match record["issuer"].as_str() {
            Some(issuer) => issuer == ISSUER,
            None => is_or_unsaid("token_endpoint", "https://as.example.com/token"),
        };
    let [_, basic, post] = clients();
    match basic.refresh(&tokens) {
        Ok(mut refresh) => {
            let request = refresh.next_request(NOW, &mut Counting(0)).expect("a request");
            assert!(is_own);
            assert_request(&request, &[ORIGIN]);
            assert_eq!(all(&body(&request), "refresh_token"), [stored(&tokens, "refresh_token")]);
        }
        Err(Error::Usage(Usage::OtherServer | Usage::OtherClient)) => {
            assert!(!is_own)
        }
        Err(Error::Usage(Usage::NoRefreshToken)) => assert!(tokens.refresh_token().is_none()),
        Err(error) => panic!("{error}"),
    }
    if let Ok(mut revocation) = post.revoke(&tokens) {
        assert!(is_own);
        assert_request(&revocation.next_request(NOW, &mut Counting(0)).expect("a request"), &[ORIGIN]);
    }
    for place in ["https://api.example.com/a?b=c", "http://127.0.0.1:8080/", "http://api.example.com/"] {
        let mut call = post.call(&tokens, Request::get(place).body(()).expect("a request"));
        match call.next_request(NOW, &mut Counting(0)) {
            Ok(request) => {
                assert!(is_own && !place.starts_with("http://api"));
                assert_eq!(request.headers().get("authorization"), Some(&header));
                assert!(request.headers().get("authorization").is_some_and(HeaderValue::is_sensitive));
            }
            Err(_) => assert!(!is_own || place.starts_with("http://api")),
        }
    }
    // At every edge of their life, a session knows what to do.
    if let Ok(mut session) = Session::new(post.clone(), back) {
        let edge = tokens.expires_at().map_or(0, UnixTime::as_secs);
        for now in [0, edge.saturating_sub(91), edge.saturating_sub(1), edge, edge.saturating_add(1), u64::MAX] {
            let now = UnixTime::from_secs(now);
            let is_over = tokens.expires_at().is_some_and(|at| now >= at);
            assert_eq!(session.usable(now).is_none(), is_over);
            match session.next(now, &mut Counting(0)) {
                Next::Use(_) => assert!(!is_over),
                Next::LogIn => assert!(is_over && tokens.refresh_token().is_none()),
                Next::Refresh(..) | Next::Wait => assert!(tokens.refresh_token().is_some()),
                Next::Later(_) => panic!("nothing has failed"),
            }
        }
    }
});
