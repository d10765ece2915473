//! Playing a case: from its input to how it ended.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use proofkey_core::{Challenge, Verifier};
use serde_json::{Map, Value};

use crate::app::{App, BROWSER, Fail, Outcome};
use crate::case::{Case, only};
use crate::device::codes;
use crate::fixture::Fixture;
use crate::life::good;
use crate::{challenge, fault, know, many};

/// A case that was played: what is left to look at.
pub(crate) struct Played {
    /// `None` if there was no client to be had.
    pub(crate) app: Option<App>,
    pub(crate) outcome: Outcome,
    /// The last callback that the case handed in, filled in.
    pub(crate) callback: Option<String>,
    /// The last answer that the case handed in.
    pub(crate) answer: Option<Answer>,
    /// The headers of that answer.
    pub(crate) challenges: HeaderMap,
    /// How many requests had been sent once it had come.
    pub(crate) answered: usize,
    pub(crate) elapsed: Duration,
}

/// What the token endpoint said.
pub(crate) struct Answer {
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Metadata is nobody's secret.
    pub(crate) is_public: bool,
}

/// Plays a case; an error says why it cannot be.
pub(crate) fn play(case: &Case) -> Result<Played, String> {
    let begun = Instant::now();
    let ctx = case.text("ctx").unwrap_or(if case.kind() == "discover_url" { "discover" } else { "base" });
    let mut fixture = Fixture::of(ctx)?;
    let points = points_elsewhere(case);
    if points && !is_search(ctx) {
        fixture.resource.clone_from(&fixture.target);
    }
    let is_device = ["device_authorization", "poll"].contains(&case.text("op").unwrap_or_default());
    fixture.device |= is_device || case.steps().chain([&case.input]).any(|step| to(step) == "device_authorization");
    if ["config", "refresh", "resource"].contains(&case.kind()) {
        configure(&mut fixture, op(case)?, &case.input)?;
    }
    let mut played = Played {
        app: None,
        outcome: Outcome::Emitted,
        callback: None,
        answer: None,
        challenges: HeaderMap::new(),
        answered: 0,
        elapsed: Duration::ZERO,
    };
    match App::open(&fixture)? {
        Err(fail) => played.outcome = Outcome::Fail(fail),
        Ok(app) => {
            let mut stage = Stage {
                app,
                callback: None,
                answer: None,
                challenges: HeaderMap::new(),
                answered: 0,
                last: (Op::Login, good()),
                points: points || is_search(ctx),
                leads_on: false,
            };
            played.outcome = stage.run(case)?;
            if let Outcome::Fail(Fail::Error(error)) = &played.outcome {
                stage.app.print_error(error);
            }
            (played.callback, played.answer) = (stage.callback, stage.answer);
            (played.challenges, played.answered) = (stage.challenges, stage.answered);
            played.app = Some(stage.app);
        }
    }
    played.elapsed = begun.elapsed();
    Ok(played)
}

struct Stage {
    app: App,
    callback: Option<String>,
    answer: Option<Answer>,
    challenges: HeaderMap,
    answered: usize,
    /// What was done last, and what was said to it.
    last: (Op, Response<Vec<u8>>),
    /// A challenge is about where to look.
    points: bool,
    /// What was answered last is to be logged in with.
    leads_on: bool,
}

/// Whether a challenge is looked at for the metadata that it points at.
fn points_elsewhere(case: &Case) -> bool {
    let about = ["ForbiddenUrl", "InsecureUrl", "ResourceMismatch", "MetadataInvalid", "MetadataIssuerMismatch"];
    case.kind() == "www_authenticate" && case.expected.class.iter().all(|class| about.contains(&class.as_str()))
}

fn is_search(ctx: &str) -> bool {
    ["mcp", "discover", "prm"].iter().any(|name| ctx.starts_with(name))
}

/// Who says what the search for a server hears.
const PLACES: [&str; 3] = ["as_metadata", "oidc_metadata", "prm"];

/// Whose answer an input is.
fn to(input: &Map<String, Value>) -> &str {
    input.get("to").and_then(Value::as_str).unwrap_or_default()
}

/// What a client does.
#[derive(Clone, Copy, PartialEq)]
enum Op {
    Login,
    Device,
    Poll,
    Refresh,
    Resource,
    Revoke,
    Introspect,
    Push,
    Search,
}

/// What a `config` case is about: a login, unless it says otherwise.
fn op(case: &Case) -> Result<Op, String> {
    let named = case.text("op").unwrap_or(match case.kind() {
        "config" => "authorize",
        kind => kind,
    });
    Ok(match named {
        // Both requests are always looked at.
        "authorize"
        | "authorization_request"
        | "par"
        | "push"
        | "pushed_authorization_request"
        | "token_request"
        | "code_exchange"
        | "device_authorization"
        | "poll" => Op::Login,
        "refresh" | "refresh_request" => Op::Refresh,
        "resource" | "resource_request" | "call" => Op::Resource,
        "revoke" | "revocation" => Op::Revoke,
        "introspect" | "introspection" => Op::Introspect,
        op => return Err(format!("cannot be played: unknown op {op:?}")),
    })
}

impl Stage {
    fn run(&mut self, case: &Case) -> Result<Outcome, String> {
        let input = &case.input;
        match case.kind() {
            "callback" | "callback_post" => {
                if let Err(fail) = self.app.begin(BROWSER) {
                    return Ok(Outcome::Fail(fail));
                }
                match self.callback(input)? {
                    Outcome::Emitted => Ok(self.app.answer_well()),
                    ended => Ok(ended),
                }
            }
            "response" | "www_authenticate" => {
                let outcome = self.response(input)?;
                self.finish(case, outcome)
            }
            "config" | "refresh" | "resource" if op(case)? != Op::Login => {
                let outcome = self.operation(op(case)?, good());
                self.finish(case, outcome)
            }
            "discover_url" => self.discover_url(case),
            "concurrent" => {
                let outcome = many::play(&mut self.app, case)?;
                if let Some(said) = case.text("response") {
                    self.answer = Some(Answer {
                        headers: Vec::new(),
                        body: many::answer(said, 1)?.into_body(),
                        is_public: false,
                    });
                }
                Ok(outcome)
            }
            "fault" => fault::play(&mut self.app, case),
            "config" | "logging" => Ok(vet_verifier(&self.app.fixture).map_or_else(Outcome::Fail, |()| self.login())),
            "sequence" => self.sequence(case),
            kind => Err(format!("cannot be played: unknown kind {kind:?}")),
        }
    }

    /// A login without surprises.
    fn login(&mut self) -> Outcome {
        if self.app.fixture.device {
            return self.app.device_login();
        }
        match self.app.begin(BROWSER).and_then(|()| self.come_back()) {
            Ok(()) => self.app.answer_well(),
            Err(fail) => Outcome::Fail(fail),
        }
    }

    fn come_back(&mut self) -> Result<(), Fail> {
        let way_back = self.app.way_back();
        self.app.returns(BROWSER, &way_back)
    }

    fn callback(&mut self, input: &Map<String, Value>) -> Result<Outcome, String> {
        only(input, &["kind", "ctx", "url", "body", "content_type", "session", "browser"])?;
        let member = if input["kind"] == "callback_post" { "body" } else { "url" };
        let bytes = self.app.blanks()?.bytes(input.get(member).unwrap_or(&Value::Null))?;
        // `Callback::parse` takes text: a framework that found raw bytes would have refused them before.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let back = self.app.returns(browser(input), &text);
        self.callback = Some(text);
        Ok(back.map_or_else(Outcome::Fail, |()| Outcome::Emitted))
    }

    /// Where a search asks while nobody has a document.
    fn discover_url(&mut self, case: &Case) -> Result<Outcome, String> {
        only(&case.input, &["kind", "ctx", "issuer", "algorithm", "resource", "url"])?;
        let algorithm = case.text("algorithm").unwrap_or("mcp");
        let known = ["oauth2", "oauth", "rfc8414", "oidc", "openid", "oidc_append", "oidc_insert", "mcp", "all"];
        let about_resource = ["prm", "rfc9728", "resource", "protected_resource", "oauth_protected_resource"];
        if !known.contains(&algorithm) && !about_resource.contains(&algorithm) {
            return Err(format!("cannot be played: unknown algorithm {algorithm:?}"));
        }
        let name = case.text("issuer").or(case.text("resource")).or(case.text("url"));
        let name = name.ok_or("cannot be played: whose URL?")?;
        let begun = if about_resource.contains(&algorithm) || case.text("issuer").is_none() {
            name.clone_into(&mut self.app.fixture.resource);
            self.app.seek_resource(None)
        } else {
            self.app.fixture.server["issuer"] = name.into();
            self.app.seek_server()
        };
        if let Err(fail) = begun {
            return Ok(Outcome::Fail(fail));
        }
        while let Outcome::Again = self.app.hear(know::status(StatusCode::NOT_FOUND)) {}
        Ok(Outcome::Emitted)
    }

    /// The search that this answer is for is under way.
    fn seek(&mut self, to: &str, input: &Map<String, Value>, headers: &HeaderMap) -> Result<(), Fail> {
        if self.app.search.is_none() {
            let text = |name: &str| input.get(name).and_then(Value::as_str);
            if let Some(issuer) = text("issuer") {
                self.app.fixture.server["issuer"] = issuer.into();
            }
            if let Some(resource) = text("resource").or(text("requested")) {
                resource.clone_into(&mut self.app.fixture.resource);
            }
            match to {
                "prm" => self.app.seek_resource(None)?,
                "resource" => self.app.seek_resource(Some(&Challenge::bearer(headers).unwrap_or_default()))?,
                _ => self.app.seek_server()?,
            }
        }
        while to == "oidc_metadata" && !self.app.wants_openid() {
            if let Outcome::Fail(fail) = self.app.hear(know::status(StatusCode::NOT_FOUND)) {
                return Err(fail);
            }
        }
        Ok(())
    }

    fn response(&mut self, input: &Map<String, Value>) -> Result<Outcome, String> {
        only(input, &["kind", "ctx", "to", "status", "headers", "body", "issuer", "resource", "requested"])?;
        let is_challenge = input["kind"] == "www_authenticate";
        let to = input.get("to").and_then(Value::as_str).unwrap_or(if is_challenge { "resource" } else { "" });
        let op = match to {
            "device_authorization" => Op::Device,
            "token" if self.app.fixture.device => Op::Poll,
            "token" => Op::Login,
            "token_refresh" => Op::Refresh,
            "resource" => Op::Resource,
            "revocation" => Op::Revoke,
            "introspection" => Op::Introspect,
            "par" => Op::Push,
            to if PLACES.contains(&to) => Op::Search,
            to => return Err(format!("cannot be played: an answer of {to:?}")),
        };
        if op == Op::Login && !self.app.awaits_answer() {
            self.app.begin(BROWSER).and_then(|()| self.come_back()).map_err(|fail| format!("no request: {fail:?}"))?;
        }
        if op == Op::Poll && self.app.device.is_none() {
            self.app.begin_device(codes());
        }
        let blanks = self.app.blanks()?;
        let status = input.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.ok_or("cannot be played: no such status")?;
        let body = blanks.bytes(input.get("body").unwrap_or(&Value::Null))?;
        let mut response = Response::new(body.clone());
        *response.status_mut() = status;
        let mut headers = Vec::new();
        for pair in input.get("headers").and_then(Value::as_array).into_iter().flatten() {
            let name = pair[0].as_str().ok_or_else(|| format!("cannot be played: header {pair}"))?;
            let value = blanks.bytes(&pair[1])?;
            let (Ok(own), Ok(text)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value)) else {
                return Ok(Outcome::Fail(Fail::Undeliverable));
            };
            response.headers_mut().append(own, text);
            headers.push((name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()));
        }
        self.challenges = response.headers().clone();
        let asks = Challenge::bearer(&self.challenges).is_some_and(|bearer| bearer.resource_metadata.is_some());
        if is_challenge && self.points && (status == StatusCode::UNAUTHORIZED || asks) {
            self.app.faults.extend(challenge::faults(&self.challenges));
            self.last = (Op::Search, response);
            self.answer = Some(Answer { headers, body, is_public: true });
            let headers = self.challenges.clone();
            return Ok(self.seek(to, input, &headers).map_or_else(Outcome::Fail, |()| Outcome::Again));
        }
        if op == Op::Search
            && let Err(fail) = self.seek(to, input, &HeaderMap::new())
        {
            return Ok(Outcome::Fail(fail));
        }
        let outcome = self.operation(op, response);
        self.answer = Some(Answer { headers, body, is_public: op == Op::Search });
        Ok(outcome)
    }

    /// One operation, and the answer to it.
    fn operation(&mut self, op: Op, response: Response<Vec<u8>>) -> Outcome {
        self.last = (op, response.clone());
        let outcome = match op {
            Op::Login => self.app.answer(response),
            Op::Device => self.app.begin_device(response),
            Op::Poll => self.app.poll(Some(response)),
            Op::Refresh => self.app.refresh(response),
            Op::Resource => self.app.resource(response),
            Op::Revoke => self.app.revoke(response),
            Op::Introspect => self.app.introspect(response),
            Op::Search => self.app.hear(response),
            Op::Push => self.app.push(BROWSER, response).map_or_else(Outcome::Fail, |()| Outcome::Emitted),
        };
        self.leads_on = matches!(outcome, Outcome::Emitted) && [Op::Search, Op::Push, Op::Device].contains(&op);
        self.answered = self.app.sent.len();
        outcome
    }

    /// What the client still has to send when the case has no more to say. A server that is asked once more says the same
    /// again; a resource that is to be called again is content with the new token, unless the case says that it ends badly.
    fn finish(&mut self, case: &Case, outcome: Outcome) -> Result<Outcome, String> {
        let mut outcome = outcome;
        if self.leads_on {
            return Ok(self.lead_on());
        }
        if self.app.is_polling() {
            let is_over = !matches!(outcome, Outcome::Again) || waits(case);
            return Ok(if is_over { outcome } else { self.app.approve() });
        }
        for _ in 0..4 {
            if !matches!(outcome, Outcome::Again) || self.app.awaits_answer() {
                return Ok(outcome);
            }
            let (op, said) = self.last.clone();
            let is_bad = ["reject", "reauth"].contains(&case.expected.verdict.as_str());
            outcome = match op {
                Op::Search if waits(case) => return Ok(outcome),
                Op::Search => match self.app.hear_more() {
                    Outcome::Emitted => return Ok(self.lead_on()),
                    ended => ended,
                },
                Op::Resource if is_bad => self.app.resource(said),
                Op::Resource => self.app.resource(Response::new(Vec::new())),
                Op::Revoke => self.app.revoke(said),
                _ => return Err("cannot be played: it goes on".to_owned()),
            };
        }
        self.app.faults.push("it goes on and on".to_owned());
        Ok(outcome)
    }

    /// The login that was pushed, or one at the server that was found, to its end.
    fn lead_on(&mut self) -> Outcome {
        self.leads_on = false;
        if self.app.fixture.device {
            return self.app.approve();
        }
        if self.app.found.is_some() {
            self.app.refuses_another_issuer();
            return self.login();
        }
        let left = self.app.departures.last();
        if left.is_some_and(|left| left.leave_by.is_some_and(|until| until <= self.app.now)) {
            return Outcome::Fail(Fail::Stale);
        }
        match self.come_back() {
            Ok(()) => self.app.answer_well(),
            Err(fail) => Outcome::Fail(fail),
        }
    }

    fn sequence(&mut self, case: &Case) -> Result<Outcome, String> {
        only(&case.input, &["kind", "ctx", "steps"])?;
        let steps: Vec<_> = case.steps().collect();
        let mut outcome = Outcome::Emitted;
        for (index, step) in steps.iter().enumerate() {
            let next = steps.get(index + 1);
            let to = next.map_or("", |next| to(next));
            let is_answered = next.is_some_and(|next| next["kind"] == "response" || next["kind"] == "www_authenticate")
                && !PLACES.contains(&to)
                && to != "par";
            self.leads_on &= ["advance_clock", "redirect", "leave", "open"].iter().any(|kind| step["kind"] == *kind);
            let is_over = self.app.device.is_some() && !self.app.is_polling();
            outcome = match step.get("kind").and_then(Value::as_str).unwrap_or_default() {
                // What is answered next, or begun with the answer; and what nobody asks for any more.
                "begin" if ["par", "device_authorization"].contains(&to) => continue,
                "poll" if is_over || to == "token" || next.is_some_and(|next| fault::is_silence(next)) => continue,
                "response" if is_over && self::to(step) == "token" => continue,
                "poll" => self.app.approve(),
                "timeout" | "fault" if self.app.is_polling() && fault::is_silence(step) => {
                    only(step, &["kind", "ctx", "to", "at", "fault"])?;
                    self.app.poll(None)
                }
                // Whether the browser may still leave is looked at in the end.
                "redirect" | "leave" | "open" if self.leads_on => continue,
                "begin" => {
                    only(step, &["kind", "ctx", "session", "browser"])?;
                    self.app.begin(browser(step)).map_or_else(Outcome::Fail, |()| Outcome::Emitted)
                }
                "callback" | "callback_post" => match self.callback(step)? {
                    Outcome::Emitted if !is_answered => self.app.answer_well(),
                    ended => ended,
                },
                "response" | "www_authenticate" => self.response(step)?,
                "advance_clock" => {
                    only(step, &["kind", "seconds"])?;
                    let seconds = step.get("seconds").and_then(Value::as_i64).ok_or("cannot be played: how long?")?;
                    self.app.now = self.app.now.saturating_add_signed(seconds);
                    self.leads_on |= self.app.is_polling();
                    continue;
                }
                // A step that is answered next is begun there.
                "refresh" | "resource" | "call" if is_answered => continue,
                "refresh" => {
                    only(step, &["kind", "ctx"])?;
                    self.operation(Op::Refresh, good())
                }
                "resource" | "call" => {
                    only(step, &["kind", "ctx"])?;
                    self.operation(Op::Resource, Response::new(Vec::new()))
                }
                kind => return Err(format!("cannot be played: unknown step {kind:?}")),
            };
            // The refresh that a call waited for; the call goes on.
            if self.app.is_refused() && matches!(outcome, Outcome::Tokens(_)) {
                outcome = Outcome::Again;
                self.last = (Op::Resource, self.last.1.clone());
            }
        }
        self.finish(case, outcome)
    }
}

/// Whether a case ends with something left to do.
pub(crate) fn waits(case: &Case) -> bool {
    ["retry", "wait"].contains(&case.expected.verdict.as_str())
}

fn browser(step: &Map<String, Value>) -> &str {
    let named = step.get("session").or(step.get("browser")).and_then(Value::as_str);
    named.unwrap_or(BROWSER)
}

/// Parameters that are the provider's, and go through `param`; those that the library owns are refused there.
const PARAMS: [&str; 21] = [
    "login_hint",
    "prompt",
    "ui_locales",
    "claims_locales",
    "display",
    "acr_values",
    "max_age",
    "id_token_hint",
    "claims",
    "audience",
    "access_type",
    "nonce",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_type",
    "request",
    "request_uri",
    "client_assertion",
    "username",
    "password",
];

/// Builds what a `config` case says. An unknown member is an error: nobody would look at it.
fn configure(fixture: &mut Fixture, op: Op, input: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in input {
        let strange = || format!("cannot be played: config {name}: {value}");
        let text = || value.as_str().map(str::to_owned);
        match name.as_str() {
            "kind" | "ctx" | "op" => {}
            "access_token" | "refresh_token" | "expires_at" if op != Op::Login => fixture.tokens[name] = value.clone(),
            "tokens" if op != Op::Login => {
                for (name, value) in value.as_object().ok_or_else(strange)? {
                    fixture.tokens[name] = value.clone();
                }
            }
            "url" | "uri" | "target" if op == Op::Resource => fixture.target = text().ok_or_else(strange)?,
            "method" if op == Op::Resource => fixture.method = text().ok_or_else(strange)?,
            "body" if op == Op::Resource => fixture.body = text().ok_or_else(strange)?,
            "headers" if op == Op::Resource => fixture.headers = pairs(value).ok_or_else(strange)?,
            "scope" if op == Op::Refresh => {
                fixture.narrowed = match value.as_str() {
                    Some(text) => text.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect(),
                    None => texts(value).ok_or_else(strange)?,
                };
            }
            "redirect_uri" => fixture.redirect_uri = text(),
            "client_id" => fixture.client_id = text().ok_or_else(strange)?,
            "client_secret" => fixture.secret = text(),
            "auth" | "authentication" => fixture.auth = texts(value).ok_or_else(strange)?,
            // As one text, it is the wire's form; as a list, each is a token.
            "scope" => {
                fixture.scope = match value.as_str() {
                    Some(text) => text.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect(),
                    None => texts(value).ok_or_else(strange)?,
                };
            }
            "resource" | "resources" => fixture.resources = texts(value).ok_or_else(strange)?,
            "extra_params" | "params" => fixture.params.extend(pairs(value).ok_or_else(strange)?),
            "authorization_details" => {
                fixture.details = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            }
            "par" | "push" => fixture.push = value.as_bool().ok_or_else(strange)?,
            "response_mode" if value == "form_post" => fixture.form_post = true,
            "response_mode" if value == "query" => {}
            "code_verifier" | "verifier" => fixture.verifier = text(),
            "issuer" | "require_pushed_authorization_requests" => fixture.server[name] = value.clone(),
            name if name.ends_with("_endpoint") || name.ends_with("_supported") => fixture.server[name] = value.clone(),
            "metadata" | "server" => {
                for (name, value) in value.as_object().ok_or_else(strange)? {
                    fixture.server[name] = value.clone();
                }
            }
            "response_mode" => fixture.params.push((name.clone(), text().ok_or_else(strange)?)),
            name if PARAMS.contains(&name) => {
                let text = text().unwrap_or_else(|| value.to_string());
                fixture.params.push((name.to_owned(), text));
            }
            _ => return Err(format!("cannot be played: config has an unknown member {name:?}")),
        }
    }
    Ok(())
}

/// A text, or a list of them.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Names and values, as a list of pairs or as an object.
fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        }
        Value::Array(list) => {
            list.iter().map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()))).collect()
        }
        _ => None,
    }
}

/// A verifier of the caller's own is vetted where it is made.
fn vet_verifier(fixture: &Fixture) -> Result<(), Fail> {
    fixture.verifier.as_ref().map_or(Ok(()), |text| Verifier::new(text.as_str()).map(drop).map_err(Fail::Error))
}
