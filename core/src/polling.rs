//! Waiting for the person who logs in on another device (RFC 8628 sections 3.4 and 3.5).
//!
//! ```text
//! POST /token
//! grant_type=urn%3Aietf%3Aparams%3Aoauth%3A    HTTP/1.1 400 Bad Request
//! grant-type%3Adevice_code&device_code=Gm..
//! &client_id=1406020730                        {"error":"authorization_pending"}
//! ```
//!
//! The interval is waited before every poll, the first too. `authorization_pending` goes on, `slow_down` goes on slower
//! for good, a server that is down is asked again; everything else ends it, and so does the end of the code's life.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use rand_core::CryptoRng;

use crate::device::DevicePending;
use crate::endpoint::{self, Granted};
use crate::error::{CallbackError, Error};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::form::Form;
use crate::json;
use crate::refusal::{ErrorCode, is_transient};
use crate::registration::Registration;
use crate::time::UnixTime;
use crate::token::Tokens;

/// Asks for the tokens until the person has decided; made by [`Client::poll`](crate::Client::poll).
///
/// It waits before its first request, and as long as the server wants between two. A server that is down is asked again
/// until the code's life ends. What a transport does not get an answer to ends its `run`; give it `&mut polling`, and
/// [`resume`](Self::resume):
///
/// ```
/// # use proofkey_core::{Client, DevicePending, Exchange, Remedy, Tokens};
/// # struct Http;
/// # #[derive(Debug)] struct Failure;
/// # impl Failure { fn remedy(&self) -> Remedy { Remedy::Report } }
/// # impl Http { fn run<X: Exchange>(&self, _: X) -> Result<X::Output, Failure> { Err(Failure) } }
/// fn poll(http: &Http, client: &Client, pending: DevicePending) -> Result<Tokens, Failure> {
///     let mut polling = client.poll(pending);
///     loop {
///         match http.run(&mut polling) {
///             Err(error) if matches!(error.remedy(), Remedy::TryLater(_)) && polling.resume() => {}
///             result => return result,
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct Polling {
    registration: Arc<Registration>,
    pending: DevicePending,
    /// What to wait before the next poll ..
    delay: Duration,
    /// .. and when that is: a clock that stands still must not make polling last for ever.
    due: UnixTime,
    turn: Turn,
}

impl Polling {
    pub(crate) fn new(registration: Arc<Registration>, pending: DevicePending) -> Self {
        Self { registration, delay: pending.interval, pending, due: UnixTime::from_secs(0), turn: Turn::default() }
    }

    /// Goes on after a poll that had no answer, and waits twice as long each time until there is one (RFC 8628
    /// section 3.5: "clients MUST unilaterally reduce their polling frequency before retrying"). `false` if polling is
    /// over.
    pub fn resume(&mut self) -> bool {
        if let Turn::Answer(asked) = self.turn {
            self.wait(asked, self.delay.saturating_mul(2));
        }
        !matches!(self.turn, Turn::Over)
    }

    /// Another poll, so long after the last one, or when the code's life ends.
    fn wait(&mut self, asked: UnixTime, after: Duration) {
        let asked = asked.max(self.due);
        self.delay = after.min(self.pending.expires_at.saturating_since(asked));
        self.due = asked.saturating_add(self.delay);
        self.turn.again();
    }
}

impl Exchange for Polling {
    type Output = Tokens;

    fn initial_delay(&self) -> Duration {
        self.delay
    }

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let pending = &self.pending;
        self.registration.began(&pending.token_endpoint, pending.issuer.as_ref(), &pending.client_id)?;
        if now.max(self.due) >= pending.expires_at {
            return Err(CallbackError::Expired.into());
        }
        let mut form = Form::with_capacity(512);
        form.pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        form.pair("device_code", pending.device_code.expose());
        for resource in pending.resources.iter() {
            form.pair("resource", resource);
        }
        let request = endpoint::token_request(&self.registration, form);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Tokens>, Error> {
        let asked = self.turn.answered()?;
        let pending = &mut self.pending;
        let told = if response.status().is_success() { Duration::ZERO } else { new_interval(response.body()) };
        let granted = Granted {
            scope: (!pending.scope.is_empty()).then(|| pending.scope.clone()),
            resources: pending.resources.clone(),
            ..Granted::default()
        };
        let error =
            match endpoint::tokens(&self.registration, response, asked, granted, &[pending.device_code.expose()]) {
                Ok(tokens) => return Ok(Step::Done(tokens)),
                Err(Error::Server(error)) => error,
                Err(error) => return Err(error),
            };
        let wanted = error.retry_after.unwrap_or_default();
        if error.code == ErrorCode::SLOW_DOWN {
            // RFC 8628 section 3.5: "the interval MUST be increased by 5 seconds for this and all subsequent requests".
            pending.interval = pending.interval.saturating_add(SLOWER).max(told);
        } else if error.code != ErrorCode::AUTHORIZATION_PENDING && !error.status.is_some_and(is_transient) {
            return Err(error.into());
        }
        let after = pending.interval.max(wanted);
        self.wait(asked, after);
        Ok(Step::Again { after: self.delay })
    }
}

/// The interval that an answer tells; some servers do with `slow_down`.
fn new_interval(body: &[u8]) -> Duration {
    let read = if body.len() <= MAX_BODY { json::members(body, ["interval"]).ok() } else { None };
    let told = read.and_then(|([interval], _)| interval.seconds_at_least().ok()?);
    Duration::from_secs(told.unwrap_or_default())
}

/// What `slow_down` adds (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
