//! Staying logged in: [`proofkey_core::Session`] with threads that wait.
//!
//! The machine says whose turn it is; here is the waiting. Who is told to refresh does it on their own thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chacha20::ChaCha20Rng;
use http::{Request, Response};
use proofkey_core::{Body, Client, Completion, Next, Refresh, Remedy, Revocation, Session as Machine, Ticket, Tokens};

use crate::{Error, Transport, entropy, now};

/// A login that stays fresh: it holds a client and its tokens, and renews them when they are due.
///
/// However many threads ask, one refresh is under way at a time, and all of them get what comes of it. It runs on the
/// thread of the caller who was the first to find it due; while the old access token lasts, the others get that and wait
/// for nothing. Cheap to clone; the clones are one session.
///
/// ```no_run
/// # use proofkey_core::{Client, Remedy, Tokens};
/// # use proofkey_ureq::{Error, Session, Transport};
/// # fn store(_: &Tokens) {}
/// # fn show(http: Transport, client: Client, tokens: Tokens) -> Result<(), Error> {
/// let session = Session::new(http, client, tokens)?.on_refresh(store);
///
/// let photos = http::Request::get("https://api.example.com/photos").body("").expect("a request");
/// match session.call(photos) {
///     Ok(answer) => println!("{}", answer.status()),
///     Err(error) if error.remedy() == Remedy::LogInAgain => println!("please log in"),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// A refresh whose answer was lost is tried once more, for the server may have acted; after a second loss somebody has to
/// log in. Whoever would rather go on trying [installs](Self::install) the same tokens again.
///
/// It serves one process: machines that share a refresh token would spend it twice, so give each a login of its own.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    transport: Transport,
    state: Mutex<State>,
    /// Told after every change that lets a waiting caller go on.
    changed: Condvar,
}

struct State {
    machine: Machine,
    rng: ChaCha20Rng,
    hook: Option<Arc<Hook>>,
    /// Refreshes begun: the number of the last one.
    begun: u64,
    /// Which refresh was the last to end, and how: for those who waited for it.
    outcome: Option<(u64, Result<Arc<Tokens>, Failure>)>,
}

type Hook = dyn Fn(&Tokens) + Send + Sync;

#[derive(Clone)]
struct Failure {
    cause: Arc<Error>,
    remedy: Remedy,
}

impl Session {
    /// A session over these tokens, of a login or from a store.
    ///
    /// [`Error::Protocol`] if they are not this client's, or [`Error::Entropy`].
    pub fn new(transport: Transport, client: Client, tokens: Tokens) -> Result<Self, Error> {
        let machine = Machine::new(client, tokens)?;
        let state = State { machine, rng: entropy()?, hook: None, begun: 0, outcome: None };
        Ok(Self(Arc::new(Shared { transport, state: Mutex::new(state), changed: Condvar::new() })))
    }

    /// Calls `hook` with new tokens before any caller gets them, to store them: the refresh token before them is spent.
    /// It is the session's, for all clones, and replaces an earlier one.
    ///
    /// Everybody waits for it, so it should be quick, and must not ask the session for tokens. If it panics, the panic is
    /// that of the thread which refreshed, and the tokens are used all the same. A logout or a login while it runs cannot
    /// call it back: what it stores is then out of date.
    #[must_use]
    pub fn on_refresh(self, hook: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
        self.0.lock().hook = Some(Arc::new(hook));
        self
    }

    /// Tokens that are fresh, as far as is known.
    ///
    /// [`Error::Refresh`] if they could not be renewed, [`Error::LogIn`] if there is nothing to renew, and
    /// [`Error::Timeout`] for who has waited twice the transport's time-out for another's refresh and hook. The thread
    /// must not be ended in the middle of a refresh, as by the end of the program: it would cost the login.
    pub fn tokens(&self) -> Result<Arc<Tokens>, Error> {
        self.0.tokens()
    }

    /// Sends a request to a protected resource, and gives its answer, whatever it is. Redirects are not followed.
    ///
    /// If the resource says that the access token is no good (`401` with `invalid_token`), the tokens are renewed and the
    /// request is sent again, once. To stream a body, use [`tokens`](Self::tokens) with [`Tokens::authorize`], and
    /// [`reject`](Self::reject).
    ///
    /// Errors as [`tokens`](Self::tokens) and [`Client::call`] have them.
    pub fn call<B: Into<Body>>(&self, request: Request<B>) -> Result<Response<Vec<u8>>, Error> {
        let (head, body) = request.map(Into::into).into_parts();
        let again = Request::from_parts(head.clone(), Body::from(body.as_ref().to_vec()));
        let tokens = self.0.tokens()?;
        let answer = self.0.send(&tokens, Request::from_parts(head, body))?;
        if !Machine::is_rejection(&answer) {
            return Ok(answer);
        }
        self.reject(&tokens);
        let tokens = self.0.tokens()?;
        self.0.send(&tokens, again)
    }

    /// A resource has refused these tokens with `invalid_token`: they are renewed for the next caller, unless they have
    /// been already.
    pub fn reject(&self, tokens: &Tokens) {
        self.0.lock().machine.reject(tokens);
    }

    /// Goes on with the tokens of a new login. What a refresh under way brings for the old ones is dropped.
    ///
    /// [`Error::Protocol`] if they are not this client's; nothing has changed then.
    pub fn install(&self, tokens: Tokens) -> Result<(), Error> {
        let mut state = self.0.lock();
        state.machine.install(tokens)?;
        state.outcome = None;
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Forgets the tokens, and gives them back to be [revoked](Client::revoke). From here on nobody gets any until
    /// [`install`](Self::install): what a refresh under way brings is revoked, if the server can, and dropped.
    pub fn clear(&self) -> Option<Arc<Tokens>> {
        let mut state = self.0.lock();
        let tokens = state.machine.clear();
        state.outcome = None;
        drop(state);
        self.0.changed.notify_all();
        tokens
    }
}

/// Says nothing of the tokens.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("transport", &self.0.transport).finish_non_exhaustive()
    }
}

impl Shared {
    /// Whoever panicked while it was held: each change of the state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, tokens: &Tokens, request: Request<Body>) -> Result<Response<Vec<u8>>, Error> {
        let call = self.lock().machine.client().call(tokens, request);
        self.transport.run(call)
    }

    fn tokens(self: &Arc<Self>) -> Result<Arc<Tokens>, Error> {
        let longest = self.transport.timeout.saturating_mul(2);
        let begun = Instant::now();
        let mut awaited = 0;
        let mut state = self.lock();
        loop {
            match state.next(&mut awaited)? {
                Next::Use(tokens) => return Ok(tokens),
                Next::Refresh(ticket, refresh) => {
                    drop(state);
                    Task::new(self, awaited, ticket).run(refresh);
                    state = self.lock();
                }
                _ => {
                    let left = longest.checked_sub(begun.elapsed()).ok_or(Error::Timeout)?;
                    let woken = self.changed.wait_timeout(state, left);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

impl State {
    /// What the machine says, but first the outcome of the refresh that was waited for, and refusals as errors.
    fn next(&mut self, awaited: &mut u64) -> Result<Next, Error> {
        let failure = match &self.outcome {
            Some((number, Ok(tokens))) if awaited == number => return Ok(Next::Use(tokens.clone())),
            Some((number, Err(failure))) if awaited == number => {
                let usable = self.machine.usable(now()).cloned();
                return usable.map(Next::Use).ok_or_else(|| failure.clone().into());
            }
            Some((_, Err(failure))) => Some(failure.clone()),
            _ => None,
        };
        let next = self.machine.next(now(), &mut self.rng);
        match &next {
            Next::Refresh(..) => self.begun += 1,
            Next::Later(delay) => return Err(failure.map_or(Error::Interrupted, |failure| failure.after(*delay))),
            Next::LogIn => return Err(failure.map_or(Error::LogIn, Error::from)),
            _ => {}
        }
        *awaited = self.begun;
        Ok(next)
    }
}

impl Failure {
    /// What is left of it, this long before the next try.
    fn after(self, delay: Duration) -> Error {
        let later = matches!(self.remedy, Remedy::TryLater(_));
        Self { remedy: if later { Remedy::TryLater(Some(delay)) } else { self.remedy }, ..self }.into()
    }
}

impl From<Failure> for Error {
    fn from(Failure { cause, remedy }: Failure) -> Self {
        Self::Refresh { cause, remedy }
    }
}

/// A refresh under way. However it ends, if by a panic, dropping it tells everybody.
struct Task {
    shared: Arc<Shared>,
    number: u64,
    ticket: Option<Ticket>,
    outcome: Result<Arc<Tokens>, Error>,
}

impl Task {
    fn new(shared: &Arc<Shared>, number: u64, ticket: Ticket) -> Self {
        Self { shared: shared.clone(), number, ticket: Some(ticket), outcome: Err(Error::Interrupted) }
    }

    fn run(mut self, refresh: Refresh) {
        self.outcome = self.shared.transport.run(refresh).map(Arc::new);
        // From here on new tokens are kept, whatever the hook does.
        if let Ok(tokens) = &self.outcome
            && let Some(hook) = self.hook()
        {
            hook(tokens);
        }
        if let Some(revocation) = self.complete() {
            self.shared.transport.run(revocation).ok();
        }
    }

    /// The hook, if the tokens will be used.
    fn hook(&self) -> Option<Arc<Hook>> {
        let state = self.shared.lock();
        let current = state.machine.is_current(self.ticket.as_ref()?);
        state.hook.clone().filter(|_| current)
    }

    /// Hands the outcome in, once. What comes after a logout is to be revoked.
    fn complete(&mut self) -> Option<Revocation> {
        let ticket = self.ticket.take()?;
        let outcome = std::mem::replace(&mut self.outcome, Err(Error::Interrupted));
        let mut state = self.shared.lock();
        let done = match &outcome {
            Ok(tokens) => state.machine.complete(ticket, Ok(tokens.clone()), now()),
            Err(lost) if lost.ambiguous() => state.machine.lost(ticket, lost.remedy(), now()),
            Err(error) => state.machine.complete(ticket, Err(error.remedy()), now()),
        };
        let late = match (done, outcome) {
            (Completion::Stale(tokens), _) => tokens.filter(|_| state.machine.tokens().is_none()),
            (Completion::Failed(remedy), Err(cause)) => {
                let failure = Failure { cause: Arc::new(cause), remedy };
                state.outcome = Some((self.number, Err(failure)));
                None
            }
            (_, outcome) => {
                state.outcome = outcome.ok().map(|tokens| (self.number, Ok(tokens)));
                None
            }
        };
        let revocation = late.and_then(|tokens| state.machine.client().revoke(&tokens).ok());
        drop(state);
        self.shared.changed.notify_all();
        revocation
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.complete();
    }
}
