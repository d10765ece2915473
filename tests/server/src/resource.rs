//! The protected resource: a few photos behind a Bearer token (RFC 6750).
//!
//! ```text
//! GET /resource HTTP/1.1                     HTTP/1.1 200 OK
//! Authorization: Bearer mF_9.B5f-4.1JqM      {"sub":"alice","scope":"photos","photos":[..]}
//!
//! GET /.well-known/oauth-protected-resource/resource
//!                                            {"resource":"http://127.0.0.1:PORT/resource",
//!                                             "authorization_servers":["http://127.0.0.1:PORT"], ..}
//! ```
//!
//! It asks the authorization server about each token, so one that was revoked is refused at once. Each refusal says where
//! the resource describes itself (RFC 9728 section 5.1).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oauth_as::resource_metadata::{ProtectedResourceConfig, ProtectedResourceMetadata};
use oauth_as::token::IssuedToken;
use serde_json::{Value, json};

use crate::clients::SCOPES;
use crate::documents;
use crate::server::Parts;

/// The resource's path.
pub(crate) const PATH: &str = "/resource";

const PHOTOS: [&str; 3] = ["harbour.jpg", "grandmother.jpg", "snow.jpg"];

/// Who the resource is.
pub(crate) struct Resource {
    /// Its identifier, which tokens for it name (RFC 8707).
    identifier: String,
    must_be_named: bool,
    pub(crate) metadata_path: String,
    pub(crate) metadata_url: String,
    metadata: ProtectedResourceMetadata,
}

impl Resource {
    pub(crate) fn new(issuer: &str, must_be_named: bool) -> Self {
        let identifier = format!("{issuer}{PATH}");
        let mut config = ProtectedResourceConfig::new(identifier.clone(), issuer);
        config.scopes_supported = Some(SCOPES.map(|(scope, _)| scope.to_owned()).into());
        config.resource_name = Some("Photos".to_owned());
        let metadata = ProtectedResourceMetadata::from_config(&config);
        let metadata_path = metadata.well_known_path();
        Self { metadata_url: format!("{issuer}{metadata_path}"), identifier, must_be_named, metadata_path, metadata }
    }

    /// A token for others is refused; one for nobody in particular is taken, unless it must not be.
    fn is_named_by(&self, token: &IssuedToken) -> bool {
        token.resource.contains(&self.identifier) || (token.resource.is_empty() && !self.must_be_named)
    }

    fn refuse(&self, status: StatusCode, because: &str) -> Response {
        let challenge = format!("Bearer realm=\"photos\", {because}resource_metadata=\"{}\"", self.metadata_url);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let challenge = HeaderValue::try_from(challenge).expect("all of it is ASCII");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

/// `GET /.well-known/oauth-protected-resource/resource` (RFC 9728 section 3)
pub(crate) async fn describe(State(parts): State<Arc<Parts>>) -> Response {
    documents::json(&parts.resource.metadata)
}

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
    let refuse = |status, because| parts.resource.refuse(status, because);
    // > If the request lacks any authentication information [..], the resource server SHOULD NOT
    // > include an error code or other error information. (RFC 6750 section 3.1)
    let Some(presented) = bearer_token(headers) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, ""));
    };
    let invalid = || {
        refuse(
            StatusCode::UNAUTHORIZED,
            "error=\"invalid_token\", \
             error_description=\"The access token is unknown, expired, revoked or for another resource\", ",
        )
    };
    let token = parts.server.introspect(presented).await;
    let token = token.ok().flatten().ok_or_else(invalid)?;
    // > such a protected resource MUST reject a DPoP-bound access token received as a bearer token
    // (RFC 9449 section 7.2)
    if token.jkt.is_some() || !parts.resource.is_named_by(&token) {
        return Err(invalid());
    }
    if !token.scope.contains("photos") {
        return Err(refuse(StatusCode::FORBIDDEN, "error=\"insufficient_scope\", scope=\"photos\", "));
    }
    Ok(token)
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_start_matches(' '))
}
