//! The catalogue's classes, in the library's words: the one table.

use http::StatusCode;
use proofkey_core::{CallbackError, Challenge, Error, ErrorCode, Remedy, ServerError, Usage, Violation};

use crate::app::{Fail, Outcome, Reply};

/// The classes that an outcome is one of. `body` is the answer that led to it.
pub(crate) fn classes(outcome: &Outcome, body: &[u8]) -> Vec<&'static str> {
    match outcome {
        Outcome::Tokens(_) | Outcome::Emitted | Outcome::Done | Outcome::State(_) => vec!["Ok"],
        Outcome::Resource(reply) => resource(reply),
        Outcome::Again => vec!["None"],
        Outcome::Fail(Fail::Metadata(_)) => vec!["MetadataInvalid", "ConfigError", "InvalidField"],
        Outcome::Fail(Fail::NoLogin { stateless: true }) => vec!["StateMissing", "StateMismatch"],
        Outcome::Fail(Fail::NoLogin { stateless: false }) => vec!["StateMismatch", "TransactionUnknown"],
        Outcome::Fail(Fail::Stored) => vec!["StoreCorrupt"],
        // Asked for by name, a refresh says `Usage::NoRefreshToken`: `App::ended` looks.
        Outcome::Fail(Fail::LogIn) => vec!["ReauthRequired", "ConfigError"],
        Outcome::Fail(Fail::Later) => vec!["ServerUnavailable"],
        Outcome::Fail(Fail::Undeliverable) => vec!["CallbackMalformed", "TransportFailed", "ConfigError"],
        Outcome::Fail(Fail::Stale) => vec!["RequestUriExpired"],
        // The same word for two things: who answered a login, and whose document it is.
        Outcome::Fail(Fail::Document(Error::Violation(Violation::Issuer))) => vec!["MetadataIssuerMismatch"],
        Outcome::Fail(Fail::Document(error) | Fail::Error(error)) => refused(error, body),
    }
}

fn refused(error: &Error, body: &[u8]) -> Vec<&'static str> {
    match error {
        // RFC 8707 has any URI; a token goes to https alone.
        Error::Usage(Usage::Resource(why)) if why.contains("https") => vec!["ConfigError", "InsecureUrl"],
        Error::Usage(Usage::Endpoint(name, why)) => [vec!["ConfigError"], unusable(name, why)].concat(),
        Error::Usage(Usage::NoEndpoint(_)) => vec!["ConfigError", "MissingField", "MetadataInvalid"],
        Error::Usage(Usage::Authentication { .. }) => vec!["ConfigError", "UnsupportedFeature"],
        Error::Usage(_) => vec!["ConfigError"],
        Error::Server(error) => server(error, body),
        Error::Violation(violation) => match violation {
            Violation::Redirect(_) => vec!["UnexpectedRedirect"],
            Violation::TooLong => vec!["TooLarge"],
            Violation::TooManyValues => vec!["TooLarge", "MalformedBody"],
            Violation::NotJson => vec!["MalformedBody"],
            Violation::Missing(name) if METADATA.contains(name) => vec!["MissingField", "MetadataInvalid"],
            Violation::Missing(_) => vec!["MissingField"],
            Violation::Invalid("metadata") => vec!["MalformedBody", "InvalidField", "MetadataInvalid"],
            Violation::Invalid(name) if METADATA.contains(name) => vec!["InvalidField", "MetadataInvalid"],
            Violation::Invalid("user_code") if text(body, "user_code").len() > 100 => vec!["InvalidField", "TooLarge"],
            // A page that is none, or none of the web.
            Violation::Invalid(name) if name.starts_with("verification_ur") && !text(body, name).is_empty() => {
                vec!["InvalidField", "ForbiddenUrl", "InsecureUrl"]
            }
            Violation::Invalid(_) => vec!["InvalidField"],
            Violation::Metadata(name, why) => unusable(name, why),
            Violation::Resource => vec!["ResourceMismatch"],
            // A page where a document should be, somewhere among the places; or nothing anywhere.
            Violation::NoMetadata(missed) if missed.iter().any(|miss| miss.status.is_success()) => {
                vec!["MalformedBody", "UnexpectedContentType"]
            }
            Violation::Status(_) | Violation::NoMetadata(_) => vec!["UnexpectedStatus"],
            Violation::Duplicate(_) => vec!["DuplicateMember"],
            Violation::TokenType => vec!["UnsupportedTokenType"],
            Violation::Issuer => vec!["IssuerMismatch"],
            Violation::IssuerMissing => vec!["IssuerMissing", "IssuerMismatch"],
            _ => vec![],
        },
        Error::Callback(callback) => match callback {
            CallbackError::TooLong => vec!["TooLarge"],
            CallbackError::NotUtf8 | CallbackError::Invalid(_) => vec!["CallbackMalformed"],
            CallbackError::CodeAndError => vec!["CallbackMalformed", "AuthorizationError"],
            CallbackError::Repeated(_) => vec!["DuplicateParameter"],
            CallbackError::Missing => vec!["MissingCode"],
            CallbackError::Unexpected(_) => vec!["UnexpectedResponseParameter"],
            CallbackError::State => vec!["StateMismatch"],
            CallbackError::RedirectUri => vec!["RedirectUriMismatch"],
            CallbackError::Expired => vec!["TransactionExpired", "DeviceExpired"],
            _ => vec![],
        },
        _ => vec![],
    }
}

/// A member of a document that cannot be used.
fn unusable(name: &str, why: &str) -> Vec<&'static str> {
    match name {
        "code_challenge_methods_supported" => vec!["PkceUnsupported", "MetadataInvalid", "InvalidField"],
        "response_types_supported" => vec!["UnsupportedFeature", "MetadataInvalid"],
        _ if why.contains("private network") => vec!["ForbiddenUrl"],
        _ if why.starts_with("must be https") || why.starts_with("must be an https") => {
            vec!["InsecureUrl", "MetadataInvalid"]
        }
        // A host that is not what it looks like, or hides behind a name.
        _ if why.contains("usual form") || why.contains("user name") || why.contains("backslash") => {
            vec!["ForbiddenUrl", "MetadataInvalid"]
        }
        _ => vec!["MetadataInvalid"],
    }
}

/// The members of documents, as opposed to those of token answers.
const METADATA: [&str; 15] = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "token_endpoint_auth_methods_supported",
    "response_types_supported",
    "code_challenge_methods_supported",
    "resource",
    "authorization_servers",
    "scopes_supported",
];

fn server(error: &ServerError, body: &[u8]) -> Vec<&'static str> {
    let Some(status) = error.status else { return vec!["AuthorizationError"] };
    let mut classes = Vec::new();
    // A failure that names no code has been given one; it is not the server's word.
    if names(body, error.code.as_str()) {
        classes.push("OAuthError");
    }
    match error.code.as_str() {
        "expired_token" => classes.push("DeviceExpired"),
        "access_denied" => classes.push("AuthorizationError"),
        _ => {}
    }
    match error.remedy() {
        Remedy::LogInAgain => classes.push("ReauthRequired"),
        Remedy::TryLater(_) => classes.push("ServerUnavailable"),
        _ => {}
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        classes.push("RateLimited");
    }
    // 408, 425 and 429 say "not now": an answer that is no refusal, and still tells its status.
    if status.is_client_error() && matches!(error.remedy(), Remedy::TryLater(_)) {
        classes.push("UnexpectedStatus");
    }
    classes
}

/// What a resource's answer asks of the application. Whatever it is, it has been handed over: to the client that is `Ok`.
fn resource(reply: &Reply) -> Vec<&'static str> {
    let mut classes = vec!["Ok"];
    if reply.status.is_success() {
        return classes;
    }
    let error = Challenge::bearer(&reply.headers).and_then(|bearer| bearer.error);
    match &error {
        Some(error) if *error == ErrorCode::INSUFFICIENT_SCOPE => classes.push("InsufficientScope"),
        Some(error) if *error == ErrorCode::INSUFFICIENT_USER_AUTHENTICATION => classes.push("StepUpRequired"),
        // It was renewed, and the new one is refused as well.
        Some(error) if *error == ErrorCode::INVALID_TOKEN && reply.status == 401 => classes.push("ReauthRequired"),
        _ => {}
    }
    classes.extend(error.map(|_| "OAuthError"));
    match reply.status.as_u16() {
        300..400 => classes.push("UnexpectedRedirect"),
        429 => classes.extend(["RateLimited", "UnexpectedStatus"]),
        500.. => classes.extend(["ServerUnavailable", "UnexpectedStatus"]),
        _ => classes.push("UnexpectedStatus"),
    }
    classes
}

/// A member of the body, if it is a text.
fn text(body: &[u8], name: &str) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body[name].as_str().unwrap_or_default().to_owned()
}

/// Whether this code stands in the body.
fn names(body: &[u8], code: &str) -> bool {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(body) => body["error"] == code,
        Err(_) => body.windows(code.len().max(1)).any(|window| window == code.as_bytes()),
    }
}

/// Every class that something here could be; of a case whose classes are all unknown it is said so.
pub(crate) const CLASSES: [&str; 41] = [
    "Ok",
    "None",
    "AuthorizationError",
    "CallbackMalformed",
    "ConfigError",
    "DeviceExpired",
    "DuplicateMember",
    "DuplicateParameter",
    "ForbiddenUrl",
    "InsecureUrl",
    "InsufficientScope",
    "InvalidField",
    "IssuerMismatch",
    "IssuerMissing",
    "MalformedBody",
    "MetadataInvalid",
    "MetadataIssuerMismatch",
    "MissingCode",
    "MissingField",
    "OAuthError",
    "PkceUnsupported",
    "RateLimited",
    "ReauthRequired",
    "RedirectUriMismatch",
    "RequestUriExpired",
    "ResourceMismatch",
    "ServerUnavailable",
    "StateMismatch",
    "StateMissing",
    "StepUpRequired",
    "StoreCorrupt",
    "TooLarge",
    "TransactionExpired",
    "TransactionUnknown",
    "TransportFailed",
    // No error of ours: any content type is accepted.
    "UnexpectedContentType",
    "UnexpectedRedirect",
    "UnexpectedResponseParameter",
    "UnexpectedStatus",
    "UnsupportedFeature",
    "UnsupportedTokenType",
];
