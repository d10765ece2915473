//! Whatever a caller or a server puts into a form comes out of it, read by another decoder: parameters, codes,
//! credentials, and the forms that some servers answer with.
#![no_main]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use oracle::{
    Counting, ISSUER, NOW, ORIGIN, all, assert_once, assert_request, body, client, clients, encode, login, pairs,
    response, server,
};
use proofkey_core::{Authentication, Callback, Client, Error, Exchange, Quirks, Step, Usage};
use url::form_urlencoded::Serializer;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    parameters: Vec<(&'a str, &'a str)>,
    code: &'a str,
    client_id: &'a str,
    secret: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let Input { parameters, code, client_id, secret } = input;
    written(&parameters);
    read(code);
    credentials(client_id, secret);
    answered(&parameters);
});

/// Extra parameters leave as they were given, or the login does not.
fn written(parameters: &[(&str, &str)]) {
    let client = client(server(), Authentication::none(), Quirks::none());
    let authorization =
        parameters.iter().fold(client.authorize().scope(["read"]), |it, (name, value)| it.param(*name, *value));
    let given: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let names: BTreeSet<_> = given.iter().map(|(name, _)| name).collect();
    match authorization.redirect(NOW, &mut Counting(0)) {
        Ok((url, _)) => {
            let query = url.query().expect("parameters");
            assert_once(query);
            for (name, value) in given {
                assert_eq!(all(query, name), [*value]);
            }
            assert_eq!(pairs(query).len(), names.len() + 7);
        }
        Err(Error::Usage(Usage::RepeatedParameter(_))) => assert!(names.len() < given.len()),
        Err(Error::Usage(Usage::UnnamedParameter)) => assert!(names.contains(&"")),
        Err(Error::Usage(Usage::OwnedParameter(name))) => assert!(names.contains(&name.as_str())),
        Err(error) => panic!("{error}"),
    }
}

/// A code arrives as the server wrote it, and leaves as it arrived.
fn read(code: &str) {
    let client = client(server(), Authentication::none(), Quirks::none());
    let pending = login(&client);
    let query = format!("state={}&code={}&iss={}", pending.state(), encode(code), encode(ISSUER));
    let is_code = !code.is_empty() && code.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && query.len() < 60_000;
    let Ok(callback) = Callback::parse(&query) else { return assert!(!is_code) };
    let mut exchange = client.exchange(pending.accept(callback).expect("it is the answer"));
    let request = exchange.next_request(NOW, &mut Counting(0)).expect("a request");
    assert_request(&request, &[ORIGIN]);
    assert_eq!(all(&body(&request), "code"), [code]);
}

/// Credentials read the same in the header and in the body.
fn credentials(client_id: &str, secret: &str) {
    let is_printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let fits = is_printable(client_id) && is_printable(secret);
    for authentication in [Authentication::basic(secret), Authentication::post(secret)] {
        let built = Client::builder(server(), client_id).authentication(authentication).build();
        let Ok(client) = built else {
            assert!(!fits);
            continue;
        };
        assert!(fits);
        let request = client.credentials().next_request(NOW, &mut Counting(0)).expect("a request");
        assert_request(&request, &[ORIGIN]);
        let form = match request.headers().get("authorization") {
            Some(value) => {
                let text = value.to_str().expect("ASCII").strip_prefix("Basic ").expect("the scheme");
                let pair = String::from_utf8(STANDARD.decode(text).expect("base64")).expect("ASCII");
                let (id, secret) = pair.split_once(':').expect("a colon");
                assert!(
                    all(&body(&request), "client_id").is_empty() && all(&body(&request), "client_secret").is_empty()
                );
                format!("client_id={id}&client_secret={secret}")
            }
            None => body(&request),
        };
        assert_eq!(
            (all(&form, "client_id"), all(&form, "client_secret")),
            (vec![client_id.to_owned()], vec![secret.to_owned()])
        );
    }
}

/// A form for an answer, where that is forgiven: each member once, and none lost.
fn answered(parameters: &[(&str, &str)]) {
    let form = Serializer::new(String::new()).append_pair("access_token", "a").extend_pairs(parameters).finish();
    let [_, strict, forgiving] = clients();
    for (client, forgives) in [(strict, false), (forgiving, true)] {
        let mut exchange = oracle::exchange(client);
        let _request = exchange.next_request(NOW, &mut Counting(0)).expect("a request");
        let Ok(Step::Done(tokens)) = exchange.handle_response(response(StatusCode::OK, &[], form.as_str())) else {
            continue;
        };
        assert!(forgives && tokens.access_token().expose() == "a" && all(&form, "access_token").len() == 1);
        for name in tokens.extra().names() {
            let last = all(&form, &name).pop().expect("it was sent");
            assert_eq!(tokens.extra().get(&name), Some(last));
        }
    }
}
