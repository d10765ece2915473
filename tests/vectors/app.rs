//! The application of the cases: a client, browsers' sessions that keep logins as text, and a network that
//! is played. Everything goes through the public API, is written down, and is read back by other decoders than the core's.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{Debug, Display};

use http::{HeaderMap, Method, Response, StatusCode};
use proofkey_core::rand_core::{TryCryptoRng, TryRng};
use proofkey_core::{
    Authorization, Callback, CallbackError, Client, CodeExchange, CodeGrant, Error, Exchange, Pending, Server, Step,
    TokenState, Tokens, UnixTime, Usage,
};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{byte_serialize, parse};

use crate::case::Blanks;
use crate::device::Device;
use crate::fixture::{Fixture, PORT};
use crate::know::Search;
use crate::life::Life;
use crate::wire;

pub(crate) const NOW: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z
pub(crate) const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";
/// The browser of the cases, unless a step names another.
pub(crate) const BROWSER: &str = "";
/// The answer of a token endpoint that has nothing to hide but its tokens.
pub(crate) const GOOD: &str = r#"{"access_token":"canary-access-token","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh-token","scope":"read write"}"#;

/// The answer to a push.
const PUSHED: &str =
    r#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c","expires_in":60}"#;

/// Why a play ended without tokens.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The server's document cannot be read.
    Metadata(serde_json::Error),
    /// The application has no login under this state in this browser's session; whether there was a state at all.
    NoLogin {
        stateless: bool,
    },
    /// What was stored cannot be read back.
    Stored,
    /// The session has nothing left to renew its tokens with.
    LogIn,
    /// The session's last refresh failed: not before then.
    Later,
    /// `http` has no such header: no transport could have delivered it.
    Undeliverable,
    /// A request URI is no longer good.
    Stale,
    /// Of a search for metadata.
    Document(Error),
    Error(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// How a play ended.
pub(crate) enum Outcome {
    Tokens(Box<Tokens>),
    /// Well, and without an answer to read.
    Emitted,
    /// Well, and there is nothing that comes of it: tokens were given back.
    Done,
    /// What a token is worth.
    State(Box<TokenState>),
    /// What a resource answered in the end.
    Resource(Reply),
    Again,
    Fail(Fail),
}

/// A resource's answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// A browser that was sent away.
pub(crate) struct Departure {
    pub(crate) url: Url,
    pub(crate) state: String,
    browser: String,
    /// What the login asks for: in the URL, or pushed.
    pub(crate) pairs: Vec<(String, String)>,
    /// What the server said to the push.
    pub(crate) pushed: Option<Value>,
    /// Until when the browser must have left.
    pub(crate) leave_by: Option<u64>,
}

impl Departure {
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }
}

/// A request that left, with the login and the code it belongs to.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: u64,
    pub(crate) state: String,
    pub(crate) code: String,
}

impl Sent {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }
}

pub(crate) struct App {
    pub(crate) fixture: Fixture,
    pub(crate) client: Client,
    pub(crate) rng: Octets,
    pub(crate) now: u64,
    /// Logins under way, as stored: by browser and state.
    pub(crate) sessions: BTreeMap<(String, String), String>,
    exchange: Option<CodeExchange>,
    /// The tokens of the last login, as stored.
    pub(crate) stored: Option<String>,
    /// What comes after a login.
    pub(crate) life: Option<Life>,
    /// A login that is polled for.
    pub(crate) device: Option<Device>,
    /// The codes of all such logins: nothing prints them.
    pub(crate) codes: Vec<String>,
    /// Whether the store has been played with.
    pub(crate) tampered: bool,
    pub(crate) departures: Vec<Departure>,
    pub(crate) sent: Vec<Sent>,
    /// Pushed logins, requests for a device's codes, and requests for metadata: not counted with those that are sent for
    /// tokens.
    pub(crate) pushed: Vec<Sent>,
    pub(crate) looked: Vec<Sent>,
    /// How many of the latter were answered.
    pub(crate) heard: usize,
    pub(crate) search: Option<Search>,
    pub(crate) scopes_supported: Value,
    pub(crate) found: Option<Server>,
    /// Everything in every form of printing it has.
    pub(crate) printed: Vec<String>,
    /// What went against a rule that holds in every case.
    pub(crate) faults: Vec<String>,
}

impl App {
    /// The outer error says why the case cannot be played, the inner one that the client was refused.
    pub(crate) fn open(fixture: &Fixture) -> Result<Result<Self, Fail>, String> {
        let client = match fixture.client()? {
            Ok(client) => client,
            Err(fail) => return Ok(Err(fail)),
        };
        let mut app = Self {
            fixture: fixture.clone(),
            client,
            rng: Octets::new(1),
            now: NOW,
            sessions: BTreeMap::new(),
            exchange: None,
            stored: None,
            life: None,
            device: None,
            codes: Vec::new(),
            tampered: false,
            departures: Vec::new(),
            sent: Vec::new(),
            pushed: Vec::new(),
            looked: Vec::new(),
            heard: 0,
            search: None,
            scopes_supported: Value::Null,
            found: None,
            printed: Vec::new(),
            faults: Vec::new(),
        };
        app.printed.extend(printed(&app.client));
        app.printed.extend(printed(&app.client.server()));
        Ok(Ok(app))
    }

    /// A login leaves, by a push where the server or the case wants it.
    pub(crate) fn begin(&mut self, browser: &str) -> Result<(), Fail> {
        if self.fixture.pushes() {
            let mut response = Response::new(PUSHED.as_bytes().to_vec());
            *response.status_mut() = StatusCode::CREATED;
            return self.push(browser, response);
        }
        let (url, pending) = self.authorization().redirect(self.time(), &mut self.rng)?;
        let pairs = url.query_pairs().into_owned().collect();
        self.depart(browser, url, &pending, pairs, None);
        Ok(())
    }

    /// A login is pushed, and this is what the server says to it.
    pub(crate) fn push(&mut self, browser: &str, response: Response<Vec<u8>>) -> Result<(), Fail> {
        if self.fixture.pushes() && self.client.server().require_pushed_authorization_requests {
            match self.authorization().redirect(self.time(), &mut self.rng) {
                Err(Error::Usage(Usage::PushRequired)) => {}
                _ => self.faults.push("a server that requires pushes is sent a browser without".to_owned()),
            }
        }
        let mut push = self.authorization().push();
        let sent = self.ask(&mut push)?;
        self.faults.extend(wire::pushed(&self.fixture, &sent));
        let pairs = sent.pairs.clone();
        self.pushed.push(sent);
        let said = serde_json::from_slice(response.body()).unwrap_or_default();
        match self.tell(&mut push, response)? {
            Step::Done((url, pending)) => self.depart(browser, url, &pending, pairs, Some(said)),
            Step::Again { .. } => self.faults.push("a push goes on".to_owned()),
        }
        Ok(())
    }

    fn authorization(&mut self) -> Authorization {
        let mut authorization = self.client.authorize().scope(&self.fixture.scope);
        if let (Some(redirect_uri), true) = (&self.fixture.redirect_uri, self.fixture.redirect_late) {
            authorization = authorization.redirect_uri(redirect_uri.as_str());
        }
        for resource in &self.fixture.resources {
            authorization = authorization.resource(resource.as_str());
        }
        if self.fixture.form_post {
            authorization = authorization.form_post();
        }
        for (name, value) in &self.fixture.params {
            authorization = authorization.param(name.as_str(), value.as_str());
        }
        if !self.fixture.details.is_empty() {
            authorization = authorization.details(&self.fixture.details);
        }
        self.printed.extend(printed(&authorization));
        authorization
    }

    fn depart(
        &mut self,
        browser: &str,
        url: Url,
        pending: &Pending,
        pairs: Vec<(String, String)>,
        pushed: Option<Value>,
    ) {
        self.printed.extend(printed(pending));
        let state = pending.state().to_owned();
        let stored = serde_json::to_string(pending).map_err(|error| format!("a login cannot be stored: {error}"));
        match stored {
            Ok(stored) => drop(self.sessions.insert((browser.to_owned(), state.clone()), stored)),
            Err(fault) => self.faults.push(fault),
        }
        let leave_by = pending.leave_by().map(UnixTime::as_secs);
        let departure = Departure { url, state, browser: browser.to_owned(), pairs, pushed, leave_by };
        self.faults.extend(wire::departure(&self.fixture, &departure, &self.departures, self.now));
        self.departures.push(departure);
    }

    /// A browser comes back with these parameters, and the code that it should bring is sent on.
    pub(crate) fn returns(&mut self, browser: &str, input: &str) -> Result<(), Fail> {
        let grant = self.accept(browser, input)?;
        self.printed.extend(printed(&grant));
        let mut exchange = self.client.exchange(grant);
        let sent = self.ask(&mut exchange)?;
        self.note(sent, input);
        self.exchange = Some(exchange);
        Ok(())
    }

    /// As an application does it: parse, look the login up in this browser's own session, accept.
    fn accept(&mut self, browser: &str, input: &str) -> Result<CodeGrant, Fail> {
        let callback = Callback::parse(input)?;
        self.printed.extend(printed(&callback));
        let key = (browser.to_owned(), callback.state().to_owned());
        let Some(stored) = self.sessions.get(&key).cloned() else {
            self.refuse_stranger(browser, input);
            return Err(Fail::NoLogin { stateless: callback.state().is_empty() });
        };
        let pending = self.read(&stored)?;
        // What is not for this login leaves it waiting.
        if pending.is_for(&callback) {
            self.sessions.remove(&key);
        }
        Ok(pending.accept(callback)?)
    }

    /// A login that is handed a stranger's callback must refuse it by itself, too.
    fn refuse_stranger(&mut self, browser: &str, input: &str) {
        let stored: Vec<String> =
            self.sessions.iter().filter(|((own, _), _)| own == browser).map(|(_, stored)| stored.clone()).collect();
        for stored in stored {
            let (Ok(pending), Ok(callback)) = (self.read(&stored), Callback::parse(input)) else { continue };
            if pending.is_for(&callback) {
                self.faults.push("`is_for` takes a stranger's callback".to_owned());
            }
            match pending.accept(callback) {
                Err(Error::Callback(CallbackError::State)) => {}
                Err(other) => self.faults.push(format!("`accept` judges a stranger's callback by more: {other:?}")),
                Ok(_) => self.faults.push("`accept` takes a stranger's callback".to_owned()),
            }
        }
    }

    fn read(&mut self, stored: &str) -> Result<Pending, Fail> {
        serde_json::from_str(stored).map_err(|error| {
            self.print_error(&error);
            if !self.tampered {
                self.faults.push(format!("a stored login cannot be read: {error}"));
            }
            Fail::Stored
        })
    }

    /// The request that an exchange makes now.
    pub(crate) fn ask(&mut self, exchange: &mut (impl Exchange + Debug)) -> Result<Sent, Error> {
        self.printed.extend(printed(exchange));
        let request = exchange.next_request(self.time(), &mut self.rng)?;
        self.printed.extend(printed(&request));
        self.printed.extend(printed(exchange));
        let (head, body) = request.into_parts();
        Ok(Sent {
            method: head.method,
            uri: head.uri.to_string(),
            headers: head.headers,
            pairs: parse(body.as_ref()).into_owned().collect(),
            body: body.into(),
            at: self.now,
            state: String::new(),
            code: String::new(),
        })
    }

    /// Hands the answer to that request in.
    pub(crate) fn tell<X: Exchange + Debug>(
        &mut self,
        exchange: &mut X,
        response: Response<Vec<u8>>,
    ) -> Result<Step<X::Output>, Error> {
        let step = exchange.handle_response(response);
        self.printed.extend(printed(exchange));
        if !matches!(step, Ok(Step::Again { .. })) {
            // Redirects followed, refusals retried: each would be a second request.
            match exchange.next_request(self.time(), &mut self.rng) {
                Err(Error::Usage(Usage::OutOfTurn)) => {}
                Err(other) => self.faults.push(format!("an exchange that is over says {other:?}")),
                Ok(_) => self.faults.push("an exchange sends a second request".to_owned()),
            }
        }
        if let Err(error) = &step {
            self.print_error(error);
        }
        step
    }

    pub(crate) fn time(&self) -> UnixTime {
        UnixTime::from_secs(self.now)
    }

    fn note(&mut self, sent: Sent, input: &str) {
        let query = input.split('#').next().unwrap_or_default();
        let query = query.split_once('?').map_or(query, |(_, query)| query);
        let brought = |name: &str| {
            parse(query.as_bytes())
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        let sent = Sent { state: brought("state"), code: brought("code"), ..sent };
        let departure = self.departures.iter().find(|departure| departure.state == sent.state);
        self.faults.extend(wire::request(&self.fixture, departure, &sent));
        self.sent.push(sent);
    }

    /// The server's answer to the request that left last.
    pub(crate) fn answer(&mut self, response: Response<Vec<u8>>) -> Outcome {
        let Some(mut exchange) = self.exchange.take() else {
            self.faults.push("there is no request to answer".to_owned());
            return Outcome::Emitted;
        };
        let said: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        match self.tell(&mut exchange, response) {
            Ok(Step::Done(tokens)) => self.receive(tokens, &said),
            Ok(Step::Again { .. }) => {
                self.exchange = Some(exchange);
                Outcome::Again
            }
            Err(error) => Outcome::Fail(Fail::Error(error)),
        }
    }

    /// The tokens of a login, stored.
    pub(crate) fn receive(&mut self, tokens: Tokens, said: &Value) -> Outcome {
        if tokens.extra().get::<Value>("authorization_details").as_ref() != said.get("authorization_details") {
            self.faults.push("what was granted is not what the server said".to_owned());
        }
        self.printed.extend(printed(&tokens));
        self.printed.extend(printed(&vec![Some(tokens.access_token())]));
        self.stored = serde_json::to_string(&tokens).ok();
        self.life = None;
        Outcome::Tokens(Box::new(tokens))
    }

    pub(crate) fn answer_well(&mut self) -> Outcome {
        self.answer(Response::new(GOOD.as_bytes().to_vec()))
    }

    pub(crate) fn print_error(&mut self, error: &(impl Debug + Display)) {
        self.printed.extend(printed(error));
        self.printed.push(error.to_string());
    }

    /// The URL that a server would send the browser of the last login back to.
    pub(crate) fn way_back(&self) -> String {
        let redirect_uri = self.fixture.redirect_uri.as_deref().unwrap_or_default();
        let joint = if redirect_uri.contains('?') { '&' } else { '?' };
        let issuer: String = byte_serialize(self.fixture.server("issuer").as_bytes()).collect();
        let state = self.departures.last().map(|departure| departure.state.as_str()).unwrap_or_default();
        format!("{redirect_uri}{joint}code={CODE}&state={state}&iss={issuer}")
    }

    /// Whether the last login can still be completed: it is tried.
    pub(crate) fn completes(&mut self) -> bool {
        let browser = self.departures.last().map(|departure| departure.browser.clone()).unwrap_or_default();
        let way_back = self.way_back();
        self.returns(&browser, &way_back).is_ok() && matches!(self.answer_well(), Outcome::Tokens(_))
    }

    pub(crate) fn awaits_answer(&self) -> bool {
        self.exchange.is_some() || self.is_polling()
    }

    pub(crate) fn blanks(&mut self) -> Result<Blanks, String> {
        let other = if let [first, .., _] = self.departures.as_slice() {
            first.state.clone()
        } else {
            // Of a login in somebody else's browser.
            let Ok(mut other) = Self::open(&self.fixture)? else { return Err("there is no client".to_owned()) };
            other.rng = Octets::new(1_000_000);
            let begun = other.begin("another browser");
            begun.map_err(|fail| format!("no other login: {fail:?}"))?;
            self.sessions.extend(other.sessions);
            other.departures.pop().map(|departure| departure.state).unwrap_or_default()
        };
        let issuer = self.fixture.server("issuer");
        Ok(Blanks(BTreeMap::from([
            ("CODE", CODE.to_owned()),
            ("STATE", self.departures.last().map(|departure| departure.state.clone()).unwrap_or_default()),
            ("OTHER_STATE", other),
            ("ISS", byte_serialize(issuer.as_bytes()).collect()),
            ("ISS_RAW", issuer.to_owned()),
            ("PORT", PORT.to_owned()),
            ("CLIENT_ID", self.fixture.client_id.clone()),
            ("NOW", self.now.to_string()),
            ("NONCE", "n-0S6_WzA2Mj".to_owned()),
            ("AT1", "AT1".to_owned()),
            ("RT1", "RT1".to_owned()),
        ])))
    }
}

/// Every way in which `Debug` can print.
pub(crate) fn printed(value: &impl Debug) -> [String; 4] {
    [format!("{value:?}"), format!("{value:#?}"), format!("{value:x?}"), format!("{:?}", Some(value))]
}

/// A generator whose numbers are known and, unless it is stuck, never the same twice (xorshift64*).
pub(crate) struct Octets {
    state: u64,
    stuck: bool,
}

impl Octets {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, stuck: false }
    }

    pub(crate) fn stuck() -> Self {
        Self { state: 0, stuck: true }
    }
}

impl TryRng for Octets {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|wide| (wide >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if self.stuck {
            return Ok(0x2A2A_2A2A_2A2A_2A2A);
        }
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        Ok(self.state.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(8) {
            let octets = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&octets[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Octets {}
