//! The transports, one behind the other, so that one test runs through each.
#![allow(dead_code)] // each test file uses a part

use std::fmt;

use http::{Request, Response};
use proofkey::rand_core::CryptoRng;
use proofkey::{Authorization, Body, Client, Error, Exchange, Pending, Step, Tokens, UnixTime, Usage};
use url::Url;

/// Which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Reqwest,
    Hyper,
    Ureq,
}

impl Library {
    pub(crate) const ALL: [Self; 3] = [Self::Reqwest, Self::Hyper, Self::Ureq];
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reqwest => "reqwest",
            Self::Hyper => "hyper",
            Self::Ureq => "ureq",
        })
    }
}

/// A transport, and what it runs on.
pub(crate) struct Driver {
    runtime: tokio::runtime::Runtime,
    transport: Transport,
}

/// The transport of each library.
pub(crate) enum Transport {
    Reqwest(proofkey::reqwest::Transport),
    Hyper(Box<proofkey::hyper::Transport>),
    Ureq(proofkey::blocking::Transport),
}

/// Why an exchange came to no result: by the protocol, or by what the HTTP library and its sources say.
#[derive(Debug)]
pub(crate) enum Failure {
    Protocol(Error),
    Http(String),
}

impl Driver {
    /// The transport as it is.
    pub(crate) fn new(library: Library) -> Self {
        Self::over(match library {
            Library::Reqwest => Transport::Reqwest(proofkey::reqwest::Transport::new().expect("a transport")),
            Library::Hyper => Transport::Hyper(Box::new(proofkey::hyper::Transport::new().expect("a transport"))),
            Library::Ureq => Transport::Ureq(proofkey::blocking::Transport::new().expect("a transport")),
        })
    }

    pub(crate) fn all() -> [Self; 3] {
        Library::ALL.map(Self::new)
    }

    pub(crate) fn over(transport: Transport) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, transport }
    }

    /// What becomes of an exchange. Panics where it is not the protocol that failed.
    pub(crate) fn run<X: Exchange + Send>(&self, exchange: X) -> Result<X::Output, Error> {
        self.attempt(exchange).map_err(|failure| match failure {
            Failure::Protocol(error) => error,
            Failure::Http(said) => panic!("{self}: {said}"),
        })
    }

    /// What becomes of an exchange, whatever fails.
    pub(crate) fn attempt<X: Exchange + Send>(&self, exchange: X) -> Result<X::Output, Failure> {
        match &self.transport {
            Transport::Reqwest(http) => self.runtime.block_on(http.run(exchange)).map_err(|error| match error {
                proofkey::reqwest::Error::Protocol(error) => Failure::Protocol(error),
                other => Failure::Http(printed(&other)),
            }),
            Transport::Hyper(http) => self.runtime.block_on(http.run(exchange)).map_err(|error| match error {
                proofkey::hyper::Error::Protocol(error) => Failure::Protocol(error),
                other => Failure::Http(printed(&other)),
            }),
            Transport::Ureq(http) => http.run(exchange).map_err(|error| match error {
                proofkey::blocking::Error::Protocol(error) => Failure::Protocol(error),
                other => Failure::Http(printed(&other)),
            }),
        }
    }

    /// What a session's call brings. Panics if it brings nothing.
    pub(crate) fn call_in_session(&self, client: &Client, tokens: Tokens, request: Request<()>) -> Response<Vec<u8>> {
        let (client, request) = (client.clone(), request.map(|()| Vec::new()));
        match &self.transport {
            Transport::Reqwest(http) => {
                let session = proofkey::reqwest::Session::new(http.clone(), client, tokens).expect("a session");
                self.runtime.block_on(session.call(request)).expect("an answer")
            }
            Transport::Hyper(http) => {
                let session = proofkey::hyper::Session::new((**http).clone(), client, tokens).expect("a session");
                self.runtime.block_on(session.call(request)).expect("an answer")
            }
            Transport::Ureq(http) => {
                let session = proofkey::blocking::Session::new(http.clone(), client, tokens).expect("a session");
                session.call(request).expect("an answer")
            }
        }
    }

    pub(crate) fn start(&self, authorization: Authorization) -> Result<(Url, Pending), Error> {
        let protocol = "nothing is sent, so only the protocol can fail";
        match &self.transport {
            Transport::Reqwest(http) => http.start(authorization).map_err(|error| match error {
                proofkey::reqwest::Error::Protocol(error) => error,
                other => panic!("{protocol}: {other:?}"),
            }),
            Transport::Hyper(http) => http.start(authorization).map_err(|error| match error {
                proofkey::hyper::Error::Protocol(error) => error,
                other => panic!("{protocol}: {other:?}"),
            }),
            Transport::Ureq(http) => http.start(authorization).map_err(|error| match error {
                proofkey::blocking::Error::Protocol(error) => error,
                other => panic!("{protocol}: {other:?}"),
            }),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Reqwest(_) => Library::Reqwest,
            Transport::Hyper(_) => Library::Hyper,
            Transport::Ureq(_) => Library::Ureq,
        }
        .fmt(f)
    }
}

/// A request without a token, which no exchange of the library's is.
pub(crate) struct Call(Option<Request<Body>>);

impl Call {
    pub(crate) fn new(request: Request<Body>) -> Self {
        Self(Some(request))
    }
}

impl Exchange for Call {
    type Output = Response<Vec<u8>>;

    fn next_request(&mut self, _: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.0.take().ok_or(Error::Usage(Usage::OutOfTurn))
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        Ok(Step::Done(response))
    }
}

/// An error and what it comes from.
fn printed(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(|error| format!("{error:?}")).collect::<Vec<_>>().join("; ")
}
