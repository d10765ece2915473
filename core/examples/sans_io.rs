//! The loop by hand: a whole login with no transport, no runtime and no network.
//!
//! `send` is all that a real program has to bring: anything that takes an `http::Request` and gives an `http::Response`.
//! Here it is a function that answers as RFC 6749 prints it.

#![allow(clippy::disallowed_methods, reason = "an application has a clock")]

use std::error::Error;
use std::time::SystemTime;

use getrandom::SysRng;
use proofkey_core::rand_core::UnwrapErr;
use proofkey_core::{Body, Callback, Client, Exchange, Pending, Server, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri("https://client.example.com/cb").build()?;

    // It leaves. The system's generator panics if it fails; the transports turn that into an error.
    let mut rng = UnwrapErr(SysRng);
    let (url, pending) = client.authorize().scope(["photos"]).redirect(SystemTime::now().into(), &mut rng)?;
    println!("send the browser to  {url}");

    // What is remembered is data: it may go into a session, and come back in another process.
    let session = serde_json::to_string(&pending)?;
    println!("keep for its return  {} bytes, under its state", session.len());

    // It returns.
    let query = format!("code=SplxlOBeZQQYbYS6WxSbIA&state={}", pending.state());
    let callback = Callback::parse(&query)?;
    let pending: Pending = serde_json::from_str(&session)?;
    let grant = pending.accept(callback)?;

    // The loop.
    let mut exchange = client.exchange(grant);
    let tokens = loop {
        let request = exchange.next_request(SystemTime::now().into(), &mut rng)?;
        println!("send                 {} {} {:?}", request.method(), request.uri(), request.body());
        match exchange.handle_response(send(request))? {
            Step::Again { after } => std::thread::sleep(after),
            Step::Done(tokens) => break tokens,
        }
    };
    println!("got                  {tokens:?}");
    Ok(())
}

/// The network, played.
fn send(_: http::Request<Body>) -> http::Response<Vec<u8>> {
    let body = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600}"#;
    http::Response::new(body.as_bytes().to_vec())
}
