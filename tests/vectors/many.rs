//! Many callers of one session. Every caller asks the machine when its turn comes, as tasks do that share it behind a lock;
//! the server's answer arrives after the first of them, after the second, .. and after the last: each is a schedule, and
//! what must hold holds in all of them.
//!
//! The server is strict: it rotates, and counts a refresh token that comes twice. What is judged is the machine and this
//! driver of it; the transports' drivers, whose tasks and threads are real, have tests of their own.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use http::{Response, StatusCode};
use proofkey_core::{Completion, Error, Exchange, Next, Refresh, Remedy, Session, Step, Ticket, Tokens, UnixTime};
use serde_json::{Value, json};

use crate::app::{App, BROWSER, Fail, NOW, Octets, Outcome};
use crate::case::{Case, only};
use crate::life::good;
use crate::{device, wire};

/// What a caller does.
#[derive(Clone, Debug, PartialEq)]
enum Op {
    /// Asks for a token that has this scope.
    Get(Vec<String>),
    /// The same, and its code panics when it hears of new tokens.
    Panics,
    /// The same, and it is dropped as soon as it has asked.
    Dropped,
    /// Everybody who waits is dropped.
    DropAll,
    /// A resource has refused the first access token.
    Reject,
    LogOut,
    LogIn,
}

/// How it ended for a caller.
#[derive(Debug)]
enum End {
    Tokens(Arc<Tokens>),
    Refused(Error),
    Later,
    LogIn,
    Done,
}

impl Op {
    fn read(text: &str) -> Result<Self, String> {
        let (name, argument) =
            text.split_once('(').map_or((text, ""), |(name, rest)| (name, rest.trim_end_matches(')')));
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let asks = name.starts_with("get_token") || name.starts_with("refresh");
        let scope = argument.strip_prefix("scope=").unwrap_or_default();
        Ok(match () {
            () if asks && says(&["panic"]) => Self::Panics,
            () if asks && says(&["cancel", "drop"]) => Self::Dropped,
            () if says(&["401", "reject"]) => Self::Reject,
            () if asks => Self::Get(scope.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect()),
            () if says(&["cancel", "drop"]) => Self::DropAll,
            () if says(&["logout", "revoke", "clear"]) => Self::LogOut,
            () if says(&["login", "install"]) => Self::LogIn,
            () => return Err(format!("cannot be played: unknown op {text:?}")),
        })
    }
}

/// Plays a `concurrent` case.
pub(crate) fn play(app: &mut App, case: &Case) -> Result<Outcome, String> {
    only(&case.input, &["kind", "ctx", "ops", "response"])?;
    let ops: Vec<&str> =
        case.input.get("ops").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if !ops.is_empty() && ops.iter().all(|op| *op == "callback") {
        return Ok(tabs(app, ops.len()));
    }
    let said = case.text("response").unwrap_or("200");
    if app.fixture.device {
        return device::take_turns(app, &ops, said);
    }
    let ops = ops.into_iter().map(Op::read).collect::<Result<Vec<_>, _>>()?;
    if case.text("ctx") == Some("many_grants") {
        return Ok(herd(app, ops.len()));
    }
    // The grant has all that anybody asks for.
    let asked: BTreeSet<&str> = ops
        .iter()
        .flat_map(|op| if let Op::Get(scope) = op { scope.as_slice() } else { &[] })
        .map(String::as_str)
        .collect();
    if !asked.is_empty() {
        app.fixture.tokens["scope"] = Value::from(asked.into_iter().collect::<Vec<_>>().join(" "));
    }
    let mut outcome = Outcome::Emitted;
    for landing in 1..=ops.len() {
        let (alike, most) = app.life.take().map_or((true, 0), |life| (life.alike, life.most));
        app.sent.clear();
        if let Err(fail) = app.live() {
            return Ok(Outcome::Fail(fail));
        }
        if let Some(life) = &mut app.life {
            (life.alike, life.most) = (alike, most);
        }
        let mut schedule =
            Schedule { app, said, flights: Vec::new(), waiting: Vec::new(), ends: Vec::new(), spent: BTreeSet::new() };
        outcome = schedule.run(&ops, landing)?;
        let refreshes = app.sent.iter().filter(|sent| sent.all("grant_type") == ["refresh_token"]).count();
        app.life.iter_mut().for_each(|life| life.most = life.most.max(refreshes));
    }
    Ok(outcome)
}

struct Schedule<'a> {
    app: &'a mut App,
    /// The server's answer: a status, or an error code.
    said: &'a str,
    flights: Vec<(Ticket, Refresh)>,
    /// The callers that wait, by their place among the ops.
    waiting: Vec<usize>,
    ends: Vec<Option<End>>,
    spent: BTreeSet<String>,
}

impl Schedule<'_> {
    fn run(&mut self, ops: &[Op], landing: usize) -> Result<Outcome, String> {
        for (place, op) in ops.iter().enumerate() {
            self.ends.push(None);
            self.begin(place, op);
            if place + 1 == landing {
                self.land(ops)?;
            }
        }
        self.land(ops)?;
        if self.ends.iter().any(Option::is_none) {
            self.fault("a caller waits for ever");
        }
        Ok(self.outcome(ops))
    }

    fn fault(&mut self, what: &str) {
        self.app.faults.push(format!("concurrent: {what}"));
    }

    fn session(&mut self) -> Option<&mut Session> {
        self.app.life.as_mut().map(|life| &mut life.session)
    }

    fn begin(&mut self, place: usize, op: &Op) {
        match op {
            Op::Get(_) | Op::Panics => self.ask(place),
            Op::Dropped => {
                self.ask(place);
                self.waiting.retain(|waiting| *waiting != place);
                self.ends[place] = Some(End::Done);
            }
            Op::DropAll => {
                for waiting in std::mem::take(&mut self.waiting) {
                    self.ends[waiting] = Some(End::Done);
                }
                self.ends[place] = Some(End::Done);
            }
            Op::Reject => {
                let first = self.app.life.as_ref().map(|life| life.first.clone());
                if let (Some(first), Some(session)) = (first, self.session()) {
                    session.reject(&first);
                }
                self.ask(place);
            }
            Op::LogOut => {
                let tokens = self.session().and_then(Session::clear);
                if let Some(tokens) = tokens {
                    self.give_back(&tokens);
                }
                self.ends[place] = Some(End::Done);
            }
            Op::LogIn => {
                self.log_in();
                self.ends[place] = Some(End::Done);
            }
        }
    }

    fn log_in(&mut self) {
        let mut tokens = self.app.fixture.tokens.clone();
        tokens["access_token"] = json!("AT-of-a-new-login");
        tokens["refresh_token"] = json!("RT-of-a-new-login");
        tokens["expires_at"] = json!(NOW + 3600);
        let tokens = serde_json::from_value::<Tokens>(tokens).ok();
        let installed = self.session().zip(tokens).map(|(session, tokens)| session.install(tokens));
        if !matches!(installed, Some(Ok(()))) {
            self.fault("a new login is refused");
        }
    }

    /// A caller asks the session.
    fn ask(&mut self, place: usize) {
        match self.app.turn() {
            Ok(Next::Use(tokens)) => self.ends[place] = Some(End::Tokens(tokens)),
            Ok(Next::Refresh(ticket, refresh)) => {
                if !self.flights.is_empty() {
                    self.fault("two refreshes are under way");
                }
                self.flights.push((ticket, refresh));
                self.waiting.push(place);
            }
            Ok(Next::Wait) => {
                if self.flights.is_empty() {
                    self.fault("a caller waits for nobody");
                }
                self.waiting.push(place);
            }
            Ok(Next::Later(_)) => self.ends[place] = Some(End::Later),
            Ok(Next::LogIn) => self.ends[place] = Some(End::LogIn),
            Err(fail) => self.fault(&format!("{fail:?}")),
        }
    }

    /// The answer comes in, and who waits asks again.
    fn land(&mut self, ops: &[Op]) -> Result<(), String> {
        while let Some((ticket, refresh)) = self.flights.pop() {
            let failure = self.arrive(ticket, refresh, ops)?;
            let waiting = std::mem::take(&mut self.waiting);
            if let (Some(error), Some(leader)) = (failure, waiting.first()) {
                self.ends[*leader] = Some(End::Refused(error));
            }
            for place in waiting {
                if self.ends[place].is_none() {
                    self.ask(place);
                }
            }
        }
        Ok(())
    }

    fn arrive(&mut self, ticket: Ticket, mut refresh: Refresh, ops: &[Op]) -> Result<Option<Error>, String> {
        let sent = self.app.ask(&mut refresh).map_err(|error| error.to_string())?;
        let token = sent.all("refresh_token").concat();
        self.app.faults.extend(wire::refresh(&self.app.fixture, &token, &sent));
        self.app.sent.push(sent);
        if !self.spent.insert(token) {
            self.fault("a spent refresh token is sent again");
        }
        let response = answer(self.said, self.spent.len() + 1)?;
        let result = match self.app.tell(&mut refresh, response) {
            Ok(Step::Done(tokens)) => Ok(Arc::new(tokens)),
            Ok(Step::Again { .. }) => return Err("cannot be played: a refresh goes on".to_owned()),
            Err(error) => Err(error),
        };
        // The hook of a caller that panics comes between; the outcome is handed in all the same.
        if ops.contains(&Op::Panics) {
            drop(catch_unwind(AssertUnwindSafe(|| -> () { resume_unwind(Box::new("the hook panics")) })));
        }
        let now = self.app.time();
        let was_current = self.session().is_some_and(|session| session.is_current(&ticket));
        let handed = result.as_ref().map(Arc::clone).map_err(Error::remedy);
        let Some(session) = self.session() else { return Ok(None) };
        let completion = session.complete(ticket, handed, now);
        if was_current == matches!(completion, Completion::Stale(_)) {
            self.fault("is_current and complete disagree");
        }
        if let (Completion::Stale(Some(tokens)), true) = (&completion, self.app.held().is_none()) {
            self.give_back(tokens);
        }
        Ok(result.err())
    }

    /// After a logout: what comes late is given back as well.
    fn give_back(&mut self, tokens: &Tokens) {
        let Ok(mut revocation) = self.app.client.revoke(tokens) else {
            return self.fault("tokens cannot be given back");
        };
        for _ in 0..2 {
            let Ok(sent) = self.app.ask(&mut revocation) else { return };
            self.app.sent.push(sent);
            if let Ok(Step::Done(())) = revocation.handle_response(Response::new(Vec::new())) {
                return;
            }
        }
        self.fault("giving tokens back does not end");
    }

    /// The outcome of all, once it has been seen that nobody got what they should not have.
    fn outcome(&mut self, ops: &[Op]) -> Outcome {
        let logged_out = ops.iter().rposition(|op| *op == Op::LogOut);
        let logged_in = ops.iter().rposition(|op| *op == Op::LogIn);
        let is_out = logged_out > logged_in;
        let held = self.app.held();
        if is_out && held.is_some() {
            self.fault("after a logout there are tokens");
        }
        if is_out {
            let renewed = self.app.sent.iter().any(|sent| sent.all("grant_type") == ["refresh_token"]);
            let returned: Vec<&str> = self.app.sent.iter().flat_map(|sent| sent.all("token")).collect();
            if renewed && self.said == "200" && !returned.contains(&"RT2") {
                self.fault("what a refresh brought after a logout is not given back");
            }
        }
        let is_new = |tokens: &Tokens| tokens.access_token().expose() == "AT-of-a-new-login";
        if logged_in > logged_out && !held.as_deref().is_some_and(is_new) {
            self.fault("the tokens of a new login are lost");
        }
        let mut kinds = BTreeSet::new();
        // Who logs in or out, or is dropped, gets nothing, and that is well.
        let mut outcome = Outcome::Done;
        let ends = std::mem::take(&mut self.ends);
        let mut refused = None;
        for (place, (op, end)) in ops.iter().zip(ends).enumerate() {
            match end {
                Some(End::Tokens(tokens)) => {
                    if is_out && logged_out < Some(place) {
                        self.fault("a token is handed out after a logout");
                    }
                    if let (Op::Get(scope), Some(granted)) = (op, tokens.scope())
                        && !scope.iter().all(|token| granted.contains(token))
                    {
                        self.fault("a caller gets a token of another scope");
                    }
                    kinds.insert(tokens.access_token().expose().to_owned());
                    outcome = Outcome::Tokens(Box::new((*tokens).clone()));
                }
                Some(End::Refused(error)) => {
                    kinds.insert(kind(error.remedy()).to_owned());
                    refused = Some(error);
                }
                Some(End::Later) => drop(kinds.insert("later".to_owned())),
                Some(End::LogIn) => drop(kinds.insert("log in".to_owned())),
                _ => {}
            }
        }
        if let Some(life) = self.app.life.as_mut() {
            life.alike &= kinds.len() <= 1;
        }
        if let Some(error) = refused {
            self.afterwards(&error);
            outcome = Outcome::Fail(Fail::Error(error));
        }
        outcome
    }

    /// Once the delay is over one may try again; where the grant is dead, nobody until there is a new login.
    fn afterwards(&mut self, error: &Error) {
        let Ok(next) = self.app.next() else { return };
        match (error.remedy(), next) {
            (Remedy::LogInAgain, Next::LogIn) => {
                self.log_in();
                if !matches!(self.app.next(), Ok(Next::Use(_))) {
                    self.fault("a new login does not help");
                }
            }
            (Remedy::TryLater(_), Next::Later(delay)) => {
                self.app.now += delay.as_secs().saturating_sub(1);
                let is_early = delay.as_secs() > 1 && !matches!(self.app.next(), Ok(Next::Later(_)));
                self.app.now += 1;
                if is_early || !matches!(self.app.next(), Ok(Next::Refresh(..))) {
                    self.fault("the delay is not kept");
                }
                self.app.now = NOW;
            }
            (Remedy::FixConfiguration | Remedy::Report, Next::Later(_)) => {}
            (_, next) => self.fault(&format!("after {error}: {next:?}")),
        }
    }
}

fn kind(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::LogInAgain => "log in",
        Remedy::TryLater(_) => "later",
        _ => "report",
    }
}

/// The server's answer to the refresh of this number.
pub(crate) fn answer(said: &str, number: usize) -> Result<Response<Vec<u8>>, String> {
    let is_code = said.contains('_') && said.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let (status, body) = match said.parse::<u16>().ok().and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(StatusCode::OK) => {
            let (access, refresh) = (format!("AT{number}"), format!("RT{number}"));
            (
                StatusCode::OK,
                json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh})
                    .to_string(),
            )
        }
        Some(status) => (status, String::new()),
        None if is_code => (StatusCode::BAD_REQUEST, json!({"error": said}).to_string()),
        None => return Err(format!("cannot be played: response {said:?}")),
    };
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = status;
    Ok(response)
}

/// Several tabs bring one callback: one of them gets the login.
fn tabs(app: &mut App, count: usize) -> Outcome {
    if let Err(fail) = app.begin(BROWSER) {
        return Outcome::Fail(fail);
    }
    let way_back = app.way_back();
    let through = (0..count).filter(|_| app.returns(BROWSER, &way_back).is_ok()).count();
    if through != 1 {
        app.faults.push(format!("concurrent: {through} callbacks of {count} get through"));
    }
    app.answer_well()
}

/// Many grants of one age: those who ask in time spread out; who comes too late is served at once, by one refresh each.
fn herd(app: &mut App, count: usize) -> Outcome {
    let mut seconds = BTreeSet::new();
    let (mut outcome, mut most) = (Outcome::Emitted, 0);
    for number in 0..count {
        app.life = None;
        app.rng = Octets::new(number as u64 + 1);
        app.now = NOW;
        while app.now < NOW + 3600 && !matches!(app.turn(), Ok(Next::Refresh(..))) {
            app.now += 1;
        }
        seconds.insert(app.now);

        app.life = None;
        app.now = NOW + 9 * 3600;
        let before = app.sent.len();
        outcome = app.refresh(good());
        most = most.max(app.sent.len() - before);
    }
    let crowded = seconds.len() < count.div_ceil(8);
    if crowded || seconds.last().is_some_and(|last| *last >= NOW + 3600) {
        app.faults.push(format!("concurrent: {count} sessions are renewed at {seconds:?}"));
    }
    app.life.iter_mut().for_each(|life| life.most = most);
    app.now = UnixTime::from_secs(NOW).as_secs();
    outcome
}
