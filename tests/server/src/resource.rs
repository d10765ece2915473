//! The protected resource: a few photos behind a Bearer token (RFC 6750).
//!
//! ```text
//! GET /resource HTTP/1.1                     HTTP/1.1 200 OK
//! Authorization: Bearer mF_9.B5f-4.1JqM      {"sub":"alice","scope":"photos","photos":[..]}
//! ```
//!
//! It asks the authorization server about each token, so one that was revoked is refused at once.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oauth_as::token::IssuedToken;
use serde_json::{Value, json};

use crate::server::Parts;

/// The resource's path.
pub(crate) const PATH: &str = "/resource";

const PHOTOS: [&str; 3] = ["harbour.jpg", "grandmother.jpg", "snow.jpg"];

/// `GET /resource` lists the photos; `POST /resource` says what it was sent.
pub(crate) async fn serve(
    State(parts): State<Arc<Parts>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = match admit(&parts, &headers).await {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    // A client that acts for itself is its own subject (RFC 9068 section 2.2).
    let subject = token.subject.as_deref();
    let mut answer = json!({
        "sub": subject.unwrap_or(token.client_id.as_str()),
        "client_id": token.client_id.as_str(),
        "scope": token.scope.to_string(),
    });
    if method == Method::POST {
        answer["received"] = Value::from(String::from_utf8_lossy(&body));
    } else {
        answer["photos"] = Value::from(PHOTOS.to_vec());
    }
    let mut response = Response::new(Body::from(answer.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn admit(parts: &Parts, headers: &HeaderMap) -> Result<Arc<IssuedToken>, Response> {
    // > If the request lacks any authentication information [..], the resource server SHOULD NOT
    // > include an error code or other error information. (RFC 6750 section 3.1)
    let Some(presented) = bearer_token(headers) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "Bearer realm=\"photos\""));
    };
    let invalid = || {
        refuse(
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"photos\", error=\"invalid_token\", \
             error_description=\"The access token is unknown, expired or revoked\"",
        )
    };
    let token = parts.server.introspect(presented).await;
    let token = token.ok().flatten().ok_or_else(invalid)?;
    // > such a protected resource MUST reject a DPoP-bound access token received as a bearer token
    // (RFC 9449 section 7.2)
    if token.jkt.is_some() {
        return Err(invalid());
    }
    if !token.scope.contains("photos") {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "Bearer realm=\"photos\", error=\"insufficient_scope\", scope=\"photos\"",
        ));
    }
    Ok(token)
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_start_matches(' '))
}

fn refuse(status: StatusCode, challenge: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
