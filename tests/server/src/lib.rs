//! An OAuth 2.1 authorization server, a photo collection it protects and a person with a browser,
//! all in one process: what an example, a test or a bench logs in to.
//!
//! ```text
//!   your application             TestServer (its own thread, 127.0.0.1)
//!   ----------------             --------------------------------------
//!   issuer             ------->  GET  /.well-known/..    where all this is
//!   authorization URL  ------->  GET  /authorize    the consent page
//!      Person::allow   ------->  POST /consent      "Allow" or "Deny"
//!   redirect URI       <-------  303  ?code=..&state=..&iss=..
//!   code, verifier     ------->  POST /token        rotating refresh tokens
//!   access token       ------->  GET  /resource     the photos
//! ```
//!
//! The protocol is `oauth-as`, not proofkey: its checks are not ours, which is the point. This
//! crate adds what a library leaves to its host: [registered clients](RegisteredClient), pages, a
//! [person](Person) to press the buttons, a protected resource, a clock that can be
//! [advanced](TestServer::advance), and ears ([`TestServer::requests`]).
//!
//! ```
//! use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};
//!
//! let server = TestServer::start()?;
//! let login = format!(
//!     "{}?response_type=code&client_id={}&redirect_uri={}&scope=photos&state=af0ifjsldkj\
//!      &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
//!     server.authorization_endpoint(),
//!     RegisteredClient::PUBLIC.id,
//!     redirect_uri(8917),
//! );
//! let location = server.person().allow(&login);
//! assert!(location.starts_with("http://127.0.0.1:8917/callback?code="));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What a user should know
//!
//! * **Redirect URIs.** Every client may use [`redirect_uri`]`(port)` with any port, the same on
//!   `[::1]`, and either without a port (RFC 8252 section 7.3). All else is compared as text.
//! * **Refresh tokens** come with every code and device grant, whatever the scope: no
//!   `offline_access` is needed. Using one twice revokes its whole family.
//! * **Scopes** are `photos`, `profile` and `offline_access`; a request without one gets `photos`.
//! * **Access tokens** are opaque and looked up at each use, so a revoked one is refused at once.
//! * **`iss`** is sent with every authorization response, errors too (RFC 9207).
//! * **Resources** may be named when a token is asked for (RFC 8707), and any may. [`TestServer::resource`] refuses tokens
//!   for others; those for nobody in particular it takes, [unless told](Builder::require_resource_indicator).
//! * **Metadata** is in the place of RFC 8414 and in that of OpenID Connect, unless [told otherwise](Builder::documents),
//!   and the resource has its own (RFC 9728), which each of its challenges points to.
//! * **PKCE** is required, and it is S256.
//!
//! It listens on loopback only and asks nobody for a password: never put it where strangers reach it.

mod clients;
mod clock;
mod consent;
mod device;
mod documents;
mod faults;
mod observation;
mod page;
mod person;
mod resource;
mod server;

pub use clients::{RegisteredClient, redirect_uri};
pub use documents::Documents;
pub use observation::Seen;
pub use person::{Answer, Person};
pub use server::{Builder, TestServer};
