//! A whole life in any order: logins begun and come back, answers of every kind, connections that break, a clock that
//! jumps, over every operation. What was refused has changed nothing, and nothing went where it should not.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use oracle::{
    CLIENT_ID, Counting, ISSUER, NOW, ORIGIN, REDIRECT_URI, all, assert_once, assert_over, assert_request,
    assert_silent, body, clients, encode, is_private, is_safe, response, s256, server, stored, told,
};
use proofkey_core::{
    Authentication, Callback, CallbackError, Client, CodeGrant, Completion, Discovery, Error, Exchange, Next, Pending,
    Quirks, Refresh, Remedy, ResourceDiscovery, Secret, Session, Step, Ticket, Tokens, UnixTime, Usage,
};
use serde_json::{Value, json};

const RESOURCE: &str = "https://api.example.com";

fuzz_target!(|input: &[u8]| {
    let mut dice = Dice(Unstructured::new(input));
    let which = dice.below(3);
    let mut world = World {
        client: clients()[which].clone(),
        forgiving: which == 2,
        rng: Counting(0),
        now: NOW,
        minted: Vec::new(),
        logins: BTreeMap::new(),
        tokens: None,
        session: None,
        tickets: Vec::new(),
    };
    for _ in 0..32 {
        if dice.0.is_empty() {
            break;
        }
        match dice.below(16) {
            0 | 1 => world.leave(&mut dice),
            2..=4 => world.come_back(&mut dice),
            5 => world.refresh(&mut dice),
            6 => world.end(&mut dice),
            7 => world.ask(&mut dice),
            8 => world.call(&mut dice),
            9 if dice.below(2) == 0 => world.credentials(&mut dice),
            9 => world.device(&mut dice),
            10 => world.discover(&mut dice),
            11 => world.discover_resource(&mut dice),
            12..=14 => world.session(&mut dice),
            _ => world.pass(&mut dice),
        }
    }
});

/// Decisions, until the input is used up; then always the first.
struct Dice<'a>(Unstructured<'a>);

impl Dice<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.0.int_in_range(0..=count - 1).unwrap_or(0)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.below(64).min(self.0.len());
        self.0.bytes(count).map(<[u8]>::to_vec).unwrap_or_default()
    }
}

struct World {
    client: Client,
    forgiving: bool,
    rng: Counting,
    now: UnixTime,
    /// The secrets that servers gave.
    minted: Vec<String>,
    /// What one browser has under way, as it is stored, by state.
    logins: BTreeMap<String, String>,
    /// As they are stored.
    tokens: Option<String>,
    session: Option<Session>,
    tickets: Vec<(Ticket, Refresh)>,
}

/// What became of an exchange, with the forms that it sent.
enum End<T> {
    Done(T, Vec<String>),
    Refused(Error, Vec<String>),
    /// The connection broke.
    Lost,
}

impl World {
    /// Runs an exchange against whatever the dice say, over at most so many requests to these places.
    fn drive<X: Exchange + Debug>(
        &mut self,
        dice: &mut Dice<'_>,
        mut exchange: X,
        most: usize,
        origins: &[&str],
    ) -> End<X::Output> {
        let mut sent = Vec::new();
        loop {
            let request = match exchange.next_request(self.now, &mut self.rng) {
                Ok(request) => request,
                Err(error) => {
                    assert!(
                        sent.is_empty() || !matches!(error, Error::Usage(_)),
                        "{error}: what came so far was vetted"
                    );
                    assert_silent(&told(&error), self.minted.iter().map(String::as_str));
                    assert_over(&mut exchange);
                    return End::Refused(error, sent);
                }
            };
            assert_request(&request, origins);
            sent.push(body(&request));
            assert!(sent.len() <= most, "{} requests", sent.len());
            let secrets = oracle::secrets(&request);
            let secrets = || secrets.iter().map(String::as_str);
            assert_silent(&format!("{exchange:?}"), secrets());
            match dice.below(12) {
                0 => return End::Lost,
                1 => {
                    assert!(exchange.next_request(self.now, &mut self.rng).is_err(), "an answer is owed");
                    assert_over(&mut exchange);
                    return End::Lost;
                }
                _ => {}
            }
            let answer = self.answer(dice, &request);
            match exchange.handle_response(answer) {
                Ok(Step::Again { after }) => self.now = self.now.saturating_add(after),
                Ok(Step::Done(output)) => {
                    assert_over(&mut exchange);
                    return End::Done(output, sent);
                }
                Err(error) => {
                    assert!(!matches!(error, Error::Usage(_)), "{error}: nobody here asked for it");
                    assert_silent(&told(&error), secrets());
                    assert_over(&mut exchange);
                    return End::Refused(error, sent);
                }
            }
        }
    }

    fn mint(&mut self, what: &str) -> String {
        let secret = format!("Canary.{what}/of+{}==", self.rng.0);
        self.rng.0 += 1;
        self.minted.insert(0, secret.clone());
        self.minted.truncate(6);
        secret
    }

    fn answer(&mut self, dice: &mut Dice<'_>, request: &Request<proofkey_core::Body>) -> Response<Vec<u8>> {
        let statuses = [200, 200, 200, 200, 201, 204, 301, 307, 400, 400, 401, 404, 408, 429, 500, 503];
        let status = StatusCode::from_u16(dice.pick(&statuses)).expect("a status");
        let text = match dice.below(10) {
            0..=2 if request.uri().path() == "/device_authorization" => self.device_answer(dice),
            0..=2 => self.token_answer(dice),
            3 => {
                // A server that quotes what it was sent.
                let (form, secret) = (body(request), oracle::secrets(request).into_iter().next().unwrap_or_default());
                let words = dice.pick(&[form.clone(), secret.clone(), encode(&secret), format!("https://as.example.com/?{form}")]);
                let pending = ["authorization_pending", "slow_down"];
                let codes = [pending[0], pending[0], pending[1], "invalid_grant", "invalid_client", "temporarily_unavailable", "x", &secret];
                let code = dice.pick(&codes);
                json!({"error": code, "error_description": words, "error_uri": words}).to_string()
            }
            4 => json!({"active": dice.pick(&[json!(true), json!(false), json!("true"), Value::Null]), "exp": self.now.as_secs(),
                "sub": "alice", "scope": "read", "private": self.mint("member")})
            .to_string(),
            5 => json!({"request_uri": dice.pick(&["urn:x:1", "", "a b"]), "expires_in": dice.pick(&[60, 0])}).to_string(),
            6 | 7 => metadata(dice),
            8 => return response(status, &[], dice.bytes()),
            _ => String::new(),
        };
        let mut headers = Vec::new();
        if dice.below(3) == 0 {
            let after = dice.pick(&["0", "1", "86401", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"]);
            let asks =
                dice.pick(&["Bearer error=invalid_token", "Bearer", "DPoP error=\"use_dpop_nonce\"", "Bearer ="]);
            headers = vec![
                (RETRY_AFTER, HeaderValue::from_static(after)),
                (WWW_AUTHENTICATE, HeaderValue::from_static(asks)),
                (LOCATION, HeaderValue::from_static("https://evil.example/")),
                (CACHE_CONTROL, HeaderValue::from_static("max-age=600")),
            ];
        }
        response(status, &headers, text)
    }

    fn device_answer(&mut self, dice: &mut Dice<'_>) -> String {
        let pages =
            ["https://as.example.com/device", "http://as.example.com/#d", "javascript:alert(1)", "https://a b/", ""];
        let codes = ["WDJB-MJHT", "1 2", "\u{1b}[2J", "\u{202E}", " "];
        let times = [json!(1800), json!(5), json!("90.5"), json!(0), json!(-1), json!(1e300), Value::Null];
        json!({"device_code": self.mint("device"), "user_code": dice.pick(&codes), "verification_uri": dice.pick(&pages),
            "verification_uri_complete": dice.pick(&[Value::Null, json!(pages[0]), json!(pages[2])]),
            "expires_in": dice.pick(&times), "interval": dice.pick(&times)})
        .to_string()
    }

    fn token_answer(&mut self, dice: &mut Dice<'_>) -> String {
        let mut answer =
            json!({"access_token": self.mint("access"), "token_type": dice.pick(&["Bearer", "bearer", "mac", ""])});
        if dice.below(2) == 0 {
            answer["refresh_token"] = self.mint("refresh").into();
        }
        if dice.below(2) == 0 {
            answer["expires_in"] =
                dice.pick(&[json!(0), json!(1), json!(3600), json!(u64::MAX), json!("90.5"), json!(-1), json!(1e300)]);
        }
        match dice.below(6) {
            0 => {
                answer["scope"] =
                    dice.pick(&[json!("read"), json!(["read", "write"]), json!(""), json!("a\nb"), json!([1])])
            }
            1 => answer["error"] = dice.pick(&[json!("invalid_grant"), json!(""), Value::Null, json!(["x"])]),
            2 => answer["private"] = self.mint("member").into(),
            3 => return answer.to_string().replace("\"token_type\"", "\"access_token\":\"b\",\"token_type\""),
            _ => {}
        }
        answer.to_string()
    }

    /// A login leaves: by the address bar or by the back door.
    fn leave(&mut self, dice: &mut Dice<'_>) {
        let mut authorization =
            self.client.authorize().scope(dice.pick(&[&[][..], &["read"], &["read", "write"], &["a b"]]));
        for _ in 0..dice.below(3) {
            authorization = authorization
                .param(dice.pick(&["prompt", "state", "login_hint", "x y"]), dice.pick(&["", "a&b=c", "ü"]));
        }
        if dice.below(2) == 0 {
            let Ok((url, pending)) = authorization.redirect(self.now, &mut self.rng) else { return };
            assert!(url.as_str().starts_with("https://as.example.com/authorize?"));
            self.left(url.query().expect("parameters"), &pending);
        } else if let End::Done((url, pending), sent) = self.drive(dice, authorization.push(), 1, &[ORIGIN]) {
            let query = url.query().expect("parameters");
            assert!(url.as_str().starts_with("https://as.example.com/authorize?"));
            assert_eq!((all(query, "client_id"), all(query, "request_uri").len()), (vec![CLIENT_ID.to_owned()], 1));
            assert_eq!(oracle::pairs(query).len(), 2);
            assert!(pending.leave_by().is_some());
            self.left(&sent[0], &pending);
        }
    }

    fn left(&mut self, form: &str, pending: &Pending) {
        assert_once(form);
        assert_eq!(all(form, "state"), [pending.state()]);
        assert_eq!(all(form, "code_challenge"), [s256(&stored(pending, "verifier"))]);
        assert_eq!(all(form, "code_challenge_method"), ["S256"]);
        assert_eq!(
            (all(form, "response_type"), all(form, "client_id")),
            (vec!["code".to_owned()], vec![CLIENT_ID.to_owned()])
        );
        assert_eq!(all(form, "redirect_uri"), [REDIRECT_URI]);
        assert_silent(&format!("{pending:?}"), [pending.state(), &stored(pending, "verifier")]);
        let kept = serde_json::to_string(pending).expect("a login can be stored");
        assert!(self.logins.insert(pending.state().to_owned(), kept).is_none(), "a state serves once");
    }

    /// Something comes to the redirect URI.
    fn come_back(&mut self, dice: &mut Dice<'_>) {
        let known: Vec<_> = self.logins.keys().cloned().chain([String::new(), "stranger".to_owned()]).collect();
        let code = self.mint("code");
        let mut given = vec![("state", dice.pick(&known))];
        match dice.below(4) {
            0 => given.push(("error", dice.pick(&["access_denied", "", "server_error", "\u{7F}"]).to_owned())),
            _ => given.push(("code", code)),
        }
        if dice.below(4) != 0 {
            given.push((
                "iss",
                dice.pick(&[ISSUER, ISSUER, ISSUER, "https://as.example.com/", "https://evil.example", ""]).to_owned(),
            ));
        }
        for _ in 0..dice.below(3) {
            let name = dice.pick(&[
                "code",
                "state",
                "iss",
                "error",
                "access_token",
                "response",
                "session_state",
                "error_description",
            ]);
            let value = dice.pick(&["", "x", "a\nb", "stranger", ISSUER]).to_owned();
            given.insert(dice.below(given.len() + 1), (name, value));
        }
        let place = dice.pick(&["", "", "?", "/cb?", "https://client.example.org/cb?", "https://evil.example/cb?"]);
        let pairs: Vec<_> = given.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let query = format!("{place}{}", pairs.join("&"));

        // RFC 6749 sections 3.1 and 4.1.2, RFC 9207 section 2.4, RFC 9700 section 2.1.2, read once more.
        let values = |name: &str| {
            given.iter().filter(|(own, _)| *own == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        let names = ["code", "state", "iss", "error", "error_description"];
        let is_well_formed = names.iter().all(|name| values(name).len() <= 1)
            && values("access_token").concat().is_empty()
            && values("response").concat().is_empty();
        let is_printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let is_code = is_printable(&values("code").concat()) && values("error").concat().is_empty();
        let is_ours = self.logins.contains_key(&values("state").concat()) && !place.contains("evil");
        let is_good = is_well_formed && is_code && is_ours && values("iss").concat() == ISSUER;

        let callback = match Callback::parse(&query) {
            Ok(callback) => callback,
            Err(error) => {
                assert_silent(&told(&error), self.secrets());
                return assert!(!is_good, "{query}: {error}");
            }
        };
        assert_silent(&format!("{callback:?}"), self.secrets());
        let Some(kept) = self.logins.get(callback.state()).cloned() else { return assert!(!is_good) };
        let pending: Pending = serde_json::from_str(&kept).expect("a stored login can be read");
        if !pending.is_for(&callback) {
            assert_eq!(serde_json::to_string(&pending).expect("as before"), kept, "a stranger changes nothing");
            return assert!(!is_ours);
        }
        self.logins.remove(callback.state());
        let secrets = [pending.state().to_owned(), stored(&pending, "verifier")];
        match pending.accept(callback) {
            Ok(grant) => {
                assert!(is_good, "{query}");
                let started_at = UnixTime::from_secs(
                    serde_json::from_str::<Value>(&kept).expect("as before")["started_at"].as_u64().expect("seconds"),
                );
                self.redeem(dice, grant, &values("code").concat(), &secrets[1], started_at);
            }
            Err(error) => {
                assert!(!is_good, "{query}: {error}");
                assert_silent(&told(&error), secrets.iter().map(String::as_str).chain(self.secrets()));
                if matches!(error, Error::Server(_)) {
                    let may_be_unnamed = self.forgiving && values("iss").concat().is_empty();
                    assert!(is_well_formed && (may_be_unnamed || values("iss").concat() == ISSUER));
                }
            }
        }
    }

    fn redeem(&mut self, dice: &mut Dice<'_>, grant: CodeGrant, code: &str, verifier: &str, started_at: UnixTime) {
        assert_silent(&format!("{grant:?}"), [verifier].into_iter().chain(self.secrets()));
        let other = match dice.below(8) {
            0 => Client::builder(server(), "another").build(),
            1 => {
                let mut elsewhere = server();
                elsewhere.issuer = Some("https://evil.example".to_owned());
                oracle_client(elsewhere)
            }
            2 => {
                let mut elsewhere = server();
                elsewhere.token_endpoint = "https://evil.example/token".to_owned();
                oracle_client(elsewhere)
            }
            _ => Ok(self.client.clone()),
        }
        .expect("the fixture is valid");
        let is_other = other.client_id() != CLIENT_ID || other.server() != self.client.server();
        let age = self.now.saturating_since(started_at).max(started_at.saturating_since(self.now));
        match self.drive(dice, other.exchange(grant), 1, &[ORIGIN]) {
            End::Done(tokens, sent) => {
                assert!(!is_other && age <= Duration::from_secs(30 * 60));
                assert_eq!(
                    (all(&sent[0], "code"), all(&sent[0], "code_verifier")),
                    (vec![code.to_owned()], vec![verifier.to_owned()])
                );
                assert_eq!(
                    (stored(&tokens, "issuer").as_str(), stored(&tokens, "client_id").as_str()),
                    (ISSUER, CLIENT_ID)
                );
                self.keep(&tokens);
            }
            End::Refused(Error::Usage(Usage::OtherServer | Usage::OtherClient), sent) => {
                assert!(is_other && sent.is_empty())
            }
            End::Refused(Error::Callback(CallbackError::Expired), sent) => {
                assert!(age > Duration::from_secs(30 * 60) && sent.is_empty())
            }
            End::Refused(error, sent) => assert!(sent.len() == 1, "{error}"),
            End::Lost => {}
        }
    }

    fn keep(&mut self, tokens: &Tokens) {
        assert_silent(&format!("{tokens:?}"), self.secrets());
        let kept = serde_json::to_string(tokens).expect("tokens can be stored");
        let back: Tokens = serde_json::from_str(&kept).expect("and read back");
        assert_eq!(serde_json::to_string(&back).expect("and stored again"), kept);
        self.tokens = Some(kept);
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.minted.iter().map(String::as_str)
    }

    /// The tokens as the store has them, or some.
    fn tokens(&self) -> Tokens {
        let some = r#"{"access_token":"Canary.access/of+some","refresh_token":"Canary.refresh/of+some"}"#;
        serde_json::from_str(self.tokens.as_deref().unwrap_or(some)).expect("stored tokens can be read")
    }

    fn refresh(&mut self, dice: &mut Dice<'_>) {
        let tokens = self.tokens();
        let before = serde_json::to_string(&tokens).expect("tokens can be stored");
        let Ok(refresh) = self.client.refresh(&tokens) else { return assert!(tokens.refresh_token().is_none()) };
        let refresh = if dice.below(2) == 0 { refresh } else { refresh.scope(dice.pick(&[["read"], ["admin"]])) };
        match self.drive(dice, refresh, 1, &[ORIGIN]) {
            End::Done(renewed, sent) => {
                assert_eq!(all(&sent[0], "refresh_token"), [stored(&tokens, "refresh_token")]);
                assert!(renewed.refresh_token().is_some(), "the old one stays where there is no new one");
                self.keep(&renewed);
            }
            End::Refused(..) | End::Lost => {
                assert_eq!(serde_json::to_string(&tokens).expect("as before"), before, "a refusal changes nothing");
            }
        }
    }

    fn end(&mut self, dice: &mut Dice<'_>) {
        let revocation = self.client.revoke(&self.tokens()).expect("they are this client's");
        if let End::Done((), sent) = self.drive(dice, revocation, 2, &[ORIGIN]) {
            assert_eq!(sent.len(), 1 + usize::from(self.tokens().refresh_token().is_some()));
            self.tokens = None;
        }
    }

    fn ask(&mut self, dice: &mut Dice<'_>) {
        let token = Secret::new(self.mint("introspected"));
        if let End::Done(state, _) = self.drive(dice, self.client.introspect(&token), 1, &[ORIGIN]) {
            assert!(
                state.is_active()
                    || (state.scope().is_none() && state.subject().is_none() && state.extra().names().is_empty())
            );
            assert!(state.is_active() || !state.is_valid_at(self.now));
            assert_silent(&format!("{state:?}"), self.secrets());
        }
    }

    fn call(&mut self, dice: &mut Dice<'_>) {
        let place = dice.pick(&[
            "https://api.example.com/a",
            "http://api.example.com/a",
            "https://api.example.com/?access_token=x",
        ]);
        let mut request = Request::get(place).body(dice.bytes()).expect("a request");
        if dice.below(4) == 0 {
            request.headers_mut().insert("authorization", HeaderValue::from_static("Basic YQ=="));
        }
        let is_safe = place.ends_with("com/a") && place.starts_with("https") && request.headers().is_empty();
        let mut call = self.client.call(&self.tokens(), request);
        let Ok(request) = call.next_request(self.now, &mut self.rng) else { return assert!(!is_safe) };
        assert!(is_safe && request.uri() == place);
        assert_eq!(request.headers().get("authorization"), Some(&self.tokens().authorization_header()));
        let answer = response(StatusCode::IM_A_TEAPOT, &[], dice.bytes());
        let Ok(Step::Done(passed)) = call.handle_response(answer.clone()) else {
            panic!("it is the application's to read")
        };
        assert_eq!((passed.status(), passed.body()), (answer.status(), answer.body()));
        assert_over(&mut call);
    }

    fn credentials(&mut self, dice: &mut Dice<'_>) {
        match self.drive(dice, self.client.credentials().scope(["read"]), 1, &[ORIGIN]) {
            End::Done(tokens, _) => self.keep(&tokens),
            End::Refused(Error::Usage(usage), _) => assert_eq!(usage, Usage::PublicClient),
            End::Refused(..) | End::Lost => {}
        }
    }

    /// A login without a browser: what to show, and polls until that ends.
    fn device(&mut self, dice: &mut Dice<'_>) {
        let exchange = self.client.device().scope(["read"]);
        let End::Done(pending, sent) = self.drive(dice, exchange, 1, &[ORIGIN]) else { return };
        assert_once(&sent[0]);
        assert!(!pending.user_code().trim().is_empty() && !pending.user_code().contains(char::is_control));
        for page in std::iter::once(pending.verification_uri()).chain(pending.verification_uri_complete()) {
            assert!(page.starts_with("http") && page.bytes().all(|byte| byte.is_ascii_graphic()), "{page}");
        }
        let (ends, code) = (pending.expires_at(), stored(&pending, "device_code"));
        assert!(ends.saturating_since(self.now) <= Duration::from_secs(24 * 60 * 60));
        assert_silent(&format!("{pending:?}"), [code.as_str(), pending.user_code()]);
        let kept = serde_json::to_string(&pending).expect("it can be stored");
        let polling = self.client.poll(serde_json::from_str(&kept).expect("and read back"));
        self.now = self.now.saturating_add(polling.initial_delay());
        let begun = self.now;
        match self.drive(dice, polling, 24 * 60 * 60, &[ORIGIN]) {
            End::Done(tokens, sent) => {
                assert!(begun < ends && sent.iter().all(|form| all(form, "device_code") == [code.as_str()]));
                self.keep(&tokens);
            }
            End::Refused(error, sent) => {
                let expired = matches!(error, Error::Callback(CallbackError::Expired));
                assert!(expired == (self.now >= ends) || !sent.is_empty(), "{error}");
            }
            End::Lost => {}
        }
    }

    fn discover(&mut self, dice: &mut Dice<'_>) {
        if let End::Done(server, _) = self.drive(dice, Discovery::new(ISSUER), 3, &[ORIGIN]) {
            assert_eq!(server.issuer.as_deref(), Some(ISSUER));
            assert!(is_safe(&server.token_endpoint) && !server.token_endpoint.contains("localhost"));
        }
    }

    fn discover_resource(&mut self, dice: &mut Dice<'_>) {
        let origins = [RESOURCE, ORIGIN, "https://evil.example"];
        if let End::Done(found, _) = self.drive(dice, ResourceDiscovery::new(RESOURCE), 4, &origins) {
            assert_eq!(found.resource, RESOURCE);
            assert!(is_safe(&found.server.token_endpoint) && !is_private(&found.server.token_endpoint));
        }
    }

    fn session(&mut self, dice: &mut Dice<'_>) {
        let Some(mut session) = self.session.take() else {
            self.tickets.clear();
            self.session = Some(Session::new(self.client.clone(), self.tokens()).expect("they are this client's"));
            return;
        };
        match dice.below(8) {
            0..=2 => match session.next(self.now, &mut self.rng) {
                Next::Refresh(ticket, refresh) => {
                    assert!(
                        !self.tickets.iter().any(|(ticket, _)| session.is_current(ticket)),
                        "one refresh at a time"
                    );
                    assert!(session.is_current(&ticket));
                    self.tickets.push((ticket, refresh));
                }
                Next::Wait => assert!(session.usable(self.now).is_none()),
                Next::LogIn => assert!(session.usable(self.now).is_none()),
                Next::Later(delay) => {
                    assert!(session.usable(self.now).is_none() && delay <= Duration::from_secs(86_402))
                }
                Next::Use(tokens) => {
                    assert!(tokens.expires_at().is_none_or(|at| self.now <= at || session.usable(self.now).is_none()))
                }
            },
            3..=5 if !self.tickets.is_empty() => {
                let (ticket, refresh) = self.tickets.swap_remove(dice.below(self.tickets.len()));
                let before = session.tokens().cloned();
                let is_current = session.is_current(&ticket);
                let outcome = match self.drive(dice, refresh, 1, &[ORIGIN]) {
                    End::Done(tokens, _) => Ok(Arc::new(tokens)),
                    End::Refused(error, _) => Err(error.remedy()),
                    End::Lost => Err(Remedy::TryLater(None)),
                };
                match session.complete(ticket, outcome, self.now) {
                    Completion::Renewed(tokens) => {
                        assert!(is_current && session.tokens().is_some_and(|own| Arc::ptr_eq(own, &tokens)))
                    }
                    Completion::Failed(Remedy::LogInAgain) => assert!(is_current && session.tokens().is_none()),
                    Completion::Failed(_) => assert!(is_current && same(&before, session.tokens())),
                    Completion::Stale(_) => assert!(!is_current && same(&before, session.tokens())),
                }
            }
            6 => {
                let tokens = self.tokens();
                session.reject(&tokens);
            }
            7 if dice.below(2) == 0 => drop(session.clear()),
            _ => {
                let before = session.tokens().cloned();
                let foreign = r#"{"access_token":"a","client_id":"another"}"#;
                let foreign: Tokens = serde_json::from_str(foreign).expect("tokens");
                assert!(session.install(foreign).is_err() && same(&before, session.tokens()));
                session.install(self.tokens()).expect("they are this client's");
            }
        }
        assert_silent(&format!("{session:?}"), self.secrets());
        self.session = Some(session);
    }

    /// Time goes by, or back.
    fn pass(&mut self, dice: &mut Dice<'_>) {
        let now = self.now.as_secs();
        let times = [
            now.saturating_add(1),
            now.saturating_add(1800),
            now.saturating_add(86_400),
            now.saturating_sub(1801),
            NOW.as_secs(),
            0,
            u64::MAX,
        ];
        self.now = UnixTime::from_secs(dice.pick(&times));
    }
}

fn same(before: &Option<Arc<Tokens>>, after: Option<&Arc<Tokens>>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after),
        (before, after) => before.is_none() && after.is_none(),
    }
}

fn oracle_client(server: proofkey_core::Server) -> Result<Client, Error> {
    Ok(oracle::client(server, Authentication::none(), Quirks::none()))
}

/// A document about a server, a resource or both.
fn metadata(dice: &mut Dice<'_>) -> String {
    let places = [
        "https://as.example.com/token",
        "https://evil.example/token",
        "http://as.example.com/token",
        "https://localhost/token",
        "https://10.0.0.1/token",
    ];
    let mut document = json!({
        "resource": dice.pick(&[RESOURCE, "https://api.example.com/", "https://evil.example"]),
        "authorization_servers": dice.pick(&[json!([ISSUER]), json!(["https://evil.example"]), json!(["https://10.0.0.1"]),
            json!(["https://as.example.com/.well-known/x"]),
            json!(["http://as.example.com"]), json!(["https://localhost"]), json!([]), json!("x")]),
        "issuer": dice.pick(&[ISSUER, "https://evil.example", "https://as.example.com/"]),
        "authorization_endpoint": "https://as.example.com/authorize",
        "token_endpoint": dice.pick(&places),
    });
    if dice.below(3) == 0 {
        document["revocation_endpoint"] = dice.pick(&places).into();
        document["code_challenge_methods_supported"] = dice.pick(&[json!(["S256"]), json!(["plain"]), Value::Null]);
    }
    document.to_string()
}
