//! What the tests of metadata share: one server's document, and a walk through the places for it.
#![allow(dead_code)] // each test file uses a part

use http::{Method, Response};
use proofkey_core::{Discovery, Error, Exchange, Server, Step};
use serde_json::{Value, json};

use crate::support::{NOW, Octets, response};

pub(crate) const ISSUER: &str = "https://as.example.com";
pub(crate) const RESOURCE: &str = "https://rs.example.com/mcp";
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The document of the server at [`ISSUER`].
pub(crate) fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example.com/authorize",
        "token_endpoint": "https://as.example.com/token",
        "pushed_authorization_request_endpoint": "https://as.example.com/par",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// The same with one member changed; left out where `value` is null, so write null by hand.
pub(crate) fn metadata_with(name: &str, value: Value) -> Value {
    let mut document = metadata();
    let members = document.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    document
}

/// The document of the resource at [`RESOURCE`].
pub(crate) fn resource_metadata() -> Value {
    json!({ "resource": RESOURCE, "authorization_servers": [ISSUER], "scopes_supported": ["tools", "admin"] })
}

pub(crate) fn found(document: &Value) -> Response<Vec<u8>> {
    response(200, &[JSON], document.to_string())
}

pub(crate) fn missing() -> Response<Vec<u8>> {
    response(404, &[("Content-Type", "text/html")], "<h1>Not Found</h1>")
}

/// Where an exchange asked, and what became of it.
#[derive(Debug)]
pub(crate) struct Walk<T> {
    pub(crate) asked: Vec<String>,
    pub(crate) result: Result<T, Error>,
}

impl<T: std::fmt::Debug> Walk<T> {
    /// What it says when it is refused.
    pub(crate) fn refusal(self) -> String {
        self.result.expect_err("a refusal").to_string()
    }
}

/// Gives these answers to an exchange that fetches documents. All of them must be asked for, and no more.
pub(crate) fn walk<X: Exchange>(
    mut exchange: X,
    answers: impl IntoIterator<Item = Response<Vec<u8>>>,
) -> Walk<X::Output> {
    let mut answers = answers.into_iter();
    let mut asked = Vec::new();
    let result = loop {
        let request = match exchange.next_request(NOW, &mut Octets::new([])) {
            Ok(request) => request,
            Err(error) => break Err(error),
        };
        assert_eq!(request.method(), Method::GET);
        assert!(request.body().as_ref().is_empty());
        asked.push(request.uri().to_string());
        let answer = answers.next().unwrap_or_else(|| panic!("nobody expected a request to {}", request.uri()));
        match exchange.handle_response(answer) {
            Ok(Step::Again { after }) => assert!(after.is_zero()),
            Ok(Step::Done(output)) => break Ok(output),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(answers.count(), 0, "answers that nobody asked for");
    Walk { asked, result }
}

/// What becomes of a discovery of [`ISSUER`] whose first answer is this document.
pub(crate) fn told(document: &Value) -> Result<Server, Error> {
    walk(Discovery::new(ISSUER), [found(document)]).result
}
