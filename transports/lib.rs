//! An OAuth 2.1 client whose protocol core does no I/O, and the transports that run it.
//!
//! Everything of [`proofkey_core`] is here under its own name. Each feature adds a module with one transport:
//! `reqwest` and `hyper` (asynchronous, on tokio), `blocking` (ureq).

#[cfg(feature = "hyper")]
pub use proofkey_hyper as hyper;
#[cfg(feature = "reqwest")]
pub use proofkey_reqwest as reqwest;
#[cfg(feature = "blocking")]
pub use proofkey_ureq as blocking;

pub use proofkey_core::*;
