//! Code written by hand with a library's duties, for this one case: it owns its token, wipes secrets, compares `iss`,
//! refuses repeated parameters and members, draws entropy once, keeps what is constant prepared, and reads JSON without a
//! tree. What it lacks is every choice: other scopes or methods, resources, errors that say why, escaped strings.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::floor::{base64url, text};
use super::{Column, bearer_header, resource, resource_uri};
use crate::input;
use crate::world::{End, World};

pub struct Shaped {
    /// The authorization URL up to the state, and the body up to the code.
    url: String,
    body: String,
    token: Uri,
    credentials: HeaderValue,
    bearer: HeaderValue,
    resource: Uri,
}

/// A login under way.
struct Pending {
    verifier: [u8; 43],
    state: [u8; 43],
}

/// The answer itself, and where its tokens stand.
struct Tokens {
    body: Vec<u8>,
    access_token: Range<usize>,
    refresh_token: Range<usize>,
    id_token: Range<usize>,
    scope: Range<usize>,
    expires_at: SystemTime,
}

impl Shaped {
    pub fn new() -> Self {
        let redirect_uri: String = url::form_urlencoded::byte_serialize(input::REDIRECT_URI.as_bytes()).collect();
        let scope = input::SCOPE.replace(' ', "%20");
        let pair = format!("{}:{}", input::CLIENT_ID, input::SECRET);
        Self {
            url: format!(
                "{}?response_type=code&client_id={}&redirect_uri={redirect_uri}&scope={scope}&code_challenge_method=S256&state=",
                input::AUTHORIZE,
                input::CLIENT_ID
            ),
            body: format!("grant_type=authorization_code&redirect_uri={redirect_uri}&code="),
            token: Uri::from_static(input::TOKEN),
            credentials: format!("Basic {}", STANDARD.encode(pair)).parse().expect("ASCII"),
            bearer: bearer_header(&input::access_token()),
            resource: resource_uri(),
        }
    }

    fn begin(&self) -> Result<(String, Pending), End> {
        let mut octets = [0; 64];
        getrandom::fill(&mut octets).map_err(|_| End::Refused)?;
        let (first, second) = octets.split_at(32);
        let pending = Pending { verifier: base64url(first), state: base64url(second) };
        octets.as_mut_slice().zeroize();
        let challenge = base64url::<43>(&Sha256::digest(pending.verifier));
        let mut url = String::with_capacity(self.url.len() + 128);
        for part in [&self.url, text(&pending.state), "&code_challenge=", text(&challenge)] {
            url.push_str(part);
        }
        Ok((url, pending))
    }

    /// The code, if the callback belongs to the login.
    fn accept<'a>(&self, pending: &Pending, target: &'a str) -> Result<&'a str, End> {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let (mut code, mut state, mut issuer) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "code" => &mut code,
                "state" => &mut state,
                "iss" => &mut issuer,
                "error" => return Err(End::Refused),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(End::Refused);
            }
        }
        let same = |a: &[u8], b: &[u8]| a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        if !state.is_some_and(|state| same(state.as_bytes(), &pending.state)) {
            return Err(End::Refused);
        }
        if issuer.is_some_and(|issuer| !decoded(issuer).eq(input::ISSUER.bytes())) {
            return Err(End::Refused);
        }
        // A code that needs decoding would be decoded here, and encoded again below.
        code.filter(|code| !code.is_empty() && !code.contains(['%', '+'])).ok_or(End::Refused)
    }

    fn request(&self, pending: &Pending, code: &str) -> Request<Vec<u8>> {
        let mut body = Vec::with_capacity(self.body.len() + code.len() + 64);
        for part in [&self.body, code, "&code_verifier=", text(&pending.verifier)] {
            body.extend_from_slice(part.as_bytes());
        }
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, self.credentials.clone());
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.token.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl Column for Shaped {
    fn name(&self) -> &'static str {
        "shaped"
    }

    fn login(&self, world: &mut World) -> Result<(), End> {
        let (url, pending) = self.begin()?;
        let target = world.visit(&url, text(&pending.state))?;
        let code = self.accept(&pending, &target)?.to_owned();
        world.returned(&code)?;
        let mut request = self.request(&pending, &code);
        let answer = world.send(&request);
        request.body_mut().as_mut_slice().zeroize();
        let asked = SystemTime::now();
        let answer = answer?;
        if answer.status() != StatusCode::OK {
            let members: Members = serde_json::from_slice(answer.body()).map_err(|_| End::Refused)?;
            return Err(world.refused(members.error.unwrap_or_default()));
        }
        let tokens = Tokens::read(answer.into_body(), asked).ok_or(End::Refused)?;
        let of = |range: &Range<usize>| text(&tokens.body[range.clone()]);
        world.read(crate::world::Tokens {
            access_token: of(&tokens.access_token),
            refresh_token: of(&tokens.refresh_token),
            id_token: of(&tokens.id_token),
            scope: of(&tokens.scope),
            expires_in: tokens.expires_at.duration_since(asked).map_or(0, |left| left.as_secs()),
        });
        Ok(())
    }

    fn bearer(&self) -> Request<Vec<u8>> {
        let mut request = resource(&self.resource);
        request.headers_mut().insert(header::AUTHORIZATION, self.bearer.clone());
        request
    }

    fn is_strict(&self) -> bool {
        true
    }
}

impl Tokens {
    fn read(body: Vec<u8>, asked: SystemTime) -> Option<Self> {
        let members: Members = serde_json::from_slice(&body).ok()?;
        let is_printable = |token: &str| token.bytes().fold(true, |fits, byte| fits & matches!(byte, b' '..=b'~'));
        let place = |text: Option<&str>| {
            let start = text?.as_ptr() as usize - body.as_ptr() as usize;
            Some(start..start + text?.len())
        };
        let access_token = members.access_token.filter(|token| !token.is_empty() && is_printable(token));
        if members.error.is_some() || !members.token_type?.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let refresh_token = members.refresh_token.filter(|token| is_printable(token));
        let id_token = members.id_token.filter(|token| is_printable(token));
        Some(Self {
            access_token: place(access_token)?,
            refresh_token: place(refresh_token).unwrap_or_default(),
            id_token: place(id_token).unwrap_or_default(),
            scope: place(members.scope).unwrap_or_default(),
            expires_at: asked + Duration::from_secs(members.expires_in.unwrap_or_default()),
            body,
        })
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.body.as_mut_slice().zeroize();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.verifier.as_mut_slice().zeroize();
    }
}

#[derive(Default)]
struct Members<'a> {
    access_token: Option<&'a str>,
    token_type: Option<&'a str>,
    expires_in: Option<u64>,
    refresh_token: Option<&'a str>,
    scope: Option<&'a str>,
    id_token: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<&str>()? {
            let slot = match name {
                "access_token" => &mut members.access_token,
                "token_type" => &mut members.token_type,
                "refresh_token" => &mut members.refresh_token,
                "scope" => &mut members.scope,
                "id_token" => &mut members.id_token,
                "error" => &mut members.error,
                "expires_in" => {
                    if members.expires_in.replace(map.next_value()?).is_some() {
                        return Err(A::Error::custom("repeated"));
                    }
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("repeated"));
            }
        }
        Ok(members)
    }
}

/// The bytes of a form's value.
fn decoded(value: &str) -> impl Iterator<Item = u8> {
    let mut rest = value.bytes();
    std::iter::from_fn(move || {
        Some(match rest.next()? {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        })
    })
}
