//! Each way a server, a browser or a configuration can lie, one row each, with the reason it is refused for; and, beside
//! it, what is accepted always.

use std::time::Duration;

use proofkey_core::{
    Authentication, Callback, Client, Discovery, Error, Exchange, MAX_BODY, MAX_CALLBACK, Pending, Remedy, Server,
    Session, Step, TokenState, Tokens, UnixTime, Usage, Violation,
};

mod support;

use support::{CODE, NOW, Octets, REDIRECT_URI, STATE, answered, client, grant, outcome, response, server};

/// A login at a server with an issuer that promises nothing.
fn pending() -> Pending {
    let mut server = server();
    server.issuer = Some("https://as.example.com".to_owned());
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("a client");
    client.authorize().redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

/// What becomes of a callback: `S` stands for the right state, `C` for a code.
fn returned(input: &str) -> Result<(), Error> {
    let input = input.replace("=S", &format!("={STATE}")).replace("=C", &format!("={CODE}"));
    pending().accept(Callback::parse(&input)?).map(drop)
}

#[test]
fn callbacks_that_are_refused() {
    let neither = "the callback has neither code nor error";
    let both = "the callback has both code and error";
    let state = "the callback's state is not this login's";
    let utf8 = "the callback is not UTF-8";
    let issuer = "the answer comes from another issuer than was asked; they are compared letter by letter, a slash at the end included";
    let denied = "the server refused: access_denied";
    for (query, why) in [
        // Nothing in it.
        ("", neither),
        ("?", neither),
        ("&&&", neither),
        ("state=S", neither),
        ("code=&state=S", neither),
        ("code&state=S", neither),
        ("error=&state=S", neither),
        ("CODE=C&state=S", neither),
        ("Code=C&state=S", neither),
        ("code[]=C&state=S", neither),
        ("code%3DC&state=S", neither),
        ("code;state=S", neither),
        ("/cb", neither),
        ("https://client.example.com/cb", neither),
        // Only in the fragment, which no server sees.
        ("https://client.example.com/cb#code=C&state=S", neither),
        // Too much in it.
        ("code=C&error=access_denied&state=S", both),
        ("code=C&code=C&state=S", "the callback has code more than once"),
        ("code=C&code=&state=S", "the callback has code more than once"),
        ("code=C&c%6fde=x&state=S", "the callback has code more than once"),
        ("code=C&state=S&state=S", "the callback has state more than once"),
        ("code=C&state=x&state=S", "the callback has state more than once"),
        ("code=C&state=S&iss=https://as.example.com&iss=https://evil.example", "the callback has iss more than once"),
        ("error=a&error=b&state=S", "the callback has error more than once"),
        (
            "error=a&error_description=b&error_description=c&state=S",
            "the callback has error_description more than once",
        ),
        ("access_token=x&state=S", "the callback has access_token, which was not asked for"),
        ("code=C&access_token=x&token_type=Bearer&state=S", "the callback has access_token, which was not asked for"),
        ("code=C&id_token=x&state=S", "the callback has id_token, which was not asked for"),
        ("code=C&refresh_token=x&state=S", "the callback has refresh_token, which was not asked for"),
        ("response=eyJhbGciOiJub25lIn0&state=S", "the callback has response, which was not asked for"),
        // Characters that cannot be.
        ("code=%00&state=S", "the callback's code has characters it cannot have"),
        ("code=a%0D%0Ab&state=S", "the callback's code has characters it cannot have"),
        ("code=%C3%BC&state=S", "the callback's code has characters it cannot have"),
        ("code=%7F&state=S", "the callback's code has characters it cannot have"),
        ("error=%1B%5B2J&state=S", "the callback's error has characters it cannot have"),
        ("error=%22&state=S", "the callback's error has characters it cannot have"),
        ("code=%C0%AF&state=S", utf8),
        ("code=%ED%A0%80&state=S", utf8),
        ("code=C&state=%FF", utf8),
        ("code=C&state=S&iss=%FF", utf8),
        ("error=%FF&state=S", utf8),
        ("st%61te=%FF&code=C&state=S", utf8),
        // A line end belongs to a pasted URL, not to a query.
        ("state=S&code=C\n", "the callback's code has characters it cannot have"),
        // Not this login's.
        ("code=C", state),
        ("code=C&state=", state),
        ("code=C&state=x", state),
        ("code=C&state=S%20", state),
        ("code=C&state=S\n", state),
        ("code=C#&state=S", state),
        ("code=C&state=%2541AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", state),
        ("error=access_denied", state),
        ("error=access_denied&state=x", state),
        ("code=C&iss=https://evil.example&state=x", state),
        // Another's word, and then the server's own.
        ("code=C&state=S&iss=https://evil.example", issuer),
        ("code=C&state=S&iss=https://as.example.com/", issuer),
        ("error=access_denied&state=S&iss=https://evil.example", issuer),
        ("error=access_denied&state=S", denied),
        ("error=access_denied&state=S&iss=https://as.example.com", denied),
        // Words that cannot be read are no reason to lose the error, nor to take it for ours.
        ("error=access_denied&error_description=%FF&error_uri=%C0%AF&state=S", denied),
        ("error=access_denied&error_description=%FF&state=x", state),
        (
            "error=access_denied&error_description=%FF&error_description=x&state=S",
            "the callback has error_description more than once",
        ),
        // What a server says is shown without what a terminal obeys.
        ("error=x&state=S&error_description=a%1B%5B2J%0Ab", "the server refused: x: a\\u{1b}[2J\\u{a}b"),
        (
            "error=x&state=S&error_description=a%E2%80%AEb%E2%80%8Fc%EF%BB%BF%D8%9C%E2%81%A9",
            "the server refused: x: a\\u{202e}b\\u{200f}c\\u{feff}\\u{61c}\\u{2069}",
        ),
    ] {
        let said = returned(query).expect_err(query).to_string();
        assert_eq!(said, why, "{query}");
    }
    let long = returned(&format!("code=C&state=S&x={}", "x".repeat(MAX_CALLBACK)));
    assert_eq!(long.unwrap_err().to_string(), "the callback is longer than 65536 bytes");
}

/// A whole URL tells where the browser came to.
#[test]
fn callbacks_to_another_place_are_refused() {
    let elsewhere = "the callback did not come to this login's redirect URI";
    let url = "the callback's URL has characters it cannot have";
    for (input, why) in [
        ("https://evil.example/cb?code=C&state=S", elsewhere),
        ("http://client.example.com/cb?code=C&state=S", elsewhere),
        ("https://client.example.com:8443/cb?code=C&state=S", elsewhere),
        ("https://client.example.com/other?code=C&state=S", elsewhere),
        ("https://client.example.com/cb/?code=C&state=S", elsewhere),
        ("https://client.example.com/cb/../x?code=C&state=S", elsewhere),
        ("https://user@client.example.com/cb?code=C&state=S", elsewhere),
        ("com.example.app:/cb?code=C&state=S", elsewhere),
        ("com.example.my-app+x:/cb?code=C&state=S", elsewhere),
        // A place that two parsers would see in two places.
        ("https://client.example.com\\@evil.example/cb?code=C&state=S", url),
        ("https:/\\evil.example/cb?code=C&state=S", url),
        ("https://client.exa\tmple.com/cb?code=C&state=S", url),
        ("https://client.example.com/cb?code=C\n&state=S", url),
        ("https://client.exämple.com/cb?code=C&state=S", url),
        ("https://client.example.com/c b?code=C&state=S", url),
        ("https://?code=C&state=S", url),
        ("https://client.example.com:x/cb?code=C&state=S", url),
    ] {
        assert_eq!(returned(input).expect_err(input).to_string(), why, "{input}");
    }
}

#[test]
fn callbacks_that_are_accepted() {
    for query in [
        "code=C&state=S",
        "?code=C&state=S",
        "/cb?code=C&state=S",
        "/anything/behind/a/proxy?code=C&state=S",
        "https://client.example.com/cb?code=C&state=S",
        "https://client.example.com:443/cb?code=C&state=S#_=_",
        "HTTPS://CLIENT.example.com/cb?code=C&state=S",
        "state=S&code=C",
        "&&code=C&&state=S&",
        "code=C&state=S&iss=https%3A%2F%2Fas.example.com",
        "code=C&state=S&iss=https://as.example.com",
        "code=C&state=S&iss=",
        "code=C&state=S&error=",
        "code=C&state=S&scope=a+b&scope=c&session_state=%2B%2F%3D&authuser=0&prompt=none",
        "code=%zz%&state=S",
        "code=4/0Ab+c%3D%3D&state=S",
        "%63ode=C&st%61te=S",
        "code=C&state=S&error_description=x",
        "code=C&state=S&x=a=b=c",
        // What is no parameter of ours is not ours to read.
        "code=C&state=S&x=%FF",
        "%FF=1&code=C&state=S",
        "code=C&state=S&error_description=%FF",
        // What is behind a fragment sign, no server sees; some providers put one there.
        "code=C&state=S#_=_",
        "?code=C&state=S#",
        "/cb?code=C&state=S#_=_",
        "code=C&state=S#&state=x&error=y",
        // Copied from an address bar.
        "https://client.example.com/cb?code=C&state=S\n",
        "https://client.example.com/cb?code=C&state=S\r\n",
        "  https://client.example.com/cb?code=C&state=S \n",
        "/cb?code=C&state=S\n",
    ] {
        assert!(returned(query).is_ok(), "{query}: {:?}", returned(query));
    }
    let long = format!("code=C&state={STATE}&x=");
    let fits = "x".repeat(MAX_CALLBACK - long.len());
    assert!(pending().accept(Callback::parse(&(long + &fits)).unwrap()).is_ok());
}

/// A redirect URI's own query comes back with the response (RFC 6749 section 3.1.2), wherever it stands in it; what comes
/// beside it is the server's affair.
#[test]
fn the_query_of_the_redirect_uri_must_come_back() {
    let own = "https://client.example.com/cb?provider=a%2Fb&tenant=1";
    let client = Client::builder(server(), "s6BhdRkqt3").redirect_uri(own).build().unwrap();
    let comes = |input: &str| {
        let (_, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
        let input = input.replace("=S", &format!("={STATE}")).replace("=C", &format!("={CODE}"));
        let callback = Callback::parse(&input)?;
        let ours = pending.is_for(&callback);
        let accepted = pending.accept(callback).map(drop);
        assert_eq!(ours, accepted.is_ok(), "{input}");
        accepted
    };
    for good in [
        "https://client.example.com/cb?provider=a%2Fb&tenant=1&code=C&state=S",
        "https://client.example.com/cb?code=C&state=S&tenant=1&provider=a%2fb",
        "https://client.example.com/cb?code=C&x=y&provider=a/b&state=S&tenant=1#_=_",
        "https://client.example.com/cb?provider=a%2Fb&tenant=1&tenant=2&code=C&state=S",
        // The application's router has taken its part away.
        "code=C&state=S",
        "/cb?code=C&state=S",
    ] {
        assert!(comes(good).is_ok(), "{good}: {:?}", comes(good));
    }
    for bad in [
        "https://client.example.com/cb?code=C&state=S",
        "https://client.example.com/cb?provider=a%2Fb&code=C&state=S",
        "https://client.example.com/cb?provider=a%2Fb&tenant=2&code=C&state=S",
        "https://client.example.com/cb?provider=a%252Fb&tenant=1&code=C&state=S",
        "https://client.example.com/cb?Provider=a%2Fb&tenant=1&code=C&state=S",
        "https://client.example.com/cb?code=C&state=S#provider=a%2Fb&tenant=1",
    ] {
        let said = comes(bad).expect_err(bad).to_string();
        assert_eq!(said, "the callback did not come to this login's redirect URI", "{bad}");
    }
}

/// A description or page of an error that cannot be shown is dropped or cut; its code counts.
#[test]
fn what_cannot_be_shown_of_an_error_is_dropped() {
    for (query, description, uri) in [
        ("error_description=", None, None),
        ("error_description=%FF&error_uri=https://as.example.com/e", None, Some("https://as.example.com/e")),
        ("error_description=a&error_uri=%FF", Some("a"), None),
        ("error_uri=javascript:alert(1)", None, None),
        ("error_uri=data:text/html,x", None, None),
        ("error_uri=//evil.example", None, None),
        ("error_uri=https://user:pw@as.example.com/", None, None),
        ("error_uri=https://as.example.com/a%20b", None, None),
        ("error_uri=https://as.example.com/e%23a%5Cb", None, None),
        ("error_uri=https://as.example.com/e%23codes", None, Some("https://as.example.com/e#codes")),
        ("error_description=%E2%82%AC", Some("€"), None),
    ] {
        let refused = returned(&format!("error=x&state=S&{query}"));
        let Err(Error::Server(error)) = refused else { panic!("{query}: {refused:?}") };
        assert_eq!((error.description.as_deref(), error.uri.as_deref()), (description, uri), "{query}");
    }
    let refused = returned(&format!("error=x&state=S&error_description={}", "%C3%BC".repeat(5000)));
    let Err(Error::Server(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.description.map(|text| text.chars().count()), Some(1024));
}

/// A callback that is not this login's consumes nothing: a listener can go on waiting.
#[test]
fn a_stranger_is_told_apart_before_the_login_is_used() {
    let pending = pending();
    for stranger in ["code=x&state=y", "error=access_denied", "https://evil.example/cb?code=x&state=S"] {
        let callback = Callback::parse(&stranger.replace("=S", &format!("={STATE}"))).unwrap();
        assert!(!pending.is_for(&callback), "{stranger}");
    }
    let own = Callback::parse(&format!("code={CODE}&state={STATE}")).unwrap();
    assert!(pending.is_for(&own));
    assert!(pending.accept(own).is_ok());
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const NO_HEADERS: &[(&str, &str)] = &[];

#[test]
fn successes_that_are_none() {
    let not_json = "the server's answer is not a JSON object";
    let no_token = "the server's answer has no access_token";
    let bad_token = "access_token in the server's answer has the wrong type or value";
    let no_type = "the server's answer has no token_type";
    let bad_type = "the server's token_type is not Bearer";
    let bad_lifetime = "expires_in in the server's answer has the wrong type or value";
    let bad_scope = "scope in the server's answer has the wrong type or value";
    let bad_refresh = "refresh_token in the server's answer has the wrong type or value";
    let bad_error = "error in the server's answer has the wrong type or value";
    // @A and @B stand for the two members that a success has.
    for (body, why) in [
        // Not one JSON object.
        ("", not_json),
        ("null", not_json),
        ("[]", not_json),
        (r#"["a","Bearer"]"#, not_json),
        (r#""a""#, not_json),
        ("<html><title>Log in</title></html>", not_json),
        ("access_token=a&token_type=bearer", not_json),
        ("{@A,@B} x", not_json),
        ("{@A,@B}{}", not_json),
        ("{@A,@B,}", not_json),
        ("{@A,@B", not_json),
        ("{'access_token':'a','token_type':'Bearer'}", not_json),
        ("{@A,@B,\"x\":\"\n\"}", not_json),
        ("\u{FEFF}\u{FEFF}{@A,@B}", not_json),
        (r#"{@A,@B,"expires_in":NaN}"#, not_json),
        (r#"{@A,@B,"expires_in":+1}"#, not_json),
        (r#"{@A,@B,"expires_in":01}"#, not_json),
        // The access token.
        ("{}", no_token),
        ("{@B}", no_token),
        (r#"{@B,"access_token":""}"#, no_token),
        (r#"{@B,"access_token":null}"#, no_token),
        (r#"{@B,"ACCESS_TOKEN":"a"}"#, no_token),
        (r#"{"data":{@A,@B}}"#, no_token),
        (r#"{@B,"access_token":5}"#, bad_token),
        (r#"{@B,"access_token":true}"#, bad_token),
        (r#"{@B,"access_token":["a"]}"#, bad_token),
        (r#"{@B,"access_token":{"a":1}}"#, bad_token),
        (r#"{@B,"access_token":" "}"#, bad_token),
        (r#"{@B,"access_token":"a\r\nX: y"}"#, bad_token),
        (r#"{@B,"access_token":"a\u0000"}"#, bad_token),
        (r#"{@B,"access_token":"\u00e9"}"#, bad_token),
        (r#"{@B,"access_token":"\ud800"}"#, bad_token),
        // Its type.
        ("{@A}", no_type),
        (r#"{@A,"token_type":""}"#, no_type),
        (r#"{@A,"token_type":null}"#, no_type),
        (r#"{@A,"token_type":"mac"}"#, bad_type),
        (r#"{@A,"token_type":"DPoP"}"#, bad_type),
        (r#"{@A,"token_type":"Bearer\r\n"}"#, bad_type),
        (r#"{@A,"token_type":1}"#, "token_type in the server's answer has the wrong type or value"),
        // What else there is.
        (r#"{@A,@B,"expires_in":-1}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"soon"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":""}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"inf"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"-1"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"1."}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":".5"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"+1"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":"+1.5"}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":true}"#, bad_lifetime),
        (r#"{@A,@B,"expires_in":[1]}"#, bad_lifetime),
        (r#"{@A,@B,"scope":5}"#, bad_scope),
        (r#"{@A,@B,"scope":["a",1]}"#, bad_scope),
        (r#"{@A,@B,"scope":"a\nb"}"#, bad_scope),
        (r#"{@A,@B,"scope":"a\"b"}"#, bad_scope),
        (r#"{@A,@B,"scope":"a\\b"}"#, bad_scope),
        (r#"{@A,@B,"scope":["a","b\""]}"#, bad_scope),
        (r#"{@A,@B,"scope":"\u00e9"}"#, bad_scope),
        (r#"{@A,@B,"scope":{"a":1}}"#, bad_scope),
        (r#"{@A,@B,"refresh_token":1}"#, bad_refresh),
        (r#"{@A,@B,"refresh_token":"\n"}"#, bad_refresh),
        (r#"{@A,@B,"id_token":{}}"#, "id_token in the server's answer has the wrong type or value"),
        // Members that stand twice, by whatever spelling.
        ("{@A,@A,@B}", "the server's answer has access_token more than once"),
        (r#"{@A,@B,"acc\u0065ss_token":"b"}"#, "the server's answer has access_token more than once"),
        ("{@A,@B,@B}", "the server's answer has token_type more than once"),
        (r#"{"error":"a","error":"b"}"#, "the server's answer has error more than once"),
        // A refusal in the clothes of a success.
        (r#"{"error":"x"}"#, "the server refused: x (HTTP 200)"),
        (r#"{@A,@B,"error":"x"}"#, "the server refused: x (HTTP 200)"),
        (r#"{@A,@B,"error":7}"#, bad_error),
        (r#"{@A,@B,"error":"\n"}"#, bad_error),
    ] {
        let body = body.replace("@A", r#""access_token":"a""#).replace("@B", r#""token_type":"Bearer""#);
        let error = answered(&client(), 200, JSON, body.as_str()).expect_err(&body);
        // What is no refusal may have been a success to the server.
        let ambiguous = !matches!(error, Error::Server(_));
        assert_eq!((error.to_string().as_str(), error.ambiguous()), (why, ambiguous), "{body}");
    }
    // What is no object has no members to be counted.
    let list = format!("[0{}]", ",0".repeat(16 * 1024));
    let error = answered(&client(), 200, JSON, list).unwrap_err();
    assert!(matches!(error, Error::Violation(Violation::NotJson)), "{error}");
    for violation in [Violation::RedirectFollowed, Violation::TooLong, Violation::TooManyValues] {
        assert!(Error::from(violation).ambiguous());
    }
}

/// The status counts, and then the code in the body; a body that would do with another status does not.
#[test]
fn statuses_that_are_no_success() {
    let token = r#"{"access_token":"a","token_type":"Bearer"}"#;
    let location: &[(&str, &str)] = &[("location", "https://evil.example/token")];
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
        for body in ["", token, r#"{"error":"invalid_grant"}"#] {
            let said = answered(&client(), status, location, body).unwrap_err().to_string();
            assert_eq!(said, format!("the server answered with a redirect (HTTP {status}), which is never followed"));
        }
    }
    for (status, body) in [
        (100, ""),
        (101, token),
        (201, token),
        (202, token),
        (204, ""),
        (206, token),
        (299, token),
        (400, token),
        (400, r#"{"error":""}"#),
        (400, r#"{"error":null}"#),
        (400, r#"{"message":"no"}"#),
        (400, r#"{"title":"no","status":400}"#),
        (400, "error=invalid_grant"),
        (401, ""),
        (403, "[]"),
        (404, "<html>404</html>"),
        (600, r#"{"error":"x"}"#),
        (999, token),
    ] {
        let error = answered(&client(), status, NO_HEADERS, body).unwrap_err();
        assert_eq!(error.to_string(), format!("the server answered HTTP {status} without an error code"), "{body}");
        // What succeeded in another way may have spent the code.
        assert_eq!(error.ambiguous(), (200..300).contains(&status), "{status}: {body}");
    }
    for (status, body, code) in [
        (400, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (400, "\u{FEFF}{\"error\":\"invalid_grant\"}\n", "invalid_grant"),
        (400, r#"{"error":"x","error_description":7,"error_uri":[]}"#, "x"),
        (400, r#"{"error":"x","access_token":"a","token_type":"Bearer"}"#, "x"),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (418, r#"{"error":"short_and_stout"}"#, "short_and_stout"),
        // A failure is never the last word; without a code of its own it has the RFC's name for it.
        (500, "<html>", "server_error"),
        (502, "", "temporarily_unavailable"),
        (503, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (503, r#"{"error":["x"]}"#, "temporarily_unavailable"),
        (503, r#"{"error":"a","error":"b"}"#, "temporarily_unavailable"),
        (429, "", "temporarily_unavailable"),
        (408, "", "temporarily_unavailable"),
        (425, token, "temporarily_unavailable"),
    ] {
        let said = answered(&client(), status, NO_HEADERS, body).unwrap_err().to_string();
        assert_eq!(said, format!("the server refused: {code} (HTTP {status})"), "{body}");
    }
    for (body, why) in [
        (r#"{"error":"a","error":"b"}"#, "the server's answer has error more than once"),
        (r#"{"error":{"code":1}}"#, "error in the server's answer has the wrong type or value"),
        (r#"{"error":"a\u0000b"}"#, "error in the server's answer has the wrong type or value"),
    ] {
        assert_eq!(answered(&client(), 400, JSON, body).unwrap_err().to_string(), why, "{body}");
    }
}

#[test]
fn bodies_that_are_not_utf8_are_refused() {
    let token = r#"{"access_token":"a","token_type":"Bearer"}"#;
    let utf16: Vec<u8> = token.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1 = [token.replace('}', r#","x":""#).as_bytes(), b"\xE9\"}"].concat();
    for body in [b"\xFF".to_vec(), latin1, utf16] {
        let said = answered(&client(), 200, JSON, body).unwrap_err().to_string();
        assert_eq!(said, "the server's answer is not a JSON object");
    }
}

/// What the application is told to do, by status and body.
#[test]
fn what_to_do_about_a_refusal() {
    let later = |seconds: Option<u64>| Remedy::TryLater(seconds.map(Duration::from_secs));
    let wait: &[(&str, &str)] = &[("retry-after", "120")];
    let for_ever: &[(&str, &str)] = &[("retry-after", "99999999999999999999999")];
    let garbage: &[(&str, &str)] = &[("retry-after", "soon")];
    for (status, headers, body, remedy) in [
        (503, wait, "", later(Some(120))),
        (503, for_ever, "", later(Some(24 * 60 * 60))),
        (503, garbage, "", later(None)),
        (503, NO_HEADERS, r#"{"error":"invalid_grant"}"#, later(None)),
        (500, wait, r#"{"error":"invalid_client"}"#, later(Some(120))),
        (429, wait, r#"{"error":"rate_limited"}"#, later(Some(120))),
        (429, NO_HEADERS, "", later(None)),
        (400, wait, r#"{"error":"temporarily_unavailable"}"#, later(Some(120))),
        (400, wait, r#"{"error":"invalid_grant"}"#, Remedy::LogInAgain),
        (401, NO_HEADERS, r#"{"error":"invalid_client"}"#, Remedy::FixConfiguration),
        (400, NO_HEADERS, r#"{"error":"who knows"}"#, Remedy::Report),
        (404, NO_HEADERS, "", Remedy::Report),
        (302, NO_HEADERS, "", Remedy::Report),
        (200, NO_HEADERS, "", Remedy::Report),
    ] {
        assert_eq!(answered(&client(), status, headers, body).unwrap_err().remedy(), remedy, "{status} {body}");
    }
    for (codes, remedy) in [
        ("server_error temporarily_unavailable authorization_pending slow_down", later(Some(120))),
        (
            "invalid_grant access_denied login_required interaction_required consent_required account_selection_required
                insufficient_user_authentication invalid_request_uri expired_token",
            Remedy::LogInAgain,
        ),
        (
            "invalid_request invalid_client unauthorized_client unsupported_grant_type unsupported_response_type
                invalid_scope invalid_target invalid_authorization_details unsupported_token_type",
            Remedy::FixConfiguration,
        ),
        ("invalid_token insufficient_scope", Remedy::Report),
    ] {
        for code in codes.split_whitespace() {
            let refused = answered(&client(), 400, wait, format!(r#"{{"error":"{code}"}}"#));
            assert_eq!(refused.unwrap_err().remedy(), remedy, "{code}");
        }
    }
    let refused = answered(&client(), 403, wait, r#"{"error":"x"}"#);
    let Err(Error::Server(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.status.map(|status| status.as_u16()), Some(403));
    assert_eq!((error.code.as_str(), error.retry_after), ("x", Some(Duration::from_secs(120))));
}

/// The tokens of an answer with these members beside an access token.
fn tokens(members: &str) -> Tokens {
    let body = format!(r#"{{"access_token":"a","token_type":"Bearer"{members}}}"#);
    answered(&client(), 200, NO_HEADERS, body).unwrap_or_else(|error| panic!("{members}: {error}"))
}

#[test]
fn token_answers_that_are_accepted() {
    let after = |seconds: u64| Some(NOW.saturating_add(Duration::from_secs(seconds)));
    let end = Some(UnixTime::from_secs(u64::MAX));
    for (expires_in, expires_at) in [
        ("3600", after(3600)),
        ("0", after(0)),
        ("-0", after(0)),
        ("3600.0", after(3600)),
        ("3599.999", after(3599)),
        ("0.9", after(0)),
        ("3.6e3", after(3600)),
        (r#""3600""#, after(3600)),
        (r#""3599.9""#, after(3599)),
        ("9223372036854775807", end),
        ("18446744073709551616", end),
        ("1e308", end),
        ("1e999", end),
        (r#""99999999999999999999999""#, end),
        ("null", None),
    ] {
        assert_eq!(tokens(&format!(r#","expires_in":{expires_in}"#)).expires_at(), expires_at, "{expires_in}");
    }
    for (scope, granted) in [
        (r#""photos videos""#, Some("photos videos")),
        (r#"["photos","videos"]"#, Some("photos videos")),
        ("[]", Some("")),
        (r#""""#, Some("")),
        (r#""a,b""#, Some("a,b")),
        ("null", Some("photos")),
    ] {
        assert_eq!(
            tokens(&format!(r#","scope":{scope}"#)).scope().map(proofkey_core::Scope::as_str),
            granted,
            "{scope}"
        );
    }
    for nothing in [r#","refresh_token":null"#, r#","refresh_token":"""#, r#","error":null"#, r#","error":"""#] {
        assert!(tokens(nothing).refresh_token().is_none(), "{nothing}");
    }
    for anything in [
        r#","x":1,"x":2"#,
        r#","":{"a":[null,true,1e400,"\ud800"]}"#,
        r#","error_description":"fine","error_uri":7"#,
        r#","id_token":"eyJhbGciOiJub25lIn0..""#,
    ] {
        assert_eq!(tokens(anything).access_token().expose(), "a", "{anything}");
    }
    let body = r#"{"access_token":"a","token_type":"Bearer"}"#;
    for content_type in ["application/json; charset=utf-8", "text/html", "text/plain", "application/octet-stream", "?"]
    {
        assert!(answered(&client(), 200, &[("content-type", content_type)], body).is_ok(), "{content_type}");
    }
    for body in [format!("\u{FEFF}{body}"), format!(" \r\n\t{body}\n\n"), body.replace(':', " : ")] {
        assert!(answered(&client(), 200, NO_HEADERS, body.clone()).is_ok(), "{body}");
    }
}

#[test]
fn a_body_may_be_this_long_and_no_longer() {
    let filled = |length: usize| {
        let start = r#"{"access_token":"a","token_type":"Bearer","x":""#;
        format!(r#"{start}{}"}}"#, "x".repeat(length - start.len() - 2))
    };
    assert!(answered(&client(), 200, NO_HEADERS, filled(MAX_BODY)).is_ok());
    let said = answered(&client(), 200, NO_HEADERS, filled(MAX_BODY + 1)).unwrap_err().to_string();
    assert_eq!(said, "the server's answer is longer than 1048576 bytes");
    for (status, why) in [
        (400, "the server answered HTTP 400 without an error code"),
        (500, "the server refused: server_error (HTTP 500)"),
        (302, "the server answered with a redirect (HTTP 302), which is never followed"),
    ] {
        assert_eq!(answered(&client(), status, NO_HEADERS, filled(MAX_BODY + 1)).unwrap_err().to_string(), why);
    }
}

/// The same of every other answer that is read.
#[test]
fn each_answer_may_be_this_long_and_no_longer() {
    let mut server = server();
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    server.pushed_authorization_request_endpoint = Some("https://as.example.com/par".to_owned());
    let document = serde_json::to_string(&metadata("")).unwrap();
    let builder = Client::builder(server, "id").authentication(Authentication::basic("secret"));
    let client = builder.redirect_uri(REDIRECT_URI).build().unwrap();
    let device =
        r#"{"device_code":"d","user_code":"u","verification_uri":"https://as.example.com/device","expires_in":60}"#;
    let resource = || http::Request::get("https://api.example.com/").body(()).unwrap();
    for (length, says) in [(MAX_BODY, None), (MAX_BODY + 1, Some("the server's answer is longer than 1048576 bytes"))] {
        let filled = |body: &str| format!("{body}{}", " ".repeat(length - body.len()));
        for (which, outcome) in [
            ("device", outcome(client.device(), 200, NO_HEADERS, filled(device)).map(drop)),
            ("call", outcome(client.call(&stored(""), resource()), 200, NO_HEADERS, filled("")).map(drop)),
            (
                "introspection",
                outcome(client.introspect(&"a".into()), 200, JSON, filled(r#"{"active":true}"#)).map(drop),
            ),
            (
                "push",
                outcome(
                    client.authorize().push(),
                    201,
                    NO_HEADERS,
                    filled(r#"{"request_uri":"urn:x","expires_in":60}"#),
                )
                .map(drop),
            ),
            ("discovery", outcome(Discovery::new("https://as.example.com"), 200, JSON, filled(&document)).map(drop)),
        ] {
            assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), says, "{which}");
        }
    }
}

/// A server by its metadata, as a cache or a configuration file would hold it.
fn metadata(members: &str) -> Server {
    let json = format!(
        r#"{{"issuer":"https://as.example.com","authorization_endpoint":"https://as.example.com/authorize",
            "token_endpoint":"https://as.example.com/token"{members}}}"#
    );
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{members}: {error}"))
}

#[test]
fn endpoints_that_are_refused() {
    let absolute = "must be an absolute URI";
    let host = "must have a host after \"https://\"";
    let secure = "must be https, or http on a loopback host";
    let https = "must be an https URI";
    let user = "must not have a user name or password";
    let ascii = "must be ASCII without spaces and control characters";
    let usual = "must write its host in the usual form";
    for (endpoint, why) in [
        ("", absolute),
        ("as.example.com/token", absolute),
        ("/token", absolute),
        ("//as.example.com/token", absolute),
        ("https://", absolute),
        ("https://as.example.com:99999/", absolute),
        ("https:as.example.com", host),
        ("https:/as.example.com", host),
        ("http://as.example.com/token", secure),
        ("http://127.0.0.1.nip.example/token", secure),
        ("http://localhost.example/token", secure),
        ("http://0.0.0.0/token", secure),
        ("http://169.254.169.254/latest", secure),
        ("ftp://as.example.com/token", https),
        ("file:///token", https),
        ("javascript:alert(1)", https),
        ("data:text/html,x", https),
        ("https://user:pw@as.example.com/token", user),
        ("https://as.example.com@evil.example/token", user),
        ("https://@as.example.com/token", user),
        ("https://as.example.com\\@evil.example/token", "must not have a backslash"),
        ("https://as.example.com/token#x", "must not have a fragment"),
        ("https://as.example.com/to ken", ascii),
        ("https://as.example.com/to\tken", ascii),
        ("https://as.example.com/to\nken", ascii),
        (" https://as.example.com/token", ascii),
        ("https://as.exämple.com/token", ascii),
        ("https://as.example.com/\u{0}", ascii),
        // Hosts that are not what they look like.
        ("https://2130706433/token", usual),
        ("https://0x7f.1/token", usual),
        ("http://127.1/token", usual),
        ("http://0177.0.0.1/token", usual),
        ("https://%61s.example.com/token", usual),
        ("https://as.example.com%2Eevil.example/token", usual),
        ("http://[0:0:0:0:0:0:0:1]/token", usual),
    ] {
        for place in
            ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "issuer"]
        {
            let mut server = metadata("");
            match place {
                "authorization_endpoint" => server.authorization_endpoint = Some(endpoint.to_owned()),
                "token_endpoint" => endpoint.clone_into(&mut server.token_endpoint),
                "revocation_endpoint" => server.revocation_endpoint = Some(endpoint.to_owned()),
                "introspection_endpoint" => server.introspection_endpoint = Some(endpoint.to_owned()),
                _ => server.issuer = Some(endpoint.to_owned()),
            }
            let refused = Client::builder(server, "id").build().expect_err(endpoint);
            assert_eq!(refused.to_string(), format!("{place} {why}"), "{endpoint:?}");
            assert_eq!(refused.remedy(), Remedy::FixConfiguration);
        }
    }
    let mut server = metadata("");
    server.issuer = Some("https://as.example.com?x".to_owned());
    assert_eq!(Client::builder(server, "id").build().unwrap_err().to_string(), "issuer must not have a query");
    for taken in ["state=x", "client_id=x", "code_challenge_method=plain", "st%61te=x", "redirect_uri", "request_uri=x"]
    {
        let server = Server::new(format!("https://as.example.com/a?{taken}"), "https://as.example.com/token");
        let said = Client::builder(server, "id").build().expect_err(taken).to_string();
        assert_eq!(said, "authorization_endpoint must not have a query with parameters that a request sets", "{taken}");
    }
}

#[test]
fn endpoints_that_are_accepted() {
    for endpoint in [
        "https://as.example.com/token",
        "https://as.example.com",
        "https://as.example.com:8443/token?tenant=1",
        "https://as.example.com/a@b?c=d@e",
        "https://192.0.2.1/token",
        "https://[2001:db8::1]/token",
        "https://xn--bcher-kva.example/token",
        "http://localhost:3000/token",
        "http://127.0.0.1:3000/token",
        "http://127.8.9.10/token",
        "http://[::1]:3000/token",
        "HTTPS://as.example.com/token",
    ] {
        let built = Client::builder(Server::new(endpoint, endpoint), "id").build();
        assert!(built.is_ok(), "{endpoint}: {built:?}");
    }
    let plain = || Server::new("http://as.test/authorize", "http://as.test/token");
    assert!(Client::builder(plain(), "id").build().is_err());
    assert!(Client::builder(plain(), "id").danger_allow_http().build().is_ok());
    // The name promises plain http, nothing else.
    for still in ["ftp://as.test/", "http://user@as.test/", "http://as.test/#x", "http:as.test"] {
        assert!(Client::builder(Server::new(still, still), "id").danger_allow_http().build().is_err(), "{still}");
    }
}

#[test]
fn redirect_uris_that_are_refused() {
    let taken = "must not have a query with parameters that a response sets";
    let scheme = "must be https, http on a loopback host, or of a reverse-domain scheme (com.example.app:/)";
    for (redirect_uri, why) in [
        ("", "must be an absolute URI"),
        ("/cb", "must be an absolute URI"),
        ("client.example.com/cb", "must be an absolute URI"),
        ("https://client.example.com/cb#x", "must not have a fragment"),
        ("https://client.example.com/c b", "must be ASCII without spaces and control characters"),
        ("https://client.example.com/cb\r\n", "must be ASCII without spaces and control characters"),
        ("https://user:pw@client.example.com/cb", "must not have a user name or password"),
        ("https:\\\\client.example.com", "must not have a backslash"),
        ("http://client.example.com/cb", "must be https, or http on a loopback host"),
        ("http://127.0.0.1@evil.example/cb", "must not have a user name or password"),
        ("http://127.1/cb", "must write its host in the usual form"),
        ("http://2130706433:8080/cb", "must write its host in the usual form"),
        ("https://%63lient.example.com/cb", "must write its host in the usual form"),
        ("https://client.example.com/cb?state=x", taken),
        ("https://client.example.com/cb?a&c%6Fde=x", taken),
        ("com.example.app:/cb?iss=x", taken),
        ("com.example.app:cb", scheme),
        ("com.example.app:", scheme),
        ("com.example.app:cb/x", scheme),
        ("myapp:/cb", scheme),
        ("urn:ietf:wg:oauth:2.0:oob", scheme),
        ("javascript:alert(1)", scheme),
        ("data:text/html,x", scheme),
        ("file:///cb", scheme),
    ] {
        let said = Client::builder(server(), "id").redirect_uri(redirect_uri).build().expect_err(redirect_uri);
        assert_eq!(said.to_string(), format!("redirect_uri {why}"), "{redirect_uri:?}");
        let mut rng = Octets::appendix_b();
        let said = client().authorize().redirect_uri(redirect_uri).redirect(NOW, &mut rng).expect_err(redirect_uri);
        assert_eq!(said.to_string(), format!("redirect_uri {why}"), "{redirect_uri:?}");
        assert_eq!(rng.drawn, 0);
    }
}

#[test]
fn clients_that_are_refused() {
    for id in ["", "a\nb", "é", "a\u{7F}"] {
        let said = Client::builder(server(), id).build().expect_err(id).to_string();
        assert_eq!(said, "client_id must be printable ASCII and not empty", "{id:?}");
    }
    let why = "client_secret must be printable ASCII and not empty; a client without one authenticates by none";
    for secret in ["", "a\nb", "é", "a\0"] {
        for authentication in [Authentication::basic(secret), Authentication::post(secret)] {
            let built = Client::builder(server(), "id").authentication(authentication).build();
            assert_eq!(built.expect_err(secret).to_string(), why, "{secret:?}");
        }
    }
}

#[test]
fn parameters_that_are_refused() {
    // In a login: what it sets itself, what belongs into another request, and what would go round PKCE.
    for name in [
        "response_type",
        "response_mode",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "resource",
        "request",
        "request_uri",
        "grant_type",
        "code",
        "code_verifier",
        "refresh_token",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "access_token",
    ] {
        let why = format!("parameter {name:?} is set by the library and cannot be given as an extra one");
        let mut rng = Octets::appendix_b();
        let refused = client().authorize().param("prompt", "login").param(name, "x").redirect(NOW, &mut rng);
        assert_eq!(refused.expect_err(name).to_string(), why);
        assert_eq!(rng.drawn, 0, "{name}: entropy for a login that does not leave");
        let client = client();
        let mut exchange = client.exchange(grant(&client)).param(name, "x");
        assert_eq!(exchange.next_request(NOW, &mut rng).expect_err(name).to_string(), why);
    }
    let client = client();
    let twice = client.authorize().param("prompt", "a").param("prompt", "a").redirect(NOW, &mut Octets::appendix_b());
    assert_eq!(twice.unwrap_err().to_string(), "parameter \"prompt\" is given twice");
    let mut twice = client.exchange(grant(&client)).param("audience", "a").param("audience", "b");
    let refused = twice.next_request(NOW, &mut Octets::appendix_b());
    assert_eq!(refused.unwrap_err().to_string(), "parameter \"audience\" is given twice");

    // RFC 6749 section 8.2: "param-name = 1*name-char".
    let unnamed = "an extra parameter has an empty name";
    let refused = client.authorize().param("", "a").redirect(NOW, &mut Octets::appendix_b());
    assert_eq!(refused.unwrap_err().to_string(), unnamed);
    let refused = client.exchange(grant(&client)).param("", "a").next_request(NOW, &mut Octets::appendix_b());
    assert_eq!(refused.unwrap_err().to_string(), unnamed);
    assert!(client.authorize().param("", "").redirect(NOW, &mut Octets::appendix_b()).is_ok(), "it is left out");
}

#[test]
fn scopes_that_are_refused() {
    let why =
        "a scope token must be printable ASCII without space, \" and \\, and not empty; give each token by itself";
    for scope in ["", " ", "a b", "a\"", "a\\b", "a\r\nSet-Cookie: x", "é", "a\u{7F}", "a\t"] {
        let mut rng = Octets::appendix_b();
        let refused = client().authorize().scope(["fine", scope, "fine too"]).redirect(NOW, &mut rng);
        assert_eq!(refused.expect_err(scope).to_string(), why, "{scope:?}");
        assert_eq!(rng.drawn, 0);
    }
}

#[test]
fn logins_that_cannot_leave() {
    let mut nowhere = server();
    nowhere.authorization_endpoint = None;
    let client = Client::builder(nowhere, "id").redirect_uri(REDIRECT_URI).build().unwrap();
    let refused = client.authorize().redirect(NOW, &mut Octets::appendix_b());
    assert_eq!(refused.unwrap_err().to_string(), "the server has no authorization_endpoint");
    let homeless = Client::builder(server(), "id").build().unwrap();
    let refused = homeless.authorize().redirect(NOW, &mut Octets::appendix_b());
    assert_eq!(refused.unwrap_err().to_string(), "a login needs a redirect URI: set it on the client or on the login");
}

/// A grant goes to the server, and as the client, that its login was begun with; refused, nothing is sent.
#[test]
fn grants_that_are_refused() {
    let build = |server: Server, id: &str| Client::builder(server, id).redirect_uri(REDIRECT_URI).build().unwrap();
    let own = client();
    let mut named = server();
    named.issuer = Some("https://as.example.com".to_owned());
    let elsewhere = Server::new("https://as.example.com/authorize", "https://evil.example/token");
    let other_server = "this login or these tokens belong to another server than this client's";
    for (other, why) in [
        (build(elsewhere, "s6BhdRkqt3"), other_server),
        (build(named, "s6BhdRkqt3"), other_server),
        (build(server(), "another"), "this login or these tokens belong to another client_id than this client's"),
    ] {
        let refused = other.exchange(grant(&own)).next_request(NOW, &mut Octets::appendix_b());
        assert_eq!(refused.unwrap_err().to_string(), why);
    }
    // Another way to authenticate, or another place for the browser, is the same client.
    let moved = Server::new("https://as.example.com/v2/authorize", "https://as.example.com/token");
    assert!(build(moved, "s6BhdRkqt3").exchange(grant(&own)).next_request(NOW, &mut Octets::appendix_b()).is_ok());
}

#[test]
fn logins_that_took_too_long() {
    let limited = |limit| {
        let builder = Client::builder(server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
        builder.login_limit(Duration::from_secs(limit)).build().unwrap()
    };
    for (client, seconds, in_time) in [
        (client(), 0, true),
        (client(), 30 * 60, true),
        (client(), 30 * 60 + 1, false),
        (client(), u64::MAX, false),
        (limited(10), 10, true),
        (limited(10), 11, false),
        (limited(0), 0, true),
        (limited(0), 1, false),
    ] {
        let now = NOW.saturating_add(Duration::from_secs(seconds));
        let made = client.exchange(grant(&client)).next_request(now, &mut Octets::appendix_b());
        assert_eq!(made.is_ok(), in_time, "after {seconds} s: {made:?}");
        if let Err(error) = made {
            assert_eq!(
                (error.to_string().as_str(), error.remedy()),
                ("the login was begun too long ago", Remedy::LogInAgain)
            );
        }
    }
    // A clock that was set back a little is no reason to refuse; far back, it would make a login last for ever.
    let client = client();
    let at = |now| client.exchange(grant(&client)).next_request(now, &mut Octets::appendix_b());
    assert!(at(UnixTime::from_secs(NOW.as_secs() - 60)).is_ok());
    assert_eq!(at(UnixTime::from_secs(0)).unwrap_err().to_string(), "the login was begun too long ago");
}

/// A URL parser finds a host in each of these, and in some a password.
#[test]
fn endpoints_that_hide_their_host_are_refused() {
    for endpoint in [
        "https:///as.example.com/token",
        "https:///user:pw@as.example.com/token",
        "https:as.example.com/?x=://y",
        "https:/as.example.com/?x=://y",
        "https:user:pw@as.example.com/?x=://y",
        "https:user:pw@as.example.com/://y",
    ] {
        let built = Client::builder(Server::new(endpoint, "https://as.example.com/token"), "id").build();
        assert!(matches!(built, Err(Error::Usage(Usage::Endpoint("authorization_endpoint", _)))), "{endpoint}");
        let built = Client::builder(server(), "id").redirect_uri(endpoint).build();
        assert!(matches!(built, Err(Error::Usage(Usage::RedirectUri(_)))), "{endpoint}");
    }
}

/// Metadata that lists PKCE methods without S256 is refused always.
#[test]
fn servers_without_s256_are_refused() {
    for methods in ["[]", r#"["plain"]"#, r#"["s256"]"#, r#"["S256 "]"#] {
        let server = metadata(&format!(r#","code_challenge_methods_supported":{methods}"#));
        let said = Client::builder(server, "id").build().expect_err(methods).to_string();
        assert_eq!(said, "code_challenge_methods_supported does not list S256", "{methods}");
    }
    // What is no list of names is not taken for one: it fails when it is read.
    for (member, value) in [
        ("code_challenge_methods_supported", r#""S256""#),
        ("code_challenge_methods_supported", r#"["S256",1]"#),
        ("code_challenge_methods_supported", r#"{"S256":true}"#),
        ("authorization_response_iss_parameter_supported", r#""false""#),
        ("authorization_response_iss_parameter_supported", "1"),
        ("revocation_endpoint", r#"["https://as.example.com/revoke"]"#),
    ] {
        let json = format!(r#"{{"token_endpoint":"https://as.example.com/token","{member}":{value}}}"#);
        assert!(serde_json::from_str::<Server>(&json).is_err(), "{json}");
    }
    let none = r#","code_challenge_methods_supported":null"#;
    for fine in ["", none, r#","code_challenge_methods_supported":["plain","S256"]"#] {
        assert!(Client::builder(metadata(fine), "id").build().is_ok(), "{fine}");
    }
}

/// Tokens by their stored form.
fn stored(members: &str) -> Tokens {
    let json = format!(r#"{{"access_token":"a"{members}}}"#);
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Tokens are sent to nobody but the server that gave them, as nobody but the client they were given to.
#[test]
fn tokens_that_are_refused() {
    let own = "https://as.example.com/token";
    let server_is = |issuer: Option<&str>, token_endpoint: &str| {
        let mut server = server();
        server.issuer = issuer.map(str::to_owned);
        token_endpoint.clone_into(&mut server.token_endpoint);
        server.revocation_endpoint = Some("https://as.example.com/revoke".to_owned());
        Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("a client")
    };
    let (named, nameless) = (server_is(Some("https://as.example.com"), own), server_is(None, own));
    let other_server = Some("this login or these tokens belong to another server than this client's");
    let other_client = Some("this login or these tokens belong to another client_id than this client's");
    let issuer = r#","issuer":"https://as.example.com""#;
    let endpoint = r#","token_endpoint":"https://as.example.com/token""#;
    let id = r#","client_id":"s6BhdRkqt3""#;
    for (client, members, why) in [
        (&named, format!("{issuer}{endpoint}{id}"), None),
        (&nameless, format!("{endpoint}{id}"), None),
        // An issuer that moved its endpoint, or got its name later, is the same server.
        (&named, format!(r#"{issuer},"token_endpoint":"https://old.example/token"{id}"#), None),
        (&named, format!("{endpoint}{id}"), None),
        (&nameless, format!("{issuer}{endpoint}{id}"), None),
        // What another library saved may not say whose they are.
        (&named, String::new(), None),
        (&nameless, String::new(), None),
        (&named, format!(r#","issuer":"https://as.example.com/"{endpoint}{id}"#), other_server),
        (&named, format!(r#","issuer":"https://evil.example"{endpoint}{id}"#), other_server),
        (&named, format!(r#","token_endpoint":"https://evil.example/token"{id}"#), other_server),
        (&nameless, format!(r#","token_endpoint":"https://as.example.com/token?"{id}"#), other_server),
        (&nameless, format!(r#"{issuer},"token_endpoint":"https://evil.example/token"{id}"#), other_server),
        (&nameless, format!("{issuer}{id}"), other_server),
        (&named, format!(r#"{issuer}{endpoint},"client_id":"another""#), other_client),
        (&nameless, format!(r#"{endpoint},"client_id":"S6BHDRKQT3""#), other_client),
    ] {
        let tokens = stored(&format!(r#","refresh_token":"r"{members}"#));
        let mut call =
            client.call(&tokens, http::Request::get("https://api.example.com/").body(()).expect("a request"));
        let called = call.next_request(NOW, &mut Octets::appendix_b()).map(drop);
        let outcomes = [
            client.refresh(&tokens).map(drop),
            client.revoke(&tokens).map(drop),
            called,
            Session::new(client.clone(), tokens).map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), why, "{members}");
        }
    }
}

#[test]
fn refreshes_that_are_refused() {
    let none = "these tokens have no refresh token: new ones take a new login, or client credentials";
    for members in ["", r#","refresh_token":null"#, r#","refresh_token":"""#, r#","refresh_token":" ""#] {
        let refused = client().refresh(&stored(members)).expect_err(members);
        assert_eq!((refused.to_string().as_str(), refused.remedy()), (none, Remedy::LogInAgain), "{members}");
    }
    let grammar =
        "a scope token must be printable ASCII without space, \" and \\, and not empty; give each token by itself";
    let more = "a refresh cannot ask for scope that was not granted; log in again for more";
    for (granted, asked, why) in [
        (r#","scope":"a b""#, &["a", "b"][..], None),
        (r#","scope":"a b""#, &["b"], None),
        (r#","scope":"a b""#, &[], None),
        (r#","scope":"a b""#, &["c"], Some(more)),
        (r#","scope":"a b""#, &["a", "c"], Some(more)),
        (r#","scope":"a b""#, &["A"], Some(more)),
        (r#","scope":"a b""#, &["a b"], Some(grammar)),
        (r#","scope":"a b""#, &[""], Some(grammar)),
        (r#","scope":"""#, &["a"], Some(more)),
        // A narrowed token's grant is still the wider one.
        (r#","scope":"a","grant_scope":"a b""#, &["b"], None),
        (r#","scope":"a","grant_scope":"a b""#, &["c"], Some(more)),
        // Nothing is known of the grant: the server decides.
        ("", &["a"], None),
    ] {
        let tokens = stored(&format!(r#","refresh_token":"r"{granted}"#));
        let asked_for = client().refresh(&tokens).expect("a refresh").scope(asked);
        let refused = { asked_for }.next_request(NOW, &mut Octets::appendix_b()).err();
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), why, "{granted} {asked:?}");
    }
}

#[test]
fn client_credentials_that_are_refused() {
    let confidential = |authentication| Client::builder(server(), "id").authentication(authentication).build().unwrap();
    for (client, works) in [
        (client(), false),
        (confidential(Authentication::none()), false),
        (confidential(Authentication::basic("secret")), true),
        (confidential(Authentication::post("secret")), true),
    ] {
        let refused = client.credentials().next_request(NOW, &mut Octets::appendix_b()).err();
        let why =
            (!works).then_some("the client credentials grant needs a client with a secret: set its authentication");
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), why);
    }
    let client = confidential(Authentication::basic("secret"));
    let mut rng = Octets::appendix_b();
    for scope in ["", "a b", "a\"", "a\\"] {
        let refused = client.credentials().scope([scope]).next_request(NOW, &mut rng);
        assert!(matches!(refused, Err(Error::Usage(Usage::Scope))), "{scope:?}");
    }
    for resource in ["", "/a", "https://api.example.com/#a"] {
        let refused = client.credentials().resource(resource).next_request(NOW, &mut rng);
        assert!(matches!(refused, Err(Error::Usage(Usage::Resource(_)))), "{resource:?}");
    }
}

/// A name that the library owns may not be given, in whatever operation.
#[test]
fn parameters_of_other_operations_are_refused() {
    let client = Client::builder(server(), "id").authentication(Authentication::basic("secret")).build().unwrap();
    let mut rng = Octets::appendix_b();
    let tokens = stored(r#","refresh_token":"r""#);
    for name in ["grant_type", "refresh_token", "scope", "resource", "client_id", "client_secret", "client_assertion"] {
        let why = format!("parameter {name:?} is set by the library and cannot be given as an extra one");
        let refused = client.refresh(&tokens).unwrap().param(name, "x").next_request(NOW, &mut rng);
        assert_eq!(refused.expect_err(name).to_string(), why);
        let refused = client.credentials().param(name, "x").next_request(NOW, &mut rng);
        assert_eq!(refused.expect_err(name).to_string(), why);
    }
    let twice = client.refresh(&tokens).unwrap().param("a", "1").param("a", "2").next_request(NOW, &mut rng);
    assert_eq!(twice.unwrap_err().to_string(), "parameter \"a\" is given twice");
}

#[test]
fn calls_that_are_refused() {
    let second = "the request already carries a credential";
    let secure = "resource must be https, or http on a loopback host";
    for (url, header, why) in [
        ("https://api.example.com/photos?a=b", None, None),
        ("http://127.0.0.1:3000/photos", None, None),
        ("http://localhost/photos", None, None),
        ("https://api.example.com/?access_tokens=x&token=y", Some(("cookie", "a=b")), None),
        ("http://api.example.com/photos", None, Some(secure)),
        ("http://127.0.0.1.example.com/photos", None, Some(secure)),
        ("http://10.0.0.1/photos", None, Some(secure)),
        ("ws://api.example.com/", None, Some("resource must be an https URI")),
        ("/photos", None, Some("resource must be an absolute URI")),
        ("https://api.example.com/?access_token=x", None, Some(second)),
        ("https://api.example.com/?a=b&acc%65ss_token=x", None, Some(second)),
        ("https://api.example.com/?access_token", None, Some(second)),
        ("https://api.example.com/", Some(("authorization", "Bearer x")), Some(second)),
        ("https://api.example.com/", Some(("authorization", "Basic x")), Some(second)),
        ("https://api.example.com/", Some(("Authorization", "")), Some(second)),
        ("https://api.example.com/", Some(("dpop", "x")), Some(second)),
        ("https://user:pw@api.example.com/", None, Some("resource must not have a user name or password")),
        ("https://127.1/", None, Some("resource must write its host in the usual form")),
    ] {
        let mut request = http::Request::get(url).body(()).expect(url);
        if let Some((name, value)) = header {
            let name: http::HeaderName = name.parse().expect("a name");
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        let headers = request.headers().clone();
        let refused = client().call(&stored(""), request.clone()).next_request(NOW, &mut Octets::appendix_b()).err();
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), why, "{url} {header:?}");
        // And by hand, where a refused request is as it was.
        let refused = stored("").authorize(&mut request).err();
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), why, "{url} {header:?}");
        assert_eq!(why.is_some(), *request.headers() == headers, "{url} {header:?}");
    }
}

/// A client at a server that takes tokens back and tells of them.
fn knowing() -> Client {
    let mut server = server();
    server.revocation_endpoint = Some("https://as.example.com/revoke".to_owned());
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    Client::builder(server, "id").authentication(Authentication::basic("secret")).build().expect("a client")
}

#[test]
fn endpoints_that_are_not_there() {
    let mut rng = Octets::appendix_b();
    let mut revocation = client().revoke(&stored("")).unwrap();
    let refused = revocation.next_request(NOW, &mut rng).unwrap_err();
    assert_eq!(refused.to_string(), "the server has no revocation_endpoint");
    let refused = client().introspect(&"a".into()).next_request(NOW, &mut rng).unwrap_err();
    assert_eq!(refused.to_string(), "the server has no introspection_endpoint");
    assert_eq!(refused.remedy(), Remedy::FixConfiguration);
}

fn introspected(status: u16, body: &str) -> Result<TokenState, Error> {
    let mut exchange = knowing().introspect(&"a".into());
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    match exchange.handle_response(response(status, JSON, body))? {
        Step::Done(state) => Ok(state),
        Step::Again { .. } => panic!("one answer is enough"),
    }
}

/// Nothing but `"active":true` in a 200 means yes.
#[test]
fn introspections_that_are_no_answer() {
    let not_bool = "active in the server's answer has the wrong type or value";
    let missing = "the server's answer has no active";
    let not_json = "the server's answer is not a JSON object";
    for (status, body, why) in [
        (200, "", not_json),
        (200, "true", not_json),
        (200, "[true]", not_json),
        (200, r#"{"active":true} x"#, not_json),
        (200, "active=true", not_json),
        (200, "eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.", not_json),
        (200, "{}", missing),
        (200, r#"{"active":null}"#, missing),
        (200, r#"{"Active":true}"#, missing),
        (200, r#"{"scope":"a","exp":9999999999}"#, missing),
        (200, r#"{"token_introspection":{"active":true}}"#, missing),
        (200, r#"{"active":"true"}"#, not_bool),
        (200, r#"{"active":"false"}"#, not_bool),
        (200, r#"{"active":1}"#, not_bool),
        (200, r#"{"active":0}"#, not_bool),
        (200, r#"{"active":[true]}"#, not_bool),
        (200, r#"{"active":{}}"#, not_bool),
        (200, r#"{"active":true,"active":false}"#, "the server's answer has active more than once"),
        (200, r#"{"active":false,"act\u0069ve":true}"#, "the server's answer has active more than once"),
        (200, r#"{"active":true,"exp":-1}"#, "exp in the server's answer has the wrong type or value"),
        (200, r#"{"active":true,"exp":"soon"}"#, "exp in the server's answer has the wrong type or value"),
        (200, r#"{"active":true,"exp":1,"exp":2}"#, "the server's answer has exp more than once"),
        (200, r#"{"active":true,"scope":"a\"b"}"#, "scope in the server's answer has the wrong type or value"),
        (200, r#"{"active":true,"sub":7}"#, "sub in the server's answer has the wrong type or value"),
        (200, r#"{"active":true,"client_id":[]}"#, "client_id in the server's answer has the wrong type or value"),
        (201, r#"{"active":true}"#, "the server answered HTTP 201 without an error code"),
        (204, "", "the server answered HTTP 204 without an error code"),
        (302, r#"{"active":true}"#, "the server answered with a redirect (HTTP 302), which is never followed"),
        (401, r#"{"active":true}"#, "the server answered HTTP 401 without an error code"),
        (401, r#"{"error":"invalid_client"}"#, "the server refused: invalid_client (HTTP 401)"),
        (500, r#"{"active":true}"#, "the server refused: server_error (HTTP 500)"),
    ] {
        assert_eq!(introspected(status, body).expect_err(body).to_string(), why, "{status} {body}");
    }
    // An empty token is in every text; nothing is taken out for it.
    let mut exchange = knowing().introspect(&"".into());
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    let refused = r#"{"error":"invalid_request","error_description":"no token"}"#;
    let error = exchange.handle_response(response(400, JSON, refused)).expect_err("a refusal").to_string();
    assert_eq!(error, "the server refused: invalid_request (HTTP 400): no token");
}

#[test]
fn introspections_that_are_accepted() {
    for (body, active, valid) in [
        (r#"{"active":true}"#, true, true),
        (r#"{"active":true,"exp":1767225601}"#, true, true),
        (r#"{"active":true,"exp":1767225600}"#, true, false),
        (r#"{"active":true,"exp":1767225600.9}"#, true, false),
        (r#"{"active":true,"exp":"1767225601"}"#, true, true),
        (r#"{"active":true,"exp":0}"#, true, false),
        (r#"{"active":true,"exp":null,"scope":null,"sub":null}"#, true, true),
        (r#"{"active":false}"#, false, false),
        (r#"{"active":false,"exp":1767225601}"#, false, false),
        // Of an inactive token nothing else is believed, so nothing else can be wrong.
        (r#"{"active":false,"exp":"soon","scope":7,"sub":"x"}"#, false, false),
    ] {
        let state = introspected(200, body).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!((state.is_active(), state.is_valid_at(NOW)), (active, valid), "{body}");
    }
    let state = introspected(200, r#"{"active":false,"exp":1,"scope":"a","sub":"x","client_id":"y","z":1}"#).unwrap();
    assert!(state.expires_at().is_none() && state.scope().is_none() && state.subject().is_none());
    assert!(state.client_id().is_none() && state.extra().names().is_empty());
    let state = introspected(200, r#"{"active":true,"scope":["a","b"],"sub":"","client_id":"y","z":[1]}"#).unwrap();
    assert_eq!((state.scope().unwrap().as_str(), state.subject(), state.client_id()), ("a b", Some(""), Some("y")));
    assert_eq!(state.extra().names(), ["z"]);
}

/// What becomes of a revocation of a refresh token and an access token, answer by answer.
fn revoked(answers: &[(u16, &str)]) -> Result<usize, Error> {
    let mut exchange = knowing().revoke(&stored(r#","refresh_token":"r""#)).expect("a revocation");
    for (number, (status, body)) in answers.iter().enumerate() {
        let _request = exchange.next_request(NOW, &mut Octets::appendix_b())?;
        if let Step::Done(()) = exchange.handle_response(response(*status, NO_HEADERS, *body))? {
            return Ok(number + 1);
        }
    }
    panic!("{answers:?} are not enough")
}

#[test]
fn revocations_that_fail() {
    let unsupported = r#"{"error":"unsupported_token_type"}"#;
    for (answers, why) in [
        (&[(204, "")][..], "the server answered HTTP 204 without an error code"),
        (&[(302, "")], "the server answered with a redirect (HTTP 302), which is never followed"),
        (&[(404, "")], "the server answered HTTP 404 without an error code"),
        (&[(400, unsupported)], "the server refused: unsupported_token_type (HTTP 400)"),
        (&[(401, r#"{"error":"invalid_client"}"#)], "the server refused: invalid_client (HTTP 401)"),
        (&[(503, "")], "the server refused: temporarily_unavailable (HTTP 503)"),
        (&[(200, ""), (503, "")], "the server refused: temporarily_unavailable (HTTP 503)"),
        (&[(200, ""), (400, r#"{"error":"invalid_request"}"#)], "the server refused: invalid_request (HTTP 400)"),
    ] {
        assert_eq!(revoked(answers).unwrap_err().to_string(), why, "{answers:?}");
    }
}

/// A 5xx is never believed as a final refusal.
#[test]
fn an_outage_does_not_end_a_revocation() {
    for status in [429, 500, 503] {
        let outcome = revoked(&[(200, ""), (status, r#"{"error":"unsupported_token_type"}"#)]);
        assert!(matches!(outcome.map_err(|error| error.remedy()), Err(Remedy::TryLater(_))), "{status}");
    }
}

#[test]
fn revocations_that_succeed() {
    let unsupported = r#"{"error":"unsupported_token_type"}"#;
    for answers in [
        &[(200, ""), (200, "")][..],
        &[(200, "<html>done</html>"), (200, r#"{"error":"invalid_token"}"#)],
        &[(200, "{}"), (400, unsupported)],
    ] {
        assert_eq!(revoked(answers).unwrap_or_else(|error| panic!("{answers:?}: {error}")), 2);
    }
    // A body of any length is not read.
    assert_eq!(revoked(&[(200, &" ".repeat(MAX_BODY + 1)), (200, "")]).unwrap(), 2);
}

/// RFC 6749 section 3.1: "Parameters sent without a value MUST be treated as if they were omitted".
#[test]
fn a_foreign_parameter_without_a_value_is_none() {
    assert!(Callback::parse("code=C&state=S&id_token=").is_ok());
    assert!(Callback::parse("code=C&state=S&id_token=x").is_err());
}
