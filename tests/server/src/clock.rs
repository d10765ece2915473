//! The server's clock: the system's, plus however far a test has moved it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Shared by the server (which reads it) and the handle (which moves it).
#[derive(Clone, Default)]
pub(crate) struct Clock {
    ahead_millis: Arc<AtomicU64>,
}

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("a test does not wait for aeons");
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

impl oauth_as::server::Clock for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_millis(self.ahead_millis.load(Ordering::Relaxed))
    }
}
