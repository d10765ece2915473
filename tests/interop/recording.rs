//! What the servers really answer, as transcripts that stay when the servers are gone.
//!
//! An exchange runs in the transcripts' world: the server is `https://as.example.com`, the clock stands still, the octets
//! are those of RFC 7636 appendix B, and no secret is real. Each request is translated on its way to the server, and each
//! answer on its way back, so what is recorded is what the exchange saw.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use proofkey::blocking::ureq;
use proofkey::{Body, Callback, Client, Discovery, Error, Exchange, Quirks, Server, Step, Tokens};
use serde_json::{Value, json};
use url::Url;

use crate::browser::{Arrival, Browser};
use crate::cases::{REDIRECT_URI, Registered, registered};
use crate::figure;
use crate::places::Places;
use crate::running::{Kind, Running};
use crate::support::{self, NOW, Octets};

/// Records what there is to record at a server, and compares it with the files; or writes them.
pub(crate) fn settle(places: &Places, kind: Kind, update: bool) -> Result<(), String> {
    let (running, server) = places.plain(kind);
    let mut different = Vec::new();
    for (name, title, play) in RECORDINGS {
        let mut tape = Tape::new(kind, running, server);
        let Some(told) = play(&mut tape) else { continue };
        let text = tape.text(title, told);
        let file = format!("{}_{name}.http", kind.name().replace('-', "_"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(&file);
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        if update {
            std::fs::write(&path, text).map_err(|error| error.to_string())?;
        } else {
            different.push(format!("{file}:\n{text}"));
        }
    }
    let hint = "the server answers otherwise than recorded; PROOFKEY_UPDATE_INTEROP=1 writes this";
    if different.is_empty() { Ok(()) } else { Err(format!("{hint}\n{}", different.join("\n"))) }
}

/// What comes of it in the end; nothing, if the server does not do such a thing.
type Play = fn(&mut Tape) -> Option<Result<String, Error>>;

const RECORDINGS: &[(&str, &str, Play)] = &[
    ("login", "A login of a public client.", |tape| {
        let client = if tape.server.issuer.is_some() {
            let issuer = tape.server.issuer.clone().expect("an issuer");
            tape.says("discover", &issuer);
            let server = tape.run(Discovery::new(issuer)).expect("metadata");
            tape.client_at(server, &registered("public"))
        } else {
            tape.client(&registered("public"))
        };
        Some(tape.log_in(&client, Browser::allow).map(|tokens| stored(&tokens)))
    }),
    ("login_basic", "A login with HTTP Basic, id and secret full of what encodings stumble over.", |tape| {
        let client = tape.client(&registered(match tape.kind {
            Kind::NodeOauth2Server => "raw id /+%~*",
            Kind::OidcProvider | Kind::Authlib => "basic id :/+%~*",
        }));
        Some(tape.log_in(&client, Browser::allow).map(|tokens| stored(&tokens)))
    }),
    ("denied", "The person says no.", |tape| {
        let client = tape.client(&registered("public"));
        Some(tape.log_in(&client, Browser::deny).map(|tokens| stored(&tokens)))
    }),
    ("wrong_verifier", "The code came of another's challenge, so the verifier does not fit.", |tape| {
        let client = tape.client(&registered("public"));
        let allow: fn(&mut Browser, &str) -> Arrival =
            |browser, url| browser.allow(&url.replace(support::CHALLENGE, support::STATE));
        Some(tape.log_in(&client, allow).map(|tokens| stored(&tokens)))
    }),
    ("wrong_secret", "The secret is wrong.", |tape| {
        let known = registered("raw id /+%~*");
        let client = tape.client(&Registered { client_secret: Some("a guess".to_owned()), ..known });
        tape.says("does", "credentials");
        tape.says("scope", "photos");
        Some(tape.run(client.credentials().scope(["photos"])).map(|tokens| stored(&tokens)))
    }),
    ("pushed", "A login that is pushed.", |tape| {
        let endpoint = tape.server.pushed_authorization_request_endpoint.clone()?;
        let client = tape.client(&registered("post id :/+%~*"));
        tape.says("push", &endpoint);
        Some(tape.log_in(&client, Browser::allow).map(|tokens| stored(&tokens)))
    }),
    ("device", "A login on another device, allowed between two polls.", |tape| {
        let endpoint = tape.server.device_authorization_endpoint.clone()?;
        let client = tape.client(&registered("public"));
        tape.says("does", "device");
        tape.says("device", &endpoint);
        let scope = tape.scope();
        tape.says("scope", &scope.join(" "));
        let pending = tape.run(client.device().scope(scope)).expect("a code to show");
        tape.block('=', &figure::device(&pending));
        let page = tape.out(pending.verification_uri_complete().expect("a link"));
        let mut decide = Some(|| Browser::new().allow(&page));
        Some(
            tape.run_and(client.poll(pending), || drop(decide.take().map(|decide| decide())))
                .map(|tokens| stored(&tokens)),
        )
    }),
    ("refresh", "Tokens are renewed.", |tape| {
        let (client, tokens) = tape.tokens(&registered("public"));
        tape.says("does", "refresh");
        tape.says("tokens", &stored(&tokens));
        Some(tape.run(client.refresh(&tokens).expect("a refresh")).map(|tokens| stored(&tokens)))
    }),
    ("spent_refresh_token", "Tokens are renewed by a refresh token that was used before.", |tape| {
        let (client, tokens) = tape.tokens(&registered("public"));
        tape.run(client.refresh(&tokens).expect("a refresh")).expect("tokens");
        tape.blocks.clear();
        tape.says("does", "refresh");
        tape.says("tokens", &stored(&tokens));
        Some(tape.run(client.refresh(&tokens).expect("a refresh")).map(|tokens| stored(&tokens)))
    }),
    ("call_refused", "A call with a token that the resource does not know.", |tape| {
        let client = tape.client(&registered("public"));
        let tokens = json!({ "access_token": "never-seen-before", "token_type": "Bearer" });
        tape.says("tokens", &tokens.to_string());
        Some(tape.call(&client, &serde_json::from_value(tokens).expect("tokens")))
    }),
    ("call_insufficient_scope", "A call with a token of too little scope.", |tape| {
        let known = registered("public");
        let client = known.builder(tape.server.clone()).build().expect("a client");
        let tokens = tape.log_in_for(&client, &["profile"], Browser::allow).expect("tokens");
        let client = tape.begin_again(&known);
        tape.says("tokens", &stored(&tokens));
        Some(tape.call(&client, &tokens))
    }),
    ("introspect", "What a token is worth.", |tape| {
        let endpoint = tape.server.introspection_endpoint.clone()?;
        let (client, tokens) = tape.tokens(&registered("post id :/+%~*"));
        tape.says("does", "introspect");
        tape.says("introspection", &endpoint);
        tape.says("token", tokens.access_token().expose());
        Some(tape.run(client.introspect(tokens.access_token())).map(|state| figure::state(&state)))
    }),
    ("revoke", "Tokens are given back.", |tape| {
        let endpoint = tape.server.revocation_endpoint.clone()?;
        let (client, tokens) = tape.tokens(&registered("public"));
        tape.says("does", "revoke");
        tape.says("tokens", &stored(&tokens));
        tape.says("revocation", &endpoint);
        Some(tape.run(client.revoke(&tokens).expect("a revocation")).map(|()| "revoked".to_owned()))
    }),
];

fn stored(tokens: &Tokens) -> String {
    serde_json::to_string(tokens).expect("JSON")
}

struct Tape {
    kind: Kind,
    name: String,
    /// As it is in the transcripts' world.
    server: Server,
    resource: String,
    header: Vec<(&'static str, String)>,
    blocks: Vec<String>,
    /// What stands in the transcript, and what it is at the server.
    translated: Vec<(String, String)>,
    agent: ureq::Agent,
}

impl Tape {
    fn new(kind: Kind, running: &Running, server: &Server) -> Self {
        let origin = Url::parse(&running.said.resource).expect("a URL").origin().ascii_serialization();
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let translated = vec![(HERE.to_owned(), origin.clone()), (encoded(HERE), encoded(&origin))];
        let config = ureq::Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)));
        let mut tape = Self {
            kind,
            name: format!("{} {}", running.said.name, running.said.version),
            server: server.clone(),
            resource: String::new(),
            header: Vec::new(),
            blocks: Vec::new(),
            translated,
            agent: config.build().into(),
        };
        let text = tape.back(&serde_json::to_string(server).expect("JSON"));
        tape.server = serde_json::from_str(&text).expect("a server");
        tape.resource = tape.back(&running.said.resource);
        tape
    }

    fn scope(&self) -> &'static [&'static str] {
        self.kind.scope()
    }

    fn says(&mut self, name: &'static str, value: &str) {
        self.header.push((name, value.to_owned()));
    }

    /// A client at the server by hand.
    fn client(&mut self, known: &Registered) -> Client {
        let server = self.server.clone();
        let authorize = server.authorization_endpoint.as_deref().expect("an endpoint");
        self.says("server", &format!("{authorize} {}", server.token_endpoint));
        if let Some(issuer) = &server.issuer {
            self.says("issuer", issuer);
            self.says("iss", "promised");
        }
        self.client_at(server, known)
    }

    fn client_at(&mut self, server: Server, known: &Registered) -> Client {
        self.says("client", &known.client_id);
        if let Some(secret) = &known.client_secret {
            let method = known.token_endpoint_auth_method.trim_start_matches("client_secret_");
            self.says("secret", &format!("{method} {secret}"));
        }
        let raw = self.kind == Kind::NodeOauth2Server && known.token_endpoint_auth_method == "client_secret_basic";
        if raw {
            self.says("quirk", "basic_not_encoded");
        }
        let quirks = if raw { Quirks::none().basic_not_encoded() } else { Quirks::none() };
        known.builder(server).quirks(quirks).build().expect("a client")
    }

    /// A client and tokens that it got before the transcript begins.
    fn tokens(&mut self, known: &Registered) -> (Client, Tokens) {
        let client = known.builder(self.server.clone()).build().expect("a client");
        let tokens = self.log_in_for(&client, self.scope(), Browser::allow).expect("tokens");
        (self.begin_again(known), tokens)
    }

    /// Forgets how it got here.
    fn begin_again(&mut self, known: &Registered) -> Client {
        self.header.clear();
        self.blocks.clear();
        self.client(known)
    }

    fn log_in(&mut self, client: &Client, decide: fn(&mut Browser, &str) -> Arrival) -> Result<Tokens, Error> {
        self.log_in_for(client, self.scope(), decide)
    }

    fn log_in_for(
        &mut self,
        client: &Client,
        scope: &[&str],
        decide: fn(&mut Browser, &str) -> Arrival,
    ) -> Result<Tokens, Error> {
        self.says("redirect", REDIRECT_URI);
        self.says("scope", &scope.join(" "));
        let authorization = client.authorize().scope(scope);
        let (url, pending) = if self.header.iter().any(|(name, _)| *name == "push") {
            self.run(authorization.push())?
        } else {
            authorization.redirect(NOW, &mut Octets::appendix_b())?
        };
        self.block('>', &format!("GET {url} HTTP/1.1"));
        let callback = decide(&mut Browser::new(), &self.out(url.as_str())).callback();
        let returned = Url::parse(&callback).expect("a URL");
        if let Some((_, code)) = returned.query_pairs().find(|(name, _)| name == "code") {
            self.replace("code", &code);
        }
        let callback = self.back(&callback);
        self.block('<', &format!("HTTP/1.1 302 Found\nLocation: {callback}"));
        self.run(client.exchange(pending.accept(Callback::parse(&callback)?)?))
    }

    fn call(&mut self, client: &Client, tokens: &Tokens) -> Result<String, Error> {
        self.says("does", "call");
        self.says("request", &format!("GET {}", self.resource));
        let request = Request::get(&self.resource).body(()).expect("a request");
        self.run(client.call(tokens, request)).map(|response| figure::answer(&response))
    }

    fn run<X: Exchange>(&mut self, exchange: X) -> Result<X::Output, Error> {
        self.run_and(exchange, || ())
    }

    /// Runs an exchange, without the waits that it asks for. Something may happen in each.
    fn run_and<X: Exchange>(&mut self, mut exchange: X, mut meanwhile: impl FnMut()) -> Result<X::Output, Error> {
        let (mut now, mut after) = (NOW, exchange.initial_delay());
        loop {
            if !after.is_zero() {
                self.block('~', &format!("{} seconds", after.as_secs_f64()));
                now = now.saturating_add(after);
            }
            let request = exchange.next_request(now, &mut Octets::appendix_b())?;
            self.block('>', &figure::request(&request));
            let response = self.send(&request);
            match exchange.handle_response(response)? {
                Step::Again { after: delay } => after = delay,
                Step::Done(output) => return Ok(output),
            }
            meanwhile();
        }
    }

    /// One request to the real server, and its answer with all that is secret or different each time replaced.
    fn send(&mut self, request: &Request<Body>) -> Response<Vec<u8>> {
        let mut sent = Request::builder().method(request.method()).uri(self.out(&request.uri().to_string()));
        for (name, value) in request.headers() {
            sent = sent.header(name, self.out(value.to_str().expect("ASCII")));
        }
        let body = self.out(str::from_utf8(request.body().as_ref()).expect("ASCII"));
        let answer = if request.method() == "GET" {
            self.agent.run(sent.body(()).expect("a request"))
        } else {
            self.agent.run(sent.body(body).expect("a request"))
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{error}"));

        let body = answer.body_mut().read_to_string().expect("text");
        for (member, value) in serde_json::from_str::<Value>(&body).ok().iter().filter_map(Value::as_object).flatten() {
            match (member.as_str(), value.as_str()) {
                ("access_token" | "refresh_token" | "id_token" | "device_code" | "user_code", Some(secret)) => {
                    self.replace(member, secret);
                }
                ("request_uri", Some(uri)) => self.replace("reference", uri.rsplit(':').next().unwrap_or(uri)),
                _ => {}
            }
        }
        let mut body = self.back(&body);
        for (member, value) in [("iat", NOW.as_secs()), ("exp", NOW.as_secs() + 3600)] {
            body = with_number(&body, member, value);
        }
        if self.kind == Kind::NodeOauth2Server {
            // It counts the milliseconds since it made the token.
            body = with_number(&body, "expires_in", 3599);
        }

        let mut response = Response::builder().status(answer.status());
        let status = answer.status();
        let mut head = format!("HTTP/1.1 {} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
        for name in ["content-type", "cache-control", "pragma", "www-authenticate"] {
            for value in answer.headers().get_all(name) {
                let value = self.back(value.to_str().expect("ASCII"));
                write!(head, "\n{name}: {value}").expect("a string takes anything");
                response = response.header(name, value);
            }
        }
        self.block('<', format!("{head}\n\n{body}").trim_end());
        response.body(body.into_bytes()).expect("a response")
    }

    /// From now on, something else stands for what the server said.
    fn replace(&mut self, what: &str, real: &str) {
        if !self.translated.iter().any(|(_, known)| known == real) {
            let name = what.replace('_', "-");
            let count = self.translated.iter().filter(|(known, _)| known.starts_with(&name)).count() + 1;
            self.translated.push((format!("{name}-{count}"), real.to_owned()));
        }
    }

    /// As the server knows it.
    fn out(&self, text: &str) -> String {
        self.translated.iter().fold(text.to_owned(), |text, (here, there)| text.replace(here, there))
    }

    /// As the transcript has it.
    fn back(&self, text: &str) -> String {
        self.translated.iter().fold(text.to_owned(), |text, (here, there)| text.replace(there, here))
    }

    fn block(&mut self, mark: char, text: &str) {
        // What a resource answered is told as it came.
        let is_call = self.header.contains(&("does", "call".to_owned()));
        let lines = text.lines().flat_map(|line| match mark {
            '>' => folded(line, "&", 0, "    "),
            _ if line.starts_with("Location") => folded(line, "&", 0, "    "),
            _ if is_call => vec![line.to_owned()],
            _ if line.contains("\", \"") => folded(line, ", \"", 2, "  "),
            _ => folded(line, ",\"", 1, "  "),
        });
        let lines: Vec<_> = lines.map(|line| format!("{mark} {line}").trim_end().to_owned()).collect();
        self.blocks.push(lines.join("\n"));
    }

    /// The whole transcript.
    fn text(mut self, title: &str, told: Result<String, Error>) -> String {
        self.block('=', &told.unwrap_or_else(|error| format!("{error}\n{:?}", error.remedy())));
        self.says("clock", &NOW.as_secs().to_string());
        let header: Vec<_> = self.header.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("# {}: {title}\n\n{}\n\n{}\n", self.name, header.join("\n"), self.blocks.join("\n\n"))
    }
}

/// A long line in several, each but the first behind blanks. It is folded `after` so many bytes of a seam.
fn folded(line: &str, seam: &str, after: usize, blanks: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.get(1..).and_then(|rest| rest.find(seam)).map_or(rest.len(), |at| at + 1 + after);
        let (part, others) = rest.split_at(end);
        rest = others;
        match lines.last_mut() {
            Some(last) if last.is_empty() || last.len() + part.len() <= WIDTH => last.push_str(part),
            _ => lines.push(format!("{blanks}{part}")),
        }
    }
    lines
}

/// The JSON with another number for this member, if it has one.
fn with_number(json: &str, member: &str, number: u64) -> String {
    let Some((before, rest)) = json.split_once(&format!("\"{member}\":")) else { return json.to_owned() };
    let digits = rest.trim_start().trim_start_matches(|character: char| character.is_ascii_digit());
    let blank = if rest.starts_with(' ') { " " } else { "" };
    format!("{before}\"{member}\":{blank}{number}{digits}")
}

/// The server in the transcripts' world.
const HERE: &str = "https://as.example.com";

/// Of a line, its mark not counted.
const WIDTH: usize = 116;
