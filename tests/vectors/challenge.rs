//! `WWW-Authenticate` read once more, by another road than the core's: first the elements of the list, then what each of
//! them is (RFC 9110 sections 5.6 and 11.6.1). What does not follow the grammar ends its header, and with it goes the
//! challenge it stands in.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use proofkey_core::{BearerChallenge, Challenge, ErrorCode};

use crate::case::Case;

/// A challenge, as it should have been read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    scheme: String,
    token68: Option<String>,
    params: Vec<(String, String)>,
    /// Nothing parted the scheme from what came next, or a token68 did: there can be no parameters.
    closed: bool,
}

impl Read {
    fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().filter(|_| found.next().is_none()).map(|(_, value)| value.as_str())
    }
}

/// Where the core reads the challenges of these headers otherwise.
pub(crate) fn faults(headers: &HeaderMap) -> Vec<String> {
    let right = read(headers);
    let ours = Challenge::all(headers);
    let mut faults = Vec::new();
    // A limit may cut off what no server sends.
    let long = headers.get_all(WWW_AUTHENTICATE).iter().map(http::HeaderValue::len).sum::<usize>() > 16 * 1024;
    if ours.len() != right.len() && !(long && ours.len() < right.len()) {
        faults.push(format!("challenges: {} are read of {}", ours.len(), right.len()));
    }
    for (ours, right) in ours.iter().zip(&right) {
        let names = right.params.iter().map(|(name, _)| name.as_str()).chain(PARAMS);
        let otherwise: Vec<&str> = names.filter(|name| ours.param(name) != right.param(name)).collect();
        if ours.scheme() != right.scheme || ours.token68() != right.token68.as_deref() || !otherwise.is_empty() {
            faults.push(format!("challenges: {ours:?} should be {right:?}"));
        }
    }
    let right = if long { None } else { right.iter().find(|challenge| challenge.scheme == "bearer") };
    let ours = Challenge::bearer(headers);
    if let Some(right) = right {
        let bearer = ours.clone().unwrap_or_default();
        let is_same = bearer.realm.as_deref() == right.param("realm")
            && bearer.error_description.as_deref() == right.param("error_description")
            && bearer.resource_metadata.as_deref() == right.param("resource_metadata")
            && bearer.acr_values.as_deref() == right.param("acr_values")
            && bearer.error.as_ref().is_none_or(|error| right.param("error") == Some(error.as_str()))
            && bearer.scope.as_ref().is_none_or(|scope| right.param("scope") == Some(scope.as_str()));
        if ours.is_none() || !is_same {
            faults.push(format!("bearer: {ours:?} should be {right:?}"));
        }
    } else if ours.is_some() && !long {
        faults.push("bearer: there is none".to_owned());
    }
    faults
}

/// Whether these headers say that the token is no good.
pub(crate) fn is_invalid_token(headers: &HeaderMap) -> bool {
    let right = read(headers);
    let bearer = right.iter().find(|challenge| challenge.scheme == "bearer");
    bearer.and_then(|challenge| challenge.param("error")) == Some("invalid_token")
}

fn read(headers: &HeaderMap) -> Vec<Read> {
    let mut challenges = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut open: Option<Read> = None;
        for element in elements(&text) {
            let bare = element.trim_matches([' ', '\t']);
            if bare.is_empty() {
                continue;
            }
            let (name, after) = bare.split_at(bare.find(|c| !is_token(c)).unwrap_or(bare.len()));
            let rest = after.trim_start_matches([' ', '\t']);
            if rest.starts_with('=') && !name.is_empty() {
                // A parameter, of the challenge that stands open.
                let Some(mut challenge) = open.take() else { break };
                if challenge.closed {
                    challenges.push(challenge);
                    break;
                }
                let Some(param) = param(bare) else { break };
                challenge.params.push(param);
                open = Some(challenge);
                continue;
            }
            challenges.extend(open.take());
            let mut challenge = Read { scheme: name.to_ascii_lowercase(), ..Read::default() };
            if name.is_empty() || !(after.is_empty() || after.starts_with([' ', '\t'])) {
                break;
            } else if rest.is_empty() {
                challenge.closed = !element.ends_with([' ', '\t']);
            } else if let Some(param) = param(rest) {
                challenge.params.push(param);
            } else if is_token68(rest) {
                challenge.token68 = Some(rest.to_owned());
                challenge.closed = true;
            } else {
                break;
            }
            open = Some(challenge);
        }
        challenges.extend(open);
    }
    challenges
}

/// What stands between the commas outside of quotes. A quote that does not end takes the rest with it.
fn elements(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c| {
        let parts = c == ',' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        parts
    })
    .collect()
}

fn param(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
    let is_name = |text: &str| !text.is_empty() && text.chars().all(is_token);
    let Some(inside) = value.strip_prefix('"') else {
        return (is_name(name) && is_name(value)).then(|| (name.to_owned(), value.to_owned()));
    };
    let mut unquoted = String::new();
    let mut characters = inside.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => unquoted.push(characters.next()?),
            character => unquoted.push(character),
        }
    }
    is_name(name).then(|| (name.to_owned(), unquoted))
}

fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c)
}

fn is_token68(text: &str) -> bool {
    let credential = text.trim_end_matches('=');
    !credential.is_empty() && credential.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}

/// What a case's detail spells out: `error=invalid_token`, `scope absent`, `max_age None`, `both parsed`.
pub(crate) fn details(case: &Case, headers: &HeaderMap) -> Vec<String> {
    let detail = case.expected.detail.as_deref().unwrap_or_default();
    let bearer = Challenge::bearer(headers);
    let mut wrong = Vec::new();
    if detail.starts_with("both") && Challenge::all(headers).len() < 2 {
        wrong.push("both are not parsed".to_owned());
    }
    if detail.starts_with("scheme bearer") && bearer.is_none() {
        wrong.push("there is no bearer challenge".to_owned());
    }
    let bearer = bearer.unwrap_or_default();
    let is_distrusted =
        ["neither value", "no params trusted", "never interpreted"].iter().any(|said| detail.contains(said));
    if is_distrusted && bearer.error.is_some() {
        wrong.push("error is believed".to_owned());
    }
    for clause in detail.split("; ") {
        for name in PARAMS {
            let Some(said) = clause.strip_prefix(name).filter(|said| said.starts_with([' ', '='])) else { continue };
            let said = said.trim_start();
            let value = value(&bearer, name);
            if let Some(spelled) = said.strip_prefix('=') {
                let spelled = spelled.trim().trim_matches('"');
                let fits = |value: &String| spelled == value || spelled.starts_with(&format!("{value} ("));
                if !value.as_ref().is_some_and(fits) {
                    wrong.push(format!("{name} is {value:?}, not {spelled:?}"));
                }
            } else if ["absent", "None", "none", "ignored", "dropped"].iter().any(|word| said.starts_with(word))
                && value.is_some()
            {
                wrong.push(format!("{name} is {value:?}, not absent"));
            }
        }
    }
    wrong
}

fn value(bearer: &BearerChallenge, name: &str) -> Option<String> {
    match name {
        "error" => bearer.error.as_ref().map(ErrorCode::to_string),
        "error_description" => bearer.error_description.clone(),
        "scope" => bearer.scope.as_ref().map(ToString::to_string),
        "realm" => bearer.realm.clone(),
        "resource_metadata" => bearer.resource_metadata.clone(),
        "acr_values" => bearer.acr_values.clone(),
        _ => bearer.max_age.map(|age| age.as_secs().to_string()),
    }
}

const PARAMS: [&str; 7] =
    ["error", "error_description", "scope", "realm", "resource_metadata", "acr_values", "max_age"];
