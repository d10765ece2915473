//! Why a login failed, for a person and for a script.

use std::error::Error as _;
use std::fmt::Display;

use proofkey::{CallbackError, Error, ErrorCode, Remedy, Usage, Violation, blocking};

/// What happened, what to do about it, and the exit status that says it to scripts.
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) advice: &'static str,
    pub(crate) status: u8,
}

impl Failure {
    pub(crate) fn other(what: impl Display) -> Self {
        Self { what: what.to_string(), advice: "Change that, and try again.", status: 1 }
    }

    pub(crate) fn usage(what: impl Display) -> Self {
        Self { status: 2, ..Self::other(what) }
    }

    pub(crate) fn timed_out(what: impl Display) -> Self {
        Self {
            what: what.to_string(),
            advice: "Run it again, and finish the login in time; --timeout gives more of it.",
            status: 4,
        }
    }

    fn expired(what: String) -> Self {
        Self { what, advice: "Run it again, and finish the login before its code ends.", status: 4 }
    }

    pub(crate) fn not_our_login(what: impl Display) -> Self {
        Self {
            what: what.to_string(),
            advice: "What came back was not the answer to this login. If you opened an old link, start again; \
                     if you opened none, somebody else may have.",
            status: 5,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match &error {
            Error::Usage(Usage::NoRefreshToken) => Self::other(what),
            Error::Usage(_) => Self::usage(what),
            Error::Server(refusal) if refusal.code == ErrorCode::ACCESS_DENIED => {
                Self { what, advice: "The person, or the provider for them, said no.", status: 3 }
            }
            Error::Callback(CallbackError::Expired) => Self::expired(what),
            Error::Server(refusal) if refusal.code == ErrorCode::EXPIRED_TOKEN => Self::expired(what),
            Error::Callback(_) | Error::Violation(Violation::Issuer | Violation::IssuerMissing) => {
                Self::not_our_login(what)
            }
            _ => {
                let advice = match error.remedy() {
                    Remedy::FixConfiguration => "Check the endpoints, the client id, its secret and its registration.",
                    Remedy::LogInAgain => "Log in again.",
                    Remedy::TryLater(_) => "The provider is not available; try again later.",
                    _ => "The provider did what it must not; tell whoever runs it.",
                };
                let refused = matches!(error, Error::Server(_)) && !matches!(error.remedy(), Remedy::TryLater(_));
                Self { what, advice, status: if refused { 3 } else { 1 } }
            }
        }
    }
}

impl From<proofkey_loopback::Error> for Failure {
    fn from(error: proofkey_loopback::Error) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let what = format!("{error}{cause}");
        match error {
            proofkey_loopback::Error::Usage(_) => Self::usage(what),
            proofkey_loopback::Error::TimedOut { strangers: 0 } => Self::timed_out(what),
            proofkey_loopback::Error::TimedOut { .. } => Self::not_our_login(what),
            _ => Self::other(what),
        }
    }
}

impl From<blocking::Error> for Failure {
    fn from(error: blocking::Error) -> Self {
        match error {
            blocking::Error::Protocol(error) => error.into(),
            error => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let advice = "Check the network, the endpoints, and the certificate of the server.";
                Self { what: format!("{error}{cause}"), advice, status: 6 }
            }
        }
    }
}
