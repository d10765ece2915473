//! A whole login, from a URL for the browser to tokens, over blocking sockets.
//!
//! Without arguments it starts an authorization server of its own, plays the person at the browser too, and calls a
//! protected resource with the token. With endpoints and a client id it logs in to a real provider.
//!
//! It exits with 0 after a login, 2 for wrong arguments, 3 if the login was refused, 4 if nobody came back in time,
//! 5 if what came back was not the answer to this login, 6 if a server could not be reached, and 1 for the rest.

use std::error::Error as _;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use http::Request;
use http::header::AUTHORIZATION;
use proofkey::blocking::{self, Transport};
use proofkey::{
    Authentication, Callback, CallbackError, Client, Error, ErrorCode, Pending, Remedy, Server, Tokens, UnixTime,
    Violation,
};
use proofkey_test_server::{RegisteredClient, TestServer};
use serde_json::{Value, json};

/// Log in by the authorization code grant with PKCE, on a loopback port.
#[derive(Parser)]
#[command(after_help = "With no arguments it logs in to a server of its own.\n\
    Exit status: 0 logged in, 2 wrong arguments, 3 refused, 4 timed out, 5 not our login, 6 network, 1 other.")]
struct Arguments {
    /// Where the browser goes; with --token-endpoint and --client-id, a real provider
    #[arg(long, value_name = "URL", requires_all = ["token_endpoint", "client_id"])]
    authorization_endpoint: Option<String>,
    /// Where the code becomes tokens
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    token_endpoint: Option<String>,
    /// Who the application is at the provider
    #[arg(long, value_name = "ID", requires = "authorization_endpoint")]
    client_id: Option<String>,
    /// Its secret, sent by HTTP Basic; visible to other users of this machine while the program runs
    #[arg(long, value_name = "SECRET", requires = "client_id", env = "PROOFKEY_CLIENT_SECRET", hide_env_values = true)]
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
    /// The loopback port to return to; any free one unless given
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The path to return to, as it is registered at the provider
    #[arg(long, value_name = "PATH", default_value = "/callback")]
    redirect_path: String,
    /// Let a person press the buttons, in their browser
    #[arg(long)]
    browser: bool,
    /// How long to wait for the browser to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// One JSON object on stdout, and everything human on stderr
    #[arg(long)]
    json: bool,
    /// Print the tokens themselves
    #[arg(long)]
    show_secrets: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match log_in(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nlogin failed: {}\n{}", failure.what, failure.advice);
            ExitCode::from(failure.status)
        }
    }
}

fn log_in(arguments: &Arguments) -> Result<(), Failure> {
    let mut story = Story { human_on_stderr: arguments.json, step: 0 };

    // Know the server, be a client.
    let embedded = match arguments.authorization_endpoint {
        Some(_) => None,
        None => Some(TestServer::start().map_err(|error| Failure::other(&format!("no embedded server: {error}")))?),
    };
    let client = client(arguments, embedded.as_ref())?;
    story.tell("server", client.server().issuer.as_deref().unwrap_or(&client.server().token_endpoint));
    story.tell("client", client.client_id());

    // Listen before the URL is made: it names the port.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .map_err(|error| Failure::other(&format!("port {} cannot be listened on: {error}", arguments.port)))?;
    let port = listener.local_addr().map_err(|error| Failure::other(&error.to_string()))?.port();
    let redirect_uri = format!("http://127.0.0.1:{port}{}", arguments.redirect_path);
    story.tell("listening", &redirect_uri);

    // Leave.
    let transport = Transport::new()?;
    let mut scope: Vec<&str> = arguments.scope.iter().flat_map(|scope| scope.split_whitespace()).collect();
    if scope.is_empty() && embedded.is_some() {
        scope = vec!["photos", "profile"];
    }
    let mut authorization = client.authorize().redirect_uri(redirect_uri).scope(scope);
    for (name, value) in &arguments.param {
        authorization = authorization.param(name, value);
    }
    let (url, pending) = transport.start(authorization)?;
    story.tell("leaving", url.as_str());
    match &embedded {
        Some(server) if !arguments.browser => {
            story.tell("browser", "played by this program: \"alice\" logs in and presses Allow");
            let (person, url) = (server.person(), url.to_string());
            std::thread::spawn(move || person.follow(&person.allow(&url)));
        }
        _ => match open::that_detached(url.as_str()) {
            Ok(()) => story.tell("browser", "opened; if it did not, copy the URL above into one"),
            Err(_) => story.tell("browser", "none could be opened: copy the URL above into one on this machine"),
        },
    }

    // Return, and redeem.
    let (callback, browser) = wait(&listener, &pending, Duration::from_secs(arguments.timeout), &mut story)?;
    let grant = match pending.accept(callback) {
        Ok(grant) => grant,
        Err(error) => {
            browser.show("400 Bad Request", "The login failed. The application says why; this window can be closed.");
            return Err(error.into());
        }
    };
    browser.show("200 OK", "Logged in. This window can be closed.");
    story.tell("returned", "state and issuer are right, and there is a code");
    let tokens = transport.run(client.exchange(grant))?;
    story.tell("exchanged", "the code and its verifier for tokens");

    // Use.
    let called = match &embedded {
        Some(server) => Some(call(&transport, &tokens, &server.resource())?),
        None => None,
    };
    if let Some((status, body)) = &called {
        story.tell("called", &format!("{}: HTTP {status} {body}", embedded.as_ref().map_or(String::new(), TestServer::resource)));
    }
    report(arguments, &client, &tokens, called, &mut story);
    Ok(())
}

/// The client of the arguments, or one that the embedded server knows.
fn client(arguments: &Arguments, embedded: Option<&TestServer>) -> Result<Client, Failure> {
    let (server, id) = match (embedded, &arguments.authorization_endpoint, &arguments.token_endpoint) {
        (Some(embedded), ..) => {
            let mut server = Server::new(embedded.authorization_endpoint(), embedded.token_endpoint());
            server.issuer = Some(embedded.issuer().to_owned());
            server.authorization_response_iss_parameter_supported = true;
            (server, RegisteredClient::PUBLIC.id)
        }
        (None, Some(authorization), Some(token)) => {
            (Server::new(authorization, token), arguments.client_id.as_deref().unwrap_or_default())
        }
        _ => return Err(Failure::other("a real provider needs --authorization-endpoint, --token-endpoint and --client-id")),
    };
    let authentication = match &arguments.client_secret {
        None => Authentication::none(),
        Some(secret) if arguments.client_secret_post => Authentication::post(secret.as_str()),
        Some(secret) => Authentication::basic(secret.as_str()),
    };
    Ok(Client::builder(server, id).authentication(authentication).build()?)
}
