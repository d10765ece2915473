//! What is tried with each server through each transport, a row of the matrix each.
//!
//! A case fails if the library does not do what it should with what the server does. What a server cannot do is told, and
//! the matrix in the README holds it to that.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::WWW_AUTHENTICATE;
use http::{Request, Response, StatusCode, Version};
use proofkey::{
    Authentication, Authorization, Body, Callback, Challenge, Client, ClientBuilder, CryptoRng, Discovery, Error,
    ErrorCode, Exchange, Pending, Quirks, Remedy, Scope, Secret, Server, Session, Step, Tokens, UnixTime, Usage,
    Violation,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::browser::{Arrival, Browser};
use crate::driver::{Call, Driver, Failure, Library};
use crate::places::Places;
use crate::running::{Kind, Running};
use crate::support;
use crate::tls::Leaf;

/// What came of a case that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Yes,
    /// It works, and this is to know about it.
    Though(&'static str),
    /// It does not, and why.
    No(&'static str),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::Though(note) => write!(f, "yes; {note}"),
            Self::No(why) => f.write_str(why),
        }
    }
}

pub(crate) type Case = fn(&Scene) -> Told;

/// The rows, in the order of a login.
pub(crate) const CASES: &[(&str, Case)] = &[
    ("discovery", discovery),
    ("an issuer with a path, or with a slash at its end", shape_of_issuer),
    ("TLS by a CA of our own", tls),
    ("TLS by another CA, for another name, expired, self-signed: refused", bad_tls),
    ("login, public client", login_public),
    ("login, Basic with `: %+/~*` in id and secret", login_basic),
    ("login, secret in the body, with the same", login_post),
    ("a wrong secret is refused", wrong_secret),
    ("`iss` in the response", iss),
    ("consent denied", denied),
    ("a wrong verifier is refused", wrong_verifier),
    ("a code used twice is refused", code_used_twice),
    ("another redirect URI is refused", another_redirect_uri),
    ("loopback redirect, any port", any_port),
    ("pushed request", pushed),
    ("form post", form_post),
    ("device, allowed between two polls", device),
    ("device, denied", device_denied),
    ("resource indicator", resource_indicator),
    ("client credentials", credentials),
    ("a call with a token, with another, with none", call),
    ("a call with too little scope", too_little_scope),
    ("an expired token, renewed by a session", expired),
    ("refresh", refresh),
    ("a spent refresh token is refused", spent_refresh_token),
    ("introspection", introspection),
    ("revocation", revocation),
];

/// A server, and a way to it.
pub(crate) struct Scene<'a> {
    pub(crate) kind: Kind,
    pub(crate) library: Library,
    pub(crate) places: &'a Places,
    pub(crate) running: &'a Running,
    pub(crate) server: &'a Server,
    pub(crate) driver: Driver,
}

fn discovery(scene: &Scene) -> Told {
    let issuer = &scene.running.said.issuer;
    match scene.driver.run(Discovery::new(issuer)) {
        Ok(found) => {
            assert_eq!(found.issuer.as_ref(), Some(issuer));
            assert!(found.authorization_response_iss_parameter_supported);
            assert_eq!(found.code_challenge_methods_supported.as_deref(), Some(&["S256".to_owned()][..]));
            Told::Yes
        }
        Err(Error::Violation(Violation::NoMetadata(_))) => Told::No("no metadata"),
        Err(error) => panic!("{error}"),
    }
}

fn shape_of_issuer(scene: &Scene) -> Told {
    if scene.kind == Kind::OidcProvider {
        let running = scene.places.under_a_path();
        let issuer = &running.said.issuer;
        assert!(issuer.ends_with("/tenant"), "{issuer}");
        let server = &running.server(&scene.driver);
        assert_eq!(server.issuer.as_ref(), Some(issuer));
        let inner = Scene { running, server, driver: Driver::new(scene.library), ..*scene };
        let client = inner.client("public");
        let tokens = inner.log_in(&client);
        assert_eq!(tokens.issuer(), Some(issuer.as_str()));
        assert_eq!(inner.subject(&client, &tokens), "alice");
        return Told::Though("a path");
    }
    let issuer = &scene.running.said.issuer;
    let Some(other) = issuer.strip_suffix('/') else { return Told::No("no metadata") };
    let error = scene.driver.run(Discovery::new(other)).expect_err("it is another name");
    assert!(matches!(error, Error::Violation(Violation::Issuer)), "{error}");
    let forgiven = Discovery::new(other).quirks(Quirks::none().issuer_with_trailing_slash());
    assert_eq!(scene.driver.run(forgiven).expect("metadata").issuer.as_ref(), Some(issuer));
    Told::Though("a slash")
}

fn tls(scene: &Scene) -> Told {
    let driver = scene.places.authority().driver(scene.library);
    let running = scene.places.over_tls(scene.kind, Leaf::Good);
    let server = &running.server(&driver);
    let inner = Scene { running, server, driver, ..*scene };
    let client = inner.client("post id :/+%~*");
    let (url, pending) = inner.driver.start(inner.authorize(&client)).expect("a URL");
    let callback = scene.places.authority().browser().allow(url.as_str()).callback();
    let grant = pending.accept(Callback::parse(&callback).expect("a callback")).expect("a grant");
    let tokens = inner.driver.run(client.exchange(grant)).expect("tokens");
    let answer = inner.call(&client, &tokens);
    assert_eq!(answer.status(), StatusCode::OK);
    match (scene.kind, scene.library) {
        (Kind::OidcProvider, Library::Reqwest | Library::Hyper) => assert_eq!(answer.version(), Version::HTTP_2),
        _ => assert_ne!(answer.version(), Version::HTTP_2),
    }
    Told::Yes
}

fn bad_tls(scene: &Scene) -> Told {
    let issuer = |leaf| scene.places.over_tls(scene.kind, leaf).said.issuer.clone();
    let ask = |driver: &Driver, issuer: String| match driver.attempt(Discovery::new(issuer)) {
        Err(Failure::Http(said)) => Some(said),
        Err(Failure::Protocol(_)) | Ok(_) => None,
    };
    let trusting = &scene.places.authority().driver(scene.library);
    assert_eq!(ask(trusting, issuer(Leaf::Good)), None, "the others are refused for what they are");
    for (driver, issuer, why) in [
        (&scene.driver, issuer(Leaf::Good), "UnknownIssuer"),
        (trusting, issuer(Leaf::Good).replace("127.0.0.1", "localhost"), "NotValidForName"),
        (trusting, issuer(Leaf::Expired), "Expired"),
        (trusting, issuer(Leaf::SelfSigned), "UnknownIssuer"),
    ] {
        let said = ask(driver, issuer).expect("nothing is sent");
        assert!(said.contains(why), "{why}: {said}");
    }
    Told::Yes
}

fn login_public(scene: &Scene) -> Told {
    let client = scene.client("public");
    let tokens = scene.log_in(&client);
    assert_eq!((tokens.token_type().as_str(), tokens.client_id()), ("Bearer", Some("public")));
    let scope = tokens.scope().expect("a scope");
    assert!(scene.kind.scope().iter().all(|token| scope.contains(token)), "{scope:?}");
    let left = tokens.expires_at().expect("an expiry").saturating_since(now());
    assert!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3000), "{left:?}");
    assert_eq!(scene.call(&client, &tokens).status(), StatusCode::OK);
    Told::Yes
}

fn login_basic(scene: &Scene) -> Told {
    let client = scene.client("basic id :/+%~*");
    match scene.try_to_log_in(&client) {
        Ok(tokens) => {
            assert_eq!(scene.subject(&client, &tokens), "alice");
            Told::Yes
        }
        Err(Error::Server(refusal)) if refusal.code == ErrorCode::INVALID_CLIENT => {
            // It takes them as they are, so the id has no colon.
            let raw =
                scene.builder("raw id /+%~*").quirks(Quirks::none().basic_not_encoded()).build().expect("a client");
            let tokens = scene.log_in(&raw);
            assert_eq!(scene.subject(&raw, &tokens), "alice");
            Told::Though("with `Quirks::basic_not_encoded`, and no `:` in the id")
        }
        Err(error) => panic!("{error}"),
    }
}

fn login_post(scene: &Scene) -> Told {
    let client = scene.client("post id :/+%~*");
    let tokens = scene.log_in(&client);
    assert_eq!(scene.subject(&client, &tokens), "alice");
    Told::Yes
}

fn wrong_secret(scene: &Scene) -> Told {
    let post = scene.builder("post id :/+%~*").authentication(Authentication::post("a guess"));
    let basic = scene.builder("raw id /+%~*").authentication(Authentication::basic("a guess"));
    for builder in [post, basic] {
        let client = builder.build().expect("a client");
        let error = scene.try_to_log_in(&client).expect_err("a refusal");
        assert_eq!(error.remedy(), Remedy::FixConfiguration);
        assert!(matches!(&error, Error::Server(refusal) if refusal.code == ErrorCode::INVALID_CLIENT), "{error}");
    }
    Told::Yes
}

fn iss(scene: &Scene) -> Told {
    let (callback, _) = scene.return_to(&scene.client("public"));
    let callback = Url::parse(&callback).expect("a URL");
    let sent = callback.query_pairs().find(|(name, _)| name == "iss");
    match sent {
        Some((_, iss)) => {
            assert_eq!(iss, scene.running.said.issuer);
            assert!(scene.server.authorization_response_iss_parameter_supported, "it is checked");
            Told::Yes
        }
        None => Told::No("not sent"),
    }
}

fn denied(scene: &Scene) -> Told {
    let client = scene.client("public");
    let (url, pending) = scene.driver.start(scene.authorize(&client)).expect("a URL");
    let callback = Callback::parse(&Browser::new().deny(url.as_str()).callback()).expect("a callback");
    assert!(pending.is_for(&callback));
    let error = pending.accept(callback).expect_err("no grant");
    assert_eq!(error.remedy(), Remedy::LogInAgain);
    assert!(matches!(&error, Error::Server(refusal) if refusal.code == ErrorCode::ACCESS_DENIED), "{error}");
    Told::Yes
}

/// A code that was stolen on its way is worth nothing without the verifier that never left.
fn wrong_verifier(scene: &Scene) -> Told {
    for who in ["public", "post id :/+%~*"] {
        let client = scene.client(who);
        let (callback, pending) = scene.return_to(&client);
        let mut stored = serde_json::to_value(&pending).expect("JSON");
        stored["verifier"] = json!(support::VERIFIER);
        let error = scene.redeem(&client, stored, &callback).expect_err("a refusal");
        assert_eq!(error.remedy(), Remedy::LogInAgain);
        assert!(matches!(&error, Error::Server(refusal) if refusal.code == ErrorCode::INVALID_GRANT), "{error}");
    }
    Told::Yes
}

fn code_used_twice(scene: &Scene) -> Told {
    let client = scene.client("public");
    let (callback, pending) = scene.return_to(&client);
    let stored = serde_json::to_value(&pending).expect("JSON");
    let tokens = scene.redeem(&client, stored.clone(), &callback).expect("tokens");
    let error = scene.redeem(&client, stored, &callback).expect_err("a refusal");
    assert_eq!(error.remedy(), Remedy::LogInAgain);
    assert!(matches!(&error, Error::Server(refusal) if refusal.code == ErrorCode::INVALID_GRANT), "{error}");
    if Session::is_rejection(&scene.call(&client, &tokens)) {
        Told::Though("its tokens end with it")
    } else {
        Told::Though("its tokens live on")
    }
}

fn another_redirect_uri(scene: &Scene) -> Told {
    let client = scene.client("public");
    // The browser is not sent there ..
    let elsewhere = scene.authorize(&client).redirect_uri("http://127.0.0.1:8917/elsewhere");
    let (url, _) = scene.driver.start(elsewhere).expect("a URL");
    let arrival = Browser::new().allow(url.as_str());
    assert!(matches!(arrival, Arrival::Page { status: 400.., .. }), "{arrival:?}");
    // .. and a code is not redeemed with it.
    let (callback, pending) = scene.return_to(&client);
    let mut stored = serde_json::to_value(&pending).expect("JSON");
    stored["redirect_uri"] = json!("http://127.0.0.1:8917/elsewhere");
    let query = callback.split_once('?').expect("a query").1;
    match scene.redeem(&client, stored, query).expect_err("a refusal") {
        Error::Server(refusal) if refusal.code == ErrorCode::INVALID_GRANT => Told::Yes,
        Error::Server(refusal) if refusal.code == ErrorCode::INVALID_REQUEST => Told::Though("as `invalid_request`"),
        error => panic!("{error}"),
    }
}

fn any_port(scene: &Scene) -> Told {
    let client = scene.client("public");
    let elsewhere = scene.authorize(&client).redirect_uri("http://127.0.0.1:50123/callback");
    let (url, pending) = scene.driver.start(elsewhere).expect("a URL");
    match Browser::new().allow(url.as_str()) {
        Arrival::Page { status: 400.., .. } => Told::No("redirect URIs are compared as text"),
        arrival => {
            let grant = pending.accept(Callback::parse(&arrival.callback()).expect("a callback")).expect("a grant");
            scene.driver.run(client.exchange(grant)).expect("tokens");
            Told::Yes
        }
    }
}

fn pushed(scene: &Scene) -> Told {
    for who in ["public", "basic id :/+%~*", "post id :/+%~*"] {
        let client = scene.client(who);
        let (url, pending) = match scene.driver.run(scene.authorize(&client).push()) {
            Err(Error::Usage(Usage::NoEndpoint(_))) => return Told::No("no endpoint"),
            other => other.expect("a URL"),
        };
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        assert!(pending.leave_by().is_some_and(|leave_by| leave_by > pending.started_at()));
        let callback = Browser::new().allow(url.as_str()).callback();
        let grant = pending.accept(Callback::parse(&callback).expect("a callback")).expect("a grant");
        let tokens = scene.driver.run(client.exchange(grant)).expect("tokens");
        assert_eq!(scene.subject(&client, &tokens), "alice");

        let elsewhere = scene.authorize(&client).redirect_uri("https://evil.example/callback").push();
        assert!(matches!(scene.driver.run(elsewhere), Err(Error::Server(_))));
    }
    Told::Yes
}

fn form_post(scene: &Scene) -> Told {
    let client = scene.client("public");
    let (url, pending) = scene.driver.start(scene.authorize(&client).form_post()).expect("a URL");
    match Browser::new().allow(url.as_str()) {
        Arrival::Form(body) => {
            let grant = pending.accept(Callback::parse(&body).expect("a callback")).expect("a grant");
            scene.driver.run(client.exchange(grant)).expect("tokens");
            Told::Yes
        }
        Arrival::Application(_) => Told::No("`response_mode` is ignored"),
        page @ Arrival::Page { .. } => panic!("{page:?}"),
    }
}

fn device(scene: &Scene) -> Told {
    let client = scene.client("basic id :/+%~*");
    let pending = match scene.driver.run(client.device().scope(scene.kind.scope())) {
        Err(Error::Usage(Usage::NoEndpoint(_))) => return Told::No("no endpoint"),
        other => other.expect("a code to show"),
    };
    let page = pending.verification_uri_complete().expect("a link").to_owned();
    assert!(page.starts_with(pending.verification_uri()) && page.contains(pending.user_code()), "{page}");
    let mut waited = Vec::new();
    let polling = Watched {
        inner: client.poll(pending),
        waits: |after: Duration| {
            if waited.is_empty() {
                let arrival = Browser::new().allow(&page);
                assert!(matches!(arrival, Arrival::Page { status: 200, .. }), "{arrival:?}");
            }
            waited.push(after.as_secs());
        },
    };
    let interval = polling.initial_delay().as_secs();
    let tokens = scene.driver.run(polling).expect("tokens");
    assert_eq!(scene.subject(&client, &tokens), "alice");
    match waited[..] {
        [again] if again == interval => Told::Yes,
        [again] if again == interval + 5 => Told::Though("told to slow down"),
        _ => panic!("{interval}, then {waited:?}"),
    }
}

fn device_denied(scene: &Scene) -> Told {
    let client = scene.client("public");
    let pending = match scene.driver.run(client.device().scope(scene.kind.scope())) {
        Err(Error::Usage(Usage::NoEndpoint(_))) => return Told::No("no endpoint"),
        other => other.expect("a code to show"),
    };
    // The person types the code, and says no.
    let page = Url::parse_with_params(pending.verification_uri(), [("user_code", pending.user_code())]);
    let arrival = Browser::new().deny(page.expect("a URL").as_str());
    assert!(matches!(arrival, Arrival::Page { .. }), "{arrival:?}");
    let error = scene.driver.run(client.poll(pending)).expect_err("a refusal");
    assert_eq!(error.remedy(), Remedy::LogInAgain);
    assert!(matches!(&error, Error::Server(refusal) if refusal.code == ErrorCode::ACCESS_DENIED), "{error}");
    Told::Yes
}

/// An exchange that tells when it has to wait.
struct Watched<X, W> {
    inner: X,
    waits: W,
}

impl<X: Exchange, W: FnMut(Duration)> Exchange for Watched<X, W> {
    type Output = X::Output;

    fn initial_delay(&self) -> Duration {
        self.inner.initial_delay()
    }

    fn next_request(&mut self, now: UnixTime, rng: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.inner.next_request(now, rng)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<Self::Output>, Error> {
        let step = self.inner.handle_response(response)?;
        if let Step::Again { after } = step {
            (self.waits)(after);
        }
        Ok(step)
    }
}

fn resource_indicator(scene: &Scene) -> Told {
    let client = scene.client("post id :/+%~*");
    let login = |resource| {
        let asked = client.authorize().scope(["photos"]).resource(resource);
        let (url, pending) = scene.driver.start(asked).expect("a URL");
        let callback = Callback::parse(&Browser::new().allow(url.as_str()).callback()).expect("a callback");
        scene.driver.run(client.exchange(pending.accept(callback)?))
    };
    match login("urn:example:elsewhere") {
        Ok(_) => return Told::No("`resource` is ignored"),
        Err(error) => {
            assert!(matches!(&error, Error::Server(refusal) if refusal.code.as_str() == "invalid_target"), "{error}");
        }
    }
    let tokens = login("urn:example:photos").expect("tokens");
    for tokens in [scene.driver.run(client.refresh(&tokens).expect("a refresh")).expect("tokens"), tokens] {
        let state = scene.driver.run(client.introspect(tokens.access_token())).expect("a state");
        assert_eq!(state.extra().get::<String>("aud").as_deref(), Some("urn:example:photos"));
    }
    Told::Yes
}

fn credentials(scene: &Scene) -> Told {
    let client = scene.client("post id :/+%~*");
    let tokens = scene.driver.run(client.credentials().scope(["photos"])).expect("tokens");
    assert_eq!(tokens.scope().map(Scope::as_str), Some("photos"));
    assert!(tokens.refresh_token().is_none());
    Told::Yes
}

fn call(scene: &Scene) -> Told {
    let client = scene.client("public");
    let tokens = scene.log_in(&client);
    let answer = scene.call(&client, &tokens);
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
    assert_eq!(answer["sub"], "alice");

    let mut stored = serde_json::to_value(&tokens).expect("JSON");
    stored["access_token"] = json!("never-seen-before");
    let another: Tokens = serde_json::from_value(stored).expect("tokens");
    let refused = scene.call(&client, &another);
    assert!(Session::is_rejection(&refused), "{refused:?}");
    let challenge = Challenge::bearer(refused.headers()).expect("a challenge");
    assert_eq!(challenge.error, Some(ErrorCode::INVALID_TOKEN));

    let none = get(&scene.running.said.resource).map(|()| Body::default());
    let refused = scene.driver.run(Call::new(none)).expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(Challenge::bearer(refused.headers()).is_some(), "{refused:?}");
    Told::Yes
}

fn too_little_scope(scene: &Scene) -> Told {
    let client = scene.client("public");
    let (url, pending) = scene.driver.start(client.authorize().scope(["profile"])).expect("a URL");
    let callback = Callback::parse(&Browser::new().allow(url.as_str()).callback()).expect("a callback");
    let tokens = scene.driver.run(client.exchange(pending.accept(callback).expect("a grant"))).expect("tokens");
    let refused = scene.call(&client, &tokens);
    assert!(!Session::is_rejection(&refused), "a refresh would not help");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    if let Some(challenge) = Challenge::bearer(refused.headers()) {
        assert_eq!(challenge.error, Some(ErrorCode::INSUFFICIENT_SCOPE));
        return Told::Yes;
    }
    assert!(!refused.headers().contains_key(WWW_AUTHENTICATE), "{refused:?}");
    Told::Though("without a challenge")
}

fn expired(scene: &Scene) -> Told {
    let client = scene.client("brief");
    let tokens = scene.log_in(&client);
    let refused = until(|| Some(scene.call(&client, &tokens)).filter(Session::is_rejection));
    let challenge = Challenge::bearer(refused.headers()).expect("a challenge");
    assert_eq!(challenge.error, Some(ErrorCode::INVALID_TOKEN));
    // A session whose clock says that they are good still: only the 401 tells.
    let mut stored = serde_json::to_value(&tokens).expect("JSON");
    stored["expires_at"] = json!(now().as_secs() + 3600);
    let tokens = serde_json::from_value(stored).expect("tokens");
    let answer = scene.driver.call_in_session(&client, tokens, get(&scene.running.said.resource));
    assert_eq!(answer.status(), StatusCode::OK);
    Told::Yes
}

fn refresh(scene: &Scene) -> Told {
    let mut rotated = Vec::new();
    for who in ["public", "post id :/+%~*"] {
        let client = scene.client(who);
        let first = scene.log_in(&client);
        let second = scene.driver.run(client.refresh(&first).expect("a refresh")).expect("tokens");
        assert_ne!(first.access_token().expose(), second.access_token().expose());
        assert_eq!(first.scope(), second.scope());
        assert_eq!(scene.subject(&client, &second), "alice");
        let [first, second] = [&first, &second].map(|tokens| tokens.refresh_token().expect("one").expose());
        rotated.push(first != second);
    }
    if rotated == [true, true] { Told::Though("the refresh token rotates") } else { Told::Yes }
}

fn spent_refresh_token(scene: &Scene) -> Told {
    let client = scene.client("public");
    let first = scene.log_in(&client);
    let second = scene.driver.run(client.refresh(&first).expect("a refresh")).expect("tokens");
    let again = |tokens: &Tokens| scene.driver.run(client.refresh(tokens).expect("a refresh"));
    let error = again(&first).expect_err("a refusal");
    assert_eq!(error.remedy(), Remedy::LogInAgain, "{error}");
    match again(&second) {
        Ok(_) => Told::Though("its successor lives on"),
        Err(error) => {
            assert_eq!(error.remedy(), Remedy::LogInAgain, "{error}");
            Told::Though("its successor ends with it")
        }
    }
}

fn introspection(scene: &Scene) -> Told {
    let client = scene.client("post id :/+%~*");
    let tokens = scene.log_in(&client);
    let state = match scene.driver.run(client.introspect(tokens.access_token())) {
        Err(Error::Usage(Usage::NoEndpoint(_))) => return Told::No("no endpoint"),
        other => other.expect("a state"),
    };
    assert!(state.is_active() && state.is_valid_at(now()));
    assert_eq!((state.client_id(), state.subject()), (Some(client.client_id()), Some("alice")));
    assert_eq!(state.scope(), tokens.scope());
    let (told, counted) = (state.expires_at().expect("exp"), tokens.expires_at().expect("an expiry"));
    // We count from when we asked, so ours is not the later one.
    assert!(counted <= told && told.saturating_since(counted) < Duration::from_secs(60));
    let nothing = scene.driver.run(client.introspect(&Secret::new("never seen / before+"))).expect("a state");
    assert!(!nothing.is_active() && nothing.client_id().is_none());
    Told::Yes
}

fn revocation(scene: &Scene) -> Told {
    let mut lives_on = Vec::new();
    for who in ["public", "basic id :/+%~*", "post id :/+%~*"] {
        let client = scene.client(who);
        let give_back = |tokens: &Tokens| scene.driver.run(client.revoke(tokens).expect("a revocation"));
        if scene.server.revocation_endpoint.is_none() {
            let tokens = serde_json::from_value(json!({ "access_token": "a" })).expect("tokens");
            assert!(matches!(give_back(&tokens), Err(Error::Usage(Usage::NoEndpoint(_)))));
            return Told::No("no endpoint");
        }
        let tokens = scene.log_in(&client);
        give_back(&tokens).expect("success");
        let error = scene.driver.run(client.refresh(&tokens).expect("a refresh")).expect_err("it is gone");
        assert_eq!(error.remedy(), Remedy::LogInAgain);
        lives_on.push(!Session::is_rejection(&scene.call(&client, &tokens)));
        // RFC 7009 section 2.2: what is gone already is as good as revoked.
        give_back(&tokens).expect("success");
    }
    if lives_on.contains(&true) { Told::Though("access tokens live on") } else { Told::Yes }
}

// The parts.

/// A client, as it is registered everywhere.
#[derive(Deserialize)]
pub(crate) struct Registered {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<String>,
    pub(crate) token_endpoint_auth_method: String,
}

impl Registered {
    pub(crate) fn builder(&self, server: Server) -> ClientBuilder {
        let authentication = match (self.client_secret.as_deref(), self.token_endpoint_auth_method.as_str()) {
            (Some(secret), "client_secret_basic") => Authentication::basic(secret),
            (Some(secret), "client_secret_post") => Authentication::post(secret),
            _ => Authentication::none(),
        };
        Client::builder(server, &self.client_id).authentication(authentication).redirect_uri(REDIRECT_URI)
    }
}

/// The client of this id.
pub(crate) fn registered(client_id: &str) -> Registered {
    let all: Vec<Registered> = serde_json::from_str(include_str!("clients.json")).expect("clients");
    all.into_iter().find(|client| client.client_id == client_id).expect("it is registered")
}

/// Nobody listens there: the browser is played, and stops at its door.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:8917/callback";

impl Scene<'_> {
    fn builder(&self, client_id: &str) -> ClientBuilder {
        registered(client_id).builder(self.server.clone())
    }

    fn client(&self, client_id: &str) -> Client {
        self.builder(client_id).build().expect("a client")
    }

    fn authorize(&self, client: &Client) -> Authorization {
        client.authorize().scope(self.kind.scope())
    }

    /// A login that somebody agreed to: where the browser is sent, and what was kept.
    fn return_to(&self, client: &Client) -> (String, Pending) {
        let (url, pending) = self.driver.start(self.authorize(client)).expect("a URL");
        (Browser::new().allow(url.as_str()).callback(), pending)
    }

    fn try_to_log_in(&self, client: &Client) -> Result<Tokens, Error> {
        let (callback, pending) = self.return_to(client);
        self.driver.run(client.exchange(pending.accept(Callback::parse(&callback)?)?))
    }

    fn log_in(&self, client: &Client) -> Tokens {
        self.try_to_log_in(client).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Redeems a code with what was stored of its login.
    fn redeem(&self, client: &Client, stored: Value, callback: &str) -> Result<Tokens, Error> {
        let pending: Pending = serde_json::from_value(stored).expect("a login");
        self.driver.run(client.exchange(pending.accept(Callback::parse(callback)?)?))
    }

    fn call(&self, client: &Client, tokens: &Tokens) -> Response<Vec<u8>> {
        self.driver.run(client.call(tokens, get(&self.running.said.resource))).expect("an answer")
    }

    /// Whom the resource takes the token's bearer for.
    fn subject(&self, client: &Client, tokens: &Tokens) -> String {
        let answer: Value = serde_json::from_slice(self.call(client, tokens).body()).expect("JSON");
        answer["sub"].as_str().expect("a subject").to_owned()
    }
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).expect("a request")
}

fn now() -> UnixTime {
    std::time::SystemTime::now().into()
}

/// What there is in the end.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::sleep(Duration::from_millis(200));
    }
}
