//! The chain that an MCP client walks: from a call that is refused to one that is answered, knowing nothing but a URL.
//!
//! `cargo run --features blocking --example mcp` starts a resource and its authorization server, and plays the person at
//! the browser. With the URL of a real resource it walks to the server's metadata, and with a client id behind it to the
//! login's URL.

use std::env;
use std::error::Error;

use http::{Request, Response};
use proofkey::blocking::{Transport, ureq};
use proofkey::{Callback, Challenge, Client, ResourceDiscovery, Scope};
use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (url, id) = (arguments.next(), arguments.next());
    let own = match url {
        None => Some(TestServer::builder().require_resource_indicator().start()?),
        Some(_) => None,
    };
    let url = url.or(own.as_ref().map(TestServer::resource)).unwrap_or_default();
    let http = Transport::new()?;

    // The call that one wants to make, by one's own HTTP client and without a token.
    let refused = call_without_token(&url)?;
    println!("1. called      {url} without a token: {}", refused.status());
    let challenge = Challenge::bearer(refused.headers()).unwrap_or_default();
    let place = challenge.resource_metadata.as_deref().unwrap_or("its well-known place");
    println!("2. challenged  the resource describes itself at {place}");

    // What the resource says of itself, and then what its authorization server says of itself (RFC 9728, RFC 8414).
    let known = http.run(ResourceDiscovery::from_challenge(&url, &challenge))?;
    println!("3. discovered  {} is served by {}", known.resource, known.server.issuer.as_deref().unwrap_or_default());

    let Some(id) = id.or(own.as_ref().map(|_| RegisteredClient::PUBLIC.id.to_owned())) else {
        println!("   A client id as the second argument goes on from here.");
        return Ok(());
    };
    // MCP: "MCP clients MUST verify PKCE support before proceeding with authorization".
    let client =
        Client::builder(known.server, id).redirect_uri(redirect_uri(8917)).require_advertised_s256().build()?;
    // The scope is what the challenge asks for, if it does; the resource is named in each request (RFC 8707).
    let scope = challenge.scope.iter().flat_map(Scope::iter);
    let (login, pending) = http.start(client.authorize().scope(scope).resource(&known.resource))?;
    println!("4. leaving     {login}");

    let Some(own) = own else {
        println!("   A browser that opens it comes back to {}, where nobody listens.", pending.redirect_uri());
        return Ok(());
    };
    let returned = own.person().allow(login.as_str());
    let grant = pending.accept(Callback::parse(&returned)?)?;
    println!("5. returned    with a code; state and issuer are this login's");
    let tokens = http.run(client.exchange(grant))?;
    println!("6. exchanged   the code for a token that is for {} only", known.resource);

    let answer = http.run(client.call(&tokens, Request::get(&url).body(())?))?;
    println!("7. called      {url} again: {} {}", answer.status(), String::from_utf8_lossy(answer.body()));
    if answer.status().is_success() { Ok(()) } else { Err("the token was refused".into()) }
}

fn call_without_token(url: &str) -> Result<Response<ureq::Body>, ureq::Error> {
    // A refusal is an answer here, and a redirect is nobody's challenge.
    ureq::get(url).config().http_status_as_error(false).max_redirects(0).proxy(None).build().call()
}
