//! The browser's way back: one request on a loopback port (RFC 8252 section 7.3).
//!
//! Strangers get a page and the wait goes on: other paths, other hosts, other methods, another login's state.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use proofkey::{Callback, Pending};

use crate::failure::Failure;

pub(crate) struct Listener {
    socket: TcpListener,
    host: String,
    path: String,
}

impl Listener {
    pub(crate) fn bind(port: u16, path: &str) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::other(format!("port {port} cannot be listened on: {error}"));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        let host = socket.local_addr().map_err(fail)?.to_string();
        Ok(Self { socket, host, path: path.to_owned() })
    }

    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    /// The callback of this login, and the browser that brought it and waits for a page.
    pub(crate) fn wait(
        &self,
        pending: &Pending,
        patience: Duration,
        mut stranger: impl FnMut(&str),
    ) -> Result<(Callback, Browser), Failure> {
        let deadline = Instant::now() + patience;
        let mut strangers = 0;
        while Instant::now() < deadline {
            let Ok((stream, _)) = self.socket.accept() else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            let mut browser = Browser(stream);
            match browser.target(deadline).ok().flatten().and_then(|request| self.query(&request)) {
                // A favicon, a scanner, half a request: not worth a word.
                None => browser.send("404 Not Found", "There is nothing here."),
                Some(query) => match Callback::parse(&query) {
                    Ok(callback) if pending.is_for(&callback) => return Ok((callback, browser)),
                    Ok(_) => {
                        strangers += 1;
                        browser.send("400 Bad Request", "This is not the login that the application waits for.");
                        stranger("somebody came with another login's state");
                    }
                    Err(error) => {
                        strangers += 1;
                        browser.send("400 Bad Request", "This is not the answer to a login.");
                        stranger(&error.to_string());
                    }
                },
            }
        }
        let waited = format!("nobody came back within {} seconds", patience.as_secs());
        match strangers {
            0 => Err(Failure::timed_out(waited)),
            _ => Err(Failure::not_our_login(format!("{waited}, but for strangers"))),
        }
    }

    /// The query of a request that came to our path and means our host.
    fn query(&self, (target, host): &(String, String)) -> Option<String> {
        let (path, query) = target.split_once('?')?;
        (path == self.path && *host == self.host).then(|| query.to_owned())
    }
}

/// A connection that has asked something.
pub(crate) struct Browser(TcpStream);

impl Browser {
    /// The page that ends the login.
    pub(crate) fn answer(mut self, good: bool) {
        if good {
            self.send("200 OK", "You are logged in. This window can be closed.");
        } else {
            self.send("400 Bad Request", "The login failed; the application says why. This window can be closed.");
        }
    }

    /// The target and the host of a GET, if it is one and arrives soon.
    fn target(&mut self, deadline: Instant) -> io::Result<Option<(String, String)>> {
        let deadline = deadline.min(Instant::now() + SLOWEST_REQUEST);
        self.0.set_nonblocking(false)?;
        self.0.set_write_timeout(Some(SLOWEST_REQUEST))?;
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while received.len() < LONGEST_REQUEST {
            // A time-out of zero would be none at all.
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.0.set_read_timeout(Some(left))?;
            match self.0.read(&mut buffer)? {
                0 => return Ok(None),
                count => received.extend_from_slice(&buffer[..count]),
            }
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&received) {
                Err(_) => return Ok(None),
                Ok(httparse::Status::Partial) => {}
                Ok(httparse::Status::Complete(_)) => {
                    let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
                    let host = hosts.next().map(|header| String::from_utf8_lossy(header.value).into_owned());
                    let target = request.path.filter(|_| request.method == Some("GET")).map(str::to_owned);
                    return Ok(target.zip(host));
                }
            }
        }
        Ok(None)
    }

    /// Writes a whole answer. If the browser is gone already, nobody misses it.
    fn send(&mut self, status: &str, sentence: &str) {
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <meta name=color-scheme content=\"light dark\"><title>Login</title><p>{sentence}</p></html>"
        );
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
        let _ = self.0.write_all(answer.as_bytes()).and_then(|()| self.0.flush());
    }
}

/// A callback may have 64 KiB; the headers beside it are few.
const LONGEST_REQUEST: usize = 96 * 1024;

/// A browser on this machine sends its request at once.
const SLOWEST_REQUEST: Duration = Duration::from_secs(2);
