//! What cannot be played yet, because the feature it is about does not exist. Whoever adds a feature takes its rows away.

use serde_json::{Map, Value};

use crate::case::Case;
use crate::fault;

/// The member of an input or a step, its value (or its value up to a `_` or a `.`), and the feature it waits for.
/// With `*`, the member itself is what waits.
const LATER: [(&str, &str, &str); 24] = [
    ("at", "store", "token stores"),
    ("kind", "fault", "faults: played by sockets, in the transports' tests"),
    ("kind", "multi_process", "stores and leases"),
    ("kind", "model_check", "models of the session, in the transports' tests"),
    ("ctx", "refresh_oidc", "OpenID Connect"),
    ("ctx", "refresh_dpop", "DPoP"),
    ("ctx", "refresh_mtls", "mTLS"),
    ("ctx", "resource_dpop", "DPoP"),
    ("ctx", "dpop", "DPoP"),
    ("ctx", "mtls", "mTLS"),
    ("ctx", "oidc", "OpenID Connect"),
    ("ctx", "jar", "signed authorization requests"),
    ("ctx", "jarm", "signed authorization responses"),
    ("ctx", "par_dpop", "DPoP"),
    ("ctx", "par_jar", "signed authorization requests"),
    ("ctx", "discover_dpop", "DPoP"),
    ("ctx", "mcp_dpop", "DPoP"),
    ("ctx", "fapi", "FAPI 2.0"),
    ("ctx", "atproto", "AT Protocol"),
    ("to", "registration", "registration"),
    ("to", "jwks", "OpenID Connect"),
    ("to", "userinfo", "OpenID Connect"),
    ("alg", "*", "DPoP"),
    ("auth", "private_key_jwt", "client assertions"),
];

/// `logging` cases whose prose asks for more than what the core prints.
const UNSEEN: [(&str, &str); 4] = [
    ("listener", "a loopback listener: played by sockets, in tests/loopback.rs"),
    ("fuzz", "fuzzing"),
    ("memory", "memory after a drop: not to be seen without `unsafe`"),
    ("compare", "how long a comparison takes: not to be seen, read `secret.rs`"),
];

/// Members of metadata that nothing here reads, and the feature that will.
const MEMBERS: [(&str, &str); 7] = [
    ("dpop_signing_alg_values_supported", "DPoP"),
    ("registration_endpoint", "registration"),
    ("jwks_uri", "OpenID Connect"),
    ("userinfo_endpoint", "OpenID Connect"),
    ("end_session_endpoint", "OpenID Connect"),
    ("mtls_endpoint_aliases", "mTLS"),
    ("token_endpoint_auth_signing_alg", "client assertions"),
];

/// The feature that a case waits for, if it does.
pub(crate) fn feature(case: &Case) -> Option<&'static str> {
    if case.kind() == "logging" {
        let what = case.text("what").unwrap_or_default();
        return UNSEEN.iter().find(|(word, _)| what.contains(word)).map(|(_, why)| *why);
    }
    if fault::is_known(case) {
        return None;
    }
    // A document that is wrong in what only such a feature would read. The title names the member.
    if case.expected.verdict == "reject" && case.text("to").is_some_and(|to| to.ends_with("_metadata")) {
        let member = MEMBERS.iter().find(|(member, _)| case.title.starts_with(member));
        if let Some((_, why)) = member {
            return Some(why);
        }
    }
    LATER.iter().find_map(|row| {
        let waits = |input: &Map<String, Value>| input.get(row.0).is_some_and(|value| is(value, row.1));
        (waits(&case.input) || case.steps().any(waits)).then_some(row.2)
    })
}

fn is(value: &Value, name: &str) -> bool {
    let Some(text) = value.as_str() else { return name == "*" };
    name == "*" || text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
}
