//! The token endpoint: the one place that builds its requests and reads its answers (RFC 6749 sections 3.2, 5.1, 5.2).
//!
//! ```text
//! POST /token HTTP/1.1                         HTTP/1.1 200 OK
//! Authorization: Basic czZCaGRSa3F0Mzo3..      Content-Type: application/json
//! Accept: application/json
//! Content-Type: application/x-www-form-        {"access_token":"2YotnFZFEjr1zCsicMWpAA",
//!               urlencoded                      "token_type":"Bearer","expires_in":3600}
//!
//! grant_type=authorization_code&code=..        HTTP/1.1 400 Bad Request
//!                                              {"error":"invalid_grant"}
//! ```
//!
//! Success is a 200 with one JSON object, an access token in it and no error beside it. Any content type will do, as long
//! as the whole body is that object. Refused: redirects, other successes, tokens of a type that we cannot use, and
//! whatever has no meaning that we could be sure of.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use zeroize::Zeroize;

use crate::asked::Resources;
use crate::error::{Error, Violation};
use crate::exchange::{Body, MAX_BODY};
use crate::form::Form;
use crate::json::{self, Member};
use crate::refusal::{ErrorCode, ServerError, is_transient};
use crate::registration::Registration;
use crate::scope::Scope;
use crate::secret::{Secret, Wiped};
use crate::time::{UnixTime, retry_after};
use crate::token::{TokenType, Tokens};

/// What holds for tokens unless the answer says otherwise.
#[derive(Default)]
pub(crate) struct Granted {
    /// RFC 6749 section 5.1: scope is "OPTIONAL, if identical to the scope requested by the client".
    pub(crate) scope: Option<Scope>,
    /// What the grant is good for, where these tokens were asked to have less of it.
    pub(crate) grant_scope: Option<Scope>,
    pub(crate) resources: Resources,
    pub(crate) refresh_token: Option<Secret>,
}

/// A request to the token endpoint.
pub(crate) fn token_request(registration: &Registration, form: Form) -> Request<Body> {
    post(registration, registration.token_target.clone(), form)
}

/// A form for one of the server's endpoints, with the client's authentication.
pub(crate) fn post(registration: &Registration, target: Uri, mut form: Form) -> Request<Body> {
    registration.authentication.write(&registration.client_id, &mut form);
    send(registration, target, form)
}

/// A form that is complete, but for the client's credentials in the header.
pub(crate) fn send(registration: &Registration, target: Uri, form: Form) -> Request<Body> {
    let mut request = Request::new(Body::from(form.into_bytes()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target;
    request.headers_mut().clone_from(&registration.headers);
    request
}

/// The tokens in an answer to a request made at `asked`. `sent` are the secrets that the request carried.
pub(crate) fn tokens(
    registration: &Registration,
    response: Response<Vec<u8>>,
    asked: UnixTime,
    granted: Granted,
    sent: &[&str],
) -> Result<Tokens, Error> {
    answer(registration, StatusCode::OK, response, asked, sent, |head, body| {
        read_tokens(registration, head, body, asked, granted)
    })
}

/// The meaning of any endpoint's answer: `read` tells that of a success, and everything else is a refusal.
pub(crate) fn answer<T>(
    registration: &Registration,
    success: StatusCode,
    response: Response<Vec<u8>>,
    asked: UnixTime,
    sent: &[&str],
    read: impl FnOnce(&Parts, &mut Vec<u8>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (head, mut body) = response.into_parts();
    let forgiven = registration.settings.quirks.success_of_any_kind && head.status.is_success();
    let read =
        if head.status == success || forgiven { read(&head, &mut body) } else { Err(refusal(&head, &body, asked)) };
    body.as_mut_slice().zeroize();
    drop(body);
    read.map_err(|error| conceal(error, registration, sent))
}

fn read_tokens(
    registration: &Registration,
    head: &Parts,
    body: &mut Vec<u8>,
    asked: UnixTime,
    granted: Granted,
) -> Result<Tokens, Error> {
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong.into());
    }
    let names = [
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "id_token",
        "error",
        "error_description",
        "error_uri",
    ];
    let quirks = &registration.settings.quirks;
    let text = Arc::new(match quirks.token_response_form_encoded.then(|| json::from_form(body)).flatten() {
        Some(form) => form,
        None => take_text(body)?,
    });
    let ([access_token, token_type, expires_in, refresh_token, scope, id_token, error, description, uri], extra) =
        json::members_of(&text.0, names)?;
    // A refusal stays one, whatever its status and whatever stands beside it.
    if let Some(error) = server_error(head, asked, error, description, uri)? {
        return Err(error.into());
    }
    // Tokens are kept for long: with them the whole answer, but only where at least half of it is tokens.
    let length: usize = [access_token, refresh_token, id_token].map(Member::length).iter().sum();
    let is_little_else = text.0.capacity() / 2 <= length;
    let token = |member: Member<'_>| -> Result<Option<Secret>, Violation> {
        Ok(member.token()?.map(|token| match token {
            Cow::Borrowed(token) if is_little_else => Secret::part(&text, token),
            token => Secret::from(token.into_owned()),
        }))
    };
    let access_token = token(access_token)?.ok_or(access_token.missing())?;
    let token_type = match token_type.text()? {
        None if quirks.token_type_missing => TokenType::Bearer,
        None => return Err(token_type.missing().into()),
        Some(text) => TokenType::parse(&text).ok_or(Violation::TokenType)?,
    };
    let scope = read_scope(scope, quirks.scope_separated_by_commas)?.or(granted.scope);
    Ok(Tokens {
        access_token,
        token_type,
        issued_at: asked,
        expires_at: expires_in.seconds()?.map(|lifetime| asked.saturating_add(Duration::from_secs(lifetime))),
        refresh_token: token(refresh_token)?.or(granted.refresh_token),
        grant_scope: granted.grant_scope.filter(|grant| scope.as_ref() != Some(grant)),
        scope,
        id_token: token(id_token)?,
        issuer: registration.issuer.clone(),
        token_endpoint: Some(registration.token_endpoint.clone()),
        client_id: Some(registration.client_id.clone()),
        resources: granted.resources,
        extra,
        header: OnceLock::new(),
    })
}

/// The body as text, taken out of it. What is none stays, to be wiped.
fn take_text(body: &mut Vec<u8>) -> Result<Wiped, Violation> {
    String::from_utf8(std::mem::take(body)).map(Wiped).map_err(|error| {
        *body = error.into_bytes();
        Violation::NotJson
    })
}

/// Scope as a string, or as an array of strings. An empty one is a grant of nothing, not of everything asked for.
pub(crate) fn read_scope(member: Member<'_>, commas: bool) -> Result<Option<Scope>, Violation> {
    let text = match member.strings()? {
        Some(tokens) => tokens.join(" "),
        None => match member.string()? {
            Some(text) => text.into_owned(),
            None => return Ok(None),
        },
    };
    let text = if commas { text.replace(',', " ") } else { text };
    Scope::granted(text).map(Some).ok_or(member.invalid())
}

/// What an answer with another status than success means.
fn refusal(head: &Parts, body: &[u8], asked: UnixTime) -> Error {
    let status = head.status;
    if status.is_redirection() {
        return Violation::Redirect(status).into();
    }
    let read =
        if status.is_client_error() || status.is_server_error() { read_error(head, body, asked) } else { Ok(None) };
    match read {
        Ok(Some(error)) => error.into(),
        // It is down or busy; what it says meanwhile is noise.
        _ if is_transient(status) => transient(head, asked).into(),
        Ok(None) | Err(Violation::NotJson | Violation::TooLong | Violation::TooManyValues) => {
            Violation::Status(status).into()
        }
        Err(violation) => violation.into(),
    }
}

fn read_error(head: &Parts, body: &[u8], asked: UnixTime) -> Result<Option<ServerError>, Violation> {
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong);
    }
    let ([error, description, uri], _) = json::members(body, ["error", "error_description", "error_uri"])?;
    server_error(head, asked, error, description, uri)
}

/// RFC 6749 section 5.2. A description or URI of the wrong type is dropped, and the code kept.
pub(crate) fn server_error(
    head: &Parts,
    asked: UnixTime,
    error: Member<'_>,
    description: Member<'_>,
    uri: Member<'_>,
) -> Result<Option<ServerError>, Violation> {
    let Some(code) = error.text()? else { return Ok(None) };
    let code = ErrorCode::parse(&code).ok_or(error.invalid())?;
    let description = description.text().unwrap_or_default();
    let uri = uri.text().unwrap_or_default();
    let delay = retry_after(&head.headers, asked);
    Ok(Some(ServerError::new(Some(head.status), code, description.as_deref(), uri.as_deref(), delay)))
}

/// A failure that names no code, by the name that RFC 6749 section 4.1.2.1 has for it.
pub(crate) fn transient(head: &Parts, asked: UnixTime) -> ServerError {
    let code = match head.status {
        StatusCode::INTERNAL_SERVER_ERROR => ErrorCode::SERVER_ERROR,
        _ => ErrorCode::TEMPORARILY_UNAVAILABLE,
    };
    ServerError::new(Some(head.status), code, None, None, retry_after(&head.headers, asked))
}

/// Whether an answer calls itself JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let essence =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// Some servers quote the credentials they refuse; an error must not carry those on.
fn conceal(error: Error, registration: &Registration, sent: &[&str]) -> Error {
    let Error::Server(error) = error else { return error };
    let secret = registration.authentication.secret().map(Secret::expose);
    // In the header it is longer.
    let header = secret
        .filter(|secret| error.has_room_for(secret))
        .and_then(|_| registration.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic "));
    Error::Server(error.without(sent.iter().copied().chain(secret).chain(header)))
}
