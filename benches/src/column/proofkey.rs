//! Proofkey, as its README says.

use std::any::Any;
use std::time::SystemTime;

use getrandom::SysRng;
use http::Request;
use http::Uri;
use proofkey::{Authentication, Callback, Client, Error, Exchange, Server, Step, UnixTime};
use rand_core::UnwrapErr;

use super::{Column, resource, resource_uri};
use crate::input;
use crate::world::{End, Tokens, World};

pub struct Proofkey {
    client: Client,
    tokens: proofkey::Tokens,
    resource: Uri,
}

impl Proofkey {
    pub fn new() -> Self {
        let mut server = Server::new(input::AUTHORIZE, input::TOKEN);
        server.issuer = Some(input::ISSUER.to_owned());
        let client = Client::builder(server, input::CLIENT_ID)
            .redirect_uri(input::REDIRECT_URI)
            .authentication(Authentication::basic(input::SECRET))
            .build()
            .expect("a client");
        let tokens = serde_json::from_slice(input::tokens().body()).expect("tokens");
        Self { client, tokens, resource: resource_uri() }
    }
}

impl Column for Proofkey {
    fn name(&self) -> &'static str {
        "proofkey"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let mut rng = UnwrapErr(SysRng);
        let (url, pending) =
            self.client.authorize().scope(input::SCOPES).redirect(now(), &mut rng).map_err(|_| End::Refused)?;
        let target = world.visit(url.as_str(), pending.state())?;
        let callback = Callback::parse(&target).map_err(|_| End::Refused)?;
        let grant = pending.accept(callback).map_err(|error| refused(world, &error))?;
        world.returned(&grant)?;
        let mut exchange = self.client.exchange(grant);
        let answer = world.send(&exchange.next_request(now(), &mut rng).map_err(|_| End::Refused)?)?;
        let tokens = match exchange.handle_response(answer) {
            Ok(Step::Done(tokens)) => tokens,
            Ok(Step::Again { .. }) => return Err(End::Refused),
            Err(error) => return Err(refused(world, &error)),
        };
        world.read(Tokens {
            access_token: tokens.access_token().expose(),
            refresh_token: tokens.refresh_token().map_or("", |token| token.expose()),
            id_token: tokens.id_token().map_or("", |token| token.expose()),
            scope: tokens.scope().map_or("", |scope| scope.as_str()),
            expires_in: tokens.expires_at().map_or(0, |at| at.saturating_since(now()).as_secs()),
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        self.tokens.authorize(&mut request).expect("a request to https");
        request
    }

    fn pending(&self) -> Option<(Box<dyn Any>, String)> {
        let login = self.client.authorize().scope(input::SCOPES);
        let (_, pending) = login.redirect(now(), &mut UnwrapErr(SysRng)).ok()?;
        let stored = serde_json::to_string(&pending).ok()?;
        Some((Box::new(pending), stored))
    }

    fn is_strict(&self) -> bool {
        true
    }
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

fn refused(world: &mut World, error: &Error) -> End {
    match error {
        Error::Server(error) => world.refused(error.code.as_str()),
        _ => End::Refused,
    }
}
