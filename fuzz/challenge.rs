//! Whatever a resource asks for in `WWW-Authenticate`: believed only where it stands by the grammar.
#![no_main]

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use proofkey_core::{BearerChallenge, Challenge, ErrorCode, Session};

fuzz_target!(|input: &[u8]| {
    let values: Vec<_> =
        input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let read = |values: &[HeaderValue]| -> (HeaderMap, Vec<Challenge>) {
        let headers: HeaderMap = values.iter().map(|value| (WWW_AUTHENTICATE, value.clone())).collect();
        let all = Challenge::all(&headers);
        (headers, all)
    };
    let (headers, all) = read(&values);
    assert!(all.len() <= input.len());
    for challenge in &all {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!challenge.scheme().is_empty() && challenge.scheme().bytes().all(is_token));
        assert_eq!(challenge.scheme().to_ascii_lowercase(), challenge.scheme());
    }

    // One header changes nothing of the others.
    let basic = HeaderValue::from_static("Basic realm=\"x\"");
    let around: Vec<_> = [&[basic.clone()], &values[..], &[basic]].concat();
    let (_, wrapped) = read(&around);
    assert_eq!(wrapped.get(1..wrapped.len() - 1), Some(&all[..]));

    // A word inside a description is not a parameter, whatever it looks like.
    for value in &values {
        let Ok(text) = value.to_str() else { continue };
        let quoted = format!("Basic realm=\"{}\", Bearer", text.replace('\\', "\\\\").replace('"', "\\\""));
        let (_, inside) = read(&[quoted.parse().expect("a header value still")]);
        let [basic, bearer] = &inside[..] else { panic!("{quoted} has {inside:?}") };
        assert_eq!((basic.param("realm"), bearer.scheme(), bearer.param("error")), (Some(text), "bearer", None));
    }

    let bearer = Challenge::bearer(&headers);
    assert_eq!(bearer.is_some(), all.iter().any(|challenge| challenge.scheme() == "bearer"));
    let is_rejection = |status| {
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        Session::is_rejection(&response)
    };
    let is_invalid = bearer.as_ref().is_some_and(|bearer| bearer.error == Some(ErrorCode::INVALID_TOKEN));
    assert_eq!(is_rejection(StatusCode::UNAUTHORIZED), is_invalid);
    assert!(!is_rejection(StatusCode::FORBIDDEN));

    // Written again in the plainest way, it says the same.
    if let Some(bearer) = bearer {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_bytes(write(&bearer).as_bytes()).expect("a header value"));
        assert_eq!(Challenge::bearer(&headers), Some(bearer));
    }
});

fn write(bearer: &BearerChallenge) -> String {
    let parameters = [
        ("error", bearer.error.as_ref().map(|error| error.as_str().to_owned())),
        ("error_description", bearer.error_description.clone()),
        ("scope", bearer.scope.as_ref().map(|scope| scope.as_str().to_owned())),
        ("realm", bearer.realm.clone()),
        ("resource_metadata", bearer.resource_metadata.clone()),
        ("acr_values", bearer.acr_values.clone()),
        ("max_age", bearer.max_age.map(|age| age.as_secs().to_string())),
    ];
    let written = parameters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?.replace('\\', "\\\\").replace('"', "\\\""))));
    format!("Bearer {}", written.collect::<Vec<_>>().join(", "))
}
