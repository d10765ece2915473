//! The wait as one future on tokio: it spawns nothing, so dropping it ends everything.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use proofkey_core::{Callback, Pending};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::Sockets;
use crate::error::Error;
use crate::request::Endpoint;
use crate::visitors::{Round, Visitors};

pub(crate) async fn wait(
    socket: TcpListener,
    endpoint: &Endpoint,
    pending: &Pending,
    deadline: Instant,
) -> Result<Callback, Error> {
    let listener = tokio::net::TcpListener::from_std(socket).map_err(Error::Io)?;
    let mut visitors = Visitors::new(endpoint, pending, deadline);
    let mut sleep = pin!(tokio::time::sleep_until(deadline.into()));
    poll_fn(|context| {
        loop {
            // The clock that the sleep goes by, which a test may stop.
            let now = tokio::time::Instant::now().into_std();
            match visitors.round(&mut Polled { listener: &listener, context }, now) {
                Round::Over => return Poll::Ready(()),
                Round::Again => context.waker().wake_by_ref(),
                Round::WaitUntil(until) => {
                    sleep.as_mut().reset(until.into());
                    if sleep.as_mut().poll(context).is_ready() {
                        continue;
                    }
                }
            }
            return Poll::Pending;
        }
    })
    .await;
    visitors.into_result()
}

/// Sockets that wake this task when they are ready.
struct Polled<'a, 'c> {
    listener: &'a tokio::net::TcpListener,
    context: &'a mut Context<'c>,
}

impl Sockets for Polled<'_, '_> {
    type Stream = TcpStream;

    fn accept(&mut self) -> io::Result<Self::Stream> {
        now(self.listener.poll_accept(self.context)).map(|(stream, _)| stream)
    }

    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        now(Pin::new(stream).poll_read(self.context, &mut buffer)).map(|()| buffer.filled().len())
    }

    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<usize> {
        now(Pin::new(stream).poll_write(self.context, bytes))
    }

    fn finish(&mut self, stream: &mut Self::Stream) -> io::Result<()> {
        now(Pin::new(stream).poll_shutdown(self.context))
    }
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
