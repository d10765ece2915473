//! Using tokens: requests to a protected resource (RFC 6750 section 2.1).
//!
//! ```text
//! GET /resource HTTP/1.1                       HTTP/1.1 401 Unauthorized
//! Host: server.example.com                     WWW-Authenticate: Bearer realm="example",
//! Authorization: Bearer mF_9.B5f-4.1JqM                          error="invalid_token"
//! ```
//!
//! The token goes into the header and nowhere else, over `https` (or to loopback) and nowhere else. Whatever the resource
//! answers is the output, redirects included: to follow one is to give the token to whom it names.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::{Error, Usage, Violation};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::form;
use crate::registration::Registration;
use crate::time::UnixTime;
use crate::token::Tokens;
use crate::uri;

/// A request that carries an access token; made by [`Client::call`](crate::Client::call). Its output is the answer.
#[must_use = "an exchange does nothing until it is run"]
pub struct ResourceCall {
    /// The request, or why there is none.
    request: Option<Result<Request<Body>, Error>>,
    turn: Turn,
}

impl ResourceCall {
    pub(crate) fn new<B: Into<Body>>(registration: &Arc<Registration>, tokens: &Tokens, request: Request<B>) -> Self {
        let mut request = request.map(Into::into);
        let checked = registration.owns(tokens).map_err(Error::from).and_then(|()| tokens.authorize(&mut request));
        Self { request: Some(checked.map(|()| request)), turn: Turn::default() }
    }
}

/// Says where it goes; the rest of the request is the application's, and may hold anything.
impl fmt::Debug for ResourceCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.request.as_ref().and_then(|request| request.as_ref().ok());
        f.debug_struct("ResourceCall")
            .field("method", &request.map(Request::method))
            .field("host", &request.and_then(|request| request.uri().host()))
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl Exchange for ResourceCall {
    type Output = Response<Vec<u8>>;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let request = self.request.take().ok_or(Usage::OutOfTurn)??;
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        self.turn.answered()?;
        if response.body().len() > MAX_BODY {
            return Err(Violation::TooLong.into());
        }
        Ok(Step::Done(response))
    }
}

impl Tokens {
    /// Puts the access token on a request that is sent by other means than [`Client::call`](crate::Client::call): one
    /// with a streaming body, say (RFC 6750 section 2.1). The header is marked sensitive.
    ///
    /// [`Usage::Resource`](crate::Usage) if the request would leave this machine unencrypted or has no room for another
    /// header, [`Usage::SecondCredential`](crate::Usage) if it has a credential already; the request is then as it was.
    pub fn authorize<B>(&self, request: &mut Request<B>) -> Result<(), Error> {
        let value = authorize(self, request.uri(), request.headers())?;
        match request.headers_mut().try_insert(AUTHORIZATION, value) {
            Ok(_) => Ok(()),
            Err(_) => Err(Usage::Resource("is asked for with too many headers").into()),
        }
    }

    /// The value of the `Authorization` header, marked sensitive. Sent over `https` only, and never across a redirect.
    pub fn authorization_header(&self) -> HeaderValue {
        header(self)
    }
}

/// The header for a request to this place, if a token may go there.
fn authorize(tokens: &Tokens, target: &Uri, headers: &HeaderMap) -> Result<HeaderValue, Error> {
    // RFC 6750 section 5.3: "Always use TLS (https)".
    if !uri::is_plain(target) {
        uri::secure(&target.to_string()).map_err(Usage::Resource)?;
    }
    // RFC 6750 section 2: "Clients MUST NOT use more than one method to transmit the token in each request."
    let is_token = |query| form::pairs(query).any(|(name, _)| name.is_some_and(|name| *name == *"access_token"));
    if headers.contains_key(AUTHORIZATION) || headers.contains_key(DPOP) || target.query().is_some_and(is_token) {
        return Err(Usage::SecondCredential.into());
    }
    Ok(header(tokens))
}

/// The scheme is our own word for the type, never the server's. Made once: calls are many, and tokens long.
fn header(tokens: &Tokens) -> HeaderValue {
    let make = || {
        let text =
            Zeroizing::new([tokens.token_type.as_str(), " ", tokens.access_token.expose()].concat().into_bytes());
        // A token of other characters was refused when it arrived, and again when it was read from a store.
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    };
    tokens.header.get_or_init(make).clone()
}

const DPOP: HeaderName = HeaderName::from_static("dpop");
