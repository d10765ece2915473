//! What can go wrong, by who must act.
//!
//! | arm | means | the application |
//! |---|---|---|
//! | [`Error::Usage`] | it asked for the impossible; never caused by a network | fixes its code or configuration |
//! | [`Error::Server`] | a well-formed refusal | switches on [`ServerError::code`] |
//! | [`Error::Violation`] | the server broke an RFC | logs it; nothing else helps |
//! | [`Error::Callback`] | what hit the redirect URI does not end this login | answers 400; possibly an attack |
//!
//! [`Error::remedy`] folds all of it into four answers. No error holds a code, a verifier, a token, a secret or a body,
//! so every one may be logged.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::refusal::ServerError;

/// Why there is no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for the impossible.
    Usage(Usage),
    /// The server said no, and said why.
    Server(ServerError),
    /// The server, or something between, broke the protocol.
    Violation(Violation),
    /// What arrived at the redirect URI is not the answer to this login.
    Callback(CallbackError),
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            // Whether there is a refresh token is the server's choice.
            Self::Usage(Usage::NoRefreshToken) | Self::Callback(CallbackError::Expired) => Remedy::LogInAgain,
            Self::Usage(_) => Remedy::FixConfiguration,
            Self::Server(error) => error.remedy(),
            Self::Violation(_) | Self::Callback(_) => Remedy::Report,
        }
    }

    /// Whether the server may have acted on the request, though its answer is no good: one that breaks off, is too long,
    /// lacks what it must have, or is a success of another status. A code or a refresh token that was in the request may be
    /// spent.
    pub fn ambiguous(&self) -> bool {
        let Self::Violation(violation) = self else { return false };
        match violation {
            Violation::Status(status) => status.is_success(),
            Violation::RedirectFollowed
            | Violation::TooLong
            | Violation::TooManyValues
            | Violation::NotJson
            | Violation::Missing(_)
            | Violation::Invalid(_)
            | Violation::Duplicate(_)
            | Violation::TokenType => true,
            _ => false,
        }
    }
}

/// What an application can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// A person must change code, settings, or the registration at the server.
    FixConfiguration,
    /// A person has to log in, if they want to: after `invalid_grant` what was granted before is gone, after
    /// `access_denied` they have just said no, so do not send them there again by yourself.
    LogInAgain,
    /// The same may work later, after this delay if the server named one. Keep the tokens.
    TryLater(Option<Duration>),
    /// Log it and tell somebody: repeating it will not help.
    Report,
}

/// A call that cannot work, whatever the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage {
    /// [`next_request`](crate::Exchange::next_request) while an answer is owed, an answer that nobody asked for,
    /// or either after the end.
    OutOfTurn,
    /// An endpoint or issuer of the [`Server`](crate::Server) cannot be used: its metadata name, and why.
    Endpoint(&'static str, &'static str),
    /// The [`Server`](crate::Server) has no such endpoint.
    NoEndpoint(&'static str),
    /// The redirect URI cannot be used.
    RedirectUri(&'static str),
    /// A login needs a redirect URI, of the client or of this login.
    NoRedirectUri,
    /// The client id is empty or has characters outside printable ASCII (RFC 6749 appendix A.1), or a colon where HTTP
    /// Basic is [not encoded](crate::Quirks::basic_not_encoded).
    ClientId,
    /// The client secret is empty or has characters outside printable ASCII (RFC 6749 appendix A.2).
    ClientSecret,
    /// The server's metadata does not list the client's method of authentication.
    Authentication {
        /// The client's.
        own: &'static str,
        /// The server's, separated by spaces.
        listed: String,
    },
    /// The server takes pushed requests only (RFC 9126 section 5): leave by
    /// [`push`](crate::Authorization::push).
    PushRequired,
    /// A scope token is empty or has characters outside RFC 6749 section 3.3 (a space separates two tokens).
    Scope,
    /// Authorization details are not a list of objects that each have a `type` (RFC 9396 section 2).
    Details,
    /// A resource cannot be asked for (RFC 8707 section 2), or no token may be sent to it (RFC 6750 section 5.3).
    Resource(&'static str),
    /// A code verifier is not 43 to 128 characters of `A-Z a-z 0-9 - . _ ~` (RFC 7636 section 4.1).
    Verifier,
    /// An extra parameter has the name of one that the library sends itself.
    OwnedParameter(String),
    /// An extra parameter has an empty name (RFC 6749 section 8.2).
    UnnamedParameter,
    /// An extra parameter was given twice (RFC 6749 section 3.1).
    RepeatedParameter(String),
    /// The login was begun with another server, or the tokens are another's: its token endpoint or issuer is not this
    /// client's.
    OtherServer,
    /// The login was begun with another client id, or the tokens were given to one.
    OtherClient,
    /// There is no refresh token to renew these tokens with.
    NoRefreshToken,
    /// A refresh asks for a scope token that was not granted (RFC 6749 section 6).
    ScopeNotGranted,
    /// Client credentials are for clients that have some: [`Authentication::none`](crate::Authentication::none) has not
    /// (RFC 6749 section 4.4).
    PublicClient,
    /// The request for a resource already carries a credential, in its headers or its query (RFC 6750 section 2).
    SecondCredential,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTurn => f.write_str("an exchange takes one answer for each request, and nothing after its end"),
            Self::Endpoint(name, why) => write!(f, "{name} {why}"),
            Self::NoEndpoint(name) => write!(f, "the server has no {name}"),
            Self::RedirectUri(why) => write!(f, "redirect_uri {why}"),
            Self::NoRedirectUri => f.write_str("a login needs a redirect URI: set it on the client or on the login"),
            Self::ClientId => f.write_str("client_id must be printable ASCII and not empty"),
            Self::ClientSecret => f.write_str("client_secret must be printable ASCII and not empty; a client without one authenticates by none"),
            Self::Authentication { own, listed } => {
                write!(
                    f,
                    "the client authenticates by {own}, and the server lists {}: use one of these, or, where the provider \
                     takes yours all the same, Quirks::authentication_unlisted",
                    listed.escape_debug()
                )
            }
            Self::PushRequired => f.write_str("the server takes pushed authorization requests only: run push() instead of redirect() or start()"),
            Self::Scope => f.write_str("a scope token must be printable ASCII without space, \" and \\, and not empty; give each token by itself"),
            Self::Details => f.write_str("authorization_details must be a list of objects that each have a type"),
            Self::Resource(why) => write!(f, "resource {why}"),
            Self::Verifier => f.write_str("code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~"),
            Self::OwnedParameter(name) => write!(f, "parameter {name:?} is set by the library and cannot be given as an extra one"),
            Self::UnnamedParameter => f.write_str("an extra parameter has an empty name"),
            Self::RepeatedParameter(name) => write!(f, "parameter {name:?} is given twice"),
            Self::OtherServer => f.write_str("this login or these tokens belong to another server than this client's"),
            Self::OtherClient => f.write_str("this login or these tokens belong to another client_id than this client's"),
            Self::NoRefreshToken => f.write_str("these tokens have no refresh token: new ones take a new login, or client credentials"),
            Self::ScopeNotGranted => f.write_str("a refresh cannot ask for scope that was not granted; log in again for more"),
            Self::PublicClient => f.write_str("the client credentials grant needs a client with a secret: set its authentication"),
            Self::SecondCredential => f.write_str("the request already carries a credential"),
        }
    }
}

/// What a server, or something between, did against the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A status that is neither the success nor an error with a code: `HTTP/1.1 404 Not Found`.
    Status(StatusCode),
    /// A redirect where none may be followed, because it would carry credentials elsewhere:
    /// `HTTP/1.1 307 Temporary Redirect`.
    Redirect(StatusCode),
    /// The HTTP library followed a redirect, although it must not: build the client that is handed in without. What the
    /// request carried may have gone to where the redirect pointed.
    RedirectFollowed,
    /// A body longer than [`MAX_BODY`](crate::MAX_BODY).
    TooLong,
    /// An object of more values than any answer needs: `{"a":[0,0,0,..`. Counted are commas and opening brackets, those
    /// in strings too, up to 16,384. A value takes more memory than it has letters.
    TooManyValues,
    /// A body that is not one JSON object in UTF-8: `<html>`, `[1]`, `{"a":1} x`.
    NotJson,
    /// A required member is missing, null or empty: `{"token_type":"Bearer"}`.
    Missing(&'static str),
    /// A member has the wrong type or value: `{"access_token":["a"]}`, `{"expires_in":-1}`.
    Invalid(&'static str),
    /// A member stands twice: `{"access_token":"a","access_token":"b"}`.
    Duplicate(&'static str),
    /// The token is of a type that cannot be used: `{"token_type":"mac"}` (RFC 6749 section 7.1).
    TokenType,
    /// The response names another issuer than the one the login was begun with: `?iss=https%3A%2F%2Fother` (RFC 9207
    /// section 2.4). Or the metadata names another than was asked for: `{"issuer":"https://other"}` (RFC 8414 section 3.3).
    Issuer,
    /// The metadata names another resource than was asked for: `{"resource":"https://other"}` (RFC 9728 section 3.3).
    Resource,
    /// A member of the metadata cannot be used: its name, and why. `{"token_endpoint":"http://as.example.com/token"}`
    Metadata(&'static str, &'static str),
    /// There is no metadata in any of the places for it, and each was `404 Not Found`, say.
    NoMetadata(Vec<Miss>),
    /// The server promises `iss` and the response has none (RFC 9207 section 2.4).
    IssuerMissing,
}

/// A place where there was no metadata, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The URL that was asked.
    pub url: String,
    /// The status it answered with; a success that was no JSON object is one too.
    pub status: StatusCode,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered HTTP {} without an error code", status.as_str()),
            Self::Redirect(status) => {
                write!(f, "the server answered with a redirect (HTTP {}), which is never followed", status.as_str())
            }
            Self::RedirectFollowed => {
                f.write_str("the HTTP client followed a redirect; build it so that it follows none")
            }
            Self::TooLong => write!(f, "the server's answer is longer than {} bytes", crate::MAX_BODY),
            Self::TooManyValues => f.write_str("the server's answer has more values than any answer needs"),
            Self::NotJson => f.write_str("the server's answer is not a JSON object"),
            Self::Missing(name) => write!(f, "the server's answer has no {name}"),
            Self::Invalid(name) => write!(f, "{name} in the server's answer has the wrong type or value"),
            Self::Duplicate(name) => write!(f, "the server's answer has {name} more than once"),
            Self::TokenType => f.write_str("the server's token_type is not Bearer"),
            Self::Issuer => f.write_str("the answer comes from another issuer than was asked; they are compared letter by letter, a slash at the end included"),
            Self::Resource => f.write_str("the metadata is about another resource than was asked for"),
            Self::Metadata(name, why) => write!(f, "the server's {name} {why}"),
            Self::NoMetadata(missed) => {
                let place = |miss: &Miss| format!("{} at {}", miss.status.as_str(), miss.url);
                write!(f, "there is no metadata: {}", missed.iter().map(place).collect::<Vec<_>>().join("; "))
            }
            Self::IssuerMissing => f.write_str("the server promises iss in its responses, and this one has none"),
        }
    }
}

/// Why what hit the redirect URI does not end this login. The login is still good where it is still kept, unless it has
/// [expired](Self::Expired): [`Pending::is_for`](crate::Pending::is_for) tells before
/// [`accept`](crate::Pending::accept) consumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError {
    /// Longer than [`MAX_CALLBACK`](crate::MAX_CALLBACK).
    TooLong,
    /// Not UTF-8 once decoded: `?code=%C0%AF`.
    NotUtf8,
    /// A parameter stands twice: `?state=a&state=b` (RFC 6749 section 3.1).
    Repeated(&'static str),
    /// Neither `code` nor `error`, or an empty one: `?state=a`.
    Missing,
    /// Both `code` and `error`: `?code=a&error=b`.
    CodeAndError,
    /// A parameter, or the URL itself, has characters that it cannot have: `?code=%00` (RFC 6749 appendix A).
    Invalid(&'static str),
    /// What only a token endpoint may deliver, or another response type would: `?access_token=a`
    /// (RFC 9700 section 2.1.2).
    Unexpected(&'static str),
    /// `state` is missing, or is not this login's (RFC 6749 section 10.12).
    State,
    /// The whole URL was given, and it is not the redirect URI of this login (RFC 9700 section 4.4.2.2).
    RedirectUri,
    /// The login was begun too long ago, or the device code has expired; nothing was sent.
    Expired,
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the callback is longer than {} bytes", crate::MAX_CALLBACK),
            Self::NotUtf8 => f.write_str("the callback is not UTF-8"),
            Self::Repeated(name) => write!(f, "the callback has {name} more than once"),
            Self::Missing => f.write_str("the callback has neither code nor error"),
            Self::CodeAndError => f.write_str("the callback has both code and error"),
            Self::Invalid(name) => write!(f, "the callback's {name} has characters it cannot have"),
            Self::Unexpected(name) => write!(f, "the callback has {name}, which was not asked for"),
            Self::State => f.write_str("the callback's state is not this login's"),
            Self::RedirectUri => f.write_str("the callback did not come to this login's redirect URI"),
            Self::Expired => f.write_str("the login was begun too long ago"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(usage) => usage.fmt(f),
            Self::Server(error) => error.fmt(f),
            Self::Violation(violation) => violation.fmt(f),
            Self::Callback(callback) => callback.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<Usage> for Error {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<CallbackError> for Error {
    fn from(callback: CallbackError) -> Self {
        Self::Callback(callback)
    }
}
