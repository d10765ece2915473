//! Returning: what the browser brought, and whether it belongs to this login (RFC 6749 section 4.1.2, RFC 9207).
//!
//! ```text
//! GET /cb?code=SplxlOBeZQQYbYS6WxSbIA&state=xyz&iss=https%3A%2F%2Fas.example.com
//! GET /cb?error=access_denied&state=xyz&iss=https%3A%2F%2Fas.example.com
//! ```
//!
//! [`Callback::parse`] looks at the syntax: each parameter once, `code` or `error` and not both, characters that can be.
//! [`Pending::accept`] looks at the meaning, in the order of belief: the state, the issuer, the server's error, the code.
//! Nothing of a response with the wrong state or issuer is told. Refused always: tokens in the callback.

use url::Url;

use crate::code::{Brought, CodeGrant};
use crate::error::{CallbackError, Error, Violation};
use crate::form::{self, Decoded};
use crate::parameter::{FOREIGN, RESPONSE, is_printable, is_response};
use crate::pending::Pending;
use crate::refusal::{ErrorCode, ServerError};
use crate::secret::Secret;

/// The parameters that a browser brought to the redirect URI; not yet believed.
#[derive(Debug)]
pub struct Callback {
    location: Option<Location>,
    brought: Brought,
    refused: Option<ServerError>,
}

/// Where it came to, where the whole URL was given.
#[derive(Debug)]
struct Location {
    /// Without the query.
    place: Url,
    /// The parameters that are not the server's: those of the redirect URI itself are among them.
    others: Secret,
}

impl Callback {
    /// Reads a query string, a whole URL or request target, or the body of a form post.
    ///
    /// Given a whole URL, [`accept`](Pending::accept) also compares it with the login's redirect URI; behind a proxy that
    /// rewrites hosts, give the query alone. A fragment is ignored. [`Error::Callback`] says what cannot be read; the
    /// login it may have been meant for is not touched.
    pub fn parse(input: &str) -> Result<Self, Error> {
        if input.len() > MAX_CALLBACK {
            return Err(CallbackError::TooLong.into());
        }
        let (place, query) = split(input)?;
        let mut found: [Option<Decoded<'_>>; RESPONSE.len()] = Default::default();
        for (name, value) in form::pairs(query) {
            // What is no name that we know is not ours to read.
            let Some(name) = name else { continue };
            let Some((name, slot)) = RESPONSE.into_iter().zip(&mut found).find(|(known, _)| **known == *name) else {
                match FOREIGN.into_iter().find(|foreign| **foreign == *name) {
                    Some(name) if value.as_deref() != Some("") => return Err(CallbackError::Unexpected(name).into()),
                    _ => continue,
                }
            };
            let value = match value {
                Some(value) => value,
                // The words beside an error are no reason to lose it.
                None if name.starts_with("error_") => Decoded::AsItStood(""),
                None => return Err(CallbackError::NotUtf8.into()),
            };
            // RFC 6749 section 3.1: "Request and response parameters MUST NOT be included more than once."
            if slot.replace(value).is_some() {
                return Err(CallbackError::Repeated(name).into());
            }
        }
        // RFC 6749 section 3.1: "Parameters sent without a value MUST be treated as if they were omitted".
        let [code, state, issuer, error, description, uri] =
            found.each_ref().map(|value| value.as_deref().filter(|text| !text.is_empty()));
        let refused = match (code, error) {
            (Some(_), Some(_)) => return Err(CallbackError::CodeAndError.into()),
            (None, None) => return Err(CallbackError::Missing.into()),
            (Some(code), None) if is_printable(code) => None,
            (Some(_), None) => return Err(CallbackError::Invalid("code").into()),
            (None, Some(error)) => {
                let code = ErrorCode::parse(error).ok_or(CallbackError::Invalid("error"))?;
                let error = ServerError::new(None, code, description, uri, None);
                Some(error.without(state.into_iter()))
            }
        };
        let location = place.map(|place| Location { place, others: others(query) });
        let brought = Brought::new([state, issuer, code].map(Option::unwrap_or_default));
        Ok(Self { location, brought, refused })
    }

    /// The state, to find the login by; empty if there is none. Look it up in this browser's own session.
    pub fn state(&self) -> &str {
        self.brought.state()
    }
}

impl Pending {
    /// Whether this callback came to this login's redirect URI with its state (compared in constant time). A listener
    /// asks this first, and goes on waiting where it is not: a stranger must not be able to end a login.
    pub fn is_for(&self, callback: &Callback) -> bool {
        self.check(callback).is_ok()
    }

    /// The code, once everything about the callback has been believed.
    ///
    /// [`Error::Callback`] if it is not this login's ([`is_for`](Self::is_for) tells without consuming the login),
    /// [`Error::Violation`] if another issuer sent it or `iss` was promised and is missing, [`Error::Server`] if the
    /// server or the person said no.
    pub fn accept(self, callback: Callback) -> Result<CodeGrant, Error> {
        self.check(&callback)?;
        // RFC 9207 section 2.4: "clients MUST extract the value of the iss parameter from authorization responses they
        // receive if the parameter is present. Clients MUST then decode the value .. and compare the result to the issuer
        // identifier of the authorization server where the authorization request was sent to. This comparison MUST use
        // simple string comparison".
        match (&self.issuer, callback.brought.issuer()) {
            (Some(expected), Some(actual)) if **expected != *actual => return Err(Violation::Issuer.into()),
            (_, None) if self.iss_missing_on_errors && callback.refused.is_some() => {}
            (_, None) if self.iss_required => return Err(Violation::IssuerMissing.into()),
            _ => {}
        }
        match callback.refused {
            Some(error) => Err(Error::Server(error)),
            None => Ok(CodeGrant { brought: callback.brought, login: self }),
        }
    }

    fn check(&self, callback: &Callback) -> Result<(), CallbackError> {
        if !self.state.matches(callback.state()) {
            return Err(CallbackError::State);
        }
        match &callback.location {
            Some(location) if !location.is(&self.redirect_uri) => Err(CallbackError::RedirectUri),
            _ => Ok(()),
        }
    }
}

impl Location {
    /// RFC 6749 section 3.1.2: the redirect URI's own query "MUST be retained when adding additional query parameters".
    fn is(&self, redirect_uri: &str) -> bool {
        let own = redirect_uri.split_once('?').map_or("", |(_, query)| query);
        Url::parse(redirect_uri).map(bare).as_ref() == Ok(&self.place)
            && form::pairs(own).all(|pair| form::pairs(self.others.expose()).any(|other| other == pair))
    }
}

/// The pairs, as they stand, whose names are not the server's.
fn others(query: &str) -> Secret {
    let is_other = |pair: &&str| {
        // The value stays as it is: decoded, it would be a copy of the code.
        let name = form::decode(pair.split('=').next().unwrap_or_default());
        !name.is_some_and(|name| is_response(&name))
    };
    Secret::from(query.split('&').filter(is_other).collect::<Vec<_>>().join("&"))
}

/// Parts what was given into the place it came to, if that is told, and the parameters.
fn split(input: &str) -> Result<(Option<Url>, &str), CallbackError> {
    let after_scheme = input
        .trim_ascii_start()
        .trim_start_matches(|next: char| next.is_ascii_alphanumeric() || matches!(next, '+' | '-' | '.'));
    let is_url = after_scheme.starts_with(":/");
    let (input, _) = form::cut(input, b'#');
    if !is_url && !input.starts_with(['/', '?']) {
        return Ok((None, input));
    }
    // A pasted URL brings its line end along.
    let input = input.trim_ascii();
    let (place, query) = form::cut(input, b'?');
    let query = query.unwrap_or_default();
    if !is_url {
        return Ok((None, query));
    }
    // What a URL parser would drop or turn round is not the URL that anybody was sent to.
    if !input.bytes().all(|byte| byte.is_ascii_graphic()) || input.contains('\\') {
        return Err(CallbackError::Invalid("URL"));
    }
    // The query stays out of it: a parser would keep the code where nobody wipes it.
    let place = Url::parse(place).map_err(|_| CallbackError::Invalid("URL"))?;
    Ok((Some(place), query))
}

/// A URL without query and fragment.
fn bare(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The longest callback that is read, in bytes: 64 KiB. Servers and browsers cut URLs off far below; codes of a few
/// kilobytes exist.
pub const MAX_CALLBACK: usize = 64 * 1024;
