//! A whole login, from a URL for the browser to tokens, over blocking sockets; then what one does with them.
//!
//! Without arguments it starts an authorization server of its own, plays the person at the browser too, and calls a
//! protected resource with the token. With endpoints and a client id it logs in to a real provider.
//!
//! It exits with 0 after a login, 2 for wrong arguments, 3 if the login was refused, 4 if nobody came back in time,
//! 5 if what came back was not the answer to this login, 6 if a server could not be reached, and 1 for the rest.

#[path = "login/failure.rs"]
mod failure;
#[path = "login/listener.rs"]
mod listener;
#[path = "login/store.rs"]
mod store;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Parser};
use failure::Failure;
use http::Request;
use listener::Listener;
use proofkey::blocking::{Session, Transport};
use proofkey::{Authentication, Client, Discovery, Provider, Quirks, Secret, Server, Tokens, UnixTime};
use proofkey_test_server::{RegisteredClient, TestServer};
use serde_json::{Value, json};

/// Log in by the authorization code grant with PKCE, on a loopback port.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(group(ArgGroup::new("place").args(["issuer", "provider", "authorization_endpoint"])))]
#[command(after_help = "With no arguments it logs in to a server of its own.\n\
    Exit status: 0 logged in, 2 wrong arguments, 3 refused, 4 timed out, 5 not our login, 6 network, 1 other.")]
struct Arguments {
    /// A real provider by its name: its metadata is fetched
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A well-known provider: google, github, ..; --list-providers names them all
    #[arg(long, value_name = "NAME", requires = "client_id")]
    provider: Option<String>,
    /// What the provider's addresses leave open: tenant, domain, ..
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value, requires = "provider")]
    fill: Vec<(String, String)>,
    /// Name the well-known providers, and what is to know of them
    #[arg(long)]
    list_providers: bool,
    /// Where the browser goes; with --token-endpoint and --client-id, a provider without metadata
    #[arg(long, value_name = "URL", requires_all = ["token_endpoint", "client_id"])]
    authorization_endpoint: Option<String>,
    /// Where the code becomes tokens
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    token_endpoint: Option<String>,
    /// Where tokens are given back
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    revocation_endpoint: Option<String>,
    /// Who the application is at the provider; the embedded server's public client unless given
    #[arg(long, value_name = "ID", default_value = RegisteredClient::PUBLIC.id, requires = "place")]
    client_id: String,
    /// Its secret, sent by HTTP Basic; as an argument it is visible to others on this machine
    #[arg(long, value_name = "SECRET", env = "PROOFKEY_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Send the secret in the body instead
    #[arg(long, requires = "client_secret")]
    client_secret_post: bool,
    /// Scope to ask for; several by repeating it or with spaces
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// A parameter of the provider's for the authorization URL
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    param: Vec<(String, String)>,
    /// Ask for tokens for this resource
    #[arg(long, value_name = "URL")]
    resource: Vec<String>,
    /// Push the login's parameters to the server first
    #[arg(long)]
    par: bool,
    /// The loopback port to return to; any free one unless given
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The path to return to, as it is registered at the provider
    #[arg(long, value_name = "PATH", default_value = "/callback", value_parser = path)]
    redirect_path: String,
    /// Let a person press the buttons, in their browser
    #[arg(long)]
    browser: bool,
    /// How long to wait for the browser to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Keep the tokens in this file, and use them from there while they are good
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Send a GET to this URL with the token
    #[arg(long, value_name = "URL")]
    call: Option<String>,
    /// Renew the tokens; the embedded server lets them expire first, and the call after that renews them by itself
    #[arg(long)]
    refresh: bool,
    /// Give the tokens back at the end
    #[arg(long)]
    revoke: bool,
    /// One JSON object on stdout, and everything human on stderr
    #[arg(long)]
    json: bool,
    /// Print the tokens themselves
    #[arg(long)]
    show_secrets: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nlogin failed: {}\n{}", failure.what, failure.advice);
            ExitCode::from(failure.status)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let story = Arc::new(Story { on_stderr: arguments.json, step: AtomicU32::new(1) });
    if arguments.list_providers {
        list_providers();
        return Ok(());
    }
    let real = arguments.issuer.is_some() || arguments.provider.is_some() || arguments.authorization_endpoint.is_some();
    let start = || TestServer::start().map_err(|error| Failure::other(format!("no embedded server: {error}")));
    let embedded = (!real).then(start).transpose()?;
    let transport = Transport::new()?;
    let client = client(arguments, &transport, embedded.as_ref(), &story)?;
    story.tell("client", client.client_id());

    // Tokens that were kept, or those of a login now; and a session that keeps them fresh.
    let kept = arguments.store.as_deref().map(store::load).transpose()?.flatten();
    let kept = kept.map(|tokens| Session::new(transport.clone(), client.clone(), tokens));
    let session = match kept {
        Some(Ok(session)) => {
            story.tell("kept", "tokens from the store; nobody needs to log in");
            session
        }
        other => {
            if other.is_some() {
                story.tell("kept", "the stored tokens are another server's or client's: unused, and to be replaced");
            }
            let tokens = log_in(arguments, &transport, &client, embedded.as_ref(), &story)?;
            if let Some(file) = &arguments.store {
                store::save(file, &tokens)?;
                story.tell("stored", file.display());
            }
            Session::new(transport.clone(), client.clone(), tokens)?
        }
    };
    let session = session.on_refresh({
        let (story, file) = (story.clone(), arguments.store.clone());
        move |tokens: &Tokens| match file.as_deref().map(|file| store::save(file, tokens)) {
            Some(Err(failure)) => story.tell("refreshed", format_args!("but not stored: {}", failure.what)),
            Some(Ok(())) => story.tell("refreshed", "the refresh token for new tokens, and stored"),
            None => story.tell("refreshed", "the refresh token for new tokens"),
        }
    });

    // Use them.
    let resource = arguments.call.clone().or(embedded.as_ref().map(TestServer::resource));
    let mut called = resource.as_deref().map(|url| call(&session, url, &story)).transpose()?;
    if arguments.refresh {
        match &embedded {
            Some(server) => {
                server.advance(Duration::from_secs(2 * 60 * 60));
                story.tell("expired", "the embedded server's clock was moved on by two hours");
            }
            None => session.reject(&*session.tokens()?),
        }
        called = resource.as_deref().map(|url| call(&session, url, &story)).transpose()?;
    }
    let tokens = session.tokens()?;
    report(arguments, &client, &tokens, called.as_ref());

    if arguments.revoke {
        session.clear();
        transport.run(client.revoke(&tokens)?)?;
        arguments.store.as_deref().map(store::remove).transpose()?;
        story.tell("revoked", "both tokens are given back");
    }
    Ok(())
}

/// The client of the arguments, at a server that is told or found.
fn client(
    arguments: &Arguments,
    transport: &Transport,
    embedded: Option<&TestServer>,
    story: &Story,
) -> Result<Client, Failure> {
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
            transport.run(Discovery::new(issuer).quirks(quirks))?
        }
        (None, Some(server), ..) => server,
        (None, None, Some(authorization), Some(token)) => Server::new(authorization, token),
        _ => return Err(Failure::other("a provider needs --issuer, --provider, or its endpoints")),
    };
    if let Some(endpoint) = &arguments.revocation_endpoint {
        server.revocation_endpoint = Some(endpoint.clone());
    }
    story.tell("server", server.issuer.as_ref().unwrap_or(&server.token_endpoint));
    let authentication = match &arguments.client_secret {
        None => Authentication::none(),
        Some(secret) if arguments.client_secret_post => Authentication::post(secret.as_str()),
        Some(secret) => Authentication::basic(secret.as_str()),
    };
    Ok(Client::builder(server, &arguments.client_id).authentication(authentication).quirks(quirks).build()?)
}

/// The login itself: leave, return, redeem.
fn log_in(
    arguments: &Arguments,
    transport: &Transport,
    client: &Client,
    embedded: Option<&TestServer>,
    story: &Story,
) -> Result<Tokens, Failure> {
    // The listener comes first: the URL names its port.
    let listener = Listener::bind(arguments.port, &arguments.redirect_path)?;
    story.tell("listening", listener.redirect_uri());

    let mut scope: Vec<&str> = arguments.scope.iter().flat_map(|scope| scope.split_whitespace()).collect();
    if scope.is_empty() && embedded.is_some() {
        scope = vec!["photos", "profile"];
    }
    let mut authorization = client.authorize().redirect_uri(listener.redirect_uri()).scope(scope);
    for (name, value) in &arguments.param {
        authorization = authorization.param(name, value);
    }
    for resource in &arguments.resource {
        authorization = authorization.resource(resource);
    }
    let (url, pending) = if arguments.par {
        let pushed = transport.run(authorization.push())?;
        story.tell("pushed", "the login's parameters to the server; the URL only refers to them");
        pushed
    } else {
        transport.start(authorization)?
    };
    story.tell("leaving", &url);
    match embedded {
        Some(server) if !arguments.browser => {
            story.tell("browser", "played by this program: \"alice\" logs in and presses Allow");
            let (person, url) = (server.person(), url.to_string());
            std::thread::spawn(move || person.follow(&person.allow(&url)));
        }
        _ => match open::that_detached(url.as_str()) {
            Ok(()) => story.tell("browser", "opened; if nothing shows, copy the URL above into one"),
            Err(_) => story.tell("browser", "none could be opened: copy the URL above into one on this machine"),
        },
    }

    let (callback, browser) = listener.wait(&pending, Duration::from_secs(arguments.timeout), |stranger| {
        story.tell("stranger", format_args!("{stranger}; still waiting"));
    })?;
    let accepted = pending.accept(callback);
    browser.answer(accepted.is_ok());
    let grant = accepted?;
    story.tell("returned", "with a code; state and issuer are this login's");

    let tokens = transport.run(client.exchange(grant))?;
    story.tell("exchanged", "the code and its verifier for tokens");
    Ok(tokens)
}

fn list_providers() {
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

/// What a protected resource answered.
struct Called {
    status: u16,
    body: String,
}

fn call(session: &Session, url: &str, story: &Story) -> Result<Called, Failure> {
    let request = Request::get(url).body(Vec::new()).map_err(|_| Failure::other(format!("{url:?} is not a URL")))?;
    let response = session.call(request)?;
    let status = response.status().as_u16();
    let body = String::from_utf8_lossy(response.body()).trim().to_owned();
    let mut start: String = body.chars().filter(|character| !character.is_control()).take(LONGEST_LINE).collect();
    if start.len() < body.len() {
        start.push('…');
    }
    story.tell("called", format_args!("{url} with the token: {status} {start}"));
    Ok(Called { status, body })
}

/// The facts of the tokens; the tokens themselves only where they were asked for.
fn report(arguments: &Arguments, client: &Client, tokens: &Tokens, called: Option<&Called>) {
    let now = UnixTime::from(SystemTime::now());
    let left = tokens.expires_at().map(|at| at.saturating_since(now).as_secs());
    let scope = tokens.scope().map(|scope| scope.iter().collect::<Vec<_>>());
    if arguments.json {
        let mut facts = json!({
            "issuer": tokens.issuer(),
            "client_id": client.client_id(),
            "token_type": tokens.token_type().as_str(),
            "scope": scope,
            "expires_at": tokens.expires_at(),
            "expires_in": left,
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
        println!("{facts}");
        return;
    }
    let has = |token: bool| if token { "yes" } else { "no" };
    let expiry = left.map_or("not told".to_owned(), |left| format!("in {left} seconds"));
    println!("\n  token type     {}", tokens.token_type());
    println!("  scope          {}", scope.map_or("not told".to_owned(), |scope| scope.join(" ")));
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

/// Tells a person what happens, a numbered line a step.
struct Story {
    on_stderr: bool,
    step: AtomicU32,
}

impl Story {
    fn tell(&self, what: &str, how: impl Display) {
        let step = self.step.fetch_add(1, Ordering::Relaxed);
        if self.on_stderr {
            eprintln!("{step:3}. {what:<10} {how}");
        } else {
            println!("{step:3}. {what:<10} {how}");
        }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("expected a path such as /callback".to_owned()) }
}

/// How much of an answer fits into the story, in characters.
const LONGEST_LINE: usize = 160;
