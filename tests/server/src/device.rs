//! The page where a user types the code a device shows (RFC 8628 section 3.3).
//!
//! `oauth-as` has a page of its own, for hosts with sessions; this server has none.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use oauth_as::device::{DeviceGrantState, normalize_user_code};
use oauth_as::store::Storage;

use crate::consent::{field, parse};
use crate::page::{self, Question};
use crate::server::Parts;

/// The verification URI's path.
pub(crate) const PATH: &str = "/device";

/// `GET /device`, and `GET /device?user_code=WDJB-MJHT`
pub(crate) async fn ask(State(parts): State<Arc<Parts>>, RawQuery(query): RawQuery) -> Response {
    let pairs = parse(query.unwrap_or_default().as_bytes());
    let Some(code) = field(&pairs, "user_code") else {
        return page::ask_for_code(PATH, None);
    };
    let store = parts.server.store();
    let grant = store.find_device_grant_by_user_code(&normalize_user_code(code)).await;
    let Some(grant) =
        grant.ok().flatten().filter(|grant| grant.state == DeviceGrantState::Pending && parts.now() < grant.expires_at)
    else {
        return page::ask_for_code(PATH, Some("No device is waiting with that code."));
    };
    let client = store.get_client(&grant.client_id).await.ok().flatten();
    page::question(&Question {
        client_name: client.as_ref().and_then(|client| client.name.as_deref()),
        client_id: grant.client_id.as_str(),
        scope: &grant.scope,
        redirect_uri: None,
        action: PATH,
        hidden: ("user_code", &grant.user_code),
    })
}

/// `POST /device`
pub(crate) async fn answer(State(parts): State<Arc<Parts>>, body: Bytes) -> Response {
    let form = parse(&body);
    let code = field(&form, "user_code").unwrap_or_default();
    let user = field(&form, "user").unwrap_or_default().trim();
    let done = match field(&form, "decision") {
        Some("allow") if !user.is_empty() => parts.server.approve_device(code, user).await,
        Some("deny") => parts.server.deny_device(code).await,
        _ => return page::ask_for_code(PATH, Some("Give a name and press one of the buttons.")),
    };
    match done {
        Ok(()) => page::message(StatusCode::OK, "Done", None, "You can go back to your device."),
        Err(error) => page::ask_for_code(PATH, Some(&error.to_string())),
    }
}
