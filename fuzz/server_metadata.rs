//! Whatever a server says of itself, discovered or from a cache: what is taken leads to safe places and nowhere else.
#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use oracle::{
    CLIENT_ID, Counting, ISSUER, NOW, REDIRECT_URI, all, assert_once, assert_over, assert_request, is_private, is_safe,
    is_this_machine, pairs, response, s256, stored,
};
use proofkey_core::{Client, Discovery, Error, Exchange, ResourceDiscovery, Server, Step};

const RESOURCE: &str = "https://api.example.com/photos";

fuzz_target!(|body: &[u8]| {
    if let Some((server, requests)) = drive(Discovery::new(ISSUER), body, 3) {
        assert_eq!(server.issuer.as_deref(), Some(ISSUER));
        assert!(requests.iter().all(|place| place.starts_with("https://as.example.com/")), "{requests:?}");
        for (_, endpoint) in endpoints(&server) {
            assert!(is_safe(endpoint) && !is_this_machine(endpoint), "{endpoint}");
        }
        use_it(server);
    }
    if let Some((resource, requests)) = drive(ResourceDiscovery::new(RESOURCE), body, 4) {
        assert_eq!(resource.resource, RESOURCE);
        assert!(requests.iter().all(|place| is_safe(place) && !is_private(place)), "{requests:?}");
        for (_, endpoint) in endpoints(&resource.server) {
            assert!(is_safe(endpoint) && !is_private(endpoint), "{endpoint}");
        }
    }
    if let Ok(server) = serde_json::from_slice(body) {
        use_it(server);
    }
});

/// All requests get the same answer.
fn drive<X: Exchange>(mut exchange: X, body: &[u8], most: usize) -> Option<(X::Output, Vec<String>)> {
    let mut requests = Vec::new();
    loop {
        let request = exchange.next_request(NOW, &mut Counting(0)).expect("what came so far was vetted");
        requests.push(request.uri().to_string());
        assert!(
            requests.len() <= most && request.method() == "GET" && request.headers().get("authorization").is_none()
        );
        match exchange.handle_response(response(StatusCode::OK, &[], body)) {
            Ok(Step::Again { .. }) => {}
            Ok(Step::Done(output)) => {
                assert_over(&mut exchange);
                return Some((output, requests));
            }
            Err(error) => {
                assert!(!matches!(error, Error::Usage(_)), "{error}");
                assert_over(&mut exchange);
                return None;
            }
        }
    }
}

fn endpoints(server: &Server) -> impl Iterator<Item = (&'static str, &str)> {
    let endpoints = [
        ("authorization", server.authorization_endpoint.as_deref()),
        ("token", Some(server.token_endpoint.as_str())),
        ("revocation", server.revocation_endpoint.as_deref()),
        ("introspection", server.introspection_endpoint.as_deref()),
        ("device", server.device_authorization_endpoint.as_deref()),
        ("push", server.pushed_authorization_request_endpoint.as_deref()),
    ];
    endpoints.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint?)))
}

/// What a client that takes this server does with it.
fn use_it(server: Server) {
    let kept = serde_json::to_string(&server).expect("a server can be stored");
    let back: Server = serde_json::from_str(&kept).expect("and read back");
    assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
    let Ok(client) = Client::builder(server.clone(), CLIENT_ID).redirect_uri(REDIRECT_URI).build() else { return };
    for (_, endpoint) in endpoints(&server) {
        assert!(is_safe(endpoint) || is_this_machine(endpoint), "{endpoint}");
    }
    let lists =
        |list: &Option<Vec<String>>, value: &str| list.as_ref().is_none_or(|list| list.iter().any(|own| own == value));
    assert!(lists(&server.code_challenge_methods_supported, "S256") && lists(&server.response_types_supported, "code"));
    assert!(lists(&server.token_endpoint_auth_methods_supported, "none"));
    assert!(server.issuer.is_some() || !server.authorization_response_iss_parameter_supported);

    let origin = |text: &str| url::Url::parse(text).expect("it was vetted").origin().ascii_serialization();
    if let Ok((url, pending)) = client.authorize().redirect(NOW, &mut Counting(0)) {
        assert!(!server.require_pushed_authorization_requests);
        let endpoint = server.authorization_endpoint.as_deref().expect("a place to go");
        let query = url.query().expect("parameters");
        assert_eq!(origin(url.as_str()), origin(endpoint));
        let own = endpoint.split_once('?').map_or("", |(_, own)| own);
        assert!(pairs(query).starts_with(&pairs(own)), "the endpoint's own query is kept");
        assert_once(query.get(own.len()..).expect("a longer one").trim_start_matches('&'));
        let names = ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"];
        assert!(names.iter().all(|name| all(query, name).len() == 1), "{query}");
        assert_eq!(all(query, "code_challenge"), [s256(&stored(&pending, "verifier"))]);
        assert_eq!(all(query, "state"), [pending.state()]);
    }
    let mut push = client.authorize().push();
    if let Ok(request) = push.next_request(NOW, &mut Counting(0)) {
        let endpoint = server.pushed_authorization_request_endpoint.as_deref().expect("a place to push to");
        assert_request(&request, &[&origin(endpoint)]);
    }
}
