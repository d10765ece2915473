//! What a test may ask about what happened: the requests that came, and how often tokens moved.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method};
use oauth_as::events::{Event, EventSink};
use oauth_as::grant::GrantType;

/// A request the server has answered.
///
/// Nothing is hidden: this is a test server, and its `Debug` prints credentials.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, as it was sent.
    pub query: Option<String>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: String,
    /// The status it was answered with.
    pub status: u16,
}

impl Seen {
    /// The form body's parameters, decoded, in order, repeated ones repeated.
    pub fn parameters(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The names of the form body's parameters, in order.
    pub fn parameter_names(&self) -> Vec<String> {
        self.parameters().into_iter().map(|(name, _)| name).collect()
    }

    /// The form body's parameter of this name, if there is one; the first of several.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// The `Authorization` header, if it was sent and is text.
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(http::header::AUTHORIZATION)?.to_str().ok()
    }
}

/// How many requests are remembered. A bench sends more and asks for none.
const REMEMBERED: usize = 10_000;

/// The server's memory of what it saw.
#[derive(Default)]
pub(crate) struct Log {
    requests: Mutex<VecDeque<Seen>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    token_requests: AtomicU64,
    refreshes: AtomicU64,
    reuses: AtomicU64,
    code_replays: AtomicU64,
}

impl Log {
    pub(crate) fn push(&self, seen: Seen) {
        let mut requests = self.lock();
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(seen);
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.lock().iter().cloned().collect()
    }

    pub(crate) fn forget_requests(&self) {
        self.lock().clear();
    }

    pub(crate) fn count_token_request(&self) {
        self.counters.token_requests.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.counters.token_requests.load(Ordering::SeqCst)
    }

    pub(crate) fn refreshes(&self) -> u64 {
        self.counters.refreshes.load(Ordering::SeqCst)
    }

    pub(crate) fn reuses(&self) -> u64 {
        self.counters.reuses.load(Ordering::SeqCst)
    }

    pub(crate) fn code_replays(&self) -> u64 {
        self.counters.code_replays.load(Ordering::SeqCst)
    }

    /// The ear to give to `oauth-as`.
    pub(crate) fn sink(&self) -> Box<dyn EventSink> {
        Box::new(Ear(Arc::clone(&self.counters)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Seen>> {
        self.requests.lock().expect("nothing panics while it is held")
    }
}

struct Ear(Arc<Counters>);

impl EventSink for Ear {
    fn on_event(&self, event: Event<'_>) {
        let counter = match event {
            Event::TokenIssued { grant_type: GrantType::RefreshToken, .. } => &self.0.refreshes,
            Event::RefreshTokenReuseDetected { .. } => &self.0.reuses,
            Event::AuthorizationCodeReplayDetected { .. } => &self.0.code_replays,
            _ => return,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}
