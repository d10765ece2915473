//! Code written by hand with the usual crates, and no check but that of the state: what the job costs at least, done
//! plainly. Its tokens are borrowed from the answer.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use super::{Column, bearer_header, resource, resource_uri};
use crate::input;
use crate::world::{End, Tokens, World};

pub struct Floor {
    authorize: Url,
    token: Uri,
    credentials: HeaderValue,
    bearer: HeaderValue,
    resource: Uri,
}

#[derive(Deserialize)]
struct Answer<'a> {
    access_token: &'a str,
    #[expect(dead_code, reason = "it must be there")]
    token_type: &'a str,
    expires_in: u64,
    refresh_token: &'a str,
    scope: &'a str,
    id_token: &'a str,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    error: &'a str,
}

impl Floor {
    pub fn new() -> Self {
        let pair = format!("{}:{}", input::CLIENT_ID, input::SECRET);
        Self {
            authorize: Url::parse(input::AUTHORIZE).expect("a URL"),
            token: Uri::from_static(input::TOKEN),
            credentials: format!("Basic {}", STANDARD.encode(pair)).parse().expect("ASCII"),
            bearer: bearer_header(&input::access_token()),
            resource: resource_uri(),
        }
    }
}

impl Column for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let mut octets = [0; 64];
        getrandom::fill(&mut octets).map_err(|_| End::Refused)?;
        let (verifier, state) = (base64url::<43>(&octets[..32]), base64url::<43>(&octets[32..]));
        let challenge = base64url::<43>(&Sha256::digest(verifier));
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", input::CLIENT_ID)
            .append_pair("redirect_uri", input::REDIRECT_URI)
            .append_pair("scope", input::SCOPE)
            .append_pair("state", text(&state))
            .append_pair("code_challenge", text(&challenge))
            .append_pair("code_challenge_method", "S256");
        let target = world.visit(url.as_str(), text(&state))?;

        let query = target.split_once('?').map_or("", |(_, query)| query);
        let (mut code, mut returned) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "code" => code = Some(value),
                "state" => returned = Some(value),
                _ => {}
            }
        }
        let code = code.filter(|_| returned.as_deref() == Some(text(&state))).ok_or(End::Refused)?;
        world.returned(&code)?;

        let mut body = form_urlencoded::Serializer::new(String::with_capacity(512));
        body.append_pair("grant_type", "authorization_code")
            .append_pair("code", &code)
            .append_pair("redirect_uri", input::REDIRECT_URI)
            .append_pair("code_verifier", text(&verifier));
        let request = post(&self.token, &self.credentials, body.finish().into_bytes());
        let answer = world.send(&request)?;

        if answer.status() != StatusCode::OK {
            let refusal: Refusal = serde_json::from_slice(answer.body()).map_err(|_| End::Refused)?;
            return Err(world.refused(refusal.error));
        }
        let read: Answer = serde_json::from_slice(answer.body()).map_err(|_| End::Refused)?;
        let expires_at = SystemTime::now() + Duration::from_secs(read.expires_in);
        std::hint::black_box(expires_at);
        world.read(Tokens {
            access_token: read.access_token,
            refresh_token: read.refresh_token,
            id_token: read.id_token,
            scope: read.scope,
            expires_in: read.expires_in,
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        request.headers_mut().insert(header::AUTHORIZATION, self.bearer.clone());
        request
    }
}

pub(super) fn post(target: &Uri, credentials: &HeaderValue, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::AUTHORIZATION, credentials.clone());
    request
}

pub(super) fn base64url<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut encoded = [0; N];
    let length = URL_SAFE_NO_PAD.encode_slice(octets, &mut encoded).expect("it fits");
    assert_eq!(length, N);
    encoded
}

pub(super) fn text(ascii: &[u8]) -> &str {
    str::from_utf8(ascii).unwrap_or_default()
}
