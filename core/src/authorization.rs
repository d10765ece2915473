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

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use url::Url;
use zeroize::Zeroize;

use crate::error::{Error, Usage};
use crate::form::Form;
use crate::parameter::Parameters;
use crate::pending::Pending;
use crate::pkce::Verifier;
use crate::registration::{Registration, vet_redirect_uri};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::uri;

/// A login being prepared; made by [`Client::authorize`](crate::Client::authorize).
///
/// Mistakes show when it leaves, in [`redirect`](Self::redirect).
#[derive(Debug)]
#[must_use = "a login leaves by `redirect`"]
pub struct Authorization {
    registration: Arc<Registration>,
    redirect_uri: Option<Arc<str>>,
    scope: Scope,
    resources: Vec<String>,
    parameters: Parameters,
    form_post: bool,
    mistake: Option<Usage>,
}

impl Authorization {
    pub(crate) fn new(registration: Arc<Registration>) -> Self {
        Self {
            redirect_uri: registration.redirect_uri.clone(),
            registration,
            scope: Scope::default(),
            resources: Vec::new(),
            parameters: Parameters::default(),
            form_post: false,
            mistake: None,
        }
    }

    /// Asks for these scope tokens, in addition to those asked for before (RFC 6749 section 3.3). None at all leaves
    /// `scope` out of the request.
    pub fn scope<I: IntoIterator<Item: AsRef<str>>>(mut self, tokens: I) -> Self {
        for token in tokens {
            if !self.scope.add(token.as_ref()) {
                self.mistake = Some(Usage::Scope);
            }
        }
        self
    }

    /// Returns to another redirect URI than the client's, for this login: a loopback port, say
    /// (RFC 8252 section 7.3). Sent exactly as given.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        let text = redirect_uri.into();
        if let Err(mistake) = vet_redirect_uri(&text) {
            self.mistake = Some(mistake);
        }
        self.redirect_uri = Some(text.into());
        self
    }

    /// Asks for tokens for this resource; may be given several times (RFC 8707 section 2). An absolute URI without
    /// fragment.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        let text = resource.into();
        if let Err(why) = uri::absolute(&text) {
            self.mistake = Some(Usage::Resource(why));
        }
        self.resources.push(text);
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
        self.parameters.add(name.into(), value.into());
        self
    }

    /// The URL to send the browser to, and what to keep for its return.
    ///
    /// Draws 64 octets from `rng` at once: the verifier's, then the state's. [`Error::Usage`] if anything that was asked
    /// for is impossible; no entropy is drawn then.
    pub fn redirect(self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<(Url, Pending), Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake.into());
        }
        let Some(endpoint) = self.registration.server.authorization_endpoint.as_deref() else {
            return Err(Usage::NoEndpoint("authorization_endpoint").into());
        };
        let Some(redirect_uri) = self.redirect_uri else {
            return Err(Usage::NoRedirectUri.into());
        };
        let mut form = Form::after(endpoint, 768);
        form.begin_query();
        form.pair("response_type", "code");
        form.pair("client_id", &self.registration.client_id);
        form.pair("redirect_uri", &redirect_uri);
        if !self.scope.is_empty() {
            form.pair("scope", self.scope.as_str());
        }
        for resource in &self.resources {
            form.pair("resource", resource);
        }
        if self.form_post {
            form.pair("response_mode", "form_post");
        }
        self.parameters.write(&mut form)?;

        let (verifier, state) = draw(rng);
        form.pair("state", state.expose());
        form.pair("code_challenge", &verifier.challenge());
        // RFC 7636 section 4.3: "code_challenge_method OPTIONAL, defaults to "plain" if not present in the request."
        form.pair("code_challenge_method", "S256");
        let Ok(url) = Url::parse(&form.into_text()) else {
            return Err(Usage::Endpoint("authorization_endpoint", "is too long with its parameters").into());
        };
        let pending = Pending {
            state,
            verifier,
            redirect_uri,
            issuer: self.registration.issuer.clone(),
            iss_required: self.registration.server.authorization_response_iss_parameter_supported,
            client_id: self.registration.client_id.clone(),
            token_endpoint: self.registration.token_endpoint.clone(),
            scope: self.scope,
            resources: self.resources,
            started_at: now,
        };
        Ok((url, pending))
    }
}

/// A fresh verifier and a fresh state, from one draw.
fn draw(rng: &mut dyn CryptoRng) -> (Verifier, Secret) {
    let mut octets = [0; 64];
    rng.fill_bytes(&mut octets);
    let (first, second) = octets.split_at(32);
    let verifier = Verifier::from_octets(first);
    let state = Secret::from(URL_SAFE_NO_PAD.encode(second));
    octets.zeroize();
    (verifier, state)
}
