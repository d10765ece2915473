//! Whole logins against the embedded server, whose checks are not ours, and what one does with their tokens: through each
//! transport, and through the loop that anybody can write who has a socket.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use proofkey::{
    Authentication, Authorization, Body, Callback, CallbackError, Challenge, Client, Error, ErrorCode, Exchange,
    Pending, Remedy, Secret, Server, Session, Step, Tokens, UnixTime, Usage, Violation, blocking, hyper, reqwest,
};
use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};
use serde_json::{Value, json};
use url::Url;

mod support;

use support::Octets;

// Logging in.

#[test]
fn every_client_logs_in_and_sees_the_photos() {
    for driver in Driver::all() {
        let server = start();
        for registered in RegisteredClient::ALL {
            server.forget_requests();
            let client = client(&server, registered);
            let tokens = driver.log_in(&server, &client);
            assert_eq!(tokens.token_type().as_str(), "Bearer", "{driver}");
            assert_eq!(tokens.scope().map(proofkey::Scope::as_str), Some("photos profile"), "{driver}");
            assert_eq!((tokens.issuer(), tokens.client_id()), (Some(server.issuer()), Some(registered.id)), "{driver}");
            let left = tokens.expires_at().expect("an expiry").saturating_since(now());
            assert!((3590..=3600).contains(&left.as_secs()), "{driver}: {left:?}");
            assert!(tokens.refresh_token().is_some(), "{driver}");

            let photos = driver.run(client.call(&tokens, get(&server.resource()))).expect("an answer");
            assert_eq!(photos.status(), StatusCode::OK, "{driver}");
            let photos: Value = serde_json::from_slice(photos.body()).expect("JSON");
            assert_eq!((&photos["sub"], &photos["client_id"]), (&json!("alice"), &json!(registered.id)), "{driver}");

            // Each names itself once, and proves who it is in one way.
            let seen = server.requests();
            let asked = seen.iter().find(|seen| seen.path == "/token").expect("a token request");
            let mut names = vec!["grant_type", "code", "redirect_uri", "code_verifier"];
            match registered {
                RegisteredClient::PUBLIC => names.push("client_id"),
                RegisteredClient::POST => names.extend(["client_id", "client_secret"]),
                _ => {}
            }
            assert_eq!(asked.parameter_names(), names, "{driver} {}", registered.id);
            assert_eq!(asked.authorization().is_some(), registered == RegisteredClient::BASIC, "{driver}");
            assert_eq!((asked.status, asked.query.as_deref()), (200, None), "{driver}");
        }
        assert_eq!((server.token_requests(), server.code_replays()), (3, 0), "{driver}");
    }
}

/// Between any two steps, everything may lie in a store and be taken up by another process.
#[test]
fn a_login_survives_its_process() {
    for driver in Driver::all() {
        let server = start();
        let registered = RegisteredClient::BASIC;
        let (url, pending) = driver.start(client(&server, registered).authorize().scope(["photos"]));
        let pending = json_of(&pending);
        let location = server.person().allow(url.as_str());
        let grant = read::<Pending>(&pending).accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        let tokens = driver.run(client(&server, registered).exchange(grant)).expect("tokens");
        let tokens: Tokens = read(&json_of(&tokens));
        let photos = driver.run(client(&server, registered).call(&tokens, get(&server.resource())));
        assert_eq!(photos.expect("an answer").status(), StatusCode::OK, "{driver}");
    }
}

/// The callback may be given as a query, a request target or a whole URL.
#[test]
fn a_callback_is_read_as_the_listener_has_it() {
    let driver = Driver::bare();
    let server = start();
    let client = client(&server, RegisteredClient::PUBLIC);
    for form in ["query", "target", "URL"] {
        let (pending, location) = driver.return_from(&server, &client);
        let url = Url::parse(&location).expect("a URL");
        let query = url.query().expect("a query");
        let input = match form {
            "query" => query.to_owned(),
            "target" => format!("{}?{query}", url.path()),
            _ => location,
        };
        let grant = pending.accept(Callback::parse(&input).expect("a callback")).expect("a grant");
        assert!(driver.run(client.exchange(grant)).is_ok(), "{form}");
    }
}

/// Several tabs log in at once; each callback finds its own login, in whatever order they return.
#[test]
fn several_logins_are_in_flight_at_once() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let begun: Vec<_> = (0..3).map(|_| driver.return_from(&server, &client)).collect();
        let (mut kept, locations): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
        for location in locations.iter().rev() {
            let callback = Callback::parse(location).expect("a callback");
            let at = kept.iter().position(|pending| pending.state() == callback.state()).expect("a login");
            let own: Vec<_> = kept.iter().map(|pending| pending.is_for(&callback)).collect();
            assert_eq!(own.iter().filter(|own| **own).count(), 1, "{driver}");
            let grant = kept.remove(at).accept(callback).expect("a grant");
            assert!(driver.run(client.exchange(grant)).is_ok(), "{driver}");
        }
        assert_eq!(server.code_replays(), 0);
    }
}

// Logins that fail.

#[test]
fn a_denied_login_is_told() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let (url, pending) = driver.start(client.authorize().scope(["photos"]));
        let location = server.person().deny(url.as_str());
        let callback = Callback::parse(&location).expect("a callback");
        assert!(pending.is_for(&callback), "{driver}: a denial ends its own login");
        let error = pending.accept(callback).expect_err("no grant");
        assert_eq!(error.remedy(), Remedy::LogInAgain, "{driver}");
        assert!(matches!(error, Error::Server(error) if error.code == ErrorCode::ACCESS_DENIED), "{driver}");
        assert_eq!(server.token_requests(), 0, "{driver}");
    }
}

/// A code that was stolen on its way is worth nothing without the verifier that never left.
#[test]
fn a_wrong_verifier_is_refused_by_the_server() {
    for driver in Driver::all() {
        let server = start();
        for registered in RegisteredClient::ALL {
            let client = client(&server, registered);
            let (pending, location) = driver.return_from(&server, &client);
            let mut stored: Value = serde_json::to_value(&pending).expect("JSON");
            stored["verifier"] = json!(support::VERIFIER);
            let altered: Pending = serde_json::from_value(stored).expect("a login");
            let grant = altered.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
            let error = driver.run(client.exchange(grant)).expect_err("a refusal");
            assert_eq!(error.remedy(), Remedy::LogInAgain, "{driver}");
            let Error::Server(error) = error else { panic!("{driver}: {error:?}") };
            assert_eq!((error.code, error.status), (ErrorCode::INVALID_GRANT, Some(StatusCode::BAD_REQUEST)));
        }
        assert_eq!(server.requests().iter().filter(|seen| seen.status == 200 && seen.path == "/token").count(), 0);
    }
}

/// RFC 6749 section 4.1.2: a code used twice is refused, and the tokens of its first use are revoked. The library sends it
/// once, but a login that was stored may be read twice.
#[test]
fn a_replayed_code_is_refused_and_revokes() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let (pending, location) = driver.return_from(&server, &client);
        let stored = json_of(&pending);
        let grant =
            || read::<Pending>(&stored).accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        let tokens = driver.run(client.exchange(grant())).expect("tokens");
        assert_eq!(driver.call(&server, &client, &tokens).status(), StatusCode::OK, "{driver}");

        let error = driver.run(client.exchange(grant())).expect_err("a refusal");
        assert_eq!(error.to_string().split(": ").nth(1), Some("invalid_grant (HTTP 400)"), "{driver}: {error}");
        assert_eq!((server.code_replays(), server.token_requests()), (1, 2), "{driver}");
        let refused = driver.call(&server, &client, &tokens);
        assert!(Session::is_rejection(&refused), "{driver}: {}", refused.status());
    }
}

/// An attacker's callback, with a code of the attacker's own, ends nothing.
#[test]
fn a_forged_state_is_ignored_and_the_login_goes_on() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let (victims, own_location) = driver.return_from(&server, &client);
        let (attackers, forged_location) = driver.return_from(&server, &client);

        let forged = Callback::parse(&forged_location).expect("a callback");
        assert!(!victims.is_for(&forged) && attackers.is_for(&forged), "{driver}");
        let stateless = own_location.replace(victims.state(), "");
        assert!(!victims.is_for(&Callback::parse(&stateless).expect("a callback")), "{driver}");
        let error = read::<Pending>(&json_of(&victims)).accept(forged).expect_err("no grant");
        assert!(matches!(error, Error::Callback(CallbackError::State)), "{driver}: {error:?}");
        assert_eq!(server.token_requests(), 0, "{driver}");

        // It survives, and completes afterwards.
        let own = Callback::parse(&own_location).expect("a callback");
        assert!(victims.is_for(&own), "{driver}");
        let tokens = driver.run(client.exchange(victims.accept(own).expect("a grant"))).expect("tokens");
        assert_eq!(driver.call(&server, &client, &tokens).status(), StatusCode::OK, "{driver}");
    }
}

#[test]
fn an_expired_login_is_refused_before_it_is_sent() {
    // The clock moves by hand ..
    let (server, mut driver) = (start(), Driver::bare());
    let own = client(&server, RegisteredClient::PUBLIC);
    for (minutes, in_time) in [(30, true), (31, false)] {
        let (pending, location) = driver.return_from(&server, &own);
        driver.wait(Duration::from_secs(minutes * 60));
        let requests = server.token_requests();
        let grant = pending.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        let outcome = driver.run(own.exchange(grant));
        assert_eq!(outcome.is_ok(), in_time, "{minutes} minutes: {outcome:?}");
        assert_eq!(server.token_requests() - requests, u64::from(in_time));
    }
    // .. or by itself, where a transport reads it.
    for driver in Driver::all() {
        let server = start();
        let builder = builder(&server, RegisteredClient::PUBLIC).login_limit(Duration::ZERO);
        let client = builder.build().expect("a client");
        let (pending, location) = driver.return_from(&server, &client);
        let mut stored: Value = serde_json::to_value(&pending).expect("JSON");
        stored["started_at"] = json!(pending.started_at().as_secs() - 2);
        let older: Pending = serde_json::from_value(stored).expect("a login");
        let grant = older.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        let error = driver.run(client.exchange(grant)).expect_err("too late");
        assert_eq!(error.remedy(), Remedy::LogInAgain, "{driver}");
        assert!(matches!(error, Error::Callback(CallbackError::Expired)), "{driver}: {error:?}");
        assert_eq!(server.token_requests(), 0, "{driver}");
    }
}

/// A code that is too old for the server, though not for us.
#[test]
fn an_expired_code_is_refused_by_the_server() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::POST);
        let (pending, location) = driver.return_from(&server, &client);
        server.advance(Duration::from_secs(5 * 60));
        let grant = pending.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        let error = driver.run(client.exchange(grant)).expect_err("too late");
        assert!(matches!(error, Error::Server(error) if error.code == ErrorCode::INVALID_GRANT), "{driver}");
    }
}

/// RFC 9207: the server promises `iss`, so a response of another issuer's, or of nobody's, gives no grant.
#[test]
fn a_wrong_issuer_is_refused() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let (pending, location) = driver.return_from(&server, &client);
        let stored = json_of(&pending);
        let mut url = Url::parse(&location).expect("a URL");
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let mut returned = |issuer: Option<&str>| {
            url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(name, _)| name != "iss"));
            if let Some(issuer) = issuer {
                url.query_pairs_mut().append_pair("iss", issuer);
            }
            read::<Pending>(&stored).accept(Callback::parse(url.as_str()).expect("a callback")).map(drop)
        };
        for other in ["https://evil.example", "http://127.0.0.1:1", &format!("{}/", server.issuer())] {
            let refused = returned(Some(other));
            assert!(matches!(refused, Err(Error::Violation(Violation::Issuer))), "{driver}: {other}");
        }
        for none in [None, Some("")] {
            let refused = returned(none);
            assert!(matches!(refused, Err(Error::Violation(Violation::IssuerMissing))), "{driver}: {refused:?}");
        }
        assert_eq!(server.token_requests(), 0, "{driver}");
        assert!(returned(Some(server.issuer())).is_ok(), "{driver}");
    }
}

/// A grant goes only to the server, and as the client, that its login was begun with.
#[test]
fn a_grant_of_another_server_or_client_is_not_sent() {
    for driver in Driver::all() {
        let (server, other) = (start(), start());
        let own = client(&server, RegisteredClient::PUBLIC);
        for (client, usage) in [
            (client(&server, RegisteredClient::POST), Usage::OtherClient),
            (client(&other, RegisteredClient::PUBLIC), Usage::OtherServer),
        ] {
            let (pending, location) = driver.return_from(&server, &own);
            let grant = pending.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
            let error = driver.run(client.exchange(grant)).expect_err("not ours");
            assert_eq!(error.remedy(), Remedy::FixConfiguration, "{driver}");
            assert!(matches!(error, Error::Usage(found) if found == usage), "{driver}");
        }
        assert_eq!((server.token_requests(), other.requests().len()), (0, 0), "{driver}");
    }
}

/// The server is right about the secret, and says so.
#[test]
fn a_wrong_secret_is_a_mistake_of_ours() {
    for driver in Driver::all() {
        let server = start();
        for authentication in [Authentication::basic("wrong"), Authentication::post("wrong")] {
            let builder = Client::builder(metadata(&server), RegisteredClient::POST.id);
            let client = builder.redirect_uri(redirect_uri(PORT)).authentication(authentication).build().expect("one");
            let (pending, location) = driver.return_from(&server, &client);
            let grant = pending.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
            let error = driver.run(client.exchange(grant)).expect_err("a refusal");
            assert_eq!(error.remedy(), Remedy::FixConfiguration, "{driver}");
            assert!(matches!(error, Error::Server(error) if error.code == ErrorCode::INVALID_CLIENT), "{driver}");
        }
    }
}

// What one does with tokens.

#[test]
fn tokens_are_renewed_and_the_old_ones_are_spent() {
    for driver in Driver::all() {
        let server = start();
        for registered in RegisteredClient::ALL {
            let client = client(&server, registered);
            let first = driver.log_in(&server, &client);
            let second = driver.run(client.refresh(&first).expect("a refresh")).expect("tokens");
            let secrets = |tokens: &Tokens| {
                let refresh_token = tokens.refresh_token().expect("a refresh token").expose().to_owned();
                (tokens.access_token().expose().to_owned(), refresh_token)
            };
            let ((old, old_refresh), (new, new_refresh)) = (secrets(&first), secrets(&second));
            assert!(old != new && old_refresh != new_refresh, "{driver}: nothing is new");
            assert_eq!(second.scope().map(proofkey::Scope::as_str), Some("photos profile"), "{driver}");
            assert_eq!(driver.call(&server, &client, &second).status(), StatusCode::OK, "{driver}");

            let seen = server.requests();
            let asked = seen.iter().rev().find(|seen| seen.path == "/token").expect("a token request");
            assert_eq!(asked.parameter("grant_type").as_deref(), Some("refresh_token"), "{driver}");
            assert_eq!(asked.parameter("scope"), None, "{driver}: nothing was narrowed");
            let named = registered != RegisteredClient::BASIC;
            assert_eq!(asked.parameter("client_id").as_deref(), named.then_some(registered.id), "{driver}");
        }
        assert_eq!((server.refreshes(), server.reuses()), (3, 0), "{driver}");
    }
}

/// A spent refresh token ends the grant, and what it says is: log in again.
#[test]
fn a_spent_refresh_token_ends_the_grant() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let first = driver.log_in(&server, &client);
        let second = driver.run(client.refresh(&first).expect("a refresh")).expect("tokens");
        for tokens in [&first, &second] {
            let error = driver.run(client.refresh(tokens).expect("a refresh")).expect_err("a refusal");
            assert_eq!(error.remedy(), Remedy::LogInAgain, "{driver}");
            assert!(matches!(error, Error::Server(error) if error.code == ErrorCode::INVALID_GRANT), "{driver}");
        }
        assert_eq!(server.reuses(), 1, "{driver}: the server saw it");
        assert!(Session::is_rejection(&driver.call(&server, &client, &second)), "{driver}");
    }
}

/// Less may be asked for, and never more; what was granted is what the server says.
#[test]
fn a_refresh_may_narrow_its_scope() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::POST);
        let tokens = driver.log_in(&server, &client);
        let narrow = driver.run(client.refresh(&tokens).expect("a refresh").scope(["profile"])).expect("tokens");
        assert_eq!(narrow.scope().map(proofkey::Scope::as_str), Some("profile"), "{driver}");
        let refused = driver.call(&server, &client, &narrow);
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{driver}");
        let challenge = Challenge::bearer(refused.headers()).expect("a challenge");
        assert_eq!(challenge.error, Some(ErrorCode::INSUFFICIENT_SCOPE), "{driver}");
        assert!(challenge.scope.is_some_and(|scope| scope.contains("photos")), "{driver}");
        assert!(!Session::is_rejection(&refused), "{driver}: a refresh would not help");

        // Stored and read, they renew as before. RFC 6749 section 6 has the grant keep its scope; this server narrows it
        // for good, and the tokens say what it says.
        let narrow: Tokens = read(&json_of(&narrow));
        let again = driver.run(client.refresh(&narrow).expect("a refresh")).expect("tokens");
        assert_eq!(again.scope().map(proofkey::Scope::as_str), Some("profile"), "{driver}");
        let more = driver.run(client.refresh(&again).expect("a refresh").scope(["offline_access"]));
        assert!(matches!(more, Err(Error::Usage(Usage::ScopeNotGranted))), "{driver}: {more:?}");
    }
}

/// An outage ends nothing: the same tokens are renewed once it is over.
#[test]
fn an_outage_keeps_the_tokens() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let tokens = driver.log_in(&server, &client);
        for status in [500, 502, 503, 429] {
            server.fail_token_requests(1, status);
            let error = driver.run(client.refresh(&tokens).expect("a refresh")).expect_err("an outage");
            assert_eq!(error.remedy(), Remedy::TryLater(None), "{driver}: {error:?}");
        }
        assert!(driver.run(client.refresh(&tokens).expect("a refresh")).is_ok(), "{driver}");
        assert_eq!(server.reuses(), 0, "{driver}");
    }
}

/// The resource's own words, whatever they are, are the answer.
#[test]
fn a_call_brings_the_answer_of_the_resource() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let tokens = driver.log_in(&server, &client);
        server.forget_requests();
        let posted = Request::post(format!("{}?a=b%20c", server.resource())).header("x-own", "kept").body("Grüße");
        let answer = driver.run(client.call(&tokens, posted.expect("a request"))).expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/json", "{driver}");
        let answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(answer["received"], "Grüße", "{driver}");
        let seen = server.requests().remove(0);
        assert_eq!(
            (seen.query.as_deref(), &seen.headers["x-own"]),
            (Some("a=b%20c"), &HeaderValue::from_static("kept"))
        );
        let bearer = format!("Bearer {}", tokens.access_token().expose());
        assert_eq!(seen.authorization(), Some(bearer.as_str()), "{driver}");
        assert!(!seen.body.contains(tokens.access_token().expose()), "{driver}");

        server.advance(Duration::from_secs(2 * 60 * 60));
        let refused = driver.call(&server, &client, &tokens);
        assert!(Session::is_rejection(&refused), "{driver}: {}", refused.status());
        let challenge = Challenge::bearer(refused.headers()).expect("a challenge");
        assert_eq!((challenge.error, challenge.realm.as_deref()), (Some(ErrorCode::INVALID_TOKEN), Some("photos")));
        let missing =
            driver.run(client.call(&tokens, get(&format!("{}/nothing", server.issuer())))).expect("an answer");
        assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{driver}");
    }
}

#[test]
fn revoked_tokens_are_gone() {
    for driver in Driver::all() {
        let server = start();
        for registered in RegisteredClient::ALL {
            let client = client(&server, registered);
            let tokens = driver.log_in(&server, &client);
            server.forget_requests();
            driver.run(client.revoke(&tokens).expect("a revocation")).expect("success");
            let seen = server.requests();
            let hints: Vec<_> =
                seen.iter().map(|seen| (seen.path.as_str(), seen.parameter("token_type_hint"))).collect();
            let hint = |hint: &str| ("/revoke", Some(hint.to_owned()));
            assert_eq!(hints, [hint("refresh_token"), hint("access_token")], "{driver}");

            assert!(Session::is_rejection(&driver.call(&server, &client, &tokens)), "{driver}");
            let error = driver.run(client.refresh(&tokens).expect("a refresh")).expect_err("it is gone");
            assert_eq!(error.remedy(), Remedy::LogInAgain, "{driver}");
            // RFC 7009 section 2.2: what is gone already is as good as revoked.
            driver.run(client.revoke(&tokens).expect("a revocation")).expect("success");
        }
    }
}

#[test]
fn a_token_is_introspected() {
    for driver in Driver::all() {
        let server = start();
        for registered in [RegisteredClient::BASIC, RegisteredClient::POST] {
            let client = client(&server, registered);
            let tokens = driver.log_in(&server, &client);
            let state = driver.run(client.introspect(tokens.access_token())).expect("a state");
            assert!(state.is_active() && state.is_valid_at(now()), "{driver}");
            assert_eq!((state.client_id(), state.subject()), (Some(registered.id), Some("alice")), "{driver}");
            assert_eq!(state.scope().map(proofkey::Scope::as_str), Some("photos profile"), "{driver}");
            let (told, counted) = (state.expires_at().expect("exp"), tokens.expires_at().expect("an expiry"));
            // We count from when we asked, so ours is not the later one.
            assert!(counted <= told && told.saturating_since(counted) < Duration::from_secs(10), "{driver}");
            assert_eq!(state.extra().get::<String>("iss").as_deref(), Some(server.issuer()), "{driver}");

            driver.run(client.revoke(&tokens).expect("a revocation")).expect("success");
            for gone in [tokens.access_token(), &Secret::new("never seen / before+")] {
                let state = driver.run(client.introspect(gone)).expect("a state");
                assert!(!state.is_active() && state.client_id().is_none(), "{driver}");
            }
        }
    }
}

/// The person decides on another device, while the transport polls.
#[test]
fn a_login_without_a_browser() {
    side_by_side(|driver| {
        let server = start();
        for registered in [RegisteredClient::PUBLIC, RegisteredClient::BASIC] {
            server.forget_requests();
            let client = client(&server, registered);
            let pending = driver.run(client.device().scope(["photos", "profile"])).expect("a code to show");
            assert!(pending.verification_uri_complete().expect("a link").contains(pending.user_code()), "{driver}");
            let code = pending.user_code().to_owned();
            let tokens = std::thread::scope(|scope| {
                scope.spawn(|| {
                    // After the first poll, so that there is a second.
                    while !server.requests().iter().any(|seen| seen.path == "/token") {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    server.person().allow_device(&code);
                });
                driver.run(client.poll(pending)).unwrap_or_else(|error| panic!("{driver}: {error}"))
            });
            assert_eq!(tokens.scope().map(proofkey::Scope::as_str), Some("photos profile"), "{driver}");
            assert_eq!(driver.call(&server, &client, &tokens).status(), StatusCode::OK, "{driver}");
            let answers: Vec<u16> =
                server.requests().iter().filter(|seen| seen.path == "/token").map(|seen| seen.status).collect();
            assert_eq!(answers, [400, 200], "{driver}: no poll came too soon");
        }
    });
}

#[test]
fn a_login_without_a_browser_is_denied_or_too_late() {
    side_by_side(|driver| {
        let server =
            TestServer::builder().device_code_lifetime(Duration::from_secs(2)).start().expect("a port is free");
        let client = client(&server, RegisteredClient::PUBLIC);
        let pending = driver.run(client.device()).expect("a code to show");
        server.person().deny_device(pending.user_code());
        let Err(Error::Server(error)) = driver.run(client.poll(pending)) else { panic!("{driver}: was not denied") };
        assert_eq!((error.code.clone(), error.remedy()), (ErrorCode::ACCESS_DENIED, Remedy::LogInAgain), "{driver}");

        let pending = driver.run(client.device()).expect("a code to show");
        let error = driver.run(client.poll(pending)).expect_err("nobody came");
        // Our clock or the server's, whichever is first.
        let late = matches!(&error, Error::Callback(CallbackError::Expired))
            || matches!(&error, Error::Server(error) if error.code == ErrorCode::EXPIRED_TOKEN);
        assert!(late && error.remedy() == Remedy::LogInAgain, "{driver}: {error}");
    });
}

#[test]
fn a_client_acts_for_itself() {
    for driver in Driver::all() {
        let server = start();
        for registered in [RegisteredClient::BASIC, RegisteredClient::POST] {
            let client = client(&server, registered);
            let tokens = driver.run(client.credentials().scope(["photos"])).expect("tokens");
            assert_eq!(tokens.scope().map(proofkey::Scope::as_str), Some("photos"), "{driver}");
            assert!(tokens.refresh_token().is_none(), "{driver}");
            let photos = driver.call(&server, &client, &tokens);
            let photos: Value = serde_json::from_slice(photos.body()).expect("JSON");
            assert_eq!(photos["sub"], registered.id, "{driver}");
        }
        let public = client(&server, RegisteredClient::PUBLIC);
        let requests = server.token_requests();
        let refused = driver.run(public.credentials());
        assert!(matches!(refused, Err(Error::Usage(Usage::PublicClient))), "{driver}: {refused:?}");
        assert_eq!(server.token_requests(), requests, "{driver}");
    }
}

/// A token never reaches a server that did not give it.
#[test]
fn tokens_of_another_server_are_not_sent() {
    for driver in Driver::all() {
        let (home, other) = (start(), start());
        let tokens = driver.log_in(&home, &client(&home, RegisteredClient::PUBLIC));
        let stranger = client(&other, RegisteredClient::PUBLIC);
        let another = client(&home, RegisteredClient::POST);
        home.forget_requests();
        for (client, usage) in [(&stranger, Usage::OtherServer), (&another, Usage::OtherClient)] {
            let outcomes = [
                client.refresh(&tokens).and_then(|exchange| driver.run(exchange)).map(drop),
                client.revoke(&tokens).and_then(|exchange| driver.run(exchange)),
                driver.run(client.call(&tokens, get(&other.resource()))).map(drop),
                Session::new(client.clone(), tokens.clone()).map(drop),
            ];
            for outcome in outcomes {
                assert!(matches!(&outcome, Err(Error::Usage(found)) if *found == usage), "{driver}: {outcome:?}");
            }
        }
        assert!(home.requests().is_empty() && other.requests().is_empty(), "{driver}: something was sent");
    }
}

/// No request is made of what cannot be sent.
#[test]
fn a_call_that_would_leak_is_not_sent() {
    for driver in Driver::all() {
        let server = start();
        let client = client(&server, RegisteredClient::PUBLIC);
        let tokens = driver.log_in(&server, &client);
        server.forget_requests();
        let own = Request::get(server.resource()).header("authorization", "Bearer own").body(()).expect("a request");
        for (request, usage) in [
            (own, Usage::SecondCredential),
            (get(&format!("{}?access_token=x", server.resource())), Usage::SecondCredential),
            (get("http://photos.example/"), Usage::Resource("must be https, or http on a loopback host")),
        ] {
            let refused = driver.run(client.call(&tokens, request));
            assert!(matches!(&refused, Err(Error::Usage(found)) if *found == usage), "{driver}: {refused:?}");
        }
        assert!(server.requests().is_empty(), "{driver}");
    }
}

// The parts.

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

/// Plays a scene that has to wait, with every driver at once.
fn side_by_side(play: impl Fn(&Driver) + Sync) {
    std::thread::scope(|scope| {
        for driver in Driver::all() {
            let play = &play;
            scope.spawn(move || play(&driver));
        }
    });
}

/// Nobody listens there: the browser is played, and stops at its door.
const PORT: u16 = 8917;

/// What the server's metadata would say.
fn metadata(server: &TestServer) -> Server {
    let mut metadata = Server::new(server.authorization_endpoint(), server.token_endpoint());
    metadata.issuer = Some(server.issuer().to_owned());
    metadata.authorization_response_iss_parameter_supported = true;
    metadata.revocation_endpoint = Some(server.revocation_endpoint());
    metadata.introspection_endpoint = Some(server.introspection_endpoint());
    metadata.device_authorization_endpoint = Some(server.device_authorization_endpoint());
    metadata
}

fn builder(server: &TestServer, registered: RegisteredClient) -> proofkey::ClientBuilder {
    let authentication = match registered.secret {
        None => Authentication::none(),
        Some(secret) if registered == RegisteredClient::POST => Authentication::post(secret),
        Some(secret) => Authentication::basic(secret),
    };
    let builder = Client::builder(metadata(server), registered.id).redirect_uri(redirect_uri(PORT));
    builder.authentication(authentication)
}

fn client(server: &TestServer, registered: RegisteredClient) -> Client {
    builder(server, registered).build().expect("a client")
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).expect("a request")
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

fn json_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a record")
}

/// One way to run an exchange.
struct Driver {
    sends: Sends,
    runtime: tokio::runtime::Runtime,
}

enum Sends {
    Reqwest(reqwest::Transport),
    Hyper(Box<hyper::Transport>),
    Blocking(blocking::Transport),
    /// No transport at all: a socket, octets that count up, and a clock that goes when it is told.
    Bare(UnixTime),
}

impl Driver {
    fn new(sends: Sends) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { sends, runtime }
    }

    fn bare() -> Self {
        Self::new(Sends::Bare(now()))
    }

    fn all() -> [Self; 4] {
        [
            Self::new(Sends::Reqwest(reqwest::Transport::new().expect("a client"))),
            Self::new(Sends::Hyper(Box::new(hyper::Transport::new().expect("a client")))),
            Self::new(Sends::Blocking(blocking::Transport::new().expect("a client"))),
            Self::bare(),
        ]
    }

    fn start(&self, authorization: Authorization) -> (Url, Pending) {
        match &self.sends {
            Sends::Reqwest(transport) => transport.start(authorization).expect("a URL"),
            Sends::Hyper(transport) => transport.start(authorization).expect("a URL"),
            Sends::Blocking(transport) => transport.start(authorization).expect("a URL"),
            Sends::Bare(clock) => authorization.redirect(*clock, &mut octets()).expect("a URL"),
        }
    }

    /// What becomes of the exchange. An error of the transport itself fails the test.
    fn run<X: Exchange + Send>(&self, exchange: X) -> Result<X::Output, Error> {
        match &self.sends {
            Sends::Reqwest(transport) => self.runtime.block_on(transport.run(exchange)).map_err(|error| match error {
                reqwest::Error::Protocol(error) => error,
                error => panic!("{self}: {error:?}"),
            }),
            Sends::Hyper(transport) => self.runtime.block_on(transport.run(exchange)).map_err(|error| match error {
                hyper::Error::Protocol(error) => error,
                error => panic!("{self}: {error:?}"),
            }),
            Sends::Blocking(transport) => transport.run(exchange).map_err(|error| match error {
                blocking::Error::Protocol(error) => error,
                error => panic!("{self}: {error:?}"),
            }),
            Sends::Bare(clock) => by_hand(exchange, *clock),
        }
    }

    /// Moves the clock that goes by hand.
    fn wait(&mut self, time: Duration) {
        let Sends::Bare(clock) = &mut self.sends else { panic!("{self} reads the system's clock") };
        *clock = clock.saturating_add(time);
    }

    /// A login whose person has agreed: what was kept, and where the browser is sent.
    fn return_from(&self, server: &TestServer, client: &Client) -> (Pending, String) {
        let (url, pending) = self.start(client.authorize().scope(["photos", "profile"]));
        (pending, server.person().allow(url.as_str()))
    }

    fn log_in(&self, server: &TestServer, client: &Client) -> Tokens {
        let (pending, location) = self.return_from(server, client);
        let grant = pending.accept(Callback::parse(&location).expect("a callback")).expect("a grant");
        self.run(client.exchange(grant)).unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    fn call(&self, server: &TestServer, client: &Client, tokens: &Tokens) -> Response<Vec<u8>> {
        self.run(client.call(tokens, get(&server.resource()))).expect("an answer")
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.sends {
            Sends::Reqwest(_) => "reqwest",
            Sends::Hyper(_) => "hyper",
            Sends::Blocking(_) => "ureq",
            Sends::Bare(_) => "by hand",
        })
    }
}

/// Other octets each time.
fn octets() -> Octets {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    Octets::new([COUNT.fetch_add(1, Ordering::Relaxed); 64])
}

/// The loop by hand.
fn by_hand<X: Exchange>(mut exchange: X, clock: UnixTime) -> Result<X::Output, Error> {
    let mut after = exchange.initial_delay();
    loop {
        std::thread::sleep(after);
        let response = send(exchange.next_request(clock, &mut octets())?);
        match exchange.handle_response(response)? {
            Step::Again { after: delay } => after = delay,
            Step::Done(output) => return Ok(output),
        }
    }
}

/// One request on a connection of its own, in HTTP/1.1 as far as the embedded server needs it.
fn send(request: Request<Body>) -> Response<Vec<u8>> {
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().expect("an authority").as_str();
    let target = head.uri.path_and_query().expect("a target");
    let mut stream = TcpStream::connect(authority).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let mut sent =
        format!("{} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n", head.method).into_bytes();
    for (name, value) in &head.headers {
        sent.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    sent.extend(format!("Content-Length: {}\r\n\r\n", body.as_ref().len()).bytes());
    sent.extend(body.as_ref());
    stream.write_all(&sent).expect("a request");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("an answer");

    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = parsed.parse(&received) else { panic!("no HTTP") };
    let mut response = Response::new(received[length..].to_vec());
    *response.status_mut() = StatusCode::from_u16(parsed.code.expect("a status")).expect("a status");
    for header in parsed.headers {
        assert!(!header.name.eq_ignore_ascii_case("transfer-encoding"), "this reader knows none");
        let name: HeaderName = header.name.parse().expect("a name");
        response.headers_mut().append(name, HeaderValue::from_bytes(header.value).expect("a value"));
    }
    response
}
