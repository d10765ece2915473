//! A catalogue of what an OAuth client meets, played through the public API: each case is a callback, an answer or a
//! configuration, with the verdict of a careful client and what must hold afterwards.
//!
//! The cases are the `*.json` files beside this one (`own.json` is ours, the others are the catalogue's), and those of the
//! directory that `PROOFKEY_VECTORS` names. A case that cannot be played (an unknown context, placeholder, class or
//! condition) fails; a case for a feature that does not exist yet is counted as that ([`later`]), never as passed. Where
//! Proofkey decides otherwise, `differences.md` says why, and [`difference`] proves that it is the only reason.
//!
//! A login is played by [`app`], one on another device by [`device`], what comes after it by [`life`], many callers at once by
//! [`many`].

mod app;
mod case;
mod challenge;
mod class;
mod device;
mod difference;
mod fault;
mod fixture;
mod know;
mod later;
mod life;
mod many;
mod play;
mod post;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::case::Case;

/// What a case came to.
enum Result {
    Passed,
    Differs(&'static str),
    NotYet(&'static str),
    Failed(Vec<String>),
}

#[test]
fn every_case() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let more = std::env::var_os("PROOFKEY_VECTORS").map(PathBuf::from);
    let (mut summary, mut failures) = (String::new(), String::new());
    let mut differing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (directory, is_own) in [(Some(own.clone()), true), (more, false)] {
        let Some(directory) = directory else { continue };
        for (name, cases) in files(&directory) {
            let mut passed = 0;
            let mut differs = Vec::new();
            let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
            let mut failed = 0;
            for case in cases {
                match run(&case) {
                    Result::Passed => passed += 1,
                    Result::NotYet(feature) => *waiting.entry(feature).or_default() += 1,
                    Result::Differs(rule) => {
                        if is_own {
                            differing.entry(rule.to_owned()).or_default().insert(case.id.clone());
                        }
                        differs.push(format!("{} ({rule})", case.id));
                    }
                    Result::Failed(why) => {
                        failed += 1;
                        let Case { id, area, title, .. } = case;
                        let _ = writeln!(failures, "{id} [{area}] {title}\n    {}", why.join("\n    "));
                    }
                }
            }
            let waiting: Vec<String> = waiting.iter().map(|(feature, count)| format!("{count} {feature}")).collect();
            let _ = writeln!(
                summary,
                "{name}: {passed} passed, {failed} failed; differs: {}; not yet: {}",
                listed(&differs),
                listed(&waiting)
            );
        }
    }
    // Past the capture of standard output: how much was not played should be seen in a passing run, too.
    let _ = std::io::stderr().write_all(format!("\n{summary}").as_bytes());
    assert!(failures.is_empty(), "\n{failures}");
    assert_eq!(differing, written(&own.join("differences.md")), "differences.md does not say what is so");
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// The files of a directory, by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<Case>> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files = BTreeMap::new();
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.insert(name.clone(), serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    assert!(!files.is_empty(), "{} has no cases", directory.display());
    files
}

/// The table of `differences.md`: rules, and the ids of our own cases that differ by them.
fn written(path: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| **")?.split(" | ");
        let rule = cells.next()?.strip_suffix("**")?.to_owned();
        Some((rule, cells.next()?.split(", ").filter(|id| *id != "none").map(str::to_owned).collect::<BTreeSet<_>>()))
    });
    let mut rows: BTreeMap<_, _> = rows.collect();
    for rule in &difference::RULES {
        assert!(rows.contains_key(rule.name), "differences.md does not explain the rule {:?}", rule.name);
    }
    for name in rows.keys() {
        assert!(difference::RULES.iter().any(|rule| rule.name == name), "there is no rule {name:?}");
    }
    rows.retain(|_, ids| !ids.is_empty());
    rows
}

fn run(case: &Case) -> Result {
    if let Some(feature) = later::feature(case) {
        return Result::NotYet(feature);
    }
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let mut played = play::play(case).map_err(|why| vec![why])?;
        let wrong = post::judge(case, &mut played);
        if wrong.is_empty() {
            return Ok(Result::Passed);
        }
        match difference::rule(case, &played) {
            Some(rule) => difference::keeps_the_rest(case, &played).map(|()| Result::Differs(rule.name)),
            None => Err(wrong),
        }
    }));
    match judged {
        Ok(Ok(result)) => result,
        Ok(Err(wrong)) => Result::Failed(wrong),
        Err(_) => Result::Failed(vec!["panicked".to_owned()]),
    }
}

/// The runner is no good if it cannot fail: what it cannot play, and what is not so, it says.
#[test]
fn the_runner_can_fail() {
    let callback = |url: &str, ctx: &str| json!({"kind": "callback", "ctx": ctx, "url": url});
    let answer = |body: Value| json!({"kind": "response", "ctx": "base", "to": "token", "status": 200, "headers": [], "body": body});
    let good = "https://client.example.org/cb?code={CODE}&state={STATE}&iss={ISS}";
    let token = r#"{"access_token":"a","token_type":"Bearer"}"#;
    let rows = [
        (callback(good, "nowhere"), "accept", "Ok", "no_panic", "unknown ctx"),
        (callback("{NOBODY}", "base"), "reject", "MissingCode", "no_panic", "unknown placeholder"),
        (callback("{STATE:backwards}", "base"), "reject", "MissingCode", "no_panic", "unknown placeholder"),
        (callback(good, "base"), "accept", "Ok", "peace_on_earth", "unknown post"),
        (callback(good, "base"), "reject", "Unheard", "no_panic", "unknown class"),
        (callback(good, "base"), "sing", "Ok", "no_panic", "unknown verdict"),
        (callback(good, "base"), "reject", "StateMismatch", "no_panic", "expected reject"),
        (callback(good, "base"), "accept", "Ok", "no_request_emitted", "something was sent"),
        (callback(good, "base"), "accept", "Ok", "transaction_retained", "the login is lost"),
        (
            callback("/cb?code=a&state=b", "base"),
            "reject",
            "TransactionUnknown",
            "transaction_consumed",
            "completed again",
        ),
        (callback("/cb?code=a&state=b", "base"), "accept", "Ok", "no_panic", "expected accept"),
        (callback("/cb?code=a&state=b", "base"), "reject", "IssuerMismatch", "no_panic", "expected reject"),
        (json!({"kind": "rain"}), "accept", "Ok", "no_panic", "unknown kind"),
        (json!({"kind": "sequence", "steps": [{"kind": "sleep"}]}), "accept", "Ok", "no_panic", "unknown step"),
        (json!({"kind": "config", "colour": "red"}), "emit", "Ok", "no_panic", "unknown member"),
        (json!({"kind": "config", "auth": "smile"}), "emit", "Ok", "no_panic", "unknown method"),
        (json!({"kind": "callback", "url": good, "twice": true}), "accept", "Ok", "no_panic", "unknown member"),
        (answer(json!({"smoke": "x"})), "accept", "Ok", "no_panic", "unknown segment"),
        (answer(json!(token)), "accept", "Ok", "expiry_set", "there is no expiry"),
        (answer(json!(token)), "accept", "Ok", "scope_as_returned", "it is another"),
        (answer(json!(token)), "reject", "UnexpectedContentType", "no_panic", "expected reject"),
        (
            answer(json!(r#"{"access_token":"a","token_type":"Bearer","scope":["a"]}"#)),
            "reject",
            "MissingField",
            "no_panic",
            "expected reject",
        ),
    ];
    let said = |to: &str, status: u64, body: &str| json!({"kind": "response", "ctx": "refresh", "to": to, "status": status, "headers": [], "body": body});
    let refused = |header: &str| json!({"kind": "www_authenticate", "ctx": "resource", "status": 401, "headers": [["www-authenticate", header]]});
    let many = |ops: Value| json!({"kind": "concurrent", "ctx": "refresh_expired", "ops": ops});
    let life = [
        (said("token_refresh", 200, token), "accept", "Ok", "refresh_token_replaced", "it is not"),
        (said("token_refresh", 200, token), "accept", "Ok", "old_access_token_retained", "it is another"),
        (
            said("token_refresh", 400, r#"{"error":"invalid_grant"}"#),
            "reauth",
            "ReauthRequired",
            "old_refresh_token_retained",
            "it is gone",
        ),
        (said("token_refresh", 503, ""), "reauth", "ReauthRequired", "no_panic", "expected reauth"),
        (said("token_refresh", 503, ""), "reject", "ServerUnavailable", "tokens_cleared", "still there"),
        (said("revocation", 204, ""), "accept", "Ok", "no_panic", "expected accept"),
        (said("introspection", 200, r#"{"active":"true"}"#), "accept", "Ok", "no_panic", "expected accept"),
        (said("weather", 200, ""), "accept", "Ok", "no_panic", "an answer of"),
        (refused("Bearer error=invalid_token"), "retry", "None", "no_retry", "another request was sent"),
        (refused("Bearer realm=x"), "retry", "None", "no_panic", "expected retry"),
        (refused("Bearer error=insufficient_scope"), "reject", "InsufficientScope", "retry_once", "not sent twice"),
        (refused("Bearer realm=x"), "reject", "StepUpRequired", "no_panic", "expected reject"),
        (many(json!(["get_token", "reject", "login"])), "reject", "ServerUnavailable", "no_panic", "expected reject"),
        (
            many(json!(["get_token", "login", "get_token"])),
            "complete",
            "Ok",
            "waiters_share_result",
            "ended differently",
        ),
        (many(json!(["login"])), "complete", "Ok", "result_is_single", "more than one refresh, or none"),
        (many(json!(["sing"])), "complete", "Ok", "no_panic", "unknown op"),
        (
            json!({"kind": "fault", "at": "store.take", "fault": "lost"}),
            "reject",
            "TransactionExpired",
            "no_panic",
            "expected reject",
        ),
        (json!({"kind": "config", "op": "whistle"}), "emit", "Ok", "no_panic", "unknown op"),
        (json!({"kind": "config", "op": "resource", "colour": "red"}), "emit", "Ok", "no_panic", "unknown member"),
        (
            json!({"kind": "config", "op": "resource", "url": "http://api.example.com"}),
            "emit",
            "Ok",
            "no_panic",
            "expected emit",
        ),
    ];
    for (input, verdict, class, post, says) in rows.into_iter().chain(life).chain(knowing()).chain(polling()) {
        let expected = json!({"verdict": verdict, "class": [class], "post": [post], "level": "MUST"});
        let row = json!({"id": "x", "area": "runner", "title": says, "input": input, "expected": expected});
        let case: Case = serde_json::from_value(row.clone()).unwrap();
        let Result::Failed(why) = run(&case) else { panic!("this did not fail: {row}") };
        assert!(why.iter().any(|line| line.contains(says)), "{row} fails otherwise: {why:?}");
    }
}

/// Cases about a server that is looked for, or pushed to, which must fail.
fn knowing() -> [(Value, &'static str, &'static str, &'static str, &'static str); 12] {
    let where_ =
        |issuer: &str, algorithm: &str| json!({"kind": "discover_url", "issuer": issuer, "algorithm": algorithm});
    let said = |to: &str, ctx: &str, status: u64, body: Value| json!({"kind": "response", "ctx": ctx, "to": to, "status": status, "headers": [], "body": body.to_string()});
    let good = json!({
        "issuer": "https://as.example.com",
        "authorization_endpoint": "https://as.example.com/authorize",
        "token_endpoint": "https://as.example.com/token",
        "token_endpoint_auth_methods_supported": ["none"],
    });
    let reference = json!({"request_uri": "urn:x:1", "expires_in": 60});
    let resource =
        json!({"resource": "https://rs.example.com/mcp", "authorization_servers": ["https://as.example.com"]});
    [
        (where_("https://as.example.com", "guess"), "emit", "Ok", "no_panic", "unknown algorithm"),
        (where_("http://as.example.com", "oauth2"), "emit", "Ok", "no_panic", "expected emit"),
        (where_("https://as.example.com", "oauth2"), "reject", "InsecureUrl", "no_request_emitted", "another place"),
        (said("as_metadata", "discover", 200, good.clone()), "reject", "IssuerMismatch", "no_panic", "expected reject"),
        (said("as_metadata", "discover", 200, good.clone()), "accept", "Ok", "metadata_not_cached", "it was believed"),
        (said("as_metadata", "mcp", 200, good.clone()), "accept", "Ok", "no_panic", "expected accept"),
        (said("as_metadata", "discover", 404, good), "accept", "Ok", "no_panic", "expected accept"),
        (said("prm", "mcp", 200, resource.clone()), "reject", "ResourceMismatch", "no_panic", "expected reject"),
        (said("prm", "mcp", 200, resource), "accept", "Ok", "no_request_emitted", "something was sent"),
        (said("par", "par", 201, reference.clone()), "accept", "Ok", "no_request_emitted", "something was sent"),
        (said("par", "par", 200, reference), "accept", "Ok", "no_panic", "expected accept"),
        (said("par", "par", 503, json!({})), "reject", "RateLimited", "no_panic", "expected reject"),
    ]
}

/// Cases about a login on another device, which must fail.
fn polling() -> [(Value, &'static str, &'static str, &'static str, &'static str); 13] {
    let said = |to: &str, status: u64, body: Value| json!({"kind": "response", "ctx": "device", "to": to, "status": status, "headers": [], "body": body.to_string()});
    let codes = json!({
        "device_code": "GmRh",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://as.example.com/device",
        "expires_in": 1800,
    });
    let begun = said("device_authorization", 200, codes.clone());
    let refused = |code: &str| said("token", 400, json!({"error": code}));
    let steps = |steps: Value| json!({"kind": "sequence", "ctx": "device", "steps": steps});
    let lost = json!({"kind": "timeout"});
    let slow = steps(json!([begun.clone(), refused("slow_down")]));
    let late = steps(json!([begun.clone(), {"kind": "advance_clock", "seconds": 1800}]));
    let together = |ops: Value| json!({"kind": "concurrent", "ctx": "device", "ops": ops});
    let wrong =
        json!({"verification_uri": "javascript:alert(1)", "device_code": "GmRh", "user_code": "A", "expires_in": 9});
    [
        (begun.clone(), "reject", "InvalidField", "no_panic", "expected reject"),
        (begun.clone(), "accept", "Ok", "no_request_emitted", "something was sent"),
        (said("device_authorization", 200, wrong), "accept", "Ok", "no_panic", "expected accept"),
        (said("device_authorization", 201, codes), "accept", "Ok", "no_panic", "expected accept"),
        (refused("authorization_pending"), "retry", "None", "polling_stopped", "it goes on"),
        (refused("access_denied"), "retry", "None", "polling_continues", "it has ended"),
        (refused("authorization_pending"), "wait", "None", "interval_increased_5s", "it was not increased"),
        (slow, "complete", "Ok", "interval_doubled", "it was not doubled"),
        (steps(json!([begun.clone(), lost])), "complete", "Ok", "retry_after_delay", "nobody asked to wait"),
        (late, "complete", "Ok", "no_panic", "expected complete"),
        (steps(json!([begun, {"kind": "timeout", "colour": "red"}])), "retry", "None", "no_panic", "unknown member"),
        (together(json!(["poll", "sing"])), "complete", "Ok", "no_panic", "unknown op"),
        (together(json!(["poll(dropped)"])), "complete", "Ok", "one_request_emitted", "not one request was sent"),
    ]
}
