//! What every column is given: a confidential client at a server, and what browser and server answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};

pub const ISSUER: &str = "https://as.example.com";
pub const AUTHORIZE: &str = "https://as.example.com/authorize";
pub const TOKEN: &str = "https://as.example.com/token";
pub const REDIRECT_URI: &str = "https://client.example.com/cb";
pub const RESOURCE: &str = "https://api.example.com/photos";
pub const CLIENT_ID: &str = "s6BhdRkqt3";
pub const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw";
pub const SCOPES: [&str; 3] = ["openid", "profile", "photos"];
pub const SCOPE: &str = "openid profile photos";
pub const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";
/// What the browser brings behind the state.
pub const ISS: &str = "&iss=https%3A%2F%2Fas.example.com";

pub type Answer = Response<Vec<u8>>;

/// A token response of 2.4 kB, with an ID token that its claims can be read from.
pub fn tokens() -> Answer {
    answer(StatusCode::OK, &format!("{{{}}}", members()))
}

/// The same with further members behind it, as the text of them.
pub fn tokens_and(more: &str) -> Answer {
    answer(StatusCode::OK, &format!("{{{},{more}}}", members()))
}

pub fn refusal() -> Answer {
    let body = r#"{"error":"invalid_grant","error_description":"The code has expired."}"#;
    answer(StatusCode::BAD_REQUEST, body)
}

pub fn answer(status: StatusCode, body: &str) -> Answer {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body.as_bytes().to_vec()).expect("a response")
}

/// The same answer once more.
pub fn again(answer: &Answer) -> Answer {
    let mut copy = Response::new(answer.body().clone());
    *copy.status_mut() = answer.status();
    copy.headers_mut().clone_from(answer.headers());
    copy
}

pub fn access_token() -> String {
    format!("{}.{}.{}", "h".repeat(100), "p".repeat(700), "s".repeat(86))
}

pub fn refresh_token() -> String {
    "r".repeat(64)
}

pub fn id_token() -> String {
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"248289761001","aud":"{CLIENT_ID}","exp":4102444800,"iat":1767225600,"name":"Jane Doe","picture":"https://client.example.com/{}"}}"#,
        "p".repeat(600)
    );
    let parts = [r#"{"alg":"RS256","kid":"2026-01"}"#, &claims, &"s".repeat(256)];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn members() -> String {
    format!(
        r#""access_token":"{}","token_type":"Bearer","expires_in":3600,"refresh_token":"{}","scope":"{SCOPE}","id_token":"{}""#,
        access_token(),
        refresh_token(),
        id_token()
    )
}
