//! What holds for every URL and every request, whatever the case is about.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::parse;

use crate::app::{Departure, Sent};
use crate::fixture::Fixture;

/// The faults of an authorization URL (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
pub(crate) fn departure(fixture: &Fixture, departure: &Departure, earlier: &[Departure], now: u64) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("authorization URL: {what}"));
        }
    };
    let pairs = &departure.pairs;
    let all = |name: &str| -> Vec<&str> {
        pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    };
    let endpoint = fixture.server("authorization_endpoint");
    must(departure.url.as_str().starts_with(&address(endpoint)), "is not at the endpoint");
    must(
        departure.url.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"\"`<>\\".contains(&byte)),
        "has characters to quote",
    );
    if let Some(said) = &departure.pushed {
        let own = endpoint.split_once('?').map_or("", |(_, query)| query);
        let before = parse(own.as_bytes()).count();
        let carried: Vec<(String, String)> = departure.url.query_pairs().into_owned().skip(before).collect();
        // What `serde_json::Value` cannot hold (a number beyond `f64`) is not compared with.
        let uri =
            said["request_uri"].as_str().or(carried.last().filter(|_| said.is_null()).map(|(_, uri)| uri.as_str()));
        let only = [("client_id", fixture.client_id.as_str()), ("request_uri", uri.unwrap_or_default())];
        let carried = carried.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        must(carried.eq(only), "carries other than the reference");
        let seconds = said["expires_in"].as_u64().filter(|seconds| *seconds < 1 << 40);
        must(seconds.is_none_or(|seconds| departure.leave_by == Some(now + seconds)), "leave_by");
    }
    must(departure.leave_by.is_some() == departure.pushed.is_some(), "leave_by without a push, or none with one");
    let details = all("authorization_details");
    let sent: Option<Vec<Value>> = details.first().and_then(|text| serde_json::from_str(text).ok());
    must(details.len() <= 1 && sent.unwrap_or_default() == fixture.details, "authorization_details");
    must(all("response_type") == ["code"], "response_type");
    must(all("client_id") == [fixture.client_id.as_str()], "client_id");
    must(
        all("redirect_uri") == [fixture.redirect_uri.as_deref().unwrap_or_default()],
        "redirect_uri is not the caller's bytes",
    );
    must(all("state") == [departure.state.as_str()], "state");
    must(departure.state.len() >= 43, "state has less than 256 bits");
    must(all("code_challenge_method") == ["S256"], "code_challenge_method");
    must(all("code_challenge").iter().map(|challenge| challenge.len()).eq([43]), "code_challenge");
    let scope = fixture.scope.join(" ");
    must(all("scope") == if scope.is_empty() { vec![] } else { vec![scope.as_str()] }, "scope");
    must(all("resource") == fixture.resources, "resource");
    must(all("response_mode") == if fixture.form_post { vec!["form_post"] } else { vec![] }, "response_mode");
    for (name, value) in &fixture.params {
        must(all(name) == if value.is_empty() { vec![] } else { vec![value.as_str()] }, name);
    }
    must(pairs.iter().all(|(_, value)| !value.is_empty()), "has an empty parameter");
    must(no_secret_in(departure.url.as_str(), fixture), "has a secret");
    for before in earlier {
        for fresh in ["state", "code_challenge"] {
            must(departure.param(fresh) != before.param(fresh), &format!("{fresh} was used before"));
        }
    }
    faults
}

/// The faults of a push (RFC 9126 section 2.1), but for the parameters: `departure` looks at them once it has left.
pub(crate) fn pushed(fixture: &Fixture, sent: &Sent) -> Vec<String> {
    // It names the client in any case, by its parameters.
    let is_basic = !matches!(fixture.methods().pop(), Some("none" | "post" | "client_secret_post"));
    let bare: Vec<(String, String)> =
        sent.pairs.iter().filter(|(name, _)| !is_basic || name != "client_id").cloned().collect();
    let named = sent.all("client_id") == [fixture.client_id.as_str()];
    let mut faults = form(fixture, "pushed_authorization_request_endpoint", &Sent { pairs: bare, ..sent.clone() });
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("push: {what}"));
        }
    };
    must(named, "does not name the client once");
    let mut members: Vec<&str> =
        sent.pairs.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "resource").collect();
    must(!members.contains(&"request_uri") && !members.contains(&"code_verifier"), "has what it must not");
    for name in ["response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method"] {
        must(members.contains(&name), name);
    }
    let count = members.len();
    members.sort_unstable();
    members.dedup();
    must(members.len() == count, "has a parameter twice");
    faults
}

/// The faults of a request for metadata (RFC 8414 section 3.1): nothing but where it goes.
pub(crate) fn document(place: Option<&str>, sent: &Sent) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("metadata request: {what}"));
        }
    };
    must(place.is_some_and(|place| address(place) == sent.uri), &format!("{} instead of {place:?}", sent.uri));
    must(sent.method == Method::GET && sent.body.is_empty(), "is not a GET");
    must(sent.headers.len() == 1, "has headers beside Accept");
    must(sent.headers.get(ACCEPT).is_some_and(|value| value == "application/json"), "accept");
    must(!sent.uri.contains(['@', '#']), "has userinfo or a fragment");
    faults
}

/// A URL as a parser writes it.
fn address(text: &str) -> String {
    let is_bare = text.find("://").is_some_and(|at| !text[at + 3..].contains('/'));
    match Url::parse(text) {
        Ok(url) if is_bare => url.as_str().trim_end_matches('/').to_owned(),
        Ok(url) => url.into(),
        Err(_) => text.to_owned(),
    }
}

/// The faults of a token request (RFC 6749 sections 2.3, 3.2 and 4.1.3, RFC 7636 section 4.5).
pub(crate) fn request(fixture: &Fixture, departure: Option<&Departure>, sent: &Sent) -> Vec<String> {
    let mut faults = form(fixture, "token_endpoint", sent);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("token request: {what}"));
        }
    };
    must(sent.all("grant_type") == ["authorization_code"], "grant_type");
    must(sent.all("code") == [sent.code.as_str()], "code is not the one that was brought");
    must(sent.all("redirect_uri") == [fixture.redirect_uri.as_deref().unwrap_or_default()], "redirect_uri");
    must(sent.all("resource") == fixture.resources, "resource");
    let verifier = sent.all("code_verifier").concat();
    must((43..=128).contains(&verifier.len()), "code_verifier");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    must(departure.and_then(|login| login.param("code_challenge")) == Some(challenge), "verifier and challenge");
    faults
}

/// The faults of a refresh (RFC 6749 section 6, RFC 8707 section 2.2): this token, the scope only where it is narrowed.
pub(crate) fn refresh(fixture: &Fixture, token: &str, sent: &Sent) -> Vec<String> {
    let mut faults = form(fixture, "token_endpoint", sent);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("refresh: {what}"));
        }
    };
    must(sent.all("grant_type") == ["refresh_token"], "grant_type");
    must(sent.all("refresh_token") == [token], "it is not the refresh token held");
    let scope = fixture.narrowed.join(" ");
    must(sent.all("scope") == if scope.is_empty() { vec![] } else { vec![scope.as_str()] }, "scope");
    must(sent.all("resource") == fixture.resources, "resource");
    let own = ["grant_type", "refresh_token", "scope", "resource", "client_id", "client_secret"];
    must(sent.pairs.iter().all(|(name, _)| own.contains(&name.as_str())), "has a parameter that it should not");
    faults
}

/// The faults of a request for a device's codes (RFC 8628 section 3.1).
pub(crate) fn device(fixture: &Fixture, sent: &Sent) -> Vec<String> {
    let mut faults = form(fixture, "device_authorization_endpoint", sent);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("device authorization: {what}"));
        }
    };
    let scope = fixture.scope.join(" ");
    must(sent.all("scope") == if scope.is_empty() { vec![] } else { vec![scope.as_str()] }, "scope");
    must(sent.all("resource") == fixture.resources, "resource");
    let mut names = sent.pairs.iter().map(|(name, _)| name.as_str());
    let own = ["scope", "resource", "client_id", "client_secret"];
    let is_known = |name: &str| own.contains(&name) || fixture.params.iter().any(|(param, _)| param == name);
    must(names.all(is_known), "has a parameter that it should not");
    faults
}

/// The faults of a poll (RFC 8628 section 3.4).
pub(crate) fn poll(fixture: &Fixture, code: &str, sent: &Sent) -> Vec<String> {
    let mut faults = form(fixture, "token_endpoint", sent);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("poll: {what}"));
        }
    };
    must(sent.all("grant_type") == ["urn:ietf:params:oauth:grant-type:device_code"], "grant_type");
    must(code.is_empty() || sent.all("device_code") == [code], "device_code");
    must(sent.all("resource") == fixture.resources, "resource");
    let own = ["grant_type", "device_code", "resource", "client_id", "client_secret"];
    must(sent.pairs.iter().all(|(name, _)| own.contains(&name.as_str())), "has a parameter that it should not");
    faults
}

/// The faults of a request about a token: its return (RFC 7009 section 2.1), or a question (RFC 7662 section 2.1).
pub(crate) fn about(fixture: &Fixture, endpoint: &str, token: &str, hint: Option<&str>, sent: &Sent) -> Vec<String> {
    let mut faults = form(fixture, endpoint, sent);
    if sent.all("token") != [token] {
        faults.push(format!("{endpoint}: it is another token"));
    }
    if !sent.all("token_type_hint").into_iter().eq(hint) {
        faults.push(format!("{endpoint}: token_type_hint"));
    }
    faults
}

/// The faults of a form for one of the server's endpoints, and of the client's authentication in it.
pub(crate) fn form(fixture: &Fixture, endpoint: &str, sent: &Sent) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{endpoint}: {what}"));
        }
    };
    let header = |name| -> Vec<&[u8]> { sent.headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect() };
    must(sent.method == Method::POST, "is not a POST");
    must(sent.uri == fixture.server(endpoint), "does not go to the endpoint");
    must(no_secret_in(&sent.uri, fixture), "has a secret in its URI");
    must(header(CONTENT_TYPE) == [b"application/x-www-form-urlencoded".as_slice()], "content-type");
    must(header(ACCEPT) == [b"application/json".as_slice()], "accept");
    must(sent.pairs.iter().all(|(_, value)| !value.is_empty()), "has an empty parameter");

    let id = fixture.client_id.as_str();
    let secret = fixture.secret.as_deref().unwrap_or_default();
    let credentials = sent.headers.get(AUTHORIZATION);
    let by = |headers: usize, ids: &[&str], secrets: &[&str]| {
        header(AUTHORIZATION).len() == headers && sent.all("client_id") == ids && sent.all("client_secret") == secrets
    };
    match fixture.methods().pop() {
        Some("none") => must(by(0, &[id], &[]), "a public client names itself, once, and nothing else"),
        Some("post" | "client_secret_post") => must(by(0, &[id], &[secret]), "client_secret_post"),
        _ => {
            must(by(1, &[], &[]), "client_secret_basic and nothing beside it");
            must(credentials.is_some_and(http::HeaderValue::is_sensitive), "credentials are not marked sensitive");
            let pair = credentials.and_then(|value| basic(value.as_bytes()));
            must(pair.as_ref().is_some_and(|(own, key)| own == id && key == secret), "the pair in Authorization");
        }
    }
    faults
}

/// The faults of a request for a resource (RFC 6750 section 2): the token in the header, once, and nowhere else; all else
/// as the caller gave it.
pub(crate) fn resource(fixture: &Fixture, token: &str, sent: &Sent) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("resource request: {what}"));
        }
    };
    let credentials: Vec<&http::HeaderValue> = sent.headers.get_all(AUTHORIZATION).iter().collect();
    let bearer = format!("Bearer {token}");
    must(credentials.iter().map(|value| value.as_bytes()).eq([bearer.as_bytes()]), "is not by the token in the header");
    must(credentials.iter().all(|value| value.is_sensitive()), "credentials are not marked sensitive");
    must(sent.method.as_str() == fixture.method && sent.uri == fixture.target, "does not go where the caller said");
    must(sent.body == fixture.body.as_bytes(), "has another body than the caller's");
    must(no_secret_in(&sent.uri, fixture) && !sent.uri.contains(token), "has a secret in its URI");
    must(sent.headers.len() == fixture.headers.len() + 1, "has headers that the caller did not set");
    faults
}

/// The pair of a Basic header. Encoded so that form decoders and percent decoders read it alike: there is no `+`.
fn basic(value: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.strip_prefix(b"Basic ")?).ok()?).ok()?;
    let (id, secret) = text.split_once(':').filter(|_| !text.contains('+'))?;
    let decoded = |half: &str| Some(parse(format!("={half}").as_bytes()).next()?.1.into_owned());
    Some((decoded(id)?, decoded(secret)?))
}

fn no_secret_in(uri: &str, fixture: &Fixture) -> bool {
    let names = ["client_secret", "code_verifier", "refresh_token", "access_token", "password", "device_code"];
    let query: Vec<(String, String)> =
        uri.split_once('?').map(|(_, query)| parse(query.as_bytes()).into_owned().collect()).unwrap_or_default();
    let secret = fixture.secret.as_deref().filter(|secret| secret.len() >= 8);
    query.iter().all(|(name, value)| !names.contains(&name.as_str()) && Some(value.as_str()) != secret)
        && secret.is_none_or(|secret| !uri.contains(secret))
}
