//! Knowing the server: its metadata, fetched by its name (RFC 8414 section 3, OpenID Connect Discovery section 4).
//!
//! ```text
//! issuer https://as.example.com/tenant
//!
//! GET https://as.example.com/.well-known/oauth-authorization-server/tenant     404: on to the next
//! GET https://as.example.com/.well-known/openid-configuration/tenant
//! GET https://as.example.com/tenant/.well-known/openid-configuration
//! ```
//!
//! The document must name the very issuer that was asked for, as text, and what it says must be usable: a login page in
//! its place is no document, and a document that is wrong is not passed over for the next. Refused: redirects, another
//! issuer's document, members of the wrong type where they matter, endpoints that a browser or a server should not be
//! sent to. A server that is down or busy ends the search: another document might say something else.

use std::collections::VecDeque;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL};
use http::response::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use rand_core::CryptoRng;

use crate::endpoint;
use crate::error::{Error, Miss, Usage, Violation};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::json;
use crate::quirks::Quirks;
use crate::refusal::is_transient;
use crate::server::{Server, vet_issuer};
use crate::time::UnixTime;
use crate::uri;

/// The search for a server's metadata. Its output is a [`Server`] that may be stored and used again.
///
/// ```
/// use proofkey_core::Discovery;
///
/// let discovery = Discovery::new("https://as.example.com/tenant");
/// ```
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Discovery {
    issuer: String,
    quirks: Quirks,
    allow_http: bool,
    /// Whether a server elsewhere may have endpoints on this machine.
    allow_local: bool,
    /// Where to look still; `None` until the issuer has been vetted.
    candidates: Option<VecDeque<Uri>>,
    /// What the earlier places said.
    missed: Vec<Miss>,
    turn: Turn,
}

impl Discovery {
    /// Searches for the server of this name: an `https` URI without query and fragment (or `http` on loopback). The name
    /// is kept and compared as it is written here.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            quirks: Quirks::none(),
            allow_http: false,
            allow_local: false,
            candidates: None,
            missed: Vec::new(),
            turn: Turn::default(),
        }
    }

    /// Forgives what this server's metadata does against the RFCs. The [client](crate::ClientBuilder::quirks) needs the
    /// same.
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Lets issuer and endpoints be plain `http` on hosts that are not loopback: see
    /// [`ClientBuilder::danger_allow_http`](crate::ClientBuilder::danger_allow_http).
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    pub(crate) fn allow_local(mut self, allow_local: bool) -> Self {
        self.allow_local = allow_local;
        self
    }

    /// Looks for the places now, where the name is not the caller's own.
    pub(crate) fn begin(mut self) -> Result<Self, Usage> {
        self.candidates = Some(self.places()?);
        Ok(self)
    }

    /// The places in order, each once.
    fn places(&self) -> Result<VecDeque<Uri>, Usage> {
        let url = vet_issuer(&self.issuer, self.allow_http)?;
        if url.path().contains("/.well-known/") {
            return Err(Usage::Endpoint("issuer", "must be the issuer itself, not the address of its metadata"));
        }
        // RFC 8414 section 3.1: "any terminating "/" MUST be removed before inserting "/.well-known/"".
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        let origin = url.origin().ascii_serialization();
        let mut places = VecDeque::new();
        for place in [
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
            format!("{origin}/.well-known/openid-configuration{path}"),
            format!("{origin}{path}/.well-known/openid-configuration"),
        ] {
            let place =
                place.parse().map_err(|_| Usage::Endpoint("issuer", "has characters that no request can have"))?;
            if !places.contains(&place) {
                places.push_back(place);
            }
        }
        Ok(places)
    }

    /// RFC 8414 section 3.3: the issuer "MUST be identical to the authorization server's issuer identifier value into which
    /// the well-known URI string was inserted".
    fn is_issuer(&self, told: &str) -> bool {
        let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
        told == self.issuer
            || (self.quirks.issuer_with_trailing_slash && bare(told) == bare(&self.issuer))
            || (self.quirks.issuer_template && is_template(told, &self.issuer))
    }

    fn read(&self, head: &Parts, body: &[u8]) -> Result<Server, Error> {
        let object = body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(body);
        let mut server: Server = serde_json::from_slice(object).map_err(|_| mistake(body))?;
        let issuer = server.issuer.as_deref().ok_or(Violation::Missing("issuer"))?;
        if !self.is_issuer(issuer) {
            return Err(Violation::Issuer.into());
        }
        if self.quirks.issuer_template {
            server.issuer = Some(self.issuer.clone());
        }
        server.vet(self.allow_http).map_err(|usage| match usage {
            Usage::Endpoint(name, why) => Violation::Metadata(name, why),
            Usage::NoEndpoint(name) => Violation::Missing(name),
            _ => Violation::Invalid("metadata"),
        })?;
        // A stranger's server has no business on this machine.
        let is_local = |text: &str| uri::web(text).is_ok_and(|url| uri::is_this_machine(&url));
        if !self.allow_local
            && !is_local(&self.issuer)
            && let Some((name, _)) = server.endpoints().find(|(_, endpoint)| is_local(endpoint))
        {
            return Err(Violation::Metadata(name, "names this machine").into());
        }
        server.cache_control = head.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(server)
    }
}

impl Exchange for Discovery {
    type Output = Server;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        if self.candidates.is_none() {
            self.candidates = Some(self.places()?);
        }
        let place = self.candidates.as_ref().and_then(|places| places.front()).ok_or(Usage::OutOfTurn)?;
        let request = get(place.clone());
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Server>, Error> {
        let asked = self.turn.answered()?;
        let (head, body) = response.into_parts();
        if document(&head, &body, asked)? {
            return self.read(&head, &body).map(Step::Done);
        }
        let places = self.candidates.get_or_insert_default();
        if let Some(place) = places.pop_front() {
            self.missed.push(Miss { url: place.to_string(), status: head.status });
        }
        if places.is_empty() {
            return Err(Violation::NoMetadata(std::mem::take(&mut self.missed)).into());
        }
        self.turn.again();
        Ok(Step::Again { after: Duration::ZERO })
    }
}

/// A request for a document.
pub(crate) fn get(place: Uri) -> Request<Body> {
    let mut request = Request::new(Body::default());
    *request.uri_mut() = place;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// Whether an answer is a document: `false` says that there is none in this place, an error that nothing is to be learned
/// from the next either.
pub(crate) fn document(head: &Parts, body: &[u8], asked: UnixTime) -> Result<bool, Error> {
    let status = head.status;
    if status.is_redirection() {
        return Err(Violation::Redirect(status).into());
    }
    if is_transient(status) {
        return Err(endpoint::transient(head, asked).into());
    }
    if status.is_client_error() {
        return Ok(false);
    }
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong.into());
    }
    if status != StatusCode::OK {
        return Err(Violation::Status(status).into());
    }
    match json::members(body, []) {
        Ok(_) => Ok(true),
        // Some servers answer what they do not know with a page for people.
        Err(_) if !endpoint::is_json(&head.headers) => Ok(false),
        Err(violation) => Err(violation.into()),
    }
}

/// What is wrong with an object that is no metadata.
fn mistake(body: &[u8]) -> Violation {
    const TEXTS: [&str; 7] = [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
    ];
    const FLAGS: [&str; 2] =
        ["authorization_response_iss_parameter_supported", "require_pushed_authorization_requests"];
    const LISTS: [&str; 3] =
        ["token_endpoint_auth_methods_supported", "response_types_supported", "code_challenge_methods_supported"];
    let find = || -> Result<(), Violation> {
        let (texts, _) = json::members(body, TEXTS)?;
        let (flags, _) = json::members(body, FLAGS)?;
        let (lists, _) = json::members(body, LISTS)?;
        texts.iter().try_for_each(|text| text.string().map(drop))?;
        flags.iter().try_for_each(|flag| flag.flag().map(drop))?;
        lists.iter().try_for_each(|list| list.list().map(drop))?;
        let [_, _, token_endpoint, ..] = texts;
        if token_endpoint.is_absent() { Err(token_endpoint.missing()) } else { Ok(()) }
    };
    find().err().unwrap_or(Violation::Invalid("metadata"))
}

/// Whether `issuer` is `template` with one path segment in the place of its braces.
fn is_template(template: &str, issuer: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return false };
    let Some((_, after)) = rest.split_once('}') else { return false };
    let tenant = issuer.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    // Only a path may vary, never the host.
    before.matches('/').count() >= 3 && tenant.is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/'))
}
