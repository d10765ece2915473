//! One request, byte by byte, and what is to be thought of it (RFC 9112, RFC 6749 section 4.1.2).
//!
//! ```text
//! GET /callback?code=SplxlOBeZQQYbYS6WxSbIA&state=xyz HTTP/1.1
//! Host: 127.0.0.1:51004
//! ```
//!
//! No I/O happens here. Refused: every method but `GET` and `POST`, every path but ours, a `Host` that is not ours
//! (another site whose name was pointed at this machine) or not alone, a target that is a whole URL, a form without a
//! length, and whatever is larger than it may be. Headers beyond those named here are not looked at: a browser sends
//! every cookie of this host along, whatever port set it.

use std::ops::Range;

use httparse::Status;
use proofkey_core::{Callback, MAX_CALLBACK, Pending};
use url::form_urlencoded;

use crate::page::{METHOD_NOT_ALLOWED, Page, Pages};

/// What a browser may ask of a listener.
pub(crate) struct Endpoint {
    /// The only value of `Host` that means us.
    pub(crate) host: String,
    /// The redirect URI's path; empty where it has none.
    pub(crate) path: String,
    pub(crate) pages: Pages,
}

/// A request on its way in.
#[derive(Default)]
pub(crate) struct Request {
    received: Vec<u8>,
    /// Where the form will be, once the head is read.
    form: Option<Range<usize>>,
}

/// What to send back, and what was learned.
pub(crate) struct Verdict {
    pub(crate) answer: Vec<u8>,
    /// The end of the wait.
    pub(crate) callback: Option<Callback>,
    /// Somebody came to the redirect URI who is not this login's browser.
    pub(crate) stranger: bool,
}

/// A head that has arrived whole: what says where the parameters are.
enum Head {
    Query(String),
    Form(Range<usize>),
    Refused {
        status: &'static str,
        /// The answer to `HEAD` has no body.
        bodiless: bool,
    },
}

impl Request {
    /// Takes what has arrived. Nothing, as long as more has to come.
    pub(crate) fn receive(&mut self, bytes: &[u8], endpoint: &Endpoint, pending: &Pending) -> Option<Verdict> {
        self.received.extend_from_slice(bytes);
        if self.form.is_none() {
            match self.head(bytes, endpoint)? {
                Head::Query(query) => return Some(endpoint.judge(query.as_bytes(), pending)),
                Head::Form(range) => self.form = Some(range),
                Head::Refused { status, bodiless } => {
                    let answer = endpoint.pages.answer(status, Page::Nothing, bodiless);
                    return Some(Verdict { answer, callback: None, stranger: false });
                }
            }
        }
        let form = self.received.get(self.form.clone()?)?;
        Some(endpoint.judge(form, pending))
    }

    /// Reads the head, when there may be more of it to read than before.
    fn head(&self, latest: &[u8], endpoint: &Endpoint) -> Option<Head> {
        let is_too_long = self.received.len() > MAX_HEAD;
        // TLS, blank lines, other protocols: told at once instead of at the connection's deadline.
        if !self.received.first()?.is_ascii_uppercase() {
            return Some(BAD_REQUEST.into());
        }
        // Only a line's end can end the head, or show that it is wrong. A slow sender costs one reading a line, and
        // there are few lines.
        if !latest.contains(&b'\n') && !is_too_long {
            return None;
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&self.received) {
            Ok(Status::Complete(end)) if end <= MAX_HEAD => Some(endpoint.read(&request, end)),
            Ok(Status::Partial) if !is_too_long => None,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Some("431 Request Header Fields Too Large".into()),
            Err(httparse::Error::Version) => Some("505 HTTP Version Not Supported".into()),
            Err(_) => Some(BAD_REQUEST.into()),
        }
    }
}

impl Endpoint {
    /// Reads a head that ends there.
    fn read(&self, request: &httparse::Request<'_, '_>, end: usize) -> Head {
        let (Some(method), Some(target)) = (request.method, request.path) else { return BAD_REQUEST.into() };
        let refuse = |status| Head::Refused { status, bodiless: method == "HEAD" };
        // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
        // message that lacks a Host header field and to any request message that contains more than one Host header
        // field line".
        if only(request, "host") != Ok(Some(self.host.as_bytes())) {
            return refuse(BAD_REQUEST);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != self.request_path() {
            return refuse("404 Not Found");
        }
        // What a browser fetches in advance is seen by nobody, and a login must not end unseen.
        if !matches!(only(request, "sec-purpose"), Ok(None)) {
            return refuse("503 Service Unavailable");
        }
        match method {
            "GET" => Head::Query(query.to_owned()),
            "POST" => {
                let length = only(request, "content-length").ok().flatten().and_then(decimal);
                let content_type = only(request, "content-type").ok().flatten().map(essence);
                if !content_type.is_some_and(|essence| essence.eq_ignore_ascii_case(FORM)) {
                    return refuse("415 Unsupported Media Type");
                }
                // A body in chunks has a length as well, for some who forward it, and then two ends.
                let (Some(length), Ok(None)) = (length, only(request, "transfer-encoding")) else {
                    return refuse("411 Length Required");
                };
                if length > MAX_CALLBACK {
                    return refuse("413 Content Too Large");
                }
                Head::Form(end..end.saturating_add(length))
            }
            _ => refuse(METHOD_NOT_ALLOWED),
        }
    }

    /// Whether these parameters are the answer to this login.
    fn judge(&self, parameters: &[u8], pending: &Pending) -> Verdict {
        // The question mark keeps it from being read as a URL, where it looks like one.
        let callback = std::str::from_utf8(parameters).ok().and_then(|text| Callback::parse(&format!("?{text}")).ok());
        let callback = callback.filter(|callback| pending.is_for(callback));
        let (status, page) = match callback {
            Some(_) => ("200 OK", outcome(parameters)),
            None => (BAD_REQUEST, Page::Stranger),
        };
        Verdict { answer: self.pages.answer(status, page, false), stranger: callback.is_none(), callback }
    }

    /// A redirect URI without a path is asked for by a slash.
    fn request_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }
}

impl From<&'static str> for Head {
    fn from(status: &'static str) -> Self {
        Self::Refused { status, bodiless: false }
    }
}

/// The page for parameters that have been parsed: with a code, or else with an error.
fn outcome(parameters: &[u8]) -> Page {
    let error = form_urlencoded::parse(parameters).find(|(name, value)| name == "error" && !value.is_empty());
    match error {
        None => Page::Success,
        Some((_, code)) if code == "access_denied" => Page::Denied,
        Some(_) => Page::Failed,
    }
}

/// The value of a header that must not be there twice.
fn only<'h>(request: &httparse::Request<'_, 'h>, name: &str) -> Result<Option<&'h [u8]>, ()> {
    let mut values = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let value = values.next().map(|header| header.value);
    if values.next().is_some() { Err(()) } else { Ok(value) }
}

/// Digits and nothing else; `parse` by itself takes a sign.
fn decimal(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    // Digits too many to count are a length too large.
    (!text.is_empty()).then(|| text.parse().unwrap_or(usize::MAX))
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

const BAD_REQUEST: &str = "400 Bad Request";

/// The media type of a form post (OAuth 2.0 Form Post Response Mode section 2).
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// A callback, and beside it the cookies of whatever else is on this host.
const MAX_HEAD: usize = MAX_CALLBACK + 64 * 1024;

/// Browsers send some twenty.
const MAX_HEADERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn pending() -> Pending {
        let stored = r#"{"v":1,"state":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"http://127.0.0.1:51004/callback",
            "client_id":"s6BhdRkqt3","token_endpoint":"https://as.example.com/token","started_at":1767225600}"#;
        serde_json::from_str(stored).unwrap()
    }

    fn endpoint() -> Endpoint {
        let (host, path) = ("127.0.0.1:51004".to_owned(), "/callback".to_owned());
        Endpoint { host, path, pages: Pages::new(None, None) }
    }

    fn requests() -> [String; 6] {
        let host = "Host: 127.0.0.1:51004\r\n";
        let form = format!("code=abc&state={STATE}");
        [
            format!("GET /callback?code=abc&state={STATE} HTTP/1.1\r\n{host}Cookie: a=b\r\n\r\n"),
            format!("GET /callback?error=access_denied&state={STATE} HTTP/1.1\r\n{host}\r\n"),
            format!("GET /callback?code=abc&state=another HTTP/1.1\r\n{host}\r\n"),
            format!("GET /favicon.ico HTTP/1.1\r\n{host}\r\n"),
            format!("HEAD /callback HTTP/1.0\r\n{host}\r\n"),
            format!(
                "POST /callback HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\n\r\n{form}",
                form.len()
            ),
        ]
    }

    /// What comes of these pieces: the answer, and whether it ends the wait. Nothing comes before the last.
    fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<u8>, bool)> {
        let (endpoint, pending, mut request) = (endpoint(), pending(), Request::default());
        let mut pieces = pieces;
        let verdict = pieces.find_map(|piece| request.receive(piece, &endpoint, &pending))?;
        assert!(pieces.next().is_none(), "an answer before the request is whole");
        Some((verdict.answer, verdict.callback.is_some()))
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_arrive() {
        for request in requests() {
            let bytes = request.as_bytes();
            let whole = outcome([bytes].into_iter());
            assert!(whole.is_some(), "{request}");
            assert!(whole == outcome(bytes.chunks(1)), "{request}");
            for at in 1..bytes.len() {
                let (one, two) = bytes.split_at(at);
                assert!(whole == outcome([one, two].into_iter()), "{request} at {at}");
                assert!(outcome([one].into_iter()).is_none(), "{request} up to {at}");
            }
        }
    }

    /// Every byte of every request, replaced by each that means something to a parser: no panic, and never an end of
    /// the wait with another host or path.
    #[test]
    fn a_damaged_request_is_judged_without_a_panic() {
        let (endpoint, pending) = (endpoint(), pending());
        let [login, ..] = requests();
        let line_end = login.find("Cookie").unwrap();
        for request in requests() {
            for at in 0..request.len() {
                for odd in *b"\0\r\n\t :/?#&=%+,;\"\xFF0aZ" {
                    let mut bytes = request.clone().into_bytes();
                    bytes[at] = odd;
                    let verdict = Request::default().receive(&bytes, &endpoint, &pending);
                    let ends = verdict.is_some_and(|verdict| verdict.callback.is_some());
                    let of_host =
                        request == login && (4..13).contains(&at) | (line_end - 17..line_end - 2).contains(&at);
                    assert!(
                        !ends || request != login || !of_host || bytes == request.as_bytes(),
                        "{odd:?} at {at} of {request}"
                    );
                }
            }
        }
    }
}
