//! Leaving: the URL that the browser is sent to, and what to remember until it returns (RFC 6749 section 4.1.1).
//!
//! ```text
//! GET /authorize?response_type=code&client_id=s6BhdRkqt3&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb
//!     &scope=photos&state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
//! ```
//!
//! Verifier and state are fresh in each login, 256 bits each, and the challenge is always S256. Refused: parameters that
//! the library sets itself, scopes outside the grammar, a redirect URI that strangers could listen on.

use std::sync::Arc;

use rand_core::CryptoRng;
use serde::Serialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroize;

use crate::asked::Asked;
use crate::error::{Error, Usage};
use crate::form::Form;
use crate::pending::Pending;
use crate::pkce::{Verifier, base64url};
use crate::prefix::Prefix;
use crate::push::Push;
use crate::registration::{Registration, vet_redirect_uri};
use crate::secret::Secret;
use crate::time::UnixTime;

/// A login being prepared; made by [`Client::authorize`](crate::Client::authorize).
///
/// Mistakes show when it leaves, in [`redirect`](Self::redirect).
#[derive(Debug)]
#[must_use = "a login leaves by `redirect`"]
pub struct Authorization {
    registration: Arc<Registration>,
    redirect_uri: Option<Arc<str>>,
    asked: Asked,
    details: Option<String>,
    form_post: bool,
}

impl Authorization {
    pub(crate) fn new(registration: Arc<Registration>) -> Self {
        Self {
            redirect_uri: registration.redirect_uri.clone(),
            registration,
            asked: Asked::default(),
            details: None,
            form_post: false,
        }
    }

    /// Asks for these scope tokens, in addition to those asked for before (RFC 6749 section 3.3). None at all leaves
    /// `scope` out of the request.
    pub fn scope<I: IntoIterator<Item: AsRef<str>>>(mut self, tokens: I) -> Self {
        self.asked.scope(tokens);
        self
    }

    /// Returns to another redirect URI than the client's, for this login: a loopback port, say
    /// (RFC 8252 section 7.3). Sent exactly as given.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        let text = redirect_uri.into();
        if let Err(mistake) = vet_redirect_uri(&text) {
            self.asked.mistake = Some(mistake);
        }
        self.redirect_uri = Some(text.into());
        self
    }

    /// Asks for tokens for this resource; may be given several times (RFC 8707 section 2). An absolute URI without
    /// fragment.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.asked.resource(resource.into());
        self
    }

    /// Asks for what scope cannot say (RFC 9396): a list of objects, each with a `type`. What was granted is in
    /// [`Tokens::extra`](crate::Tokens::extra).
    pub fn details<D: Serialize>(mut self, details: &[D]) -> Self {
        let is_typed = |detail: &Value| detail.get("type").is_some_and(Value::is_string);
        match serde_json::to_value(details) {
            Ok(Value::Array(list)) if !list.is_empty() && list.iter().all(is_typed) => {
                self.details = Some(Value::Array(list).to_string());
            }
            _ => self.asked.mistake = Some(Usage::Details),
        }
        self
    }

    /// Asks that the browser brings the answer in the body of a POST (OAuth 2.0 Form Post Response Mode).
    pub fn form_post(mut self) -> Self {
        self.form_post = true;
        self
    }

    /// Adds a parameter of the provider's: `prompt`, `login_hint`, `access_type`. An empty value leaves it out. Names that
    /// the library sets itself are refused.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.asked.parameters.add(name.into(), value.into());
        self
    }

    /// The URL to send the browser to, and what to keep for its return.
    ///
    /// Draws 64 octets from `rng` at once: the verifier's, then the state's. [`Error::Usage`] if anything that was asked
    /// for is impossible (no entropy is drawn then), or if the server takes [pushed](Self::push) logins only.
    pub fn redirect(mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<(Url, Pending), Error> {
        if self.registration.server.require_pushed_authorization_requests {
            return Err(Usage::PushRequired.into());
        }
        let write = || {
            let mut form = self.begin_url()?;
            self.write(&mut form)?;
            Prefix::parse(&form.into_text()).map(Arc::new)
        };
        let prefix = match &self.redirect_uri {
            Some(redirect_uri) if self.details.is_none() && !self.form_post && self.asked.is_scope() => {
                self.registration.prefix(redirect_uri, &self.asked.scope, write)?
            }
            _ => write()?,
        };
        let (pending, challenge) = self.draw(now, rng)?;
        let url = prefix.with(fresh(&pending, &challenge))?;
        Ok((url, pending))
    }

    /// The same by RFC 9126: an exchange that sends the parameters to the server first, and gives a URL that only refers
    /// to them.
    pub fn push(self) -> Push {
        Push::new(self)
    }

    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The authorization endpoint, ready for parameters.
    pub(crate) fn begin_url(&self) -> Result<Form, Usage> {
        let endpoint = self.registration.server.authorization_endpoint.as_deref();
        let mut form = Form::after(endpoint.ok_or(Usage::NoEndpoint("authorization_endpoint"))?, 768);
        form.begin_query();
        Ok(form)
    }

    /// The login's parameters, but for those that are [`fresh`] in each.
    pub(crate) fn write(&self, form: &mut Form) -> Result<(), Usage> {
        let redirect_uri = self.redirect_uri.as_deref().ok_or(Usage::NoRedirectUri)?;
        form.pair("response_type", "code");
        form.pair("client_id", &self.registration.client_id);
        form.pair("redirect_uri", redirect_uri);
        self.asked.write(form)?;
        if let Some(details) = &self.details {
            form.pair("authorization_details", details);
        }
        if self.form_post {
            form.pair("response_mode", "form_post");
        }
        Ok(())
    }

    /// What to remember of the login, and its challenge.
    pub(crate) fn draw(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<(Pending, String), Usage> {
        let redirect_uri = self.redirect_uri.clone().ok_or(Usage::NoRedirectUri)?;
        let (verifier, state) = draw(rng);
        let challenge = verifier.challenge();
        let server = &self.registration.server;
        let pending = Pending {
            state,
            verifier,
            redirect_uri,
            issuer: self.registration.issuer.clone(),
            iss_required: server.authorization_response_iss_parameter_supported,
            iss_missing_on_errors: self.registration.settings.quirks.iss_missing_on_errors,
            client_id: self.registration.client_id.clone(),
            token_endpoint: self.registration.token_endpoint.clone(),
            scope: std::mem::take(&mut self.asked.scope),
            resources: std::mem::take(&mut self.asked.resources),
            leave_by: None,
            started_at: now,
        };
        Ok((pending, challenge))
    }
}

/// The parameters that each login has of its own, as they are written. No character in them needs encoding.
pub(crate) fn fresh<'a>(pending: &'a Pending, challenge: &'a str) -> [&'a str; 5] {
    // RFC 7636 section 4.3: "code_challenge_method OPTIONAL, defaults to "plain" if not present in the request."
    ["state=", pending.state(), "&code_challenge=", challenge, "&code_challenge_method=S256"]
}

/// A fresh verifier and a fresh state, from one draw.
fn draw(rng: &mut dyn CryptoRng) -> (Verifier, Secret) {
    let mut octets = [[0; 32]; 2];
    rng.fill_bytes(octets.as_flattened_mut());
    let [first, second] = &octets;
    let verifier = Verifier::from_octets(first);
    let state = Secret::from(base64url(second));
    octets.as_flattened_mut().zeroize();
    (verifier, state)
}
