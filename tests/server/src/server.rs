//! The handle: start the server, ask it where it is and what it saw, drop it to stop it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::StatusCode;
use oauth_as::http::ServiceBuilder;
use oauth_as::par::ParConfig;
use oauth_as::server::{AuthorizationServer, ServerConfig};
use oauth_as::store::MemoryStorage;
use tokio::sync::oneshot;

use crate::clients::{Clients, SCOPES};
use crate::clock::Clock;
use crate::consent::{self, OpenPages};
use crate::device;
use crate::documents::{self, Documents};
use crate::faults::Faults;
use crate::observation::{Log, Seen};
use crate::person::Person;
use crate::resource::{self, Resource};

const AUTHORIZE: &str = "/authorize";
const TOKEN: &str = "/token";
const REVOKE: &str = "/revoke";
const INTROSPECT: &str = "/introspect";
const PUSH: &str = "/par";
const DEVICE_AUTHORIZATION: &str = "/device_authorization";

/// The longest request body that is read; more is 413.
const MAX_BODY: usize = 1 << 20;

/// A running authorization server. Dropping it stops it and frees its port.
///
/// It runs on a thread of its own, so it serves blocking and asynchronous tests alike. Its methods
/// block for no longer than it takes to lock a mutex.
#[derive(Debug)]
pub struct TestServer {
    issuer: String,
    parts: Arc<Parts>,
    /// Dropping it is the signal to stop.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Starts a server on a free loopback port; it answers when this returns.
    ///
    /// Fails if there is no port to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A server with other lifetimes, another port or more redirect URIs.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The issuer identifier and the start of every URL: `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the metadata document is (RFC 8414 section 3).
    pub fn metadata_url(&self) -> String {
        self.url(documents::OAUTH)
    }

    /// Where the same document is by OpenID Connect Discovery section 4.
    pub fn openid_configuration_url(&self) -> String {
        self.url(documents::OPENID)
    }

    /// Where a browser is sent to log in.
    pub fn authorization_endpoint(&self) -> String {
        self.url(AUTHORIZE)
    }

    /// Where codes and refresh tokens are redeemed.
    pub fn token_endpoint(&self) -> String {
        self.url(TOKEN)
    }

    /// Where tokens are revoked (RFC 7009).
    pub fn revocation_endpoint(&self) -> String {
        self.url(REVOKE)
    }

    /// Where a client with a secret may ask about its own tokens (RFC 7662).
    pub fn introspection_endpoint(&self) -> String {
        self.url(INTROSPECT)
    }

    /// Where authorization requests may be pushed (RFC 9126).
    pub fn pushed_authorization_request_endpoint(&self) -> String {
        self.url(PUSH)
    }

    /// Where a device asks for its codes (RFC 8628).
    pub fn device_authorization_endpoint(&self) -> String {
        self.url(DEVICE_AUTHORIZATION)
    }

    /// The protected resource: `GET` lists the photos, `POST` echoes. It wants the scope `photos`, and a token that is not
    /// [for another resource](crate#what-a-user-should-know).
    pub fn resource(&self) -> String {
        self.url(resource::PATH)
    }

    /// Where the resource describes itself (RFC 9728 section 3), as its challenges say.
    pub fn resource_metadata_url(&self) -> String {
        self.parts.resource.metadata_url.clone()
    }

    /// A person called Alice, with a browser.
    pub fn person(&self) -> Person {
        Person::new(self.url(device::PATH))
    }

    /// The last 10,000 requests that were answered, oldest first.
    ///
    /// A request is here before its client sees the answer, and before any
    /// [delay](Self::delay_token_answers).
    pub fn requests(&self) -> Vec<Seen> {
        self.parts.log.requests()
    }

    /// Empties [`requests`](Self::requests); the counters go on.
    pub fn forget_requests(&self) {
        self.parts.log.forget_requests();
    }

    /// How many requests came to the token endpoint, answered or not.
    pub fn token_requests(&self) -> u64 {
        self.parts.log.token_requests()
    }

    /// How many times a refresh token was exchanged for new tokens.
    pub fn refreshes(&self) -> u64 {
        self.parts.log.refreshes()
    }

    /// How many times a spent refresh token was presented again, and its family revoked for it.
    pub fn reuses(&self) -> u64 {
        self.parts.log.reuses()
    }

    /// How many times a spent authorization code was presented again, and its tokens revoked for it.
    pub fn code_replays(&self) -> u64 {
        self.parts.log.code_replays()
    }

    /// From now on the token endpoint answers this much later than it could.
    ///
    /// The request takes effect at once: only the news of it is slow.
    pub fn delay_token_answers(&self, delay: Duration) {
        self.parts.faults.delay_token_answers(delay);
    }

    /// The next `n` token requests have no effect but an HTML page with this status.
    ///
    /// # Panics
    ///
    /// If `status` is not one HTTP can express.
    pub fn fail_token_requests(&self, n: usize, status: u16) {
        let status = StatusCode::from_u16(status).expect("a status has three digits");
        self.parts.faults.fail_token_requests(n, status);
    }

    /// Moves the server's clock on. Its tokens age; the client's clock knows nothing of it.
    pub fn advance(&self, by: Duration) {
        self.parts.clock.advance(by);
    }

    /// The time on the server's clock.
    pub fn now(&self) -> SystemTime {
        self.parts.now()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was printed when it happened; a second one here would abort the process.
            let _ = thread.join();
        }
    }
}

/// How a [`TestServer`] should differ from the usual one.
#[derive(Clone, Debug)]
pub struct Builder {
    port: u16,
    access_token_lifetime: Duration,
    code_lifetime: Duration,
    device_code_lifetime: Duration,
    poll_interval: Duration,
    redirect_uris: Vec<String>,
    documents: Documents,
    page_where_none: bool,
    must_push: bool,
    must_name_resource: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            access_token_lifetime: Duration::from_secs(3600),
            code_lifetime: Duration::from_secs(60),
            device_code_lifetime: Duration::from_secs(600),
            poll_interval: Duration::from_secs(1),
            redirect_uris: Vec::new(),
            documents: Documents::Both,
            page_where_none: false,
            must_push: false,
            must_name_resource: false,
        }
    }
}

impl Builder {
    /// The port to listen on; `0`, the default, is any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long an access token lives; an hour unless set. Answers give it in whole seconds.
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime;
        self
    }

    /// How long an authorization code lives; a minute unless set.
    #[must_use]
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.code_lifetime = lifetime;
        self
    }

    /// How long a device code lives; ten minutes unless set.
    #[must_use]
    pub fn device_code_lifetime(mut self, lifetime: Duration) -> Self {
        self.device_code_lifetime = lifetime;
        self
    }

    /// How long a device must wait between polls; a second unless set.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// One more redirect URI that every client may use, compared as text.
    #[must_use]
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uris.push(redirect_uri.into());
        self
    }

    /// Which metadata documents there are; both unless set. In the place of the others is `404 Not Found`.
    #[must_use]
    pub fn documents(mut self, documents: Documents) -> Self {
        self.documents = documents;
        self
    }

    /// In the place of a metadata document that there is not, answers `200 OK` with a page to log in, as servers do that
    /// know no unknown paths.
    #[must_use]
    pub fn login_page_for_missing_documents(mut self) -> Self {
        self.page_where_none = true;
        self
    }

    /// Takes authorization requests only if they were pushed, and says so in its metadata (RFC 9126 section 5).
    #[must_use]
    pub fn require_pushed_authorization_requests(mut self) -> Self {
        self.must_push = true;
        self
    }

    /// The protected resource refuses also those tokens that are for no resource in particular, as an MCP server must.
    #[must_use]
    pub fn require_resource_indicator(mut self) -> Self {
        self.must_name_resource = true;
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// Fails if the port is taken, or if a redirect URI is none.
    pub fn start(self) -> io::Result<TestServer> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        listener.set_nonblocking(true)?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let parts = Arc::new(Parts::new(&self, &issuer));
        let (running, stop) = oneshot::channel();
        let (report, ready) = mpsc::channel();
        let thread = thread::Builder::new().name("test server".to_owned()).spawn({
            let parts = Arc::clone(&parts);
            move || run(&parts, &self, listener, &report, stop)
        })?;
        let server = TestServer { issuer, parts, running: Some(running), thread: Some(thread) };
        ready.recv().unwrap_or_else(|_| Err(io::Error::other("the server's thread panicked")))?;
        Ok(server)
    }
}

/// What the server's thread and its handle share.
pub(crate) struct Parts {
    pub(crate) server: Arc<AuthorizationServer<MemoryStorage, Clock>>,
    pub(crate) clients: Clients,
    pub(crate) open_pages: OpenPages,
    pub(crate) resource: Resource,
    log: Log,
    faults: Faults,
    clock: Clock,
}

impl Parts {
    fn new(builder: &Builder, issuer: &str) -> Self {
        let url = |path: &str| format!("{issuer}{path}");
        let mut config = ServerConfig::new(issuer, url(device::PATH));
        // These are the defaults; said aloud, the handle and the metadata cannot disagree.
        config.authorization_endpoint = Some(url(AUTHORIZE));
        config.token_endpoint = Some(url(TOKEN));
        config.revocation_endpoint = Some(url(REVOKE));
        config.device_authorization_endpoint = Some(url(DEVICE_AUTHORIZATION));
        // Not advertised unless named.
        config.introspection_endpoint = Some(url(INTROSPECT));
        let mut par = ParConfig::new();
        par.pushed_authorization_request_endpoint = Some(url(PUSH));
        par.require_pushed_authorization_requests = builder.must_push;
        config.par = Some(Box::new(par));
        config.scopes_supported = Some(SCOPES.map(|(scope, _)| scope.to_owned()).into());
        config.protected_resources = Some(vec![url(resource::PATH)]);
        config.include_verification_uri_complete = true;
        config.access_token_ttl = builder.access_token_lifetime;
        config.authorization_code_ttl = builder.code_lifetime;
        config.device_code_ttl = builder.device_code_lifetime;
        config.poll_interval = builder.poll_interval;

        let log = Log::default();
        let clock = Clock::default();
        let server =
            AuthorizationServer::with_clock(config, MemoryStorage::new(), clock.clone()).with_event_sink(log.sink());
        Self {
            server: Arc::new(server),
            clients: Clients::default(),
            open_pages: OpenPages::default(),
            resource: Resource::new(issuer, builder.must_name_resource),
            log,
            faults: Faults::default(),
            clock,
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        oauth_as::server::Clock::now(&self.clock)
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The server's thread. It ends when `stop` is signalled, and takes open connections with it: they
/// are tasks of a runtime that ends here.
fn run(
    parts: &Arc<Parts>,
    builder: &Builder,
    listener: TcpListener,
    report: &mpsc::Sender<io::Result<()>>,
    stop: oneshot::Receiver<()>,
) {
    let serve = async {
        Clients::register(&parts.server, &builder.redirect_uris).await.map_err(io::Error::other)?;
        let routes = routes(parts, builder)?;
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
            // An answer of two segments would otherwise wait for the client's delayed ACK.
            let _ = stream.set_nodelay(true);
        });
        let _ = report.send(Ok(()));
        tokio::select! {
            served = axum::serve(listener, routes) => served,
            _ = stop => Ok(()),
        }
    };
    let served =
        tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| runtime.block_on(serve));
    if let Err(error) = served {
        let _ = report.send(Err(error));
    }
}

/// Our pages and the photos first; all else is `oauth-as`'s.
fn routes(parts: &Arc<Parts>, builder: &Builder) -> io::Result<Router> {
    let protocol = ServiceBuilder::new(Arc::clone(&parts.server)).build().map_err(io::Error::other)?;
    let ours = Router::new()
        .route(AUTHORIZE, get(consent::ask))
        .route(consent::PATH, post(consent::answer))
        .route(device::PATH, get(device::ask).post(device::answer))
        .route(resource::PATH, get(resource::serve).post(resource::serve))
        .route(&parts.resource.metadata_path, get(resource::describe))
        .merge(documents::routes(builder.documents, builder.page_where_none))
        .with_state(Arc::clone(parts));
    Ok(Router::from(protocol).merge(ours).layer(middleware::from_fn_with_state(Arc::clone(parts), watch)))
}

/// Sees every request and its answer; makes things go wrong when asked to.
async fn watch(State(parts): State<Arc<Parts>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut seen = Seen {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
    };
    let to_token_endpoint = seen.path == TOKEN;
    if seen.path == PUSH {
        let client_id = seen.parameter("client_id").unwrap_or_default();
        let redirect_uri = seen.parameter("redirect_uri").unwrap_or_default();
        parts.clients.admit_loopback_port(&parts.server, &client_id, &redirect_uri).await;
    }
    if to_token_endpoint {
        parts.log.count_token_request();
    }
    let outage = to_token_endpoint.then(|| parts.faults.outage()).flatten();
    let response = match outage {
        Some(response) => response,
        None => next.run(Request::from_parts(head, Body::from(body))).await,
    };
    seen.status = response.status().as_u16();
    parts.log.push(seen);
    let delay = parts.faults.delay();
    if to_token_endpoint && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    response
}
