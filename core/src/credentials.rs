//! Client credentials: tokens for the client itself, with nobody logging in (RFC 6749 section 4.4).
//!
//! ```text
//! POST /token
//! Authorization: Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3
//!
//! grant_type=client_credentials&scope=photos
//! ```
//!
//! Section 4.4: "The client credentials grant type MUST only be used by confidential clients." A public one is refused.

use std::sync::Arc;

use http::{Request, Response};
use rand_core::CryptoRng;

use crate::asked::Asked;
use crate::endpoint::{self, Granted};
use crate::error::{Error, Usage};
use crate::exchange::{Body, Exchange, Step, Turn};
use crate::form::Form;
use crate::registration::Registration;
use crate::time::UnixTime;
use crate::token::Tokens;

/// The exchange of the client's own credentials for tokens; made by
/// [`Client::credentials`](crate::Client::credentials).
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Credentials {
    registration: Arc<Registration>,
    asked: Asked,
    turn: Turn,
}

impl Credentials {
    pub(crate) fn new(registration: Arc<Registration>) -> Self {
        Self { registration, asked: Asked::default(), turn: Turn::default() }
    }

    /// Asks for these scope tokens, in addition to those asked for before.
    pub fn scope<I: IntoIterator<Item: AsRef<str>>>(mut self, tokens: I) -> Self {
        self.asked.scope(tokens);
        self
    }

    /// Asks for tokens for this resource; may be given several times (RFC 8707 section 2).
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.asked.resource(resource.into());
        self
    }

    /// Adds a parameter of the provider's (`audience`, say). An empty value leaves it out. Names that the library sets
    /// itself are refused when the request is made.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.asked.parameters.add(name.into(), value.into());
        self
    }

    fn form(&self) -> Result<Form, Usage> {
        if self.registration.authentication.secret().is_none() {
            return Err(Usage::PublicClient);
        }
        let mut form = Form::with_capacity(256);
        form.pair("grant_type", "client_credentials");
        self.asked.write(&mut form)?;
        Ok(form)
    }
}

impl Exchange for Credentials {
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
            scope: self.asked.take_scope(),
            resources: std::mem::take(&mut self.asked.resources),
            ..Granted::default()
        };
        endpoint::tokens(&self.registration, response, asked, granted, &[]).map(Step::Done)
    }
}
