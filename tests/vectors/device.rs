//! A login on another device (RFC 8628): the codes are asked for, looked at, stored, read back and polled with. When a poll
//! may be made is reckoned here once more, from what the server said.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use proofkey_core::{CallbackError, DevicePending, Error, Exchange, Polling, Step, UnixTime, Usage};
use serde_json::Value;

use crate::app::{App, Fail, Octets, Outcome, printed};
use crate::life::good;
use crate::{many, wire};

/// A login that is polled for.
pub(crate) struct Device {
    polling: Polling,
    stored: String,
    code: String,
    expires_at: u64,
    /// What lies between two polls, at least: now, and at first.
    interval: Duration,
    first: Duration,
    /// What has to be waited before the next poll by the library's word, and when that is.
    pub(crate) told: Duration,
    due: u64,
    slowed: u32,
    lost: u32,
    /// Answers that asked for patience by `Retry-After`.
    pub(crate) patient: u32,
    pub(crate) granted: u32,
    pub(crate) over: bool,
}

impl Device {
    /// What the interval has become by `slow_down` was kept to the last.
    pub(crate) fn is_slowed(&self) -> bool {
        self.slowed > 0 && self.told >= self.first.saturating_add(SLOWER * self.slowed)
    }

    /// The same for lost answers.
    pub(crate) fn is_doubled(&self) -> bool {
        self.lost > 0 && self.told >= self.first.saturating_mul(2u32.saturating_pow(self.lost))
    }

    /// The library says to wait so long; `wanted` is the server's own wish. It may be shorter only if the code ends before.
    fn wait(&mut self, now: u64, told: Duration, wanted: Duration) -> Option<String> {
        let left = Duration::from_secs(self.expires_at.saturating_sub(now));
        let least = self.interval.max(wanted).min(left);
        (self.told, self.due) = (told, now.saturating_add(told.as_secs()));
        (told < least || told > left).then(|| format!("a poll waits {told:?} instead of {least:?}; {left:?} are left"))
    }
}

impl App {
    /// The codes are asked for, and this is what the server says.
    pub(crate) fn begin_device(&mut self, response: Response<Vec<u8>>) -> Outcome {
        let said = read(response.body());
        self.codes
            .extend(["device_code", "user_code"].iter().filter_map(|name| Some(said[*name].as_str()?.to_owned())));
        let mut exchange = self.client.device().scope(&self.fixture.scope);
        for resource in &self.fixture.resources {
            exchange = exchange.resource(resource.as_str());
        }
        for (name, value) in &self.fixture.params {
            exchange = exchange.param(name.as_str(), value.as_str());
        }
        let sent = match self.ask(&mut exchange) {
            Ok(sent) => sent,
            Err(error) => return Outcome::Fail(error.into()),
        };
        self.faults.extend(wire::device(&self.fixture, &sent));
        self.pushed.push(sent);
        match self.tell(&mut exchange, response) {
            Ok(Step::Done(pending)) => self.keep(&pending, &said).map_or_else(Outcome::Fail, |()| Outcome::Emitted),
            Ok(Step::Again { .. }) => Outcome::Again,
            Err(error) => Outcome::Fail(error.into()),
        }
    }

    /// What is shown is what the server said, and harmless; what is stored is read back, and polled with.
    fn keep(&mut self, pending: &DevicePending, said: &Value) -> Result<(), Fail> {
        self.printed.extend(printed(pending));
        self.faults.extend(shown_amiss(pending, said, self.now));
        let stored = serde_json::to_string(pending).unwrap_or_default();
        let again = self.recall(&stored)?;
        if shown(&again) != shown(pending) || again.expires_at() != pending.expires_at() {
            self.faults.push("device: the login is another once stored".to_owned());
        }
        let unsaid = if said.is_null() { SHORTEST } else { UNSAID };
        let interval = seconds(&said["interval"]).unwrap_or(unsaid).max(SHORTEST);
        let expires_at = pending.expires_at().as_secs();
        self.nobody_comes(&stored, interval, expires_at);
        let polling = self.client.poll(again);
        self.printed.extend(printed(&polling));
        let told = polling.initial_delay();
        let mut device = Device {
            polling,
            stored,
            code: said["device_code"].as_str().unwrap_or_default().to_owned(),
            expires_at,
            interval,
            first: interval,
            told,
            due: 0,
            slowed: 0,
            lost: 0,
            patient: 0,
            granted: 0,
            over: false,
        };
        self.faults.extend(device.wait(self.now, told, Duration::ZERO));
        self.device = Some(device);
        Ok(())
    }

    /// A login as the store hands it back.
    fn recall(&mut self, stored: &str) -> Result<DevicePending, Fail> {
        serde_json::from_str(stored).map_err(|error| {
            self.print_error(&error);
            if !self.tampered {
                self.faults.push(format!("a stored login cannot be read: {error}"));
            }
            Fail::Stored
        })
    }

    /// A rehearsal: nobody decides, every other poll is too many, and the end of the code is the end of it.
    fn nobody_comes(&mut self, stored: &str, mut interval: Duration, expires_at: u64) {
        let Ok(pending) = self.recall(stored) else { return };
        let mut polling = self.client.poll(pending);
        let (mut now, mut after, mut polls) = (self.now, polling.initial_delay(), 0);
        let fault = loop {
            if after < interval.min(Duration::from_secs(expires_at.saturating_sub(now))) {
                break format!("poll {polls} waits {after:?} instead of {interval:?}");
            }
            now = now.saturating_add(after.as_secs());
            match polling.next_request(UnixTime::from_secs(now), &mut Octets::new(1)) {
                Err(Error::Callback(CallbackError::Expired)) if now >= expires_at => return,
                Err(error) => break format!("poll {polls}: {error}"),
                Ok(_) if now >= expires_at => break "a poll after the end of the code".to_owned(),
                Ok(_) => polls += 1,
            }
            let code = if polls % 2 == 0 { "slow_down" } else { "authorization_pending" };
            interval = interval.saturating_add(if polls % 2 == 0 { SLOWER } else { Duration::ZERO });
            match polling.handle_response(refusal(code)) {
                Ok(Step::Again { after: told }) => after = told,
                other => break format!("poll {polls}: {code} is {other:?}"),
            }
        };
        self.faults.push(format!("device, while nobody decides: {fault}"));
    }

    /// Another poll as soon as it is due, and the answer to it; or the answer is lost.
    pub(crate) fn poll(&mut self, answer: Option<Response<Vec<u8>>>) -> Outcome {
        let Some(mut device) = self.device.take() else {
            self.faults.push("there is nothing to poll for".to_owned());
            return Outcome::Emitted;
        };
        self.now = self.now.max(device.due);
        let outcome = self.ask_and_tell(&mut device, answer);
        device.over = !matches!(outcome, Outcome::Again);
        device.granted += u32::from(matches!(outcome, Outcome::Tokens(_)));
        if device.over && device.polling.resume() {
            self.faults.push("polling that is over is resumed".to_owned());
        }
        self.device = Some(device);
        outcome
    }

    fn ask_and_tell(&mut self, device: &mut Device, answer: Option<Response<Vec<u8>>>) -> Outcome {
        let sent = match self.ask(&mut device.polling) {
            Ok(sent) => sent,
            Err(error) => return Outcome::Fail(error.into()),
        };
        if self.now >= device.expires_at {
            self.faults.push("a poll after the end of the code".to_owned());
        }
        self.faults.extend(wire::poll(&self.fixture, &device.code, &sent));
        self.sent.push(sent);
        let Some(response) = answer else {
            // RFC 8628 section 3.5: doubled at each lost answer.
            device.interval = device.interval.saturating_mul(2);
            device.lost += 1;
            if !device.polling.resume() {
                self.faults.push("a lost answer ends polling".to_owned());
            }
            let told = device.polling.initial_delay();
            self.faults.extend(device.wait(self.now, told, Duration::ZERO));
            return Outcome::Again;
        };
        let said = read(response.body());
        let wanted = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        device.patient += u32::from(wanted.is_some());
        if said["error"] == "slow_down" {
            device.slowed += 1;
            let more = device.interval.saturating_add(SLOWER);
            device.interval = more.max(seconds(&said["interval"]).unwrap_or_default());
        }
        match self.tell(&mut device.polling, response) {
            Ok(Step::Done(tokens)) => self.receive(tokens, &said),
            Ok(Step::Again { after }) => {
                // Whoever goes on with another `run` waits as long.
                if device.polling.initial_delay() != after {
                    self.faults.push("a poll waits otherwise if it is driven anew".to_owned());
                }
                let wanted = Duration::from_secs(wanted.unwrap_or_default());
                self.faults.extend(device.wait(self.now, after, wanted));
                Outcome::Again
            }
            Err(error) => Outcome::Fail(error.into()),
        }
    }

    /// The person says yes, if there is still time.
    pub(crate) fn approve(&mut self) -> Outcome {
        self.poll(Some(good()))
    }

    /// A login by a device without surprises: the person takes a moment.
    pub(crate) fn device_login(&mut self) -> Outcome {
        match self.begin_device(codes()) {
            Outcome::Emitted => {}
            ended => return ended,
        }
        match self.poll(Some(refusal("authorization_pending"))) {
            Outcome::Again => self.approve(),
            ended => ended,
        }
    }

    /// Whether there is a login that is polled for, and has not ended.
    pub(crate) fn is_polling(&self) -> bool {
        self.device.as_ref().is_some_and(|device| !device.over)
    }

    /// What is recalled is not what was stored.
    pub(crate) fn device_mangled(&mut self, otherwise: impl FnOnce(&str) -> String) -> Outcome {
        match self.begin_device(codes()) {
            Outcome::Emitted => {}
            ended => return ended,
        }
        self.tampered = true;
        let stored = self.device.as_ref().map(|device| otherwise(&device.stored)).unwrap_or_default();
        self.recall(&stored).map_or_else(Outcome::Fail, |_| Outcome::Emitted)
    }

    /// Answers are lost on the way; then one arrives, unless the case ends before.
    pub(crate) fn device_unheard(&mut self, is_all: bool) -> Outcome {
        match self.begin_device(codes()) {
            Outcome::Emitted => {}
            ended => return ended,
        }
        for _ in 0..3 {
            match self.poll(None) {
                Outcome::Again => {}
                ended => return ended,
            }
        }
        if is_all { Outcome::Again } else { self.approve() }
    }
}

/// Tasks that poll for one login: they take turns with its polling, as a `run` that borrows it makes them. Who comes when it
/// is over sends nothing. Who is dropped loses the answer.
pub(crate) fn take_turns(app: &mut App, ops: &[&str], said: &str) -> Result<Outcome, String> {
    if let Some(op) = ops.iter().find(|op| !op.starts_with("poll")) {
        return Err(format!("cannot be played: unknown op {op:?}"));
    }
    let mut outcome = app.begin_device(codes());
    let mut answer = Some(many::answer(said, 1)?);
    for turn in 0.. {
        let op = ops.get(turn);
        if op.is_none() && !app.is_polling() {
            break;
        }
        let (was_over, sent) = (!app.is_polling(), app.sent.len());
        let is_dropped = op.is_some_and(|op| op.contains("cancel") || op.contains("drop"));
        let heard = if is_dropped { None } else { Some(answer.take().unwrap_or_else(good)) };
        let ended = app.poll(heard);
        match ended {
            Outcome::Fail(Fail::Error(Error::Usage(Usage::OutOfTurn))) if was_over && app.sent.len() == sent => {}
            _ if was_over => app.faults.push("concurrent: polling goes on after its end".to_owned()),
            ended => outcome = ended,
        }
    }
    Ok(outcome)
}

fn shown(pending: &DevicePending) -> [Option<&str>; 3] {
    [Some(pending.user_code()), Some(pending.verification_uri()), pending.verification_uri_complete()]
}

/// What is wrong about what a person is shown, for an answer that came at `now`.
fn shown_amiss(pending: &DevicePending, said: &Value, now: u64) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("device: {what}"));
        }
    };
    let [code, pages @ ..] = shown(pending);
    let harmless = |text: &&str| {
        !text.chars().any(|c| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
    };
    must(code.iter().chain(pages.iter().flatten()).all(harmless), "what is shown steers a terminal");
    let is_page = |uri: &&str| uri.starts_with("https://") || uri.starts_with("http://");
    must(pages.iter().flatten().all(is_page), "what is shown is no page");
    // What `serde_json::Value` cannot hold (a number beyond `f64`) is not compared with.
    if said.is_null() {
        return faults;
    }
    let names = ["user_code", "verification_uri", "verification_uri_complete"];
    let mut told = names.map(|name| said[name].as_str().filter(|text| !text.is_empty()));
    // A link that is none is left out: the person types the code.
    told[2] = told[2].filter(is_page);
    must(told == shown(pending), "what is shown is not what was said");
    let lives = now.saturating_add(seconds(&said["expires_in"]).unwrap_or_default().as_secs());
    let expires_at = pending.expires_at().as_secs();
    must(expires_at <= lives && expires_at >= lives.min(now + 24 * 60 * 60), "its life is not the answer's");
    faults
}

/// RFC 8628 section 3.2: the interval where the server does not say; and what keeps a zero from being a loop without rest.
const UNSAID: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_secs(1);

/// What `slow_down` adds.
const SLOWER: Duration = Duration::from_secs(5);

/// The codes, as the cases have them.
pub(crate) fn codes() -> Response<Vec<u8>> {
    let body = r#"{"device_code":"canary-device-code","user_code":"WDJB-MJHT","verification_uri":"https://as.example.com/device","expires_in":1800,"interval":5}"#;
    Response::new(body.as_bytes().to_vec())
}

fn refusal(code: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(format!(r#"{{"error":"{code}"}}"#).into_bytes());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// A number of seconds that is not negative, also in a string.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number >= 0.0)?;
    Some(Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX))
}

fn read(text: &[u8]) -> Value {
    serde_json::from_slice(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)).unwrap_or_default()
}
