//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, ValueEnum};
use proofkey_test_server::RegisteredClient;

/// Log in, by the authorization code grant with PKCE or the device grant.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(group(ArgGroup::new("place").args(["issuer", "provider", "authorization_endpoint"])))]
#[command(group(ArgGroup::new("way").args(["browser", "no_browser", "device", "paste"])))]
#[command(after_help = "With no arguments it logs in to a server of its own.\n\
    Exit status: 0 logged in, 2 wrong arguments, 3 refused, 4 timed out, 5 not our login, 6 network, 1 other.")]
pub(crate) struct Arguments {
    /// A real provider by its name: its metadata is fetched
    #[arg(long, value_name = "URL", requires = "client_id")]
    pub(crate) issuer: Option<String>,
    /// A well-known provider: google, github, ..; --list-providers names them all
    #[arg(long, value_name = "NAME", requires = "client_id")]
    pub(crate) provider: Option<String>,
    /// What the provider's addresses leave open: tenant, domain, ..
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value, requires = "provider")]
    pub(crate) fill: Vec<(String, String)>,
    /// Name the well-known providers, and what is to know of them
    #[arg(long)]
    pub(crate) list_providers: bool,
    /// Where the browser goes; with --token-endpoint and --client-id, a provider without metadata
    #[arg(long, value_name = "URL", requires_all = ["token_endpoint", "client_id"])]
    pub(crate) authorization_endpoint: Option<String>,
    /// Where the code becomes tokens
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    pub(crate) token_endpoint: Option<String>,
    /// Where a login without a browser begins
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    pub(crate) device_authorization_endpoint: Option<String>,
    /// Where tokens are given back
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    pub(crate) revocation_endpoint: Option<String>,
    /// Who the application is at the provider; the embedded server's public client unless given
    #[arg(long, value_name = "ID", default_value = RegisteredClient::PUBLIC.id, requires = "place")]
    pub(crate) client_id: String,
    /// Its secret, sent by HTTP Basic; as an argument it is visible to others on this machine
    #[arg(long, value_name = "SECRET", env = "PROOFKEY_CLIENT_SECRET", hide_env_values = true)]
    pub(crate) client_secret: Option<String>,
    /// Send the secret in the body instead
    #[arg(long, requires = "client_secret")]
    pub(crate) client_secret_post: bool,
    /// Scope to ask for; several by repeating it or with spaces
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// A parameter of the provider's for the beginning of the login
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) param: Vec<(String, String)>,
    /// Ask for tokens for this resource
    #[arg(long, value_name = "URL")]
    pub(crate) resource: Vec<String>,
    /// Push the login's parameters to the server first
    #[arg(long, conflicts_with = "device")]
    pub(crate) par: bool,
    /// Log in through a browser on this machine, even if none seems to be there; with the embedded server, by hand
    #[arg(long)]
    pub(crate) browser: bool,
    /// Open no browser, but wait for one on this machine that somebody takes the URL to
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Show a code for another device (RFC 8628)
    #[arg(long)]
    pub(crate) device: bool,
    /// Take the URL that a browser elsewhere ends up at from standard input
    #[arg(long)]
    pub(crate) paste: bool,
    /// The loopback port to return to; any free one unless given
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// The path to return to, as it is registered at the provider
    #[arg(long, value_name = "PATH", default_value = "/callback")]
    pub(crate) redirect_path: String,
    /// How long to wait for the person
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Keep the tokens in this file, and use them from there
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// How long the access token has to be good for; stored ones that are not are renewed, and nobody is asked
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) min_validity: u64,
    /// Send a GET to this URL with the token
    #[arg(long, value_name = "URL", value_parser = address)]
    pub(crate) call: Option<String>,
    /// Renew the tokens; the embedded server lets them expire first, and the call after that renews them by itself
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Give the tokens back at the end
    #[arg(long)]
    pub(crate) revoke: bool,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Print the tokens themselves, in text and JSON
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// Tell of every request and answer, without their secrets
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

impl Arguments {
    /// Whether they name a provider.
    pub(crate) fn is_real(&self) -> bool {
        self.issuer.is_some() || self.provider.is_some() || self.authorization_endpoint.is_some()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// What is to know of the tokens, for a person
    Text,
    /// The same as one JSON object
    Json,
    /// The access token
    Token,
    /// A header line with it: Authorization: Bearer ..
    Header,
    /// Lines for a shell's eval: `PROOFKEY_ACCESS_TOKEN='..'`
    Env,
}

fn address(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "https" | "http") { Ok(text.to_owned()) } else { Err("expected an https URL".to_owned()) }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
