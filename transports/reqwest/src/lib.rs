//! Runs [`proofkey_core`]'s exchanges over [`reqwest`], asynchronously, on tokio.
//!
//! ```no_run
//! # use proofkey_core::{Callback, Client, Pending, Tokens};
//! use proofkey_reqwest::{Error, Transport};
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
//! * to follow a redirect. A client of the caller's that follows them is detected where reqwest shows it, and a
//!   request with a body is never repeated to another place; see [`Transport::with_client`];
//! * a body longer than [`MAX_BODY`], counted after decompression: reading stops one byte later;
//! * to wait longer than 30 seconds for a whole answer, unless told [otherwise](Transport::timeout);
//! * to send a request again once a byte of it may have left;
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

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use getrandom::SysRng;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use proofkey_core::rand_core::SeedableRng;
use proofkey_core::{Authorization, Body, Exchange, MAX_BODY, Pending, Remedy, Step, UnixTime, Violation};
pub use reqwest;
pub use session::Session;
use url::Url;

/// Sends requests over reqwest. Cheap to clone; the clones share one pool of connections.
#[derive(Clone)]
pub struct Transport {
    client: reqwest::Client,
    timeout: Duration,
}

impl Transport {
    /// A client of its own: rustls with Mozilla's roots, HTTP/1.1 and HTTP/2, no redirects, cookies, compression,
    /// retries, or proxy from the environment (secrets for a server on this machine must not pass through one), ten
    /// seconds to connect, and the user agent `proofkey/VERSION`.
    ///
    /// [`Error::Unsent`] if reqwest cannot build it.
    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    pub fn new() -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            // Other crates may compile these into reqwest.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self::with_client(client))
    }

    /// The caller's client, with its own roots, proxy, resolver and user agent.
    ///
    /// Build it with [`Policy::none`](reqwest::redirect::Policy::none). If it follows redirects all the same, a 307 or
    /// 308 to a request with a body is not followed, because the body cannot be sent twice; after any other, a bare
    /// `GET` without that body has gone elsewhere (and `Authorization`, if the host is the same) by the time reqwest
    /// tells, and the answer is refused as [`Violation::RedirectFollowed`]. A redirect back to the very URL that was asked
    /// cannot be seen, and after one to where nobody listens it is [`Error::Http`].
    ///
    /// Under the feature `ring` alone reqwest has no crypto provider of its own, and building a client panics unless
    /// it is given [TLS](reqwest::ClientBuilder::tls_backend_preconfigured) or the process has a default provider.
    /// With `aws-lc-rs`, or reqwest's own feature `rustls`, it has.
    pub fn with_client(client: reqwest::Client) -> Self {
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
    pub fn run<X>(&self, mut exchange: X) -> impl Future<Output = Result<X::Output, Error>> + Send + use<X>
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
        let request = sized(request);
        let has_body = !request.body().as_ref().is_empty();
        let begun = Arc::new(AtomicBool::new(false));
        let request = request.map(|body| {
            reqwest::Body::wrap(Outgoing { bytes: Full::new(Bytes::from_owner(body)), begun: begun.clone() })
        });
        let mut request = reqwest::Request::try_from(request)?;
        *request.timeout_mut() = Some(self.timeout);
        let asked = request.url().clone();

        let mut answer = self.client.execute(request).await.map_err(|error| {
            // A time-out may come before there is a connection; only then has nobody asked for the body yet.
            let waited = has_body && error.is_timeout();
            let sent = begun.load(Ordering::Relaxed) || !(error.is_builder() || error.is_connect() || waited);
            Error::sort(error, sent)
        })?;
        if *answer.url() != asked {
            return Err(followed());
        }
        let mut body = Vec::new();
        while body.len() <= MAX_BODY
            && let Some(chunk) = answer.chunk().await.map_err(|error| Error::sort(error, true))?
        {
            let room = MAX_BODY + 1 - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.version_mut() = answer.version();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

/// A request's body on its way. reqwest cannot clone it: neither its redirects nor its retries repeat it.
struct Outgoing {
    bytes: Full<Bytes>,
    /// Somebody who has a connection has asked for it.
    begun: Arc<AtomicBool>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.begun.store(true, Ordering::Relaxed);
        Pin::new(&mut self.bytes).poll_frame(context)
    }

    /// hyper asks when it writes the head, and for no more where there is none: if a request without a body is redirected,
    /// this is the only trace of the first one.
    fn is_end_stream(&self) -> bool {
        let is_over = self.bytes.is_end_stream();
        if is_over {
            self.begun.store(true, Ordering::Relaxed);
        }
        is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

/// Says nothing of the client, whose default headers may hold credentials.
impl fmt::Debug for Transport {
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
    /// Nothing was sent, or no more than the head of a request that has a body: no such host, no connection, none in time,
    /// no trust in the certificate, a URI that cannot be asked. The URL has been taken out.
    Unsent(reqwest::Error),
    /// The request may have left, and no whole answer came: a connection that broke, bytes that are not HTTP. The URL has
    /// been taken out.
    Http(reqwest::Error),
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
    /// By what became of the request. The URL is taken out: its query may hold secrets.
    fn sort(error: reqwest::Error, sent: bool) -> Self {
        if error.is_redirect() {
            // Its source may hold the URL of the redirect.
            followed()
        } else if !sent {
            Self::Unsent(error.without_url())
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Http(error.without_url())
        }
    }

    /// What to do about it.
    ///
    /// After [`Unsent`](Self::Unsent), [`Http`](Self::Http) and [`Timeout`](Self::Timeout) the same may work later. A
    /// certificate that is not trusted and a TLS that is too old are to be reported, because nothing that a program could
    /// do by itself tells a careless server from a forged one.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Protocol(error) => error.remedy(),
            Self::Unsent(error) if error.is_builder() => Remedy::FixConfiguration,
            Self::Unsent(error) if distrusts(error) => Remedy::Report,
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
            Self::Unsent(error) | Self::Http(error) => Some(error),
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

/// Sorts it into the arms by what reqwest says of it, and takes the URL out: its query may hold secrets.
impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let sent = !error.is_builder() && !error.is_connect();
        Self::sort(error, sent)
    }
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

/// The refusal of a redirect that has been followed.
fn followed() -> Error {
    Error::Protocol(Violation::RedirectFollowed.into())
}

/// Gives a body its `Content-Length`, and an empty one where the method gives a body a meaning (RFC 9110 section 8.6).
fn sized(mut request: Request<Body>) -> Request<Body> {
    let length = request.body().as_ref().len();
    if length > 0 || matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
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

    let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("both providers have suites for both versions")
        .with_root_certificates(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Token endpoints answer within a second or two; a person waits no longer than this.
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
const USER_AGENT: &str = concat!("proofkey/", env!("CARGO_PKG_VERSION"));
