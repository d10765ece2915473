//! What is printed on stdout: what was asked for, and nothing else.

use std::io::Write;

use proofkey::{Client, Provider, Secret, Tokens};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Output};
use crate::failure::Failure;
use crate::time_left;

/// What a protected resource answered.
pub(crate) struct Called {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The tokens in the form that was asked for. In text and JSON that is what is to know of them; the tokens themselves only
/// with `--show-secrets`.
pub(crate) fn tokens(
    arguments: &Arguments,
    client: &Client,
    tokens: &Tokens,
    called: Option<&Called>,
) -> Result<(), Failure> {
    let access_token = tokens.access_token().expose();
    let lines = match arguments.output {
        Output::Text => text(arguments, tokens),
        Output::Json => facts(arguments, client, tokens, called).to_string(),
        Output::Token => access_token.to_owned(),
        Output::Header => format!("Authorization: {} {access_token}", tokens.token_type()),
        Output::Env => {
            let mut lines = vec![
                format!("PROOFKEY_ACCESS_TOKEN={}", quoted(access_token)),
                format!("PROOFKEY_TOKEN_TYPE={}", quoted(tokens.token_type().as_str())),
            ];
            lines.extend(tokens.expires_at().map(|at| format!("PROOFKEY_EXPIRES_AT={}", at.as_secs())));
            lines.join("\n")
        }
    };
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{lines}").and_then(|()| out.flush());
    written.map_err(|error| Failure::other(format!("standard output cannot be written: {error}")))
}

fn text(arguments: &Arguments, tokens: &Tokens) -> String {
    let has = |token: bool| if token { "yes" } else { "no" };
    let expiry = time_left(tokens).map_or("not told".to_owned(), |left| format!("in {} seconds", left.as_secs()));
    let scope = tokens.scope().map(|scope| scope.iter().collect::<Vec<_>>().join(" "));
    let mut lines = vec![
        String::new(),
        format!("  token type     {}", tokens.token_type()),
        format!("  scope          {}", scope.as_deref().unwrap_or("not told")),
        format!("  expires        {expiry}"),
        format!("  refresh token  {}", has(tokens.refresh_token().is_some())),
        format!("  ID token       {}", has(tokens.id_token().is_some())),
    ];
    if arguments.show_secrets {
        lines.extend([
            format!("  access token   {}", tokens.access_token().expose()),
            format!("  refresh token  {}", tokens.refresh_token().map_or("none", Secret::expose)),
            format!("  ID token       {}", tokens.id_token().map_or("none", Secret::expose)),
        ]);
    } else {
        lines.push("  (--show-secrets prints the tokens themselves)".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn facts(arguments: &Arguments, client: &Client, tokens: &Tokens, called: Option<&Called>) -> Value {
    let mut facts = json!({
        "issuer": tokens.issuer(),
        "client_id": client.client_id(),
        "token_type": tokens.token_type().as_str(),
        "scope": tokens.scope().map(|scope| scope.iter().collect::<Vec<_>>()),
        "expires_at": tokens.expires_at(),
        "expires_in": time_left(tokens).map(|left| left.as_secs()),
        "has_refresh_token": tokens.refresh_token().is_some(),
        "has_id_token": tokens.id_token().is_some(),
        "other_members": tokens.extra().names(),
    });
    if let Some(called) = called {
        let body = serde_json::from_str(&called.body).unwrap_or_else(|_| Value::from(called.body.as_str()));
        facts["called"] = json!({ "status": called.status, "body": body });
    }
    if arguments.show_secrets {
        facts["access_token"] = tokens.access_token().expose().into();
        facts["refresh_token"] = tokens.refresh_token().map(Secret::expose).into();
        facts["id_token"] = tokens.id_token().map(Secret::expose).into();
    }
    facts
}

/// A word for a POSIX shell: nothing in it means anything.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(crate) fn providers() {
    let mut out = std::io::stdout().lock();
    for provider in Provider::all() {
        let holes: Vec<_> = provider.holes().map(|hole| format!(" --fill {hole}=..")).collect();
        let shown = writeln!(out, "{}{}  ({})", provider.name, holes.concat(), provider.title)
            .and_then(|()| provider.notes.iter().try_for_each(|note| writeln!(out, "    {note}")));
        if shown.is_err() {
            break; // Nobody reads on.
        }
    }
}
