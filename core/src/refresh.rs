//! Renewing: a refresh token becomes new tokens (RFC 6749 section 6).
//!
//! ```text
//! POST /token
//! grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA&client_id=s6BhdRkqt3
//! ```
//!
//! A new refresh token in the answer replaces the old one; where there is none, the old one stays. It goes only to the
//! server that gave it, as the client it was given to. A refusal with `invalid_grant` ends the grant
//! ([`Remedy::LogInAgain`](crate::Remedy)); an outage ends nothing.

use std::sync::Arc;

use http::{Request, Response};
use rand_core::CryptoRng;

use crate::asked::Asked;
use crate::endpoint::{self, Granted};
use crate::error::{Error, Usage};
use crate::exchange::{Body, Exchange, Step, Turn};
use crate::form::Form;
use crate::registration::Registration;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::token::Tokens;

/// The exchange of a refresh token for tokens; made by [`Client::refresh`](crate::Client::refresh).
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Refresh {
    registration: Arc<Registration>,
    token: Secret,
    /// What the grant is good for, as far as is known.
    grant_scope: Option<Scope>,
    /// What was asked to be left of it.
    asked: Asked,
    turn: Turn,
}

impl Refresh {
    pub(crate) fn new(registration: Arc<Registration>, tokens: &Tokens) -> Result<Self, Error> {
        registration.owns(tokens)?;
        Ok(Self {
            registration,
            token: tokens.refresh_token.clone().ok_or(Usage::NoRefreshToken)?,
            grant_scope: tokens.grant_scope.clone().or(tokens.scope.clone()),
            asked: Asked { resources: tokens.resources.clone(), ..Asked::default() },
            turn: Turn::default(),
        })
    }

    /// Asks for less than was granted, for this access token only; the grant keeps its scope. Left out, everything
    /// granted is asked for. More than was granted is refused when the request is made (RFC 6749 section 6).
    pub fn scope<I: IntoIterator<Item: AsRef<str>>>(mut self, tokens: I) -> Self {
        self.asked.scope(tokens);
        if self.grant_scope.as_ref().is_some_and(|grant| !self.asked.scope.iter().all(|token| grant.contains(token))) {
            self.asked.mistake = Some(Usage::ScopeNotGranted);
        }
        self
    }

    /// Adds a parameter of the provider's. An empty value leaves it out. Names that the library sets itself are refused
    /// when the request is made.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.asked.parameters.add(name.into(), value.into());
        self
    }

    fn form(&self) -> Result<Form, Usage> {
        let mut form = Form::with_capacity(512);
        form.pair("grant_type", "refresh_token");
        form.pair("refresh_token", self.token.expose());
        self.asked.write(&mut form)?;
        Ok(form)
    }
}

impl Exchange for Refresh {
    type Output = Tokens;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let request = endpoint::token_request(&self.registration, self.form()?);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Tokens>, Error> {
        let asked = self.turn.answered()?;
        let granted = Granted {
            scope: self.asked.take_scope().or_else(|| self.grant_scope.clone()),
            grant_scope: self.grant_scope.take(),
            resources: std::mem::take(&mut self.asked.resources),
            refresh_token: Some(self.token.clone()),
        };
        let sent = [self.token.expose()];
        endpoint::tokens(&self.registration, response, asked, granted, &sent).map(Step::Done)
    }
}
