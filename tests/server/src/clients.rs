//! The clients this server knows: one for each way to authenticate (RFC 6749 section 2.3).

use oauth_as::client::{Client, ClientAuth, ClientId};
use oauth_as::grant::GrantType;
use oauth_as::scope::ScopeSet;
use oauth_as::server::AuthorizationServer;
use oauth_as::store::{MemoryStorage, Storage, StorageError};
use tokio::sync::Mutex;

use crate::clock::Clock;

/// A client registered with every [`TestServer`](crate::TestServer).
///
/// All may use codes with PKCE, refresh tokens and the device grant; those with a secret may also
/// use client credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredClient {
    /// Its `client_id`.
    pub id: &'static str,
    /// Its `client_secret`; a public client has none.
    pub secret: Option<&'static str>,
    /// What the consent page calls it.
    pub name: &'static str,
}

impl RegisteredClient {
    /// A public client: an application on the user's own machine, which can keep no secret.
    pub const PUBLIC: Self = Self { id: "photo-viewer", secret: None, name: "Photo Viewer" };

    /// A client that authenticates with `client_secret_basic`.
    ///
    /// Its id and secret hold every character that a careless encoder or decoder of the header
    /// gets wrong. The server percent-decodes both halves and reads `+` as a space.
    pub const BASIC: Self =
        Self { id: "print shop: 50% off/a+b", secret: Some("p+q/r: 100% s3cret&=?"), name: "Print Shop" };

    /// A client that authenticates with `client_secret_post`.
    pub const POST: Self =
        Self { id: "photo-backup", secret: Some("correct horse+battery/staple"), name: "Photo Backup" };

    /// All of them.
    pub const ALL: [Self; 3] = [Self::PUBLIC, Self::BASIC, Self::POST];
}

/// The redirect URI on a loopback port that every client may use: `http://127.0.0.1:PORT/callback`.
pub fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}/callback")
}

/// What the user may be asked for, each with the consent page's words.
pub(crate) const SCOPES: [(&str, &str); 3] = [
    ("photos", "See your photos"),
    ("profile", "See your name and picture"),
    ("offline_access", "Keep this access while you are not using it"),
];

/// The port is a placeholder: `oauth-as` lets a public client put any other in its place, but only
/// where there is one.
const LOOPBACK: [&str; 4] =
    ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://[::1]/callback", "http://[::1]:1/callback"];

/// The registrations, and the one rule about them that `oauth-as` applies to public clients only.
#[derive(Default)]
pub(crate) struct Clients {
    /// Held while a registration is read, changed and put back.
    changing: Mutex<()>,
}

impl Clients {
    pub(crate) async fn register(
        server: &AuthorizationServer<MemoryStorage, Clock>,
        more_redirect_uris: &[String],
    ) -> Result<(), StorageError> {
        let mut redirect_uris: Vec<String> = LOOPBACK.map(str::to_owned).into();
        redirect_uris.extend_from_slice(more_redirect_uris);
        for client in RegisteredClient::ALL {
            let mut grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode];
            let auth = match client.secret {
                None => ClientAuth::Public,
                Some(secret) => {
                    grant_types.push(GrantType::ClientCredentials);
                    ClientAuth::ConfidentialSecret { secret: secret.to_owned() }
                }
            };
            let registration = Client {
                client_id: ClientId::new(client.id),
                auth,
                grant_types,
                redirect_uris: redirect_uris.clone(),
                allowed_scopes: ScopeSet::from_tokens(SCOPES.map(|(scope, _)| scope))
                    .expect("the names above are scope tokens"),
                default_scopes: ScopeSet::parse("photos").expect("a scope token"),
                name: Some(client.name.to_owned()),
                registration: None,
            };
            server.register_client(registration).await?;
        }
        Ok(())
    }

    /// Lets a client with a secret use this loopback port, too.
    ///
    /// > The authorization server MUST allow any port to be specified at the time of the request
    /// > for loopback IP redirect URIs (RFC 8252 section 7.3)
    ///
    /// `oauth-as` does so for public clients and compares text for the others, but a server-side
    /// web application under test listens on whatever port it got. So the port is registered just
    /// before it is used.
    pub(crate) async fn admit_loopback_port(
        &self,
        server: &AuthorizationServer<MemoryStorage, Clock>,
        client_id: &str,
        redirect_uri: &str,
    ) {
        if !is_loopback_callback(redirect_uri) {
            return;
        }
        let _changing = self.changing.lock().await;
        let Ok(Some(client)) = server.store().get_client(&ClientId::new(client_id)).await else {
            return;
        };
        if client.redirect_uris.iter().any(|known| known == redirect_uri) {
            return;
        }
        let mut client = Client::clone(&client);
        client.redirect_uris.push(redirect_uri.to_owned());
        // A refusal here is a refusal of the request that follows, in the server's own words.
        let _ = server.register_client(client).await;
    }
}

fn is_loopback_callback(redirect_uri: &str) -> bool {
    ["http://127.0.0.1:", "http://[::1]:"]
        .into_iter()
        .filter_map(|origin| redirect_uri.strip_prefix(origin)?.strip_suffix("/callback"))
        .any(|port| {
            // `parse` alone would take `+80`.
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::is_loopback_callback;

    #[test]
    fn only_the_port_of_a_loopback_callback_is_free() {
        for yes in ["http://127.0.0.1:8080/callback", "http://[::1]:65535/callback"] {
            assert!(is_loopback_callback(yes), "{yes}");
        }
        for no in [
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1:80/other/callback",
            "http://127.0.0.1:80/callback/",
            "http://localhost:80/callback",
            "https://127.0.0.1:80/callback",
        ] {
            assert!(!is_loopback_callback(no), "{no}");
        }
    }
}
