//! `openidconnect`: on top of `oauth2`, it sends a nonce and reads the claims of the ID token. They are not verified
//! here, because no other column does that.

use std::any::Any;
use std::cell::RefCell;

use http::{Request, Uri, header};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet};
use openidconnect::{
    AccessToken, AuthUrl, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest, IssuerUrl,
    Nonce, OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope, TokenResponse, TokenUrl,
};

use super::oauth2::{Stop, returned};
use super::{Column, bearer_header, resource, resource_uri};
use crate::input;
use crate::world::{End, Tokens, World};

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

pub struct OpenIdConnect {
    client: Client,
    token: AccessToken,
    resource: Uri,
}

impl OpenIdConnect {
    pub fn new() -> Self {
        let issuer = IssuerUrl::new(input::ISSUER.to_owned()).expect("a URL");
        let keys = CoreJsonWebKeySet::new(Vec::new());
        let client = CoreClient::new(ClientId::new(input::CLIENT_ID.to_owned()), issuer, keys)
            .set_client_secret(ClientSecret::new(input::SECRET.to_owned()))
            .set_auth_uri(AuthUrl::new(input::AUTHORIZE.to_owned()).expect("a URL"))
            .set_token_uri(TokenUrl::new(input::TOKEN.to_owned()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(input::REDIRECT_URI.to_owned()).expect("a URL"));
        Self { client, token: AccessToken::new(input::access_token()), resource: resource_uri() }
    }
}

impl Column for OpenIdConnect {
    fn name(&self) -> &'static str {
        "openidconnect"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        // It adds the scope `openid` itself.
        let scopes = input::SCOPES.into_iter().skip(1).map(|scope| Scope::new(scope.to_owned()));
        let (url, state, _nonce) = self
            .client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(scopes)
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
        let id_token = if world.seen.is_some() { tokens.id_token().map(ToString::to_string) } else { None };
        world.read(Tokens {
            access_token: tokens.access_token().secret(),
            refresh_token: tokens.refresh_token().map_or("", |token| token.secret()),
            id_token: id_token.as_deref().unwrap_or_default(),
            scope: &scope,
            expires_in: tokens.expires_in().map_or(0, |lifetime| lifetime.as_secs()),
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        request.headers_mut().insert(header::AUTHORIZATION, bearer_header(self.token.secret()));
        request
    }

    /// As with `oauth2`, and the nonce.
    fn pending(&self) -> Option<(Box<dyn Any>, String)> {
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        let kept = (verifier, CsrfToken::new_random(), Nonce::new_random());
        let stored = serde_json::to_string(&kept).ok()?;
        Some((Box::new(kept), stored))
    }
}
