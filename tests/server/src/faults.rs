//! Faults a test may ask for: slow answers and outages at the token endpoint.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;

/// What is to go wrong; nothing, at first.
#[derive(Default)]
pub(crate) struct Faults {
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    delay: Duration,
    failures: usize,
    failure_status: StatusCode,
}

impl Faults {
    pub(crate) fn delay_token_answers(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    pub(crate) fn fail_token_requests(&self, n: usize, status: StatusCode) {
        let mut asked = self.lock();
        asked.failures = n;
        asked.failure_status = status;
    }

    pub(crate) fn delay(&self) -> Duration {
        self.lock().delay
    }

    /// The answer of a broken proxy, if this token request is one of those to be failed.
    pub(crate) fn outage(&self) -> Option<Response> {
        let mut asked = self.lock();
        asked.failures = asked.failures.checked_sub(1)?;
        let mut response =
            Response::new(Body::from("<!DOCTYPE html><title>Sorry</title><h1>The service is having a rest</h1>"));
        *response.status_mut() = asked.failure_status;
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
        Some(response)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().expect("nothing panics while it is held")
    }
}
