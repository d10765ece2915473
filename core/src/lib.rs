//! The protocol core of `proofkey`: an OAuth 2.1 client that does no I/O.
//!
//! It turns "log this person in" into [`http::Request`] values, takes [`http::Response`] values back, and ends with
//! [`Tokens`]. It reads no clock, makes no entropy, opens no socket, spawns nothing and awaits nothing, so it runs
//! wherever its caller does. Transports for reqwest, hyper and blocking sockets are crates of their own.
//!
//! ```text
//!  Discovery
//!     │
//!  Server ──► Client ── authorize() ──► Authorization ── redirect(now, rng) ──► Url ──────► the browser
//!               │                                                            └► Pending          │
//!               │                                                                  │             │
//!               │                                          accept ◄────────────────┘             │
//!               │                                            │ ▲                                 │
//!               │                        CodeGrant ◄─────────┘ └── Callback ◄── parse ◄──────────┘
//!               │                            │
//!               └── exchange(grant) ◄────────┘
//!                        │
//!                   CodeExchange ── next_request ──► http::Request ──────► the server
//!                        ▲                                                     │
//!                        └───────── handle_response ◄── http::Response ◄───────┘
//!                        │
//!                        └──► Tokens ──► call, refresh, introspect, revoke; or a Session, which keeps them fresh
//! ```
//!
//! Where there is no browser, [`Client::device`] gives a code to show, and [`Client::poll`] waits for the tokens. Client
//! credentials need nobody at all.
//!
//! Values persist: [`Server`], [`Pending`] and [`Tokens`] are serde data that outlive a process. Machines loop: what has
//! steps is an [`Exchange`], driven by whoever can send a request.
//!
//! # A whole login
//!
//! The browser, the network and the clock are played here; the octets are those of RFC 7636 appendix B.
//!
//! ```
//! use proofkey_core::{Callback, Client, Exchange, Server, Step, UnixTime};
//! # use proofkey_core::rand_core::{TryCryptoRng, TryRng};
//! # struct AppendixB;
//! # impl TryRng for AppendixB {
//! #     type Error = std::convert::Infallible;
//! #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(0) }
//! #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(0) }
//! #     fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
//! #         let octets = [116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
//! #             22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121];
//! #         for (to, octet) in to.iter_mut().zip(octets.into_iter().chain(std::iter::repeat(0))) { *to = octet }
//! #         Ok(())
//! #     }
//! # }
//! # impl TryCryptoRng for AppendixB {}
//! # let mut rng = AppendixB;
//! let now = UnixTime::from_secs(1_767_225_600);
//! let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
//! let client = Client::builder(server, "s6BhdRkqt3").redirect_uri("https://client.example.com/cb").build()?;
//!
//! // It leaves ..
//! let (url, pending) = client.authorize().scope(["photos"]).redirect(now, &mut rng)?;
//! assert_eq!(
//!     url.as_str(),
//!     "https://as.example.com/authorize?response_type=code&client_id=s6BhdRkqt3\
//!      &redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb&scope=photos\
//!      &state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
//!      &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
//! );
//! let kept = serde_json::to_string(&pending)?; // in this browser's session, under pending.state()
//!
//! // .. and returns, perhaps to another process.
//! let callback = Callback::parse("code=SplxlOBeZQQYbYS6WxSbIA&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")?;
//! let pending: proofkey_core::Pending = serde_json::from_str(&kept)?;
//! let grant = pending.accept(callback)?;
//!
//! // The code becomes tokens: one request, one response, in any way there is to send it.
//! let mut exchange = client.exchange(grant);
//! let request = exchange.next_request(now, &mut rng)?;
//! assert_eq!(request.uri(), "https://as.example.com/token");
//! assert_eq!(
//!     str::from_utf8(request.body().as_ref())?,
//!     "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA\
//!      &redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb\
//!      &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&client_id=s6BhdRkqt3"
//! );
//! let response = http::Response::new(
//!     br#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600}"#.to_vec(),
//! );
//! let Step::Done(tokens) = exchange.handle_response(response)? else { unreachable!() };
//! assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
//! assert_eq!(tokens.expires_at(), Some(UnixTime::from_secs(1_767_229_200)));
//! assert!(tokens.scope().unwrap().contains("photos"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Panics, errors and secrets
//!
//! Nothing that comes from a network, a browser, a store or a caller makes this crate panic: bad input is an [`Error`],
//! which says who must act. Nothing here prints a code, a verifier, a token, a client secret or a body: every type's
//! `Debug` hides them, errors do not hold them, and credential headers are marked sensitive.
//!
//! # Left out on purpose
//!
//! * The `plain` challenge method, logins without PKCE or without `state`, and the implicit and password grants: OAuth
//!   2.1 removed them.
//! * A switch to accept what an attacker could use. What servers do differently without harm is accepted always.
//! * A generator and a clock: they are arguments, so a test is exact and a runtime brings its own.
//! * An asynchronous driver: its future would have to choose a runtime, or would not be `Send`.

// Total: whatever comes in, a function returns. An exception argues for itself where it stands.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::string_slice
    )
)]

mod asked;
mod authentication;
mod authorization;
mod callback;
mod challenge;
mod client;
mod code;
mod credentials;
mod device;
mod discovery;
mod endpoint;
mod error;
mod exchange;
mod form;
mod introspection;
mod json;
mod parameter;
mod pending;
mod pkce;
mod polling;
mod prefix;
mod protected;
mod providers;
mod push;
mod quirks;
mod record;
mod refresh;
mod refusal;
mod registration;
mod resource;
mod revocation;
mod scope;
mod secret;
mod server;
mod session;
mod time;
mod token;
mod uri;

// In flow order: know the server, be a client, leave, return, redeem, use.
pub use discovery::Discovery;
pub use protected::{ProtectedResource, ResourceDiscovery};
pub use providers::{Endpoints, Place, Provider};
pub use quirks::Quirks;
pub use server::Server;

pub use authentication::Authentication;
pub use client::{Client, ClientBuilder};

pub use authorization::Authorization;
pub use pending::Pending;
pub use pkce::Verifier;
pub use push::Push;

pub use callback::{Callback, MAX_CALLBACK};
pub use code::{CodeExchange, CodeGrant};

pub use credentials::Credentials;
pub use device::{DeviceAuthorization, DevicePending};
pub use polling::Polling;
pub use refresh::Refresh;

pub use json::Extra;
pub use scope::Scope;
pub use token::{TokenType, Tokens};

pub use challenge::{BearerChallenge, Challenge};
pub use introspection::{Introspection, TokenState};
pub use resource::ResourceCall;
pub use revocation::Revocation;
pub use session::{Completion, Next, Session, Ticket};

pub use exchange::{Body, Exchange, MAX_BODY, Step};

pub use error::{CallbackError, Error, Miss, Remedy, Usage, Violation};
pub use refusal::{ErrorCode, ServerError};

pub use rand_core::{self, CryptoRng};
pub use secret::Secret;
pub use time::UnixTime;
