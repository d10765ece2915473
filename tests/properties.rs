//! What holds for every value, not only for examples: what is written can be read, what must differ differs, and time is
//! added without an accident at any edge. The inputs are drawn from a fixed seed.
#![allow(clippy::cast_precision_loss, reason = "floats are compared as floats")]

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proofkey_core::{
    Authentication, Callback, CallbackError, Client, Error, Exchange, Next, Pending, Server, Session, Step, Tokens,
    UnixTime, Usage, Verifier,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

mod support;

use support::{APPENDIX_B, CODE, NOW, Octets, REDIRECT_URI, answered, client, pairs, server, values};

/// The same inputs in each run.
fn config() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(7636), failure_persistence: None, ..ProptestConfig::with_cases(512) }
}

/// Text with whatever means something to a parser in it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,40}", "\\PC{1,20}", "[&=+%#?;/ \\\\\"\\x00-\\x1F]{1,20}", "(%[0-9A-Fa-f]{2}|\\+|ü|.){1,20}"]
}

/// A member's name that nobody has given a meaning.
fn name() -> impl Strategy<Value = String> {
    let signs = ["", "\u{1}", "\n\t", "\"", "\\", "\"\\\"", "ü", " "];
    prop_oneof![4 => text().prop_map(|text| format!("x{text}")), 1 => select(signs.to_vec()).prop_map(str::to_owned)]
}

/// RFC 6749 appendix A: `VSCHAR`.
fn printable() -> impl Strategy<Value = String> {
    "[ -~]{1,60}"
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_parameter_leaves_as_it_was_given(value in text()) {
        let (url, _) = client().authorize().param("prompt", &value).redirect(NOW, &mut Octets::appendix_b()).unwrap();
        let query = url.query().unwrap();
        prop_assert_eq!(values(query, "prompt"), [value]);
        prop_assert_eq!(pairs(query.as_bytes()).len(), 7);
    }

    #[test]
    fn a_code_leaves_as_it_came(code in printable(), state in printable()) {
        let written: String = url::form_urlencoded::byte_serialize(code.as_bytes()).collect();
        let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
        let [plus, percent] = [written.clone(), written.replace('+', "%20")];
        for query in [format!("code={plus}&state={state}"), format!("?state={state}&code={percent}"), format!("x&&code={percent}&y=&state={state}#z")] {
            let callback = Callback::parse(&query).unwrap();
            let mut login = serde_json::to_value(login(&client())).unwrap();
            login["state"] = callback.state().into();
            let login: Pending = serde_json::from_value(login).unwrap();
            let request = client().exchange(login.accept(callback).unwrap()).next_request(NOW, &mut Octets::appendix_b()).unwrap();
            prop_assert_eq!(values(request.body(), "code"), [code.as_str()]);
        }
    }

    #[test]
    fn credentials_read_the_same_in_the_header_and_in_the_body(id in printable(), secret in printable()) {
        let request = |authentication| {
            let client = Client::builder(server(), &id).authentication(authentication).build().unwrap();
            client.credentials().next_request(NOW, &mut Octets::appendix_b()).unwrap()
        };
        let post = request(Authentication::post(secret.as_str()));
        prop_assert_eq!((values(post.body(), "client_id"), values(post.body(), "client_secret")), (vec![id.clone()], vec![secret.clone()]));
        let basic = request(Authentication::basic(secret.as_str()));
        let header = basic.headers()["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(header).unwrap()).unwrap();
        let (own_id, own_secret) = pair.split_once(':').unwrap();
        prop_assert_eq!(values(format!("a={own_id}&b={own_secret}"), "a"), [id]);
        prop_assert_eq!(values(format!("a={own_id}&b={own_secret}"), "b"), [secret]);
    }

    /// Every octet that was drawn counts, and for one of the two.
    #[test]
    fn verifier_and_state_have_256_bits_each(octets in vec(any::<u8>(), 64), flipped in 0_usize..512) {
        let (verifier, state) = drawn(&octets);
        for text in [&verifier, &state] {
            prop_assert_eq!(text.len(), 43);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        }
        prop_assert_eq!(URL_SAFE_NO_PAD.decode(&verifier).unwrap(), &octets[..32]);
        prop_assert_eq!(URL_SAFE_NO_PAD.decode(&state).unwrap(), &octets[32..]);
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        prop_assert_eq!(Verifier::new(verifier.clone()).unwrap().challenge(), hash);
        let mut other = octets;
        other[flipped / 8] ^= 1 << (flipped % 8);
        let (other_verifier, other_state) = drawn(&other);
        prop_assert_eq!((verifier == other_verifier, state == other_state), (flipped >= 256, flipped < 256));
    }

    /// RFC 7636 section 4.1.
    #[test]
    fn a_verifier_is_43_to_128_unreserved_characters(text in prop_oneof!["[A-Za-z0-9._~-]{40,131}", "[ -~]{40,46}", "[A-Za-z0-9]{42}(.|\\PC)"]) {
        let fits = (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        prop_assert_eq!(Verifier::new(text.as_str()).is_ok(), fits);
    }

    /// RFC 6749 section 3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
    #[test]
    fn scope_follows_its_grammar(tokens in vec(prop_oneof!["[!#-\\[\\]-~]{1,12}", "[ -~]{0,4}", "\\PC{0,3}"], 0..6)) {
        let is_token = |token: &String| !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        match client().authorize().scope(&tokens).redirect(NOW, &mut Octets::appendix_b()) {
            Ok((url, _)) => {
                prop_assert!(tokens.iter().all(is_token));
                let mut seen = HashSet::new();
                let each_once: Vec<_> = tokens.iter().filter(|token| seen.insert(*token)).map(String::as_str).collect();
                let expected: Vec<_> = if tokens.is_empty() { vec![] } else { vec![each_once.join(" ")] };
                prop_assert_eq!(values(url.query().unwrap(), "scope"), expected);
            }
            Err(error) => prop_assert!(matches!(error, Error::Usage(Usage::Scope)) && !tokens.iter().all(is_token)),
        }
        // Granted, a list in text may be any tokens and spaces; it is read token by token.
        let granted = tokens.join(" ");
        let body = json!({"access_token": "a", "token_type": "Bearer", "scope": granted}).to_string();
        let read = answered(&client(), 200, &[], body);
        let fits = granted.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        prop_assert_eq!(read.is_ok(), fits);
        if let Ok(tokens) = read {
            let scope = tokens.scope().unwrap();
            prop_assert!(scope.iter().eq(granted.split(' ').filter(|token| !token.is_empty())));
            prop_assert!(granted.split(' ').all(|token| token.is_empty() || scope.contains(token)));
        }
    }

    #[test]
    fn an_expiry_is_when_it_was_asked_and_the_lifetime(asked in edge(), lifetime in edge()) {
        let expected = (u128::from(asked) + u128::from(lifetime)).min(LAST.into());
        let asked = UnixTime::from_secs(asked);
        prop_assert_eq!(u128::from(asked.saturating_add(Duration::from_secs(lifetime)).as_secs()), expected);
        for written in [json!(lifetime), json!(lifetime.to_string())] {
            let tokens = tokens_at(asked, &json!({"access_token": "a", "token_type": "Bearer", "expires_in": written}));
            let at = tokens.expires_at().unwrap();
            prop_assert_eq!(u128::from(at.as_secs()), expected);
            let kept: Tokens = serde_json::from_str(&serde_json::to_string(&tokens).unwrap()).unwrap();
            prop_assert_eq!(kept.expires_at(), Some(at));
        }
    }

    #[test]
    fn a_float_is_floored_and_less_than_nothing_is_refused(lifetime in prop_oneof![any::<f64>(), -10.0..10.0_f64, 1e17..1e21_f64]) {
        prop_assume!(lifetime.is_finite());
        let body = json!({"access_token": "a", "token_type": "Bearer", "expires_in": lifetime}).to_string();
        match answered(&client(), 200, &[], body) {
            Ok(tokens) => {
                let expected = (NOW.as_secs() as f64 + lifetime.floor()).min(LAST as f64);
                prop_assert!(lifetime >= 0.0);
                prop_assert!((tokens.expires_at().unwrap().as_secs() as f64 - expected).abs() <= expected * 1e-12);
            }
            Err(_) => prop_assert!(lifetime < 0.0),
        }
    }

    /// Tokens are used until the second in which they end, and renewed from a tenth of their life before it, or a minute
    /// and a half at most.
    #[test]
    fn a_session_renews_in_time(issued in edge(), lifetime in edge(), ahead in 0_u64..200, draw in any::<[u8; 4]>()) {
        let tokens = tokens_at(UnixTime::from_secs(issued), &json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "expires_in": lifetime}));
        let ends = tokens.expires_at().unwrap();
        let life = ends.saturating_since(UnixTime::from_secs(issued)).as_secs();
        for now in [ends.as_secs().saturating_sub(ahead), ends.as_secs(), ends.as_secs().saturating_add(ahead)] {
            let now = UnixTime::from_secs(now);
            let mut session = Session::new(client(), tokens.clone()).unwrap();
            prop_assert_eq!(session.usable(now).is_some(), now < ends);
            let left = ends.saturating_since(now).as_secs();
            match session.next(now, &mut Octets::new(draw)) {
                Next::Use(_) => prop_assert!(now < ends && left > (life / 10).min(60)),
                Next::Refresh(..) => prop_assert!(left <= (life / 10).min(60) * 3 / 2),
                next => prop_assert!(false, "{:?}", next),
            }
        }
    }

    /// Both ways: a clock may be set back.
    #[test]
    fn a_login_lasts_as_long_as_its_limit(started in edge(), limit in edge(), off in -2_i128..=2, back in any::<bool>()) {
        let client = Client::builder(server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI).login_limit(Duration::from_secs(limit)).build().unwrap();
        let started = UnixTime::from_secs(started);
        let away = i128::from(limit) + off;
        let now = i128::from(started.as_secs()) + if back { -away } else { away };
        let now = UnixTime::from_secs(u64::try_from(now.max(0)).unwrap_or(u64::MAX));
        let (_, pending) = client.authorize().redirect(started, &mut Octets::appendix_b()).unwrap();
        let callback = Callback::parse(&format!("code={CODE}&state={}", pending.state())).unwrap();
        let sent = client.exchange(pending.accept(callback).unwrap()).next_request(now, &mut Octets::appendix_b());
        let age = i128::from(now.as_secs()).abs_diff(i128::from(started.as_secs()));
        match sent {
            Ok(_) => prop_assert!(age <= u128::from(limit)),
            Err(error) => prop_assert!(age > u128::from(limit) && matches!(error, Error::Callback(CallbackError::Expired))),
        }
    }

    /// Read as it was written or not at all, and never with a word of what it says.
    #[test]
    fn records_survive_or_are_refused(changes in vec((any::<Index>(), change()), 0..3), login in any::<bool>(), text in text()) {
        let mut record = if login { full_login() } else { full_tokens(&text) };
        for (index, change) in &changes {
            alter(&mut record, *index, change.clone());
        }
        if login { survives::<Pending>(&record, changes.is_empty())? } else { survives::<Tokens>(&record, changes.is_empty())? }
    }

    /// What a server said beside its tokens is there however often they are stored.
    #[test]
    fn other_members_are_kept_for_ever(name in name(), value in value()) {
        let own = json!({"access_token": "a", "token_type": "Bearer", (name.as_str()): value}).to_string();
        let mut tokens = answered(&client(), 200, &[], own).unwrap();
        for _ in 0..4 {
            prop_assert_eq!(tokens.extra().get::<Value>(&name), Some(value.clone()));
            tokens = serde_json::from_str(&serde_json::to_string(&tokens).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_server_is_read_as_it_was_written(name in text(), value in value(), endpoint in text()) {
        let mut server = Server::new(endpoint.as_str(), endpoint.as_str());
        server.issuer = Some(endpoint);
        server.other.insert(format!("x{name}"), value);
        let read: Server = serde_json::from_str(&serde_json::to_string(&server).unwrap()).unwrap();
        prop_assert_eq!(read, server);
    }
}

/// No two logins of one generator share a state, a verifier or a challenge, nor is one the other's.
#[test]
fn verifier_challenge_and_state_never_repeat() {
    let mut seen = HashSet::new();
    let mut octets = Vec::new();
    for number in 0_u64..4_000 {
        octets.extend_from_slice(&Sha256::digest(number.to_le_bytes()));
    }
    let mut rng = Octets::new(octets);
    for _ in 0..2_000 {
        let (url, pending) = client().authorize().redirect(NOW, &mut rng).unwrap();
        let verifier = member(&pending, "verifier");
        let challenge = values(url.query().unwrap(), "code_challenge").concat();
        for text in [verifier, challenge, pending.state().to_owned()] {
            assert!(seen.insert(text), "a repetition");
        }
    }
    assert_eq!(rng.drawn, 128_000);
}

fn login(client: &Client) -> Pending {
    client.authorize().scope(["photos"]).redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

/// A member of a stored login.
fn member(pending: &Pending, name: &str) -> String {
    serde_json::to_value(pending).expect("JSON")[name].as_str().expect("text").to_owned()
}

/// The verifier and the state of a login with these octets.
fn drawn(octets: &[u8]) -> (String, String) {
    let (_, pending) = client().authorize().redirect(NOW, &mut Octets::new(octets)).expect("a URL");
    (member(&pending, "verifier"), pending.state().to_owned())
}

/// The last second there is.
const LAST: u64 = i64::MAX as u64;

/// Numbers of seconds, most of them near an edge.
fn edge() -> impl Strategy<Value = u64> {
    let edges = [0, 60, 90, 600, 900, 1800, NOW.as_secs(), u32::MAX.into(), 100_000_000_000, 1 << 53, LAST, u64::MAX];
    prop_oneof![
        4 => (select(edges.to_vec()), -3_i64..4).prop_map(|(edge, off)| edge.saturating_add_signed(off)),
        1 => 0_u64..10_000,
        1 => any::<u64>(),
    ]
}

/// What a refresh asked for then is answered with.
fn tokens_at(asked: UnixTime, answer: &Value) -> Tokens {
    let client =
        Client::builder(server(), "s6BhdRkqt3").authentication(Authentication::basic("x")).build().expect("a client");
    let mut exchange = client.credentials();
    let _request = exchange.next_request(asked, &mut Octets::appendix_b()).expect("a request");
    match exchange.handle_response(support::response(200, &[], answer.to_string())) {
        Ok(Step::Done(tokens)) => tokens,
        other => panic!("{other:?}"),
    }
}

/// Any JSON, as deep as answers are.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = vec((text(), inner.clone()), 0..4).prop_map(|members| Value::Object(Map::from_iter(members)));
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), members]
    })
}

#[derive(Clone, Debug)]
enum Change {
    Remove,
    Replace(Value),
    Add(String, Value),
    Append(String),
}

fn change() -> impl Strategy<Value = Change> {
    let canary = Just(json!([CANARY, { CANARY: 1 }]));
    prop_oneof![
        Just(Change::Remove),
        prop_oneof![canary, Just(json!(CANARY)), Just(json!("")), value()].prop_map(Change::Replace),
        (text(), value()).prop_map(|(name, value)| Change::Add(name, value)),
        select(&["\n", "\0", " ", "ü", "x"][..]).prop_map(|more| Change::Append(more.to_owned())),
    ]
}

fn alter(record: &mut Map<String, Value>, index: Index, change: Change) {
    let names: Vec<String> = record.keys().cloned().collect();
    let Some(name) = (!names.is_empty()).then(|| index.get(&names).clone()) else { return };
    match change {
        Change::Remove => drop(record.remove(&name)),
        Change::Replace(value) => drop(record.insert(name, value)),
        Change::Add(name, value) => drop(record.insert(name, value)),
        Change::Append(more) => {
            if let Some(Value::String(text)) = record.get_mut(&name) {
                text.push_str(&more);
            }
        }
    }
}

const CANARY: &str = "Canary.of/the+store";

fn full_login() -> Map<String, Value> {
    let [state, verifier] = [APPENDIX_B.map(|octet| !octet), APPENDIX_B].map(|octets| URL_SAFE_NO_PAD.encode(octets));
    let record = json!({"v": 1, "state": state, "verifier": verifier, "redirect_uri": REDIRECT_URI,
        "issuer": "https://as.example.com", "iss_required": true, "iss_missing_on_errors": true, "client_id": "s6BhdRkqt3",
        "token_endpoint": "https://as.example.com/token", "scope": "photos", "resource": ["https://api.example.com"],
        "leave_by": 1_767_225_660, "started_at": 1_767_225_600});
    record.as_object().expect("an object").clone()
}

fn full_tokens(text: &str) -> Map<String, Value> {
    let record = json!({"v": 1, "access_token": CANARY, "token_type": "Bearer", "issued_at": 1_767_225_600,
        "expires_at": 1_767_229_200, "refresh_token": CANARY, "scope": "photos", "grant_scope": "photos videos",
        "id_token": CANARY, "issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
        "client_id": "s6BhdRkqt3", "resource": ["https://api.example.com"], "extra": {text: text}});
    record.as_object().expect("an object").clone()
}

/// Reads a record from text and from values, and writes it again.
fn survives<T: serde::Serialize + serde::de::DeserializeOwned>(
    record: &Map<String, Value>,
    must: bool,
) -> Result<(), TestCaseError> {
    let text = serde_json::to_string(record).expect("JSON");
    let from_value = serde_json::from_value::<T>(Value::Object(record.clone()));
    match serde_json::from_str::<T>(&text) {
        Ok(read) => {
            let kept = serde_json::to_value(&read).expect("JSON");
            prop_assert_eq!(&kept, &serde_json::to_value(from_value.expect("read as text")).expect("JSON"));
            let again: T = serde_json::from_str(&kept.to_string()).expect("JSON");
            prop_assert_eq!(serde_json::to_value(again).expect("JSON"), kept.clone());
            if must {
                prop_assert_eq!(kept, Value::Object(record.clone()));
            }
        }
        Err(error) => {
            prop_assert!(!must && from_value.is_err());
            prop_assert!(!error.to_string().contains("Canary"), "{}", error);
        }
    }
    Ok(())
}
