//! What comes after a login: the application keeps its tokens in a session, refreshes them, calls resources, gives tokens
//! back and asks what they are worth. Whatever the case is about, what must hold of every refresh and call is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use proofkey_core::{
    Completion, Error, Exchange, Introspection, Next, Refresh, Remedy, Revocation, Scope, Secret, Session, Step,
    Ticket, TokenState, Tokens, UnixTime, Usage,
};
use serde_json::{Map, Value};

use crate::app::{App, Fail, GOOD, Outcome, Reply, printed};
use crate::{challenge, wire};

/// A login that is kept.
pub(crate) struct Life {
    pub(crate) session: Session,
    /// The tokens that it began with.
    pub(crate) first: Arc<Tokens>,
    /// A resource has refused the token: the call is to be made once more.
    refused: bool,
    /// A return of tokens that is not over.
    revocation: Option<Revocation>,
    /// The most refreshes that one moment saw, over all schedules of a `concurrent` case.
    pub(crate) most: usize,
    /// Whether all callers of such a case ended alike.
    pub(crate) alike: bool,
}

impl App {
    /// The session over the tokens of the last login, or over those that an earlier one left.
    pub(crate) fn live(&mut self) -> Result<(), Fail> {
        if self.life.is_some() {
            return Ok(());
        }
        let stored = self.stored.clone().unwrap_or_else(|| self.fixture.stored());
        let first: Tokens = serde_json::from_str(&stored).map_err(|error| {
            self.print_error(&error);
            Fail::Stored
        })?;
        let session = Session::new(self.client.clone(), first.clone())?;
        self.printed.extend(printed(&session));
        let first = Arc::new(first);
        self.life = Some(Life { session, first, refused: false, revocation: None, most: 0, alike: true });
        Ok(())
    }

    pub(crate) fn held(&self) -> Option<Arc<Tokens>> {
        self.life.as_ref().and_then(|life| life.session.tokens().cloned())
    }

    /// What the session says to do.
    pub(crate) fn next(&mut self) -> Result<Next, Fail> {
        let next = self.turn()?;
        self.printed.extend(printed(&next));
        Ok(next)
    }

    /// The same, unprinted: for the thousandth time.
    pub(crate) fn turn(&mut self) -> Result<Next, Fail> {
        self.live()?;
        let now = self.time();
        let Some(life) = &mut self.life else { return Err(Fail::LogIn) };
        Ok(life.session.next(now, &mut self.rng))
    }

    /// The refresh that is due next; the clock goes on until there is one.
    fn due(&mut self) -> Result<(Ticket, Refresh), Fail> {
        for _ in 0..8 {
            match self.next()? {
                Next::Refresh(ticket, refresh) => return Ok((ticket, refresh)),
                Next::Use(tokens) => match tokens.expires_at() {
                    Some(at) => self.now = at.as_secs().max(self.now + 1),
                    None => drop(self.life.as_mut().map(|life| life.session.reject(&tokens))),
                },
                Next::Later(delay) => self.now += delay.as_secs(),
                Next::LogIn => return Err(self.ended()),
                Next::Wait => self.faults.push("a refresh is under way that nobody runs".to_owned()),
            }
        }
        self.faults.push("no refresh becomes due".to_owned());
        Err(Fail::LogIn)
    }

    /// What is left to say once the session wants a login.
    fn ended(&mut self) -> Fail {
        if let Some(tokens) = self.held() {
            match self.client.refresh(&tokens) {
                Err(Error::Usage(Usage::NoRefreshToken)) => {}
                other => self.faults.push(format!("the session wants a login, and a refresh says {other:?}")),
            }
        }
        Fail::LogIn
    }

    /// A refresh, and its answer.
    pub(crate) fn refresh(&mut self, response: Response<Vec<u8>>) -> Outcome {
        let ended = match self.due() {
            Ok((ticket, refresh)) => self.run(ticket, refresh, response),
            Err(fail) => Outcome::Fail(fail),
        };
        if !matches!(ended, Outcome::Tokens(_)) {
            self.life.iter_mut().for_each(|life| life.refused = false);
        }
        ended
    }

    /// Runs a refresh, and hands its outcome in.
    pub(crate) fn run(&mut self, ticket: Ticket, refresh: Refresh, response: Response<Vec<u8>>) -> Outcome {
        let Some(before) = self.held() else { return Outcome::Fail(Fail::LogIn) };
        let token = before.refresh_token().map(|token| token.expose().to_owned()).unwrap_or_default();
        let mut refresh = refresh.scope(&self.fixture.narrowed);
        let (status, body) = (response.status(), response.body().clone());
        let result = match self.ask(&mut refresh) {
            Err(error) => Err(error),
            Ok(sent) => {
                self.faults.extend(wire::refresh(&self.fixture, &token, &sent));
                self.sent.push(sent);
                match self.tell(&mut refresh, response) {
                    Ok(Step::Done(tokens)) => Ok(Arc::new(tokens)),
                    Ok(Step::Again { .. }) => return Outcome::Again,
                    Err(error) => Err(error),
                }
            }
        };
        let now = self.time();
        let Some(life) = &mut self.life else { return Outcome::Fail(Fail::LogIn) };
        let completion = life.session.complete(ticket, result.as_ref().map(Arc::clone).map_err(Error::remedy), now);
        self.printed.extend(printed(&completion));
        match (completion, result) {
            (Completion::Renewed(tokens), Ok(_)) => {
                self.renewed(&before, &tokens, &body);
                Outcome::Tokens(Box::new((*tokens).clone()))
            }
            (Completion::Failed(remedy), Err(error)) => {
                self.kept(&before, remedy, &error, status, &body);
                Outcome::Fail(Fail::Error(error))
            }
            (completion, _) => {
                self.faults.push(format!("a refresh that was asked for ends as {completion:?}"));
                Outcome::Emitted
            }
        }
    }

    /// What must hold once tokens have been renewed: they are the answer's, in every place, and good at least once.
    fn renewed(&mut self, before: &Tokens, tokens: &Arc<Tokens>, body: &[u8]) {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let given = |name: &str| answer[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let refresh_token = given("refresh_token").or(before.refresh_token().map(|token| token.expose().to_owned()));
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("after a refresh: {what}"));
            }
        };
        let is_new = |tokens: &Tokens| {
            Some(tokens.access_token().expose()) == given("access_token").as_deref()
                && tokens.refresh_token().map(Secret::expose) == refresh_token.as_deref()
        };
        must(is_new(tokens), "the tokens are not those of the answer, with the old refresh token where it has none");
        must(tokens.issuer() == before.issuer() && tokens.client_id().is_some(), "they have lost whose they are");
        let read = serde_json::to_string(&**tokens).ok().and_then(|text| serde_json::from_str::<Tokens>(&text).ok());
        let is_kept =
            |read: &Tokens| is_new(read) && read.expires_at() == tokens.expires_at() && read.scope() == tokens.scope();
        must(read.as_ref().is_some_and(is_kept), "they are not read back as they were stored");
        must(self.held().is_some_and(|held| is_new(&held)), "the session has others");
        must(matches!(self.next(), Ok(Next::Use(given)) if is_new(&given)), "they are not given out");
        // However short they live, they serve for half of it.
        let now = self.now;
        self.now += tokens.expires_at().map_or(0, |at| at.as_secs().saturating_sub(now) / 2);
        must(matches!(self.next(), Ok(Next::Use(given)) if is_new(&given)), "they are renewed too early");
        self.now = now;

        // The grant is what it was, whatever this access token was made for.
        let read = read.unwrap_or_else(|| (**tokens).clone());
        let narrowed = std::mem::take(&mut self.fixture.narrowed);
        match self.client.refresh(&read).and_then(|mut refresh| self.ask(&mut refresh)) {
            Ok(sent) => {
                faults.extend(wire::refresh(&self.fixture, refresh_token.as_deref().unwrap_or_default(), &sent));
            }
            Err(error) => faults.push(format!("after a refresh: there can be no other: {error}")),
        }
        self.fixture.narrowed = narrowed;
        let granted: Vec<String> = before.scope().into_iter().flat_map(Scope::iter).map(str::to_owned).collect();
        let again = self.client.refresh(&read).map(|refresh| refresh.scope(&granted));
        if let Err(error) = again.and_then(|mut refresh| refresh.next_request(self.time(), &mut self.rng)) {
            faults.push(format!("after a refresh: the grant is narrowed: {error}"));
        }
        self.faults.append(&mut faults);
        self.printed.extend(printed(tokens));
    }

    /// What must hold once a refresh has failed: only the server's word that the grant is dead ends it, and nobody asks
    /// again at once.
    fn kept(&mut self, before: &Tokens, remedy: Remedy, error: &Error, status: StatusCode, body: &[u8]) {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let transient = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
        let is_dead = answer["error"] == "invalid_grant" && !transient && !status.is_redirection();
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("after a failed refresh: {what}"));
            }
        };
        let held = self.held();
        if is_dead {
            must(remedy == Remedy::LogInAgain && held.is_none(), "the grant is dead, and the session goes on");
        } else if answer["error"] != "access_denied" {
            let is_old = |held: &Tokens| {
                held.access_token().expose() == before.access_token().expose()
                    && held.refresh_token().map(Secret::expose) == before.refresh_token().map(Secret::expose)
            };
            must(held.as_deref().is_some_and(is_old), "the old tokens are lost");
        }
        if let Error::Server(error) = error {
            let asked = error.retry_after.unwrap_or_default();
            let waits =
                |remedy| matches!(remedy, Remedy::TryLater(Some(delay)) if delay >= asked.max(Duration::from_secs(1)));
            must(!transient || waits(remedy), "it may be tried again sooner than the server asked");
        }
        let usable = before.expires_at().is_none_or(|at| at > self.time())
            && !self.life.as_ref().is_some_and(|life| life.refused);
        match self.next() {
            Ok(Next::Use(tokens)) => {
                must(
                    usable && tokens.access_token().expose() == before.access_token().expose(),
                    "a bad token is given out",
                );
            }
            Ok(Next::LogIn) => must(held.is_none(), "it wants a login, and the grant lives"),
            Ok(Next::Later(_)) => must(!usable, "the old token is good, and withheld"),
            other => must(false, &format!("it is tried again at once: {:?}", other.is_ok())),
        }
        self.faults.append(&mut faults);
    }

    /// Tokens as the session gives them out; the server refreshes well if it is asked to.
    fn fresh(&mut self) -> Result<Arc<Tokens>, Outcome> {
        for _ in 0..3 {
            match self.next().map_err(Outcome::Fail)? {
                Next::Use(tokens) => return Ok(tokens),
                Next::Refresh(ticket, refresh) => match self.run(ticket, refresh, good()) {
                    Outcome::Tokens(_) => {}
                    ended => return Err(ended),
                },
                Next::Later(_) => return Err(Outcome::Fail(Fail::Later)),
                _ => return Err(Outcome::Fail(self.ended())),
            }
        }
        self.faults.push("the session refreshes without end".to_owned());
        Err(Outcome::Fail(Fail::LogIn))
    }

    /// A call of a resource, and its answer. A token that is refused is renewed before the call is made once more.
    pub(crate) fn resource(&mut self, response: Response<Vec<u8>>) -> Outcome {
        let is_second = self.life.as_mut().is_some_and(|life| std::mem::take(&mut life.refused));
        let tokens = match self.fresh() {
            Ok(tokens) => tokens,
            Err(ended) => return ended,
        };
        let mut request = Request::new(self.fixture.body.clone());
        *request.method_mut() = self.fixture.method.parse().unwrap_or_default();
        let Ok(target) = self.fixture.target.parse() else { return Outcome::Fail(Fail::Undeliverable) };
        *request.uri_mut() = target;
        for (name, value) in &self.fixture.headers {
            let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else {
                return Outcome::Fail(Fail::Undeliverable);
            };
            request.headers_mut().append(name, value);
        }
        let mut call = self.client.call(&tokens, request);
        match self.ask(&mut call) {
            Err(error) => return Outcome::Fail(Fail::Error(error)),
            Ok(sent) => {
                self.faults.extend(wire::resource(&self.fixture, tokens.access_token().expose(), &sent));
                self.sent.push(sent);
            }
        }
        let answer = match self.tell(&mut call, response) {
            Ok(Step::Done(answer)) => answer,
            Ok(Step::Again { .. }) => return Outcome::Again,
            Err(error) => return Outcome::Fail(Fail::Error(error)),
        };
        self.faults.extend(challenge::faults(answer.headers()));
        let is_rejection = Session::is_rejection(&answer);
        let long = answer.headers().values().map(HeaderValue::len).sum::<usize>() > 16 * 1024;
        if is_rejection != (answer.status() == 401 && challenge::is_invalid_token(answer.headers())) && !long {
            self.faults.push(format!("a token is renewed for invalid_token with 401 alone; here: {is_rejection}"));
        }
        if let Some(life) = self.life.as_mut().filter(|_| is_rejection && !is_second) {
            life.session.reject(&tokens);
            life.refused = true;
            return Outcome::Again;
        }
        let (head, _) = answer.into_parts();
        Outcome::Resource(Reply { status: head.status, headers: head.headers })
    }

    /// Whether a call is to be made once more.
    pub(crate) fn is_refused(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.refused)
    }

    /// Tokens are given back; the answer is that to the first request of it that has none.
    pub(crate) fn revoke(&mut self, response: Response<Vec<u8>>) -> Outcome {
        if let Err(fail) = self.live() {
            return Outcome::Fail(fail);
        }
        let under_way = self.life.as_mut().and_then(|life| life.revocation.take());
        let is_second = under_way.is_some();
        let Some(tokens) = self.held() else { return Outcome::Fail(Fail::LogIn) };
        let mut revocation = match under_way.map_or_else(|| self.client.revoke(&tokens), Ok) {
            Ok(revocation) => revocation,
            Err(error) => return Outcome::Fail(Fail::Error(error)),
        };
        let (token, hint) = match tokens.refresh_token().filter(|_| !is_second) {
            Some(token) => (token, "refresh_token"),
            None => (tokens.access_token(), "access_token"),
        };
        match self.ask(&mut revocation) {
            Err(error) => return Outcome::Fail(Fail::Error(error)),
            Ok(sent) => {
                let endpoint = "revocation_endpoint";
                self.faults.extend(wire::about(&self.fixture, endpoint, token.expose(), Some(hint), &sent));
                self.sent.push(sent);
            }
        }
        match self.tell(&mut revocation, response) {
            Ok(Step::Done(())) => {
                self.life.iter_mut().for_each(|life| drop(life.session.clear()));
                Outcome::Done
            }
            Ok(Step::Again { .. }) => {
                if let Some(life) = &mut self.life {
                    life.revocation = Some(revocation);
                }
                Outcome::Again
            }
            Err(error) => Outcome::Fail(Fail::Error(error)),
        }
    }

    /// What the server says of the access token.
    pub(crate) fn introspect(&mut self, response: Response<Vec<u8>>) -> Outcome {
        if let Err(fail) = self.live() {
            return Outcome::Fail(fail);
        }
        let Some(tokens) = self.held() else { return Outcome::Fail(Fail::LogIn) };
        let body = response.body().clone();
        let mut introspection: Introspection = self.client.introspect(tokens.access_token());
        match self.ask(&mut introspection) {
            Err(error) => return Outcome::Fail(Fail::Error(error)),
            Ok(sent) => {
                let token = tokens.access_token().expose();
                self.faults.extend(wire::about(&self.fixture, "introspection_endpoint", token, None, &sent));
                self.sent.push(sent);
            }
        }
        match self.tell(&mut introspection, response) {
            Ok(Step::Done(state)) => {
                self.printed.extend(printed(&state));
                self.judge(&state, &body);
                Outcome::State(Box::new(state))
            }
            Ok(Step::Again { .. }) => Outcome::Again,
            Err(error) => Outcome::Fail(Fail::Error(error)),
        }
    }

    /// What must hold of what is said of a token: it is what the answer says, and of a bad one nothing is said.
    fn judge(&mut self, state: &TokenState, body: &[u8]) {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let members: BTreeMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let said: Map<String, Value> = if members.get("active") == Some(&Value::Bool(true)) {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect()
        } else {
            Map::new()
        };
        let mut must = |holds: bool, what: &str| {
            if !holds {
                self.faults.push(format!("introspection: {what}"));
            }
        };
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        must(state.is_active() == said.contains_key("active"), "active");
        must(state.client_id() == text("client_id") && state.subject() == text("sub"), "client_id or sub");
        must(state.scope().is_some() == said.contains_key("scope"), "scope");
        let whole = said
            .get("exp")
            .and_then(|exp| exp.as_str().map_or_else(|| Some(exp.to_string()), |text| Some(text.to_owned())));
        let whole = whole.as_deref().and_then(|exp| exp.split('.').next()?.parse::<u64>().ok());
        let at = state.expires_at().map(UnixTime::as_secs);
        must(whole.is_none_or(|exp| at == Some(exp.min(i64::MAX.unsigned_abs()))), "exp");
        must(at.is_some() == said.contains_key("exp"), "exp");
        let now = UnixTime::from_secs(self.now);
        must(
            state.is_valid_at(now) == (state.is_active() && at.is_none_or(|at| at > self.now)),
            "it is good now, or not",
        );
        let own = ["active", "client_id", "sub", "scope", "exp"];
        let mut others: Vec<String> = state.extra().names();
        others.sort();
        must(said.keys().filter(|name| !own.contains(&name.as_str())).eq(others.iter()), "other members");
    }
}

/// A refresh that succeeds.
pub(crate) fn good() -> Response<Vec<u8>> {
    Response::new(GOOD.as_bytes().to_vec())
}
