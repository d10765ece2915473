//! Plays `transcripts/*.http`: whole logins, compared byte for byte with what RFC 6749 would print as a figure.
//!
//! A transcript's header says who is logging in where, `>` leaves the client, `<` comes back, and `=` is what becomes of
//! it: the tokens as they are stored, or the error and its remedy. A line that begins with four blanks and `&` continues
//! the one before. The generator yields the octets of RFC 7636 appendix B, then zeros.

use std::fmt::Write as _;
use std::path::Path;

use proofkey_core::{Authentication, Authorization, Callback, Client, Error, Exchange, Server, Step, Tokens, UnixTime};

mod support;

/// What is compared: leaving requests, what comes back, the end. Whoever asks for the next block says its mark.
struct Transcript<'a> {
    header: Vec<(&'a str, &'a str)>,
    blocks: std::vec::IntoIter<(char, String)>,
}

impl<'a> Transcript<'a> {
    fn read(text: &'a str) -> Self {
        let mut blocks: Vec<(char, String)> = Vec::new();
        let mut header = Vec::new();
        for part in text.split("\n\n") {
            let lines = part.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            match part.chars().next() {
                Some(mark @ ('>' | '<' | '=')) => {
                    let lines: Vec<_> = lines.map(|line| line.get(2..).unwrap_or_default()).collect();
                    blocks.push((mark, lines.join("\n").replace("\n    &", "&")));
                }
                _ => header.extend(lines.filter_map(|line| line.split_once(": "))),
            }
        }
        Self { header, blocks: blocks.into_iter() }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.header.iter().filter(move |(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn one(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_else(|| panic!("the header has no {name}"))
    }

    fn next(&mut self, expected: char) -> String {
        match self.blocks.next() {
            Some((mark, block)) if mark == expected => block,
            other => panic!("expected a block of {expected}, found {other:?}"),
        }
    }
}

fn client(transcript: &Transcript<'_>) -> Client {
    let (authorize, token) = transcript.one("server").split_once(' ').expect("two endpoints");
    let mut server = Server::new(authorize, token);
    server.issuer = transcript.all("issuer").next().map(str::to_owned);
    let authentication = match transcript.all("secret").next().and_then(|secret| secret.split_once(' ')) {
        Some(("basic", secret)) => Authentication::basic(secret),
        Some(("post", secret)) => Authentication::post(secret),
        other => other.map_or(Authentication::none(), |method| panic!("{method:?} is no method")),
    };
    let builder = Client::builder(server, transcript.one("client")).redirect_uri(transcript.one("redirect"));
    builder.authentication(authentication).build().expect("a client")
}

/// The login as far as it gets. Panics where the transcript has something else.
fn login(transcript: &mut Transcript<'_>) -> Result<Tokens, Error> {
    let now = UnixTime::from_secs(transcript.one("clock").parse().expect("seconds"));
    let mut rng = support::Octets::appendix_b();
    let client = client(transcript);
    let authorization = client.authorize().scope(transcript.one("scope").split(' '));
    let authorization = transcript.all("resource").fold(authorization, Authorization::resource);
    let (url, pending) = authorization.redirect(now, &mut rng)?;
    assert_eq!(format!("GET {url} HTTP/1.1"), transcript.next('>'));
    let returned = transcript.next('<');
    let location = returned.strip_prefix("HTTP/1.1 302 Found\nLocation: ").expect("a redirect");
    let mut exchange = client.exchange(pending.accept(Callback::parse(location)?)?);
    loop {
        let request = exchange.next_request(now, &mut rng)?;
        let mut printed = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
        for (name, value) in request.headers() {
            writeln!(printed, "{name}: {}", value.to_str().expect("ASCII")).expect("a string takes anything");
        }
        printed.push('\n');
        printed.push_str(str::from_utf8(request.body().as_ref()).expect("ASCII"));
        assert_eq!(printed, transcript.next('>'));
        match exchange.handle_response(response(&transcript.next('<')))? {
            Step::Again { .. } => {}
            Step::Done(tokens) => return Ok(tokens),
        }
    }
}

fn response(block: &str) -> http::Response<Vec<u8>> {
    let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").expect("a header")).collect();
    support::response(status, &headers, body)
}

fn play(text: &str) {
    let mut transcript = Transcript::read(text);
    let told = match login(&mut transcript) {
        Ok(tokens) => serde_json::to_string(&tokens).expect("JSON"),
        Err(error) => format!("{error}\n{:?}", error.remedy()),
    };
    assert_eq!(told, transcript.next('=').replace("\n  ", ""));
    assert_eq!(transcript.blocks.len(), 0, "something is left over");
}

fn transcripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let paths = folder.read_dir().expect("the transcripts").map(|entry| entry.expect("an entry").path());
    let http = paths.filter(|path| path.extension().is_some_and(|extension| extension == "http"));
    let named = http.map(|path| (path.display().to_string(), std::fs::read_to_string(path).expect("a transcript")));
    let mut all: Vec<_> = named.collect();
    all.sort();
    assert!(all.len() >= 14, "{} transcripts", all.len());
    all
}

#[test]
fn each_transcript_is_what_happens() {
    for (name, text) in transcripts() {
        println!("{name}"); // shown if it fails
        play(&text);
    }
}

/// Nothing is compared loosely: one character more in any line that leaves, or in the end, is seen.
#[test]
fn a_changed_byte_is_seen() {
    for (name, text) in transcripts() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with(['>', '='])) {
            let changed = text.replacen(line, &format!("{line} x"), 1);
            assert!(std::panic::catch_unwind(|| play(&changed)).is_err(), "{name}: line {number} is not compared");
        }
    }
}
