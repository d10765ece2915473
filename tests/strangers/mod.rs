//! Who else may come to a loopback port: everything that is not the answer to this login, as bytes on a socket.
#![allow(dead_code)] // each test file uses a part

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// A client that is up to no good, or lost.
pub(crate) struct Stranger {
    pub(crate) what: &'static str,
    acts: Vec<Act>,
    /// The status of the one answer it gets; none if the connection ends without.
    pub(crate) status: Option<u16>,
}

enum Act {
    Send(Vec<u8>),
    /// A byte at a time.
    Drip(Vec<u8>),
    /// Ends its own side.
    Finish,
    /// Goes without a word.
    Reset,
}

use Act::{Drip, Finish, Reset, Send};

impl Stranger {
    /// One who says this, and nothing that is wrong with it.
    pub(crate) fn saying(said: String) -> Self {
        Self { what: "not a stranger", acts: vec![Send(said.into())], status: Some(200) }
    }

    /// Plays it, and gives all that came back.
    pub(crate) fn play(&self, address: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // Little lies in wait on the way: what the listener does not take cannot be sent.
        socket2::SockRef::from(&stream).set_send_buffer_size(4096)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        for act in &self.acts {
            match act {
                Send(bytes) => stream.write_all(bytes)?,
                Drip(bytes) => drip(&mut stream, bytes)?,
                Finish => stream.shutdown(Shutdown::Write)?,
                Reset => {
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(Vec::new());
                }
            }
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Sends each byte by itself.
pub(crate) fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Everybody. `host` is the listener's, `state` the login's: most of them have got hold of it.
pub(crate) fn all(host: &str, state: &str) -> Vec<Stranger> {
    let port = host.rsplit_once(':').expect("a port").1;
    let own = format!("/callback?code=stolen&state={state}");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let with = |header: &str| format!("GET {own} HTTP/1.1\r\n{header}\r\n\r\n");
    let by = |method: &str| format!("{method} {own} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let form = format!("code=stolen&state={state}");
    let form_post =
        |headers: &str, body: &str| format!("POST /callback HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{body}");
    let typed = |headers: &str, body: &str| {
        form_post(&format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}"), body)
    };
    let length = format!("Content-Length: {}\r\n", form.len());
    let long = |count: usize| "a".repeat(count);

    let said = [
        // Other places.
        ("the root", get("/"), Some(404)),
        ("an icon", get("/favicon.ico"), Some(404)),
        ("a child of the path", get(&own.replace("/callback", "/callback/")), Some(404)),
        ("the path in capitals", get(&own.replace("/callback", "/CALLBACK")), Some(404)),
        ("the path escaped", get(&own.replace("/callback", "/%63allback")), Some(404)),
        ("the path with dots", get(&own.replace("/callback", "/./callback")), Some(404)),
        ("the path behind two slashes", get(&own.replace("/callback", "//callback")), Some(404)),
        ("the path as somebody's suffix", get(&format!("/x{own}")), Some(404)),
        ("a whole URL as target", get(&format!("http://{host}{own}")), Some(404)),
        ("an asterisk as target", get("*"), Some(404)),
        ("a tunnel", format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"), Some(404)),
        // Other answers, or none.
        ("no query", get("/callback"), Some(400)),
        ("an empty query", get("/callback?"), Some(400)),
        ("another state", get("/callback?code=injected&state=another"), Some(400)),
        ("a state that is longer", get(&format!("{own}A")), Some(400)),
        ("no state", get("/callback?code=injected"), Some(400)),
        ("an empty state", get("/callback?code=injected&state="), Some(400)),
        ("nothing but the state", get(&format!("/callback?state={state}")), Some(400)),
        ("two states", get(&format!("{own}&state=another")), Some(400)),
        ("two codes", get(&format!("{own}&code=another")), Some(400)),
        ("a code and an error", get(&format!("{own}&error=access_denied")), Some(400)),
        ("another login's error", get("/callback?error=access_denied&state=another"), Some(400)),
        ("an error without a state", get("/callback?error=access_denied"), Some(400)),
        ("a token", get(&format!("/callback?access_token=t&state={state}")), Some(400)),
        ("a code that is no text", get(&format!("/callback?code=%FF&state={state}")), Some(400)),
        ("a whole URL as query", get(&format!("/callback?http://{host}{own}")), Some(400)),
        ("a target as query", get(&format!("/callback?{own}")), Some(400)),
        ("a form in a form", typed(&format!("Content-Length: {}\r\n", form.len() + 1), &format!("?{form}")), Some(400)),
        ("a query that is too long", get(&format!("{own}&a={}", long(66_000))), Some(400)),
        // Other hosts: a name that was pointed at this machine.
        ("another host", with("Host: evil.example"), Some(400)),
        // cb-094 of `tests/vectors`.
        ("another host on our port", with(&format!("Host: localhost.attacker.test:{port}")), Some(400)),
        ("localhost", with(&format!("Host: localhost:{port}")), Some(400)),
        ("our host without the port", with("Host: 127.0.0.1"), Some(400)),
        ("our host with a dot", with(&format!("Host: 127.0.0.1.:{port}")), Some(400)),
        ("our host with a user", with(&format!("Host: user@{host}")), Some(400)),
        ("our host in a list", with(&format!("Host: {host}, evil.example")), Some(400)),
        ("two hosts", with(&format!("Host: {host}\r\nHost: evil.example")), Some(400)),
        ("our host twice", with(&format!("Host: {host}\r\nhost: {host}")), Some(400)),
        ("no host", with("Accept: */*"), Some(400)),
        ("an empty host", with("Host:"), Some(400)),
        // Other methods.
        ("HEAD", by("HEAD"), Some(405)),
        ("PUT", by("PUT"), Some(405)),
        ("DELETE", by("DELETE"), Some(405)),
        ("TRACE", by("TRACE"), Some(405)),
        ("a method in small letters", by("get"), Some(400)),
        ("a method nobody knows", by("GETGET"), Some(405)),
        (
            "a question whether another site may ask",
            format!(
                "OPTIONS {own} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\n\
                 Access-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\n\r\n"
            ),
            Some(405),
        ),
        ("a visit in advance", with(&format!("Host: {host}\r\nSec-Purpose: prefetch;prerender")), Some(503)),
        // Forms.
        ("a form of no type", form_post(&length, &form), Some(415)),
        ("a form of another type", form_post(&format!("Content-Type: text/plain\r\n{length}"), &form), Some(415)),
        ("a form without a length", typed("", &form), Some(411)),
        ("a form of two lengths", typed(&format!("{length}Content-Length: 1\r\n"), &form), Some(411)),
        ("a form of a length below zero", typed("Content-Length: -1\r\n", &form), Some(411)),
        ("a form of a length with a sign", typed("Content-Length: +1\r\n", &form), Some(411)),
        ("a form in chunks", typed("Transfer-Encoding: chunked\r\n", &format!("20\r\n{form}\r\n0\r\n\r\n")), Some(411)),
        ("a form with two ends", typed(&format!("{length}Transfer-Encoding: chunked\r\n"), &form), Some(411)),
        ("a form that is too long", typed("Content-Length: 65537\r\n", &long(65_537)), Some(413)),
        ("a form longer than can be told", typed(&format!("Content-Length: {}\r\n", "9".repeat(40)), ""), Some(413)),
        (
            "an empty form behind a query",
            by("POST").replace(
                "\r\n\r\n",
                "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n",
            ),
            Some(400),
        ),
        ("another login's form", typed("Content-Length: 25\r\n", "code=injected&state=others"), Some(400)),
        ("a body behind a GET", format!("GET /callback?a=b HTTP/1.1\r\nHost: {host}\r\n{length}\r\n{form}"), Some(400)),
        // Too much.
        ("a header that is too long", with(&format!("Host: {host}\r\nCookie: {}", long(200_000))), Some(431)),
        ("too many headers", with(&format!("Host: {host}{}", "\r\nA: b".repeat(120))), Some(431)),
        ("a line without an end", format!("GET /{}", long(200_000)), Some(431)),
        ("headers without an end", format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(120)), Some(431)),
        ("much behind a request", get("/") + &long(1_000_000), Some(404)),
        // Other protocols.
        ("HTTP/0.9", format!("GET {own}\r\n"), Some(400)),
        ("HTTP/1.2", get(&own).replace("HTTP/1.1", "HTTP/1.2"), Some(505)),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Some(505)),
        ("SSH", "SSH-2.0-OpenSSH_9.2\r\n".to_owned(), Some(400)),
        ("blank lines", "\r\n".repeat(1000) + &get(&own), Some(400)),
        ("a NUL at the start", format!("\0{}", get(&own)), Some(400)),
        ("a NUL in the target", get(&format!("{own}\0")), Some(400)),
        ("a NUL in a header", with(&format!("Host: {host}\r\nA: \0")), Some(400)),
        ("a header in two lines", with(&format!("Host: {host}\r\nA: b\r\n c")), Some(400)),
        ("a space before a colon", with(&format!("Host : {host}")), Some(400)),
        ("a space in the target", get(&format!("{own} x")), Some(505)),
        // More than one.
        ("one that is ours behind one that is not", get("/") + &get(&own), Some(404)),
    ];
    let mut all: Vec<_> =
        said.into_iter().map(|(what, said, status)| Stranger { what, acts: vec![Send(said.into())], status }).collect();
    let hello = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03][..], &[0xAB; 506]].concat();
    let half = get(&own).as_bytes()[..40].to_vec();
    all.extend([
        Stranger { what: "TLS", acts: vec![Send(hello)], status: Some(400) },
        Stranger {
            what: "bytes that are no text",
            acts: vec![Send(b"GET /\xFF\xFE HTTP/1.1\r\n\r\n".to_vec())],
            status: Some(400),
        },
        Stranger { what: "nothing", acts: vec![Finish], status: None },
        Stranger { what: "nothing, and gone", acts: vec![Reset], status: None },
        Stranger { what: "half a request", acts: vec![Send(half.clone()), Finish], status: None },
        Stranger { what: "half a request, and gone", acts: vec![Send(half), Reset], status: None },
        Stranger {
            what: "half a form",
            acts: vec![Send(typed(&length, &form[..form.len() - 1]).into()), Finish],
            status: None,
        },
        Stranger { what: "a request, and gone", acts: vec![Send(get("/").into()), Reset], status: None },
        Stranger { what: "a request, and its end", acts: vec![Send(get("/").into()), Finish], status: Some(404) },
        Stranger { what: "a request, byte by byte", acts: vec![Drip(get("/callback?a=b").into())], status: Some(400) },
    ]);
    all
}

/// How long a stranger waits for an answer: longer than any should take on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(120);
