//! Why nobody came back.

use std::{fmt, io};

/// Why there is no callback.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The path, the ports or the template cannot be used, and why.
    Usage(&'static str),
    /// No port could be listened on: the error of the last one tried.
    Bind(io::Error),
    /// The login was begun with another redirect URI than this listener's, so its browser would go elsewhere.
    OtherRedirectUri,
    /// The deadline has passed.
    TimedOut {
        /// How many requests came to the redirect URI that were not the answer to this login. Somebody may have
        /// finished an older login, or tried to inject one.
        strangers: u32,
    },
    /// The application has [cancelled](crate::Canceller::cancel) the wait.
    Cancelled,
    /// The system cannot wait on sockets.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) => f.write_str(why),
            Self::Bind(_) => f.write_str("no loopback port could be listened on"),
            Self::OtherRedirectUri => f.write_str("the login was begun with another redirect URI than this listener's"),
            Self::TimedOut { strangers: 0 } => f.write_str("nobody came back in time"),
            Self::TimedOut { strangers } => {
                write!(f, "nobody came back in time, but for {strangers} with another login's answer, or with none")
            }
            Self::Cancelled => f.write_str("the wait was cancelled"),
            Self::Io(_) => f.write_str("the system cannot wait on sockets"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind(error) | Self::Io(error) => Some(error),
            Self::Usage(_) | Self::OtherRedirectUri | Self::TimedOut { .. } | Self::Cancelled => None,
        }
    }
}
