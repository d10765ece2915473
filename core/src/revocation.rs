//! Ending: tokens are given back (RFC 7009).
//!
//! ```text
//! POST /revoke
//! token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token&client_id=s6BhdRkqt3
//! ```
//!
//! First the refresh token, then the access token, because servers end the one with the other or do not (section 2.1).
//! A 200 is success, whatever its body, also for a token that was none (section 2.2). Then drop the tokens.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use rand_core::CryptoRng;

use crate::endpoint;
use crate::error::{Error, Usage};
use crate::exchange::{Body, Exchange, Step, Turn};
use crate::form::Form;
use crate::refusal::{ErrorCode, is_transient};
use crate::registration::Registration;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::token::Tokens;

/// The return of tokens; made by [`Client::revoke`](crate::Client::revoke).
///
/// A server that ends only refresh tokens answers `unsupported_token_type` for the access token: once the refresh token
/// is gone that is the end of it, and an error only where there was none.
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Revocation {
    registration: Arc<Registration>,
    refresh_token: Option<Secret>,
    access_token: Secret,
    /// Whether the refresh token is gone already.
    refresh_token_ended: bool,
    turn: Turn,
}

impl Revocation {
    pub(crate) fn new(registration: Arc<Registration>, tokens: &Tokens) -> Result<Self, Error> {
        registration.owns(tokens)?;
        Ok(Self {
            registration,
            refresh_token: tokens.refresh_token.clone(),
            access_token: tokens.access_token.clone(),
            refresh_token_ended: false,
            turn: Turn::default(),
        })
    }
}

impl Exchange for Revocation {
    type Output = ();

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let Some(target) = self.registration.revocation_target.clone() else {
            return Err(Usage::NoEndpoint("revocation_endpoint").into());
        };
        let (token, hint) = match &self.refresh_token {
            Some(token) if !self.refresh_token_ended => (token, "refresh_token"),
            _ => (&self.access_token, "access_token"),
        };
        let mut form = Form::with_capacity(512);
        form.pair("token", token.expose());
        form.pair("token_type_hint", hint);
        let request = endpoint::post(&self.registration, target, form);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<()>, Error> {
        let asked = self.turn.answered()?;
        let sent = [self.access_token.expose(), self.refresh_token.as_ref().map_or("", Secret::expose)];
        match endpoint::answer(&self.registration, StatusCode::OK, response, asked, &sent, |_, _| Ok(())) {
            Ok(()) if self.refresh_token.is_some() && !self.refresh_token_ended => {
                self.refresh_token_ended = true;
                self.turn.again();
                Ok(Step::Again { after: Duration::ZERO })
            }
            Err(Error::Server(error))
                if self.refresh_token_ended
                    && error.code == ErrorCode::UNSUPPORTED_TOKEN_TYPE
                    && !error.status.is_some_and(is_transient) =>
            {
                Ok(Step::Done(()))
            }
            other => other.map(Step::Done),
        }
    }
}
