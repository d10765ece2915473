//! Whatever a browser brings: an accepted callback is checked again, by other code.
#![no_main]

mod fixture;

use fixture::{ISSUER, NOW, REDIRECT_URI, STATE, Zeros, client, login};
use libfuzzer_sys::fuzz_target;
use proofkey_core::{Callback, Exchange};
use url::form_urlencoded::parse;

fuzz_target!(|input: &str| {
    let Ok(callback) = Callback::parse(input) else { return };
    let (client, pending) = (client(), login(&client()));
    let is_for = pending.is_for(&callback);
    let Ok(grant) = pending.accept(callback) else { return };
    assert!(is_for);

    // But for the fragment, the parameters are all of the input, or what stands behind the first question mark.
    let input = input.split('#').next().unwrap_or_default();
    let behind = input.split_once('?').map(|(_, query)| query.trim_ascii_end());
    let all = |query: &str, name: &str| -> Vec<String> {
        parse(query.as_bytes()).filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect()
    };
    let is_good = |query: &str| {
        all(query, "state") == [STATE]
            && all(query, "iss") == [ISSUER]
            && all(query, "code").len() == 1
            && ["error", "access_token", "id_token"].iter().all(|name| all(query, name).concat().is_empty())
    };
    let query = [Some(input), behind].into_iter().flatten().find(|query| is_good(query)).expect("a good response");
    if let Some(place) =
        input.trim_ascii_end().strip_suffix(query).filter(|place| !place.starts_with('/') && place.contains(":/"))
    {
        let place = url::Url::parse(place.trim_end_matches('?')).expect("a URL");
        assert_eq!(place.as_str(), REDIRECT_URI);
    }

    let request = client.exchange(grant).next_request(NOW, &mut Zeros).expect("an accepted code can be sent");
    assert_eq!(request.uri(), "https://as.example.com/token");
    let body = std::str::from_utf8(request.body().as_ref()).expect("a form is text");
    assert_eq!(all(body, "code"), all(query, "code"));
});
