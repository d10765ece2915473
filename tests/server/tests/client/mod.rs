//! A client written by hand: what the tests here speak to the server with, so that neither
//! proofkey nor `oauth-as` has a say in what is sent.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};
use serde_json::Value;
use url::Url;

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const PORT: u16 = 8917;
pub(crate) const STATE: &str = "af0i fjs=&ldkj";

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        let json = self.json();
        let text = json[name].as_str();
        text.unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
    }

    /// The status and the `error` member.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.text("error"))
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build().into()
}

fn answered(response: Result<http::Response<ureq::Body>, ureq::Error>) -> Answered {
    let mut response = response.expect("the server answers");
    let challenge = response.headers().get("www-authenticate");
    Answered {
        status: response.status().as_u16(),
        challenge: challenge.map(|c| c.to_str().expect("ASCII").to_owned()),
        body: response.body_mut().read_to_string().expect("text"),
    }
}

pub(crate) fn get(url: &str, bearer: Option<&str>) -> Answered {
    let mut request = agent().get(url);
    if let Some(token) = bearer {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    answered(request.call())
}

pub(crate) fn authorization_url(
    server: &TestServer,
    client: RegisteredClient,
    change: &[(&str, Option<&str>)],
) -> String {
    let redirect_uri = redirect_uri(PORT);
    let mut query = HashMap::from([
        ("response_type", "code"),
        ("client_id", client.id),
        ("redirect_uri", &redirect_uri),
        ("scope", "photos profile"),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    for (name, value) in change {
        match value {
            Some(value) => query.insert(name, value),
            None => query.remove(name),
        };
    }
    Url::parse_with_params(&server.authorization_endpoint(), query).expect("a URL").into()
}

/// The parameters of the query of a URL the browser was sent to.
pub(crate) fn query(url: &str) -> HashMap<String, String> {
    Url::parse(url).expect("a URL").query_pairs().into_owned().collect()
}

/// Posts a form as this client, authenticating in its way.
pub(crate) fn post(url: &str, client: RegisteredClient, form: &[(&str, &str)]) -> Answered {
    let mut form = form.to_vec();
    let mut request = agent().post(url);
    match client.secret {
        Some(secret) if client == RegisteredClient::BASIC => {
            let pair = format!("{}:{}", percent_encode(client.id), percent_encode(secret));
            let credentials = format!("Basic {}", STANDARD.encode(pair));
            request = request.header("authorization", credentials);
        }
        Some(secret) => form.extend([("client_id", client.id), ("client_secret", secret)]),
        None => form.push(("client_id", client.id)),
    }
    answered(request.send_form(form))
}

/// All but RFC 3986's unreserved characters.
fn percent_encode(text: &str) -> String {
    let encode = |b: u8| match b {
        b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(encode).collect::<Vec<_>>().concat()
}

pub(crate) fn code(server: &TestServer, client: RegisteredClient) -> String {
    let location = server.person().allow(&authorization_url(server, client, &[]));
    query(&location)["code"].clone()
}

pub(crate) fn redeem(server: &TestServer, client: RegisteredClient, code: &str, verifier: &str) -> Answered {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect_uri(PORT)),
        ("code_verifier", verifier),
    ];
    post(&server.token_endpoint(), client, &form)
}

pub(crate) fn tokens(server: &TestServer, client: RegisteredClient) -> Answered {
    let tokens = redeem(server, client, &code(server, client), VERIFIER);
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    tokens
}

pub(crate) fn refresh(server: &TestServer, client: RegisteredClient, token: &str) -> Answered {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    post(&server.token_endpoint(), client, &form)
}
