//! The authorization server: where its endpoints are, and what it promises (RFC 8414 section 2).
//!
//! ```text
//! {"issuer":"https://server.example.com",
//!  "authorization_endpoint":"https://server.example.com/authorize",
//!  "token_endpoint":"https://server.example.com/token", ..}
//! ```
//!
//! A [`Server`] is plain data, wherever it came from: written by hand, discovered, or read from a cache.
//! [`ClientBuilder::build`](crate::ClientBuilder::build) is where it is vetted, so all three get the same checks.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::error::Usage;
use crate::parameter::is_owned;
use crate::uri;

/// An authorization server's metadata, by its RFC 8414 names.
///
/// ```
/// use proofkey_core::Server;
///
/// let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
/// let json = serde_json::to_string(&server)?;
/// assert_eq!(server, serde_json::from_str(&json)?);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// Who it is: an `https` URI without query or fragment, compared as text and never normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Where the browser goes. A server for machines only may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Where tokens are given back (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Where a token's state is asked for (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where a login without a browser begins (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// Where a login's parameters may be sent ahead (RFC 9126).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Logins must be pushed (RFC 9126 section 5): [`Authorization::redirect`](crate::Authorization::redirect) is refused.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
    /// How clients may authenticate. The client's own method must be among them, where there is a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// What may be asked for at the authorization endpoint. A list without `code` is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_types_supported: Option<Vec<String>>,
    /// How challenges may be made (RFC 7636). A list without `S256` is refused; where there is none, S256 is sent all the
    /// same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// The server says who it is in each authorization response, so that one without `iss` is refused
    /// (RFC 9207 section 3).
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "std::ops::Not::not")]
    pub authorization_response_iss_parameter_supported: bool,
    /// What the document's `Cache-Control` said, when it was [discovered](crate::Discovery): how long it may be kept is for
    /// the caller to decide. Not stored.
    #[serde(skip)]
    pub cache_control: Option<String>,
    /// Every other member, kept as it came.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Server {
    /// A server by its two endpoints. They are vetted in [`build`](crate::ClientBuilder::build): absolute `https` URIs
    /// (or `http` on loopback) without userinfo and fragment; a query is kept.
    pub fn new(authorization_endpoint: impl Into<String>, token_endpoint: impl Into<String>) -> Self {
        Self {
            issuer: None,
            authorization_endpoint: Some(authorization_endpoint.into()),
            token_endpoint: token_endpoint.into(),
            revocation_endpoint: None,
            introspection_endpoint: None,
            device_authorization_endpoint: None,
            pushed_authorization_request_endpoint: None,
            require_pushed_authorization_requests: false,
            token_endpoint_auth_methods_supported: None,
            response_types_supported: None,
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
            cache_control: None,
            other: Map::new(),
        }
    }

    /// Whether it can be used: its endpoints are where they may be, and it does what a login needs.
    pub(crate) fn vet(&self, allow_http: bool) -> Result<(), Usage> {
        let vet = if allow_http { uri::web } else { uri::secure };
        if let Some(issuer) = &self.issuer {
            vet_issuer(issuer, allow_http)?;
        } else if self.authorization_response_iss_parameter_supported {
            return Err(Usage::Endpoint("issuer", "is needed where the server promises iss in its responses"));
        }
        for (name, endpoint) in self.endpoints() {
            let url = vet(endpoint).map_err(|why| Usage::Endpoint(name, why))?;
            // RFC 6749 section 3.1: "Request and response parameters MUST NOT be included more than once."
            if url.query_pairs().any(|(parameter, _)| is_owned(&parameter)) {
                return Err(Usage::Endpoint(name, "must not have a query with parameters that a request sets"));
            }
        }
        if self.require_pushed_authorization_requests && self.pushed_authorization_request_endpoint.is_none() {
            return Err(Usage::NoEndpoint("pushed_authorization_request_endpoint"));
        }
        let lacks =
            |list: &Option<Vec<String>>, value| list.as_ref().is_some_and(|list| !list.iter().any(|v| v == value));
        if lacks(&self.code_challenge_methods_supported, "S256") {
            return Err(Usage::Endpoint("code_challenge_methods_supported", "does not list S256"));
        }
        if lacks(&self.response_types_supported, "code") {
            return Err(Usage::Endpoint("response_types_supported", "does not list code"));
        }
        Ok(())
    }

    /// The places that requests go to, by their names.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let endpoints = [
            ("authorization_endpoint", self.authorization_endpoint.as_deref()),
            ("token_endpoint", Some(self.token_endpoint.as_str())),
            ("revocation_endpoint", self.revocation_endpoint.as_deref()),
            ("introspection_endpoint", self.introspection_endpoint.as_deref()),
            ("device_authorization_endpoint", self.device_authorization_endpoint.as_deref()),
            ("pushed_authorization_request_endpoint", self.pushed_authorization_request_endpoint.as_deref()),
        ];
        endpoints.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint?)))
    }
}

/// `null` counts as absent.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// RFC 8414 section 2: "a URL that uses the "https" scheme and has no query or fragment components".
pub(crate) fn vet_issuer(issuer: &str, allow_http: bool) -> Result<Url, Usage> {
    let url = if allow_http { uri::web(issuer) } else { uri::secure(issuer) };
    let url = url.map_err(|why| Usage::Endpoint("issuer", why))?;
    if url.query().is_some() {
        return Err(Usage::Endpoint("issuer", "must not have a query"));
    }
    Ok(url)
}
