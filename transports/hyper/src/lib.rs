//! Runs [`proofkey_core`]'s exchanges over [`hyper`], asynchronously, on tokio, with HTTP/1.1 and HTTP/2.
//!
//! ```no_run
//! # use proofkey_core::{Callback, Client, Pending, Tokens};
//! use proofkey_hyper::{Error, Transport};
//!
//! # fn show(_: &url::Url) {}
//! # async fn returned() -> String { String::new() }
//! async fn log_in(http: &Transport, client: &Client) -> Result<Tokens, Error> {
//!     let (url, pending) = http.start(client.authorize().scope(["photos"]))?;
//!     show(&url); // the person agrees there, and the browser comes back to the redirect URI
//!     let grant = pending.accept(Callback::parse(&returned().await)?)?;
//!     http.run(client.exchange(grant)).await
//! }
//! ```
//!
//! What it refuses, by itself and whatever client it is given:
//!
//! * to follow a redirect: hyper's client follows none;
//! * a body longer than [`MAX_BODY`]: reading stops one byte later. Nothing is decompressed;
//! * to wait longer than 30 seconds for a whole answer, unless told [otherwise](Transport::timeout);
//! * to send a request again once a byte of it may have left. One that was given to a pooled connection which closed
//!   before it was begun is given to another;
//! * to go on without entropy from the system.
//!
//! A 4xx or 5xx is an answer, and the exchange judges it.
//!
//! # TLS
//!
//! [`Transport::new`] verifies `https` with rustls against Mozilla's roots (the `webpki-roots` crate), which are the
//! same on every machine. Its crypto provider is a feature: `ring` (on by default) or `aws-lc-rs`; with both, it is
//! aws-lc-rs, because that one was asked for by name. The process's default provider is neither read nor set. Without
//! either feature there is no `new`: the caller's client brings its own TLS.

mod session;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use getrandom::SysRng;
use http::header::{CONTENT_LENGTH, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
pub use hyper_util;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector, capture_connection};
use proofkey_core::rand_core::SeedableRng;
use proofkey_core::{Authorization, Body, Exchange, MAX_BODY, Pending, Remedy, Step, UnixTime};
pub use session::Session;
use url::Url;

/// Sends requests over hyper's client, by way of the connector `C`. Cheap to clone; the clones share one pool of
/// connections.
#[derive(Clone)]
pub struct Transport<C = HttpsConnector<HttpConnector>> {
    client: Client<C, Full<Bytes>>,
    timeout: Duration,
}

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
impl Transport {
    /// A client of its own: rustls with Mozilla's roots, HTTP/1.1, HTTP/2 where TLS agrees on it, no proxy, and ten
    /// seconds to connect.
    ///
    /// It does not fail today; [`Error::Unsent`] is kept for the day it can.
    pub fn new() -> Result<Self, Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        let timer = hyper_util::rt::TokioTimer::new();
        let client =
            Client::builder(hyper_util::rt::TokioExecutor::new()).timer(timer.clone()).pool_timer(timer).build(https);
        Ok(Self::with_client(client))
    }
}

impl<C> Transport<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    /// The caller's client, with its own roots, proxy and resolver.
    pub fn with_client(client: Client<C, Full<Bytes>>) -> Self {
        Self { client, timeout: TIMEOUT }
    }

    /// How long a request may take, from its start to the last byte of its answer: 30 seconds unless set. An exchange
    /// of several requests has it for each.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Begins a login with the system's clock and entropy: the URL for the browser, and what to keep until it is back.
    ///
    /// [`Error::Protocol`] as [`Authorization::redirect`] says, or [`Error::Entropy`].
    pub fn start(&self, authorization: Authorization) -> Result<(Url, Pending), Error> {
        Ok(authorization.redirect(now(), &mut entropy()?)?)
    }

    /// Runs an exchange to its end.
    ///
    /// The future borrows nothing of the transport, needs tokio, and may be dropped at any time; whether the server
    /// has acted by then is not known.
    pub fn run<X>(&self, mut exchange: X) -> impl Future<Output = Result<X::Output, Error>> + Send + use<X, C>
    where
        X: Exchange + Send,
    {
        let transport = self.clone();
        async move {
            let mut rng = entropy()?;
            let mut after = exchange.initial_delay();
            loop {
                // A sleep of nothing takes a millisecond.
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                let request = exchange.next_request(now(), &mut rng)?;
                let response = transport.send(request).await?;
                after = match exchange.handle_response(response)? {
                    Step::Again { after } => after,
                    Step::Done(output) => return Ok(output),
                };
            }
        }
    }

    /// One request, and its answer with at most one byte more than is believed.
    async fn send(&self, request: Request<Body>) -> Result<Response<Vec<u8>>, Error> {
        let mut request = sized(request).map(|body| Full::new(Bytes::from_owner(body)));
        request.headers_mut().entry(USER_AGENT).or_insert(PROOFKEY);
        let connection = capture_connection(&mut request);
        let sent = || connection.connection_metadata().is_some();

        let whole = async {
            let answer = self.client.request(request).await.map_err(|error| {
                // A request may be taken from a connection that has ended to another one.
                if sent() && !error.is_connect() { Error::http(error) } else { Error::Unsent(error.into()) }
            })?;
            let (head, mut answer) = answer.into_parts();
            let mut body = Vec::new();
            while body.len() <= MAX_BODY
                && let Some(frame) = answer.frame().await
            {
                let frame = frame.map_err(Error::http)?;
                let chunk = frame.data_ref().map_or(&[][..], |data| data);
                let room = MAX_BODY + 1 - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(result) => result,
            Err(_) if sent() => Err(Error::Timeout),
            Err(elapsed) => Err(Error::Unsent(std::io::Error::from(elapsed).into())),
        }
    }
}

/// Says nothing of the client, whose connector may hold credentials.
impl<C> fmt::Debug for Transport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Why an exchange came to no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The exchange ended: the caller erred, or the server refused or broke the protocol.
    Protocol(proofkey_core::Error),
    /// Nothing was sent: no such host, no connection, none in time, no trust in the certificate, a URI that cannot be
    /// asked. It holds hyper-util's error, or an [`io::Error`](std::io::Error) after a time-out.
    Unsent(Box<dyn std::error::Error + Send + Sync>),
    /// The request may have left, and no whole answer came: a connection that broke, bytes that are not HTTP. It holds
    /// hyper-util's error, or, from a body, hyper's.
    Http(Box<dyn std::error::Error + Send + Sync>),
    /// The request may have left, and no whole answer came within the transport's [time-out](Transport::timeout); or
    /// waiting for a [`Session`]'s refresh took twice as long.
    Timeout,
    /// The system gave no entropy; nothing was sent.
    Entropy(std::io::Error),
    /// A [`Session`] could not renew its tokens, and cannot use those it has. Everybody who waited gets the same error,
    /// and so does, with what is left of its delay, whoever asks before the next try is due.
    Refresh {
        /// What came of the refresh.
        cause: Arc<Self>,
        /// What to do about it.
        remedy: Remedy,
    },
    /// A [`Session`] has nothing to renew: after a logout, or if its tokens have ended and there is no refresh token.
    LogIn,
    /// A [`Session`]'s refresh came to a sudden end, by a panic or with its runtime; its request may have left.
    Interrupted,
}

impl Error {
    fn http(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Http(Box::new(error))
    }

    /// What to do about it.
    ///
    /// After [`Unsent`](Self::Unsent), [`Http`](Self::Http) and [`Timeout`](Self::Timeout) the same may work later. A
    /// certificate that is not trusted and a TLS that is too old are to be reported, because nothing that a program could
    /// do by itself tells a careless server from a forged one.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Protocol(error) => error.remedy(),
            Self::Unsent(error) if is_unaskable(&**error) => Remedy::FixConfiguration,
            Self::Unsent(error) if distrusts(&**error) => Remedy::Report,
            Self::Unsent(_) | Self::Http(_) | Self::Timeout | Self::Interrupted => Remedy::TryLater(None),
            Self::Entropy(_) => Remedy::Report,
            Self::Refresh { remedy, .. } => *remedy,
            Self::LogIn => Remedy::LogInAgain,
        }
    }

    /// Whether the request may have reached the server, and no whole answer came, or none that can be read: what was in it,
    /// a code or a refresh token, may be spent, and what it asked for may be done. If not, nothing was sent, or the answer
    /// is known.
    pub fn ambiguous(&self) -> bool {
        match self {
            Self::Http(_) | Self::Timeout | Self::Interrupted => true,
            Self::Protocol(error) => error.ambiguous(),
            Self::Unsent(_) | Self::Entropy(_) | Self::LogIn => false,
            Self::Refresh { cause, .. } => cause.ambiguous(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Unsent(_) => f.write_str("the request could not be sent"),
            Self::Http(_) => f.write_str("the server gave no whole HTTP answer"),
            Self::Timeout => f.write_str("the server gave no whole HTTP answer in time"),
            Self::Entropy(_) => f.write_str("the system gave no entropy"),
            Self::Refresh { cause, .. } => write!(f, "the tokens could not be renewed: {cause}"),
            Self::LogIn => f.write_str("nobody is logged in, or not any more"),
            Self::Interrupted => f.write_str("the refresh came to a sudden end"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => error.source(),
            Self::Unsent(error) | Self::Http(error) => Some(&**error),
            Self::Timeout | Self::LogIn | Self::Interrupted => None,
            Self::Entropy(error) => Some(error),
            Self::Refresh { cause, .. } => cause.source(),
        }
    }
}

impl From<proofkey_core::Error> for Error {
    fn from(error: proofkey_core::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Whether there is no way to send it: a URI without a host, say.
fn is_unaskable(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(|error: &hyper_util::client::legacy::Error| !error.is_connect())
}

/// Whether rustls does not trust the server's certificate, or finds its TLS too old.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented, PeerIncompatible};

    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return matches!(
                error,
                InvalidCertificate(_)
                    | NoCertificatesPresented
                    | PeerIncompatible(_)
                    | AlertReceived(rustls::AlertDescription::ProtocolVersion)
            );
        }
        // What an I/O error wraps is not among its sources.
        let wrapped = error.downcast_ref().and_then(std::io::Error::get_ref);
        next = wrapped.map(|error| error as _).or_else(|| error.source());
    }
    false
}

/// The TLS is the caller's, and so are its errors.
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn distrusts(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

/// Gives an empty body a `Content-Length` where the method gives a body a meaning (RFC 9110 section 8.6). Other
/// bodies get theirs from hyper.
fn sized(mut request: Request<Body>) -> Request<Body> {
    let meant = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if meant && request.body().as_ref().is_empty() {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

/// A generator of its own for each run, seeded by the system.
fn entropy() -> Result<ChaCha20Rng, Error> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|error| Error::Entropy(error.into()))
}

/// rustls as [`Transport::new`] wants it: TLS 1.2 and 1.3, Mozilla's roots, no early data.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn tls() -> rustls::ClientConfig {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();

    rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("both providers have suites for both versions")
        .with_root_certificates(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>())
        .with_no_client_auth()
}

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Token endpoints answer within a second or two; a person waits no longer than this.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Some servers answer nobody without a name. A request's own stays.
const PROOFKEY: HeaderValue = HeaderValue::from_static(concat!("proofkey/", env!("CARGO_PKG_VERSION")));
