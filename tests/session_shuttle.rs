//! The session's machine behind a mutex, under many schedules of threads that ask, refuse, log in, log out and give up.
//!
//! The driver here is the transports', with threads for tasks. The server rotates strictly: a refresh token that is
//! presented twice ends the grant, and fails the test unless the first answer was lost; a third time always fails it.
//! Shuttle fails it, too, if all threads that are left wait for each other.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use http::{Response, StatusCode};
use proofkey::rand_core::{TryCryptoRng, TryRng};
use proofkey::{Client, Completion, Exchange, Next, Refresh, Remedy, Server, Session, Step, Ticket, Tokens, UnixTime};
use serde_json::json;
use shuttle::rand::Rng;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

#[test]
fn by_chance() {
    shuttle::check_random(schedule, 10_000);
}

#[test]
fn by_few_preemptions() {
    shuttle::check_pct(schedule, 5_000, 3);
}

fn schedule() {
    let world = Arc::new(World::new());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let world = world.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    world.act();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    world.check();
}

/// A session, its server, and what has been seen.
struct World {
    state: Mutex<State>,
    changed: Condvar,
    server: Mutex<Grants>,
}

struct State {
    session: Session,
    now: u64,
    /// The grant of the last login; `None` after a logout.
    grant: Option<u32>,
    logins: u32,
    /// Refreshes under way for the tokens that are held.
    current: u32,
    running: u32,
}

/// What the server knows of each grant.
#[derive(Default)]
struct Grants(HashMap<u32, Grant>);

#[derive(Default)]
struct Grant {
    /// The generation of the refresh token that is good.
    good: u32,
    /// The answer that would have said so was lost.
    lost: bool,
    dead: bool,
}

impl World {
    fn new() -> Self {
        let session = Session::new(client(), tokens(0, 0, NOW)).expect("its own");
        let state = State { session, now: NOW, grant: Some(0), logins: 0, current: 0, running: 0 };
        let server = Grants(HashMap::from([(0, Grant::default())]));
        Self { state: Mutex::new(state), changed: Condvar::new(), server: Mutex::new(server) }
    }

    /// One of the things that a program does with a session.
    fn act(self: &Arc<Self>) {
        match shuttle::rand::thread_rng().gen_range(0..8) {
            0..3 => drop(self.ask(true)),
            // Dropped before it was served: what it began goes on.
            3 => drop(self.ask(false)),
            4 => {
                if let Some(tokens) = self.ask(true) {
                    self.state.lock().expect("no panic").session.reject(&tokens);
                    self.ask(true);
                }
            }
            5 => self.log_in(),
            6 => self.log_out(),
            _ => self.state.lock().expect("no panic").now += 4000,
        }
    }

    /// What a transport's `tokens()` does. Who does not wait is a caller that is dropped.
    fn ask(self: &Arc<Self>, waits: bool) -> Option<Arc<Tokens>> {
        let mut state = self.state.lock().expect("no panic");
        loop {
            let now = UnixTime::from_secs(state.now);
            match state.session.next(now, &mut Nothing) {
                Next::Use(tokens) => {
                    let held = state.session.tokens().expect("tokens are handed out while there are some");
                    assert!(Arc::ptr_eq(&tokens, held));
                    assert_eq!(Some(grant(&tokens).0), state.grant, "the tokens are the current login's");
                    return Some(tokens);
                }
                Next::Refresh(ticket, refresh) => {
                    state.current += 1;
                    state.running += 1;
                    assert_eq!(state.current, 1, "one refresh is under way");
                    drop(state);
                    let world = self.clone();
                    thread::spawn(move || world.refresh(ticket, refresh));
                    if !waits {
                        return None;
                    }
                    state = self.state.lock().expect("no panic");
                }
                Next::Wait if waits => {
                    assert_eq!(state.current, 1, "somebody is at it");
                    state = self.changed.wait(state).expect("no panic");
                }
                Next::Wait | Next::Later(_) | Next::LogIn => return None,
            }
        }
    }

    /// A refresh in a task of its own, which may be cut off before it has sent anything, or before it has the answer.
    fn refresh(&self, ticket: Ticket, mut refresh: Refresh) {
        let chance = shuttle::rand::thread_rng().gen_range(0..8);
        let outcome = match chance {
            0 => Some(Err(Remedy::TryLater(None))),
            1 => Some(Err(Remedy::FixConfiguration)),
            // The server has not seen it, but who knows.
            2 => None,
            _ => {
                let now = UnixTime::from_secs(self.state.lock().expect("no panic").now);
                let request = refresh.next_request(now, &mut Nothing).expect("a request");
                let form = str::from_utf8(request.body().as_ref()).expect("a form").to_owned();
                let lost = chance == 3;
                let answer = self.server.lock().expect("no panic").rotate(&form, lost);
                thread::yield_now();
                match refresh.handle_response(answer) {
                    _ if lost => None,
                    Ok(Step::Done(tokens)) => Some(Ok(Arc::new(tokens))),
                    Ok(Step::Again { .. }) => unreachable!("a refresh is one request"),
                    Err(error) => Some(Err(error.remedy())),
                }
            }
        };
        let mut state = self.state.lock().expect("no panic");
        let now = UnixTime::from_secs(state.now);
        let fresh = state.session.is_current(&ticket);
        let done = match outcome {
            Some(outcome) => state.session.complete(ticket, outcome, now),
            None => state.session.lost(ticket, Remedy::TryLater(None), now),
        };
        assert_eq!(fresh, !matches!(done, Completion::Stale(_)));
        if fresh && state.session.tokens().is_none() {
            state.grant = None;
        }
        state.running -= 1;
        if fresh {
            state.current -= 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn log_in(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.logins += 1;
        let number = state.logins;
        self.server.lock().expect("no panic").0.insert(number, Grant::default());
        let tokens = tokens(number, 0, state.now);
        state.session.install(tokens).expect("its own");
        state.grant = Some(number);
        state.current = 0;
        drop(state);
        self.changed.notify_all();
    }

    fn log_out(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.session.clear();
        state.grant = None;
        state.current = 0;
        drop(state);
        self.changed.notify_all();
    }

    /// When all is quiet, the session holds what the server believes in.
    fn check(&self) {
        let mut state = self.state.lock().expect("no panic");
        while state.running > 0 {
            state = self.changed.wait(state).expect("no panic");
        }
        let Some(held) = state.session.tokens() else {
            assert_eq!(state.grant, None, "nobody logged out, and no grant has died");
            return;
        };
        let (number, generation) = grant(held);
        assert_eq!(Some(number), state.grant);
        let server = self.server.lock().expect("no panic");
        assert_eq!(server.0[&number].good, generation + u32::from(server.0[&number].lost));
    }
}

impl Grants {
    fn rotate(&mut self, form: &str, lost: bool) -> Response<Vec<u8>> {
        let presented = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).expect("a refresh token");
        let (number, generation) = parse(presented);
        let grant = self.0.get_mut(&number).expect("a grant of this server");
        assert!(!grant.dead, "a refresh token is used after two answers were lost, or after a refusal");
        if grant.good != generation {
            assert!(grant.lost && grant.good == generation + 1, "a refresh token is used twice");
            grant.dead = true;
            let mut refusal = Response::new(br#"{"error":"invalid_grant"}"#.to_vec());
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return refusal;
        }
        grant.good += 1;
        grant.lost = lost;
        let good = grant.good;
        let body = json!({"access_token": format!("AT.{number}.{good}"), "token_type": "Bearer", "expires_in": 3600,
                          "refresh_token": format!("RT.{number}.{good}")});
        Response::new(body.to_string().into_bytes())
    }
}

fn grant(tokens: &Tokens) -> (u32, u32) {
    parse(tokens.refresh_token().expect("each has one").expose())
}

fn parse(token: &str) -> (u32, u32) {
    let mut parts = token.split('.').skip(1).map(|part| part.parse().expect("a number"));
    (parts.next().expect("a grant"), parts.next().expect("a generation"))
}

fn client() -> Client {
    let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    Client::builder(server, "s6BhdRkqt3").build().expect("a client")
}

/// Tokens at their end.
fn tokens(number: u32, generation: u32, now: u64) -> Tokens {
    let stored = json!({
        "v": 1, "access_token": format!("AT.{number}.{generation}"), "token_type": "Bearer",
        "refresh_token": format!("RT.{number}.{generation}"), "issued_at": now - 3600, "expires_at": now,
        "token_endpoint": "https://as.example.com/token", "client_id": "s6BhdRkqt3",
    });
    serde_json::from_value(stored).expect("tokens")
}

/// Chance has no part in what is tested.
struct Nothing;

impl TryRng for Nothing {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for Nothing {}

const NOW: u64 = 1_767_225_600;
