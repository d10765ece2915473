//! RFC 9110, HTTP Semantics: the sentences about challenges and delays, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use proofkey_core::{Challenge, ErrorCode, Remedy};

mod support;

use support::{answered, client};

fn headers(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))).collect()
}

/// The schemes of these headers' challenges.
fn schemes(values: &[&str]) -> Vec<String> {
    Challenge::all(&headers(values)).iter().map(|challenge| challenge.scheme().to_owned()).collect()
}

/// The only challenge of a header.
fn one(value: &str) -> Challenge {
    let mut all = Challenge::all(&headers(&[value]));
    assert_eq!(all.len(), 1, "{value}: {all:?}");
    all.remove(0)
}

/// Section 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
#[test]
fn s5_6_1_2_empty_elements_are_ignored() {
    for header in [",Bearer a=b", "Bearer a=b,", ", ,,Bearer a=b , , ,", "Bearer a=b,,,"] {
        assert_eq!(one(header).param("a"), Some("b"), "{header}");
    }
    assert_eq!(schemes(&[",, Basic realm=x ,,, Bearer ,,"]), ["basic", "bearer"]);
    assert!(schemes(&["", ",", " , , "]).is_empty());
}

/// Section 5.6.2: "tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT /
/// ALPHA".
#[test]
fn s5_6_2_the_characters_of_a_token() {
    for byte in 0x21..0x7F_u8 {
        let character = char::from(byte);
        let fits = character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
        let read = Challenge::all(&headers(&[&format!("X a=b{character}c")]));
        let value = read.first().and_then(|challenge| challenge.param("a"));
        assert_eq!(value == Some(format!("b{character}c").as_str()), fits, "{character}: {read:?}");
    }
}

/// Section 5.6.3: "A recipient MUST parse for such bad whitespace and remove it before interpreting the protocol element."
#[test]
fn s5_6_3_bad_whitespace_is_removed() {
    for header in ["Bearer a = b , c = \"d\"", "Bearer a\t=\tb\t,\tc=\"d\"\t", "Bearer   a =b,c= \"d\""] {
        let challenge = one(header);
        assert_eq!((challenge.param("a"), challenge.param("c")), (Some("b"), Some("d")), "{header}");
    }
}

/// Section 5.6.4: "A string of text is parsed as a single value if it is quoted using double-quote marks."
#[test]
fn s5_6_4_what_is_quoted_is_one_value() {
    let challenge = one(r#"Bearer realm="a, Basic realm=b, error=c", d=e"#);
    assert_eq!((challenge.param("realm"), challenge.param("d")), (Some("a, Basic realm=b, error=c"), Some("e")));
    assert_eq!(challenge.param("error"), None);
    assert_eq!(one(r#"Bearer a="""#).param("a"), Some(""));
    assert_eq!(one("Bearer a=\"\tb c\t\"").param("a"), Some("\tb c\t"));
}

/// Section 5.6.4: "Recipients that process the value of a quoted-string MUST handle a quoted-pair as if it were replaced by
/// the octet following the backslash."
#[test]
fn s5_6_4_quoted_pairs_are_replaced() {
    for (quoted, value) in [
        (r#""a\"b""#, r#"a"b"#),
        (r#""a\\b""#, r"a\b"),
        (r#""\a\b\c""#, "abc"),
        (r#""\\\"""#, r#"\""#),
        (r#""a\\", c="d""#, r"a\"),
    ] {
        assert_eq!(one(&format!("Bearer a={quoted}")).param("a"), Some(value), "{quoted}");
    }
    // What does not end is not believed, nor the challenge it stands in.
    for open in [r#"Bearer a="b"#, r#"Bearer a="b\""#, r#"Bearer a="b\"#, r#"Bearer a=""b"#] {
        assert!(Challenge::all(&headers(&[open])).is_empty(), "{open}");
    }
}

/// Section 5.6.4: "qdtext = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text".
#[test]
fn s5_6_4_words_may_be_other_than_ascii() {
    for realm in ["F\u{FC}r Fotos", "\u{5199}\u{771F}"] {
        let bearer = Challenge::bearer(&headers(&[&format!(r#"Bearer realm="{realm}", error="invalid_token""#)]));
        assert_eq!(bearer.and_then(|bearer| bearer.error), Some(ErrorCode::INVALID_TOKEN), "{realm}");
    }
    let mut headers = HeaderMap::new();
    let latin1 = b"Bearer error=invalid_token, error_description=\"Ung\xFCltig\"";
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_bytes(latin1).unwrap());
    assert_eq!(Challenge::bearer(&headers).and_then(|bearer| bearer.error), Some(ErrorCode::INVALID_TOKEN));
}

/// Section 10.2.3: "The value of this field can be either an HTTP-date or a number of seconds to delay after receiving the
/// response."
#[test]
fn s10_2_3_a_delay_is_a_number_or_a_date() {
    for (retry_after, seconds) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("Thu, 01 Jan 2026 00:02:00 GMT", Some(120)),
        ("Thursday, 01-Jan-26 00:02:00 GMT", Some(120)),
        ("Thu Jan  1 00:02:00 2026", Some(120)),
        ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let refused = answered(&client(), 503, &[("retry-after", retry_after)], "").unwrap_err();
        assert_eq!(refused.remedy(), Remedy::TryLater(seconds.map(Duration::from_secs)), "{retry_after:?}");
    }
}

/// Section 11.1: "It uses a case-insensitive token to identify the authentication scheme".
#[test]
fn s11_1_the_scheme_is_case_insensitive() {
    assert_eq!(schemes(&["BEARER", "bEaReR", "Basic realm=x"]), ["bearer", "bearer", "basic"]);
    assert!(Challenge::bearer(&headers(&["BEARER"])).is_some());
}

/// Section 11.2: "Authentication parameters are name/value pairs, where the name token is matched case-insensitively and each
/// parameter name MUST only occur once per challenge."
#[test]
fn s11_2_a_name_is_case_insensitive_and_there_once() {
    let challenge = one("Bearer REALM=a, Error=b");
    assert_eq!((challenge.param("realm"), challenge.param("ERROR")), (Some("a"), Some("b")));
    let twice = one("Bearer realm=a, Realm=b, error=c");
    assert_eq!((twice.param("realm"), twice.param("REALM"), twice.param("error")), (None, None, Some("c")));
    // Once in each of two challenges is once.
    let two = Challenge::all(&headers(&["Bearer realm=a, Basic realm=b"]));
    assert_eq!(two.iter().map(|challenge| challenge.param("realm")).collect::<Vec<_>>(), [Some("a"), Some("b")]);
}

/// Section 11.2: "The token68 syntax allows the 66 unreserved URI characters ([URI]), plus a few others, so that it can hold a
/// base64, base64url (URL and filename safe alphabet), base32, or base16 (hex) encoding, with or without padding, but
/// excluding whitespace ([RFC4648])."
#[test]
fn s11_2_token68() {
    for token in ["YWJj", "YWI=", "YQ==", "a-b_c~d.e+f/g", "0", "A======"] {
        let challenge = one(&format!("Negotiate {token}"));
        assert_eq!((challenge.token68(), challenge.param(token)), (Some(token), None), "{token}");
        assert_eq!(schemes(&[&format!("Negotiate {token} , Bearer")]), ["negotiate", "bearer"], "{token}");
    }
    for broken in ["Negotiate a b", "Negotiate a==b", "Negotiate =", "Negotiate a!", "Negotiate a= b=c"] {
        assert!(schemes(&[broken]).is_empty(), "{broken}: {:?}", schemes(&[broken]));
    }
}

/// Section 11.3: "challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]".
#[test]
fn s11_3_the_grammar_of_a_challenge() {
    for (header, read) in [
        ("Bearer", &["bearer"][..]),
        ("Bearer, Basic", &["bearer", "basic"]),
        ("Bearer a=b, Basic", &["bearer", "basic"]),
        ("Bearer a=b, c=d, Basic e=f", &["bearer", "basic"]),
        // What does not follow the grammar ends the reading; what stood before it is believed.
        ("Bearer a=b; c=d", &[]),
        ("Bearer a=b c=d", &[]),
        ("Bearer\u{7F}", &[]),
        ("Bearer/ a=b", &[]),
        ("Bearer \"a\"", &[]),
        ("Basic a=b, Bearer \"c\", Digest", &["basic"]),
        ("a=b", &[]),
        ("=", &[]),
        ("\"Bearer\"", &[]),
    ] {
        let found = HeaderValue::from_bytes(header.as_bytes()).map(|value| {
            let headers: HeaderMap = [(WWW_AUTHENTICATE, value)].into_iter().collect();
            Challenge::all(&headers).iter().map(|challenge| challenge.scheme().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(found.unwrap_or_default(), read, "{header}");
    }
}

/// Section 11.6.1: "User agents are advised to take special care in parsing the field value, as it might contain more than one
/// challenge, and each challenge can contain a comma-separated list of authentication parameters. Furthermore, the header
/// field itself can occur multiple times."
#[test]
fn s11_6_1_challenges_may_be_several() {
    // The instance that the section gives.
    let example = r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#;
    let challenges = Challenge::all(&headers(&[example]));
    assert_eq!(schemes(&[example]), ["basic", "newauth"]);
    assert_eq!((challenges[0].param("realm"), challenges[0].param("type")), (Some("simple"), None));
    assert_eq!((challenges[1].param("type"), challenges[1].param("title")), (Some("1"), Some(r#"Login to "apps""#)));

    let several = ["Basic realm=x", "Negotiate abc=, Bearer error=invalid_token", "Bearer error=other"];
    assert_eq!(schemes(&several), ["basic", "negotiate", "bearer", "bearer"]);
    let bearer = Challenge::bearer(&headers(&several)).unwrap();
    assert_eq!(bearer.error, Some(ErrorCode::INVALID_TOKEN));
    // A header that cannot be read does not spoil its neighbours.
    let bearer = Challenge::bearer(&headers(&["Basic realm=\"", "Bearer error=invalid_token"])).unwrap();
    assert_eq!(bearer.error, Some(ErrorCode::INVALID_TOKEN));
    assert!(Challenge::bearer(&HeaderMap::new()).is_none());
}

/// Section 11.6.1: "a sequence of comma, whitespace, and comma can be considered either as applying to the preceding
/// challenge, or to be an empty entry in the list of challenges. In practice, this ambiguity does not affect the semantics of
/// the header field value and thus is harmless."
#[test]
fn s11_6_1_the_ambiguity_is_harmless() {
    let read = Challenge::all(&headers(&["Basic a=b, , Bearer c=d, ,e=f"]));
    assert_eq!(read.len(), 2);
    assert_eq!((read[1].param("c"), read[1].param("e")), (Some("d"), Some("f")));
}
