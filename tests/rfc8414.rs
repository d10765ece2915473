//! RFC 8414, Authorization Server Metadata: its sentences, each with the test that holds the library to it. The ways in
//! which metadata can lie are in `metadata.rs`.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use proofkey_core::{Authentication, Client, Discovery, Error, Exchange, Remedy, Server, Usage, Violation};
use serde_json::json;

mod known;
mod support;

use known::{ISSUER, found, metadata, metadata_with, missing, told, walk};
use support::{NOW, Octets, response};

/// Section 2: "issuer REQUIRED. The authorization server's issuer identifier, which is a URL that uses the "https" scheme
/// and has no query or fragment components." A host on this machine may have `http`.
#[test]
fn s2_an_issuer_is_an_https_url_without_query_and_fragment() {
    for (issuer, why) in [
        ("http://as.example.com", "issuer must be https, or http on a loopback host"),
        ("https://as.example.com?", "issuer must not have a query"),
        ("https://as.example.com/?tenant=1", "issuer must not have a query"),
        ("https://as.example.com/#", "issuer must not have a fragment"),
        ("https://as.example.com#top", "issuer must not have a fragment"),
        ("https://user@as.example.com", "issuer must not have a user name or password"),
        ("https://user:pw@as.example.com", "issuer must not have a user name or password"),
        ("https://as.example.com\\@evil.example", "issuer must not have a backslash"),
        ("https://as.example.com/a b", "issuer must be ASCII without spaces and control characters"),
        ("https://as.example.com\t", "issuer must be ASCII without spaces and control characters"),
        ("https:as.example.com", "issuer must have a host after \"https://\""),
        ("ftp://as.example.com", "issuer must be an https URI"),
        ("as.example.com", "issuer must be an absolute URI"),
        ("", "issuer must be an absolute URI"),
    ] {
        let walk = walk(Discovery::new(issuer), []);
        assert!(matches!(walk.result, Err(Error::Usage(Usage::Endpoint("issuer", _)))), "{issuer:?}");
        assert_eq!(walk.refusal(), why, "{issuer:?}");
    }
    let local = "http://127.0.0.1:8080";
    let document = json!({ "issuer": local, "token_endpoint": "http://127.0.0.1:8080/token" });
    assert!(walk(Discovery::new(local), [found(&document)]).result.is_ok());
}

/// Section 2: "response_types_supported REQUIRED. JSON array containing a list of the OAuth 2.0 "response_type" values
/// that this authorization server supports." Servers that leave it out can still give codes; one that lists others cannot.
#[test]
fn s2_response_types_without_code_are_of_no_use() {
    for fits in [json!(["code"]), json!(["code token", "code"]), json!(null)] {
        assert!(told(&metadata_with("response_types_supported", fits.clone())).is_ok(), "{fits}");
    }
    for unfit in [json!(["token"]), json!(["code token"]), json!(["CODE"]), json!([])] {
        let refused = told(&metadata_with("response_types_supported", unfit.clone()));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the server's response_types_supported does not list code",
            "{unfit}"
        );
    }
}

/// Section 2: "code_challenge_methods_supported OPTIONAL. JSON array containing a list of Proof Key for Code Exchange
/// (PKCE) [RFC7636] code challenge methods supported by this authorization server." And: "If omitted, the authorization
/// server does not support PKCE." Many that leave it out do support it, so S256 is sent; who must know asks to know.
#[test]
fn s2_s256_is_sent_wherever_it_is_not_denied() {
    let silent = told(&metadata_with("code_challenge_methods_supported", json!(null))).unwrap();
    let client = Client::builder(silent.clone(), "s6BhdRkqt3").redirect_uri(support::REDIRECT_URI).build().unwrap();
    let (url, _) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(support::values(url.query().unwrap(), "code_challenge_method"), ["S256"]);

    let strict = Client::builder(silent, "s6BhdRkqt3").require_advertised_s256().build();
    let sentence = "code_challenge_methods_supported is missing, so S256 is not advertised";
    assert_eq!(strict.unwrap_err().to_string(), sentence);
    let clear = told(&metadata()).unwrap();
    assert!(Client::builder(clear, "s6BhdRkqt3").require_advertised_s256().build().is_ok());

    for denied in [json!(["plain"]), json!([]), json!(["s256", "S512"])] {
        let refused = told(&metadata_with("code_challenge_methods_supported", denied.clone())).unwrap_err();
        assert_eq!(refused.to_string(), "the server's code_challenge_methods_supported does not list S256", "{denied}");
    }
}

/// Section 2: "token_endpoint_auth_methods_supported OPTIONAL. JSON array containing a list of client authentication
/// methods supported by this token endpoint." A method that is not in it is never sent, nor another in its place.
#[test]
fn s2_the_clients_method_must_be_listed() {
    let server = told(&metadata()).unwrap();
    let refused = Client::builder(server.clone(), "s6BhdRkqt3").authentication(Authentication::post("secret-12345"));
    let refused = refused.build().unwrap_err();
    assert_eq!(refused.remedy(), Remedy::FixConfiguration);
    assert_eq!(
        refused.to_string(),
        "the client authenticates by client_secret_post, and the server lists none client_secret_basic: use one of these, or, where the provider takes yours all the same, Quirks::authentication_unlisted"
    );
    for listed in [Authentication::none(), Authentication::basic("secret-12345")] {
        assert!(Client::builder(server.clone(), "s6BhdRkqt3").authentication(listed).build().is_ok());
    }
    let silent = told(&metadata_with("token_endpoint_auth_methods_supported", json!(null))).unwrap();
    let post = Client::builder(silent, "s6BhdRkqt3").authentication(Authentication::post("secret-12345"));
    assert!(post.build().is_ok());
}

/// Section 2: "Additional authorization server metadata parameters MAY also be used." And section 3.2: "Other claims MAY
/// also be returned."
#[test]
fn s2_what_is_not_known_is_kept() {
    let claims = json!({ "nested": [1, { "deep": null }] });
    let server = told(&metadata_with("example_claims", claims.clone())).unwrap();
    assert_eq!(server.other["example_claims"], claims);
    let stored = serde_json::to_string(&server).unwrap();
    assert_eq!(serde_json::from_str::<Server>(&stored).unwrap(), server);
}

/// Section 3: "By default, the well-known URI string used is "/.well-known/oauth-authorization-server"." And section 3.1:
/// "If the issuer identifier value contains a path component, any terminating "/" MUST be removed before inserting
/// "/.well-known/" and the well-known URI suffix between the host component and the path component." Section 5 has the
/// places of OpenID Connect, which come later.
#[test]
fn s3_1_the_places_and_their_order() {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    for (issuer, origin, path) in [
        ("https://as.example.com", "https://as.example.com", ""),
        ("https://as.example.com/", "https://as.example.com", ""),
        ("https://as.example.com:8443", "https://as.example.com:8443", ""),
        ("https://as.example.com:443/t", "https://as.example.com", "/t"),
        ("https://as.example.com/tenant", "https://as.example.com", "/tenant"),
        ("https://as.example.com/tenant/", "https://as.example.com", "/tenant"),
        ("https://as.example.com:8443/a/b%20c", "https://as.example.com:8443", "/a/b%20c"),
        ("https://AS.example.com/Tenant", "https://as.example.com", "/Tenant"),
        ("http://[::1]:3000/t", "http://[::1]:3000", "/t"),
    ] {
        let inserted = [format!("{origin}{OAUTH}{path}"), format!("{origin}{OPENID}{path}")];
        let mut places = inserted.to_vec();
        if !path.is_empty() {
            places.push(format!("{origin}{path}{OPENID}"));
        }
        let walk = walk(Discovery::new(issuer), places.iter().map(|_| missing()));
        assert_eq!(walk.asked, places, "{issuer}");
        let Err(Error::Violation(Violation::NoMetadata(missed))) = walk.result else { panic!("{issuer}: found") };
        assert_eq!(missed.iter().map(|miss| miss.url.clone()).collect::<Vec<_>>(), places, "{issuer}");
    }
}

/// Section 3.1: "An authorization server metadata document MUST be queried using an HTTP "GET" request at the previously
/// specified path."
#[test]
fn s3_1_the_request() {
    let mut discovery = Discovery::new(ISSUER);
    let mut octets = Octets::new([]);
    let request = discovery.next_request(NOW, &mut octets).unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.headers().len(), 1);
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(request.body().as_ref().is_empty());
    assert_eq!(octets.drawn, 0);
}

/// Section 3.2: "A successful response MUST use the 200 OK HTTP status code and return a JSON object using the
/// "application/json" content type that contains a set of claims as its members". The type is not looked at where the
/// whole body is an object.
#[test]
fn s3_2_any_content_type_will_do_for_an_object() {
    for kind in ["application/json; charset=utf-8", "text/plain", "text/html", "application/oauth+json"] {
        let answer = response(200, &[("Content-Type", kind)], metadata().to_string());
        assert!(walk(Discovery::new(ISSUER), [answer]).result.is_ok(), "{kind}");
    }
    assert!(walk(Discovery::new(ISSUER), [response(200, &[], metadata().to_string())]).result.is_ok());
    let marked = format!("\u{FEFF}{}", metadata());
    assert!(walk(Discovery::new(ISSUER), [response(200, &[known::JSON], marked)]).result.is_ok());
}

/// Section 3.2: "An error response uses the applicable HTTP status code value."
#[test]
fn s3_2_a_place_that_has_none_is_passed_over() {
    for status in [400, 401, 403, 404, 405, 406, 410, 415, 451] {
        let walk = walk(Discovery::new(ISSUER), [response(status, &[], ""), found(&metadata())]);
        assert_eq!(walk.asked.len(), 2, "{status}");
        assert_eq!(walk.result.unwrap().issuer.as_deref(), Some(ISSUER), "{status}");
    }
    // An error object there is no document either, and no refusal of ours.
    let refusal = response(404, &[known::JSON], r#"{"error":"invalid_request"}"#);
    assert!(walk(Discovery::new(ISSUER), [refusal, found(&metadata())]).result.is_ok());
}

/// Section 3.3: "The "issuer" value returned MUST be identical to the authorization server's issuer identifier value into
/// which the well-known URI string was inserted to create the URL used to retrieve the metadata." The asked text is what
/// `iss` is compared with from then on.
#[test]
fn s3_3_the_asked_text_is_kept() {
    for issuer in ["https://as.example.com", "https://as.example.com/", "https://AS.example.com:443/t/"] {
        let document = metadata_with("issuer", json!(issuer));
        let server = walk(Discovery::new(issuer), [found(&document)]).result.unwrap();
        assert_eq!(server.issuer.as_deref(), Some(issuer));
    }
}

/// Section 3.3: "If these values are not identical, the data contained in the response MUST NOT be used." Nor is another
/// place asked for a document that suits better.
#[test]
fn s3_3_another_issuers_document_ends_the_search() {
    let walk = walk(Discovery::new(ISSUER), [found(&metadata_with("issuer", json!("https://evil.example")))]);
    assert_eq!(walk.asked.len(), 1);
    assert!(matches!(walk.result, Err(Error::Violation(Violation::Issuer))));
    let refused = told(&metadata_with("issuer", json!(null))).unwrap_err();
    assert_eq!(refused.to_string(), "the server's answer has no issuer");
}

/// Section 4: "Remove any JSON-applied escaping to produce an array of Unicode code points."
#[test]
fn s4_escapes_are_undone_first() {
    let escaped = metadata().to_string().replace("as.example.com\"", r#"as.\u0065xample.com""#);
    assert!(escaped.contains(r"\u0065"));
    let walk = walk(Discovery::new(ISSUER), [response(200, &[known::JSON], escaped)]);
    assert_eq!(walk.result.unwrap().issuer.as_deref(), Some(ISSUER));
}

/// Section 4: "Comparisons between the two strings MUST be performed as a Unicode code-point-to-code-point equality
/// comparison."
#[test]
fn s4_nothing_is_normalised() {
    let asked = "https://as.example.com/tenant";
    for alike in [
        "https://as.example.com/tenant/",
        "https://as.example.com/Tenant",
        "https://AS.example.com/tenant",
        "HTTPS://as.example.com/tenant",
        "https://as.example.com:443/tenant",
        "https://as.example.com./tenant",
        "https://as.example.com/./tenant",
        "https://as.example.com//tenant",
        "https://as.example.com/x/../tenant",
        "https://as.example.com/%74enant",
        "https://as.example.com/tenant?",
        "https://as.example.com/tenant#",
        "https://as.example.com/tenant ",
        " https://as.example.com/tenant",
        "https://as.example.com/tena\u{200B}nt",
        "https://as.example.com",
        "http://as.example.com/tenant",
        "https://as.example.com/tenant2",
        "https://evil.example/tenant",
        "",
    ] {
        let walk = walk(Discovery::new(asked), [found(&metadata_with("issuer", json!(alike)))]);
        assert!(matches!(walk.result, Err(Error::Violation(Violation::Issuer))), "{alike:?}");
        assert_eq!(
            walk.refusal(),
            "the answer comes from another issuer than was asked; they are compared letter by letter, a slash at the end included",
            "{alike:?}"
        );
    }
}

/// What RFC 9111 section 5.2 lets a server say of its document is handed on, for whoever keeps it.
#[test]
fn how_long_it_may_be_kept_is_told_and_not_stored() {
    let answer = response(200, &[known::JSON, ("Cache-Control", "max-age=3600")], metadata().to_string());
    let server = walk(Discovery::new(ISSUER), [answer]).result.unwrap();
    assert_eq!(server.cache_control.as_deref(), Some("max-age=3600"));
    let stored: Server = serde_json::from_str(&serde_json::to_string(&server).unwrap()).unwrap();
    assert_eq!(stored.cache_control, None);
    assert_eq!(told(&metadata()).unwrap(), stored);
}
