//! What must have come out of a play: the verdict, the class, and the `post` conditions.

use std::time::Duration;

use http::header::AUTHORIZATION;
use proofkey_core::{Error, Remedy, ServerError, Tokens};
use serde_json::Value;
use url::form_urlencoded::{byte_serialize, parse};

use crate::app::{App, CODE, Fail, NOW, Outcome};
use crate::case::Case;
use crate::class::{CLASSES, classes};
use crate::play::Played;
use crate::{challenge, know};

/// Everything that is wrong about a play.
pub(crate) fn judge(case: &Case, played: &mut Played) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(verdict(case, played).err());
    wrong.extend(details(case, played));
    wrong.extend(secrets(played).err());
    if let Some(app) = &mut played.app {
        wrong.append(&mut app.faults);
    }
    for post in &case.expected.post {
        wrong.extend(holds(post, case, played).err().map(|why| format!("{post}: {why}")));
    }
    // Completing a login for a `post` may have found more.
    wrong.extend(played.app.iter_mut().flat_map(|app| std::mem::take(&mut app.faults)));
    wrong
}

fn verdict(case: &Case, played: &Played) -> Result<(), String> {
    let expected = &case.expected;
    let ended = classes(&played.outcome, played.body());
    let is_fitting = match (expected.verdict.as_str(), &played.outcome) {
        ("accept" | "complete", Outcome::Tokens(_) | Outcome::Done | Outcome::State(_))
        | ("emit", Outcome::Tokens(_) | Outcome::Emitted | Outcome::Done | Outcome::State(_) | Outcome::Resource(_))
        | ("reject" | "ignore" | "reauth", Outcome::Fail(_))
        | ("retry" | "wait", Outcome::Again)
        | ("accept_or_reject", _) => true,
        // Of a challenge alone it is asked that it be read.
        ("accept" | "complete", Outcome::Resource(reply)) => {
            reply.status.is_success() || case.kind() == "www_authenticate"
        }
        ("ignore", Outcome::Resource(reply)) => reply.status.is_success() && calls(played) == 1,
        ("retry", Outcome::Resource(_)) => calls(played) == 2,
        ("reject" | "reauth", Outcome::Resource(reply)) => !reply.status.is_success(),
        ("accept" | "complete" | "emit" | "reject" | "ignore" | "reauth" | "retry" | "wait", _) => false,
        (verdict, _) => return Err(format!("cannot be judged: unknown verdict {verdict:?}")),
    };
    // What is sent once more has no class of its own.
    let is_retry = expected.verdict == "retry" && is_fitting && expected.class.iter().any(|class| class == "None");
    if is_retry || is_fitting && expected.class.iter().any(|class| ended.contains(&class.as_str())) {
        return Ok(());
    }
    if let Some(class) = expected.class.iter().find(|class| !CLASSES.contains(&class.as_str())) {
        return Err(format!("cannot be judged: unknown class {class:?}; came {}", told(&played.outcome, &ended)));
    }
    Err(format!(
        "expected {} as {}, came {}",
        expected.verdict,
        expected.class.join(" or "),
        told(&played.outcome, &ended)
    ))
}

/// How often a resource was called.
fn calls(played: &Played) -> usize {
    let sent = played.app.iter().flat_map(|app| app.sent.iter().filter(|sent| sent.uri == app.fixture.target));
    sent.count()
}

fn told(outcome: &Outcome, came: &[&str]) -> String {
    let what = match outcome {
        Outcome::Tokens(_) => "tokens".to_owned(),
        Outcome::Emitted => "a request".to_owned(),
        Outcome::Done => "done".to_owned(),
        Outcome::State(state) => format!("active: {}", state.is_active()),
        Outcome::Resource(reply) => format!("the resource's {}", reply.status),
        Outcome::Again => "another try".to_owned(),
        Outcome::Fail(Fail::Metadata(error)) => error.to_string(),
        Outcome::Fail(fail) => format!("{fail:?}"),
    };
    format!("{} ({what})", came.join(" or "))
}

/// The one table of `post` conditions. Those that no observer inside the process can see say so.
fn holds(post: &str, case: &Case, played: &mut Played) -> Result<(), String> {
    let requests = played.app.as_ref().map_or(0, |app| app.sent.len());
    let tokens = match &played.outcome {
        Outcome::Tokens(tokens) => Some(&**tokens),
        _ => None,
    };
    let refusal = match &played.outcome {
        Outcome::Fail(Fail::Error(Error::Server(error)) | Fail::Document(Error::Server(error))) => Some(error),
        _ => None,
    };
    if let Some(result) = held(post, played).or_else(|| polled(post, case, played)) {
        return result;
    }
    let is_later = |remedy| matches!(remedy, Some(Remedy::TryLater(_)));
    match post {
        // A panic never gets here: the runner catches it and says so. Memory is not seen: a counting allocator is `unsafe`;
        // its bounds are `MAX_CALLBACK` and `MAX_BODY`, and the play ends.
        "no_panic" | "bounded_memory" => Ok(()),
        "bounded_time" => must(played.elapsed < Duration::from_secs(10), "it took ten seconds"),
        "no_request_emitted" => {
            let is_begun = ["callback", "callback_post", "sequence", "fault"].contains(&case.kind());
            let left = played.app.as_ref().map_or(0, |app| app.departures.len());
            let pushed = played.app.as_ref().map_or(0, |app| app.pushed.len());
            must(requests == 0 && (is_begun || left == 0), "something was sent")?;
            must(case.kind() != "config" || pushed == 0, "something was pushed")?;
            forgotten(case, played)
        }
        "one_request_emitted" | "result_is_single" => must(requests == 1, "not one request was sent"),
        // A second request is a fault in every case, and so is one to elsewhere (`wire::request`); here they are counted.
        "no_retry" | "redirect_not_followed" | "no_request_to_other_origin" => {
            must(requests <= played.answered.max(1), "another request was sent")?;
            must(played.app.as_ref().is_none_or(App::stays_home), "another origin was asked")
        }
        "metadata_not_cached" => {
            must(played.app.as_ref().is_some_and(|app| app.found.is_none() && app.search.is_none()), "it was believed")
        }
        "transaction_retained" => must(played.app.as_mut().is_some_and(App::completes), "the login is lost"),
        "transaction_consumed" => {
            let Some(app) = &mut played.app else { return Err("there is no client".to_owned()) };
            must(!app.completes() && app.sent.len() == requests, "the login can be completed again")
        }
        // `wire::request` compares code and redirect URI with what was brought and begun with.
        "exact_bytes_forwarded" => must(requests == 1, "nothing was forwarded"),
        "field_ignored" | "parameter_ignored" => {
            let own = ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "resource"];
            let more = ["refresh_token", "scope", "token", "token_type_hint", "device_code"];
            let own = own.into_iter().chain(more).collect::<Vec<_>>();
            let sent = played.app.iter().flat_map(|app| &app.sent).flat_map(|sent| &sent.pairs);
            must(tokens.is_some(), "it was not")?;
            must(sent.into_iter().all(|(name, _)| own.contains(&name.as_str())), "it was sent on")
        }
        // The secrets are looked for in every case; here, what the browser brought beside the code as well.
        "token_not_exposed" | "token_not_stored" | "no_id_claims" => foreign(played),
        "body_absent_from_error"
        | "secret_absent_from_debug"
        | "secret_absent_from_display"
        | "secret_absent_from_error"
        // The core logs nothing; what an application could log is what it can print.
        | "secret_absent_from_logs" => secrets(played),
        "header_marked_sensitive" => {
            let sent = played.app.iter().flat_map(|app| &app.sent).last();
            let header = sent.and_then(|sent| sent.headers.get(AUTHORIZATION));
            must(header.is_some_and(http::HeaderValue::is_sensitive), "it is not")
        }
        "expiry_set" | "expiry_clamped" | "expiry_saturated" => lifetime(tokens, played.asked(), played.body()),
        "expiry_unknown" | "expiry_absent" => must(tokens.is_some_and(|tokens| tokens.expires_at().is_none()), "there is one"),
        "expired_immediately" => {
            let Some(tokens) = tokens else { return Ok(()) };
            must(tokens.expires_at().is_some_and(|at| at.as_secs() <= played.asked()), "it lives on")
        }
        "scope_as_requested" => {
            let asked = played.app.iter().flat_map(|app| app.fixture.scope.clone());
            let narrowed = played.app.iter().flat_map(|app| app.fixture.narrowed.clone());
            let asked: Vec<String> = if narrowed.clone().count() > 0 { narrowed.collect() } else { asked.collect() };
            let scope = tokens.and_then(Tokens::scope);
            must(scope.is_some_and(|scope| scope.iter().eq(asked)), "it is another")
        }
        "scope_as_returned" => {
            let answer: Value = serde_json::from_slice(played.body()).unwrap_or_default();
            let said = answer["scope"].as_str().map(|text| text.split(' ').filter(|token| !token.is_empty()));
            let scope = tokens.and_then(Tokens::scope);
            must(said.is_some_and(|said| scope.is_some_and(|scope| scope.iter().eq(said))), "it is another")
        }
        "error_text_sanitised" => sanitised(refusal),
        "retry_after_delay" => {
            let Some(error) = refusal else { return Err("there is no refusal".to_owned()) };
            delay(case, played.header("retry-after"), error)
        }
        "retry_allowed" => must(is_later(refusal.map(ServerError::remedy)), "its remedy is not to try later"),
        "old_refresh_token_retained" => {
            must(is_later(refusal.map(ServerError::remedy)), "its remedy is not to keep the tokens and try later")
        }
        "new_state" | "new_verifier" | "fresh_values" => {
            must(played.app.as_ref().is_some_and(|app| app.departures.len() > 1), "there was one login only")
        }
        _ => Err("cannot be judged: unknown post".to_owned()),
    }
}

/// After a refused document nothing more is asked for, and it is no better from a cache.
fn forgotten(case: &Case, played: &Played) -> Result<(), String> {
    let Some(app) = &played.app else { return Ok(()) };
    let answered = if case.kind() == "discover_url" { 0 } else { app.heard };
    must(app.looked.len() <= answered, "another place is asked")?;
    let is_document = case.text("to").is_some_and(|to| to.ends_with("_metadata"));
    let error = match &played.outcome {
        Outcome::Fail(Fail::Document(error)) if is_document => error,
        _ => return Ok(()),
    };
    must(!know::is_about_itself(error) || !app.is_good(played.body()), "a login can be begun with it")
}

/// The conditions on what a session holds, and on how often it asked; `None` for all others.
fn held(post: &str, played: &Played) -> Option<Result<(), String>> {
    let app = played.app.as_ref()?;
    if post == "retry_once" {
        return Some(must(calls(played) == 2 || app.sent.len() == 2, "it was not sent twice"));
    }
    let life = app.life.as_ref()?;
    let held = app.held();
    let refresh_token = |tokens: &Tokens| tokens.refresh_token().map(|token| token.expose().to_owned());
    let first = refresh_token(&life.first);
    let now = held.as_deref().and_then(refresh_token);
    Some(match post {
        "result_is_single" => must(life.most == 1, "it took more than one refresh, or none"),
        "waiters_share_result" => must(life.alike, "callers ended differently"),
        "old_access_token_retained" => {
            let is_first = |tokens: &Tokens| tokens.access_token().expose() == life.first.access_token().expose();
            let is_good = life.first.expires_at().is_none_or(|at| at > app.time());
            must(held.as_deref().is_some_and(is_first), "it is another, or none").and_then(|()| {
                must(!is_good || life.session.usable(app.time()).is_some(), "it is good, and not given out")
            })
        }
        "old_refresh_token_retained" | "refresh_token_retained" => must(first.is_some() && now == first, "it is gone"),
        // `App::renewed` has compared it with the answer's.
        "refresh_token_replaced" => must(now.is_some() && now != first, "it is not"),
        "tokens_cleared" | "refresh_token_dropped" | "refresh_token_discarded" => {
            must(held.is_none(), "they are still there")
        }
        _ => return None,
    })
}

/// The conditions on a login that is polled for; `None` for all others. How long each poll waits is looked at in every case.
fn polled(post: &str, case: &Case, played: &Played) -> Option<Result<(), String>> {
    let device = played.app.as_ref()?.device.as_ref()?;
    let detail = case.expected.detail.as_deref().unwrap_or_default();
    let told =
        detail.strip_prefix("waits >= ").unwrap_or(detail).split_once(" s").and_then(|(told, _)| told.parse().ok());
    let fits = told.is_none_or(|told| device.told >= Duration::from_secs(told));
    Some(match post {
        "polling_stopped" => must(device.over, "it goes on"),
        "polling_continues" => must(!device.over || device.granted > 0, "it has ended"),
        "interval_increased_5s" => must(device.is_slowed() && fits, "it was not increased, or not for good"),
        "interval_doubled" => must(device.is_doubled() && fits, "it was not doubled, or not for good"),
        "retry_after_delay" => must(device.patient > 0 && fits, "nobody asked to wait, or it was not done"),
        "result_is_single" => must(device.granted == 1, "not one answer brought tokens"),
        _ => return None,
    })
}

fn must(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

impl Played {
    pub(crate) fn body(&self) -> &[u8] {
        self.answer.as_ref().map_or(&[], |answer| &answer.body)
    }

    /// When the last request was made.
    fn asked(&self) -> u64 {
        self.app.iter().flat_map(|app| &app.sent).last().map_or(NOW, |sent| sent.at)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.answer.iter().flat_map(|answer| &answer.headers);
        headers.into_iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The callback's parameters.
    fn brought(&self) -> Vec<(String, String)> {
        let text = self.callback.as_deref().unwrap_or_default();
        parse(text.split(['?', '#']).next_back().unwrap_or_default().as_bytes()).into_owned().collect()
    }
}

/// No printed line, and no error, shows what is secret: planted canaries, and what the answer delivered.
fn secrets(played: &Played) -> Result<(), String> {
    let Some(app) = &played.app else { return Ok(()) };
    let mut hidden = vec![CODE.to_owned(), "canary-access-token".to_owned(), "canary-refresh-token".to_owned()];
    hidden.extend(app.sent.iter().flat_map(|sent| sent.all("code_verifier")).map(str::to_owned));
    hidden.extend(app.departures.iter().map(|departure| departure.state.clone()));
    hidden.extend(app.pushed.iter().flat_map(|sent| sent.all("state")).map(str::to_owned));
    if let Some(secret) = app.fixture.secret.clone().filter(|secret| secret.len() >= 8) {
        hidden.push(byte_serialize(secret.as_bytes()).collect());
        hidden.push(secret);
    }
    let basic =
        app.sent.iter().filter_map(|sent| sent.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic "));
    hidden.extend(basic.map(str::to_owned));

    // Tokens too short to be looked for in the midst of other text.
    let mut short: Vec<String> = vec!["AT1".to_owned(), "RT1".to_owned()];
    let said = if played.answer.as_ref().is_some_and(|answer| answer.is_public) { &[] } else { played.body() };
    let answer: Value = serde_json::from_slice(said).unwrap_or_default();
    let is_refusal = matches!(played.outcome, Outcome::Fail(Fail::Error(Error::Server(_)) | Fail::LogIn | Fail::Later));
    let is_state = matches!(played.outcome, Outcome::State(_));
    match &answer {
        Value::Object(members) => {
            for (name, value) in members {
                let is_token = ["access_token", "refresh_token", "id_token"].contains(&name.as_str());
                let is_told = is_refusal && name.starts_with("error") || name == "token_type" || name == "scope";
                // A page for everybody, once it is known to be one. In the cases, the endpoint has the same address.
                let is_told = is_told || name == "verification_uri" && app.device.is_some();
                let is_told = is_told || value == app.fixture.server("device_authorization_endpoint");
                let is_told = is_told || is_state && ["sub", "client_id", "exp"].contains(&name.as_str());
                short.extend(value.as_str().filter(|_| is_token).map(str::to_owned));
                hidden.extend(value.as_str().filter(|_| is_token || !is_told).map(str::to_owned));
            }
        }
        Value::String(text) => hidden.push(text.clone()),
        _ => {}
    }
    hidden.push(String::from_utf8_lossy(said).trim().to_owned());
    // Shorter texts stand in English words.
    hidden.retain(|text| text.len() >= 6);
    let shown = hidden.iter().find(|secret| app.printed.iter().any(|line| line.contains(secret.as_str())));
    short.retain(|text| app.life.is_some() && text.len() >= 3 && text.bytes().any(|byte| byte.is_ascii_digit()));
    let (long, codes): (Vec<_>, Vec<_>) = app.codes.iter().cloned().partition(|code| code.len() >= 6);
    let shown = shown.or(long.iter().find(|code| app.printed.iter().any(|line| line.contains(code.as_str()))));
    short.extend(codes.into_iter().filter(|code| !code.is_empty()));
    let is_word = |line: &String, text: &str| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == text);
    let shown = shown.or(short.iter().find(|secret| app.printed.iter().any(|line| is_word(line, secret))));
    must(shown.is_none(), &format!("{:?} is printed", shown.map(String::as_str).unwrap_or_default()))
}

/// Tokens that a browser brought are nowhere.
fn foreign(played: &Played) -> Result<(), String> {
    secrets(played)?;
    let tokens = match &played.outcome {
        Outcome::Tokens(tokens) => serde_json::to_string(tokens).unwrap_or_default(),
        _ => String::new(),
    };
    let lines = || played.app.iter().flat_map(|app| &app.printed);
    for (name, value) in played.brought() {
        if name.ends_with("_token") && value.len() >= 5 {
            must(!tokens.contains(&value), &format!("{name} of the callback is in the tokens"))?;
            must(!lines().any(|line| line.contains(&value)), &format!("{name} of the callback is printed"))?;
        }
    }
    Ok(())
}

/// `expires_at` is the time of the request and the answer's lifetime, counted here once more.
fn lifetime(tokens: Option<&Tokens>, asked: u64, body: &[u8]) -> Result<(), String> {
    let Some(at) = tokens.and_then(Tokens::expires_at) else { return Err("there is no expiry".to_owned()) };
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = match &answer["expires_in"] {
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    let whole = said.split('.').next().and_then(|whole| whole.parse::<u64>().ok());
    match whole.filter(|_| !said.contains(['e', 'E'])) {
        Some(seconds) if seconds < 1 << 62 => must(at.as_secs() == asked + seconds, "it is another"),
        // Saturated: as late as can be told, and no earlier.
        _ => must(at.as_secs() > asked + (1 << 31), "a huge lifetime became a short one"),
    }
}

/// Nothing of the server's words can steer a terminal, flood a log, or be a link to a script.
fn sanitised(refusal: Option<&ServerError>) -> Result<(), String> {
    let Some(error) = refusal else { return Ok(()) };
    let longest = 1024;
    must(!error.to_string().chars().any(char::is_control), "a control character is displayed")?;
    must(error.to_string().len() <= 12 * longest, "it floods a log")?;
    must(error.description.as_ref().is_none_or(|text| text.chars().count() <= longest), "description is too long")?;
    let is_web = |uri: &String| uri.starts_with("https://") || uri.starts_with("http://");
    must(error.uri.as_ref().is_none_or(is_web), "uri is not of the web")
}

/// The delay as the case's detail says it, or as the header does.
fn delay(case: &Case, header: Option<&str>, error: &ServerError) -> Result<(), String> {
    let header = header.unwrap_or_default().trim();
    let detail =
        case.expected.detail.as_deref().and_then(|detail| detail.split_once("retry_after = ")).map(|(_, said)| said);
    let seconds = |text: &str| text.split([' ', ';']).next().and_then(|text| text.parse::<u64>().ok());
    let day = Duration::from_secs(24 * 60 * 60);
    let told = error.retry_after;
    let fits = match detail {
        Some(said) if said.starts_with("ignored") || said.starts_with("none") => told.is_none(),
        Some(said) if said.starts_with("clamped") => told.is_some_and(|delay| delay <= day),
        Some(said) if seconds(said).is_some() => told == seconds(said).map(Duration::from_secs),
        _ if header.bytes().all(|byte| byte.is_ascii_digit()) && !header.is_empty() => {
            told == Some(header.parse().map_or(day, Duration::from_secs).min(day))
        }
        // A date: sooner than a day, and there.
        _ if header.ends_with("GMT") => told.is_some_and(|delay| delay <= day),
        _ => told.is_none(),
    };
    must(fits && error.remedy() == Remedy::TryLater(told), &format!("it is {told:?} for {header:?}"))
}

/// What a detail spells out: `error=invalid_token` of a challenge, or `login_hint=jos%C3%A9` stands in the URL to the letter.
fn details(case: &Case, played: &Played) -> Vec<String> {
    let detail = case.expected.detail.as_deref().unwrap_or_default();
    let spelled = detail.split_whitespace().filter(|word| {
        word.split_once('=').is_some_and(|(name, value)| {
            value.contains('%') && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    });
    if case.kind() == "www_authenticate" {
        return challenge::details(case, &played.challenges);
    }
    if case.kind() == "discover_url" {
        return know::details(case, played.app.as_ref());
    }
    if case.kind() != "config" || case.expected.verdict != "emit" {
        return Vec::new();
    }
    let urls: Vec<&str> =
        played.app.iter().flat_map(|app| &app.departures).map(|departure| departure.url.as_str()).collect();
    let missing = spelled.filter(|word| !urls.iter().any(|url| url.contains(word)));
    missing.map(|word| format!("{word} is not in the URL")).collect()
}
