//! What the tests share: octets in place of entropy, one client at one server, and the forms in which a secret leaks.
#![allow(dead_code)] // each test file uses a part

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{Response, StatusCode};
use proofkey_core::rand_core::{TryCryptoRng, TryRng};
use proofkey_core::{
    Authentication, Body, Callback, Client, CodeGrant, Error, Exchange, Server, Step, Tokens, UnixTime,
};

/// 2026-01-01T00:00:00Z, when every login in the tests begins.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

/// RFC 7636 appendix B.
pub(crate) const APPENDIX_B: [u8; 32] = [
    116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240,
    91, 88, 5, 88, 83, 132, 141, 121,
];
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What 32 zero octets are in base64url: the state that [`Octets`] gives behind appendix B's verifier.
pub(crate) const STATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";
pub(crate) const REDIRECT_URI: &str = "https://client.example.com/cb";

/// A generator that yields the octets it was given, then zeros, and counts them.
pub(crate) struct Octets {
    given: Vec<u8>,
    pub(crate) drawn: usize,
}

impl Octets {
    pub(crate) fn new(given: impl Into<Vec<u8>>) -> Self {
        Self { given: given.into(), drawn: 0 }
    }

    pub(crate) fn appendix_b() -> Self {
        Self::new(APPENDIX_B)
    }
}

impl TryRng for Octets {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word).map(|()| u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word).map(|()| u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        for octet in to {
            *octet = self.given.get(self.drawn).copied().unwrap_or(0);
            self.drawn += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Octets {}

pub(crate) fn server() -> Server {
    Server::new("https://as.example.com/authorize", "https://as.example.com/token")
}

/// A public client.
pub(crate) fn client() -> Client {
    Client::builder(server(), "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().expect("a client")
}

/// A client with a secret, or without, at a server with every endpoint.
pub(crate) fn client_at_all_endpoints(authentication: Authentication) -> Client {
    let mut server = server();
    server.revocation_endpoint = Some("https://as.example.com/revoke".to_owned());
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    let builder = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI);
    builder.authentication(authentication).build().expect("a client")
}

/// Tokens as a store has them: an access token and these members.
pub(crate) fn stored(members: &str) -> Tokens {
    let json = format!(r#"{{"access_token":"mF_9.B5f-4.1JqM"{members}}}"#);
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The first request of an exchange.
pub(crate) fn request<X: Exchange>(mut exchange: X) -> http::Request<Body> {
    exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request")
}

/// What becomes of an exchange whose only request is answered so.
pub(crate) fn outcome<X: Exchange>(
    mut exchange: X,
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Result<X::Output, Error> {
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b())?;
    match exchange.handle_response(response(status, headers, body))? {
        Step::Done(output) => Ok(output),
        Step::Again { .. } => panic!("one answer is enough"),
    }
}

/// The grant of a login of this client's that came back with [`CODE`].
pub(crate) fn grant(client: &Client) -> CodeGrant {
    let (_, pending) = client.authorize().scope(["photos"]).redirect(NOW, &mut Octets::appendix_b()).expect("a URL");
    let callback = Callback::parse(&format!("code={CODE}&state={STATE}")).expect("a callback");
    pending.accept(callback).expect("a grant")
}

/// The token request of a login of this client's.
pub(crate) fn token_request(client: &Client) -> http::Request<Body> {
    client.exchange(grant(client)).next_request(NOW, &mut Octets::appendix_b()).expect("a request")
}

/// The pairs of a form or a query, read by another decoder than the library's.
pub(crate) fn pairs(form: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form).into_owned().collect()
}

/// All values of this name in a form or a query.
pub(crate) fn values(form: impl AsRef<[u8]>, name: &str) -> Vec<String> {
    pairs(form.as_ref()).into_iter().filter(|(found, _)| found == name).map(|(_, value)| value).collect()
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a header's name");
        response.headers_mut().append(name, value.parse().expect("a header's value"));
    }
    response
}

/// What becomes of this client's login for `photos` when its token request is answered so.
pub(crate) fn answered(
    client: &Client,
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Result<Tokens, Error> {
    let mut exchange = client.exchange(grant(client));
    let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).expect("a request");
    match exchange.handle_response(response(status, headers, body))? {
        Step::Done(tokens) => Ok(tokens),
        Step::Again { .. } => panic!("one answer ends a code exchange"),
    }
}

/// The forms in which a secret may stand in a text: as it is, percent-encoded, as decimal bytes, in base64. All without
/// white space, and each once.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let decimal: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let mut forms = vec![squeezed(secret), decimal.join(","), percent.clone()];
    forms.extend([
        percent.replace('+', "%20"),
        percent.replace('+', "%20").replace("%7E", "~"),
        percent.to_lowercase(),
    ]);
    // Inside a longer text, base64 begins at one of three places; the ends mix with their neighbours. HTTP Basic encodes what
    // is percent-encoded already.
    let sent = percent.replace('+', "%20").replace("%7E", "~");
    for text in [secret, sent.as_str()] {
        for skipped in 0..3 {
            let inner = text.as_bytes().get(skipped..).unwrap_or_default();
            let whole = inner.get(..inner.len() - inner.len() % 3).unwrap_or_default();
            forms.extend([STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
        }
    }
    forms.push(STANDARD.encode(secret));
    forms.sort();
    forms.dedup();
    forms
}

/// The form in which this text tells the secret, if it does.
pub(crate) fn leak(text: &str, secret: &str) -> Option<String> {
    leaked(text, &forms(secret)).map(str::to_owned)
}

/// The first of these forms that stands in this text.
pub(crate) fn leaked<'a>(text: &str, forms: &'a [String]) -> Option<&'a str> {
    let text = squeezed(text);
    forms.iter().map(String::as_str).find(|form| text.contains(form))
}

/// A text without its white space: `{:#?}` writes one byte a line.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Bytes that mean something to one parser or another.
const ODD: &[u8] = b"\"{}[],:\\\0\xFF0e-.% &=+nt\n";

/// Ways to damage a text, the same in each run: a byte changed, left out, put in, or everything behind it cut off.
pub(crate) fn damaged(text: &str, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let original = text.as_bytes().to_vec();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap_or(0) % below
    };
    (0..count).map(move |_| {
        let mut bytes = original.clone();
        for _ in 0..=draw(3) {
            let (at, odd) = (draw(bytes.len().max(1)), ODD[draw(ODD.len())]);
            match draw(4) {
                0 if at < bytes.len() => bytes[at] = odd,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at, odd),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}
