//! Knowing the resource: what a protected resource says of itself, and then its server (RFC 9728).
//!
//! ```text
//! GET /mcp                                     401  WWW-Authenticate: Bearer resource_metadata="https://rs.example.com/
//!                                                                      .well-known/oauth-protected-resource/mcp"
//! GET /.well-known/oauth-protected-resource/mcp
//!                                              {"resource":"https://rs.example.com/mcp",
//!                                               "authorization_servers":["https://as.example.com"]}
//! .. then the server's own metadata, by its name
//! ```
//!
//! This is the way an MCP client goes, as one exchange. The document must be about the very resource that was asked for,
//! as text. A stranger's document names the servers: a private network's address in it is refused, because a request there
//! would be made with this machine's reach (RFC 9728 section 7.7).

use std::fmt;
use std::time::Duration;

use http::{Request, Response, Uri};
use rand_core::CryptoRng;

use crate::challenge::BearerChallenge;
use crate::discovery::{Discovery, document, get};
use crate::error::{Error, Miss, Usage, Violation};
use crate::exchange::{Body, Exchange, Step, Turn};
use crate::json::{self, Extra};
use crate::quirks::Quirks;
use crate::server::{Server, vet_issuer};
use crate::time::UnixTime;
use crate::uri;

/// The search for a resource's metadata and for that of its authorization server.
#[must_use = "an exchange does nothing until it is run"]
pub struct ResourceDiscovery {
    resource: String,
    /// Where the resource said that its metadata is.
    metadata: Option<String>,
    quirks: Quirks,
    allow_private: bool,
    found: Option<Found>,
    turn: Turn,
}

/// The resource's own metadata, while its server's is being looked for.
#[derive(Debug)]
struct Found {
    scopes_supported: Vec<String>,
    extra: Extra,
    discovery: Discovery,
}

/// A protected resource, and the authorization server that gives tokens for it.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProtectedResource {
    /// Its name, to be asked for by [`Authorization::resource`](crate::Authorization::resource).
    pub resource: String,
    /// The first of its authorization servers.
    pub server: Server,
    /// The scope tokens it knows. To ask for all of them is seldom right; what a challenge asks for is.
    pub scopes_supported: Vec<String>,
    /// Every other member of its metadata.
    pub extra: Extra,
}

impl ResourceDiscovery {
    /// Looks in the well-known place of this resource (RFC 9728 section 3.1): an `https` URI (or `http` on loopback).
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into(),
            metadata: None,
            quirks: Quirks::none(),
            allow_private: false,
            found: None,
            turn: Turn::default(),
        }
    }

    /// Looks where the resource's challenge says (RFC 9728 section 5.1), or in its well-known place if it does not.
    /// `requested` is the URL that the challenge answered.
    pub fn from_challenge(requested: impl Into<String>, challenge: &BearerChallenge) -> Self {
        Self { metadata: challenge.resource_metadata.clone(), ..Self::new(requested) }
    }

    /// Forgives what the authorization server's metadata does against the RFCs.
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Lets the resource name servers at addresses of private networks. Whoever writes its metadata can then have requests
    /// sent to whatever this machine reaches.
    pub fn danger_allow_private_hosts(mut self) -> Self {
        self.allow_private = true;
        self
    }

    fn place(&self) -> Result<Uri, Error> {
        let resource = uri::secure(&self.resource).map_err(Usage::Resource)?;
        let Some(metadata) = &self.metadata else {
            let path = resource.path().strip_suffix('/').unwrap_or(resource.path());
            let query = resource.query().map(|query| format!("?{query}")).unwrap_or_default();
            let origin = resource.origin().ascii_serialization();
            let place = format!("{origin}/.well-known/oauth-protected-resource{path}{query}");
            return place.parse().map_err(|_| Usage::Resource("has characters that no request can have").into());
        };
        let refuse = |why| Error::from(Violation::Metadata("resource_metadata", why));
        let url = uri::secure(metadata).map_err(refuse)?;
        if !self.may_go(&url) {
            return Err(refuse("names a host of a private network"));
        }
        uri::target(&url).map_err(refuse)
    }

    /// A resource on this machine may send us anywhere on it; others may not.
    fn may_go(&self, url: &url::Url) -> bool {
        let is_local = uri::secure(&self.resource).is_ok_and(|resource| uri::is_loopback(&resource));
        self.allow_private || uri::is_public(url) || (is_local && uri::is_loopback(url))
    }

    fn read(&self, body: &[u8]) -> Result<Found, Error> {
        let ([resource, servers, scopes], extra) =
            json::members(body, ["resource", "authorization_servers", "scopes_supported"])?;
        // RFC 9728 section 3.3: "If these values are not identical, the data contained in the response MUST NOT be used."
        if resource.text()?.ok_or(resource.missing())? != self.resource {
            return Err(Violation::Resource.into());
        }
        let issuer = servers.list()?.and_then(|servers| servers.into_iter().next()).ok_or(servers.missing())?;
        let refuse = |why| Violation::Metadata("authorization_servers", why);
        let blame = |usage| match usage {
            Usage::Endpoint(_, why) => refuse(why),
            _ => servers.invalid(),
        };
        let url = vet_issuer(&issuer, false).map_err(blame)?;
        if !self.may_go(&url) {
            return Err(refuse("names a host of a private network").into());
        }
        let discovery = Discovery::new(issuer).quirks(self.quirks).allow_local(self.allow_private);
        Ok(Found {
            scopes_supported: scopes.list()?.unwrap_or_default(),
            extra,
            discovery: discovery.begin().map_err(blame)?,
        })
    }
}

impl Exchange for ResourceDiscovery {
    type Output = ProtectedResource;

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        if let Some(found) = &mut self.found {
            return found.discovery.next_request(now, rng);
        }
        self.turn.ask()?;
        let request = get(self.place()?);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<ProtectedResource>, Error> {
        let Some(found) = &mut self.found else {
            let asked = self.turn.answered()?;
            let (head, body) = response.into_parts();
            if !document(&head, &body, asked)? {
                // The query is the caller's, and may hold a key.
                let url = self.place()?.to_string().split('?').next().unwrap_or_default().to_owned();
                return Err(Violation::NoMetadata(vec![Miss { url, status: head.status }]).into());
            }
            self.found = Some(self.read(&body)?);
            return Ok(Step::Again { after: Duration::ZERO });
        };
        let server = match found.discovery.handle_response(response)? {
            Step::Again { after } => return Ok(Step::Again { after }),
            Step::Done(server) => server,
        };
        let scopes_supported = std::mem::take(&mut found.scopes_supported);
        let extra = std::mem::replace(&mut found.extra, Extra::none());
        // Whoever named the server may have written its metadata, too.
        for (name, endpoint) in server.endpoints() {
            if !uri::web(endpoint).is_ok_and(|url| self.may_go(&url)) {
                return Err(Violation::Metadata(name, "names a host of a private network").into());
            }
        }
        Ok(Step::Done(ProtectedResource { resource: self.resource.clone(), server, scopes_supported, extra }))
    }
}

/// Shows no query: many a resource's URL has a key in it.
impl fmt::Debug for ResourceDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceDiscovery")
            .field("resource", &uri::shown(&self.resource))
            .field("metadata", &self.metadata.as_deref().map(uri::shown))
            .field("quirks", &self.quirks)
            .field("allow_private", &self.allow_private)
            .field("found", &self.found)
            .field("turn", &self.turn)
            .finish()
    }
}

/// Shows no query either.
impl fmt::Debug for ProtectedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResource")
            .field("resource", &uri::shown(&self.resource))
            .field("server", &self.server)
            .field("scopes_supported", &self.scopes_supported)
            .field("extra", &self.extra)
            .finish()
    }
}
