//! The transport, and what `--verbose` tells of its requests and answers: no exchange is changed for that, only wrapped.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use proofkey::blocking::{Error, Transport};
use proofkey::{Body, CryptoRng, Exchange, Step, UnixTime};
use serde_json::{Map, Value};

#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) transport: Transport,
    verbose: bool,
}

impl Http {
    pub(crate) fn new(verbose: bool) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new()?, verbose })
    }

    pub(crate) fn run<X: Exchange>(&self, exchange: X) -> Result<X::Output, Error> {
        if self.verbose { self.transport.run(Told(exchange)) } else { self.transport.run(exchange) }
    }
}

/// An exchange that tells what passes through it, but for what could be a secret.
struct Told<X>(X);

impl<X: Exchange> Exchange for Told<X> {
    type Output = X::Output;

    fn initial_delay(&self) -> Duration {
        self.0.initial_delay()
    }

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, proofkey::Error> {
        let request = self.0.next_request(now, rng)?;
        line(format_args!("> {} {}", request.method(), request.uri()));
        headers('>', request.headers());
        for (name, value) in url::form_urlencoded::parse(request.body().as_ref()) {
            line(format_args!("> {}={}", name.escape_debug(), known(&name, || value.escape_debug().to_string())));
        }
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<X::Output>, proofkey::Error> {
        line(format_args!("< {}", response.status()));
        headers('<', response.headers());
        match serde_json::from_slice::<Map<String, Value>>(response.body()) {
            Ok(members) => members.iter().for_each(|(name, value)| {
                line(format_args!("< {}: {}", Value::from(name.as_str()), known(name, || value.to_string())));
            }),
            Err(_) => line(format_args!("< {} bytes", response.body().len())),
        }
        self.0.handle_response(response)
    }
}

fn headers(side: char, headers: &HeaderMap) {
    for (name, value) in headers {
        let text = || String::from_utf8_lossy(value.as_bytes()).escape_debug().to_string();
        let shown = if value.is_sensitive() { HIDDEN.to_owned() } else { known(name.as_str(), text) };
        line(format_args!("{side} {name}: {shown}"));
    }
}

fn line(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "     {text}");
}

/// A value that is known to be no secret; any other could be one, or quote one as descriptions of errors do.
fn known(name: &str, value: impl FnOnce() -> String) -> String {
    let open = name.ends_with("_endpoint") || name.ends_with("_supported") || OPEN.contains(&name);
    if open { value() } else { HIDDEN.to_owned() }
}

const OPEN: [&str; 28] = [
    // of requests
    "grant_type",
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "resource",
    "code_challenge_method",
    "token_type_hint",
    // of answers
    "issuer",
    "token_type",
    "expires_in",
    "interval",
    "verification_uri",
    "active",
    "error",
    // headers
    "accept",
    "content-type",
    "content-length",
    "content-encoding",
    "cache-control",
    "date",
    "host",
    "pragma",
    "retry-after",
    "server",
    "user-agent",
    "vary",
    "x-content-type-options",
];

const HIDDEN: &str = "[redacted]";
