//! What a server says no with: the error code and the words beside it (RFC 6749 sections 4.1.2.1 and 5.2).
//!
//! ```text
//! {"error":"invalid_grant","error_description":"The code has expired.","error_uri":"https://as.example.com/help"}
//! ```
//!
//! Unknown codes survive. The words are untrusted: they are cut to length, stripped of the secrets that the request
//! carried, and escaped where they are shown.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use http::StatusCode;
use zeroize::Zeroize;

use crate::error::Remedy;
use crate::form;
use crate::secret::REDACTED;
use crate::uri;

/// A refusal: in the answer of an endpoint (RFC 6749 section 5.2), or brought back by the browser (section 4.1.2.1).
///
/// ```text
/// HTTP/1.1 400 Bad Request
///
/// {"error":"invalid_grant","error_description":"The code has expired."}
/// ```
///
/// A 5xx, 408, 425 or 429 is never believed as a final refusal, whatever its body says: its
/// [`remedy`](Self::remedy) is to try later. If it has no error code of its own, it bears the one that
/// RFC 6749 section 4.1.2.1 gives to such a failure: `server_error` or `temporarily_unavailable`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The HTTP status; `None` if the browser brought the error back.
    pub status: Option<StatusCode>,
    /// What kind of refusal.
    pub code: ErrorCode,
    /// The server's words for developers, untrusted and cut off at 1024 characters: escape them for where they are shown.
    /// Secrets that the request carried are taken out.
    pub description: Option<String>,
    /// A page about the error, untrusted; an `http` or `https` URL.
    pub uri: Option<String>,
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
}

impl ServerError {
    pub(crate) fn new(
        status: Option<StatusCode>,
        code: ErrorCode,
        description: Option<&str>,
        uri: Option<&str>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self {
            status,
            code,
            description: description.map(str::to_owned),
            uri: uri.filter(|uri| uri::page(uri).is_ok()).map(str::to_owned),
            retry_after,
        }
    }

    /// Takes what was secret out of the server's words, plain or percent-encoded, and cuts them to length.
    pub(crate) fn without<'a>(mut self, secrets: impl Iterator<Item = &'a str>) -> Self {
        for secret in secrets {
            if secret.is_empty() || !self.has_room_for(secret) {
                continue;
            }
            let is_in = |text: &str| form::decode(text).is_some_and(|decoded| decoded.contains(secret));
            for text in [&mut self.description, &mut self.uri].into_iter().flatten() {
                let redacted = text.replace(secret, REDACTED);
                std::mem::replace(text, redacted).zeroize();
                if is_in(text) {
                    REDACTED.clone_into(text);
                }
            }
            // A code that contains a short secret does so by chance.
            let code = self.code.as_str();
            if secret.len() >= SHORTEST_SECRET && (code.contains(secret) || is_in(code)) {
                let code = std::mem::replace(&mut self.code.0, Cow::Borrowed(REDACTED));
                code.into_owned().zeroize();
            }
        }
        self.uri = self.uri.filter(|uri| uri.len() <= LONGEST_TEXT);
        // It has as many bytes at least as it has characters.
        if let Some(text) = &mut self.description
            && text.len() > LONGEST_TEXT
            && let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT)
        {
            text.truncate(end);
        }
        self
    }

    /// Whether any text is as long as this secret: what is shorter does not hold it.
    pub(crate) fn has_room_for(&self, secret: &str) -> bool {
        let texts = [Some(self.code.as_str()), self.description.as_deref(), self.uri.as_deref()];
        texts.into_iter().flatten().any(|text| text.len() >= secret.len())
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        if self.status.is_some_and(is_transient) {
            return Remedy::TryLater(self.retry_after);
        }
        match self.code.as_str() {
            "server_error" | "temporarily_unavailable" | "authorization_pending" | "slow_down" => {
                Remedy::TryLater(self.retry_after)
            }
            "invalid_grant"
            | "access_denied"
            | "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
            | "insufficient_user_authentication"
            | "invalid_request_uri"
            | "expired_token" => Remedy::LogInAgain,
            "invalid_request"
            | "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "unsupported_response_type"
            | "invalid_scope"
            | "invalid_target"
            | "invalid_authorization_details"
            | "unsupported_token_type" => Remedy::FixConfiguration,
            _ => Remedy::Report,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused: {}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {})", status.as_str())?;
        }
        if let Some(description) = &self.description {
            f.write_str(": ")?;
            description.chars().try_for_each(|character| {
                if is_safe(character) { f.write_char(character) } else { write!(f, "{}", character.escape_unicode()) }
            })?;
        }
        Ok(())
    }
}

/// Whether a character stands for itself on a terminal: it neither controls it nor turns the text round.
pub(crate) fn is_safe(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Whether a status says "not now" rather than "no".
pub(crate) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// An error code as the server sent it. The common ones are constants; others survive as they came.
///
/// ```
/// use proofkey_core::ErrorCode;
///
/// assert_eq!(ErrorCode::INVALID_GRANT.as_str(), "invalid_grant");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// A parameter is missing, unknown, repeated or malformed (RFC 6749 sections 4.1.2.1 and 5.2).
    pub const INVALID_REQUEST: Self = Self(Cow::Borrowed("invalid_request"));
    /// Client authentication failed (RFC 6749 section 5.2).
    pub const INVALID_CLIENT: Self = Self(Cow::Borrowed("invalid_client"));
    /// The code or refresh token is spent, expired, revoked or another client's (RFC 6749 section 5.2).
    pub const INVALID_GRANT: Self = Self(Cow::Borrowed("invalid_grant"));
    /// This client may not use this grant (RFC 6749 sections 4.1.2.1 and 5.2).
    pub const UNAUTHORIZED_CLIENT: Self = Self(Cow::Borrowed("unauthorized_client"));
    /// The server does not know the grant type (RFC 6749 section 5.2).
    pub const UNSUPPORTED_GRANT_TYPE: Self = Self(Cow::Borrowed("unsupported_grant_type"));
    /// The server gives no codes (RFC 6749 section 4.1.2.1).
    pub const UNSUPPORTED_RESPONSE_TYPE: Self = Self(Cow::Borrowed("unsupported_response_type"));
    /// The scope is unknown, malformed, or more than was granted (RFC 6749 sections 4.1.2.1 and 5.2).
    pub const INVALID_SCOPE: Self = Self(Cow::Borrowed("invalid_scope"));
    /// The resource is unknown or not for this client (RFC 8707 section 2).
    pub const INVALID_TARGET: Self = Self(Cow::Borrowed("invalid_target"));
    /// The person, or the server for them, said no (RFC 6749 section 4.1.2.1).
    pub const ACCESS_DENIED: Self = Self(Cow::Borrowed("access_denied"));
    /// The server does not end tokens of this type (RFC 7009 section 2.2.1).
    pub const UNSUPPORTED_TOKEN_TYPE: Self = Self(Cow::Borrowed("unsupported_token_type"));
    /// The access token is expired, revoked or malformed (RFC 6750 section 3.1).
    pub const INVALID_TOKEN: Self = Self(Cow::Borrowed("invalid_token"));
    /// The request needs more scope than the access token has (RFC 6750 section 3.1).
    pub const INSUFFICIENT_SCOPE: Self = Self(Cow::Borrowed("insufficient_scope"));
    /// The person must log in again, or in another way (RFC 9470 section 3).
    pub const INSUFFICIENT_USER_AUTHENTICATION: Self = Self(Cow::Borrowed("insufficient_user_authentication"));
    /// The person has not decided yet (RFC 8628 section 3.5). [`Polling`](crate::Polling) goes on by itself.
    pub const AUTHORIZATION_PENDING: Self = Self(Cow::Borrowed("authorization_pending"));
    /// The same, and the polls come too often (RFC 8628 section 3.5).
    pub const SLOW_DOWN: Self = Self(Cow::Borrowed("slow_down"));
    /// The device code has expired (RFC 8628 section 3.5).
    pub const EXPIRED_TOKEN: Self = Self(Cow::Borrowed("expired_token"));
    /// The server failed (RFC 6749 section 4.1.2.1).
    pub const SERVER_ERROR: Self = Self(Cow::Borrowed("server_error"));
    /// The server is overloaded or in maintenance (RFC 6749 section 4.1.2.1).
    pub const TEMPORARILY_UNAVAILABLE: Self = Self(Cow::Borrowed("temporarily_unavailable"));

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A code of the characters that RFC 6749 appendix A.7 allows, and of a sane length.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let sane = !text.is_empty() && text.len() <= LONGEST_CODE && text.bytes().all(allowed);
        sane.then(|| Self(Cow::Owned(text.to_owned())))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a server's description or URI, in characters. Nobody reads more, and a log should not have to hold it.
const LONGEST_TEXT: usize = 1024;

/// Nothing shorter can be told from a word, in bytes.
const SHORTEST_SECRET: usize = 8;

/// Registered codes have at most 40 characters.
const LONGEST_CODE: usize = 100;
