//! A whole login, from nothing to tokens, over blocking sockets; then what one does with them.
//!
//! Without arguments it starts an authorization server of its own, plays the person at the browser too, and calls a
//! protected resource with the token. With an issuer, a provider's name or endpoints it logs in to a real one, by the way
//! that is possible here: the browser of this machine, a code for another device, or a URL that is pasted back.
//!
//! What was asked for is on stdout, everything else on stderr. It exits with 0 after a login, 2 for wrong arguments, 3 if
//! the login was refused, 4 if nobody came back in time, 5 if what came back was not the answer to this login, 6 if a
//! server could not be reached, and 1 for the rest. Ctrl-C ends it at once.

#[path = "login/arguments.rs"]
mod arguments;
#[path = "login/failure.rs"]
mod failure;
#[path = "login/holder.rs"]
mod holder;
#[path = "login/http.rs"]
mod http;
#[path = "login/report.rs"]
mod report;
#[path = "login/store.rs"]
mod store;
#[path = "login/story.rs"]
mod story;
#[path = "login/way.rs"]
mod way;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use proofkey::{Authentication, Client, Discovery, Provider, Quirks, Server, Tokens, UnixTime};
use proofkey_test_server::TestServer;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::holder::Holder;
use crate::http::Http;
use crate::story::Story;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "\nlogin failed: {}\n{}", failure.what, failure.advice);
            ExitCode::from(failure.status)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.list_providers {
        report::providers();
        return Ok(());
    }
    let story = Story::default();
    let start = || TestServer::start().map_err(|error| Failure::other(format!("no embedded server: {error}")));
    let embedded = (!arguments.is_real()).then(start).transpose()?;
    let http = Http::new(arguments.verbose)?;
    let client = client(arguments, &http, embedded.as_ref(), &story)?;
    story.tell("client", client.client_id());

    // Tokens that were kept, or those of a login now.
    let kept = arguments.store.as_deref().map(store::load).transpose()?.flatten();
    let holder = Holder { arguments, http: &http, client: &client, story: &story };
    let kept = kept.map(|tokens| holder.reuse(tokens)).transpose()?;
    let mut tokens = if let Some(tokens) = kept.flatten() {
        tokens
    } else {
        let tokens = way::log_in(arguments, &http, &client, embedded.as_ref(), &story)?;
        holder.keep(&tokens)?;
        tokens
    };

    // Use them.
    let resource = arguments.call.clone().or(embedded.as_ref().map(TestServer::resource));
    let mut called = resource.as_deref().map(|url| holder.call(&mut tokens, url)).transpose()?;
    if arguments.refresh {
        match &embedded {
            Some(server) => {
                server.advance(Duration::from_secs(2 * 60 * 60));
                story.tell("expired", "the embedded server's clock was moved on by two hours");
            }
            None => tokens = holder.renew(&tokens)?,
        }
        called = resource.as_deref().map(|url| holder.call(&mut tokens, url)).transpose()?;
    }
    report::tokens(arguments, &client, &tokens, called.as_ref())?;

    if arguments.revoke {
        http.run(client.revoke(&tokens)?)?;
        arguments.store.as_deref().map(store::remove).transpose()?;
        story.tell("revoked", "both tokens are given back");
    }
    Ok(())
}

/// The client of the arguments, at a server that is told or found.
fn client(arguments: &Arguments, http: &Http, embedded: Option<&TestServer>, story: &Story) -> Result<Client, Failure> {
    let mut quirks = Quirks::none();
    let mut issuer = arguments.issuer.clone().or(embedded.map(|server| server.issuer().to_owned()));
    let mut server = None;
    if let Some(name) = &arguments.provider {
        let unknown = || Failure::usage(format!("{name:?} is no provider that --list-providers names"));
        let provider = Provider::named(name).ok_or_else(unknown)?;
        if let Some((hole, _)) = arguments.fill.iter().find(|(hole, _)| !provider.holes().any(|own| own == hole)) {
            return Err(Failure::usage(format!("{name} has nothing called {hole:?} to fill")));
        }
        let fill: Vec<(&str, &str)> = arguments.fill.iter().map(|(name, value)| (&**name, &**value)).collect();
        (quirks, issuer, server) = (provider.quirks, provider.issuer(&fill)?, provider.server(&fill)?);
    }
    let mut server = match (issuer, server, &arguments.authorization_endpoint, &arguments.token_endpoint) {
        (Some(issuer), ..) => {
            story.tell("asking", format_args!("{issuer} what it is"));
            http.run(Discovery::new(issuer).quirks(quirks))?
        }
        (None, Some(server), ..) => server,
        (None, None, Some(authorization), Some(token)) => Server::new(authorization, token),
        _ => return Err(Failure::other("a provider needs --issuer, --provider, or its endpoints")),
    };
    for (endpoint, told) in [
        (&mut server.revocation_endpoint, &arguments.revocation_endpoint),
        (&mut server.device_authorization_endpoint, &arguments.device_authorization_endpoint),
    ] {
        if told.is_some() {
            endpoint.clone_from(told);
        }
    }
    story.tell("server", server.issuer.as_ref().unwrap_or(&server.token_endpoint));
    // One that is in the environment is not for the embedded server.
    let authentication = match arguments.client_secret.as_ref().filter(|_| arguments.is_real()) {
        None => Authentication::none(),
        Some(secret) if arguments.client_secret_post => Authentication::post(secret.as_str()),
        Some(secret) => Authentication::basic(secret.as_str()),
    };
    Ok(Client::builder(server, &arguments.client_id).authentication(authentication).quirks(quirks).build()?)
}

/// How long the access token is good for; `None` if the server has not said.
fn time_left(tokens: &Tokens) -> Option<Duration> {
    let now = UnixTime::from(SystemTime::now());
    tokens.expires_at().map(|at| at.saturating_since(now))
}
