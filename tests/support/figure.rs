//! How a transcript shows what is sent, and what is told of an answer.
#![allow(dead_code)] // each test file uses a part

use std::fmt::Write as _;

use proofkey_core::{Body, Challenge, DevicePending, Scope, TokenState, UnixTime};

/// A request as it leaves.
pub(crate) fn request(request: &http::Request<Body>) -> String {
    let mut printed = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        writeln!(printed, "{name}: {}", value.to_str().expect("ASCII")).expect("a string takes anything");
    }
    let body = str::from_utf8(request.body().as_ref()).expect("ASCII");
    if !body.is_empty() {
        printed = printed + "\n" + body;
    }
    printed.trim_end().to_owned()
}

/// What a person is shown who logs in on another device.
pub(crate) fn device(pending: &DevicePending) -> String {
    let shown = format!("{} at {}", pending.user_code(), pending.verification_uri());
    let complete = pending.verification_uri_complete().into_iter().map(str::to_owned);
    [shown].into_iter().chain(complete).collect::<Vec<_>>().join("\n")
}

/// What a resource answered, and what it asks of a bearer token.
pub(crate) fn answer(response: &http::Response<Vec<u8>>) -> String {
    let mut told = format!("{}\n", response.status());
    if !response.body().is_empty() {
        writeln!(told, "{}", str::from_utf8(response.body()).expect("text")).expect("a string takes anything");
    }
    if let Some(bearer) = Challenge::bearer(response.headers()) {
        let scope = bearer.scope.as_ref().map(Scope::as_str);
        writeln!(told, "error: {:?}", bearer.error).expect("a string takes anything");
        writeln!(told, "scope: {scope:?}").expect("a string takes anything");
        writeln!(told, "realm: {:?}", bearer.realm).expect("a string takes anything");
    }
    told.trim_end().to_owned()
}

/// What a server said of a token.
pub(crate) fn state(state: &TokenState) -> String {
    let scope = state.scope().map(Scope::as_str);
    let expires_at = state.expires_at().map(UnixTime::as_secs);
    format!(
        "active: {}\nscope: {scope:?}\nclient_id: {:?}\nsub: {:?}\nexp: {expires_at:?}\n{}",
        state.is_active(),
        state.client_id(),
        state.subject(),
        state.extra().as_json()
    )
}
