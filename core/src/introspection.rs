//! Asking what a token is worth (RFC 7662).
//!
//! ```text
//! POST /introspect                             {"active":true,"scope":"read write dolphin",
//! token=2YotnFZFEjr1zCsicMWpAA                  "client_id":"l238j323ds-23ij4","exp":1419356238,..}
//! ```
//!
//! `active` must be a boolean: anything else is no answer, and never means yes. Of an inactive token nothing else is
//! believed.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use rand_core::CryptoRng;

use crate::endpoint;
use crate::error::{Error, Usage, Violation};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::form::Form;
use crate::json::{self, Extra};
use crate::registration::Registration;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;

/// A question about a token; made by [`Client::introspect`](crate::Client::introspect).
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Introspection {
    registration: Arc<Registration>,
    token: Secret,
    turn: Turn,
}

impl Introspection {
    pub(crate) fn new(registration: Arc<Registration>, token: Secret) -> Self {
        Self { registration, token, turn: Turn::default() }
    }
}

impl Exchange for Introspection {
    type Output = TokenState;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let Some(target) = self.registration.introspection_target.clone() else {
            return Err(Usage::NoEndpoint("introspection_endpoint").into());
        };
        let mut form = Form::with_capacity(512);
        form.pair("token", self.token.expose());
        let request = endpoint::post(&self.registration, target, form);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<TokenState>, Error> {
        let asked = self.turn.answered()?;
        let sent = [self.token.expose()];
        endpoint::answer(&self.registration, StatusCode::OK, response, asked, &sent, |_, body| Ok(read(body)?))
            .map(Step::Done)
    }
}

/// What the server says of a token (RFC 7662 section 2.2).
#[derive(Clone, Debug)]
pub struct TokenState {
    active: bool,
    scope: Option<Scope>,
    client_id: Option<String>,
    subject: Option<String>,
    expires_at: Option<UnixTime>,
    extra: Extra,
}

impl TokenState {
    /// Whether the token is good, as far as the server tells this client.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Whether it is good at `now`: active, and not past an expiry that the server named.
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        self.active && self.expires_at.is_none_or(|at| now < at)
    }

    /// `scope`.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// `client_id`: who asked for the token.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `sub`: whom it speaks for.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `exp`.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Every other member: `username`, `aud`, `iss`, `iat`, `nbf`, `jti`, and the server's own.
    pub fn extra(&self) -> &Extra {
        &self.extra
    }
}

fn read(body: &[u8]) -> Result<TokenState, Violation> {
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong);
    }
    let ([active, scope, client_id, subject, expires_at], extra) =
        json::members(body, ["active", "scope", "client_id", "sub", "exp"])?;
    if !active.flag()?.ok_or(active.missing())? {
        let nothing = TokenState {
            active: false,
            scope: None,
            client_id: None,
            subject: None,
            expires_at: None,
            extra: Extra::none(),
        };
        return Ok(nothing);
    }
    Ok(TokenState {
        active: true,
        scope: endpoint::read_scope(scope, false)?,
        client_id: client_id.string()?.map(Into::into),
        subject: subject.string()?.map(Into::into),
        expires_at: expires_at.seconds()?.map(UnixTime::from_secs),
        extra,
    })
}
