//! The least that logs in with Proofkey: paste the URL that the browser was sent back to.

use proofkey::blocking::Transport;
use proofkey::{Callback, Client, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http = Transport::new()?;
    let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri("http://127.0.0.1:8917/cb").build()?;
    let (url, pending) = http.start(client.authorize().scope(["photos"]))?;
    println!("{url}");
    let back = std::io::stdin().lines().next().ok_or("no answer")??;
    let grant = pending.accept(Callback::parse(&back)?)?;
    let tokens = http.run(client.exchange(grant))?;
    println!("{}", tokens.access_token().expose());
    Ok(())
}
