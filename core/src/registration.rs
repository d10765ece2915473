//! What client and server have agreed on (RFC 6749 section 2): vetted once, then shared by every operation.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};

use crate::authentication::Authentication;
use crate::error::{Error, Usage};
use crate::parameter::{is_printable, is_response};
use crate::prefix::Prefix;
use crate::quirks::Quirks;
use crate::scope::Scope;
use crate::server::Server;
use crate::token::Tokens;
use crate::uri;

/// A server and a client at it, with everything prepared that is the same in each request.
///
/// The texts that travel into logins and tokens are shared, not copied.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) server: Server,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) redirect_uri: Option<Arc<str>>,
    pub(crate) authentication: Authentication,
    /// Those of every request to an endpoint, the client's credentials among them if it authenticates by a header.
    pub(crate) headers: HeaderMap,
    pub(crate) token_endpoint: Arc<str>,
    pub(crate) token_target: Uri,
    pub(crate) revocation_target: Option<Uri>,
    pub(crate) introspection_target: Option<Uri>,
    pub(crate) device_target: Option<Uri>,
    pub(crate) push_target: Option<Uri>,
    pub(crate) settings: Settings,
    prepared: OnceLock<Prepared>,
}

/// What the first login asked for, and its URL without what is fresh in each.
struct Prepared {
    redirect_uri: Arc<str>,
    scope: Scope,
    prefix: Arc<Prefix>,
}

/// What one person asked for is not shown to others.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// What the application has chosen beyond who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) login_limit: Duration,
    pub(crate) quirks: Quirks,
    pub(crate) require_advertised_s256: bool,
    pub(crate) allow_http: bool,
}

impl Registration {
    pub(crate) fn new(
        server: Server,
        client_id: String,
        redirect_uri: Option<String>,
        authentication: Authentication,
        settings: Settings,
    ) -> Result<Self, Error> {
        server.vet(settings.allow_http)?;
        if settings.require_advertised_s256 && server.code_challenge_methods_supported.is_none() {
            return Err(
                Usage::Endpoint("code_challenge_methods_supported", "is missing, so S256 is not advertised").into()
            );
        }
        let target = |name, endpoint: &str| {
            let url = uri::web(endpoint).and_then(|url| uri::target(&url));
            url.map_err(|why| Usage::Endpoint(name, why))
        };
        let optional = |name, endpoint: &Option<String>| endpoint.as_deref().map(|text| target(name, text)).transpose();
        let token_target = target("token_endpoint", &server.token_endpoint)?;
        let revocation_target = optional("revocation_endpoint", &server.revocation_endpoint)?;
        let introspection_target = optional("introspection_endpoint", &server.introspection_endpoint)?;
        let device_target = optional("device_authorization_endpoint", &server.device_authorization_endpoint)?;
        let push_target =
            optional("pushed_authorization_request_endpoint", &server.pushed_authorization_request_endpoint)?;
        if let Some(listed) = &server.token_endpoint_auth_methods_supported
            && !settings.quirks.authentication_unlisted
            && !listed.iter().any(|method| method == authentication.name())
        {
            return Err(Usage::Authentication { own: authentication.name(), listed: listed.join(" ") }.into());
        }
        if client_id.is_empty() || !is_printable(&client_id) {
            return Err(Usage::ClientId.into());
        }
        if let Some(text) = &redirect_uri {
            vet_redirect_uri(text)?;
        }
        authentication.vet()?;
        Ok(Self {
            // A template names no issuer that a response could be compared with.
            issuer: server.issuer.as_deref().filter(|_| !settings.quirks.issuer_template).map(Arc::from),
            token_endpoint: Arc::from(server.token_endpoint.as_str()),
            headers: headers(authentication.header(&client_id, settings.quirks.basic_not_encoded)?),
            client_id: Arc::from(client_id),
            redirect_uri: redirect_uri.map(Arc::from),
            server,
            authentication,
            token_target,
            revocation_target,
            introspection_target,
            device_target,
            push_target,
            settings,
            prepared: OnceLock::new(),
        })
    }

    /// The URL of a login for this scope, without what is fresh in each: that of the first login, where it asked for the
    /// same, as is the rule. To write and parse it anew costs as much again as the rest of the login's beginning.
    pub(crate) fn prefix(
        &self,
        redirect_uri: &Arc<str>,
        scope: &Scope,
        write: impl FnOnce() -> Result<Arc<Prefix>, Usage>,
    ) -> Result<Arc<Prefix>, Usage> {
        if let Some(first) = self.prepared.get() {
            let is_same = first.redirect_uri == *redirect_uri && first.scope == *scope;
            return if is_same { Ok(first.prefix.clone()) } else { write() };
        }
        let prefix = write()?;
        let first = Prepared { redirect_uri: redirect_uri.clone(), scope: scope.clone(), prefix: prefix.clone() };
        // If another was first meanwhile, that one it is.
        let _ = self.prepared.set(first);
        Ok(prefix)
    }

    /// A login goes on only where it was begun, and as the client that began it.
    pub(crate) fn began(&self, token_endpoint: &str, issuer: Option<&Arc<str>>, client_id: &str) -> Result<(), Usage> {
        if *token_endpoint != *self.token_endpoint || issuer != self.issuer.as_ref() {
            return Err(Usage::OtherServer);
        }
        if *client_id == *self.client_id { Ok(()) } else { Err(Usage::OtherClient) }
    }

    /// Tokens go only where they came from: to their issuer, or to their token endpoint where the server has no name, and
    /// as the client they were given to. What another library saved may not say.
    pub(crate) fn owns(&self, tokens: &Tokens) -> Result<(), Usage> {
        let same_server = match (&tokens.issuer, &self.issuer) {
            (Some(theirs), Some(own)) => theirs == own,
            // They know their issuer, and this server has no name that could be it.
            (Some(_), None) => tokens.token_endpoint.as_ref() == Some(&self.token_endpoint),
            _ => tokens.token_endpoint.as_ref().is_none_or(|endpoint| *endpoint == self.token_endpoint),
        };
        if !same_server {
            return Err(Usage::OtherServer);
        }
        if tokens.client_id.as_ref().is_some_and(|id| *id != self.client_id) {
            return Err(Usage::OtherClient);
        }
        Ok(())
    }
}

fn headers(credentials: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.extend(credentials.map(|credentials| (AUTHORIZATION, credentials)));
    headers
}

/// A redirect URI that keeps a code from strangers: `https`, `http` on loopback (RFC 8252 section 7.3), or a scheme that
/// belongs to the application because it is a domain name of its own, reversed (section 7.1).
pub(crate) fn vet_redirect_uri(text: &str) -> Result<(), Usage> {
    let url = uri::absolute(text).map_err(Usage::RedirectUri)?;
    if url.query_pairs().any(|(name, _)| is_response(&name)) {
        return Err(Usage::RedirectUri("must not have a query with parameters that a response sets"));
    }
    match url.scheme() {
        "https" | "http" => uri::secure(text).map(drop).map_err(Usage::RedirectUri),
        scheme if scheme.contains('.') && !scheme.split('.').any(str::is_empty) && text.contains(":/") => Ok(()),
        _ => Err(Usage::RedirectUri(
            "must be https, http on a loopback host, or of a reverse-domain scheme (com.example.app:/)",
        )),
    }
}
