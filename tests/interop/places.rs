//! The servers of one run, each started when it is first asked for, and stopped when all is over.

use std::sync::OnceLock;

use proofkey::Server;

use crate::driver::{Driver, Library};
use crate::running::{Kind, Running};
use crate::tls::{Authority, Leaf};

#[derive(Default)]
pub(crate) struct Places {
    plain: [Place; 3],
    known: [OnceLock<Server>; 3],
    under_a_path: Place,
    authority: OnceLock<Authority>,
    over_tls: [[Place; 3]; 3],
}

/// A server, or why it did not start. That is not tried again.
#[derive(Default)]
struct Place(OnceLock<Result<Running, String>>);

impl Place {
    fn open(&self, start: impl FnOnce() -> Result<Running, String>) -> &Running {
        self.0.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Places {
    /// The server as it is, over http, and what is known of it.
    pub(crate) fn plain(&self, kind: Kind) -> (&Running, &Server) {
        let running = self.plain[kind as usize].open(|| Running::start(kind, &[]));
        (running, self.known[kind as usize].get_or_init(|| running.server(&Driver::new(Library::Ureq))))
    }

    /// oidc-provider under an issuer with a path.
    pub(crate) fn under_a_path(&self) -> &Running {
        self.under_a_path.open(|| Running::start(Kind::OidcProvider, &["--path", "/tenant"]))
    }

    /// Who certifies.
    pub(crate) fn authority(&self) -> &Authority {
        self.authority.get_or_init(Authority::new)
    }

    /// The server with a certificate.
    pub(crate) fn over_tls(&self, kind: Kind, leaf: Leaf) -> &Running {
        self.over_tls[kind as usize][leaf as usize].open(|| {
            let (certificate, key) = self.authority().certify(leaf);
            let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("UTF-8"));
            Running::start(kind, &["--certificate", certificate, "--key", key])
        })
    }
}
