//! The one trait: a conversation with a server, as requests to send and answers to hand back.
//!
//! ```text
//!                 next_request(now, rng)
//!   caller  ──────────────────────────────►  exchange     "send this"
//!           ◄──────────────────────────────
//!                 http::Request<Body>
//!
//!           ──────────────────────────────►               "this came back"
//!                 handle_response(response)
//!           ◄──────────────────────────────
//!                 Step::Again { after }  or  Step::Done(output)
//! ```
//!
//! HTTP is lockstep, so nothing is queued: a request is followed by its response. An `Err` ends the exchange, and so
//! does [`Step::Done`]; asking out of turn is [`Usage::OutOfTurn`], never a panic. Only polling waits before its first
//! request: it says so by [`initial_delay`](Exchange::initial_delay).

use std::fmt;
use std::time::Duration;

use http::{Request, Response};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::error::{Error, Usage};
use crate::time::UnixTime;

/// A conversation with a server that ends in an `Output`.
///
/// Whoever can send an [`http::Request`] can drive it:
///
/// ```
/// # use proofkey_core::{Body, CryptoRng, Error, Exchange, Step, UnixTime};
/// # fn now() -> UnixTime { UnixTime::from_secs(0) }
/// # fn send(_: http::Request<Body>) -> http::Response<Vec<u8>> { unimplemented!() }
/// # fn sleep(_: std::time::Duration) {}
/// fn drive<X: Exchange>(mut exchange: X, rng: &mut dyn CryptoRng) -> Result<X::Output, Error> {
///     let mut after = exchange.initial_delay();
///     loop {
///         sleep(after);
///         let response = send(exchange.next_request(now(), rng)?);
///         match exchange.handle_response(response)? {
///             Step::Again { after: delay } => after = delay,
///             Step::Done(output) => return Ok(output),
///         }
///     }
/// }
/// ```
///
/// The sender follows no redirect, and stops reading a body once it is longer than [`MAX_BODY`]: what it has read by
/// then is enough for the exchange to refuse it.
pub trait Exchange {
    /// What the conversation is for.
    type Output;

    /// How long to wait before the first request: zero for every exchange but polling.
    fn initial_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// The request to send now.
    ///
    /// Each try is built afresh from `now` and `rng`. [`Error::Usage`] if an answer is still owed or the exchange is over.
    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error>;

    /// What the answer to the last request means. Pure: no clock, no entropy.
    ///
    /// [`Error::Usage`] if no request is waiting for one.
    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error>;
}

impl<X: Exchange + ?Sized> Exchange for Box<X> {
    type Output = X::Output;

    fn initial_delay(&self) -> Duration {
        (**self).initial_delay()
    }

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        (**self).next_request(now, rng)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        (**self).handle_response(response)
    }
}

impl<X: Exchange + ?Sized> Exchange for &mut X {
    type Output = X::Output;

    fn initial_delay(&self) -> Duration {
        (**self).initial_delay()
    }

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        (**self).next_request(now, rng)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        (**self).handle_response(response)
    }
}

/// Where an exchange stands after an answer.
#[derive(Debug)]
#[must_use]
pub enum Step<T> {
    /// Not over: ask for the next request once `after` has passed (often zero).
    Again {
        /// How long to wait first.
        after: Duration,
    },
    /// Over, with this.
    Done(T),
}

/// The bytes of a request's body. They hold codes, verifiers and secrets, so `Debug` shows their number only,
/// and they are wiped when dropped.
#[derive(Default)]
pub struct Body(Vec<u8>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Hands the bytes over without a copy; wiping them is the receiver's care from here.
impl From<Body> for Vec<u8> {
    fn from(mut body: Body) -> Self {
        std::mem::take(&mut body.0)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// The longest response body that is believed, in bytes, counted after decompression: 1 MiB.
///
/// Token answers are a few kilobytes, metadata documents seldom reach 20. A sender reads at most one byte more.
pub const MAX_BODY: usize = 1024 * 1024;

/// Whose turn it is. Every exchange keeps one, so that the order of calls is checked in one place.
#[derive(Debug, Default)]
pub(crate) enum Turn {
    /// A request may be asked for.
    #[default]
    Ask,
    /// An answer is owed to the request made at this time.
    Answer(UnixTime),
    /// Nothing more.
    Over,
}

impl Turn {
    /// A request is being made: until [`asked`](Self::asked) says that it was, the exchange counts as over.
    pub(crate) fn ask(&mut self) -> Result<(), Error> {
        match std::mem::replace(self, Self::Over) {
            Self::Ask => Ok(()),
            Self::Answer(_) | Self::Over => Err(Usage::OutOfTurn.into()),
        }
    }

    /// The request was made.
    pub(crate) fn asked(&mut self, now: UnixTime) {
        *self = Self::Answer(now);
    }

    /// The answer was not the last: another request may be asked for.
    pub(crate) fn again(&mut self) {
        *self = Self::Ask;
    }

    /// An answer has come: when its request was made. The exchange is over unless it asks [`again`](Self::again).
    pub(crate) fn answered(&mut self) -> Result<UnixTime, Error> {
        match std::mem::replace(self, Self::Over) {
            Self::Answer(asked) => Ok(asked),
            Self::Ask | Self::Over => Err(Usage::OutOfTurn.into()),
        }
    }
}
