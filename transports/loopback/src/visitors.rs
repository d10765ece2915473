//! Everybody who is connected: few at a time, each for a while, until this login's browser has come and has its page.
//!
//! A page in the same browser, or a program on the same machine, may open connections without end. When there are too
//! many, the oldest gives way, so nobody keeps the browser out by sitting there; and each has its deadline. A program of this
//! machine that opens connections faster than the browser can send its request delays a login, and ends none.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use proofkey_core::{Callback, Pending};

use crate::connection::{Connection, Sockets};
use crate::error::Error;
use crate::request::{Endpoint, Verdict};

/// The login that is waited for, and what is known of it.
pub(crate) struct Login<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) pending: &'a Pending,
    strangers: u32,
    /// What its browser brought.
    returned: Option<Callback>,
}

impl Login<'_> {
    /// Remembers what a request meant, and gives the answer to it.
    pub(crate) fn note(&mut self, verdict: Verdict) -> Vec<u8> {
        self.strangers = self.strangers.saturating_add(verdict.stranger.into());
        self.returned = self.returned.take().or(verdict.callback);
        verdict.answer
    }
}

pub(crate) struct Visitors<'a, S> {
    login: Login<'a>,
    deadline: Instant,
    /// The oldest first.
    connections: VecDeque<Connection<S>>,
}

/// What a round of looking at everybody has come to.
pub(crate) enum Round {
    /// Look again when a socket is ready, or at this time.
    WaitUntil(Instant),
    /// There was more to do than a round does.
    Again,
    /// The wait is over, and there is a [result](Visitors::into_result).
    Over,
}

impl<'a, S> Visitors<'a, S> {
    pub(crate) fn new(endpoint: &'a Endpoint, pending: &'a Pending, deadline: Instant) -> Self {
        let login = Login { endpoint, pending, strangers: 0, returned: None };
        Self { login, deadline, connections: VecDeque::new() }
    }

    pub(crate) fn into_result(self) -> Result<Callback, Error> {
        self.login.returned.ok_or(Error::TimedOut { strangers: self.login.strangers })
    }

    /// Whether this login's browser has been here. It may still be taking its page.
    pub(crate) fn has_returned(&self) -> bool {
        self.login.returned.is_some()
    }

    /// Lets in who is there, and does for each what can be done without waiting.
    pub(crate) fn round(&mut self, sockets: &mut impl Sockets<Stream = S>, now: Instant) -> Round {
        for _ in 0..self.connections.len() {
            if let Some(connection) = self.connections.pop_front() {
                self.advance(connection, sockets, now);
            }
        }
        let mut again = now + LONGEST_SLEEP;
        let mut admitted = 0;
        while !self.has_returned() && admitted < MAX_CONNECTIONS {
            match sockets.accept() {
                Ok(stream) => {
                    admitted += 1;
                    self.advance(Connection::new(stream, now), sockets, now);
                    if self.connections.len() > MAX_CONNECTIONS {
                        self.connections.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Whoever wanted in is gone, or this process has no descriptor left for a moment.
                Err(_) => {
                    again = now + SHORT_OF_SOCKETS;
                    break;
                }
            }
        }
        let has_returned = self.has_returned();
        if (has_returned && self.connections.is_empty()) || (!has_returned && now >= self.deadline) {
            return Round::Over;
        }
        if admitted == MAX_CONNECTIONS {
            return Round::Again;
        }
        if !has_returned {
            again = again.min(self.deadline);
        }
        Round::WaitUntil(self.connections.iter().map(Connection::deadline).fold(again, Instant::min))
    }

    /// Takes a connection as far as it gets, and keeps it if there is more to come of it.
    fn advance(&mut self, mut connection: Connection<S>, sockets: &mut impl Sockets<Stream = S>, now: Instant) {
        let had_returned = self.has_returned();
        let is_open = connection.advance(sockets, &mut self.login, now);
        if self.has_returned() && !had_returned {
            // Nobody else matters any more.
            self.connections.clear();
        }
        if is_open {
            self.connections.push_back(connection);
        }
    }
}

/// Browsers open up to six to one host.
const MAX_CONNECTIONS: usize = 64;

/// After a connection could not be taken.
const SHORT_OF_SOCKETS: Duration = Duration::from_millis(100);

/// Far deadlines are slept towards in pieces.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
