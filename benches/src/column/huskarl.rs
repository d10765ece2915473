//! `huskarl`, asynchronous only, over an HTTP client that answers at once. Its `complete` would also verify the ID token,
//! which no other column does; so the callback is read by hand, and the code goes to `exchange`.

use std::any::Any;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Uri, header};
use huskarl::core::client_auth::ClientSecret;
use huskarl::core::http::{HttpClient, HttpResponse, Idempotency};
use huskarl::core::platform::MaybeSendBoxFuture;
use huskarl::core::secrets::{ProvidedSecret, SecretString};
use huskarl::core::{EndpointUrl, Error, RetryAdvice};
use huskarl::grant::authorization_code::{AuthorizationCodeGrant, AuthorizationCodeGrantParameters, StartInput};
use huskarl::prelude::*;
use huskarl::token::{AccessToken, BearerAccessToken};

use super::oauth2::{Stop, returned};
use super::{Column, resource, resource_uri};
use crate::input::{self, Answer};
use crate::world::{End, Tokens, World};

pub struct Huskarl {
    grant: AuthorizationCodeGrant,
    line: Line,
    token: AccessToken,
    resource: Uri,
}

/// An HTTP client that answers at once.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Exchanged>>);

#[derive(Default)]
struct Exchanged {
    request: Option<Request<Bytes>>,
    answer: Option<Answer>,
}

impl HttpClient for Line {
    fn execute(&self, request: Request<Bytes>, _: Idempotency) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            let mut line = self.0.lock().expect("one thread");
            line.request = Some(request);
            let answer = line.answer.take().ok_or_else(|| Error::new(RetryAdvice::No, Stop(End::Enough)))?;
            let (head, body) = answer.into_parts();
            Ok(HttpResponse { status: head.status, headers: head.headers, body: body.into() })
        })
    }
}

impl Huskarl {
    pub fn new() -> Self {
        let line = Line::default();
        let endpoint = |text: &str| text.parse::<EndpointUrl>().expect("a URL");
        let secret = ProvidedSecret::new(SecretString::new(input::SECRET));
        let grant = AuthorizationCodeGrant::builder()
            .client_id(input::CLIENT_ID)
            .http_client(line.clone())
            .client_auth(ClientSecret::builder().client_secret(secret).prefer_basic_auth(true).build())
            .issuer(input::ISSUER)
            .token_endpoint(endpoint(input::TOKEN))
            .token_endpoint_auth_methods_supported(vec!["client_secret_basic".to_owned()])
            .authorization_endpoint(endpoint(input::AUTHORIZE))
            .redirect_uri(input::REDIRECT_URI)
            .oidc(false)
            .build();
        let grant = now(grant).expect("a client");
        let token = AccessToken::Bearer(BearerAccessToken::new(input::access_token().into(), SystemTime::now(), None));
        Self { grant, line, token, resource: resource_uri() }
    }
}

impl Column for Huskarl {
    fn name(&self) -> &'static str {
        "huskarl"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let scope = input::SCOPES.map(str::to_owned).to_vec();
        let start = now(self.grant.start(StartInput::scope(scope))).map_err(|_| End::Refused)?;
        // Its URL is an `http::Uri`, and a browser wants text.
        let url = start.authorization_url.to_string();
        let pending = start.pending_state;
        let target = world.visit(&url, &pending.state)?;
        let code = returned(&target, &pending.state)?;
        world.returned(&code)?;
        let parameters = AuthorizationCodeGrantParameters::builder()
            .code(code.into_secret())
            .maybe_pkce_verifier(pending.pkce_verifier)
            .build();
        self.line.0.lock().expect("one thread").answer = world.answer();
        let outcome = now(self.grant.exchange(parameters));
        if let Some(request) = self.line.0.lock().expect("one thread").request.take() {
            world.sent(&request);
        }
        let tokens = match outcome {
            Ok(tokens) => tokens,
            Err(error) => return Err(error.verdict().map_or(End::Refused, |no| world.refused(no.code().as_str()))),
        };
        let raw = tokens.raw_token_response();
        world.read(Tokens {
            access_token: tokens.access_token().token().expose_secret(),
            refresh_token: tokens.refresh_token().map_or("", |token| token.token().expose_secret()),
            id_token: tokens.id_token().map_or("", |token| token.token()),
            scope: raw.scope.as_deref().unwrap_or_default(),
            expires_in: raw.expires_in.unwrap_or_default(),
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        let value = self.token.expose_header_value().expect("a token fits");
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request
    }

    fn pending(&self) -> Option<(Box<dyn Any>, String)> {
        let scope = input::SCOPES.map(str::to_owned).to_vec();
        let pending = now(self.grant.start(StartInput::scope(scope))).ok()?.pending_state;
        let stored = serde_json::to_string(&pending).ok()?;
        Some((Box::new(pending), stored))
    }
}

/// The output of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for nobody"),
    }
}
