//! The front door: one value that knows a server and a client at it, and begins everything.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use crate::authentication::Authentication;
use crate::authorization::Authorization;
use crate::code::{CodeExchange, CodeGrant};
use crate::credentials::Credentials;
use crate::device::{DeviceAuthorization, DevicePending};
use crate::error::{Error, Usage};
use crate::exchange::Body;
use crate::introspection::Introspection;
use crate::polling::Polling;
use crate::quirks::Quirks;
use crate::refresh::Refresh;
use crate::registration::{Registration, Settings};
use crate::resource::ResourceCall;
use crate::revocation::Revocation;
use crate::secret::Secret;
use crate::server::Server;
use crate::token::Tokens;

/// A client at a server. Cheap to clone and to share; it holds no login, so one serves any number of them.
///
/// ```
/// use proofkey_core::{Authentication, Client, Server};
///
/// let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
/// let client = Client::builder(server, "s6BhdRkqt3")
///     .redirect_uri("https://client.example.com/cb")
///     .authentication(Authentication::basic("7Fjfp0ZBr1KtDRbnfVdmIw"))
///     .build()?;
/// # Ok::<(), proofkey_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client(Arc<Registration>);

impl Client {
    /// A client of this id at this server.
    pub fn builder(server: Server, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            server,
            client_id: client_id.into(),
            redirect_uri: None,
            authentication: Authentication::none(),
            settings: Settings {
                login_limit: LOGIN_LIMIT,
                quirks: Quirks::none(),
                require_advertised_s256: false,
                allow_http: false,
            },
        }
    }

    /// Prepares a login: [`Authorization::redirect`] gives the URL for the browser.
    pub fn authorize(&self) -> Authorization {
        Authorization::new(self.0.clone())
    }

    /// Turns the code of a login that came back into tokens.
    pub fn exchange(&self, grant: CodeGrant) -> CodeExchange {
        CodeExchange::new(self.0.clone(), grant)
    }

    /// Begins a login without a browser on this machine (RFC 8628): the exchange gives the code to show, and where the
    /// person types it; [`poll`](Self::poll) then waits for the tokens.
    pub fn device(&self) -> DeviceAuthorization {
        DeviceAuthorization::new(self.0.clone())
    }

    /// Asks for the tokens of a login without a browser until the person has decided.
    pub fn poll(&self, pending: DevicePending) -> Polling {
        Polling::new(self.0.clone(), pending)
    }

    /// Renews tokens by their refresh token.
    ///
    /// [`Usage::NoRefreshToken`](crate::Usage) if they have none, [`Usage::OtherServer`](crate::Usage) or
    /// [`Usage::OtherClient`](crate::Usage) if they are not this client's.
    pub fn refresh(&self, tokens: &Tokens) -> Result<Refresh, Error> {
        Refresh::new(self.0.clone(), tokens)
    }

    /// Asks for tokens for the client itself, with nobody logging in (RFC 6749 section 4.4).
    ///
    /// There is no refresh token as a rule: ask again shortly before they expire. A `Session` does not do that.
    ///
    /// ```
    /// # use proofkey_core::{Authentication, Client, Server};
    /// # let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    /// let client = Client::builder(server, "report").authentication(Authentication::basic("s3cret")).build()?;
    /// let exchange = client.credentials().scope(["photos"]); // to be run: its output is `Tokens`
    /// # Ok::<(), proofkey_core::Error>(())
    /// ```
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.0.clone())
    }

    /// Sends a request to a protected resource with the access token.
    ///
    /// What cannot be sent is refused when the request is made: tokens of another server or client, plain `http` to a
    /// host that is not loopback, a second credential. Whether the token is for this resource is the caller's to know: a
    /// resource indicator may be a name that is not the resource's address. To stream a body, see [`Tokens::authorize`].
    pub fn call<B: Into<Body>>(&self, tokens: &Tokens, request: Request<B>) -> ResourceCall {
        ResourceCall::new(&self.0, tokens, request)
    }

    /// Gives tokens back: the refresh token, then the access token.
    ///
    /// [`Usage::OtherServer`](crate::Usage) or [`Usage::OtherClient`](crate::Usage) if they are not this client's.
    pub fn revoke(&self, tokens: &Tokens) -> Result<Revocation, Error> {
        Revocation::new(self.0.clone(), tokens)
    }

    /// Asks the server what a token is worth: one of its own, or one that somebody presented.
    pub fn introspect(&self, token: &Secret) -> Introspection {
        Introspection::new(self.0.clone(), token.clone())
    }

    /// Whether these tokens are this client's, or could be.
    pub(crate) fn owns(&self, tokens: &Tokens) -> Result<(), Usage> {
        self.0.owns(tokens)
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// The client's id at the server.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }
}

/// What a [`Client`] is made of; [`build`](Self::build) vets it.
#[derive(Debug)]
#[must_use = "a client exists once it is built"]
pub struct ClientBuilder {
    server: Server,
    client_id: String,
    redirect_uri: Option<String>,
    authentication: Authentication,
    settings: Settings,
}

impl ClientBuilder {
    /// Where the browser returns to, sent exactly as given: servers compare text. `https`, `http` on a loopback host, or
    /// a reverse-domain scheme of the application's own.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(redirect_uri.into());
        self
    }

    /// How the client proves who it is; [`Authentication::none`] unless set.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// How long a person may take: a login begun longer ago is refused when its code is exchanged. 30 minutes unless set.
    pub fn login_limit(mut self, limit: Duration) -> Self {
        self.settings.login_limit = limit;
        self
    }

    /// Forgives what this server does against the RFCs.
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.settings.quirks = quirks;
        self
    }

    /// Refuses a server whose metadata does not say that it does S256. Without this, S256 is sent to a server that says
    /// nothing of it, because many leave the member out. MCP clients must have it so.
    pub fn require_advertised_s256(mut self) -> Self {
        self.settings.require_advertised_s256 = true;
        self
    }

    /// Lets the server's endpoints be plain `http` on hosts that are not loopback. Everyone on the way then reads and
    /// changes codes, tokens and secrets; for closed test networks.
    pub fn danger_allow_http(mut self) -> Self {
        self.settings.allow_http = true;
        self
    }

    /// The client. [`Error::Usage`] names the part that cannot be used, and why.
    pub fn build(self) -> Result<Client, Error> {
        let Self { server, client_id, redirect_uri, authentication, settings } = self;
        let registration = Registration::new(server, client_id, redirect_uri, authentication, settings)?;
        Ok(Client(Arc::new(registration)))
    }
}

/// Long enough to find a password and a phone, too short for a stolen link to wait for its day.
const LOGIN_LIMIT: Duration = Duration::from_secs(30 * 60);
