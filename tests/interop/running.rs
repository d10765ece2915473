//! Servers that nobody here wrote: started by their script, and stopped whatever happens.

use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use proofkey::{Discovery, Server};
use serde::Deserialize;

use crate::driver::Driver;

/// A server of the folders in `tests/interop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OidcProvider,
    Authlib,
    NodeOauth2Server,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::OidcProvider, Self::Authlib, Self::NodeOauth2Server];

    /// The name of its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OidcProvider => "oidc-provider",
            Self::Authlib => "authlib",
            Self::NodeOauth2Server => "node-oauth2-server",
        }
    }

    /// What its tokens are asked for: calls take `photos`, and here `openid`, too.
    pub(crate) fn scope(self) -> &'static [&'static str] {
        match self {
            Self::OidcProvider => &["openid", "photos"],
            Self::Authlib | Self::NodeOauth2Server => &["photos"],
        }
    }

    /// What is missing on this machine to run it.
    pub(crate) fn lacks(self) -> Option<&'static str> {
        let tools: &[(&str, &[&str])] = match self {
            Self::Authlib => &[("python3", &["-m", "pip", "--version"])],
            Self::OidcProvider | Self::NodeOauth2Server => &[("node", &["--version"]), ("npm", &["--version"])],
        };
        let runs = |(tool, arguments): &&(&str, &[&str])| {
            let mut command = Command::new(tool);
            command.args(*arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        [("sh", ["-c", "true"].as_slice())].iter().chain(tools).find(|tool| !runs(tool)).map(|(tool, _)| *tool)
    }
}

/// A server's process. It ends when this is dropped; and when this process dies, because its standard input ends then.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    /// What it says of itself.
    pub(crate) said: Said,
}

/// The line that a server prints when it is ready.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) issuer: String,
    /// What answers a call with a token.
    pub(crate) resource: String,
    /// Where it is, if it has no metadata.
    endpoints: Option<Endpoints>,
}

#[derive(Debug, Deserialize)]
struct Endpoints {
    authorization_endpoint: String,
    token_endpoint: String,
}

impl Running {
    /// Installs it, if that has not been done, starts it, and waits until it is ready.
    pub(crate) fn start(kind: Kind, arguments: &[&str]) -> Result<Self, String> {
        let folder = folder().join(kind.name());
        let mut log = tempfile::tempfile().expect("a file");
        let mut process = Command::new(folder.join("start.sh"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("a handle"))
            .spawn()
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let output = process.stdout.take().expect("a pipe");
        let (ready, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = ready.send(line);
            // Whatever else it says has somewhere to go.
            io::copy(&mut output, &mut io::sink())
        });
        let line = line.recv_timeout(DEADLINE).unwrap_or_default();
        if let Ok(said) = serde_json::from_str(&line) {
            return Ok(Self { process, said });
        }
        stop(&mut process);
        let mut warnings = String::new();
        let _ = log.rewind().and_then(|()| log.read_to_string(&mut warnings));
        Err(format!("{} did not start: {line:?} {warnings}", kind.name()))
    }

    /// The server: discovered, or by hand where it has no metadata.
    pub(crate) fn server(&self, driver: &Driver) -> Server {
        match &self.said.endpoints {
            Some(endpoints) => Server::new(&endpoints.authorization_endpoint, &endpoints.token_endpoint),
            None => driver.run(Discovery::new(&self.said.issuer)).expect("metadata"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn stop(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// `tests/interop`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The first start installs, over networks of any speed.
const DEADLINE: Duration = Duration::from_secs(300);
