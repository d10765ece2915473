//! Starts the server and waits, so that a person can look at its pages in a browser:
//! `cargo run -p proofkey-test-server --example serve`

use std::io;

use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};

fn main() -> io::Result<()> {
    let server = TestServer::start()?;
    let login = url::Url::parse_with_params(
        &server.authorization_endpoint(),
        [
            ("response_type", "code"),
            ("client_id", RegisteredClient::PUBLIC.id),
            ("redirect_uri", &redirect_uri(8917)),
            ("scope", "photos profile"),
            ("state", "af0ifjsldkj"),
            // RFC 7636 Appendix B
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ],
    )
    .map_err(io::Error::other)?;

    println!("issuer    {}", server.issuer());
    println!("metadata  {}", server.metadata_url());
    println!("resource  {}", server.resource());
    for client in RegisteredClient::ALL {
        println!("client    {:?} secret {:?} ({})", client.id, client.secret, client.name);
    }
    println!("\nLog in at\n{login}\n\nPress Enter to stop.");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
