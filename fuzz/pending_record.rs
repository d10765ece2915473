//! Whatever a store hands back as a login: it is complete and stays as it is, or it is none; its code goes to its own
//! server only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::{
    CLIENT_ID, CODE, Counting, ISSUER, ORIGIN, all, assert_request, assert_silent, body, clients, encode, stored,
};
use proofkey_core::{Callback, CallbackError, Error, Exchange, Pending, UnixTime, Usage};

fuzz_target!(|input: &[u8]| {
    let pending: Pending = match serde_json::from_slice(input) {
        Ok(pending) => pending,
        // It names a member and shows no value.
        Err(error) => return assert!(!error.to_string().contains("anary")),
    };
    let kept = serde_json::to_string(&pending).expect("a login can be stored");
    let back: Pending = serde_json::from_str(&kept).expect("and read back");
    assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
    let verifier = stored(&pending, "verifier");
    assert!((43..=128).contains(&verifier.len()) && !pending.state().is_empty());
    assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    if verifier.contains("anary") {
        let elsewhere = kept.replacen(&verifier, "", 1);
        assert!(elsewhere.contains(&verifier) || !format!("{pending:?}").contains(&verifier));
    }

    let (issuer, required) =
        (stored(&pending, "issuer"), serde_json::to_value(&pending).expect("again")["iss_required"] == true);
    let [client, ..] = clients();
    for query in [
        format!("code={}&state={}&iss={}", encode(CODE), encode(pending.state()), encode(&issuer)),
        format!("code={}&state={}", encode(CODE), encode(pending.state())),
    ] {
        let pending: Pending = serde_json::from_str(&kept).expect("as before");
        let started_at = pending.started_at();
        let Ok(callback) = Callback::parse(&query) else { continue };
        let named = !all(&query, "iss").concat().is_empty();
        let Ok(grant) = pending.accept(callback) else {
            assert!(required && !named, "{query} is the right answer to {kept}");
            continue;
        };
        assert!(named || !required);
        let mut exchange = client.exchange(grant);
        match exchange.next_request(started_at, &mut Counting(0)) {
            Ok(request) => {
                assert_request(&request, &[ORIGIN]);
                assert_eq!(all(&body(&request), "code_verifier"), [verifier.as_str()]);
                assert_eq!((issuer.as_str(), stored(&back, "client_id").as_str()), (ISSUER, CLIENT_ID));
                assert_eq!(stored(&back, "token_endpoint"), "https://as.example.com/token");
            }
            Err(Error::Usage(Usage::OtherServer | Usage::OtherClient)) => {}
            Err(error) => panic!("{error}"),
        }
        // Of a login that is too old nothing is sent, nor of one that is from the future.
        let pending: Pending = serde_json::from_str(&kept).expect("as before");
        let grant = pending.accept(Callback::parse(&query).expect("as before")).expect("as before");
        let late = if started_at.as_secs() > 1801 { started_at.as_secs() - 1801 } else { started_at.as_secs() + 1801 };
        let error =
            client.exchange(grant).next_request(UnixTime::from_secs(late), &mut Counting(0)).expect_err("too old");
        assert!(matches!(
            error,
            Error::Callback(CallbackError::Expired) | Error::Usage(Usage::OtherServer | Usage::OtherClient)
        ));
        assert_silent(&oracle::told(&error), [CODE, verifier.as_str()]);
    }
});
