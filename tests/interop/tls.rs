//! A certificate authority of our own, what it certifies, and clients that trust it and nobody else.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use proofkey::{blocking, hyper, reqwest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;

use crate::browser::Browser;
use crate::driver::{Driver, Library, Transport};

/// What is wrong with a certificate of the server's, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    Good,
    Expired,
    SelfSigned,
}

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = parameters("an authority of the tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, key()).expect("a certificate");
        Self { issuer, folder: tempfile::tempdir().expect("a folder") }
    }

    /// The files of a certificate for 127.0.0.1, and of its key.
    pub(crate) fn certify(&self, leaf: Leaf) -> (PathBuf, PathBuf) {
        let (key, mut parameters) = (key(), parameters("a server of the tests"));
        if leaf == Leaf::Expired {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = match leaf {
            Leaf::SelfSigned => parameters.self_signed(&key),
            Leaf::Good | Leaf::Expired => parameters.signed_by(&key, &self.issuer),
        };
        let folder = tempfile::tempdir_in(&self.folder).expect("a folder").keep();
        let file = |name: &str, pem: String| {
            let path = folder.join(name);
            fs::write(&path, pem).expect("a file");
            path
        };
        (file("certificate.pem", certificate.expect("a certificate").pem()), file("key.pem", key.serialize_pem()))
    }

    /// The transport over a client of the caller's, which trusts this authority.
    pub(crate) fn driver(&self, library: Library) -> Driver {
        let mut config = self.config();
        Driver::over(match library {
            Library::Reqwest => {
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                let client = reqwest::reqwest::Client::builder()
                    .tls_backend_preconfigured(config)
                    .redirect(reqwest::reqwest::redirect::Policy::none())
                    .no_proxy();
                Transport::Reqwest(reqwest::Transport::with_client(client.build().expect("a client")))
            }
            Library::Hyper => {
                use hyper::hyper_util::client::legacy::Client;
                use hyper::hyper_util::rt::TokioExecutor;

                let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only();
                let connector = connector.enable_http1().enable_http2().build();
                let client = Client::builder(TokioExecutor::new()).build(connector);
                Transport::Hyper(Box::new(hyper::Transport::with_client(client)))
            }
            Library::Ureq => {
                let agent = blocking::ureq::Agent::config_builder().tls_config(self.ureq_config()).proxy(None).build();
                Transport::Ureq(blocking::Transport::with_client(agent.into()))
            }
        })
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::trusting(self.ureq_config())
    }

    fn config(&self) -> rustls::ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        rustls::ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("it has suites for both versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    fn ureq_config(&self) -> blocking::ureq::tls::TlsConfig {
        let root = blocking::ureq::tls::Certificate::from_der(self.issuer.der()).to_owned();
        blocking::ureq::tls::TlsConfig::builder()
            .root_certs(blocking::ureq::tls::RootCerts::new_with_certs(&[root]))
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .build()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
