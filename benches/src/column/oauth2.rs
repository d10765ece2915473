//! `oauth2`. Callback and state are the caller's work there, done as its examples do it.

use std::any::Any;
use std::cell::RefCell;

use http::{HeaderValue, Request, Uri, header};
use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use url::Url;

use super::{Column, bearer_header, resource, resource_uri};
use crate::input;
use crate::world::{End, Tokens, World};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

pub struct OAuth2 {
    client: Client,
    token: AccessToken,
    resource: Uri,
}

impl OAuth2 {
    pub fn new() -> Self {
        let client = BasicClient::new(ClientId::new(input::CLIENT_ID.to_owned()))
            .set_client_secret(ClientSecret::new(input::SECRET.to_owned()))
            .set_auth_uri(AuthUrl::new(input::AUTHORIZE.to_owned()).expect("a URL"))
            .set_token_uri(TokenUrl::new(input::TOKEN.to_owned()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(input::REDIRECT_URI.to_owned()).expect("a URL"));
        Self { client, token: AccessToken::new(input::access_token()), resource: resource_uri() }
    }
}

impl Column for OAuth2 {
    fn name(&self) -> &'static str {
        "oauth2"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = self
            .client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(input::SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let target = world.visit(url.as_str(), state.secret())?;
        let code = returned(&target, state.secret())?;
        world.returned(&code)?;
        let world = RefCell::new(world);
        let tokens = self
            .client
            .exchange_code(code)
            .set_pkce_verifier(verifier)
            .request(&|request: HttpRequest| world.borrow_mut().send(&request).map_err(Stop));
        let world = world.into_inner();
        let tokens = match tokens {
            Ok(tokens) => tokens,
            Err(RequestTokenError::ServerResponse(error)) => return Err(world.refused(error.error().as_ref())),
            Err(RequestTokenError::Request(Stop(end))) => return Err(end),
            Err(_) => return Err(End::Refused),
        };
        let scope = tokens
            .scopes()
            .map_or(String::new(), |scopes| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "));
        world.read(Tokens {
            access_token: tokens.access_token().secret(),
            refresh_token: tokens.refresh_token().map_or("", |token| token.secret()),
            // It is none of OAuth's.
            id_token: "",
            scope: &scope,
            expires_in: tokens.expires_in().map_or(0, |lifetime| lifetime.as_secs()),
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        let value: HeaderValue = bearer_header(self.token.secret());
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request
    }

    /// The verifier and the state; issuer, client and time would be the caller's to add.
    fn pending(&self) -> Option<(Box<dyn Any>, String)> {
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        let kept = (verifier, CsrfToken::new_random());
        let stored = serde_json::to_string(&kept).ok()?;
        Some((Box::new(kept), stored))
    }
}

/// What the caller does with a request target: into a URL, look for the pairs, compare the state.
pub(super) fn returned(target: &str, state: &str) -> Result<AuthorizationCode, End> {
    let url = Url::parse(&["https://client.example.com", target].concat()).map_err(|_| End::Refused)?;
    let find = |name: &str| url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
    if find("state").as_deref() != Some(state) {
        return Err(End::Refused);
    }
    Ok(AuthorizationCode::new(find("code").ok_or(End::Refused)?))
}

/// The server was not to be asked.
#[derive(Debug)]
pub(super) struct Stop(pub(super) End);

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("as far as this")
    }
}

impl std::error::Error for Stop {}
