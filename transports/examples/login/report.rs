//! What is printed on stdout: what was asked for, and nothing else.

use std::io::Write;

use proofkey::{Client, Provider, Secret, Tokens};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Output};
use crate::time_left;

/// What a protected resource answered.
pub(crate) struct Called {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The tokens in the form that was asked for. In text and JSON that is what is to know of them; the tokens themselves only
/// with `--show-secrets`.
pub(crate) fn tokens(arguments: &Arguments, client: &Client, tokens: &Tokens, called: Option<&Called>) {
    let access_token = tokens.access_token().expose();
    match arguments.output {
        Output::Text => text(arguments, tokens),
        Output::Json => println!("{}", facts(arguments, client, tokens, called)),
        Output::Token => println!("{access_token}"),
        Output::Header => println!("Authorization: {} {access_token}", tokens.token_type()),
        Output::Env => {
            println!("PROOFKEY_ACCESS_TOKEN={}", quoted(access_token));
            println!("PROOFKEY_TOKEN_TYPE={}", quoted(tokens.token_type().as_str()));
            if let Some(at) = tokens.expires_at() {
                println!("PROOFKEY_EXPIRES_AT={}", at.as_secs());
            }
        }
    }
}

fn text(arguments: &Arguments, tokens: &Tokens) {
    let has = |token: bool| if token { "yes" } else { "no" };
    let expiry = time_left(tokens).map_or("not told".to_owned(), |left| format!("in {} seconds", left.as_secs()));
    let scope = tokens.scope().map(|scope| scope.iter().collect::<Vec<_>>().join(" "));
    println!("\n  token type     {}", tokens.token_type());
    println!("  scope          {}", scope.as_deref().unwrap_or("not told"));
    println!("  expires        {expiry}");
    println!("  refresh token  {}", has(tokens.refresh_token().is_some()));
    println!("  ID token       {}", has(tokens.id_token().is_some()));
    if arguments.show_secrets {
        println!("  access token   {}", tokens.access_token().expose());
        println!("  refresh token  {}", tokens.refresh_token().map_or("none", Secret::expose));
        println!("  ID token       {}", tokens.id_token().map_or("none", Secret::expose));
    } else {
        println!("  (--show-secrets prints the tokens themselves)");
    }
    println!();
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
