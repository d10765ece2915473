//! Leaving by the back door: the parameters are pushed to the server first, and the browser carries a reference
//! (RFC 9126).
//!
//! ```text
//! POST /par                                    HTTP/1.1 201 Created
//! response_type=code&client_id=CLIENT1234
//! &state=duk681S8n00GsJpe7n9boxdzen            {"request_uri":"urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc0..",
//! &code_challenge=K2-ltc83acc4h0c9w6ESC_..      "expires_in":60}
//!
//! GET /authorize?client_id=CLIENT1234&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc0..
//! ```
//!
//! The client authenticates as at the token endpoint, so the server knows who asks before anybody is shown anything. A
//! failed push ends the login: it never falls back to the browser's address bar.

use std::time::Duration;

use http::response::Parts;
use http::{Request, Response, StatusCode};
use rand_core::CryptoRng;
use url::Url;

use crate::authorization::{Authorization, fresh};
use crate::endpoint;
use crate::error::{Error, Usage, Violation};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::form::Form;
use crate::json;
use crate::pending::Pending;
use crate::prefix;
use crate::time::UnixTime;

/// A login being pushed; made by [`Authorization::push`]. Its output is what [`Authorization::redirect`] gives.
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Push {
    authorization: Authorization,
    pending: Option<Pending>,
    turn: Turn,
}

impl Push {
    pub(crate) fn new(authorization: Authorization) -> Self {
        Self { authorization, pending: None, turn: Turn::default() }
    }
}

impl Exchange for Push {
    type Output = (Url, Pending);

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let Some(target) = self.authorization.registration().push_target.clone() else {
            return Err(Usage::NoEndpoint("pushed_authorization_request_endpoint").into());
        };
        // Where there is nowhere to go afterwards, nothing is pushed.
        drop(self.authorization.begin_url()?);
        let mut form = Form::with_capacity(1024);
        self.authorization.write(&mut form)?;
        let (pending, challenge) = self.authorization.draw(now, rng)?;
        form.plain(fresh(&pending, &challenge));
        self.pending = Some(pending);
        // The client's id is among the parameters already.
        let registration = self.authorization.registration();
        registration.authentication.write_secret(&mut form);
        let request = endpoint::send(registration, target, form);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        let asked = self.turn.answered()?;
        let mut pending = self.pending.take().ok_or(Usage::OutOfTurn)?;
        let registration = self.authorization.registration();
        let sent = [pending.state.expose()];
        // RFC 9126 section 2.2: "the server MUST generate a request URI and provide it in the response with a 201".
        let (request_uri, lifetime) =
            endpoint::answer(registration, StatusCode::CREATED, response, asked, &sent, |head, body| {
                read(head, body, asked)
            })?;
        let mut form = self.authorization.begin_url()?;
        form.pair("client_id", &registration.client_id);
        form.pair("request_uri", &request_uri);
        pending.leave_by = Some(asked.saturating_add(lifetime));
        Ok(Step::Done((prefix::parse(&form.into_text())?, pending)))
    }
}

/// The reference, opaque and never fetched, and how long it is good for.
fn read(head: &Parts, body: &[u8], asked: UnixTime) -> Result<(String, Duration), Error> {
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong.into());
    }
    let names = ["request_uri", "expires_in", "error", "error_description", "error_uri"];
    let ([request_uri, expires_in, error, description, uri], _) = json::members(body, names)?;
    if let Some(error) = endpoint::server_error(head, asked, error, description, uri)? {
        return Err(error.into());
    }
    let text = request_uri.text()?.ok_or(request_uri.missing())?;
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic());
    let lifetime = expires_in.seconds()?.ok_or(expires_in.missing())?;
    if lifetime == 0 {
        return Err(expires_in.invalid().into());
    }
    if fits { Ok((text.into_owned(), Duration::from_secs(lifetime))) } else { Err(request_uri.invalid().into()) }
}
