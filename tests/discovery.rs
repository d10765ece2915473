//! Logins that know nothing but a name, through each transport and against the embedded server: its issuer, a resource
//! of its, or a refusal.

use http::{Request, Response, StatusCode};
use proofkey::{
    Authentication, Authorization, Body, Callback, Challenge, Client, Discovery, Error, ErrorCode, Pending,
    ResourceDiscovery, Server, Tokens, Usage, Violation,
};
use proofkey_test_server::{Documents, RegisteredClient, TestServer, redirect_uri};
use url::Url;

#[path = "support/driver.rs"]
mod driver;

use driver::{Call, Driver};

impl Driver {
    fn discover(&self, server: &TestServer) -> Server {
        self.run(Discovery::new(server.issuer())).expect("a server")
    }

    /// The person agrees, the browser comes back, and the code becomes tokens.
    fn finish(&self, server: &TestServer, client: &Client, (url, pending): (Url, Pending)) -> Result<Tokens, Error> {
        let returned = server.person().allow(url.as_str());
        self.run(client.exchange(pending.accept(Callback::parse(&returned)?)?))
    }

    /// The status that the photos answer with, and the challenge.
    fn photos(&self, server: &TestServer, client: &Client, tokens: &Tokens) -> Response<Vec<u8>> {
        let request = Request::get(server.resource()).body(()).expect("a request");
        self.run(client.call(tokens, request)).expect("an answer")
    }
}

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

fn client(server: Server, who: RegisteredClient) -> Client {
    let authentication = match who.secret {
        None => Authentication::none(),
        Some(secret) if who == RegisteredClient::BASIC => Authentication::basic(secret),
        Some(secret) => Authentication::post(secret),
    };
    let builder = Client::builder(server, who.id).redirect_uri(redirect_uri(8917)).authentication(authentication);
    builder.require_advertised_s256().build().expect("a client")
}

/// The paths that were asked for, in order.
fn paths(server: &TestServer) -> Vec<String> {
    server.requests().into_iter().map(|seen| seen.path).collect()
}

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource/resource";

#[test]
fn the_issuer_is_enough() {
    for driver in Driver::all() {
        for who in RegisteredClient::ALL {
            let server = start();
            let client = client(driver.discover(&server), who);
            let login = driver.start(client.authorize().scope(["photos"])).unwrap();
            let tokens = driver.finish(&server, &client, login).unwrap();
            assert_eq!(tokens.issuer(), Some(server.issuer()));
            assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
            driver.run(client.revoke(&tokens).unwrap()).unwrap();
            assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::UNAUTHORIZED);
            let walked = [OAUTH, "/authorize", "/consent", "/token", "/resource"];
            assert_eq!(paths(&server)[..5], walked, "{}", who.id);
        }
    }
}

#[test]
fn what_was_discovered_agrees_with_the_handle() {
    for driver in Driver::all() {
        let server = start();
        let found = driver.discover(&server);
        assert_eq!(found.issuer.as_deref(), Some(server.issuer()));
        assert_eq!(found.authorization_endpoint, Some(server.authorization_endpoint()));
        assert_eq!(found.token_endpoint, server.token_endpoint());
        assert_eq!(found.revocation_endpoint, Some(server.revocation_endpoint()));
        assert_eq!(found.introspection_endpoint, Some(server.introspection_endpoint()));
        let pushed = server.pushed_authorization_request_endpoint();
        assert_eq!(found.pushed_authorization_request_endpoint, Some(pushed));
        assert!(found.authorization_response_iss_parameter_supported);
        assert_eq!(found.other["protected_resources"], serde_json::json!([server.resource()]));
    }
}

#[test]
fn whichever_document_there_is() {
    for driver in Driver::all() {
        for (documents, page, walked) in [
            (Documents::Both, false, &[OAUTH][..]),
            (Documents::OnlyOAuth, false, &[OAUTH]),
            (Documents::OnlyOpenId, false, &[OAUTH, OPENID]),
            (Documents::OnlyOpenId, true, &[OAUTH, OPENID]),
        ] {
            let builder = TestServer::builder().documents(documents);
            let builder = if page { builder.login_page_for_missing_documents() } else { builder };
            let server = builder.start().expect("a port is free");
            let client = client(driver.discover(&server), RegisteredClient::PUBLIC);
            assert_eq!(paths(&server), walked, "{documents:?}");
            let login = driver.start(client.authorize().scope(["photos"])).unwrap();
            let tokens = driver.finish(&server, &client, login).unwrap();
            assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
        }
        for (page, status) in [(false, StatusCode::NOT_FOUND), (true, StatusCode::OK)] {
            let builder = TestServer::builder().documents(Documents::Neither);
            let builder = if page { builder.login_page_for_missing_documents() } else { builder };
            let server = builder.start().expect("a port is free");
            let error = driver.run(Discovery::new(server.issuer())).unwrap_err();
            let Error::Violation(Violation::NoMetadata(missed)) = error else { panic!("{error}") };
            let urls: Vec<_> = missed.iter().map(|miss| miss.url.clone()).collect();
            assert_eq!(urls, [server.metadata_url(), server.openid_configuration_url()]);
            assert!(missed.iter().all(|miss| miss.status == status));
        }
    }
}

#[test]
fn another_name_for_the_same_server_is_another_server() {
    for driver in Driver::all() {
        let server = start();
        let port = server.issuer().rsplit_once(':').expect("a port").1;
        for name in [format!("http://localhost:{port}"), format!("{}/", server.issuer())] {
            match driver.run(Discovery::new(name.clone())) {
                Err(error) => assert!(matches!(error, Error::Violation(Violation::Issuer)), "{name}: {error}"),
                Ok(_) => panic!("{name} is not {}", server.issuer()),
            }
        }
    }
}

/// What was discovered yesterday and stored logs in today, and asks for no document.
#[test]
fn a_server_from_a_cache() {
    for driver in Driver::all() {
        let server = start();
        let stored = serde_json::to_string(&driver.discover(&server)).unwrap();
        server.forget_requests();
        let client = client(serde_json::from_str(&stored).unwrap(), RegisteredClient::PUBLIC);
        let login = driver.start(client.authorize().scope(["photos"])).unwrap();
        let tokens = driver.finish(&server, &client, login).unwrap();
        assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
        assert_eq!(paths(&server), ["/authorize", "/consent", "/token", "/resource"]);
    }
}

#[test]
fn a_login_that_was_pushed() {
    for driver in Driver::all() {
        for who in RegisteredClient::ALL {
            let server = start();
            let client = client(driver.discover(&server), who);
            let login = client.authorize().scope(["photos", "profile"]).redirect_uri(redirect_uri(50_123));
            let (url, pending) = driver.run(login.push()).unwrap();
            let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            assert_eq!(names, ["client_id", "request_uri"]);
            assert!(pending.leave_by().is_some_and(|leave_by| leave_by > pending.started_at()));
            let tokens = driver.finish(&server, &client, (url.clone(), pending)).unwrap();
            assert_eq!(tokens.scope().unwrap().iter().collect::<Vec<_>>(), ["photos", "profile"]);
            assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
            assert_eq!(paths(&server), [OAUTH, "/par", "/authorize", "/consent", "/token", "/resource"]);
            let authenticated = server.requests().into_iter().filter(|seen| ["/par", "/token"].contains(&&*seen.path));
            let headers: Vec<_> = authenticated.map(|seen| seen.authorization().map(str::to_owned)).collect();
            assert_eq!(headers[0], headers[1], "{}", who.id);
            // A reference is good for one login.
            assert_eq!(server.person().open(url.as_str()).unwrap().status, 400);
        }
    }
}

#[test]
fn a_server_that_takes_pushed_logins_only() {
    for driver in Driver::all() {
        let builder = TestServer::builder().require_pushed_authorization_requests();
        let server = builder.start().expect("a port is free");
        let client = client(driver.discover(&server), RegisteredClient::PUBLIC);
        let refused = driver.start(client.authorize().scope(["photos"])).unwrap_err();
        assert!(matches!(refused, Error::Usage(Usage::PushRequired)), "{refused}");
        let login = driver.run(client.authorize().scope(["photos"]).push()).unwrap();
        let tokens = driver.finish(&server, &client, login).unwrap();
        assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
    }
}

/// The server says no to what is pushed: there is no URL, and nothing goes to the browser.
#[test]
fn a_push_that_is_refused() {
    for driver in Driver::all() {
        let server = start();
        let found = driver.discover(&server);
        let client = client(found.clone(), RegisteredClient::PUBLIC);
        let stranger = Client::builder(found, RegisteredClient::BASIC.id).redirect_uri(redirect_uri(8917));
        let stranger = stranger.authentication(Authentication::basic("a guess, of course")).build().unwrap();
        for (login, code) in [
            (client.authorize().scope(["everything"]), ErrorCode::INVALID_SCOPE),
            (client.authorize().redirect_uri("https://evil.example/callback"), ErrorCode::INVALID_REQUEST),
            (stranger.authorize(), ErrorCode::INVALID_CLIENT),
        ] {
            let error = driver.run(login.push()).unwrap_err();
            assert!(matches!(&error, Error::Server(refusal) if refusal.code == code), "{error}");
            assert!(!format!("{error:?}").contains("a guess"));
        }
        assert!(!paths(&server).contains(&"/authorize".to_owned()));
    }
}

/// The chain that an MCP client walks: a call that is refused, the resource's document that the refusal names, its server's
/// document, a login for that resource, and the call again.
#[test]
fn from_a_refused_call_to_an_answer() {
    for driver in Driver::all() {
        let server = TestServer::builder().require_resource_indicator().start().expect("a port is free");
        let url = server.resource();
        let request = || Request::get(&url).body(Body::default()).expect("a request");

        let refused = driver.run(Call::new(request())).unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let challenge = Challenge::bearer(refused.headers()).expect("a challenge");
        assert_eq!(challenge.resource_metadata, Some(server.resource_metadata_url()));

        let known = driver.run(ResourceDiscovery::from_challenge(&url, &challenge)).unwrap();
        assert_eq!(known.resource, url);
        assert_eq!(known.scopes_supported, ["photos", "profile", "offline_access"]);

        let client = client(known.server, RegisteredClient::PUBLIC);
        let login = driver.start(client.authorize().scope(["photos"]).resource(&known.resource)).unwrap();
        let tokens = driver.finish(&server, &client, login).unwrap();
        let answer = driver.run(client.call(&tokens, request())).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(paths(&server), ["/resource", RESOURCE, OAUTH, "/authorize", "/consent", "/token", "/resource"]);

        // A refresh asks for the same resource; the token is still for it.
        let renewed = driver.run(client.refresh(&tokens).unwrap()).unwrap();
        assert_eq!(driver.photos(&server, &client, &renewed).status(), StatusCode::OK);
        let seen = server.requests().into_iter().filter(|seen| seen.path == "/token");
        assert!(seen.into_iter().all(|seen| seen.parameter("resource").as_ref() == Some(&url)));

        // A login for another resource, or for none in particular, gives nothing here.
        for other in [Some("https://elsewhere.example/mcp"), None] {
            let login = other.into_iter().fold(client.authorize().scope(["photos"]), Authorization::resource);
            let login = driver.start(login).unwrap();
            let tokens = driver.finish(&server, &client, login).unwrap();
            let answer = driver.photos(&server, &client, &tokens);
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{other:?}");
            let challenge = Challenge::bearer(answer.headers()).expect("a challenge");
            assert_eq!(challenge.error, Some(ErrorCode::INVALID_TOKEN));
        }
    }
}

/// The same by push, from the resource's name alone, at a server that has only an OpenID document.
#[test]
fn from_a_resources_name_to_an_answer() {
    for driver in Driver::all() {
        let builder = TestServer::builder().documents(Documents::OnlyOpenId).login_page_for_missing_documents();
        let server = builder.require_resource_indicator().start().expect("a port is free");
        let known = driver.run(ResourceDiscovery::new(server.resource())).unwrap();
        let client = client(known.server, RegisteredClient::POST);
        let login = driver.run(client.authorize().scope(["photos"]).resource(known.resource).push()).unwrap();
        let tokens = driver.finish(&server, &client, login).unwrap();
        assert_eq!(driver.photos(&server, &client, &tokens).status(), StatusCode::OK);
        let walked = [RESOURCE, OAUTH, OPENID, "/par", "/authorize", "/consent", "/token", "/resource"];
        assert_eq!(paths(&server), walked);
    }
}

/// What is no resource, or another's, is told apart.
#[test]
fn a_resource_that_is_not_described() {
    for driver in Driver::all() {
        let server = start();
        let place = format!("{}/.well-known/oauth-protected-resource/elsewhere", server.issuer());
        for (resource, said) in [
            (format!("{}/elsewhere", server.issuer()), format!("there is no metadata: 404 at {place}")),
            (format!("{}/", server.resource()), "the metadata is about another resource than was asked for".to_owned()),
        ] {
            let error = driver.run(ResourceDiscovery::new(resource.clone())).unwrap_err();
            assert_eq!(error.to_string(), said, "{resource}");
        }
    }
}
