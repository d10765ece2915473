//! The authorization endpoint's pages (RFC 6749 section 3.1): ask the user, then send the browser
//! back with a code or with `access_denied`.
//!
//! `oauth-as` validates the request and issues the code; this file shows the question and takes
//! the answer. A request it may not answer by redirect (an unknown client, a redirect URI that is
//! not registered) gets a page with status 400.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};
use oauth_as::authorization::{AuthorizationError, AuthorizationRequest, ValidatedAuthorizationRequest};
use oauth_as::server::UserApproval;
use oauth_as::store::Storage;

use crate::page::{self, Question};
use crate::server::Parts;

/// The path the form is posted to.
pub(crate) const PATH: &str = "/consent";

/// How many open pages are remembered; the oldest is forgotten.
const OPEN_PAGES: usize = 1024;

/// Requests whose page is open in a browser, by the page's hidden field.
///
/// The field works once and cannot be guessed: no other site can press the button, and pressing
/// it twice gives one code.
#[derive(Default)]
pub(crate) struct OpenPages {
    requests: Mutex<VecDeque<(String, ValidatedAuthorizationRequest)>>,
}

impl OpenPages {
    fn open(&self, request: ValidatedAuthorizationRequest) -> String {
        let ticket = page::unguessable();
        let mut requests = self.lock();
        if requests.len() == OPEN_PAGES {
            requests.pop_front();
        }
        requests.push_back((ticket.clone(), request));
        ticket
    }

    fn close(&self, ticket: &str) -> Option<ValidatedAuthorizationRequest> {
        let mut requests = self.lock();
        let at = requests.iter().position(|(known, _)| known == ticket)?;
        requests.remove(at).map(|(_, request)| request)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(String, ValidatedAuthorizationRequest)>> {
        self.requests.lock().expect("nothing panics while it is held")
    }
}

/// `GET /authorize`
pub(crate) async fn ask(State(parts): State<Arc<Parts>>, RawQuery(query): RawQuery) -> Response {
    let pairs = parse(query.unwrap_or_default().as_bytes());
    let request = match validate(&parts, &pairs).await {
        Ok(request) => request,
        Err(error) => return refuse(error),
    };
    let client = parts.server.store().get_client(&request.client_id).await;
    let client = client.ok().flatten();
    let ticket = parts.open_pages.open(request.clone());
    page::question(&Question {
        client_name: client.as_ref().and_then(|client| client.name.as_deref()),
        client_id: request.client_id.as_str(),
        scope: &request.scope,
        redirect_uri: Some(&request.redirect_uri),
        action: PATH,
        hidden: ("ticket", &ticket),
    })
}

/// `POST /consent`
pub(crate) async fn answer(State(parts): State<Arc<Parts>>, body: Bytes) -> Response {
    let form = parse(&body);
    let bad = |text| page::message(StatusCode::BAD_REQUEST, "That did not work", None, text);
    let allowed = match field(&form, "decision") {
        Some("allow") => true,
        Some("deny") => false,
        _ => return bad("Press one of the page's buttons."),
    };
    let user = field(&form, "user").unwrap_or_default().trim();
    if allowed && user.is_empty() {
        return bad("Go back and give a name.");
    }
    let ticket = field(&form, "ticket").unwrap_or_default();
    let Some(request) = parts.open_pages.close(ticket) else {
        return bad("This page was answered already, or is too old. Start again at the application.");
    };
    if !allowed {
        return redirect(StatusCode::SEE_OTHER, &request.denied().location());
    }
    let approval = UserApproval::granted(&request, user);
    match parts.server.issue_authorization_code(approval).await {
        Ok(response) => redirect(
            // 303, so that no browser posts the form again (RFC 9700 section 4.12).
            StatusCode::SEE_OTHER,
            &response.location(&request.redirect_uri),
        ),
        Err(error) => refuse(error),
    }
}

/// A request comes as parameters, or as a reference to some that were pushed (RFC 9126).
async fn validate(
    parts: &Parts,
    pairs: &[(String, String)],
) -> Result<ValidatedAuthorizationRequest, AuthorizationError> {
    let client_id = field(pairs, "client_id").unwrap_or_default();
    if let Some(request_uri) = field(pairs, "request_uri") {
        return parts.server.validate_pushed_authorization_request(client_id, request_uri).await;
    }
    if let Some(redirect_uri) = field(pairs, "redirect_uri") {
        parts.clients.admit_loopback_port(&parts.server, client_id, redirect_uri).await;
    }
    let pairs = pairs.iter().map(|(name, value)| (name, value.as_str()));
    let request = AuthorizationRequest::from_pairs(pairs);
    parts.server.validate_authorization_request(&request).await
}

fn refuse(error: AuthorizationError) -> Response {
    match error {
        AuthorizationError::Redirect(error) => redirect(StatusCode::FOUND, &error.location()),
        AuthorizationError::Direct(error) => page::message(
            StatusCode::BAD_REQUEST,
            "This application's request cannot be answered",
            Some(error.error.as_str()),
            error.error_description.as_deref().unwrap_or_default(),
        ),
    }
}

fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let location = HeaderValue::try_from(location).expect("registered URIs are ASCII");
    headers.insert(LOCATION, location);
    // It carries the code.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn parse(form: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form).into_owned().collect()
}

pub(crate) fn field<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find_map(|(n, value)| (n == name).then_some(value.as_str()))
}
