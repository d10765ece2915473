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

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    /// How challenges may be made (RFC 7636). A list without `S256` is refused; where there is none, S256 is sent all the
    /// same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// The server says who it is in each authorization response, so that one without `iss` is refused
    /// (RFC 9207 section 3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authorization_response_iss_parameter_supported: bool,
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
            code_challenge_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
            other: Map::new(),
        }
    }
}
