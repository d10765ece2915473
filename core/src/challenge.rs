//! What a resource asks for: `WWW-Authenticate`, by its grammar (RFC 9110 section 11.6.1).
//!
//! ```text
//! WWW-Authenticate: Basic realm="simple", Bearer realm="example", error="invalid_token", scope="photos"
//!
//! WWW-Authenticate = #challenge
//! challenge        = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//! auth-param       = token BWS "=" BWS ( token / quoted-string )
//! ```
//!
//! Several headers, several challenges in one, names in any case. From the first place that does not follow the grammar
//! the rest of that header is not believed, nor the challenge it stands in: a word inside a description is not a
//! parameter, and half a challenge is none.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::json;
use crate::refusal::ErrorCode;
use crate::scope::Scope;
use crate::uri;

/// One challenge of a response: a scheme and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    token68: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// All challenges in the response's headers, in order. Total: hostile headers give none.
    pub fn all(headers: &HeaderMap) -> Vec<Self> {
        let mut challenges = Vec::new();
        let mut budget = MAX_CHALLENGES;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Some(left) = budget.checked_sub(value.len()) else { break };
            budget = left;
            // A quoted-string may hold `obs-text` (RFC 9110 section 5.6.4): UTF-8, or else Latin-1.
            let bytes = value.as_bytes();
            let text = str::from_utf8(bytes).map_or_else(|_| latin1(bytes), Cow::Borrowed);
            Parser { rest: &text }.challenges(&mut challenges);
        }
        challenges
    }

    /// What the response's headers ask of a bearer token (RFC 6750 section 3): its first `Bearer` challenge.
    ///
    /// ```
    /// use http::header::{HeaderMap, WWW_AUTHENTICATE};
    /// use proofkey_core::{Challenge, ErrorCode};
    ///
    /// let mut headers = HeaderMap::new();
    /// let value = r#"Bearer realm="photos", error="invalid_token", error_description="it has expired""#;
    /// headers.insert(WWW_AUTHENTICATE, value.parse()?);
    /// let bearer = Challenge::bearer(&headers).unwrap();
    /// assert_eq!(bearer.error, Some(ErrorCode::INVALID_TOKEN));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn bearer(headers: &HeaderMap) -> Option<BearerChallenge> {
        let challenge = Self::all(headers).into_iter().find(|challenge| challenge.scheme == "bearer")?;
        let text = |name| challenge.param(name).map(str::to_owned);
        Some(BearerChallenge {
            error: challenge.param("error").and_then(ErrorCode::parse),
            error_description: text("error_description"),
            scope: challenge.param("scope").and_then(Scope::granted),
            realm: text("realm"),
            resource_metadata: text("resource_metadata"),
            acr_values: text("acr_values"),
            max_age: challenge.param("max_age").and_then(json::seconds).map(Duration::from_secs),
        })
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The parameter of this name; `None` also if it stands twice, because then neither is to be believed.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The credential-like text of schemes such as `Negotiate`.
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }
}

/// What a resource asks of a bearer token. All of it is the resource's word only: whether to ask for more scope because
/// it said so is the application's to decide (RFC 9728 section 7.2).
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BearerChallenge {
    /// Why the request was refused (RFC 6750 section 3.1): `invalid_token`, `insufficient_scope`, ..
    pub error: Option<ErrorCode>,
    /// Words for developers, untrusted.
    pub error_description: Option<String>,
    /// The scope that is needed.
    pub scope: Option<Scope>,
    /// What is protected.
    pub realm: Option<String>,
    /// Where the resource describes itself (RFC 9728 section 5.1); untrusted.
    pub resource_metadata: Option<String>,
    /// How the person must have logged in, best first (RFC 9470 section 3).
    pub acr_values: Option<String>,
    /// How long ago that may have been (RFC 9470 section 3).
    pub max_age: Option<Duration>,
}

/// Shows no query: that of a resource may hold a key.
impl fmt::Debug for BearerChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerChallenge")
            .field("error", &self.error)
            .field("error_description", &self.error_description)
            .field("scope", &self.scope)
            .field("realm", &self.realm)
            .field("resource_metadata", &self.resource_metadata.as_deref().map(uri::shown))
            .field("acr_values", &self.acr_values)
            .field("max_age", &self.max_age)
            .finish()
    }
}

/// A parameter that breaks off.
struct Malformed;

/// Bytes as the characters that ISO 8859-1 has for them.
fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    bytes.iter().copied().map(char::from).collect()
}

/// Reads one header value from the front.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// Adds the challenges of this header, up to the first that is malformed.
    fn challenges(&mut self, challenges: &mut Vec<Challenge>) {
        loop {
            self.commas();
            if self.rest.is_empty() {
                return;
            }
            match self.challenge() {
                Some(challenge) => challenges.push(challenge),
                None => return,
            }
        }
    }

    fn challenge(&mut self) -> Option<Challenge> {
        let scheme = self.token()?.to_ascii_lowercase();
        let mut challenge = Challenge { scheme, token68: None, parameters: Vec::new() };
        let after_scheme = self.rest;
        self.spaces();
        // Only a space parts a scheme from what belongs to it.
        let parted = self.rest.len() < after_scheme.len();
        if self.at_end() {
            let mut ahead = Parser { rest: self.rest };
            ahead.commas();
            let goes_on = parted && matches!(Parser { rest: ahead.rest }.parameter(), Ok(Some(_)));
            if !goes_on {
                return Some(challenge);
            }
            self.rest = ahead.rest;
        } else if !parted {
            return None;
        }
        loop {
            match self.parameter() {
                Ok(Some((name, value))) => challenge.parameters.push((name.to_owned(), value)),
                // What looked like a parameter may be a token68 with its padding, but only where there is none yet.
                Err(Malformed) if !challenge.parameters.is_empty() => return None,
                Ok(None) | Err(Malformed) => break,
            }
            self.spaces();
            if !self.at_end() {
                return None;
            }
            self.commas();
        }
        if challenge.parameters.is_empty() {
            let token68 = self
                .run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'))?;
            let padding = self.run(|byte| byte == b'=').unwrap_or_default();
            self.spaces();
            if !self.at_end() {
                return None;
            }
            challenge.token68 = Some(format!("{token68}{padding}"));
        }
        Some(challenge)
    }

    /// `name = value`, or nothing and no step forward: what stands there is then the next challenge. Half of one is
    /// malformed.
    fn parameter(&mut self) -> Result<Option<(&'a str, String)>, Malformed> {
        let mut ahead = Parser { rest: self.rest };
        let Some(name) = ahead.token() else { return Ok(None) };
        ahead.spaces();
        let Some(rest) = ahead.rest.strip_prefix('=') else { return Ok(None) };
        ahead.rest = rest;
        ahead.spaces();
        let value = match ahead.rest.strip_prefix('"') {
            Some(rest) => {
                ahead.rest = rest;
                ahead.quoted()
            }
            None => ahead.token().map(str::to_owned),
        };
        let value = value.ok_or(Malformed)?;
        self.rest = ahead.rest;
        Ok(Some((name, value)))
    }

    /// The inside of a quoted-string, its quoted-pairs undone, and the closing quote passed.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                character => value.push(character),
            }
        }
        self.rest = characters.as_str();
        Some(value)
    }

    /// RFC 9110 section 5.6.2.
    fn token(&mut self) -> Option<&'a str> {
        self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    }

    /// One or more of these bytes, all of them ASCII.
    fn run(&mut self, fits: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !fits(byte)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!run.is_empty()).then_some(run)
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// RFC 9110 section 5.6.1: a list may have empty elements.
    fn commas(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    fn at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(',')
    }
}

/// All `WWW-Authenticate` headers together, in bytes; what goes beyond is not read. Servers limit a whole header block to
/// 8 or 16 KiB.
const MAX_CHALLENGES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.as_bytes().try_into().unwrap());
        }
        let shown = |challenge: &Challenge| {
            let parameters = challenge.parameters.iter().map(|(name, value)| format!(" {name}=<{value}>"));
            let token68 = challenge.token68.iter().map(|token| format!(" <{token}>"));
            challenge.scheme.clone() + &parameters.chain(token68).collect::<String>()
        };
        Challenge::all(&headers).iter().map(shown).collect()
    }

    #[test]
    fn the_grammar_is_followed() {
        let cases: [(&[&str], &[&str]); 23] = [
            (&["Bearer"], &["bearer"]),
            (&["BEARER REALM=\"x\", ERROR=\"e\""], &["bearer REALM=<x> ERROR=<e>"]),
            (&["Basic realm=\"a\"", "Bearer error=e"], &["basic realm=<a>", "bearer error=<e>"]),
            (
                &["Basic realm=\"a\", Bearer error=e, scope=\"b c\""],
                &["basic realm=<a>", "bearer error=<e> scope=<b c>"],
            ),
            (&["Negotiate abc+/==, Bearer"], &["negotiate <abc+/==>", "bearer"]),
            (
                &["Newauth realm=\"apps\", type=1, title=\"a \\\"b\\\", c\", Basic"],
                &["newauth realm=<apps> type=<1> title=<a \"b\", c>", "basic"],
            ),
            (&[", ,Bearer a = \"b\" ,, c=d,"], &["bearer a=<b> c=<d>"]),
            (&["Bearer\trealm=x"], &["bearer realm=<x>"]),
            (&["Bearer ,error=e"], &["bearer error=<e>"]),
            (&["Negotiate , Bearer a=b"], &["negotiate", "bearer a=<b>"]),
            (&["Bearer realm=\"für\", error=e"], &["bearer realm=<für> error=<e>"]),
            (&["Bearer a="], &["bearer <a=>"]),
            // From here on, mistakes: what stands before them is believed.
            (&["Basic, Bearer realm=\"abc"], &["basic"]),
            (&["Bearer realm=\"abc\\"], &[]),
            (&["Bearer realm=\"x\"; error=\"e\""], &[]),
            (&["error=invalid_request,error_description=Invalid request"], &[]),
            (&["Bearer realm=x error=e"], &[]),
            (&["Bearer error=e, realm=\"abc"], &[]),
            (&["Bearer error=e, realm="], &[]),
            (&["Bearer error=e, realm=@"], &[]),
            (&["Bearer, error=e"], &["bearer"]),
            (&["Bearer =\"x\""], &[]),
            (&["", "   "], &[]),
        ];
        for (headers, challenges) in cases {
            assert_eq!(read(headers), challenges, "{headers:?}");
        }
    }

    #[test]
    fn a_repeated_parameter_has_no_value() {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, "Bearer error=a, Error=b, realm=c".parse().unwrap());
        let bearer = Challenge::bearer(&headers).unwrap();
        assert_eq!((bearer.error, bearer.realm.as_deref()), (None, Some("c")));
    }
}
