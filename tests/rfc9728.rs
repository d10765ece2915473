//! RFC 9728, Protected Resource Metadata: its sentences, each with the test that holds the library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use proofkey_core::{BearerChallenge, Challenge, Error, Remedy, ResourceDiscovery, Usage, Violation};
use serde_json::{Value, json};

mod known;
mod support;

use known::{ISSUER, JSON, RESOURCE, found, metadata, metadata_with, missing, resource_metadata, walk};
use support::response;

const PLACE: &str = "https://rs.example.com/.well-known/oauth-protected-resource/mcp";

fn challenge(header: &str) -> BearerChallenge {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, header.parse().expect("a header's value"));
    Challenge::bearer(&headers).expect("a challenge")
}

/// The refusal of this document, which is about [`RESOURCE`].
fn refused(document: &Value) -> Error {
    walk(ResourceDiscovery::new(RESOURCE), [found(document)]).result.expect_err("a refusal")
}

/// Section 1.2: "The protected resource's resource identifier, which is a URL that uses the https scheme and has no
/// fragment component." A host on this machine may have `http`, and a query is taken as part of the name.
#[test]
fn s1_2_a_resource_is_an_https_url_without_fragment() {
    for (resource, why) in [
        ("http://rs.example.com/mcp", "resource must be https, or http on a loopback host"),
        ("https://rs.example.com/mcp#tools", "resource must not have a fragment"),
        ("https://user@rs.example.com/mcp", "resource must not have a user name or password"),
        ("urn:example:mcp", "resource must be an https URI"),
        ("javascript:alert(1)", "resource must be an https URI"),
        ("/mcp", "resource must be an absolute URI"),
        ("https://2130706433/mcp", "resource must write its host in the usual form"),
        ("", "resource must be an absolute URI"),
    ] {
        let walk = walk(ResourceDiscovery::new(resource), []);
        assert!(matches!(walk.result, Err(Error::Usage(Usage::Resource(_)))), "{resource:?}");
        assert_eq!(walk.refusal(), why, "{resource:?}");
    }
}

/// Section 2: "resource REQUIRED." And where there is no authorization server, nobody can log in.
#[test]
fn s2_what_is_needed_must_be_there() {
    for (document, said) in [
        (json!({ "authorization_servers": [ISSUER] }), "the server's answer has no resource"),
        (json!({ "resource": null, "authorization_servers": [ISSUER] }), "the server's answer has no resource"),
        (
            json!({ "resource": [RESOURCE], "authorization_servers": [ISSUER] }),
            "resource in the server's answer has the wrong type or value",
        ),
        (json!({ "resource": RESOURCE }), "the server's answer has no authorization_servers"),
        (
            json!({ "resource": RESOURCE, "authorization_servers": [] }),
            "the server's answer has no authorization_servers",
        ),
        (
            json!({ "resource": RESOURCE, "authorization_servers": [1] }),
            "authorization_servers in the server's answer has the wrong type or value",
        ),
        (
            json!({ "resource": RESOURCE, "authorization_servers": [ISSUER], "scopes_supported": [1] }),
            "scopes_supported in the server's answer has the wrong type or value",
        ),
    ] {
        assert_eq!(refused(&document).to_string(), said, "{document}");
    }
}

/// Section 2: "authorization_servers OPTIONAL. JSON array containing a list of OAuth authorization server issuer
/// identifiers, as defined in [RFC8414]": each is an issuer as RFC 8414 section 2 has it, and what is wrong with one is the
/// resource's mistake, never the caller's.
#[test]
fn s2_its_servers_are_issuers() {
    for (issuer, why) in [
        ("http://as.example.com", "must be https, or http on a loopback host"),
        ("https://as.example.com?tenant=1", "must not have a query"),
        ("https://as.example.com#x", "must not have a fragment"),
        ("https://user:pw@as.example.com", "must not have a user name or password"),
        ("javascript:alert(1)", "must be an https URI"),
        ("data:application/json,{}", "must be an https URI"),
        ("as.example.com", "must be an absolute URI"),
        ("", "must be an absolute URI"),
    ] {
        let error = refused(&json!({ "resource": RESOURCE, "authorization_servers": [issuer] }));
        assert!(matches!(error, Error::Violation(Violation::Metadata("authorization_servers", _))), "{issuer:?}");
        assert_eq!(error.to_string(), format!("the server's authorization_servers {why}"), "{issuer:?}");
        assert_eq!(error.remedy(), Remedy::Report, "{issuer:?}");
    }
}

/// Section 3: "By default, the well-known URI string used is /.well-known/oauth-protected-resource." And section 3.1: "If
/// the resource identifier value contains a path or query component, any terminating slash (/) following the host component
/// MUST be removed before inserting /.well-known/ and the well-known URI path suffix between the host component and the
/// path and/or query components."
#[test]
fn s3_1_the_place() {
    const SUFFIX: &str = ".well-known/oauth-protected-resource";
    for (resource, place) in [
        ("https://rs.example.com", format!("https://rs.example.com/{SUFFIX}")),
        ("https://rs.example.com/", format!("https://rs.example.com/{SUFFIX}")),
        ("https://rs.example.com/mcp", format!("https://rs.example.com/{SUFFIX}/mcp")),
        ("https://rs.example.com/a/mcp/", format!("https://rs.example.com/{SUFFIX}/a/mcp")),
        ("https://rs.example.com:8443/mcp", format!("https://rs.example.com:8443/{SUFFIX}/mcp")),
        ("https://rs.example.com/mcp?tenant=1", format!("https://rs.example.com/{SUFFIX}/mcp?tenant=1")),
        ("https://rs.example.com/?tenant=1", format!("https://rs.example.com/{SUFFIX}?tenant=1")),
        ("https://rs.example.com?tenant=1", format!("https://rs.example.com/{SUFFIX}?tenant=1")),
        ("http://127.0.0.1:8080/mcp", format!("http://127.0.0.1:8080/{SUFFIX}/mcp")),
    ] {
        let document = json!({ "resource": resource, "authorization_servers": [ISSUER] });
        let walk = walk(ResourceDiscovery::new(resource), [found(&document), found(&metadata())]);
        assert_eq!(walk.asked, [place, format!("{ISSUER}/.well-known/oauth-authorization-server")], "{resource}");
        assert_eq!(walk.result.unwrap().resource, resource);
    }
}

/// Section 3.2: "A successful response MUST use the 200 OK HTTP status code and return a JSON object". There is one place
/// only, so whatever else is there ends the search.
#[test]
fn s3_2_whatever_is_no_document_ends_the_search() {
    let page = response(200, &[("Content-Type", "text/html")], "<html>");
    for (answer, status) in
        [(response(404, &[], ""), 404), (response(401, &[JSON], r#"{"error":"x"}"#), 401), (page, 200)]
    {
        let place = "https://rs.example.com/.well-known/oauth-protected-resource/mcp";
        let said = format!("there is no metadata: {status} at {place}");
        assert_eq!(walk(ResourceDiscovery::new(RESOURCE), [answer]).refusal(), said);
    }
    for (answer, said) in [
        (response(201, &[JSON], resource_metadata().to_string()), "the server answered HTTP 201 without an error code"),
        (
            response(307, &[("Location", "https://evil.example/")], ""),
            "the server answered with a redirect (HTTP 307), which is never followed",
        ),
        (response(200, &[JSON], "[]"), "the server's answer is not a JSON object"),
        (response(200, &[JSON], r#"{"resource":"#), "the server's answer is not a JSON object"),
        (
            response(200, &[JSON], format!(r#"{{"resource":"{RESOURCE}","resource":"x"}}"#)),
            "the server's answer has resource more than once",
        ),
    ] {
        assert_eq!(walk(ResourceDiscovery::new(RESOURCE), [answer]).refusal(), said);
    }
    let busy = walk(ResourceDiscovery::new(RESOURCE), [response(503, &[("Retry-After", "7")], "")]);
    let remedy = busy.result.unwrap_err().remedy();
    assert_eq!(remedy, Remedy::TryLater(Some(std::time::Duration::from_secs(7))));
}

/// Section 3.3: "The resource value returned MUST be identical to the protected resource's resource identifier value into
/// which the well-known URI path suffix was inserted to create the URL used to retrieve the metadata. If these values are
/// not identical, the data contained in the response MUST NOT be used."
#[test]
fn s3_3_another_resources_document_is_not_used() {
    for alike in [
        "https://rs.example.com/mcp/",
        "https://rs.example.com/MCP",
        "https://RS.example.com/mcp",
        "https://rs.example.com:443/mcp",
        "https://rs.example.com/./mcp",
        "https://rs.example.com/mcp?",
        "https://rs.example.com/%6dcp",
        "https://rs.example.com",
        "https://evil.example/mcp",
        "http://rs.example.com/mcp",
        " https://rs.example.com/mcp",
    ] {
        let error = refused(&json!({ "resource": alike, "authorization_servers": [ISSUER] }));
        assert!(matches!(error, Error::Violation(Violation::Resource)), "{alike:?}");
        assert_eq!(error.to_string(), "the metadata is about another resource than was asked for", "{alike:?}");
    }
}

/// Section 3.3: "If the protected resource metadata was retrieved from a URL returned by the protected resource via the
/// WWW-Authenticate resource_metadata parameter, then the resource value returned MUST be identical to the URL that the
/// client used to make the request to the resource server."
#[test]
fn s3_3_a_challenge_is_believed_about_the_url_that_was_called() {
    let elsewhere = "https://docs.example.com/rs.json";
    let challenge = challenge(&format!(r#"Bearer resource_metadata="{elsewhere}""#));
    let fits = ResourceDiscovery::from_challenge(RESOURCE, &challenge);
    let walk_that_fits = walk(fits, [found(&resource_metadata()), found(&metadata())]);
    assert_eq!(walk_that_fits.asked[0], elsewhere);
    assert_eq!(walk_that_fits.result.unwrap().resource, RESOURCE);

    for called in ["https://rs.example.com/mcp/", "https://rs.example.com/", "https://evil.example/mcp"] {
        let walk = walk(ResourceDiscovery::from_challenge(called, &challenge), [found(&resource_metadata())]);
        assert!(matches!(walk.result, Err(Error::Violation(Violation::Resource))), "{called}");
    }
}

/// Section 5.1: "resource_metadata: The URL of the protected resource metadata." A challenge without one leaves the
/// well-known place.
#[test]
fn s5_1_the_url_of_a_challenge() {
    let plain = ResourceDiscovery::from_challenge(RESOURCE, &challenge(r#"Bearer realm="mcp""#));
    assert_eq!(walk(plain, [found(&resource_metadata()), found(&metadata())]).asked[0], PLACE);
    for (place, why) in [
        ("http://rs.example.com/meta", "must be https, or http on a loopback host"),
        ("https://rs.example.com/meta#x", "must not have a fragment"),
        ("https://user@rs.example.com/meta", "must not have a user name or password"),
        ("javascript:alert(1)", "must be an https URI"),
        ("file:///etc/passwd", "must be an https URI"),
        ("/meta", "must be an absolute URI"),
        ("https://10.0.0.1/meta", "names a host of a private network"),
        ("http://127.0.0.1:9200/meta", "names a host of a private network"),
        ("https://2130706433/meta", "must write its host in the usual form"),
    ] {
        let challenge = challenge(&format!(r#"Bearer resource_metadata="{place}""#));
        let walk = walk(ResourceDiscovery::from_challenge(RESOURCE, &challenge), []);
        assert!(matches!(walk.result, Err(Error::Violation(Violation::Metadata("resource_metadata", _)))), "{place}");
        assert_eq!(walk.refusal(), format!("the server's resource_metadata {why}"), "{place}");
    }
}

/// Section 7.2: "It is not meant to indicate that an OAuth client should request all scopes in the list." They are told, and
/// nothing is asked for by itself.
#[test]
fn s7_2_scopes_are_told_and_not_asked_for() {
    let walk = walk(ResourceDiscovery::new(RESOURCE), [found(&resource_metadata()), found(&metadata())]);
    let known = walk.result.unwrap();
    assert_eq!(known.scopes_supported, ["tools", "admin"]);
    let client = proofkey_core::Client::builder(known.server, "s6BhdRkqt3").redirect_uri(support::REDIRECT_URI);
    let login = client.build().unwrap().authorize().resource(known.resource);
    let (url, _) = login.redirect(support::NOW, &mut support::Octets::appendix_b()).unwrap();
    assert_eq!(support::values(url.query().unwrap(), "resource"), [RESOURCE]);
    assert!(support::values(url.query().unwrap(), "scope").is_empty());
}

/// Section 7.6: the resource's word about its server is only a word, so the server's own document is looked for as
/// anybody's would be, and judged as strictly.
#[test]
fn s7_6_the_server_speaks_for_itself() {
    let lie = walk(
        ResourceDiscovery::new(RESOURCE),
        [found(&resource_metadata()), found(&metadata_with("issuer", json!("https://evil.example")))],
    );
    assert!(matches!(lie.result, Err(Error::Violation(Violation::Issuer))));
    let nowhere = walk(ResourceDiscovery::new(RESOURCE), [found(&resource_metadata()), missing(), missing()]);
    assert!(matches!(nowhere.result, Err(Error::Violation(Violation::NoMetadata(missed))) if missed.len() == 2));
    // It is the resource that errs here, not the caller.
    let document = json!({ "resource": RESOURCE, "authorization_servers": [format!("{ISSUER}/.well-known/x")] });
    let said = "the server's authorization_servers must be the issuer itself, not the address of its metadata";
    assert_eq!(refused(&document).to_string(), said);
    let second = json!({ "resource": RESOURCE, "authorization_servers": [ISSUER, "https://other.example"], "x": 1 });
    let walk = walk(ResourceDiscovery::new(RESOURCE), [found(&second), missing(), found(&metadata())]);
    let known = walk.result.unwrap();
    assert_eq!(known.server.issuer.as_deref(), Some(ISSUER));
    assert_eq!(known.extra.get("x"), Some(1));
}

/// Section 7.7: "Clients SHOULD take appropriate precautions against SSRF attacks, such as blocking requests to internal IP
/// address ranges."
#[test]
fn s7_7_a_strangers_document_leads_into_no_private_network() {
    for host in [
        "10.0.0.5",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "[::]",
        "[::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fe80::1]",
        "[febf::1]",
        "[ff02::1]",
        "[::ffff:a00:1]",
        "[::ffff:7f00:1]",
        "[::a00:1]",
        "localhost",
        "as.localhost",
        "LOCALHOST",
        "localhost.",
        "as.localhost.",
    ] {
        for port in ["", ":8443"] {
            let issuer = format!("https://{host}{port}");
            let error = refused(&json!({ "resource": RESOURCE, "authorization_servers": [issuer] }));
            let said = "the server's authorization_servers names a host of a private network";
            assert_eq!(error.to_string(), said, "{issuer}");
        }
    }
    // Spellings that only a forgiving parser takes for an address.
    for host in ["2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "[::ffff:10.0.0.1]", "[0:0:0:0:0:0:0:1]"]
    {
        let error = refused(&json!({ "resource": RESOURCE, "authorization_servers": [format!("https://{host}")] }));
        let said = "the server's authorization_servers must write its host in the usual form";
        assert_eq!(error.to_string(), said, "{host}");
    }
    for host in ["9.9.9.9", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "[2606:4700::1111]", "as.example"]
    {
        let issuer = format!("https://{host}");
        let document = json!({ "resource": RESOURCE, "authorization_servers": [issuer] });
        let answers = [found(&document), found(&metadata_with("issuer", json!(issuer)))];
        assert!(walk(ResourceDiscovery::new(RESOURCE), answers).result.is_ok(), "{host}");
    }
}

/// Section 7.7: nor does the document of the server that the stranger named, which the stranger may have written, too.
#[test]
fn s7_7_nor_does_the_document_of_its_server() {
    let endpoints = [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
    ];
    for url in ["http://127.0.0.1:9200/x", "https://169.254.169.254/x", "https://10.0.0.5/x", "http://localhost/x"] {
        for name in endpoints {
            let answers = [found(&resource_metadata()), found(&metadata_with(name, json!(url)))];
            let refused = walk(ResourceDiscovery::new(RESOURCE), answers).refusal();
            let place = if url.starts_with("https") { "a host of a private network" } else { "this machine" };
            assert_eq!(refused, format!("the server's {name} names {place}"), "{url}");
            let answers = [found(&resource_metadata()), found(&metadata_with(name, json!(url)))];
            let allowed = ResourceDiscovery::new(RESOURCE).danger_allow_private_hosts();
            assert!(walk(allowed, answers).result.is_ok(), "{name}: {url}");
        }
    }
}

/// Section 7.7, the other way: a resource on this machine may have its server there, and whoever knows its network may say
/// so.
#[test]
fn s7_7_who_is_inside_may_stay_inside() {
    let local = "http://localhost:8080/mcp";
    for issuer in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000", "https://as.example.com"] {
        let document = json!({ "resource": local, "authorization_servers": [issuer] });
        let answers = [found(&document), found(&metadata_with("issuer", json!(issuer)))];
        assert!(walk(ResourceDiscovery::new(local), answers).result.is_ok(), "{issuer}");
    }
    for issuer in ["https://10.0.0.5", "https://169.254.169.254", "https://192.168.0.1"] {
        let document = json!({ "resource": local, "authorization_servers": [issuer] });
        let refused = walk(ResourceDiscovery::new(local), [found(&document)]).refusal();
        assert_eq!(refused, "the server's authorization_servers names a host of a private network", "{issuer}");

        let document = json!({ "resource": RESOURCE, "authorization_servers": [issuer] });
        let allowed = ResourceDiscovery::new(RESOURCE).danger_allow_private_hosts();
        let answers = [found(&document), found(&metadata_with("issuer", json!(issuer)))];
        assert!(walk(allowed, answers).result.is_ok(), "{issuer}");
    }
    // What is allowed is the network, not plain http to it.
    let document = json!({ "resource": RESOURCE, "authorization_servers": ["http://10.0.0.5"] });
    let allowed = ResourceDiscovery::new(RESOURCE).danger_allow_private_hosts();
    let said = "the server's authorization_servers must be https, or http on a loopback host";
    assert_eq!(walk(allowed, [found(&document)]).refusal(), said);
}
