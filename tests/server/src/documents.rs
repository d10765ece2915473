//! Where the server describes itself (RFC 8414 section 3, OpenID Connect Discovery section 4), and where it does not.
//!
//! ```text
//! GET /.well-known/oauth-authorization-server      200, 404, or a page for people
//! GET /.well-known/openid-configuration            the same members
//! ```

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::page;
use crate::server::Parts;

/// The place of RFC 8414 section 3, for an issuer without a path.
pub(crate) const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// The place of OpenID Connect Discovery section 4.
pub(crate) const OPENID: &str = "/.well-known/openid-configuration";

/// Which metadata documents a [`TestServer`](crate::TestServer) has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// The one of RFC 8414 and the one of OpenID Connect, with the same members.
    Both,
    /// The one of RFC 8414.
    OnlyOAuth,
    /// The one of OpenID Connect.
    OnlyOpenId,
    /// None: the client must have been told the endpoints.
    Neither,
}

/// Both places, whatever is there.
pub(crate) fn routes(documents: Documents, page_where_none: bool) -> Router<Arc<Parts>> {
    let at = |there| match there {
        true => get(serve),
        false if page_where_none => get(ask_to_log_in),
        false => get(StatusCode::NOT_FOUND),
    };
    Router::new()
        .route(OAUTH, at(matches!(documents, Documents::Both | Documents::OnlyOAuth)))
        .route(OPENID, at(matches!(documents, Documents::Both | Documents::OnlyOpenId)))
}

async fn serve(State(parts): State<Arc<Parts>>) -> Response {
    json(&parts.server.metadata())
}

async fn ask_to_log_in() -> Response {
    page::message(StatusCode::OK, "Log in", None, "This page is for people who log in at the server itself.")
}

/// A document that may be kept for an hour.
pub(crate) fn json(document: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(document).expect("a document is JSON");
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    response
}
