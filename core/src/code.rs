//! Redeeming: the code and its verifier become tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
//!
//! ```text
//! POST /token
//! grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb
//! &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&client_id=s6BhdRkqt3
//! ```
//!
//! A grant goes only to the server and as the client that its login was begun with, and only while the login is young.
//! It is sent once: whether a lost request was acted upon cannot be known, and a code used twice may revoke the tokens
//! (RFC 6749 section 4.1.2).

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use rand_core::CryptoRng;

use crate::endpoint::{self, Granted};
use crate::error::{CallbackError, Error, Usage};
use crate::exchange::{Body, Exchange, Step, Turn};
use crate::form::Form;
use crate::parameter::Parameters;
use crate::pending::Pending;
use crate::registration::Registration;
use crate::secret::{REDACTED, Secret};
use crate::time::UnixTime;
use crate::token::Tokens;

/// A code that has passed every check of [`Pending::accept`], the only place that makes one.
#[derive(Debug)]
#[must_use = "a code is worth nothing until it is exchanged"]
pub struct CodeGrant {
    pub(crate) brought: Brought,
    pub(crate) login: Pending,
}

/// What a callback brought: the state, then the issuer, then the code, in one text that is wiped; empty is what did not come.
pub(crate) struct Brought {
    texts: Secret,
    state_end: usize,
    issuer_end: usize,
}

impl Brought {
    pub(crate) fn new([state, issuer, code]: [&str; 3]) -> Self {
        let state_end = state.len();
        let issuer_end = state_end.saturating_add(issuer.len());
        Self { texts: Secret::from([state, issuer, code].concat()), state_end, issuer_end }
    }

    pub(crate) fn state(&self) -> &str {
        self.texts.expose().get(..self.state_end).unwrap_or_default()
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.texts.expose().get(self.state_end..self.issuer_end).filter(|text| !text.is_empty())
    }

    fn code(&self) -> &str {
        self.texts.expose().get(self.issuer_end..).unwrap_or_default()
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The exchange of a code for tokens; made by [`Client::exchange`](crate::Client::exchange).
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct CodeExchange {
    registration: Arc<Registration>,
    grant: CodeGrant,
    parameters: Parameters,
    turn: Turn,
}

impl CodeExchange {
    pub(crate) fn new(registration: Arc<Registration>, grant: CodeGrant) -> Self {
        Self { registration, grant, parameters: Parameters::default(), turn: Turn::default() }
    }

    /// Adds a parameter of the provider's to the token request. An empty value leaves it out. Names that the library
    /// sets itself are refused when the request is made.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.add(name.into(), value.into());
        self
    }

    /// A grant begun elsewhere is the caller's mistake; one begun too long ago is the browser's, or an attacker's.
    fn check(&self, now: UnixTime) -> Result<(), Error> {
        let (login, own) = (&self.grant.login, &self.registration);
        own.began(&login.token_endpoint, login.issuer.as_ref(), &login.client_id)?;
        // A clock that was set back must not make a login last for ever.
        let age = now.saturating_since(login.started_at).max(login.started_at.saturating_since(now));
        if age > own.settings.login_limit {
            return Err(CallbackError::Expired.into());
        }
        Ok(())
    }

    fn form(&self) -> Result<Form, Usage> {
        let CodeGrant { brought, login } = &self.grant;
        let mut form = Form::after("grant_type=authorization_code", 768);
        form.pair("code", brought.code());
        // RFC 6749 section 4.1.3: "their values MUST be identical".
        form.pair("redirect_uri", &login.redirect_uri);
        form.plain(["code_verifier=", login.verifier.expose()]);
        for resource in login.resources.iter() {
            form.pair("resource", resource);
        }
        self.parameters.write(&mut form)?;
        Ok(form)
    }
}

impl Exchange for CodeExchange {
    type Output = Tokens;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        self.check(now)?;
        let request = endpoint::token_request(&self.registration, self.form()?);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Tokens>, Error> {
        let asked = self.turn.answered()?;
        let CodeGrant { brought, login } = &mut self.grant;
        let granted = Granted {
            scope: (!login.scope.is_empty()).then(|| std::mem::take(&mut login.scope)),
            resources: std::mem::take(&mut login.resources),
            ..Granted::default()
        };
        let sent = [brought.code(), login.verifier.expose()];
        endpoint::tokens(&self.registration, response, asked, granted, &sent).map(Step::Done)
    }
}
