//! Opens the person's browser, and tells beforehand where none can be expected (RFC 8252 section 6).
//!
//! ```no_run
//! # fn show(url: &url::Url) {
//! use proofkey_loopback::browser::{self, Surroundings};
//!
//! eprintln!("Log in here: {url}"); // first: whatever happens below, the person can copy it
//! let surroundings = Surroundings::of_this_process();
//! if !surroundings.has_browser() {
//!     eprintln!("No browser is opened: {surroundings}.");
//! } else if let Err(error) = browser::open(url) {
//!     eprintln!("{error}; copy the URL into one on this machine");
//! }
//! # }
//! ```
//!
//! The URL comes from a server's metadata, so it is looked at before a program gets it: `http` or `https`, and nothing
//! that could end an argument. No shell sees it.

use std::ffi::OsString;
use std::{env, fmt, io};

use url::Url;

/// Opens this URL in the person's browser: in what the environment variable `BROWSER` names, if it is set, or in the
/// desktop's own.
///
/// The browser gets the URL as an argument, which others on this machine may be able to see: `state` and the challenge are
/// in it, the verifier is not. Where `BROWSER` names none that can be started, others are tried.
///
/// It returns when the browser was started, which says nothing of whether it shows anything; a text browser runs on
/// this terminal, with this process's standard output, and this returns when it ends, so call it beside the wait. The login goes on without: every error can
/// be ignored, as long as the person can see the URL.
pub fn open(url: &Url) -> Result<(), Error> {
    if !is_for_browsers(url) {
        return Err(Error::Url);
    }
    webbrowser::open(url.as_str()).map_err(Error::Open)
}

/// Whether nothing but a browser could make something of this URL.
fn is_for_browsers(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
        && url.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`<>\\^{|}".contains(&byte))
}

/// Why no browser was opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not `http` or `https`, or has characters that could end an argument. It was given to no program.
    Url,
    /// There is no browser, or it could not be started.
    Open(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("this URL is not for a browser"),
            Self::Open(_) => f.write_str("no browser could be opened"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url => None,
            Self::Open(error) => Some(error),
        }
    }
}

/// Where this process runs, as far as opening a browser goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Surroundings {
    /// Somebody sits in front of it, for all one can see.
    Desktop,
    /// `BROWSER` names a browser, so there is one, whatever else is true. Remote development environments do this.
    Chosen,
    /// Linux inside Windows. The browser that opens is Windows's.
    Wsl,
    /// A job of continuous integration: nobody is there.
    Ci,
    /// A shell from another machine. A browser would open on this one, where nobody sees it; and a browser over there
    /// would not reach this one's loopback.
    Ssh,
    /// There is neither X nor Wayland.
    NoDisplay,
}

impl Surroundings {
    /// What the environment variables of this process tell.
    pub fn of_this_process() -> Self {
        Self::from_variables(|name| env::var_os(name))
    }

    /// What these environment variables tell. An empty one is as good as none.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_set = |name: &&str| value(name).is_some();
        if value("BROWSER").is_some() {
            Self::Chosen
        } else if value("CI").is_some_and(|ci| ci != "false" && ci != "0") {
            Self::Ci
        } else if ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"].iter().any(is_set) {
            Self::Ssh
        } else if ["WSL_DISTRO_NAME", "WSL_INTEROP"].iter().any(is_set) {
            Self::Wsl
        } else if NEEDS_DISPLAY && !["DISPLAY", "WAYLAND_DISPLAY"].iter().any(is_set) {
            Self::NoDisplay
        } else {
            Self::Desktop
        }
    }

    /// Whether it is worth a try to [`open`] one.
    pub fn has_browser(self) -> bool {
        matches!(self, Self::Desktop | Self::Chosen | Self::Wsl)
    }
}

/// Half a sentence for the person.
impl fmt::Display for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Desktop => "this is a desktop",
            Self::Chosen => "the environment variable BROWSER names the browser",
            Self::Wsl => "this is Linux inside Windows, and the browser is Windows's",
            Self::Ci => "this is a job of continuous integration",
            Self::Ssh => "this is a shell from another machine",
            Self::NoDisplay => "this machine has no display",
        })
    }
}

/// Where windows need X or Wayland.
const NEEDS_DISPLAY: bool =
    cfg!(all(unix, not(any(target_vendor = "apple", target_os = "android", target_os = "haiku"))));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_told_by_its_variables() {
        let display = [("DISPLAY", ":0")];
        let bare = if NEEDS_DISPLAY { Surroundings::NoDisplay } else { Surroundings::Desktop };
        let cases: [(&[(&str, &str)], Surroundings); 15] = [
            (&[], bare),
            (&[("DISPLAY", "")], bare),
            (&display, Surroundings::Desktop),
            (&[("WAYLAND_DISPLAY", "wayland-0")], Surroundings::Desktop),
            (&[("CI", "true"), ("DISPLAY", ":99")], Surroundings::Ci),
            (&[("CI", "1")], Surroundings::Ci),
            (&[("CI", "false"), ("DISPLAY", ":0")], Surroundings::Desktop),
            (&[("CI", ""), ("DISPLAY", ":0")], Surroundings::Desktop),
            (&[("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22"), ("DISPLAY", "localhost:10.0")], Surroundings::Ssh),
            (&[("SSH_TTY", "/dev/pts/0")], Surroundings::Ssh),
            (&[("WSL_DISTRO_NAME", "Debian")], Surroundings::Wsl),
            (&[("WSL_INTEROP", "/run/WSL/8_interop"), ("DISPLAY", ":0")], Surroundings::Wsl),
            (&[("WSL_DISTRO_NAME", "Debian"), ("SSH_CLIENT", "192.0.2.1 50000 22")], Surroundings::Ssh),
            (&[("BROWSER", "code-helper"), ("SSH_TTY", "/dev/pts/0")], Surroundings::Chosen),
            (&[("BROWSER", ""), ("SSH_TTY", "/dev/pts/0")], Surroundings::Ssh),
        ];
        for (variables, expected) in cases {
            let lookup =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
            assert_eq!(Surroundings::from_variables(lookup), expected, "{variables:?}");
        }
    }

    #[test]
    fn only_what_is_for_a_browser_is_given_to_one() {
        for good in ["https://as.example/authorize?a=b%20c&d=%22", "http://127.0.0.1:3000/authorize"] {
            assert!(is_for_browsers(&Url::parse(good).unwrap()), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "ms-settings:x",
            "com.example.app:/cb",
            "mailto:a@b.example",
            "https://as.example/a'b",
            "https://as.example/?a=b|c",
            "https://as.example/?a=b`c",
        ] {
            assert!(!is_for_browsers(&Url::parse(bad).unwrap()), "{bad}");
            assert!(matches!(open(&Url::parse(bad).unwrap()), Err(Error::Url)), "{bad}");
        }
    }
}
