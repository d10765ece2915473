//! An OAuth 2.1 client whose protocol core does no I/O, and the transports that run it.
//!
//! Everything of [`proofkey_core`] is here under its own name: start reading there, with the whole login on its front
//! page. Each of these features adds a module with one `Transport` and one `Session`,
//!
//! | feature | module | runs on |
//! |---|---|---|
//! | `reqwest` | `proofkey::reqwest` | reqwest, asynchronously, on tokio |
//! | `hyper` | `proofkey::hyper` | hyper, asynchronously, on tokio |
//! | `blocking` | `proofkey::blocking` | ureq, on the calling thread |
//!
//! and beside them what brings a desktop's browser back:
//!
//! | feature | what |
//! |---|---|
//! | `loopback` | `proofkey::loopback::Loopback`: a listener for one login, blocking |
//! | `loopback-tokio` | its `wait_async`, on tokio |
//! | `browser` | `proofkey::loopback::browser`: opens the browser, and tells where there is none |
//!
//! None is on by default. TLS is rustls with the `ring` provider; the feature `aws-lc-rs` chooses that one instead.

#[cfg(feature = "hyper")]
pub use proofkey_hyper as hyper;
#[cfg(feature = "loopback")]
pub use proofkey_loopback as loopback;
#[cfg(feature = "reqwest")]
pub use proofkey_reqwest as reqwest;
#[cfg(feature = "blocking")]
pub use proofkey_ureq as blocking;

pub use proofkey_core::*;

/// The README's code compiles.
#[cfg(all(doctest, feature = "reqwest", feature = "blocking", feature = "browser"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
