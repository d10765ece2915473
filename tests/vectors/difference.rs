//! Where Proofkey decides otherwise than a case, by rule: `differences.md` gives the reasons.
//!
//! A rule never says "let it pass". It rewrites the case into a twin without what Proofkey forgives; the case differs only
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
    /// The case wants more than there is, and its twin has it.
    TwinGoesWell,
}

pub(crate) const RULES: [Rule; 13] = [
    Rule { name: "content type", classes: &["UnexpectedContentType"], twin: json_type, proof: Proof::AsTwin },
    Rule { name: "scope array", classes: &["InvalidField"], twin: scope_text, proof: Proof::AsTwin },
    Rule {
        name: "float lifetime",
        classes: &["InvalidField", "MalformedBody"],
        twin: whole_lifetime,
        proof: Proof::AsTwin,
    },
    Rule {
        name: "null member",
        classes: &["InvalidField", "MissingField", "MetadataInvalid", "MalformedBody"],
        twin: no_nulls,
        proof: Proof::AsTwin,
    },
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
    Rule {
        name: "S256 unsaid",
        classes: &["PkceUnsupported", "MetadataInvalid", "InvalidField", "MissingField", "UnsupportedFeature"],
        twin: strict,
        proof: Proof::TwinIsRight,
    },
    Rule { name: "issuer slash", classes: &["Ok"], twin: slash_forgiven, proof: Proof::TwinGoesWell },
    Rule { name: "one place", classes: &["Ok", "None"], twin: in_its_place, proof: Proof::TwinGoesWell },
];

/// Beside the verdict, and that nothing was sent, everything must be as the case wants it.
pub(crate) fn keeps_the_rest(case: &Case, played: &Played) -> Result<(), Vec<String>> {
    let mut ours = case.clone();
    let ends = classes(&played.outcome, played.body());
    "accept_or_reject".clone_into(&mut ours.expected.verdict);
    ours.expected.class = ends.into_iter().map(str::to_owned).collect();
    ours.expected.post.retain(|post| post != "no_request_emitted" && post != "metadata_not_cached");
    let mut played = play(case).map_err(|why| vec![why])?;
    let wrong = judge(&ours, &mut played);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The rule by which a case that failed as written differs.
pub(crate) fn rule(case: &Case, played: &Played) -> Option<&'static Rule> {
    let wants = &case.expected;
    let ends = classes(&played.outcome, played.body());
    let is_well = |ends: &[&str]| ends.iter().any(|class| ["Ok", "OAuthError"].contains(class));
    RULES.iter().find(|rule| {
        let wants_more = matches!(rule.proof, Proof::TwinGoesWell);
        let fits =
            if wants_more { ["accept", "retry"].contains(&wants.verdict.as_str()) } else { wants.verdict == "reject" };
        fits && is_well(&ends) != wants_more
            && !matches!(played.outcome, Outcome::Resource(_))
            && wants.class.iter().all(|class| rule.classes.contains(&class.as_str()))
            && (rule.twin)(case).is_some_and(|twin| match (play(&twin), &rule.proof) {
                (Ok(twin), Proof::AsTwin) => classes(&twin.outcome, twin.body()) == ends,
                (Ok(twin), Proof::TwinIsRight) => {
                    let ends = classes(&twin.outcome, twin.body());
                    wants.class.iter().any(|class| ends.contains(&class.as_str()))
                }
                (Ok(twin), Proof::TwinGoesWell) => classes(&twin.outcome, twin.body()) == ["Ok"],
                (Err(_), _) => false,
            })
    })
}

fn json_type(case: &Case) -> Option<Case> {
    let mut twin = case.clone();
    let strange = |header: &Value| header[0] == "content-type" && header[1] != "application/json";
    let mut is_strange = false;
    let steps = twin.input.remove("steps");
    let mut answers: Vec<Value> = steps.iter().filter_map(Value::as_array).flatten().cloned().collect();
    let lists = answers.iter_mut().filter_map(|step| step.get_mut("headers")).chain(twin.input.get_mut("headers"));
    for headers in lists.filter_map(Value::as_array_mut).filter(|headers| headers.iter().any(strange)) {
        is_strange = true;
        headers.retain(|header| header[0] != "content-type");
        headers.push(json!(["content-type", "application/json"]));
    }
    if steps.is_some() {
        twin.input.insert("steps".to_owned(), answers.into());
    }
    is_strange.then_some(twin)
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

/// S256 has to be advertised.
fn strict(case: &Case) -> Option<Case> {
    let body: Value = serde_json::from_str(case.text("body")?).ok()?;
    let is_unsaid = body.is_object() && body["code_challenge_methods_supported"].is_null();
    let mut twin = case.clone();
    twin.input["ctx"] = "discover_strict".into();
    is_unsaid.then_some(twin)
}

/// The issuer's trailing slash is a quirk that is forgiven.
fn slash_forgiven(case: &Case) -> Option<Case> {
    let body: Value = serde_json::from_str(case.text("body")?).ok()?;
    let (told, asked) = (body["issuer"].as_str()?, case.text("issuer")?);
    let mut twin = case.clone();
    twin.input["ctx"] = "discover_trailing_slash".into();
    (told != asked && told.trim_end_matches('/') == asked.trim_end_matches('/')).then_some(twin)
}

/// The resource's document is where it should be.
fn in_its_place(case: &Case) -> Option<Case> {
    if case.text("to") != Some("prm") || case.input.get("status") != Some(&json!(404)) {
        return None;
    }
    let resource = case.text("resource").unwrap_or("https://rs.example.com/mcp");
    let mut twin = case.clone();
    twin.input["status"] = json!(200);
    "accept".clone_into(&mut twin.expected.verdict);
    let body = json!({"resource": resource, "authorization_servers": ["https://as.example.com"]});
    twin.input.insert("body".to_owned(), body.to_string().into());
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
