//! Logins and tokens at rest: what was stored once is read for ever, what others stored is read too, and what was damaged
//! is an error that shows nothing.

use proofkey_core::{Authentication, Callback, Client, DevicePending, Exchange, Pending, Server, Tokens, UnixTime};
use serde_json::{Value, json};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, STATE, VERIFIER, answered, client, damaged, values};

/// A login as version 1 stores it, with everything that it can have. Never change it: somebody has one.
const PENDING_V1: &str = r#"{"v":1,"state":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"https://client.example.com/cb","issuer":"https://as.example.com","iss_required":true,"client_id":"s6BhdRkqt3","token_endpoint":"https://as.example.com/token","scope":"photos videos","resource":["https://api.example.com/"],"started_at":1767225600}"#;

/// A login as version 1 stores it, with nothing that it need not have.
const PENDING_V1_LEAST: &str = r#"{"v":1,"state":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"https://client.example.com/cb","client_id":"s6BhdRkqt3","token_endpoint":"https://as.example.com/token","started_at":1767225600}"#;

/// Tokens as version 1 stores them, with everything that they can have.
const TOKENS_V1: &str = r#"{"v":1,"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","issued_at":1767225600,"expires_at":1767229200,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"photos videos","id_token":"eyJhbGciOiJub25lIn0..","issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token","client_id":"s6BhdRkqt3","resource":["https://api.example.com/"],"extra":{"example_parameter":"example_value","team":{"id":"T9TK3CUKW"}}}"#;

/// Tokens as version 1 stores them, with nothing that they need not have.
const TOKENS_V1_LEAST: &str = r#"{"v":1,"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","issued_at":1767225600,"token_endpoint":"https://as.example.com/token","client_id":"s6BhdRkqt3"}"#;

/// Tokens of a narrowed refresh as version 1 stores them: the grant is good for more than they are.
const TOKENS_V1_NARROWED: &str = r#"{"v":1,"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","issued_at":1767225600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"photos","grant_scope":"photos videos","issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token","client_id":"s6BhdRkqt3"}"#;

/// A login without a browser as version 1 stores it.
const DEVICE_V1: &str = r#"{"v":1,"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT","verification_uri":"https://example.com/device","verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT","expires_at":1767227400,"interval":5,"issuer":"https://as.example.com","client_id":"s6BhdRkqt3","token_endpoint":"https://as.example.com/token","scope":"photos","resource":["https://api.example.com/"]}"#;

/// The same with nothing that it need not have.
const DEVICE_V1_LEAST: &str = r#"{"v":1,"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS","user_code":"WDJB-MJHT","verification_uri":"https://example.com/device","expires_at":1767227400,"interval":5,"client_id":"s6BhdRkqt3","token_endpoint":"https://as.example.com/token"}"#;

/// A client at a server with an issuer that promises `iss`.
fn issued() -> Client {
    let mut server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    server.issuer = Some("https://as.example.com".to_owned());
    server.authorization_response_iss_parameter_supported = true;
    Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("a client")
}

fn begin(client: &Client, scope: &[&str], resources: &[&str]) -> Pending {
    let login = resources.iter().fold(client.authorize().scope(scope), |login, resource| login.resource(*resource));
    login.redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

fn written(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

#[test]
fn logins_are_written_as_version_1() {
    let full = begin(&issued(), &["photos", "videos"], &["https://api.example.com/"]);
    assert_eq!(written(&full), PENDING_V1);
    assert_eq!(written(&begin(&client(), &[], &[])), PENDING_V1_LEAST);
}

#[test]
fn logins_of_version_1_are_read_and_go_on() {
    for (blob, client, iss) in [(PENDING_V1, issued(), "&iss=https://as.example.com"), (PENDING_V1_LEAST, client(), "")]
    {
        let pending: Pending = serde_json::from_str(blob).unwrap();
        assert_eq!(written(&pending), blob);
        assert_eq!((pending.state(), pending.redirect_uri(), pending.started_at()), (STATE, REDIRECT_URI, NOW));
        let callback = Callback::parse(&format!("code={CODE}&state={STATE}{iss}")).unwrap();
        let request = client.exchange(pending.accept(callback).unwrap()).next_request(NOW, &mut Octets::appendix_b());
        assert_eq!(values(request.unwrap().body(), "code_verifier"), [VERIFIER]);
    }
}

#[test]
fn tokens_are_written_as_version_1() {
    let client = issued();
    let pending = begin(&client, &["photos", "videos"], &["https://api.example.com/"]);
    let callback = Callback::parse(&format!("code={CODE}&state={STATE}&iss=https://as.example.com")).unwrap();
    let mut exchange = client.exchange(pending.accept(callback).unwrap());
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
    let body = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"bearer","expires_in":3600,
        "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","id_token":"eyJhbGciOiJub25lIn0..",
        "team":{"id":"T9TK3CUKW"},"example_parameter":"example_value"}"#;
    let step = exchange.handle_response(support::response(200, &[], body)).unwrap();
    let proofkey_core::Step::Done(tokens) = step else { panic!("{step:?}") };
    assert_eq!(written(&tokens), TOKENS_V1);
}

#[test]
fn tokens_of_version_1_are_read() {
    let tokens: Tokens = serde_json::from_str(TOKENS_V1).unwrap();
    assert_eq!(written(&tokens), TOKENS_V1);
    assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(tokens.refresh_token().unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    assert_eq!(tokens.id_token().unwrap().expose(), "eyJhbGciOiJub25lIn0..");
    assert_eq!(tokens.expires_at(), Some(UnixTime::from_secs(1_767_229_200)));
    assert_eq!(tokens.scope().unwrap().iter().collect::<Vec<_>>(), ["photos", "videos"]);
    assert_eq!((tokens.issuer(), tokens.client_id()), (Some("https://as.example.com"), Some("s6BhdRkqt3")));
    assert_eq!(tokens.extra().get::<Value>("team"), Some(json!({"id": "T9TK3CUKW"})));
    let least: Tokens = serde_json::from_str(TOKENS_V1_LEAST).unwrap();
    assert_eq!(written(&least), TOKENS_V1_LEAST);
    assert_eq!((least.expires_at(), least.scope(), least.extra().names()), (None, None, vec![]));
}

/// The tokens that a refresh of these brings, asking for this scope and answered with these members.
fn refreshed(tokens: &Tokens, scope: &[&str], members: &str) -> (Option<String>, Tokens) {
    let mut exchange = issued().refresh(tokens).expect("a refresh").scope(scope);
    let request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    let body = format!(r#"{{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer"{members}}}"#);
    match exchange.handle_response(support::response(200, &[], body)).expect("tokens") {
        proofkey_core::Step::Done(tokens) => (values(request.body(), "scope").pop(), tokens),
        again @ proofkey_core::Step::Again { .. } => panic!("{again:?}"),
    }
}

/// A narrowed access token does not make the grant forget what it is good for, though it is stored in between.
#[test]
fn a_narrowed_refresh_keeps_the_scope_of_the_grant() {
    let wide = r#"{"v":1,"access_token":"a","token_type":"Bearer","issued_at":0,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"photos videos","issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token","client_id":"s6BhdRkqt3"}"#;
    let wide: Tokens = serde_json::from_str(wide).unwrap();
    let (asked, narrow) = refreshed(&wide, &["photos"], "");
    assert_eq!((asked.as_deref(), written(&narrow).as_str()), (Some("photos"), TOKENS_V1_NARROWED));

    let narrow: Tokens = serde_json::from_str(TOKENS_V1_NARROWED).unwrap();
    assert_eq!(written(&narrow), TOKENS_V1_NARROWED);
    assert_eq!(narrow.scope().unwrap().as_str(), "photos");
    assert!(narrow.extra().names().is_empty());
    // All of it may be asked for again, and is as good as granted if nothing is said.
    let (asked, all) = refreshed(&narrow, &[], "");
    assert_eq!((asked, all.scope().unwrap().as_str()), (None, "photos videos"));
    assert!(!written(&all).contains("grant_scope"));
    let (asked, other) = refreshed(&narrow, &["videos"], "");
    assert_eq!((asked.as_deref(), other.scope().unwrap().as_str()), (Some("videos"), "videos"));
    // What the server says counts, also twice over.
    let (_, said) = refreshed(&narrow, &["photos", "videos"], r#","scope":"photos""#);
    assert_eq!(written(&said), TOKENS_V1_NARROWED);
    // Without a scope of its own, nothing is known, and nothing is made up.
    let unknown: Tokens = serde_json::from_str(r#"{"access_token":"a","refresh_token":"r"}"#).unwrap();
    let (asked, still) = refreshed(&unknown, &[], "");
    assert_eq!((asked, still.scope()), (None, None));
}

/// Milliseconds are told by their size, in a record of another library only; our own are seconds for ever.
#[test]
fn a_foreign_expiry_may_be_in_milliseconds() {
    let ends = |record: &str| {
        let tokens: Tokens = serde_json::from_str(record).unwrap_or_else(|error| panic!("{record}: {error}"));
        tokens.expires_at().map(UnixTime::as_secs)
    };
    for (foreign, at) in [
        (r#"{"access_token":"a","expires_at":1767229200123}"#, 1_767_229_200),
        (r#"{"access_token":"a","expires_at":1767229200123.9}"#, 1_767_229_200),
        (r#"{"access_token":"a","expires_at":"1767229200999"}"#, 1_767_229_200),
        (r#"{"access_token":"a","expires":1767229200000}"#, 1_767_229_200),
        (r#"{"access_token":"a","expires_at":1767229200}"#, 1_767_229_200),
        (r#"{"access_token":"a","issued_at":1767225600000,"expires_in":3600}"#, 1_767_229_200),
        // The year 5138 in seconds; a millisecond later, 1973 in milliseconds.
        (r#"{"access_token":"a","expires_at":100000000000}"#, 100_000_000_000),
        (r#"{"access_token":"a","expires_at":100000000001}"#, 100_000_000),
        // A lifetime is counted in seconds, whatever it is.
        (r#"{"access_token":"a","issued_at":1,"expires_in":200000000000}"#, 200_000_000_001),
    ] {
        assert_eq!(ends(foreign), Some(at), "{foreign}");
    }
    let own = r#"{"v":1,"access_token":"a","token_type":"Bearer","issued_at":0,"expires_at":1767229200123}"#;
    assert_eq!(ends(own), Some(1_767_229_200_123));
    for (own, since) in [(r#""issued_at":1767229200123"#, 1_767_229_200_123_u64), (r#""created_at":1"#, 0)] {
        let tokens: Tokens = serde_json::from_str(&format!(r#"{{"v":1,"access_token":"a",{own}}}"#)).unwrap();
        assert_eq!(serde_json::to_value(&tokens).unwrap()["issued_at"], since, "{own}");
    }
    // What a server made last for ages is written and read as it is.
    let tokens = answered(&client(), 200, &[], r#"{"access_token":"a","token_type":"Bearer","expires_in":1e12}"#);
    let tokens = tokens.unwrap();
    assert_eq!(ends(&written(&tokens)), tokens.expires_at().map(UnixTime::as_secs));
}

/// Through `serde_json::Value`, as a database of JSON columns has it, and back.
#[test]
fn a_store_may_hold_values_instead_of_text() {
    let value: Value = serde_json::from_str(TOKENS_V1).unwrap();
    let tokens: Tokens = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&tokens).unwrap(), value);
    let value: Value = serde_json::from_str(PENDING_V1).unwrap();
    let pending: Pending = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&pending).unwrap(), value);
}

/// What a token answer gave is the same after it was stored.
#[test]
fn what_was_answered_survives_the_store() {
    for members in [
        "",
        r#","expires_in":0"#,
        r#","expires_in":1e308"#,
        r#","scope":"""#,
        r#","scope":"a,b  c""#,
        r#","expires":5,"v":2,"expires_in_":1,"created_at":7"#,
        r#","extra":{"extra":1},"issued_at":"x","issuer":1,"resource":{},"client_id":[]"#,
        r#","refresh_token":"\u0041 \"quoted\"""#,
    ] {
        let body = format!(r#"{{"access_token":"a","token_type":"Bearer"{members}}}"#);
        let tokens = answered(&client(), 200, &[], body).unwrap();
        let stored = written(&tokens);
        let restored: Tokens = serde_json::from_str(&stored).unwrap();
        assert_eq!(written(&restored), stored, "{members}");
        assert_eq!(restored.expires_at(), tokens.expires_at(), "{members}");
        assert_eq!(restored.scope(), tokens.scope(), "{members}");
        assert_eq!(restored.extra().names().len(), tokens.extra().names().len(), "{members}");
    }
}

/// Records of others, as their documentation or source has them: what is in them, and when they end.
#[test]
fn records_of_other_libraries_are_read() {
    for (record, refresh_token, scope, expires_at) in [
        // PHP, league/oauth2-client: `AccessToken::jsonSerialize`.
        (
            r#"{"token_type":"Bearer","scope":"photos","access_token":"a","refresh_token":"r","expires":1767229200}"#,
            Some("r"),
            Some("photos"),
            Some(1_767_229_200),
        ),
        // Rust, oauth2: `StandardTokenResponse`, which does not say since when.
        (
            r#"{"access_token":"a","token_type":"bearer","expires_in":3600,"refresh_token":"r","scope":"photos videos"}"#,
            Some("r"),
            Some("photos videos"),
            None,
        ),
        // JavaScript, openid-client 5: `TokenSet`, in seconds.
        (
            r#"{"access_token":"a","token_type":"Bearer","scope":"photos","id_token":"i","expires_at":1767229200}"#,
            None,
            Some("photos"),
            Some(1_767_229_200),
        ),
        // Python, Authlib and requests-oauthlib: the answer, and when it ends as a float.
        (
            r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"scope":["photos"],"expires_at":1767229200.734}"#,
            None,
            Some("photos"),
            Some(1_767_229_200),
        ),
        // Ruby, Doorkeeper's answer as it came.
        (
            r#"{"access_token":"a","token_type":"Bearer","expires_in":7200,"refresh_token":"r","created_at":1767225600}"#,
            Some("r"),
            None,
            Some(1_767_232_800),
        ),
        // Columns of text.
        (
            r#"{"access_token":"a","expires_at":"1767229200","refresh_token":"","scope":""}"#,
            None,
            Some(""),
            Some(1_767_229_200),
        ),
        (r#"{"access_token":"a","issued_at":"1767225600","expires_in":"3600"}"#, None, None, Some(1_767_229_200)),
        // Where they disagree, what is said outright.
        (r#"{"access_token":"a","expires_at":7,"expires":8,"created_at":1,"expires_in":1}"#, None, None, Some(7)),
        (r#"{"access_token":"a","expires":8,"created_at":1,"expires_in":1}"#, None, None, Some(8)),
        (r#"{"access_token":"a","token_type":null,"refresh_token":null,"expires_at":null}"#, None, None, None),
        (r#"{"access_token":"a"}"#, None, None, None),
    ] {
        let tokens: Tokens = serde_json::from_str(record).unwrap_or_else(|error| panic!("{record}: {error}"));
        assert_eq!(tokens.access_token().expose(), "a", "{record}");
        assert_eq!(tokens.refresh_token().map(proofkey_core::Secret::expose), refresh_token, "{record}");
        assert_eq!(tokens.scope().map(proofkey_core::Scope::as_str), scope, "{record}");
        assert_eq!(tokens.expires_at(), expires_at.map(UnixTime::from_secs), "{record}");
        // From then on it is one of ours.
        let stored = written(&tokens);
        assert!(stored.starts_with(r#"{"v":1,"#), "{stored}");
        let restored: Tokens = serde_json::from_str(&stored).unwrap();
        assert_eq!((written(&restored), restored.expires_at()), (stored, tokens.expires_at()), "{record}");
    }
}

/// What has no place of its own is kept, and what is ours is not taken for it.
#[test]
fn a_foreign_record_keeps_its_other_members() {
    let tokens: Tokens = serde_json::from_str(r#"{"access_token":"a","expires":7,"resource_owner_id":"u1"}"#).unwrap();
    assert_eq!(tokens.extra().names(), ["resource_owner_id"]);
    assert_eq!(tokens.client_id(), None);
}

fn refused(record: &Value) -> (Option<String>, Option<String>) {
    let text = record.to_string();
    let say = |error: serde_json::Error| format!("{error} {error:?}");
    (serde_json::from_str::<Pending>(&text).err().map(say), serde_json::from_str::<Tokens>(&text).err().map(say))
}

#[test]
fn an_unknown_version_is_refused() {
    for version in [json!(0), json!(2), json!(-1), json!(1.5), json!("1"), json!(true), json!([1]), json!(u64::MAX)] {
        for (blob, what) in [(PENDING_V1, "login"), (TOKENS_V1, "tokens")] {
            let mut record: Value = serde_json::from_str(blob).unwrap();
            record["v"] = version.clone();
            let (pending, tokens) = refused(&record);
            let said = if what == "login" { pending } else { tokens };
            let why = format!("stored {what}: v is missing or of the wrong type or value");
            assert!(said.is_some_and(|said| said.contains(&why)), "{what} {version}");
        }
    }
    let mut unversioned: Value = serde_json::from_str(PENDING_V1).unwrap();
    unversioned.as_object_mut().unwrap().remove("v");
    assert!(refused(&unversioned).0.is_some());
}

#[test]
fn a_login_is_not_tokens_and_tokens_are_no_login() {
    for blob in [PENDING_V1, PENDING_V1_LEAST] {
        let error = serde_json::from_str::<Tokens>(blob).unwrap_err();
        assert_eq!(error.to_string(), "stored tokens: access_token is missing or of the wrong type or value");
    }
    for blob in [TOKENS_V1, TOKENS_V1_LEAST, TOKENS_V1_NARROWED] {
        let error = serde_json::from_str::<Pending>(blob).unwrap_err();
        assert_eq!(error.to_string(), "stored login: state is missing or of the wrong type or value");
    }
}

/// Whether this member of a login, or else of tokens, may be this value.
fn fits(login: bool, member: &str, value: &Value) -> bool {
    let text = value.is_string();
    let printable = value.as_str().is_some_and(|text| !text.contains('\n'));
    let list = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let seconds = value.as_f64().is_some_and(|number| number >= 0.0);
    match member {
        "verifier" | "access_token" => printable,
        "started_at" => seconds,
        "state" | "redirect_uri" => text,
        "client_id" | "token_endpoint" if login => text,
        // Tokens without a version are taken for those of another library, which saves less.
        "v" => !login && value.is_null(),
        _ if value.is_null() => true,
        "iss_required" => value.is_boolean(),
        "issued_at" | "expires_at" => seconds,
        "refresh_token" | "id_token" => printable,
        "scope" | "grant_scope" => printable || (!login && list),
        "issuer" | "client_id" | "token_endpoint" => text,
        "resource" => list,
        "extra" => value.is_object(),
        "token_type" => false,
        _ => panic!("{member} is new: say what it may be"),
    }
}

#[test]
fn a_member_of_the_wrong_type_is_refused_and_not_shown() {
    let canary = "Canary-value-that-must-not-be-shown-anywhere-at-all";
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(7.5),
        json!(canary),
        json!(format!("{canary}\n")),
        json!([]),
        json!([canary]),
        json!([canary, 1]),
        json!([[canary]]),
        json!({}),
        json!({ canary: canary }),
    ];
    let mut seen = (0, 0);
    for (blob, login) in [(PENDING_V1, true), (TOKENS_V1, false), (TOKENS_V1_NARROWED, false)] {
        let original: Value = serde_json::from_str(blob).unwrap();
        for member in original.as_object().unwrap().keys() {
            for value in &wrong {
                let mut record = original.clone();
                record[member] = value.clone();
                let (pending, tokens) = refused(&record);
                let said = if login { pending } else { tokens };
                assert_eq!(said.is_none(), fits(login, member, value), "{member}: {value}: {said:?}");
                if let Some(said) = said {
                    assert!(said.contains(&format!(": {member} is missing or of the wrong type or value")), "{said}");
                    assert!(!said.contains("Canary"), "{said}");
                    seen.0 += 1;
                } else {
                    seen.1 += 1;
                }
            }
        }
    }
    assert!(seen.0 > 150 && seen.1 > 20, "{seen:?}");
}

#[test]
fn what_is_no_object_is_refused_and_not_shown() {
    let secret = "Canary-access-token";
    for text in [
        String::new(),
        "null".to_owned(),
        "7".to_owned(),
        format!(r#""{secret}""#),
        format!(r#"["{secret}"]"#),
        format!(r#"{{"v":1,"access_token":"{secret}"#),
        format!(r#"{{"v":1,"access_token":"{secret}"}} {secret}"#),
        format!(r#"{{"access_token":"{secret}\n"}}"#),
        format!(r#"{{"{secret}":{}{}}}"#, "[".repeat(1000), "]".repeat(1000)),
    ] {
        for error in [serde_json::from_str::<Tokens>(&text).err(), serde_json::from_str::<Pending>(&text).err()] {
            let error = error.unwrap_or_else(|| panic!("{text} was read"));
            assert!(!format!("{error} {error:?}").contains("Canary"), "{error}");
        }
    }
}

#[test]
fn a_login_without_its_secrets_is_refused() {
    for (member, value) in [("state", ""), ("verifier", ""), ("verifier", &VERIFIER[1..]), ("scope", "é")] {
        let mut record: Value = serde_json::from_str(PENDING_V1).unwrap();
        record[member] = json!(value);
        let said = refused(&record).0.unwrap_or_else(|| panic!("{member}: {value:?}"));
        assert!(said.contains(&format!("stored login: {member} is missing")), "{said}");
    }
    for member in ["state", "verifier", "redirect_uri", "client_id", "token_endpoint", "started_at"] {
        let mut record: Value = serde_json::from_str(PENDING_V1).unwrap();
        record.as_object_mut().unwrap().remove(member);
        assert!(refused(&record).0.is_some_and(|said| said.contains(member)), "{member}");
    }
}

/// Read from a damaged record or not at all: what is read can be written, and read again as the same.
#[test]
fn damaged_records_never_panic() {
    let foreign = r#"{"access_token":"a","expires_in":"3600","created_at":1767225600.5,"scope":["b"],"x":{"y":[1e9]}}"#;
    let (mut good, mut bad) = (0, 0);
    for blob in [PENDING_V1, PENDING_V1_LEAST, TOKENS_V1, TOKENS_V1_LEAST, TOKENS_V1_NARROWED, foreign] {
        for bytes in damaged(blob, 2000) {
            let stored = [
                serde_json::from_slice::<Pending>(&bytes).map(|pending| written(&pending)),
                serde_json::from_slice::<Tokens>(&bytes).map(|tokens| written(&tokens)),
            ];
            match stored {
                [Err(_), Err(_)] => bad += 1,
                [Ok(stored), Err(_)] => {
                    good += 1;
                    assert_eq!(written(&serde_json::from_str::<Pending>(&stored).unwrap()), stored);
                }
                [Err(_), Ok(stored)] => {
                    good += 1;
                    assert_eq!(written(&serde_json::from_str::<Tokens>(&stored).unwrap()), stored);
                }
                [Ok(_), Ok(_)] => panic!("both a login and tokens: {}", String::from_utf8_lossy(&bytes)),
            }
        }
    }
    assert!(good > 500 && bad > 500, "{good} were read, {bad} were not");
}

/// A server's metadata is data too: stored, read again, and vetted then as when it was written by hand.
#[test]
fn a_server_is_read_as_it_was_written() {
    let json = r#"{"issuer":"https://as.example.com","authorization_endpoint":"https://as.example.com/authorize","token_endpoint":"https://as.example.com/token","code_challenge_methods_supported":["S256"],"authorization_response_iss_parameter_supported":true,"jwks_uri":"https://as.example.com/jwks"}"#;
    let server: Server = serde_json::from_str(json).unwrap();
    assert_eq!(written(&server), json);
    assert!(serde_json::from_str::<Server>(r#"{"issuer":"https://as.example.com"}"#).is_err());
    let poisoned = json.replace("https://as.example.com/token", "http://as.example.com/token");
    let server: Server = serde_json::from_str(&poisoned).unwrap();
    let built = Client::builder(server, "id").authentication(Authentication::post("secret")).build();
    assert_eq!(built.unwrap_err().to_string(), "token_endpoint must be https, or http on a loopback host");
}

#[test]
fn device_logins_are_written_as_version_1_and_go_on() {
    let answer: Value = serde_json::from_str(DEVICE_V1).unwrap();
    let mut answer = answer.as_object().unwrap().clone();
    answer.retain(|member, _| {
        ["device_code", "user_code", "verification_uri", "verification_uri_complete"].contains(&member.as_str())
    });
    answer.insert("expires_in".to_owned(), json!(1800));
    let mut server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    server.issuer = Some("https://as.example.com".to_owned());
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    let client = Client::builder(server, "s6BhdRkqt3").build().unwrap();
    let exchange = client.device().scope(["photos"]).resource("https://api.example.com/");
    let begun = support::outcome(exchange, 200, &[], serde_json::to_string(&answer).unwrap()).unwrap();
    assert_eq!(written(&begun), DEVICE_V1);

    for (blob, client) in [(DEVICE_V1, client), (DEVICE_V1_LEAST, support::client())] {
        let pending: DevicePending = serde_json::from_str(blob).unwrap();
        assert_eq!(written(&pending), blob);
        assert_eq!((pending.user_code(), pending.expires_at().as_secs()), ("WDJB-MJHT", 1_767_227_400));
        let request = client.poll(pending).next_request(NOW, &mut Octets::appendix_b()).unwrap();
        assert_eq!(values(request.body(), "device_code"), ["GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"]);
    }
}

#[test]
fn device_logins_that_cannot_be_used_are_refused_by_name() {
    for (member, value) in [
        ("v", json!(2)),
        ("device_code", json!(1)),
        ("user_code", json!("\u{1b}[2J")),
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri_complete", json!("file:///etc/passwd")),
        ("expires_at", json!("soon")),
        ("interval", json!(-1)),
        ("scope", json!("\"")),
        ("client_id", Value::Null),
        ("token_endpoint", Value::Null),
    ] {
        let mut blob: Value = serde_json::from_str(DEVICE_V1).unwrap();
        blob[member] = value;
        let error = serde_json::from_value::<DevicePending>(blob).unwrap_err().to_string();
        assert_eq!(error, format!("stored device login: {member} is missing or of the wrong type or value"));
    }
    for damaged in damaged(DEVICE_V1, 2000) {
        if let Err(error) = serde_json::from_slice::<DevicePending>(&damaged) {
            let said = format!("{error} {error:?}");
            assert!(!said.contains("GmRhmh") && !said.contains("WDJB"), "{said}");
        }
    }
}
