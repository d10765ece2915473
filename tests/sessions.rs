//! Sessions under a crowd: every transport against a server with strict rotation, where a refresh token used twice ends
//! the login.
//!
//! `cargo test --all-features --test sessions figures -- --nocapture` prints what a crowd cost.
#![allow(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fmt::{self, Write as _};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::{Request, Response, StatusCode};
use proofkey::{Callback, Client, Remedy, Server, Tokens, UnixTime};
use proofkey_test_server::{RegisteredClient, TestServer, redirect_uri};
use tokio::runtime::Runtime;

/// Runs a case with each transport, on a thread of its own so that one which does not end fails rather than hangs.
macro_rules! each {
    ($($case:ident)*) => {$(
        mod $case {
            #[test]
            fn reqwest() {
                super::guarded(super::cases::$case::<super::over_reqwest::Session>);
            }

            #[test]
            fn hyper() {
                super::guarded(super::cases::$case::<super::over_hyper::Session>);
            }

            #[test]
            fn blocking() {
                super::guarded(super::cases::$case::<super::over_ureq::Session>);
            }
        }
    )*};
}

/// The same with those that have futures to drop.
macro_rules! each_async {
    ($($case:ident)*) => {$(
        mod $case {
            #[test]
            fn reqwest() {
                super::guarded(super::async_cases::$case::<super::over_reqwest::Session>);
            }

            #[test]
            fn hyper() {
                super::guarded(super::async_cases::$case::<super::over_hyper::Session>);
            }
        }
    )*};
}

each! {
    figures
    a_crowd_with_a_refused_token_costs_one_refresh
    the_hook_has_the_tokens_before_any_caller
    a_hook_that_panics_costs_nobody_the_tokens
    a_hook_that_hangs_holds_nobody_for_ever
    an_outage_costs_one_request_and_everybody_shares_its_error
    an_answer_that_does_not_come_ends_for_everybody
    a_lost_answer_is_worth_one_more_try
    what_was_never_sent_is_tried_again
    tokens_that_last_are_used_while_their_renewal_fails
    a_dead_grant_costs_one_request_until_there_are_new_tokens
    a_logout_during_a_refresh_leaves_nobody_a_token
    a_login_during_a_refresh_serves_everybody
    a_login_ends_the_wait_before_the_refresh_does
    a_call_is_sent_again_once_with_new_tokens
    a_call_that_is_always_refused_ends_with_the_refusal
    tokens_that_come_expired_are_used_once
    nothing_is_printed
}

each_async! {
    callers_that_give_up_take_nothing_from_the_others
    followers_outlive_the_first_caller
    a_refresh_that_nobody_waits_for_any_more_is_kept
    a_runtime_that_ends_takes_nobody_with_it
    a_caller_who_wakes_late_has_what_the_others_had
    tokens_that_last_are_used_while_their_renewal_is_slow
}

/// What is the same for each transport.
mod cases {
    use super::*;

    pub(super) fn figures<S: Subject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW);
        let session = S::new(&client, expired(&old));
        let before = server.token_requests();
        let begun = Instant::now();
        let tokens: Vec<_> = session.all_at_once(CALLERS).into_iter().map(Result::unwrap).collect();
        let took = begun.elapsed();

        let requests = server.token_requests() - before;
        println!(
            "{:<10} {CALLERS} callers at expiry: {requests} refresh request, {} reuses, {} tokens in {took:.0?}",
            S::NAME,
            server.reuses(),
            tokens.len(),
        );
        assert_eq!((requests, server.refreshes(), server.reuses()), (1, 1, 0));
        assert_eq!(tokens.len(), CALLERS);
        let new = access(&tokens[0]);
        assert!(tokens.iter().all(|tokens| access(tokens) == new));
        assert_ne!(new, access(&old));
        assert_eq!(session.call(photos(&server)).unwrap().status(), StatusCode::OK);
    }

    pub(super) fn a_crowd_with_a_refused_token_costs_one_refresh<S: Subject>() {
        let (server, client, old) = logged_in();
        // The client's clock knows nothing of it.
        server.advance(Duration::from_secs(3601));
        server.delay_token_answers(SLOW);
        let session = S::new(&client, old);
        let resource = server.resource();
        let answers = session.crowd(200, move |session| session.call(Request::get(&*resource).body("").unwrap()));
        for answer in answers {
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
        }
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    }

    pub(super) fn the_hook_has_the_tokens_before_any_caller<S: Subject>() {
        let (server, client, old) = logged_in();
        let stored = Arc::new(Mutex::new(Vec::new()));
        let session = S::new(&client, expired(&old)).on_refresh({
            let stored = stored.clone();
            move |tokens| {
                // Whoever does not wait for this comes too early.
                thread::sleep(SLOW);
                stored.lock().unwrap().push(access(tokens));
            }
        });
        let seen = {
            let stored = stored.clone();
            session.crowd(100, move |session| {
                let tokens = session.tokens().unwrap();
                (access(&tokens), stored.lock().unwrap().clone())
            })
        };
        for (used, stored) in seen {
            assert_eq!(stored, [used]);
        }
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    }

    pub(super) fn a_hook_that_panics_costs_nobody_the_tokens<S: Subject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW);
        let session = S::new(&client, expired(&old)).on_refresh(|_| panic!("the disk is full: this panic is a test's"));
        let mut outcomes: Vec<_> = session
            .crowd(50, |session| {
                // A blocking hook panics on its caller's thread.
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.tokens())).map_err(drop)
            })
            .collect();
        outcomes.sort_by_key(Result::is_err);
        let panics = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!(panics, usize::from(S::NAME == over_ureq::Session::NAME));
        let new = access(&session.tokens().unwrap());
        for tokens in outcomes.into_iter().flatten() {
            assert_eq!(access(&tokens.unwrap()), new);
        }
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
        session.reject(&session.tokens().unwrap());
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.tokens())));
        assert_ne!(access(&session.tokens().unwrap()), new);
        assert_eq!((server.refreshes(), server.reuses()), (2, 0));
    }

    pub(super) fn a_hook_that_hangs_holds_nobody_for_ever<S: Subject>() {
        let script = Script::start(|_| granted(3600));
        let (release, held) = mpsc::channel::<()>();
        let (entered, inside) = (Arc::new(AtomicBool::new(false)), Mutex::new(held));
        let session = S::with_timeout(&script.client(), expired(&script.tokens()), SLOW).on_refresh({
            let entered = entered.clone();
            move |_| {
                entered.store(true, Ordering::SeqCst);
                inside.lock().unwrap().recv_timeout(GUARD).ok();
            }
        });
        let first = thread::spawn({
            let session = session.clone();
            move || session.tokens()
        });
        wait_until(|| entered.load(Ordering::SeqCst));
        for failure in session.crowd(20, S::tokens).map(Result::unwrap_err) {
            assert!(matches!(failure.remedy, Remedy::TryLater(_)), "{failure:?}");
        }
        release.send(()).unwrap();
        drop(first.join().unwrap());
        session.settled();
        assert_eq!(access(&session.tokens().unwrap()), "new");
        assert_eq!(script.requests(), 1);
    }

    pub(super) fn an_outage_costs_one_request_and_everybody_shares_its_error<S: Subject>() {
        let script = Script::start(|_| {
            thread::sleep(SLOW);
            "HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n".to_owned()
        });
        let session = S::new(&script.client(), expired(&script.tokens()));
        let mut told = None;
        for failure in session.crowd(100, S::tokens).map(Result::unwrap_err) {
            assert!((failure.remedy == Remedy::TryLater(Some(Duration::from_secs(3601)))), "{failure:?}");
            assert!(failure.printed.contains("503"), "{failure:?}");
            assert_eq!(*told.get_or_insert(failure.printed.clone()), failure.printed);
        }
        assert_eq!(script.requests(), 1);
        // Nor does it cost another one before it is due.
        for failure in session.crowd(100, S::tokens).map(Result::unwrap_err) {
            let Remedy::TryLater(Some(left)) = failure.remedy else { panic!("{failure:?}") };
            assert!(left <= Duration::from_secs(3601) && failure.printed.contains("503"), "{failure:?}");
        }
        assert_eq!(script.requests(), 1);
        // A new login is not held back by it.
        session.install(script.tokens()).unwrap();
        assert_eq!(access(&session.tokens().unwrap()), "old");
    }

    pub(super) fn an_answer_that_does_not_come_ends_for_everybody<S: Subject>() {
        let script = Script::start(|_| {
            thread::sleep(GUARD);
            String::new()
        });
        let session = S::with_timeout(&script.client(), expired(&script.tokens()), SLOW);
        for failure in session.crowd(100, S::tokens).map(Result::unwrap_err) {
            assert!(matches!(failure.remedy, Remedy::TryLater(_)), "{failure:?}");
        }
        assert!(script.requests() <= 3, "the back-off holds: {}", script.requests());
    }

    /// The server may have acted, and many forgive a second use: but no third one.
    pub(super) fn a_lost_answer_is_worth_one_more_try<S: Subject>() {
        // No answer, or one that says nothing.
        let unread = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for (forgiven, answer) in [(true, ""), (false, ""), (true, unread), (false, unread)] {
            let tries = AtomicUsize::new(0);
            let script = Script::start(move |_| {
                let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
                if first || !forgiven { answer.to_owned() } else { granted(3600) }
            });
            let session = S::new(&script.client(), expired(&script.tokens()));
            let failure = session.tokens().unwrap_err();
            let is_later = matches!(failure.remedy, Remedy::TryLater(Some(_)));
            assert!(if answer.is_empty() { is_later } else { failure.remedy == Remedy::Report }, "{failure:?}");
            assert!(failure.ambiguous, "{failure:?}");
            thread::sleep(FIRST_BACK_OFF);
            if forgiven {
                assert_eq!(access(&session.tokens().unwrap()), "new");
            } else {
                for failure in session.crowd(20, S::tokens).map(Result::unwrap_err) {
                    assert!(failure.remedy == Remedy::LogInAgain && failure.ambiguous, "{failure:?}");
                }
            }
            assert_eq!(script.requests(), 2);
        }
    }

    pub(super) fn what_was_never_sent_is_tried_again<S: Subject>() {
        // Nobody listens there.
        let script = Script { origin: "http://127.0.0.1:1".to_owned(), requests: Arc::default() };
        let session = S::new(&script.client(), expired(&script.tokens()));
        for _ in 0..2 {
            let failure = session.tokens().unwrap_err();
            assert!(matches!(failure.remedy, Remedy::TryLater(Some(_))) && !failure.ambiguous, "{failure:?}");
            thread::sleep(FIRST_BACK_OFF);
        }
    }

    pub(super) fn tokens_that_last_are_used_while_their_renewal_fails<S: Subject>() {
        let script = Script::start(|_| {
            thread::sleep(SLOW);
            "HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n".to_owned()
        });
        let session = S::new(&script.client(), due(&script.tokens()));
        for round in 0..2 {
            for tokens in session.crowd(50, S::tokens) {
                assert_eq!(access(&tokens.unwrap()), "old", "round {round}");
            }
            wait_until(|| script.requests() == 1);
        }
        // Once a resource has refused them, they are no good; then the outage is all there is to tell.
        session.reject(&script.tokens());
        let failure = session.tokens().unwrap_err();
        assert!(matches!(failure.remedy, Remedy::TryLater(Some(_))), "{failure:?}");
        assert_eq!(script.requests(), 1);
    }

    pub(super) fn a_dead_grant_costs_one_request_until_there_are_new_tokens<S: Subject>() {
        let (server, client, old) = logged_in();
        run(client.revoke(&old).unwrap());
        server.delay_token_answers(SLOW);
        let session = S::new(&client, expired(&old));
        let before = server.token_requests();
        for _ in 0..2 {
            for failure in session.crowd(100, S::tokens).map(Result::unwrap_err) {
                assert_eq!(failure.remedy, Remedy::LogInAgain, "{failure:?}");
                assert!(failure.printed.contains("invalid_grant"), "{failure:?}");
            }
            assert_eq!(server.token_requests() - before, 1);
        }
        server.delay_token_answers(Duration::ZERO);
        let new = log_in(&server, &client);
        session.install(new.clone()).unwrap();
        assert_eq!(access(&session.tokens().unwrap()), access(&new));
        session.install(expired(&new)).unwrap();
        assert_ne!(access(&session.tokens().unwrap()), access(&new));
    }

    pub(super) fn a_logout_during_a_refresh_leaves_nobody_a_token<S: Subject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW * 3);
        let stored = Arc::new(AtomicBool::new(false));
        let session = S::new(&client, expired(&old)).on_refresh({
            let stored = stored.clone();
            move |_| stored.store(true, Ordering::SeqCst)
        });
        let before = server.token_requests();
        let crowd = thread::spawn({
            let session = session.clone();
            move || session.crowd(50, S::tokens).collect::<Vec<_>>()
        });
        wait_until(|| server.refreshes() == 1);
        let cleared = session.clear().unwrap();
        assert_eq!(access(&cleared), access(&old));
        assert_eq!(session.tokens().unwrap_err().remedy, Remedy::LogInAgain);
        for failure in crowd.join().unwrap().into_iter().map(Result::unwrap_err) {
            assert_eq!(failure.remedy, Remedy::LogInAgain, "{failure:?}");
        }
        assert!(session.clear().is_none());
        // What came too late was the server's to forget: both tokens, and neither is the old one.
        let revoked = || server.requests().into_iter().filter(|seen| seen.path == "/revoke").collect::<Vec<_>>();
        wait_until(|| revoked().len() == 2);
        assert_ne!(revoked()[0].parameter("token").unwrap(), old.refresh_token().unwrap().expose());
        assert!(revoked().iter().all(|seen| seen.status == 200));
        assert!(!stored.load(Ordering::SeqCst), "tokens that nobody uses are not stored");
        assert_eq!((server.token_requests() - before, server.reuses()), (1, 0));
    }

    pub(super) fn a_login_during_a_refresh_serves_everybody<S: Subject>() {
        let (server, client, old) = logged_in();
        let new = log_in(&server, &client);
        server.delay_token_answers(SLOW * 3);
        let session = S::new(&client, expired(&old));
        let crowd = thread::spawn({
            let session = session.clone();
            move || session.crowd(50, S::tokens).collect::<Vec<_>>()
        });
        wait_until(|| server.refreshes() == 1);
        session.install(new.clone()).unwrap();
        for tokens in crowd.join().unwrap() {
            assert_eq!(access(&tokens.unwrap()), access(&new));
        }
        // What came too late changes nothing, and is left alone: a server may count both logins as one grant.
        session.settled();
        assert_eq!(access(&session.tokens().unwrap()), access(&new));
        assert_eq!(session.call(photos(&server)).unwrap().status(), StatusCode::OK);
        assert!(server.requests().iter().all(|seen| seen.path != "/revoke"));
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
        // Another client's tokens change nothing.
        let other = client_of(&server, RegisteredClient::POST.id);
        let strange = S::new(&other, retell(&new, &[("client_id", other.client_id().into())]));
        let failure = strange.install(new.clone()).unwrap_err();
        assert_eq!(failure.remedy, Remedy::FixConfiguration, "{failure:?}");
    }

    pub(super) fn a_login_ends_the_wait_before_the_refresh_does<S: Subject>() {
        let (release, script) = Script::held(granted(3600));
        let session = S::new(&script.client(), expired(&script.tokens()));
        let ask = |callers| {
            let session = session.clone();
            thread::spawn(move || session.crowd(callers, S::tokens).collect::<Vec<_>>())
        };
        // A blocking caller who refreshes is held for as long as that takes.
        let first = ask(1);
        wait_until(|| script.requests() == 1);
        let others = ask(20);
        thread::sleep(SLOW);
        session.install(retell(&script.tokens(), &[("access_token", "another".into())])).unwrap();
        for tokens in others.join().unwrap() {
            assert_eq!(access(&tokens.unwrap()), "another");
        }
        release.send(()).unwrap();
        for tokens in first.join().unwrap() {
            assert_ne!(access(&tokens.unwrap()), "old");
        }
        assert_eq!(script.requests(), 1);
    }

    pub(super) fn a_call_is_sent_again_once_with_new_tokens<S: Subject>() {
        let (server, client, old) = logged_in();
        server.advance(Duration::from_secs(3601));
        let session = S::new(&client, old.clone());
        server.forget_requests();
        let answer = session.call(Request::post(server.resource()).body("a new photo").unwrap()).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(String::from_utf8_lossy(answer.body()).contains("a new photo"));
        let seen: Vec<_> = server.requests().into_iter().map(|seen| (seen.path, seen.status, seen.body)).collect();
        let [first, refresh, second] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((&*first.0, first.1, &*first.2), ("/resource", 401, "a new photo"));
        assert_eq!((&*refresh.0, refresh.1), ("/token", 200));
        assert_eq!((&*second.0, second.1, &*second.2), ("/resource", 200, "a new photo"));
        // An old refusal that is told late is no news.
        session.reject(&old);
        session.tokens().unwrap();
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    }

    pub(super) fn a_call_that_is_always_refused_ends_with_the_refusal<S: Subject>() {
        let script = Script::start(|request| {
            if request.starts_with("GET /token") || request.starts_with("POST /token") {
                granted(3600)
            } else {
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\nContent-Length: 2\r\n\r\nno"
                    .to_owned()
            }
        });
        let session = S::new(&script.client(), script.tokens());
        let answer = session.call(Request::get(script.url("/resource")).body("").unwrap()).unwrap();
        assert_eq!((answer.status(), answer.body().as_slice()), (StatusCode::UNAUTHORIZED, &b"no"[..]));
        assert_eq!(script.requests(), 3, "a call, a refresh, a call");
    }

    /// OBLIGATIONS rf-010: a server whose tokens are always expired gets no refresh more than there were callers, and the
    /// callers who waited together share one.
    pub(super) fn tokens_that_come_expired_are_used_once<S: Subject>() {
        let script = Script::start(|_| {
            thread::sleep(SLOW);
            granted(0)
        });
        let session = S::new(&script.client(), expired(&script.tokens()));
        let tokens: Vec<_> = session.crowd(200, S::tokens).map(Result::unwrap).collect();
        assert_eq!(script.requests(), 1);
        assert!(tokens.iter().all(|each| Arc::ptr_eq(each, &tokens[0])));
        for n in 2..5 {
            session.tokens().unwrap();
            assert!(script.requests() <= n);
        }
    }

    pub(super) fn nothing_is_printed<S: Subject>() {
        let script = Script::start(|_| {
            let body = "{\"error\":\"invalid_grant\",\"error_description\":\"canary-refresh is spent\"}";
            format!("HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        });
        let tokens = retell(
            &expired(&script.tokens()),
            &[("access_token", "canary-access".into()), ("refresh_token", "canary-refresh".into())],
        );
        let session = S::new(&script.client(), tokens);
        assert!(!session.printed().contains("canary"), "{}", session.printed());
        let failure = session.tokens().unwrap_err();
        assert_eq!(failure.remedy, Remedy::LogInAgain);
        assert!(!failure.printed.contains("canary"), "{}", failure.printed);
    }
}

/// What is only where futures can be dropped.
mod async_cases {
    use super::*;

    pub(super) fn callers_that_give_up_take_nothing_from_the_others<S: AsyncSubject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW * 2);
        let stored = Arc::new(AtomicUsize::new(0));
        let session = S::new(&client, expired(&old)).on_refresh({
            let stored = stored.clone();
            move |_| {
                stored.fetch_add(1, Ordering::SeqCst);
            }
        });
        let before = server.token_requests();
        let tasks: Vec<_> = (0..CALLERS).map(|_| runtime().spawn(session.future())).collect();
        let (aborted, kept): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|_| chance() % 10 < 9);
        thread::scope(|scope| {
            scope.spawn(|| {
                for task in aborted {
                    if chance().is_multiple_of(8) {
                        thread::sleep(Duration::from_micros(chance() % 800));
                    }
                    task.abort();
                }
            });
        });
        let tokens: Vec<_> = kept.into_iter().map(|task| runtime().block_on(task).unwrap().unwrap()).collect();
        assert!(!tokens.is_empty());
        assert!(tokens.iter().all(|each| access(each) == access(&tokens[0]) && access(each) != access(&old)));
        let requests = server.token_requests() - before;
        println!(
            "{:<10} {CALLERS} callers, {} of them cancelled: {requests} refresh request, {} reuses, {} tokens",
            S::NAME,
            CALLERS - tokens.len(),
            server.reuses(),
            tokens.len(),
        );
        assert_eq!((requests, server.refreshes(), server.reuses()), (1, 1, 0));
        assert_eq!(stored.load(Ordering::SeqCst), 1);
    }

    pub(super) fn followers_outlive_the_first_caller<S: AsyncSubject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW * 2);
        let session = S::new(&client, expired(&old));
        let before = server.token_requests();
        let leader = runtime().spawn(session.future());
        wait_until(|| server.token_requests() > before);
        let followers: Vec<_> = (0..50).map(|_| runtime().spawn(session.future())).collect();
        leader.abort();
        assert!(runtime().block_on(leader).unwrap_err().is_cancelled());
        for follower in followers {
            let tokens = runtime().block_on(follower).unwrap().unwrap();
            assert_ne!(access(&tokens), access(&old));
        }
        assert_eq!((server.token_requests() - before, server.refreshes(), server.reuses()), (1, 1, 0));
    }

    pub(super) fn a_refresh_that_nobody_waits_for_any_more_is_kept<S: AsyncSubject>() {
        let (server, client, old) = logged_in();
        server.delay_token_answers(SLOW);
        let stored = Arc::new(Mutex::new(None));
        let session = S::new(&client, expired(&old)).on_refresh({
            let stored = stored.clone();
            move |tokens| *stored.lock().unwrap() = Some(access(tokens))
        });
        let before = server.token_requests();
        let only = runtime().spawn(session.future());
        wait_until(|| server.token_requests() > before);
        only.abort();
        session.settled();
        let stored = stored.lock().unwrap().clone();
        assert_eq!(stored, Some(access(&session.tokens().unwrap())));
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    }

    pub(super) fn a_runtime_that_ends_takes_nobody_with_it<S: AsyncSubject>() {
        let script = Script::start(|_| {
            thread::sleep(GUARD);
            String::new()
        });
        let session = S::new(&script.client(), expired(&script.tokens()));
        let mortal = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let leader = mortal.spawn(session.future());
        wait_until(|| script.requests() == 1);
        let followers: Vec<_> = (0..20).map(|_| runtime().spawn(session.future())).collect();
        wait_until(|| followers.len() == 20);
        mortal.shutdown_background();
        drop(leader);
        for follower in followers {
            let failure = runtime().block_on(follower).unwrap().unwrap_err();
            assert!(matches!(failure.remedy, Remedy::TryLater(_)), "{failure:?}");
        }
        assert!(script.requests() <= 2, "the back-off holds");
    }

    /// One that is woken when the tokens have expired again, or another try is due, does not begin another refresh; and
    /// not even then does it get what was there before a logout.
    pub(super) fn a_caller_who_wakes_late_has_what_the_others_had<S: AsyncSubject>() {
        let down = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned();
        for (answer, logout) in [(granted(0), false), (granted(0), true), (down, false), (granted(3600), true)] {
            let (release, script) = Script::held(answer.clone());
            let session = S::new(&script.client(), expired(&script.tokens()));
            let _inside = runtime().enter();
            let mut late = std::pin::pin!(session.future());
            let mut look = || late.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(look().is_pending());
            wait_until(|| script.requests() == 1);
            release.send(()).unwrap();
            session.settled();
            // Longer than such tokens or the first back-off last.
            thread::sleep(Duration::from_millis(2100));
            if logout {
                session.clear();
            }
            let Poll::Ready(outcome) = look() else { panic!("{answer}: still waiting") };
            match outcome {
                Ok(tokens) => assert_eq!((&*access(&tokens), logout), ("new", false), "{answer}"),
                Err(failure) if logout => assert_eq!(failure.remedy, Remedy::LogInAgain, "{failure:?}"),
                Err(failure) => {
                    assert!(answer.contains("503") && failure.printed.contains("503"), "{answer}: {failure:?}");
                }
            }
            assert_eq!(script.requests(), 1, "{answer}");
        }
    }

    pub(super) fn tokens_that_last_are_used_while_their_renewal_is_slow<S: AsyncSubject>() {
        let (release, script) = Script::held(granted(3600));
        let session = S::new(&script.client(), due(&script.tokens()));
        for _ in 0..3 {
            assert_eq!(access(&session.tokens().unwrap()), "old");
        }
        wait_until(|| script.requests() == 1);
        assert_eq!(access(&session.tokens().unwrap()), "old");
        release.send(()).unwrap();
        session.settled();
        assert_eq!(access(&session.tokens().unwrap()), "new");
        assert_eq!(script.requests(), 1);
    }
}

#[test]
fn sessions_are_shared_and_their_futures_are_sent() {
    fn shared<T: Clone + Send + Sync + fmt::Debug + 'static>(_: &T) {}
    fn sent<F: Future + Send + 'static>(_: F) {}

    let script = Script::start(|_| granted(3600));
    let ask = || Request::get(script.url("/resource")).body("").unwrap();
    let session =
        proofkey::reqwest::Session::new(proofkey::reqwest::Transport::new().unwrap(), script.client(), script.tokens());
    let session = session.unwrap();
    shared(&session);
    sent(session.tokens());
    sent(session.call(ask()));
    sent(session.settled());

    let session =
        proofkey::hyper::Session::new(proofkey::hyper::Transport::new().unwrap(), script.client(), script.tokens());
    let session = session.unwrap();
    shared(&session);
    sent(session.tokens());
    sent(session.call(ask()));
    sent(session.settled());

    let session = proofkey::blocking::Session::new(
        proofkey::blocking::Transport::new().unwrap(),
        script.client(),
        script.tokens(),
    );
    shared(&session.unwrap());
}

/// A session of whichever transport, as a blocking caller sees it.
trait Subject: Clone + Send + Sync + 'static {
    const NAME: &str;

    fn with_timeout(client: &Client, tokens: Tokens, timeout: Duration) -> Self;
    fn on_refresh(self, hook: impl Fn(&Tokens) + Send + Sync + 'static) -> Self;
    fn tokens(&self) -> Result<Arc<Tokens>, Failure>;
    fn call(&self, request: Request<&str>) -> Result<Response<Vec<u8>>, Failure>;
    fn reject(&self, tokens: &Tokens);
    fn install(&self, tokens: Tokens) -> Result<(), Failure>;
    fn clear(&self) -> Option<Arc<Tokens>>;
    fn printed(&self) -> String;

    /// Waits for refreshes that run by themselves.
    fn settled(&self);

    /// So many callers at once who ask for tokens, as tasks or as threads.
    fn all_at_once(&self, callers: usize) -> Vec<Result<Arc<Tokens>, Failure>>;

    /// So many threads at once.
    fn crowd<T: Send + 'static>(
        &self,
        callers: usize,
        ask: impl Fn(&Self) -> T + Clone + Send + 'static,
    ) -> impl Iterator<Item = T> {
        let start = Arc::new(Barrier::new(callers));
        let caller = |_| {
            let (session, ask, start) = (self.clone(), ask.clone(), start.clone());
            let caller = thread::Builder::new().stack_size(256 * 1024);
            let caller = caller.spawn(move || {
                start.wait();
                ask(&session)
            });
            caller.expect("a thread")
        };
        let callers: Vec<_> = (0..callers).map(caller).collect();
        callers.into_iter().map(|caller| caller.join().expect("no caller panics"))
    }

    fn new(client: &Client, tokens: Tokens) -> Self {
        Self::with_timeout(client, tokens, GUARD)
    }
}

/// One whose futures are at hand.
trait AsyncSubject: Subject {
    fn future(&self) -> impl Future<Output = Result<Arc<Tokens>, Failure>> + Send + 'static;
}

/// An error of whichever transport.
#[derive(Debug)]
struct Failure {
    remedy: Remedy,
    ambiguous: bool,
    /// All that a log could say of it and its sources.
    printed: String,
}

fn told(error: &(dyn std::error::Error + 'static), remedy: Remedy, ambiguous: bool) -> Failure {
    let mut printed = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        write!(printed, "{error} | {error:?} || ").unwrap();
        next = error.source();
    }
    Failure { remedy, ambiguous, printed }
}

macro_rules! over_async {
    ($adapter:ident, $transport:ident) => {
        mod $adapter {
            use super::*;
            use proofkey::$transport::{Error, Session as Inner, Transport};

            #[derive(Clone)]
            pub(super) struct Session(Inner);

            fn failure(error: Error) -> Failure {
                told(&error, error.remedy(), error.ambiguous())
            }

            impl Subject for Session {
                const NAME: &str = stringify!($transport);

                fn with_timeout(client: &Client, tokens: Tokens, timeout: Duration) -> Self {
                    let transport = Transport::new().unwrap().timeout(timeout);
                    Self(Inner::new(transport, client.clone(), tokens).unwrap())
                }

                fn on_refresh(self, hook: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
                    let hook = Arc::new(hook);
                    Self(self.0.on_refresh(move |tokens| {
                        let hook = hook.clone();
                        // Some of these block, and others need the worker.
                        async move { tokio::task::spawn_blocking(move || hook(&tokens)).await.unwrap() }
                    }))
                }

                fn tokens(&self) -> Result<Arc<Tokens>, Failure> {
                    runtime().block_on(self.0.tokens()).map_err(failure)
                }

                fn call(&self, request: Request<&str>) -> Result<Response<Vec<u8>>, Failure> {
                    runtime().block_on(self.0.call(request)).map_err(failure)
                }

                fn reject(&self, tokens: &Tokens) {
                    self.0.reject(tokens);
                }

                fn install(&self, tokens: Tokens) -> Result<(), Failure> {
                    self.0.install(tokens).map_err(failure)
                }

                fn clear(&self) -> Option<Arc<Tokens>> {
                    self.0.clear()
                }

                fn printed(&self) -> String {
                    format!("{:?} {:#?}", self.0, self.0)
                }

                fn settled(&self) {
                    runtime().block_on(self.0.settled());
                }

                fn all_at_once(&self, callers: usize) -> Vec<Result<Arc<Tokens>, Failure>> {
                    let tasks: Vec<_> = (0..callers).map(|_| runtime().spawn(self.0.tokens())).collect();
                    tasks.into_iter().map(|task| runtime().block_on(task).unwrap().map_err(failure)).collect()
                }
            }

            impl AsyncSubject for Session {
                fn future(&self) -> impl Future<Output = Result<Arc<Tokens>, Failure>> + Send + 'static {
                    let future = self.0.tokens();
                    async { future.await.map_err(failure) }
                }
            }
        }
    };
}

over_async!(over_reqwest, reqwest);
over_async!(over_hyper, hyper);

mod over_ureq {
    use super::*;
    use proofkey::blocking::{Error, Session as Inner, Transport};

    #[derive(Clone)]
    pub(super) struct Session(Inner);

    #[allow(clippy::needless_pass_by_value, reason = "what map_err gives")]
    fn failure(error: Error) -> Failure {
        told(&error, error.remedy(), error.ambiguous())
    }

    impl Subject for Session {
        const NAME: &str = "blocking";

        fn with_timeout(client: &Client, tokens: Tokens, timeout: Duration) -> Self {
            let transport = Transport::new().unwrap().timeout(timeout);
            Self(Inner::new(transport, client.clone(), tokens).unwrap())
        }

        fn on_refresh(self, hook: impl Fn(&Tokens) + Send + Sync + 'static) -> Self {
            Self(self.0.on_refresh(hook))
        }

        fn tokens(&self) -> Result<Arc<Tokens>, Failure> {
            self.0.tokens().map_err(failure)
        }

        fn call(&self, request: Request<&str>) -> Result<Response<Vec<u8>>, Failure> {
            self.0.call(request).map_err(failure)
        }

        fn reject(&self, tokens: &Tokens) {
            self.0.reject(tokens);
        }

        fn install(&self, tokens: Tokens) -> Result<(), Failure> {
            self.0.install(tokens).map_err(failure)
        }

        fn clear(&self) -> Option<Arc<Tokens>> {
            self.0.clear()
        }

        fn printed(&self) -> String {
            format!("{:?} {:#?}", self.0, self.0)
        }

        /// There are none.
        fn settled(&self) {}

        fn all_at_once(&self, callers: usize) -> Vec<Result<Arc<Tokens>, Failure>> {
            self.crowd(callers, Subject::tokens).collect()
        }
    }
}

/// A server, a client at it, and the tokens of a login.
fn logged_in() -> (TestServer, Client, Tokens) {
    let server = TestServer::start().unwrap();
    let client = client_of(&server, RegisteredClient::PUBLIC.id);
    let tokens = log_in(&server, &client);
    (server, client, tokens)
}

fn client_of(server: &TestServer, id: &str) -> Client {
    let mut metadata = Server::new(server.authorization_endpoint(), server.token_endpoint());
    metadata.issuer = Some(server.issuer().to_owned());
    metadata.revocation_endpoint = Some(server.revocation_endpoint());
    Client::builder(metadata, id).redirect_uri(redirect_uri(8917)).build().unwrap()
}

fn log_in(server: &TestServer, client: &Client) -> Tokens {
    let http = proofkey::blocking::Transport::new().unwrap();
    let (url, pending) = http.start(client.authorize().scope(["photos"])).unwrap();
    let location = server.person().allow(url.as_str());
    run(client.exchange(pending.accept(Callback::parse(&location).unwrap()).unwrap()))
}

fn run<X: proofkey::Exchange>(exchange: X) -> X::Output {
    proofkey::blocking::Transport::new().unwrap().run(exchange).unwrap()
}

fn photos(server: &TestServer) -> Request<&'static str> {
    Request::get(server.resource()).body("").unwrap()
}

fn access(tokens: &Tokens) -> String {
    tokens.access_token().expose().to_owned()
}

/// The same tokens, as a store could give them back.
fn retell(tokens: &Tokens, changes: &[(&str, serde_json::Value)]) -> Tokens {
    let mut stored = serde_json::to_value(tokens).unwrap();
    for (name, value) in changes {
        stored[*name] = value.clone();
    }
    serde_json::from_value(stored).unwrap()
}

/// As the client sees them an hour after their end.
fn expired(tokens: &Tokens) -> Tokens {
    retell(tokens, &[("issued_at", (unix() - 7200).into()), ("expires_at", (unix() - 3600).into())])
}

/// Still good for a while, but to be renewed.
fn due(tokens: &Tokens) -> Tokens {
    retell(tokens, &[("issued_at", (unix() - 7200).into()), ("expires_at", (unix() + 45).into())])
}

fn unix() -> u64 {
    UnixTime::from(SystemTime::now()).as_secs()
}

/// A token endpoint that does what no authorization server would: a thread for each connection, closed after one answer.
struct Script {
    origin: String,
    requests: Arc<AtomicUsize>,
}

impl Script {
    fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, seen) = (Arc::new(answer), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (answer.clone(), seen.clone());
                thread::spawn(move || Self::serve(stream, &seen, &*answer));
            }
        });
        Self { origin, requests }
    }

    /// Gives this answer each time it is released.
    fn held(answer: String) -> (mpsc::Sender<()>, Self) {
        let (release, held) = mpsc::channel();
        let held = Mutex::new(held);
        let script = Self::start(move |_| {
            held.lock().unwrap().recv_timeout(GUARD).ok();
            answer.clone()
        });
        (release, script)
    }

    fn serve(mut stream: TcpStream, seen: &AtomicUsize, answer: &dyn Fn(&str) -> String) -> Option<()> {
        let mut request = String::new();
        let mut bytes = [0; 4096];
        while !request.contains("\r\n\r\n") {
            let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
            request.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let (head, body) = request.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut missing = length.unwrap_or(0_usize).saturating_sub(body.len());
        while missing > 0 {
            missing = missing.saturating_sub(stream.read(&mut bytes).ok().filter(|read| *read > 0)?);
        }
        seen.fetch_add(1, Ordering::SeqCst);
        let answer = answer(&request).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(answer.as_bytes()).ok()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn client(&self) -> Client {
        let server = Server::new(self.url("/authorize"), self.url("/token"));
        Client::builder(server, "s6BhdRkqt3").build().unwrap()
    }

    fn tokens(&self) -> Tokens {
        serde_json::from_value(serde_json::json!({
            "v": 1, "access_token": "old", "token_type": "Bearer", "refresh_token": "old refresh",
            "token_endpoint": self.url("/token"), "client_id": "s6BhdRkqt3",
        }))
        .unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn granted(expires_in: u64) -> String {
    let body = format!(
        "{{\"access_token\":\"new\",\"token_type\":\"Bearer\",\"expires_in\":{expires_in},\"refresh_token\":\"next\"}}"
    );
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

/// Runs a case, but not for ever.
fn guarded(case: fn()) {
    let (done, outcome) = mpsc::channel();
    let case = thread::spawn(move || {
        case();
        done.send(()).ok();
    });
    let ended = outcome.recv_timeout(GUARD) != Err(mpsc::RecvTimeoutError::Timeout);
    assert!(ended, "it hangs");
    if let Err(panic) = case.join() {
        std::panic::resume_unwind(panic);
    }
}

fn wait_until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < GUARD, "it never comes");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Any number: which callers give up is not for the test to choose.
fn chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

const CALLERS: usize = 1000;

/// A second, the one in which it failed, and some.
const FIRST_BACK_OFF: Duration = Duration::from_millis(2100);

/// Long enough for a crowd to gather.
const SLOW: Duration = Duration::from_millis(300);

/// No case takes nearly as long, even on a loaded machine.
const GUARD: Duration = Duration::from_secs(60);
