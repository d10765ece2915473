//! A login at a known place, for the targets to disturb.

use std::convert::Infallible;

use proofkey_core::rand_core::{TryCryptoRng, TryRng};
use proofkey_core::{Client, Pending, Server, UnixTime};

pub const ISSUER: &str = "https://as.example.com";
pub const REDIRECT_URI: &str = "https://client.example.org/cb";
pub const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

/// The state that [`Zeros`] makes.
pub const STATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A public client of a server that promises `iss`.
pub fn client() -> Client {
    let mut server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    server.issuer = Some(ISSUER.to_owned());
    server.authorization_response_iss_parameter_supported = true;
    Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("the fixture is valid")
}

pub fn login(client: &Client) -> Pending {
    client.authorize().scope(["read"]).redirect(NOW, &mut Zeros).expect("the fixture is valid").1
}

/// A generator that always gives the same, so that inputs reproduce.
pub struct Zeros;

impl TryRng for Zeros {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for Zeros {}
