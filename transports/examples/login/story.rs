//! What is told to a person, on stderr: a numbered line a step, and a countdown where somebody is waited for.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Clones count on.
#[derive(Clone, Default)]
pub(crate) struct Story(Arc<AtomicU32>);

impl Story {
    pub(crate) fn tell(&self, what: &str, how: impl Display) {
        let step = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        // On a terminal it takes the place of the countdown.
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        // Nobody has to listen.
        let _ = writeln!(std::io::stderr(), "{clear}{step:3}. {what:<10} {how}");
    }
}

/// A line on the terminal that counts the time down; gone when dropped. Elsewhere than on a terminal there is none.
pub(crate) struct Countdown {
    stop: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Countdown {
    pub(crate) fn until(deadline: Instant) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut stderr = std::io::stderr();
            loop {
                let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                let _ = write!(stderr, "\r     waiting    {}:{:02} ", left / 60, left % 60);
                if !matches!(stopped.recv_timeout(Duration::from_secs(1)), Err(RecvTimeoutError::Timeout)) {
                    let _ = write!(stderr, "\r\x1b[K");
                    return;
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
