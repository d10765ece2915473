//! The columns of the table: each a client that can log in, and use what it got.

mod floor;
mod huskarl;
mod oauth2;
mod openidconnect;
mod proofkey;
mod shaped;

use std::any::Any;

use http::{HeaderValue, Request, Uri};

use crate::input;
use crate::world::{End, World};

pub trait Column {
    fn name(&self) -> &'static str;

    /// A whole login: begin, callback, token request, token response.
    fn login(&self, world: &mut World) -> Result<(), End>;

    /// A request to a resource with the access token on it.
    fn bearer(&self) -> Request<Vec<u8>>;

    /// A login under way, as it is kept and as it is stored; `None` where the caller has to make that up.
    fn pending(&self) -> Option<(Box<dyn Any>, String)> {
        None
    }

    /// Whether it refuses a repeated parameter, a repeated member and another issuer, as a library should.
    fn is_strict(&self) -> bool {
        false
    }
}

pub fn all() -> Vec<Box<dyn Column>> {
    vec![
        Box::new(proofkey::Proofkey::new()),
        Box::new(oauth2::OAuth2::new()),
        Box::new(openidconnect::OpenIdConnect::new()),
        Box::new(huskarl::Huskarl::new()),
        Box::new(floor::Floor::new()),
        Box::new(shaped::Shaped::new()),
    ]
}

/// A request that has no token yet.
fn resource(uri: &Uri) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = uri.clone();
    request
}

fn resource_uri() -> Uri {
    Uri::from_static(input::RESOURCE)
}

/// As code does that has the token as text.
fn bearer_header(token: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token fits");
    value.set_sensitive(true);
    value
}
