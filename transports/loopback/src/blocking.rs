//! The wait on the calling thread: one thread, no other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token};
use proofkey_core::{Callback, Pending};

use crate::cancel::Cancellation;
use crate::connection::Sockets;
use crate::error::Error;
use crate::request::Endpoint;
use crate::visitors::{Round, Visitors};

pub(crate) fn wait(
    socket: TcpListener,
    endpoint: &Endpoint,
    cancellation: &Cancellation,
    pending: &Pending,
    deadline: Instant,
) -> Result<Callback, Error> {
    let poll = Poll::new().map_err(Error::Io)?;
    let mut sockets = Watched { listener: mio::net::TcpListener::from_std(socket), poll };
    sockets.poll.registry().register(&mut sockets.listener, ANY, Interest::READABLE).map_err(Error::Io)?;
    cancellation.wakes(mio::Waker::new(sockets.poll.registry(), ANY).map_err(Error::Io)?);
    let mut events = Events::with_capacity(64);
    let mut visitors = Visitors::new(endpoint, pending, deadline);
    loop {
        let now = Instant::now();
        let until = match visitors.round(&mut sockets, now) {
            Round::Over => return visitors.into_result(),
            _ if cancellation.is_cancelled() && !visitors.has_returned() => return Err(Error::Cancelled),
            Round::Again => now,
            Round::WaitUntil(until) => until,
        };
        match sockets.poll.poll(&mut events, Some(until.saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(Error::Io(error)),
            _ => {}
        }
    }
}

/// Every socket wakes the thread; which one it was is found out by trying each.
struct Watched {
    listener: mio::net::TcpListener,
    poll: Poll,
}

impl Sockets for Watched {
    type Stream = mio::net::TcpStream;

    fn accept(&mut self) -> io::Result<Self::Stream> {
        let (mut stream, _) = self.listener.accept()?;
        self.poll.registry().register(&mut stream, ANY, Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }

    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }

    fn finish(&mut self, stream: &mut Self::Stream) -> io::Result<()> {
        stream.shutdown(Shutdown::Write)
    }
}

const ANY: Token = Token(0);
