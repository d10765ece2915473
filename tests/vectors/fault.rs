//! Faults that need no socket: of the store of logins, of the generator, around a refresh, and between two polls. All others
//! are played by sockets, in the transports' tests.

use serde_json::{Map, Value};

use crate::app::{App, BROWSER, CODE, Fail, NOW, Octets, Outcome};
use crate::case::{Case, only};
use crate::device::codes;
use crate::life::good;
use crate::play::waits;

/// A way for things to go wrong.
enum Fault {
    /// The store has lost the login.
    Lost,
    /// The store gives out another login than the one that was asked for.
    Swapped,
    /// The login was begun this many seconds before it is taken.
    Old(u64),
    /// The stored text is not what was stored.
    Mangled(fn(&str) -> String),
    /// The generator says the same again and again.
    Stuck,
    /// Whoever asked for a token is gone before it comes.
    Dropped,
    /// The process ends with new tokens that it has not stored.
    Killed,
    /// Polls are not answered.
    Silent,
}

impl Fault {
    fn of(case: &Case) -> Option<Self> {
        let (at, fault) = (case.text("at")?, case.text("fault")?.to_ascii_lowercase());
        let says = |words: &[&str]| words.iter().any(|word| fault.contains(word));
        match at {
            "store.take" if says(&["none", "missing", "lost", "evicted", "not found"]) => Some(Self::Lost),
            "store.take" if says(&["other state", "other user", "swapped"]) => Some(Self::Swapped),
            "store.take" if says(&[" ago"]) => age(&fault).map(Self::Old),
            "store.take" if says(&["truncated"]) => Some(Self::Mangled(|text| text[..text.len() / 2].to_owned())),
            "store.take" if says(&["corrupt", "garbage", "random bytes", "arbitrary bytes", "not json"]) => {
                Some(Self::Mangled(|text| text.bytes().rev().map(char::from).collect()))
            }
            "store.take" if says(&["empty"]) => Some(Self::Mangled(|_| String::new())),
            "store.take" if says(&["version"]) => Some(Self::Mangled(|text| text.replacen("\"v\":1", "\"v\":99", 1))),
            "rng" if says(&["constant", "stuck", "same"]) => Some(Self::Stuck),
            _ if case.text("ctx")?.starts_with("device") && is_silence(&case.input) => Some(Self::Silent),
            "in_flight" if case.text("ctx")?.starts_with("refresh") && says(&["cancel", "drop"]) => Some(Self::Dropped),
            "after_response_before_persist" => Some(Self::Killed),
            _ => None,
        }
    }
}

/// `created_at 2 h ago`, in seconds.
fn age(fault: &str) -> Option<u64> {
    let words: Vec<&str> = fault.split_whitespace().collect();
    let ago = words.iter().position(|word| *word == "ago")?;
    let number: u64 = words.get(ago.checked_sub(2)?)?.parse().ok()?;
    let unit = match *words.get(ago - 1)? {
        "s" | "seconds" => 1,
        "min" | "minutes" => 60,
        "h" | "hours" | "hour" => 3600,
        "d" | "days" | "day" => 24 * 3600,
        _ => return None,
    };
    Some(number * unit)
}

/// A case with faults, all of which can be played without a socket.
pub(crate) fn is_known(case: &Case) -> bool {
    let is_device = case.text("ctx").is_some_and(|ctx| ctx.starts_with("device"));
    let mut faults = case.steps().filter(|step| step.get("kind").is_some_and(|kind| kind == "fault")).peekable();
    Fault::of(case).is_some() || is_device && faults.peek().is_some() && faults.all(is_silence)
}

/// An answer does not come: to a poll, that is all there is to know about it.
pub(crate) fn is_silence(input: &Map<String, Value>) -> bool {
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let (at, fault) = (text("at"), text("fault"));
    let words = ["timeout", "timed out", "reset", "refused", "unreachable", "closed", "drop", "cancel", "lost"];
    let is_lost = words.iter().any(|word| fault.contains(word)) && !at.starts_with("store");
    text("kind") == "timeout" || text("kind") == "fault" && is_lost
}

pub(crate) fn play(app: &mut App, case: &Case) -> Result<Outcome, String> {
    only(&case.input, &["kind", "ctx", "at", "fault"])?;
    let fault = Fault::of(case).ok_or("cannot be played: unknown fault")?;
    Ok(match fault {
        Fault::Dropped => dropped(app),
        Fault::Killed => killed(app),
        Fault::Silent => app.device_unheard(waits(case)),
        fault if app.fixture.device => device(app, &fault).ok_or("cannot be played: a device has no such fault")?,
        fault => login(app, &fault).unwrap_or_else(Outcome::Fail),
    })
}

/// A login whose record, or generator, is not what it should be.
fn login(app: &mut App, fault: &Fault) -> Result<Outcome, Fail> {
    if matches!(fault, Fault::Stuck) {
        app.rng = Octets::stuck();
    }
    app.begin(BROWSER)?;
    let way_back = app.way_back();
    let own = app.sessions.keys().next().cloned().unwrap_or_default();
    app.tampered = true;
    match fault {
        Fault::Lost => app.sessions.clear(),
        Fault::Swapped => {
            app.begin("another browser")?;
            let others: Vec<String> =
                app.sessions.iter().filter(|(key, _)| **key != own).map(|(_, text)| text.clone()).collect();
            app.sessions.insert(own, others.concat());
        }
        Fault::Old(seconds) => {
            let aged = |text: &String| {
                let mut record: Value = serde_json::from_str(text).unwrap_or_default();
                record["started_at"] = (NOW - seconds).into();
                record.to_string()
            };
            app.sessions.values_mut().for_each(|text| *text = aged(text));
        }
        Fault::Mangled(mangled) => app.sessions.values_mut().for_each(|text| *text = mangled(text)),
        _ => {}
    }
    debug_assert!(way_back.contains(CODE));
    app.returns(BROWSER, &way_back)?;
    Ok(app.answer_well())
}

/// The same with a login on another device.
fn device(app: &mut App, fault: &Fault) -> Option<Outcome> {
    Some(match fault {
        Fault::Mangled(mangled) => app.device_mangled(mangled),
        Fault::Old(seconds) => match app.begin_device(codes()) {
            Outcome::Emitted => {
                app.now += seconds;
                app.approve()
            }
            ended => ended,
        },
        _ => return None,
    })
}

/// The refresh is nobody's: what asked for it is gone, and its outcome is handed in.
fn dropped(app: &mut App) -> Outcome {
    match app.next() {
        Ok(proofkey_core::Next::Refresh(ticket, refresh)) => {
            // Others come while it is under way, wait or use the old token, and go away as well.
            for _ in 0..3 {
                if matches!(app.next(), Ok(proofkey_core::Next::Refresh(..))) {
                    app.faults.push("a second refresh is begun".to_owned());
                }
            }
            app.run(ticket, refresh, good())
        }
        Ok(_) => Outcome::Emitted,
        Err(fail) => Outcome::Fail(fail),
    }
}

/// A process refreshes and is killed; the next one has the old tokens, and the server has rotated.
fn killed(app: &mut App) -> Outcome {
    let Outcome::Tokens(_) = app.refresh(good()) else { return Outcome::Emitted };
    app.life = None;
    let mut spent = http::Response::new(br#"{"error":"invalid_grant"}"#.to_vec());
    *spent.status_mut() = http::StatusCode::BAD_REQUEST;
    app.refresh(spent)
}
