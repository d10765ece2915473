//! Plays `transcripts/*.http`: whole logins and what comes after them, compared byte for byte with what RFC 6749 would
//! print as a figure.
//!
//! A transcript's header says who does what where (`does: refresh`; without it, a login), `>` leaves the client, `<` comes
//! back, `~` is waited, and `=` is what becomes of it: what a person is shown, the tokens as they are stored, what was told
//! of them, or the error and its remedy.
//! A line that begins with four blanks and `&` continues the one before. The generator yields the octets of RFC 7636
//! appendix B, then zeros.
//!
//! A login may `discover` its server by an issuer, and `push` itself to an endpoint before it leaves. Where there is a
//! `quirk`, `without` is what is said where it is not forgiven.
//!
//! Those with a server's name are its real answers, recorded by `interop.rs`, with all that is secret replaced.

use std::path::Path;

use proofkey_core::{
    Authentication, Authorization, Callback, Client, Discovery, Error, Exchange, Quirks, Secret, Server, Step, Tokens,
    UnixTime,
};

#[path = "support/figure.rs"]
mod figure;
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
                Some(mark @ ('>' | '<' | '=' | '~')) => {
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

    fn maybe(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn one(&self, name: &str) -> &'a str {
        self.maybe(name).unwrap_or_else(|| panic!("the header has no {name}"))
    }

    fn next(&mut self, expected: char) -> String {
        match self.blocks.next() {
            Some((mark, block)) if mark == expected => block,
            other => panic!("expected a block of {expected}, found {other:?}"),
        }
    }

    fn clock(&self) -> UnixTime {
        UnixTime::from_secs(self.one("clock").parse().expect("seconds"))
    }

    /// The words of all headers of this name.
    fn words(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(' '))
    }
}

fn quirks(transcript: &Transcript<'_>) -> Quirks {
    transcript.all("quirk").fold(Quirks::none(), |quirks, name| match name {
        "token_type_missing" => quirks.token_type_missing(),
        "token_response_form_encoded" => quirks.token_response_form_encoded(),
        "success_of_any_kind" => quirks.success_of_any_kind(),
        "iss_missing_on_errors" => quirks.iss_missing_on_errors(),
        "basic_not_encoded" => quirks.basic_not_encoded(),
        "scope_separated_by_commas" => quirks.scope_separated_by_commas(),
        "issuer_with_trailing_slash" => quirks.issuer_with_trailing_slash(),
        "issuer_template" => quirks.issuer_template(),
        "authentication_unlisted" => quirks.authentication_unlisted(),
        "verification_url" => quirks.verification_url(),
        other => panic!("{other} is no quirk"),
    })
}

/// The server: discovered, or as the header has it.
fn server(transcript: &mut Transcript<'_>) -> Result<Server, Error> {
    if let Some(issuer) = transcript.maybe("discover") {
        let discovery = Discovery::new(issuer).quirks(quirks(transcript));
        return run(transcript, discovery);
    }
    let (authorize, token) = transcript.one("server").split_once(' ').expect("two endpoints");
    let mut server = Server::new(authorize, token);
    server.issuer = transcript.maybe("issuer").map(str::to_owned);
    server.authorization_response_iss_parameter_supported = transcript.maybe("iss") == Some("promised");
    server.revocation_endpoint = transcript.maybe("revocation").map(str::to_owned);
    server.introspection_endpoint = transcript.maybe("introspection").map(str::to_owned);
    server.pushed_authorization_request_endpoint = transcript.maybe("push").map(str::to_owned);
    server.device_authorization_endpoint = transcript.maybe("device").map(str::to_owned);
    Ok(server)
}

fn client(transcript: &mut Transcript<'_>) -> Result<Client, Error> {
    let server = server(transcript)?;
    let authentication = match transcript.maybe("secret").and_then(|secret| secret.split_once(' ')) {
        Some(("basic", secret)) => Authentication::basic(secret),
        Some(("post", secret)) => Authentication::post(secret),
        other => other.map_or(Authentication::none(), |method| panic!("{method:?} is no method")),
    };
    let builder = Client::builder(server, transcript.one("client")).authentication(authentication);
    let redirect_uri = transcript.maybe("redirect");
    let builder = redirect_uri.into_iter().fold(builder, proofkey_core::ClientBuilder::redirect_uri);
    builder.quirks(quirks(transcript)).build()
}

/// What becomes of what the transcript does, as far as it gets. Panics where the transcript has something else.
fn told(transcript: &mut Transcript<'_>) -> Result<String, Error> {
    let client = client(transcript)?;
    let tokens = || serde_json::from_str::<Tokens>(transcript.one("tokens")).expect("stored tokens");
    let stored = |tokens: &Tokens| serde_json::to_string(tokens).expect("JSON");
    let does = transcript.all("does").next();
    match does {
        None => login(transcript, &client).map(|tokens| stored(&tokens)),
        Some("refresh") => {
            let exchange = client.refresh(&tokens())?.scope(transcript.words("scope"));
            run(transcript, exchange).map(|tokens| stored(&tokens))
        }
        Some("credentials") => {
            let exchange = client.credentials().scope(transcript.words("scope"));
            run(transcript, exchange).map(|tokens| stored(&tokens))
        }
        Some("device") => {
            let pending = run(transcript, client.device().scope(transcript.words("scope")))?;
            assert_eq!(figure::device(&pending), transcript.next('='));
            run(transcript, client.poll(pending)).map(|tokens| stored(&tokens))
        }
        Some("call") => {
            let (method, url) = transcript.one("request").split_once(' ').expect("a method and a URL");
            let body = transcript.all("body").next().unwrap_or_default();
            let request = http::Request::builder().method(method).uri(url).body(body).expect("a request");
            let exchange = client.call(&tokens(), request);
            run(transcript, exchange).map(|response| figure::answer(&response))
        }
        Some("revoke") => {
            let exchange = client.revoke(&tokens())?;
            run(transcript, exchange).map(|()| "revoked".to_owned())
        }
        Some("introspect") => {
            let exchange = client.introspect(&Secret::new(transcript.one("token")));
            run(transcript, exchange).map(|state| figure::state(&state))
        }
        Some(other) => panic!("nobody does {other}"),
    }
}

/// A login: it leaves, returns, and is redeemed.
fn login(transcript: &mut Transcript<'_>, client: &Client) -> Result<Tokens, Error> {
    let authorization = client.authorize().scope(transcript.words("scope"));
    let authorization = transcript.all("resource").fold(authorization, Authorization::resource);
    let (url, pending) = match transcript.maybe("push") {
        Some(_) => run(transcript, authorization.push())?,
        None => authorization.redirect(transcript.clock(), &mut support::Octets::appendix_b())?,
    };
    assert_eq!(format!("GET {url} HTTP/1.1"), transcript.next('>'));
    let returned = transcript.next('<');
    let location = returned.strip_prefix("HTTP/1.1 302 Found\nLocation: ").expect("a redirect");
    let exchange = client.exchange(pending.accept(Callback::parse(location)?)?);
    run(transcript, exchange)
}

/// Each request as it leaves, each answer as it comes, and each wait between, to the end.
fn run<X: Exchange>(transcript: &mut Transcript<'_>, mut exchange: X) -> Result<X::Output, Error> {
    let (mut now, mut after) = (transcript.clock(), exchange.initial_delay());
    loop {
        if !after.is_zero() {
            assert_eq!(format!("{} seconds", after.as_secs_f64()), transcript.next('~'));
            now = now.saturating_add(after);
        }
        let request = exchange.next_request(now, &mut support::Octets::appendix_b())?;
        assert_eq!(figure::request(&request), transcript.next('>'));
        match exchange.handle_response(response(&transcript.next('<')))? {
            Step::Again { after: delay } => after = delay,
            Step::Done(output) => return Ok(output),
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
    let told = match told(&mut transcript) {
        Ok(told) => told,
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
    assert!(all.len() >= 51, "{} transcripts", all.len());
    all
}

#[test]
fn each_transcript_is_what_happens() {
    for (name, text) in transcripts() {
        println!("{name}"); // shown if it fails
        play(&text);
    }
}

/// What a quirk forgives is refused without it, in the words of the transcript, or something else happens.
#[test]
fn each_quirk_is_needed() {
    for (name, text) in transcripts().into_iter().filter(|(_, text)| text.contains("\nquirk: ")) {
        let strict: String =
            text.lines().filter(|line| !line.starts_with("quirk: ")).flat_map(|line| [line, "\n"]).collect();
        match Transcript::read(&text).maybe("without") {
            Some(sentence) => {
                let refused = told(&mut Transcript::read(&strict)).expect_err(&name);
                assert_eq!(refused.to_string(), sentence, "{name}");
            }
            None => assert!(std::panic::catch_unwind(|| play(&strict)).is_err(), "{name}: nothing is different"),
        }
    }
}

/// Each switch there is has a transcript.
#[test]
fn each_quirk_is_shown() {
    let shown: Vec<_> = transcripts().into_iter().map(|(_, text)| text).collect();
    let all = format!("{:?}", Quirks::none());
    let mut switches = all.split(['{', ',']).filter_map(|part| part.split_once(':')).map(|(name, _)| name.trim());
    assert!(switches.clone().count() >= 9, "{all}");
    assert!(switches.all(|name| shown.iter().any(|text| text.contains(&format!("\nquirk: {name}\n")))), "{all}");
}

/// Nothing is compared loosely: one character more in any line that leaves, or in the end, is seen.
#[test]
fn a_changed_byte_is_seen() {
    for (name, text) in transcripts() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with(['>', '=', '~'])) {
            let changed = text.replacen(line, &format!("{line} x"), 1);
            assert!(std::panic::catch_unwind(|| play(&changed)).is_err(), "{name}: line {number} is not compared");
        }
    }
}
