//! Ending the blocking wait from another thread: by the application's own button, say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mio::Waker;

/// Ends the [`wait`](crate::Loopback::wait) of the listener that [gave](crate::Loopback::canceller) it, from whatever thread.
/// Dropping it does nothing.
#[derive(Clone, Debug)]
pub struct Canceller(Weak<Mutex<State>>);

/// The side that waits. What a wait leaves here is gone when it is over.
#[derive(Default)]
pub(crate) struct Cancellation(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    waker: Option<Waker>,
}

impl Canceller {
    /// The wait ends with [`Error::Cancelled`](crate::Error::Cancelled), now, or as soon as it begins, unless its
    /// deadline has passed. Once this login's browser is back it is too late: then there is a callback, which may be ignored.
    pub fn cancel(&self) {
        let Some(state) = self.0.upgrade() else { return };
        let mut state = lock(&state);
        state.is_cancelled = true;
        // Where the system cannot, the thread looks up by itself within a minute.
        state.waker.as_ref().map(Waker::wake);
    }
}

impl Cancellation {
    pub(crate) fn canceller(&self) -> Canceller {
        Canceller(Arc::downgrade(&self.0))
    }

    /// What to wake. Whether it is too late for that is to be [asked](Self::is_cancelled) afterwards.
    pub(crate) fn wakes(&self, waker: Waker) {
        lock(&self.0).waker = Some(waker);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        lock(&self.0).is_cancelled
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
