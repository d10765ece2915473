//! One connection: a request comes, an answer goes, and the rest is let drain.
//!
//! A server that closes a socket with unread bytes in it resets the connection, and the browser shows an error where the
//! page should be. So the end is orderly: the whole answer, then the end of our side, then whatever the other side still
//! sends, for a while and up to a limit.

use std::io;
use std::time::{Duration, Instant};

use crate::request::Request;
use crate::visitors::Login;

/// Sockets that never block: they fail with [`io::ErrorKind::WouldBlock`], and whoever owns them learns when to try again.
pub(crate) trait Sockets {
    type Stream;
    fn accept(&mut self) -> io::Result<Self::Stream>;
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize>;
    /// Ends our side.
    fn finish(&mut self, stream: &mut Self::Stream) -> io::Result<()>;
}

pub(crate) struct Connection<S> {
    stream: S,
    phase: Phase,
    deadline: Instant,
}

enum Phase {
    Asking(Request),
    Answering { answer: Vec<u8>, sent: usize },
    Leaving { drained: usize },
}

impl<S> Connection<S> {
    pub(crate) fn new(stream: S, now: Instant) -> Self {
        Self { stream, phase: Phase::Asking(Request::default()), deadline: now + SLOWEST_REQUEST }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Does what can be done without waiting. `false` if the connection can be closed.
    pub(crate) fn advance(
        &mut self,
        sockets: &mut impl Sockets<Stream = S>,
        login: &mut Login<'_>,
        now: Instant,
    ) -> bool {
        match self.run(sockets, login, now) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => now < self.deadline,
            _ => false,
        }
    }

    /// Runs to its end, or to where it would have to wait.
    fn run(&mut self, sockets: &mut impl Sockets<Stream = S>, login: &mut Login<'_>, now: Instant) -> io::Result<()> {
        let mut buffer = [0; 8 * 1024];
        loop {
            match &mut self.phase {
                Phase::Asking(request) => {
                    let received = match retry(|| sockets.read(&mut self.stream, &mut buffer))? {
                        0 => return Ok(()),
                        count => buffer.get(..count).unwrap_or_default(),
                    };
                    if let Some(verdict) = request.receive(received, login.endpoint, login.pending) {
                        self.phase = Phase::Answering { answer: login.note(verdict), sent: 0 };
                        self.deadline = now + SLOWEST_ANSWER;
                    }
                }
                Phase::Answering { answer, sent } => match answer.get(*sent..) {
                    Some(rest) if !rest.is_empty() => *sent += retry(|| sockets.write(&mut self.stream, rest))?,
                    _ => {
                        sockets.finish(&mut self.stream)?;
                        self.phase = Phase::Leaving { drained: 0 };
                    }
                },
                Phase::Leaving { drained } => match retry(|| sockets.read(&mut self.stream, &mut buffer))? {
                    count if count > 0 && *drained < MAX_DRAINED => *drained += count,
                    _ => return Ok(()),
                },
            }
        }
    }
}

/// A signal is no reason to give a connection up.
fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A browser on this machine sends its request at once; one that only opened a connection in advance opens another.
const SLOWEST_REQUEST: Duration = Duration::from_secs(10);

/// For an answer of a few kilobytes to be taken, and for the other side to close.
const SLOWEST_ANSWER: Duration = Duration::from_secs(2);

/// What may still come behind a request, in bytes.
const MAX_DRAINED: usize = 1024 * 1024;
