//! What the targets share: a world to disturb, and what must hold in it whatever comes in. The checks are written again,
//! over other parsers than the library's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::{self, Debug, Display};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use memchr::memmem;
use proofkey_core::rand_core::{TryCryptoRng, TryRng};
use proofkey_core::{
    Authentication, Body, Callback, Client, CodeExchange, Error, Exchange, Pending, Quirks, Server, UnixTime, Usage,
};
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

pub const ISSUER: &str = "https://as.example.com";
pub const ORIGIN: &str = "https://as.example.com";
pub const REDIRECT_URI: &str = "https://client.example.org/cb";
pub const CLIENT_ID: &str = "s6BhdRkqt3";
pub const CLIENT_SECRET: &str = "Canary secret/of+the=client";
pub const CODE: &str = "Canary/code+of~the=login";
pub const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

/// A server with every endpoint, which promises `iss`.
pub fn server() -> Server {
    let mut server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    server.issuer = Some(ISSUER.to_owned());
    server.authorization_response_iss_parameter_supported = true;
    server.revocation_endpoint = Some("https://as.example.com/revoke".to_owned());
    server.introspection_endpoint = Some("https://as.example.com/introspect".to_owned());
    server.device_authorization_endpoint = Some("https://as.example.com/device_authorization".to_owned());
    server.pushed_authorization_request_endpoint = Some("https://as.example.com/par".to_owned());
    server
}

pub fn client(server: Server, authentication: Authentication, quirks: Quirks) -> Client {
    let builder = Client::builder(server, CLIENT_ID).redirect_uri(REDIRECT_URI);
    builder.authentication(authentication).quirks(quirks).build().expect("the fixture is valid")
}

/// What a client may look like: public and strict, with a secret in either place, forgiving whatever there is to forgive.
pub fn clients() -> &'static [Client; 3] {
    static CLIENTS: LazyLock<[Client; 3]> = LazyLock::new(make);
    &CLIENTS
}

fn make() -> [Client; 3] {
    let forgiving = Quirks::none()
        .token_type_missing()
        .token_response_form_encoded()
        .success_of_any_kind()
        .iss_missing_on_errors()
        .scope_separated_by_commas();
    [
        client(server(), Authentication::none(), Quirks::none()),
        client(server(), Authentication::basic(CLIENT_SECRET), Quirks::none()),
        client(server(), Authentication::post(CLIENT_SECRET), forgiving),
    ]
}

pub fn login(client: &Client) -> Pending {
    client.authorize().scope(["read"]).redirect(NOW, &mut Counting(0)).expect("the fixture is valid").1
}

/// A login that came back with [`CODE`].
pub fn exchange(client: &Client) -> CodeExchange {
    let pending = login(client);
    let code = encode(CODE);
    let query = format!("code={code}&state={}&iss={}", pending.state(), encode(ISSUER));
    let callback = Callback::parse(&query).expect("the fixture is valid");
    client.exchange(pending.accept(callback).expect("the fixture is valid"))
}

/// A member of what is stored, a verifier say.
pub fn stored(record: &impl serde::Serialize, name: &str) -> String {
    let value = serde_json::to_value(record).expect("it can be stored");
    value[name].as_str().unwrap_or_default().to_owned()
}

pub fn response(
    status: StatusCode,
    headers: &[(HeaderName, HeaderValue)],
    body: impl Into<Vec<u8>>,
) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// A generator whose octets do not repeat, the same in each run, so that inputs reproduce.
pub struct Counting(pub u64);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word).map(|()| u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word).map(|()| u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&Sha256::digest(self.0.to_le_bytes())[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

/// RFC 7636 section 4.2.
pub fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub fn pairs(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

/// All values of this name.
pub fn all(form: &str, name: &str) -> Vec<String> {
    pairs(form).into_iter().filter(|(found, _)| found == name).map(|(_, value)| value).collect()
}

/// The members of a JSON object as they stand, repeated ones included; `None` if it is not exactly one.
pub fn members(json: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let members = serde::Deserializer::deserialize_map(&mut deserializer, Members).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

/// The value of a member that stands at most once and is neither null nor empty.
pub fn member(members: &[(String, Box<RawValue>)], name: &str) -> Option<Value> {
    let mut found = members.iter().filter(|(own, _)| own == name);
    let (value, again) = (found.next(), found.next());
    assert!(again.is_none(), "{name} stands twice");
    let value = serde_json::from_str(value?.1.get()).ok()?;
    (value != Value::Null && value != "").then_some(value)
}

/// Whether a person, a code or a token may be sent there: `https`, a host, nothing that two parsers read differently.
pub fn is_safe(text: &str) -> bool {
    let (Ok(url), Ok(uri)) = (url::Url::parse(text), text.parse::<Uri>()) else { return false };
    let is_https =
        url.scheme() == "https" && uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let same_host = url.host_str().zip(uri.host()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#<>\"'`{}|^".contains(&byte));
    let no_user = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    is_https && same_host && is_plain && no_user
}

/// Whether the host is this machine, as far as its text tells.
pub fn is_this_machine(text: &str) -> bool {
    match url::Url::parse(text).expect("it was vetted").host().expect("it was vetted") {
        url::Host::Domain(name) => name.trim_end_matches('.').rsplit('.').next() == Some("localhost"),
        url::Host::Ipv4(ip) => ip.octets()[0] == 127 || ip.is_unspecified(),
        url::Host::Ipv6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.octets()[0] == 127 || ip.is_unspecified(),
            None => ip.is_loopback() || ip.is_unspecified(),
        },
    }
}

/// Whether it is that or a host that only this machine's network knows.
pub fn is_private(text: &str) -> bool {
    is_this_machine(text)
        || match url::Url::parse(text).expect("it was vetted").host().expect("it was vetted") {
            url::Host::Domain(_) => false,
            url::Host::Ipv4(ip) => ip.is_private() || ip.is_link_local() || ip.is_broadcast(),
            url::Host::Ipv6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some(),
        }
}

/// The forms in which a secret may stand in a text: as it is, percent-encoded, as decimal bytes, in base64.
fn forms(secret: &str) -> Vec<String> {
    let percent = encode(secret);
    let decimal: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let spaced = percent.replace('+', "%20");
    let mut forms = vec![secret.to_owned(), decimal.join(", "), spaced.replace("%7E", "~"), spaced, percent];
    for skipped in 0..3 {
        let inner = &secret.as_bytes()[skipped..];
        let whole = &inner[..inner.len() - inner.len() % 3];
        forms.extend([STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
    }
    forms.push(STANDARD.encode(secret));
    forms
}

/// No secret stands in this text, in any form. What is too short to be told from a word is not looked for.
pub fn assert_silent<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) {
    thread_local!(static FORMS: RefCell<HashMap<String, Vec<String>>> = RefCell::default());
    FORMS.with_borrow_mut(|known| {
        if known.len() > 1000 {
            known.clear();
        }
        for secret in secrets.into_iter().filter(|secret| secret.len() >= 8) {
            for form in known.entry(secret.to_owned()).or_insert_with(|| forms(secret)) {
                assert!(
                    memmem::find(text.as_bytes(), form.as_bytes()).is_none(),
                    "prints {secret:?} as {form:?}: {text}"
                );
            }
        }
    });
}

/// Whatever can be printed of an error.
pub fn told(error: &Error) -> String {
    fn both(value: &(impl Debug + Display)) -> String {
        format!("{value} {value:?}")
    }
    format!("{} {:?}", both(error), error.remedy())
}

/// The secrets in a request that cannot stand anywhere else by chance: canaries, states and verifiers.
pub fn secrets(request: &Request<Body>) -> Vec<String> {
    let form = body(request);
    let canaries = ["code", "refresh_token", "token", "client_secret"].into_iter().flat_map(|name| all(&form, name));
    let mut secrets: Vec<String> = canaries.filter(|secret| secret.contains("anary")).collect();
    let random = ["state", "code_verifier"].into_iter().flat_map(|name| all(&form, name));
    secrets.extend(random.filter(|secret| secret.len() == 43 && !secret.contains(':')));
    secrets.extend(request.headers().get(AUTHORIZATION).and_then(|value| {
        let (_, credentials) = value.to_str().expect("a header of ours is ASCII").split_once(' ')?;
        let pair = STANDARD.decode(credentials).unwrap_or_default();
        let is_canary = credentials.contains("anary") || String::from_utf8_lossy(&pair).contains("anary");
        is_canary.then(|| credentials.to_owned())
    }));
    secrets
}

pub fn body(request: &Request<Body>) -> String {
    String::from_utf8(request.body().as_ref().to_vec()).expect("a form is text")
}

/// What holds for every request of the protocol: it goes to a known place over `https`, says each thing once, keeps its
/// secrets out of its address and out of whatever is printed of it.
pub fn assert_request(request: &Request<Body>, origins: &[&str]) {
    let uri = request.uri().to_string();
    let origin = url::Url::parse(&uri).expect("a URL").origin().ascii_serialization();
    assert!(origins.contains(&origin.as_str()), "a request goes to {origin}");
    if request.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/x-www-form-urlencoded") {
        assert_once(&body(request));
    }
    if let Some(credentials) = request.headers().get(AUTHORIZATION) {
        assert!(credentials.is_sensitive());
    }
    let secrets = secrets(request);
    let secrets = || secrets.iter().map(String::as_str);
    assert_silent(&uri, secrets());
    assert_silent(&format!("{request:?}"), secrets());
}

/// RFC 6749 section 3.1: parameters "MUST NOT be included more than once"; RFC 8707 section 2 has its own way.
pub fn assert_once(form: &str) {
    let mut names: Vec<String> =
        pairs(form).into_iter().map(|(name, _)| name).filter(|name| name != "resource").collect();
    names.sort();
    for pair in names.windows(2) {
        assert!(pair[0] != pair[1], "{:?} stands twice in {form}", pair[0]);
    }
}

/// Whatever is asked of it, an exchange that is over says so.
pub fn assert_over<X: Exchange>(exchange: &mut X) {
    let asked = exchange.next_request(NOW, &mut Counting(0));
    assert!(matches!(asked, Err(Error::Usage(Usage::OutOfTurn))));
    let told = exchange.handle_response(Response::new(b"{\"access_token\":\"a\",\"token_type\":\"Bearer\"}".to_vec()));
    assert!(matches!(told, Err(Error::Usage(Usage::OutOfTurn))));
}
