//! Whatever a token endpoint answers: tokens are usable and survive their store, errors print none of it.
#![no_main]

mod fixture;

use fixture::{ISSUER, NOW, STATE, Zeros, client, login};
use libfuzzer_sys::fuzz_target;
use proofkey_core::{Callback, Exchange, Step, Tokens};

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    let Ok(status) = http::StatusCode::from_u16(200 + status % 400) else { return };
    let client = client();
    let callback = Callback::parse(&format!("code=c0de&state={STATE}&iss={ISSUER}")).expect("the fixture is valid");
    let mut exchange = client.exchange(login(&client).accept(callback).expect("the fixture is valid"));
    exchange.next_request(NOW, &mut Zeros).expect("the fixture is valid");
    let mut response = http::Response::new(body.to_vec());
    *response.status_mut() = status;
    match exchange.handle_response(response) {
        Ok(Step::Done(tokens)) => {
            assert_eq!(status, 200);
            assert!(http::HeaderValue::from_str(tokens.access_token().expose()).is_ok());
            assert!(tokens.expires_at().is_none_or(|at| at >= NOW));
            let kept = serde_json::to_string(&tokens).expect("tokens can be stored");
            let back: Tokens = serde_json::from_str(&kept).expect("and read back");
            assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
        }
        Ok(Step::Again { .. }) => panic!("a code is sent once"),
        Err(error) => {
            let _ = (error.remedy(), error.to_string());
        }
    }
    assert!(exchange.next_request(NOW, &mut Zeros).is_err());
});
