//! What cannot be played yet, because the feature it is about does not exist. Whoever adds a feature takes its rows away.

use serde_json::{Map, Value};

use crate::case::Case;

/// The member of an input or a step, its value (or its value up to a `_` or a `.`), and the feature it waits for.
/// With `*`, the member itself is what waits.
const LATER: [(&str, &str, &str); 41] = [
    ("at", "store", "token stores"),
    ("kind", "fault", "faults: played by sockets, in the transports' tests"),
    ("kind", "www_authenticate", "challenges"),
    ("kind", "discover_url", "discovery"),
    ("kind", "concurrent", "one refresh at a time"),
    ("kind", "multi_process", "one refresh at a time"),
    ("kind", "model_check", "one refresh at a time"),
    ("ctx", "dpop", "DPoP"),
    ("ctx", "mtls", "mTLS"),
    ("ctx", "oidc", "OpenID Connect"),
    ("ctx", "rar", "rich authorization requests"),
    ("ctx", "jar", "signed authorization requests"),
    ("ctx", "jarm", "signed authorization responses"),
    ("ctx", "par", "pushed authorization requests"),
    ("ctx", "fapi", "FAPI 2.0"),
    ("ctx", "atproto", "AT Protocol"),
    ("ctx", "mcp", "discovery"),
    ("ctx", "discover", "discovery"),
    ("ctx", "device", "device grant"),
    ("ctx", "refresh", "refresh"),
    ("ctx", "resource", "authenticated calls"),
    ("ctx", "many", "one refresh at a time"),
    ("to", "token_refresh", "refresh"),
    ("to", "revocation", "revocation"),
    ("to", "introspection", "introspection"),
    ("to", "registration", "registration"),
    ("to", "par", "pushed authorization requests"),
    ("to", "device", "device grant"),
    ("to", "as_metadata", "discovery"),
    ("to", "oidc_metadata", "discovery"),
    ("to", "prm", "discovery"),
    ("to", "jwks", "OpenID Connect"),
    ("to", "userinfo", "OpenID Connect"),
    ("to", "resource", "authenticated calls"),
    ("kind", "refresh", "refresh"),
    ("kind", "resource", "authenticated calls"),
    ("op", "refresh", "refresh"),
    ("op", "resource", "authenticated calls"),
    ("alg", "*", "DPoP"),
    ("authorization_details", "*", "rich authorization requests"),
    ("auth", "private_key_jwt", "client assertions"),
];

/// `logging` cases whose prose asks for more than what the core prints.
const UNSEEN: [(&str, &str); 4] = [
    ("listener", "a loopback listener"),
    ("fuzz", "fuzzing"),
    ("memory", "memory after a drop: not to be seen without `unsafe`"),
    ("compare", "how long a comparison takes: not to be seen, read `secret.rs`"),
];

/// The feature that a case waits for, if it does.
pub(crate) fn feature(case: &Case) -> Option<&'static str> {
    if case.kind() == "logging" {
        let what = case.text("what").unwrap_or_default();
        return UNSEEN.iter().find(|(word, _)| what.contains(word)).map(|(_, why)| *why);
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
