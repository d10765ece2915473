//! The servers of one run, each started when it is first asked for, and stopped when all is over.

use std::sync::OnceLock;

use proofkey::Server;

use crate::driver::{Driver, Library};
use crate::running::{Kind, Running};
use crate::tls::{Authority, Leaf};

#[derive(Default)]
pub(crate) struct Places {
    plain: [OnceLock<(Running, Server)>; 3],
    under_a_path: OnceLock<Running>,
    authority: OnceLock<Authority>,
    over_tls: [OnceLock<Running>; 3],
}

impl Places {
    /// The server as it is, over http, and what is known of it.
    pub(crate) fn plain(&self, kind: Kind) -> (&Running, &Server) {
        let (running, server) = self.plain[kind as usize].get_or_init(|| {
            let running = Running::start(kind, &[]);
            let server = running.server(&Driver::new(Library::Ureq));
            (running, server)
        });
        (running, server)
    }

    /// oidc-provider under an issuer with a path.
    pub(crate) fn under_a_path(&self) -> &Running {
        self.under_a_path.get_or_init(|| Running::start(Kind::OidcProvider, &["--path", "/tenant"]))
    }

    /// Who certifies.
    pub(crate) fn authority(&self) -> &Authority {
        self.authority.get_or_init(Authority::new)
    }

    /// oidc-provider with a certificate.
    pub(crate) fn over_tls(&self, leaf: Leaf) -> &Running {
        self.over_tls[leaf as usize].get_or_init(|| {
            let (certificate, key) = self.authority().certify(leaf);
            let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("UTF-8"));
            Running::start(Kind::OidcProvider, &["--certificate", certificate, "--key", key])
        })
    }
}
