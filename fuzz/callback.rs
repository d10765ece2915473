//! Whatever a browser brings: what is believed of a callback is checked again, by other code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::{Counting, ISSUER, NOW, ORIGIN, REDIRECT_URI, all, assert_request, assert_silent, body, clients, login};
use proofkey_core::{Callback, Error, Exchange, Pending};

fuzz_target!(|input: &str| {
    let Ok(callback) = Callback::parse(input) else { return };
    drop(callback);
    for (client, forgiving) in clients().iter().zip([false, false, true]) {
        let pending = login(client);
        let kept = serde_json::to_string(&pending).expect("a login can be stored");
        let state = pending.state().to_owned();
        let callback = Callback::parse(input).expect("the same again");
        let is_for = pending.is_for(&callback);
        assert_eq!(serde_json::to_string(&pending).expect("it still can"), kept, "looking changes nothing");
        assert_silent(&format!("{pending:?}"), [state.as_str()]);
        let pending: Pending = serde_json::from_str(&kept).expect("a stored login can be read");
        let (grant, refused) = match pending.accept(callback) {
            Ok(grant) => (Some(grant), false),
            Err(error) => {
                assert_silent(&oracle::told(&error), [state.as_str()]);
                (None, matches!(error, Error::Server(_)))
            }
        };
        if grant.is_none() && !refused {
            continue;
        }
        // A code, or what the server said: both only from the right server, for the right login, in the right place.
        assert!(is_for);
        let input = input.split('#').next().unwrap_or_default();
        let behind = input.split_once('?').map(|(_, query)| query.trim_ascii_end());
        let is_good = |query: &str| {
            let issuers = all(query, "iss");
            let (codes, errors) = (all(query, "code").concat(), all(query, "error").concat());
            let lone = ["code", "state", "iss", "error"].iter().all(|name| all(query, name).len() <= 1);
            let tokens = ["access_token", "id_token", "refresh_token", "response"];
            all(query, "state") == [state.as_str()]
                && lone
                && (issuers == [ISSUER] || (forgiving && refused && issuers.concat().is_empty()))
                && tokens.iter().all(|name| all(query, name).concat().is_empty())
                && if refused { codes.is_empty() && !errors.is_empty() } else { !codes.is_empty() && errors.is_empty() }
        };
        let request = grant.map(|grant| {
            let mut exchange = client.exchange(grant);
            exchange.next_request(NOW, &mut Counting(0)).expect("an accepted code can be sent")
        });
        let sent = request.as_ref().map(|request| all(&body(request), "code"));
        let is_it = |query: &&str| is_good(query) && sent.as_ref().is_none_or(|sent| *sent == all(query, "code"));
        let query = [Some(input), behind].into_iter().flatten().find(is_it).expect("a good response");
        let place =
            input.trim_ascii().strip_suffix(query).filter(|place| !place.starts_with('/') && place.contains(":/"));
        if let Some(place) = place {
            let place = url::Url::parse(place.trim_end_matches('?')).expect("a URL");
            assert_eq!(place.as_str(), REDIRECT_URI);
        }

        let Some(request) = request else { continue };
        assert_request(&request, &[ORIGIN]);
        let code = all(query, "code").concat();
        assert!(code.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(all(&body(&request), "redirect_uri"), [REDIRECT_URI]);
    }
});
