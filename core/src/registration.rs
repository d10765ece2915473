//! What client and server have agreed on (RFC 6749 section 2): vetted once, then shared by every operation.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};

use crate::authentication::{Authentication, is_printable};
use crate::error::{Error, Usage};
use crate::parameter::{is_owned, is_response};
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
    /// The `Authorization` header, if the client authenticates by one.
    pub(crate) credentials: Option<HeaderValue>,
    pub(crate) token_endpoint: Arc<str>,
    pub(crate) token_target: Uri,
    pub(crate) revocation_target: Option<Uri>,
    pub(crate) introspection_target: Option<Uri>,
    pub(crate) login_limit: Duration,
}

impl Registration {
    pub(crate) fn new(
        server: Server,
        client_id: String,
        redirect_uri: Option<String>,
        authentication: Authentication,
        login_limit: Duration,
        allow_http: bool,
    ) -> Result<Self, Error> {
        let vet = if allow_http { uri::web } else { uri::secure };
        if let Some(issuer) = &server.issuer {
            let why = |why| Usage::Endpoint("issuer", why);
            if vet(issuer).map_err(why)?.query().is_some() {
                return Err(why("must not have a query").into());
            }
        }
        if server.issuer.is_none() && server.authorization_response_iss_parameter_supported {
            return Err(Usage::Endpoint("issuer", "is needed where the server promises iss in its responses").into());
        }
        if server.code_challenge_methods_supported.as_ref().is_some_and(|methods| !methods.iter().any(|m| m == "S256"))
        {
            return Err(Usage::Endpoint("code_challenge_methods_supported", "does not list S256").into());
        }
        if let Some(endpoint) = &server.authorization_endpoint {
            let why = |why| Usage::Endpoint("authorization_endpoint", why);
            let url = vet(endpoint).map_err(why)?;
            // RFC 6749 section 3.1: "Request and response parameters MUST NOT be included more than once."
            if url.query_pairs().any(|(name, _)| is_owned(&name)) {
                return Err(why("must not have a query with parameters that a login sets").into());
            }
        }
        let target = |name, endpoint: &str| {
            vet(endpoint).and_then(|url| uri::target(&url)).map_err(|why| Usage::Endpoint(name, why))
        };
        let optional = |name, endpoint: &Option<String>| endpoint.as_deref().map(|text| target(name, text)).transpose();
        let token_target = target("token_endpoint", &server.token_endpoint)?;
        let revocation_target = optional("revocation_endpoint", &server.revocation_endpoint)?;
        let introspection_target = optional("introspection_endpoint", &server.introspection_endpoint)?;
        if client_id.is_empty() || !is_printable(&client_id) {
            return Err(Usage::ClientId.into());
        }
        if let Some(text) = &redirect_uri {
            vet_redirect_uri(text)?;
        }
        authentication.vet()?;
        Ok(Self {
            issuer: server.issuer.as_deref().map(Arc::from),
            token_endpoint: Arc::from(server.token_endpoint.as_str()),
            credentials: authentication.header(&client_id),
            client_id: Arc::from(client_id),
            redirect_uri: redirect_uri.map(Arc::from),
            server,
            authentication,
            token_target,
            revocation_target,
            introspection_target,
            login_limit,
        })
    }

    /// Tokens go only where they came from: to their issuer, or to their token endpoint where the server has no name, and
    /// as the client they were given to. What another library saved may not say.
    pub(crate) fn owns(&self, tokens: &Tokens) -> Result<(), Usage> {
        let same_server = match (&tokens.issuer, &self.issuer) {
            (Some(theirs), Some(own)) => theirs == own,
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

/// A redirect URI that keeps a code from strangers: `https`, `http` on loopback (RFC 8252 section 7.3), or a scheme that
/// belongs to the application because it is a domain name of its own, reversed (section 7.1).
pub(crate) fn vet_redirect_uri(text: &str) -> Result<(), Usage> {
    let url = uri::absolute(text).map_err(Usage::RedirectUri)?;
    if url.query_pairs().any(|(name, _)| is_response(&name)) {
        return Err(Usage::RedirectUri("must not have a query with parameters that a response sets"));
    }
    match url.scheme() {
        "https" | "http" => uri::secure(text).map(drop).map_err(Usage::RedirectUri),
        scheme if scheme.contains('.') && text.contains(":/") => Ok(()),
        _ => Err(Usage::RedirectUri(
            "must be https, http on a loopback host, or of a reverse-domain scheme (com.example.app:/)",
        )),
    }
}
