//! Receives the browser of a login on a loopback port (RFC 8252 section 7.3): for command-line and desktop applications.
//!
//! ```text
//! GET /callback?code=SplxlOBeZQQYbYS6WxSbIA&state=xyz HTTP/1.1
//! Host: 127.0.0.1:51004
//! ```
//!
//! The port is chosen before the URL is made, the browser leaves, and one request brings it back:
//!
//! ```no_run
//! # use proofkey_core::{Client, CodeGrant, CryptoRng, UnixTime};
//! # use std::time::{Duration, Instant};
//! use proofkey_loopback::Loopback;
//!
//! # fn log_in(client: &Client, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<CodeGrant, Box<dyn std::error::Error>> {
//! let loopback = Loopback::builder().application("Photo Sorter").bind()?;
//! let (url, pending) = client.authorize().redirect_uri(loopback.redirect_uri()).redirect(now, rng)?;
//! eprintln!("Log in here: {url}");
//! let callback = loopback.wait(&pending, Instant::now() + Duration::from_secs(300))?;
//! let grant = pending.accept(callback)?; // to be exchanged
//! # Ok(grant)
//! # }
//! ```
//!
//! [`Loopback::wait`] blocks its thread and starts no other; a [`Canceller`] ends it from elsewhere. `Loopback::wait_async`
//! (feature `tokio`) is one future and spawns nothing: dropping it frees the port. The feature `browser` opens the person's
//! browser.
//!
//! # Strangers
//!
//! Any program on this machine, and any web page in its browser, can send requests here. Only one that proves by the
//! login's `state` that it is this login's ends the wait; errors are no exception. Everybody else gets a page, and the
//! wait goes on. Refused, each with its status:
//!
//! * other paths than the redirect URI's, targets that are whole URLs, methods other than `GET` and `POST`;
//! * another `Host` than the redirect URI's, or more than one: a web site whose name was pointed at this machine;
//! * parameters that are missing or repeated, another `state`, tokens;
//! * a form post of another type, without a length, in chunks, or longer than [`MAX_CALLBACK`](proofkey_core::MAX_CALLBACK);
//! * what the browser fetches in advance (`Sec-Purpose`), because nobody would see the page;
//! * a head of more than 128 KiB or a hundred headers, and what is not HTTP/1.
//!
//! At most 64 connections are open; then the oldest gives way. A request has ten seconds to arrive. One is answered on
//! each connection, whole, and what comes behind it is read and forgotten, so that no reset takes the page away.
//!
//! Browsers send cookies to every port of a host: nothing of a request is kept, logged or shown but its parameters, and
//! these only in the [`Callback`].
//!
//! # The page
//!
//! One page without anything from elsewhere, in light and dark: that the login was received, denied or has failed, that
//! it was not this one, or that there is nothing here. That it was received is all the page can say: what the code is
//! worth is known after its exchange. Nothing of the request stands on it. It is not cached, not framed, sends no
//! referrer, runs one script, which takes the query out of the address bar, and loads nothing. An application may give
//! its name, or [a page of its own](Builder::template).
//!
//! # Left out on purpose
//!
//! * `localhost` as the host: RFC 8252 section 8.3 advises against it, and somebody else may listen where it leads.
//! * TLS: nobody could vouch for a certificate of this machine, and nothing leaves it.
//! * Anything but the `state` to tell a stranger by, `Origin` and `Sec-Fetch-Site` for instance: servers come back to
//!   here from any site and in several ways.

#[cfg(feature = "tokio")]
mod asynchronous;
mod blocking;
#[cfg(feature = "browser")]
pub mod browser;
mod cancel;
mod connection;
mod error;
mod page;
mod request;
mod visitors;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Instant;

use cancel::Cancellation;
pub use cancel::Canceller;
pub use error::Error;
use page::Pages;
use proofkey_core::{Callback, Pending};
use request::Endpoint;

/// A port of this machine that waits for one login's browser. It is free again when this is dropped, or the wait over.
pub struct Loopback {
    socket: TcpListener,
    redirect_uri: String,
    endpoint: Endpoint,
    cancellation: Cancellation,
}

impl Loopback {
    /// Listens on a free port of `127.0.0.1`, for the path `/callback`. [`builder`](Self::builder) has the choices.
    ///
    /// [`Error::Bind`] if there is none.
    pub fn bind() -> Result<Self, Error> {
        Self::builder().bind()
    }

    /// A listener to be described.
    pub fn builder() -> Builder {
        Builder {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: vec![0],
            path: "/callback".to_owned(),
            application: None,
            template: None,
        }
    }

    /// What to give as the login's redirect URI: the address as a literal and the port,
    /// `http://127.0.0.1:51004/callback`.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// What ends [`wait`](Self::wait) from another thread, when the person would rather not log in. (`wait_async` ends with
    /// its future.)
    ///
    /// ```no_run
    /// # use proofkey_core::Pending;
    /// # use proofkey_loopback::{Error, Loopback};
    /// # use std::time::Instant;
    /// # struct Button;
    /// # impl Button { fn on_click(&self, _: impl Fn() + Send + 'static) {} }
    /// # fn show(loopback: Loopback, pending: &Pending, deadline: Instant, cancel: Button) {
    /// let canceller = loopback.canceller();
    /// cancel.on_click(move || canceller.cancel());
    /// match loopback.wait(pending, deadline) {
    ///     Err(Error::Cancelled) => println!("as you like"),
    ///     returned => println!("{returned:?}"),
    /// }
    /// # }
    /// ```
    pub fn canceller(&self) -> Canceller {
        self.cancellation.canceller()
    }

    /// Waits on this thread for the callback of this login, and returns when its browser has its page.
    ///
    /// Everybody else gets a page, and the wait goes on. The callback may be an error, a refusal among them:
    /// [`Pending::accept`] tells. [`Error::TimedOut`] when the deadline has passed, [`Error::Cancelled`] when
    /// [somebody](Self::canceller) has ended the wait, [`Error::OtherRedirectUri`] at once if this login cannot come back
    /// here.
    pub fn wait(self, pending: &Pending, deadline: Instant) -> Result<Callback, Error> {
        self.expect(pending)?;
        blocking::wait(self.socket, &self.endpoint, &self.cancellation, pending, deadline)
    }

    /// Waits as [`wait`](Self::wait) does, on tokio. Dropping the future cancels the wait: that frees the port
    /// and closes every connection. A [`Canceller`] does nothing here.
    ///
    /// It has to be polled in a runtime with I/O and time enabled, as tokio's sockets have.
    #[cfg(feature = "tokio")]
    pub async fn wait_async(self, pending: &Pending, deadline: Instant) -> Result<Callback, Error> {
        self.expect(pending)?;
        asynchronous::wait(self.socket, &self.endpoint, pending, deadline).await
    }

    fn expect(&self, pending: &Pending) -> Result<(), Error> {
        if pending.redirect_uri() == self.redirect_uri { Ok(()) } else { Err(Error::OtherRedirectUri) }
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// How to listen, and what to show.
#[derive(Clone, Debug)]
pub struct Builder {
    address: IpAddr,
    ports: Vec<u16>,
    path: String,
    application: Option<String>,
    template: Option<String>,
}

impl Builder {
    /// Listens on `[::1]` instead of `127.0.0.1`.
    #[must_use]
    pub fn ipv6(self) -> Self {
        Self { address: Ipv6Addr::LOCALHOST.into(), ..self }
    }

    /// The ports to try, in this order, for servers that compare the port; 0 is any free one, and the default.
    #[must_use]
    pub fn ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { ports: ports.into_iter().collect(), ..self }
    }

    /// The redirect URI's path: `/callback` unless set. Empty, the redirect URI ends with the port.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The application's name, as the person knows it. The pages say "the application" without one.
    #[must_use]
    pub fn application(self, name: impl Into<String>) -> Self {
        Self { application: Some(name.into()), ..self }
    }

    /// The application's own page in the place of this crate's: one HTML document with holes.
    ///
    /// | hole | is filled with |
    /// |---|---|
    /// | `{{title}}`, `{{text}}` | what happened, in English |
    /// | `{{outcome}}` | the same as a word for style sheets: `success`, `denied`, `failed`, `stranger` or `nothing` |
    /// | `{{application}}` | the application's name |
    ///
    /// What fills a hole is escaped for elements and quoted attributes; the rest stands as it is given, so it must be the
    /// application's own. Style in the page and images in `data:` URLs work; scripts, forms, and what lies elsewhere do
    /// not. The script for the address bar is put behind it.
    #[must_use]
    pub fn template(self, html: impl Into<String>) -> Self {
        Self { template: Some(html.into()), ..self }
    }

    /// Listens from here on.
    ///
    /// [`Error::Usage`] if the path or the template cannot be used, [`Error::Bind`] if no port is free.
    pub fn bind(self) -> Result<Loopback, Error> {
        if !is_path(&self.path) {
            return Err(Error::Usage("a path starts with one slash and has letters, digits and -._~/ only"));
        }
        if self.template.as_ref().is_some_and(|html| !html.contains("{{text}}") && !html.contains("{{outcome}}")) {
            return Err(Error::Usage(
                "a template has to have {{text}} or {{outcome}}, or a refusal would look like a success",
            ));
        }
        let (socket, address) = self.listen()?;
        let host = host(address);
        let redirect_uri = format!("http://{host}{}", self.path);
        let pages = Pages::new(self.application, self.template);
        let endpoint = Endpoint { host, path: self.path, pages };
        Ok(Loopback { socket, redirect_uri, endpoint, cancellation: Cancellation::default() })
    }

    fn listen(&self) -> Result<(TcpListener, SocketAddr), Error> {
        let mut result = Err(Error::Usage("there is no port to try"));
        for port in &self.ports {
            let bound = TcpListener::bind((self.address, *port)).and_then(|socket| {
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                Ok((socket, address))
            });
            match bound {
                Ok(bound) => return Ok(bound),
                Err(error) => result = Err(Error::Bind(error)),
            }
        }
        result
    }
}

/// As browsers write it in `Host`: without a port that is the scheme's own.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) if address.port() == 80 => address.ip().to_string(),
        SocketAddr::V6(address) if address.port() == 80 => format!("[{}]", address.ip()),
        _ => address.to_string(),
    }
}

/// A path that reads the same for everybody: no escapes, and no dots or slashes that a browser would take away.
fn is_path(path: &str) -> bool {
    let is_plain = |segment: &str| {
        !matches!(segment, "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    path.is_empty()
        || path.strip_prefix('/').is_some_and(|path| !path.starts_with('/') && path.split('/').all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_browsers_send() {
        for (address, sent) in [
            ("127.0.0.1:51004", "127.0.0.1:51004"),
            ("[::1]:51004", "[::1]:51004"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
        ] {
            assert_eq!(host(address.parse().unwrap()), sent);
            let url = url::Url::parse(&format!("http://{sent}/callback")).unwrap();
            assert_eq!(url[url::Position::BeforeHost..url::Position::AfterPort], *sent);
        }
    }
}
