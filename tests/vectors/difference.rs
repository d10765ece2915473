//! Where DESIGN section 6 decides otherwise than a case, by rule: `differences.md` gives the reasons.
//!
//! A rule never says "let it pass". It rewrites the case into a twin without what DESIGN forgives; the case differs only
//! if its own play fails as the rule says it must, and the twin's shows that there is no other reason.

use serde_json::{Value, json};

use crate::app::Outcome;
use crate::case::Case;
use crate::class::classes;
use crate::play::{Played, play};
use crate::post::judge;

pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// The rule speaks about cases that want nothing but some of these.
    classes: &'static [&'static str],
    /// The same case without what is forgiven; `None` if there is nothing of it in the case.
    twin: fn(&Case) -> Option<Case>,
    proof: Proof,
}

enum Proof {
    /// The case ends as its twin does, and well or with the server's own refusal.
    AsTwin,
    /// The twin ends as the case wants it.
    TwinIsRight,
}

pub(crate) const RULES: [Rule; 10] = [
    Rule { name: "content type", classes: &["UnexpectedContentType"], twin: json_type, proof: Proof::AsTwin },
    Rule { name: "scope array", classes: &["InvalidField"], twin: scope_text, proof: Proof::AsTwin },
    Rule {
        name: "float lifetime",
        classes: &["InvalidField", "MalformedBody"],
        twin: whole_lifetime,
        proof: Proof::AsTwin,
    },
    Rule { name: "null member", classes: &["InvalidField", "MissingField"], twin: no_nulls, proof: Proof::AsTwin },
    Rule { name: "byte order mark", classes: &["MalformedBody"], twin: no_mark, proof: Proof::AsTwin },
    Rule {
        name: "error text",
        classes: &["InvalidField", "MalformedBody", "UnexpectedStatus"],
        twin: no_error_text,
        proof: Proof::AsTwin,
    },
    Rule { name: "any 4xx", classes: &["UnexpectedStatus"], twin: bad_request, proof: Proof::AsTwin },
    Rule {
        name: "form post",
        classes: &["UnexpectedResponseParameter", "MissingCode", "StateMissing", "CallbackMalformed"],
        twin: other_mode,
        proof: Proof::AsTwin,
    },
    Rule { name: "login limit", classes: &["TransactionExpired"], twin: later, proof: Proof::TwinIsRight },
    Rule { name: "one method", classes: &["ConfigError"], twin: last_method, proof: Proof::AsTwin },
];

/// Beside the verdict, and that nothing was sent, everything must be as the case wants it.
pub(crate) fn keeps_the_rest(case: &Case, played: &Played) -> Result<(), Vec<String>> {
    let mut ours = case.clone();
    let ends = classes(&played.outcome, played.body());
    "accept_or_reject".clone_into(&mut ours.expected.verdict);
    ours.expected.class = ends.into_iter().map(str::to_owned).collect();
    ours.expected.post.retain(|post| post != "no_request_emitted");
    let mut played = play(case).map_err(|why| vec![why])?;
    let wrong = judge(&ours, &mut played);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The rule by which a case that failed as written differs.
pub(crate) fn rule(case: &Case, played: &Played) -> Option<&'static Rule> {
    let wants = &case.expected;
    let ends = classes(&played.outcome, played.body());
    RULES.iter().find(|rule| {
        wants.verdict == "reject"
            && !matches!(played.outcome, Outcome::Resource(_))
            && wants.class.iter().all(|class| rule.classes.contains(&class.as_str()))
            && ends.iter().any(|class| ["Ok", "OAuthError"].contains(class))
            && (rule.twin)(case).is_some_and(|twin| match (play(&twin), &rule.proof) {
                (Ok(twin), Proof::AsTwin) => classes(&twin.outcome, twin.body()) == ends,
                (Ok(twin), Proof::TwinIsRight) => {
                    let ends = classes(&twin.outcome, twin.body());
                    wants.class.iter().any(|class| ends.contains(&class.as_str()))
                }
                (Err(_), _) => false,
            })
    })
}

fn json_type(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let headers = twin.input.get_mut("headers")?.as_array_mut()?;
    let strange = |header: &Value| header[0] == "content-type" && header[1] != "application/json";
    if !headers.iter().any(strange) {
        return None;
    }
    headers.retain(|header| header[0] != "content-type");
    headers.push(json!(["content-type", "application/json"]));
    Some(twin)
}

fn scope_text(case: &Case) -> Option<Case> {
    rewritten(case, |body| {
        let tokens: Option<Vec<&str>> = body.get("scope")?.as_array()?.iter().map(Value::as_str).collect();
        body["scope"] = tokens?.join(" ").into();
        Some(())
    })
}

fn whole_lifetime(case: &Case) -> Option<Case> {
    rewritten(case, |body| {
        // Introspection's `exp` is read as lifetimes are.
        let name = if body.get("expires_in").is_some() { "expires_in" } else { "exp" };
        let lifetime = body.get(name)?;
        let number: f64 =
            lifetime.as_f64().or_else(|| lifetime.as_str()?.parse().ok()).filter(|number| *number >= 0.0)?;
        let is_whole = lifetime.is_u64();
        body[name] = number.floor().to_string().parse::<u64>().unwrap_or(u64::MAX).into();
        (!is_whole).then_some(())
    })
}

fn no_nulls(case: &Case) -> Option<Case> {
    rewritten(case, |body| {
        let members = body.as_object_mut()?;
        let before = members.len();
        members.retain(|name, value| ["access_token", "token_type"].contains(&name.as_str()) || !value.is_null());
        (members.len() < before).then_some(())
    })
}

fn no_mark(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let segments = twin.input.get_mut("body")?.as_array_mut()?;
    let is_mark = segments.first()?.get("hex")?.as_str()?.eq_ignore_ascii_case("efbbbf");
    is_mark.then(|| segments.remove(0))?;
    Some(twin)
}

fn no_error_text(case: &Case) -> Option<Case> {
    rewritten(case, |body| {
        let members = body.as_object_mut()?;
        let before = members.len();
        members.retain(|name, value| !["error_description", "error_uri"].contains(&name.as_str()) || value.is_string());
        (members.len() < before).then_some(())
    })
}

fn bad_request(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let status = twin.input.get_mut("status")?;
    if !(401..500).contains(&status.as_u64()?) {
        return None;
    }
    *status = json!(400);
    Some(twin)
}

/// The login asks for the mode in which its answer comes.
fn other_mode(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let ctx = match (case.kind(), case.text("ctx")?) {
        ("callback_post", "base") => "form_post",
        ("callback", "form_post") => "base",
        _ => return None,
    };
    twin.input["ctx"] = ctx.into();
    Some(twin)
}

/// The person takes half an hour more.
fn later(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let steps = twin.input.get_mut("steps")?.as_array_mut()?;
    let wait = steps.iter_mut().find_map(|step| step.get_mut("seconds"))?;
    let seconds = wait.as_u64().filter(|seconds| *seconds <= 30 * 60)?;
    *wait = (seconds + 30 * 60 + 1).into();
    Some(twin)
}

/// The method that was set last, alone.
fn last_method(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let methods = twin.input.get_mut("auth")?.as_array_mut()?;
    if methods.len() < 2 {
        return None;
    }
    methods.drain(..methods.len() - 1);
    Some(twin)
}

/// The case with another JSON body, if its body is JSON text and `change` has something to do.
fn rewritten(case: &Case, change: impl FnOnce(&mut Value) -> Option<()>) -> Option<Case> {
    let mut body: Value = serde_json::from_str(case.text("body")?).ok()?;
    change(&mut body)?;
    let mut twin = case.clone();
    twin.input.insert("body".to_owned(), body.to_string().into());
    Some(twin)
}
