//! The browser and the server, as far as a login sees them: prepared beforehand, so that what they cost is not measured.

use std::hint::black_box;

use http::{HeaderMap, Method, Request, Uri};

use crate::input::{self, Answer};
use crate::step::Until;

/// Why a login did not come to its end.
#[derive(Debug, PartialEq)]
pub enum End {
    /// It was to be measured as far as this.
    Enough,
    /// The library said no.
    Refused,
}

/// One login's surroundings.
pub struct World {
    until: Until,
    /// What the browser brings back, but for the state that stands between.
    pub before: &'static str,
    pub after: String,
    target: String,
    answer: Option<Answer>,
    /// What was sent and read, where somebody wants to know.
    pub seen: Option<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub url: String,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub tokens: Option<Tokens<String>>,
    pub error: String,
}

/// What can be read of a token response.
pub struct Tokens<T> {
    pub access_token: T,
    pub refresh_token: T,
    pub id_token: T,
    pub scope: T,
    /// Seconds, from the answer or from now.
    pub expires_in: u64,
}

impl World {
    pub fn new(until: Until, answer: Answer) -> Self {
        Self {
            until,
            before: "/cb?code=SplxlOBeZQQYbYS6WxSbIA&state=",
            after: input::ISS.to_owned(),
            target: String::with_capacity(16 * 1024),
            answer: Some(answer),
            seen: None,
        }
    }

    /// The browser goes there and comes back with this state: the request target that a web server sees.
    pub fn visit(&mut self, url: &str, state: &str) -> Result<String, End> {
        black_box(url);
        if let Some(seen) = &mut self.seen {
            url.clone_into(&mut seen.url);
        }
        if self.until == Until::Begin {
            return Err(End::Enough);
        }
        for part in [self.before, state, &self.after] {
            self.target.push_str(part);
        }
        Ok(std::mem::take(&mut self.target))
    }

    /// The callback has been read and checked.
    pub fn returned<T>(&self, read: &T) -> Result<(), End> {
        black_box(read);
        if self.until == Until::Callback { Err(End::Enough) } else { Ok(()) }
    }

    pub fn send<B: AsRef<[u8]>>(&mut self, request: &Request<B>) -> Result<Answer, End> {
        self.sent(request);
        self.answer().ok_or(End::Enough)
    }

    /// The first half of [`send`](Self::send).
    pub fn sent<B: AsRef<[u8]>>(&mut self, request: &Request<B>) {
        black_box(request);
        if let Some(seen) = &mut self.seen {
            seen.method = request.method().clone();
            seen.uri = request.uri().clone();
            seen.headers = request.headers().clone();
            seen.body = request.body().as_ref().to_vec();
        }
    }

    /// The other half; `None` if the server is not to be asked.
    pub fn answer(&mut self) -> Option<Answer> {
        if self.until == Until::Request { None } else { self.answer.take() }
    }

    pub fn read(&mut self, tokens: Tokens<&str>) {
        let tokens = black_box(tokens);
        if let Some(seen) = &mut self.seen {
            seen.tokens = Some(Tokens {
                access_token: tokens.access_token.to_owned(),
                refresh_token: tokens.refresh_token.to_owned(),
                id_token: tokens.id_token.to_owned(),
                scope: tokens.scope.to_owned(),
                expires_in: tokens.expires_in,
            });
        }
    }

    /// The server's refusal was understood as this code.
    pub fn refused(&mut self, code: &str) -> End {
        black_box(code);
        if let Some(seen) = &mut self.seen {
            code.clone_into(&mut seen.error);
        }
        End::Refused
    }
}
