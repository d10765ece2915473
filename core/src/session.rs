//! Staying logged in: whose turn it is to refresh, and with what outcome. A machine without I/O, like all of it.
//!
//! ```text
//!              next(now, rng)
//!   any task ─────────────────►  Use(tokens)              here is a token that is fresh
//!                                Refresh(ticket, exchange) yours to run; then complete(ticket, outcome, now)
//!                                Wait                      somebody is at it: ask again when they are done
//!                                Later(delay)              it failed a moment ago: not before then
//!                                LogIn                     nothing left to renew with
//! ```
//!
//! A server that rotates refresh tokens may end the whole grant when one is used twice (RFC 9700 section 4.14.2), so at
//! most one refresh is under way at any time. A ticket names the tokens it was given for: what comes back for others,
//! because a login or a logout came first, is dropped. While the old access token lasts, a slow or failing refresh
//! disturbs nobody.
//!
//! This serves one process. Machines that share a grant need a lease on it around [`Next::Refresh`]; until then, give each
//! its own login.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use rand_core::CryptoRng;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::error::{Error, ErrorCode, Remedy};
use crate::refresh::Refresh;
use crate::time::UnixTime;
use crate::token::Tokens;

/// A client, its tokens, and what is being done to keep them fresh. The transports wrap it for their kind of waiting.
#[derive(Debug)]
pub struct Session {
    client: Client,
    tokens: Option<Arc<Tokens>>,
    /// Counts the tokens held: a ticket is good for one generation.
    generation: u64,
    /// The resource has refused the access token.
    rejected: bool,
    /// When to renew, drawn once for these tokens.
    refresh_at: Option<UnixTime>,
    refreshing: bool,
    refreshed_at: Option<UnixTime>,
    /// Refreshes that failed in a row, and until when to leave it at that.
    failures: u32,
    not_before: Option<UnixTime>,
}

/// What [`Session::next`] says to do.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// These are fresh, as far as is known.
    Use(Arc<Tokens>),
    /// Run this exchange, and hand its outcome to [`Session::complete`], whatever it is.
    Refresh(Ticket, Refresh),
    /// A refresh is under way: ask again once it is complete.
    Wait,
    /// The last refresh failed, and another may be tried after this delay.
    Later(Duration),
    /// A person has to log in.
    LogIn,
}

/// The right to complete one refresh. Not `Clone`: it is used once.
#[derive(Debug)]
#[must_use = "a refresh that is never completed keeps everybody waiting"]
pub struct Ticket(u64);

/// What [`Session::complete`] did.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// These are now the tokens: store them before anybody uses them.
    Renewed(Arc<Tokens>),
    /// There are none; [`Session::next`] tells what is left.
    Failed,
    /// A login or a logout came first. Nobody will use these; revoke them if the server can.
    Stale(Box<Tokens>),
}

impl Session {
    /// A session over these tokens, which have to be this client's
    /// ([`Usage::OtherServer`](crate::Usage), [`Usage::OtherClient`](crate::Usage)).
    pub fn new(client: Client, tokens: Tokens) -> Result<Self, Error> {
        let mut session = Self {
            client,
            tokens: None,
            generation: 0,
            rejected: false,
            refresh_at: None,
            refreshing: false,
            refreshed_at: None,
            failures: 0,
            not_before: None,
        };
        session.install(tokens)?;
        Ok(session)
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The tokens held, fresh or not; `None` after [`clear`](Self::clear) or once the grant is dead.
    pub fn tokens(&self) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref()
    }

    /// What to do for a fresh token now. `rng` spreads the refreshes of many sessions.
    ///
    /// Tokens are renewed before they expire, by a minute or a tenth of their lifetime, whichever is less, and up to half
    /// as much again by chance. Without a known expiry they are used until a resource refuses them.
    pub fn next(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Next {
        let Some(tokens) = self.tokens.clone() else { return Next::LogIn };
        let usable = !self.rejected && tokens.expires_at.is_none_or(|at| now < at);
        // Tokens that come expired are used once: the next second is early enough to ask for better.
        let just_made = !self.rejected && self.refreshed_at == Some(now);
        if just_made || (usable && !self.is_due(&tokens, now, rng)) {
            return Next::Use(tokens);
        }
        let renewal = match self.client.refresh(&tokens) {
            Ok(exchange) if !self.refreshing && self.not_before.is_none_or(|at| now >= at) => exchange,
            _ if usable => return Next::Use(tokens),
            Ok(_) if self.refreshing => return Next::Wait,
            Ok(_) => return Next::Later(self.not_before.unwrap_or(now).saturating_since(now)),
            Err(_) => return Next::LogIn,
        };
        self.refreshing = true;
        Next::Refresh(Ticket(self.generation), renewal)
    }

    /// What came of a refresh: new tokens, or what the failure's remedy is.
    ///
    /// New tokens replace the old ones. A dead grant ([`Remedy::LogInAgain`]) ends the session. After anything else the old
    /// ones stay, and the next try waits as long as the server asked, or longer with each failure.
    #[allow(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub fn complete(&mut self, ticket: Ticket, outcome: Result<Tokens, Remedy>, now: UnixTime) -> Completion {
        let generation = ticket.0;
        match outcome {
            Ok(tokens) if generation != self.generation => Completion::Stale(Box::new(tokens)),
            Ok(tokens) => {
                let tokens = Arc::new(tokens);
                self.replace(Some(tokens.clone()));
                self.refreshed_at = Some(now);
                Completion::Renewed(tokens)
            }
            Err(remedy) if generation == self.generation => {
                match remedy {
                    Remedy::LogInAgain => self.replace(None),
                    Remedy::TryLater(delay) => self.fail(delay, now),
                    _ => self.fail(None, now),
                }
                Completion::Failed
            }
            Err(_) => Completion::Failed,
        }
    }

    /// A resource has refused this access token ([`is_rejection`](Self::is_rejection)). Only news if it is still the
    /// current one; otherwise somebody has renewed it meanwhile.
    pub fn reject(&mut self, tokens: &Tokens) {
        if self.tokens.as_ref().is_some_and(|own| own.access_token.matches(tokens.access_token.expose())) {
            self.rejected = true;
        }
    }

    /// Whether an answer says that the access token is no good: `401` with `error="invalid_token"` in a `Bearer` challenge
    /// (RFC 6750 section 3.1).
    pub fn is_rejection<B>(response: &Response<B>) -> bool {
        response.status() == StatusCode::UNAUTHORIZED
            && Challenge::bearer(response.headers())
                .is_some_and(|challenge| challenge.error == Some(ErrorCode::INVALID_TOKEN))
    }

    /// Goes on with the tokens of a new login. A refresh under way for the old ones is dropped when it completes.
    pub fn install(&mut self, tokens: Tokens) -> Result<(), Error> {
        self.client.owns(&tokens)?;
        self.replace(Some(Arc::new(tokens)));
        Ok(())
    }

    /// Forgets the tokens, for a logout: from here on it is [`Next::LogIn`]. Gives them back, to be revoked.
    pub fn clear(&mut self) -> Option<Arc<Tokens>> {
        let tokens = self.tokens.take();
        self.replace(None);
        tokens
    }

    fn replace(&mut self, tokens: Option<Arc<Tokens>>) {
        self.tokens = tokens;
        self.generation = self.generation.wrapping_add(1);
        self.rejected = false;
        self.refresh_at = None;
        self.refreshing = false;
        self.refreshed_at = None;
        self.failures = 0;
        self.not_before = None;
    }

    fn is_due(&mut self, tokens: &Tokens, now: UnixTime, rng: &mut dyn CryptoRng) -> bool {
        let Some(expires_at) = tokens.expires_at else { return false };
        let refresh_at = *self.refresh_at.get_or_insert_with(|| {
            let lifetime = expires_at.saturating_since(tokens.issued_at);
            let lead = (lifetime / 10).min(LONGEST_LEAD).as_secs();
            let lead = lead.saturating_add(u64::from(rng.next_u32()) % (lead / 2).saturating_add(1));
            UnixTime::from_secs(expires_at.as_secs().saturating_sub(lead))
        });
        now >= refresh_at
    }

    fn fail(&mut self, delay: Option<Duration>, now: UnixTime) {
        let doubled = Duration::from_secs(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX)).min(LONGEST_BACK_OFF);
        self.failures = self.failures.saturating_add(1).min(32);
        self.refreshing = false;
        self.not_before = Some(now.saturating_add(delay.unwrap_or(doubled).max(Duration::from_secs(1))));
    }
}

/// Longer-lived tokens are renewed this long before their end.
const LONGEST_LEAD: Duration = Duration::from_secs(60);

/// Unless the server asks for more, a failing refresh is tried again at least this often.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
