//! Staying logged in: whose turn it is to refresh, and with what outcome. A machine without I/O, like all of it.
//!
//! ```text
//!              next(now, rng)
//!   any task ─────────────────►  Use(tokens)              here is a token that is fresh
//!                                Refresh(ticket, exchange) yours to run; store what comes of it, then
//!                                                          complete(ticket, outcome, now), or
//!                                                          lost(ticket, remedy, now) if the answer was
//!                                Wait                      somebody is at it: ask again when they are done
//!                                Later(delay)              it failed a moment ago: not before then
//!                                LogIn                     nothing left to renew with
//! ```
//!
//! A server that rotates refresh tokens may end the whole grant when one is used twice (RFC 9700 section 4.14.2), so at
//! most one refresh of the tokens held is under way at any time. A ticket names the session and the tokens it was given
//! for: what comes back for others, because a login or a logout came first, is dropped. While the old access token lasts,
//! a slow or failing refresh disturbs nobody.
//!
//! A refresh whose answer was lost may have spent its refresh token. It is tried once more, because many servers forgive
//! that or do not rotate at all; after a second loss it is a person's turn.
//!
//! Not seen to: tokens that are cleared or replaced during a refresh and then installed again, whose refresh token may be
//! spent by then.
//!
//! This serves one process. Machines that share a grant need a lease on it around [`Next::Refresh`]; until then, give each
//! its own login.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use rand_core::CryptoRng;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::error::{Error, Remedy};
use crate::refresh::Refresh;
use crate::refusal::ErrorCode;
use crate::time::UnixTime;
use crate::token::Tokens;

/// A client, its tokens, and what is being done to keep them fresh. The transports wrap it for their kind of waiting.
#[derive(Debug)]
pub struct Session {
    client: Client,
    /// What its tickets are known by.
    identity: Arc<()>,
    tokens: Option<Arc<Tokens>>,
    /// Counts the tokens held: a ticket is good for one generation.
    generation: u64,
    /// The resource has refused the access token.
    rejected: bool,
    /// When to renew, drawn once for these tokens.
    refresh_at: Option<UnixTime>,
    refreshing: bool,
    refreshed_at: Option<UnixTime>,
    /// Refreshes that failed in a row; when the last one did, and until when to leave it at that.
    failures: u32,
    back_off: Option<(UnixTime, UnixTime)>,
    /// How often the refresh token was sent and the answer lost.
    losses: u32,
}

/// What [`Session::next`] says to do.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// These are fresh, as far as is known.
    Use(Arc<Tokens>),
    /// Run this exchange, and hand its outcome to [`Session::complete`], whatever it is, or to [`Session::lost`] if the
    /// answer was. The tokens held may still be [usable](Session::usable) meanwhile.
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
pub struct Ticket {
    generation: u64,
    /// Of this session and no other.
    session: Arc<()>,
}

/// What [`Session::complete`] did.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// These are now the tokens.
    Renewed(Arc<Tokens>),
    /// There are none. The remedy is the one that was handed in; if it is to try later, then after this delay.
    Failed(Remedy),
    /// A login or a logout came first, and nobody will use these. After a logout, revoke them if the server can. After a
    /// login leave them: some servers hold both for one grant, and would end it.
    Stale(Option<Arc<Tokens>>),
}

impl Session {
    /// A session over these tokens, which have to be this client's
    /// ([`Usage::OtherServer`](crate::Usage), [`Usage::OtherClient`](crate::Usage)).
    pub fn new(client: Client, tokens: Tokens) -> Result<Self, Error> {
        let mut session = Self {
            client,
            identity: Arc::new(()),
            tokens: None,
            generation: 0,
            rejected: false,
            refresh_at: None,
            refreshing: false,
            refreshed_at: None,
            failures: 0,
            back_off: None,
            losses: 0,
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

    /// The tokens held, if nothing is known against them: neither expired nor refused. They may be due for renewal.
    pub fn usable(&self, now: UnixTime) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref().filter(|tokens| !self.rejected && tokens.expires_at.is_none_or(|at| now < at))
    }

    /// What to do for a fresh token now. `rng` spreads the refreshes of many sessions.
    ///
    /// Tokens are renewed before they expire, by a minute or a tenth of their lifetime, whichever is less, and up to half
    /// as much again by chance. Without a known expiry they are used until a resource refuses them.
    pub fn next(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Next {
        let Some(tokens) = self.tokens.clone() else { return Next::LogIn };
        let usable = self.usable(now).is_some();
        // Tokens that come expired are used once: the next second is early enough to ask for better.
        let just_made = !self.rejected && self.refreshed_at == Some(now);
        if just_made || (usable && !self.is_due(&tokens, now, rng)) {
            return Next::Use(tokens);
        }
        let renewal = match self.client.refresh(&tokens) {
            Ok(exchange) if self.losses < MOST_LOSSES => exchange,
            _ if usable => return Next::Use(tokens),
            _ => return Next::LogIn,
        };
        let delay = self.delay(now);
        if usable && (self.refreshing || delay.is_some()) {
            return Next::Use(tokens);
        }
        if self.refreshing {
            return Next::Wait;
        }
        if let Some(delay) = delay {
            return Next::Later(delay);
        }
        self.refreshing = true;
        Next::Refresh(Ticket { generation: self.generation, session: self.identity.clone() }, renewal)
    }

    /// Whether the outcome of this refresh will be taken. Ask before storing the tokens that it brought: those of a
    /// session that was logged out meanwhile are not to be kept.
    pub fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.generation == self.generation && Arc::ptr_eq(&ticket.session, &self.identity)
    }

    /// What came of a refresh: new tokens, or what the failure's remedy is.
    ///
    /// New tokens replace the old ones, and are handed out from here on: store them first, so that nobody uses what a
    /// crash would forget. A dead grant ([`Remedy::LogInAgain`]) ends the session. After anything else the old ones stay,
    /// and the next try waits as long as the server asked, or longer with each failure, up to about a minute. There is no
    /// last try, because a server or a configuration may be put right while the session runs. Until then each try is a
    /// failure to be told, and between two of them [`next`](Self::next) says [`Next::Later`].
    ///
    /// An answer that is no good is a lost one, if the server may have acted
    /// ([`Error::ambiguous`](crate::Error::ambiguous)): it goes to [`lost`](Self::lost).
    #[allow(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub fn complete(&mut self, ticket: Ticket, outcome: Result<Arc<Tokens>, Remedy>, now: UnixTime) -> Completion {
        // What a session did not ask for is not its own, and neither is what belongs to another server or client.
        let is_own = outcome.as_ref().is_ok_and(|tokens| self.client.owns(tokens).is_ok()) || outcome.is_err();
        if !self.is_current(&ticket) {
            return Completion::Stale(outcome.ok());
        }
        if !is_own {
            self.fail(None, now);
            return Completion::Stale(outcome.ok());
        }
        match outcome {
            Ok(tokens) => {
                self.replace(Some(tokens.clone()));
                self.refreshed_at = Some(now);
                Completion::Renewed(tokens)
            }
            Err(Remedy::LogInAgain) => {
                self.replace(None);
                Completion::Failed(Remedy::LogInAgain)
            }
            Err(Remedy::TryLater(delay)) => Completion::Failed(Remedy::TryLater(Some(self.fail(delay, now)))),
            Err(remedy) => {
                self.fail(None, now);
                Completion::Failed(remedy)
            }
        }
    }

    /// No answer came, or none that is any good, to a refresh that may have reached the server: its refresh token may be spent, or may be good still.
    /// `remedy` is the failure's.
    ///
    /// The first time this is [`complete`](Self::complete) with that remedy, and the refresh is tried once more. The second
    /// time [`Remedy::LogInAgain`] takes its place: the tokens are held and used as long as they last, and then it is
    /// [`Next::LogIn`]. Whoever would rather go on trying [installs](Self::install) the same ones again.
    pub fn lost(&mut self, ticket: Ticket, remedy: Remedy, now: UnixTime) -> Completion {
        let is_current = self.is_current(&ticket);
        let done = self.complete(ticket, Err(remedy), now);
        // A grant that is dead has nothing left to lose.
        if !is_current || self.tokens.is_none() {
            return done;
        }
        self.losses = self.losses.saturating_add(1);
        if self.losses < MOST_LOSSES { done } else { Completion::Failed(Remedy::LogInAgain) }
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

    /// Goes on with the tokens of a new login. A refresh under way for the old ones is dropped when it completes; unless
    /// these have the very refresh token that is being used, because they are the same ones, read again: then it goes on.
    ///
    /// Tokens that are not this client's change nothing ([`Usage::OtherServer`](crate::Usage),
    /// [`Usage::OtherClient`](crate::Usage)).
    pub fn install(&mut self, tokens: Tokens) -> Result<(), Error> {
        self.client.owns(&tokens)?;
        let spending = self.tokens.as_ref().filter(|_| self.refreshing).and_then(|own| own.refresh_token.as_ref());
        let spent = spending.zip(tokens.refresh_token.as_ref()).is_some_and(|(own, new)| own.matches(new.expose()));
        let generation = self.generation;
        self.replace(Some(Arc::new(tokens)));
        if spent {
            self.generation = generation;
            self.refreshing = true;
        }
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
        self.back_off = None;
        self.losses = 0;
    }

    fn is_due(&mut self, tokens: &Tokens, now: UnixTime, rng: &mut dyn CryptoRng) -> bool {
        let Some(expires_at) = tokens.expires_at else { return false };
        let refresh_at = *self.refresh_at.get_or_insert_with(|| {
            let lifetime = expires_at.saturating_since(tokens.issued_at);
            let lead = (lifetime.as_secs() / 10).min(LONGEST_LEAD);
            let spread = NonZeroU64::MIN.saturating_add(lead / 2);
            let lead = lead.saturating_add(u64::from(rng.next_u32()) % spread);
            UnixTime::from_secs(expires_at.as_secs().saturating_sub(lead))
        });
        now >= refresh_at
    }

    /// How long a failure still forbids another try. A clock that was set back ends it: it would be longer than meant.
    fn delay(&self, now: UnixTime) -> Option<Duration> {
        let (failed_at, until) = self.back_off?;
        (failed_at <= now && now < until).then(|| until.saturating_since(now))
    }

    fn fail(&mut self, delay: Option<Duration>, now: UnixTime) -> Duration {
        let doubled = Duration::from_secs(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX)).min(LONGEST_BACK_OFF);
        let delay = delay.unwrap_or(doubled).max(Duration::from_secs(1));
        self.failures = self.failures.saturating_add(1).min(32);
        self.refreshing = false;
        // The second that this one is part of counts for nothing.
        let delay = delay.saturating_add(Duration::from_secs(1));
        self.back_off = Some((now, now.saturating_add(delay)));
        delay
    }
}

/// Longer-lived tokens are renewed this many seconds before their end.
const LONGEST_LEAD: u64 = 60;

/// Unless the server asks for more, a failing refresh is tried again about this often at least.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// A refresh token is sent again after one answer was lost (the server may have acted on it), and never after two.
const MOST_LOSSES: u32 = 2;
