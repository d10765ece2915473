//! Every column does the same job, or is not measured.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method, StatusCode, header};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::column::Column;
use crate::input;
use crate::step::Until;
use crate::world::{End, Seen, World};

/// Panics with the name of the column that sends, reads or refuses something else.
pub fn check(column: &dyn Column) {
    let name = column.name();
    let whole = || World::new(Until::Answer, input::tokens());
    let (end, seen) = watched(column, whole());
    assert_eq!(end, Ok(()), "{name}");
    let challenge = asks(name, &seen);
    sends(name, &seen, &challenge);
    reads(name, &seen);
    let token = column.bearer().headers()[header::AUTHORIZATION].clone();
    assert_eq!(token.to_str().ok(), Some(&*format!("Bearer {}", input::access_token())), "{name}");
    assert!(token.is_sensitive() || name == "huskarl", "{name}");

    // Members that nobody knows change nothing.
    let (end, seen) = watched(column, World::new(Until::Answer, input::tokens_and(r#""a":1,"b":[{"c":"d"}]"#)));
    assert_eq!(end, Ok(()), "{name}");
    reads(name, &seen);

    let (end, seen) = watched(column, World::new(Until::Answer, input::refusal()));
    assert_eq!((end, &*seen.error), (Err(End::Refused), "invalid_grant"), "{name}");
    for why in ["<html>", "{}", r#"{"token_type":"Bearer"}"#] {
        let (end, _) = watched(column, World::new(Until::Answer, input::answer(StatusCode::OK, why)));
        assert_eq!(end, Err(End::Refused), "{name}: {why}");
    }
    let mut stranger = whole();
    stranger.before = "/cb?code=SplxlOBeZQQYbYS6WxSbIA&state=x";
    assert_eq!(watched(column, stranger).0, Err(End::Refused), "{name}: a stranger's state");

    if column.is_strict() {
        for after in ["&iss=https%3A%2F%2Fevil.example", "&iss=https%3A%2F%2Fas.example.com&code=b", "&state=b"] {
            let mut world = whole();
            after.clone_into(&mut world.after);
            assert_eq!(watched(column, world).0, Err(End::Refused), "{name}: {after}");
        }
        for more in [r#""access_token":"b""#, r#""error":"invalid_grant""#] {
            let (end, seen) = watched(column, World::new(Until::Answer, input::tokens_and(more)));
            assert!(end == Err(End::Refused) && seen.tokens.is_none(), "{name}: {more}");
        }
    }
}

fn watched(column: &dyn Column, mut world: World) -> (Result<(), End>, Seen) {
    world.seen = Some(Seen::default());
    let end = column.login(&mut world);
    (end, world.seen.unwrap_or_default())
}

/// The authorization URL; gives the challenge.
fn asks(name: &str, seen: &Seen) -> String {
    let url = Url::parse(&seen.url).expect("a URL");
    let mut asked: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked.len(), url.query_pairs().count(), "{name} repeats itself");
    assert!(seen.url.starts_with(&format!("{}?", input::AUTHORIZE)), "{name}: {url}");
    assert!(asked.remove("state").is_some_and(|state| state.len() >= 22), "{name}: {url}");
    let challenge = asked.remove("code_challenge").unwrap_or_default();
    // The one that is OpenID's.
    assert!(asked.remove("nonce").is_none() || name == "openidconnect", "{name}: {url}");
    let expected = [
        ("client_id", input::CLIENT_ID),
        ("code_challenge_method", "S256"),
        ("redirect_uri", input::REDIRECT_URI),
        ("response_type", "code"),
        ("scope", input::SCOPE),
    ];
    assert!(asked.iter().map(|(name, value)| (&**name, &**value)).eq(expected), "{name}: {url}");
    challenge
}

fn sends(name: &str, seen: &Seen, challenge: &str) {
    assert_eq!((&seen.method, seen.uri.to_string()), (&Method::POST, input::TOKEN.to_owned()), "{name}");
    // `huskarl` leaves it out.
    let accept = seen.headers.get(header::ACCEPT);
    assert!(accept.map_or(name == "huskarl", |accept| accept == "application/json"), "{name}: {accept:?}");
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/x-www-form-urlencoded", "{name}");
    let credentials = STANDARD.encode(format!("{}:{}", input::CLIENT_ID, input::SECRET));
    assert_eq!(seen.headers[header::AUTHORIZATION], format!("Basic {credentials}"), "{name}");
    let mut sent: BTreeMap<_, _> = form_urlencoded::parse(&seen.body).into_owned().collect();
    let verifier = sent.remove("code_verifier").unwrap_or_default();
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), challenge, "{name}");
    let expected = [("code", input::CODE), ("grant_type", "authorization_code"), ("redirect_uri", input::REDIRECT_URI)];
    assert!(sent.iter().map(|(name, value)| (&**name, &**value)).eq(expected), "{name}: {sent:?}");
}

fn reads(name: &str, seen: &Seen) {
    let tokens = seen.tokens.as_ref().expect("tokens");
    assert_eq!(tokens.access_token, input::access_token(), "{name}");
    assert_eq!(tokens.refresh_token, input::refresh_token(), "{name}");
    assert_eq!(tokens.scope, input::SCOPE, "{name}");
    assert!((3590..=3600).contains(&tokens.expires_in), "{name}: {}", tokens.expires_in);
    // `oauth2` does not know it.
    assert!(tokens.id_token == input::id_token() || name == "oauth2", "{name}: {}", tokens.id_token);
}
