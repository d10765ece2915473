//! The session's machine by itself: what it says in each state, when it renews, and whom it believes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::WWW_AUTHENTICATE;
use proofkey::rand_core::{TryCryptoRng, TryRng};
use proofkey::{Client, Completion, Error, Exchange, Next, Refresh, Remedy, Server, Session, Step, Ticket, Tokens};
use proofkey::{UnixTime, Usage};
use serde_json::{Value, json};

/// Every state, and what is to be done in it.
#[test]
fn each_state_has_its_advice() {
    use Event::{Begun, Cleared, Dead, Failed, Refused};
    use Said::{Later, LogIn, Refresh, Use, Wait};
    let rows: [(Option<u64>, bool, &[Event], Said); 22] = [
        // The seconds left of an hour, a refresh token or none, what has happened, what to do.
        (Some(3600), true, &[], Use),
        (Some(45), true, &[], Refresh),
        (Some(45), true, &[Begun], Use),
        (Some(45), true, &[Failed], Use),
        (Some(45), false, &[], Use),
        (Some(45), true, &[Refused], Refresh),
        (Some(45), true, &[Begun, Refused], Wait),
        (Some(45), true, &[Failed, Refused], Later(2)),
        (Some(0), true, &[], Refresh),
        (Some(0), true, &[Begun], Wait),
        (Some(0), true, &[Failed], Later(2)),
        (Some(0), false, &[], LogIn),
        (Some(0), true, &[Begun, Cleared], LogIn),
        (Some(0), true, &[Dead], LogIn),
        (Some(3600), true, &[Refused], Refresh),
        (Some(3600), true, &[Refused, Begun], Wait),
        (Some(3600), true, &[Refused, Failed], Later(2)),
        (Some(3600), false, &[Refused], LogIn),
        (Some(3600), true, &[Cleared], LogIn),
        (None, true, &[], Use),
        (None, true, &[Refused], Refresh),
        (None, false, &[Refused], LogIn),
    ];
    for (left, renewable, events, said) in rows {
        let case = format!("{left:?} s left, renewable: {renewable}, {events:?}");
        let tokens = tokens(left.map(|left| (NOW + left - 3600, NOW + left)), renewable.then_some("RT1"));
        let mut session = Session::new(client(), tokens.clone()).expect("its own tokens");
        for event in events {
            match event {
                Refused => session.reject(&tokens),
                Cleared => drop(session.clear()),
                Begun => drop(begin(&mut session, NOW)),
                Failed => fail(&mut session, Remedy::TryLater(None), NOW),
                Dead => fail(&mut session, Remedy::LogInAgain, NOW),
            }
        }
        assert_eq!(Said::of(&session.next(at(NOW), &mut Draws(0))), said, "{case}");
    }
}

#[derive(Debug)]
enum Event {
    Refused,
    Cleared,
    Begun,
    Failed,
    Dead,
}

// When to renew.

/// "Tokens are renewed before they expire, by a minute or a tenth of their lifetime, whichever is less, and up to half as
/// much again by chance."
#[test]
fn tokens_are_renewed_early_by_a_minute_or_a_tenth_and_up_to_half_as_much_again() {
    for (lifetime, lead) in
        [(86_400, 60), (3600, 60), (600, 60), (599, 59), (300, 30), (100, 10), (20, 2), (19, 1), (10, 1), (9, 0)]
    {
        let expiry = NOW + lifetime;
        let mut earliest = expiry;
        for drawn in (0..100).chain([u32::MAX - 1, u32::MAX]) {
            let mut session = Session::new(client(), tokens(Some((NOW, expiry)), Some("RT1"))).expect("its own");
            let mut seconds = expiry - lifetime.min(100)..=expiry;
            let due = seconds.find(|now| peek(&mut session, *now, drawn) != Said::Use).expect("it is fresh at first");
            assert!(due <= expiry - lead, "{lifetime} s, {drawn}: {} s early", expiry - due);
            assert!(due >= expiry - lead - lead / 2, "{lifetime} s, {drawn}: {} s early", expiry - due);
            earliest = earliest.min(due);
        }
        assert_eq!(earliest, expiry - lead - lead / 2, "{lifetime} s: chance reaches as far as it may");
    }
}

/// Chance is asked once for each token, or the earliest of many draws would count.
#[test]
fn the_time_to_renew_is_drawn_once() {
    let mut session = Session::new(client(), tokens(Some((NOW, NOW + 3600)), Some("RT1"))).expect("its own");
    // Draws nothing early, and then the earliest there is.
    assert_eq!(Said::of(&session.next(at(NOW), &mut Draws(0))), Said::Use);
    assert_eq!(Said::of(&session.next(at(NOW + 3539), &mut Draws(30))), Said::Use);
    assert_eq!(Said::of(&session.next(at(NOW + 3540), &mut Draws(0))), Said::Refresh);
}

/// "Without a known expiry they are used until a resource refuses them."
#[test]
fn no_known_expiry_no_early_refresh() {
    let tokens = tokens(None, Some("RT1"));
    let mut session = Session::new(client(), tokens.clone()).expect("its own");
    for now in [0, NOW, NOW * 2, u64::MAX] {
        assert_eq!(Said::of(&session.next(at(now), &mut Draws(u32::MAX))), Said::Use);
    }
    session.reject(&tokens);
    assert_eq!(Said::of(&session.next(at(NOW), &mut Draws(0))), Said::Refresh);
}

/// rf-010: `expires_in: 0` for ever. At most one refresh for each who asks, and one in a second.
#[test]
fn tokens_that_come_expired_make_no_loop() {
    let mut session = Session::new(client(), tokens(Some((NOW, NOW)), Some("RT1"))).expect("its own");
    let mut refreshes = 0;
    for second in 0..10 {
        for _ in 0..100 {
            match session.next(at(NOW + second), &mut Draws(0)) {
                Next::Use(_) => {}
                Next::Refresh(ticket, exchange) => {
                    refreshes += 1;
                    let renewed = answer(exchange, NOW + second, &json!({"access_token": "AT", "expires_in": 0}));
                    let done = session.complete(ticket, Ok(renewed), at(NOW + second));
                    assert!(matches!(done, Completion::Renewed(_)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(refreshes, 10);
}

/// rf-011: a token of five seconds is used for five seconds.
#[test]
fn short_tokens_are_used() {
    let mut session = Session::new(client(), tokens(Some((NOW - 9, NOW - 4)), Some("RT1"))).expect("its own");
    let (ticket, exchange) = begin(&mut session, NOW);
    let renewed = answer(exchange, NOW, &json!({"access_token": "AT2", "expires_in": 5}));
    assert!(matches!(session.complete(ticket, Ok(renewed), at(NOW)), Completion::Renewed(_)));
    for second in 0..5 {
        assert_eq!(peek(&mut session, NOW + second, u32::MAX), Said::Use, "{second}");
    }
    assert_eq!(peek(&mut session, NOW + 5, 0), Said::Refresh);
}

/// A grant is renewed with the refresh token of the last answer, not of the first.
#[test]
fn renewed_tokens_take_the_place_of_the_old() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    for generation in 2..5 {
        let (ticket, exchange) = begin(&mut session, NOW + generation * 4000);
        let body = json!({"access_token": format!("AT{generation}"), "expires_in": 3600,
                          "refresh_token": format!("RT{generation}")});
        let renewed = answer_to(exchange, NOW + generation * 4000, &body, &format!("RT{}", generation - 1));
        assert!(matches!(session.complete(ticket, Ok(renewed), at(NOW + generation * 4000)), Completion::Renewed(_)));
        let held = session.tokens().expect("there are tokens");
        assert_eq!(held.access_token().expose(), format!("AT{generation}"));
    }
}

// Refusals by a resource.

/// "Only news if it is still the current one; otherwise somebody has renewed it meanwhile."
#[test]
fn a_rejected_token_is_renewed_only_if_it_is_current() {
    let old = tokens(Some((NOW, NOW + 3600)), Some("RT1"));
    let mut session = Session::new(client(), old.clone()).expect("its own");
    session.reject(&old);
    session.reject(&old);
    assert!(session.usable(at(NOW)).is_none());
    let (ticket, exchange) = begin(&mut session, NOW);
    let renewed = answer(exchange, NOW, &json!({"access_token": "AT2", "expires_in": 3600}));
    assert!(matches!(session.complete(ticket, Ok(renewed), at(NOW)), Completion::Renewed(_)));
    session.reject(&old);
    assert_eq!(peek(&mut session, NOW, 0), Said::Use);
}

/// RFC 6750 section 3.1: "`invalid_token`: The access token provided is expired, revoked, malformed, or invalid for other
/// reasons. The resource SHOULD respond with the HTTP 401 (Unauthorized) status code."
#[test]
fn a_rejection_is_a_401_with_invalid_token_for_bearer() {
    let rows = [
        (401, r#"Bearer error="invalid_token""#, true),
        (401, r#"Basic realm="x", Bearer realm="y", error="invalid_token""#, true),
        (401, "bearer error=invalid_token", true),
        (401, "Bearer", false),
        (401, r#"Bearer error="insufficient_scope""#, false),
        (401, r#"Bearer error_description="invalid_token""#, false),
        (401, r#"DPoP error="invalid_token""#, false),
        (401, r#"Basic realm="error=invalid_token""#, false),
        (403, r#"Bearer error="invalid_token""#, false),
        (400, r#"Bearer error="invalid_token""#, false),
        (200, r#"Bearer error="invalid_token""#, false),
    ];
    for (status, challenge, rejected) in rows {
        let response = Response::builder().status(status).header(WWW_AUTHENTICATE, challenge).body(()).expect("one");
        assert_eq!(Session::is_rejection(&response), rejected, "{status} {challenge}");
    }
}

// Outcomes.

/// "The next try waits as long as the server asked, or longer with each failure": twice as long, to a minute. The second
/// in which it failed is not counted, as the clock has no parts of it.
#[test]
fn each_failure_waits_twice_as_long() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    let mut now = NOW;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().chain([60; 60]) {
        let (ticket, _) = begin(&mut session, now);
        let done = session.complete(ticket, Err(Remedy::TryLater(None)), at(now));
        assert!(later(&done) == Some(wait + 1), "{done:?}");
        assert_eq!(peek(&mut session, now, 0), Said::Later(wait + 1));
        assert_eq!(peek(&mut session, now + wait, 0), Said::Later(1));
        now += wait + 1;
    }
    // A success forgets them all.
    let (ticket, exchange) = begin(&mut session, now);
    let renewed = answer(exchange, now, &json!({"access_token": "AT2", "expires_in": 60}));
    assert!(matches!(session.complete(ticket, Ok(renewed), at(now)), Completion::Renewed(_)));
    let (ticket, _) = begin(&mut session, now + 60);
    assert_eq!(later(&session.complete(ticket, Err(Remedy::TryLater(None)), at(now + 60))), Some(2));
}

/// RFC 9110 section 10.2.3: "Servers send the "Retry-After" header field to indicate how long the user agent ought to wait
/// before making a follow-up request."
#[test]
fn a_server_may_say_how_long() {
    for (asked, wait) in [(0, 2), (1, 2), (30, 31), (86_400, 86_401)] {
        let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
        let (ticket, _) = begin(&mut session, NOW);
        let done = session.complete(ticket, Err(Remedy::TryLater(Some(Duration::from_secs(asked)))), at(NOW));
        assert_eq!(later(&done), Some(wait), "{asked}");
        assert_eq!(peek(&mut session, NOW + wait - 1, 0), Said::Later(1), "{asked}");
        assert_eq!(peek(&mut session, NOW + wait, 0), Said::Refresh, "{asked}");
    }
}

/// A clock that was wrong when a refresh failed does not hold the session back for as long as it was wrong.
#[test]
fn a_clock_set_back_ends_the_wait() {
    let mut session = Session::new(client(), tokens(Some((NOW - 9000, NOW - 5400)), Some("RT1"))).expect("its own");
    fail(&mut session, Remedy::TryLater(None), NOW);
    assert_eq!(peek(&mut session, NOW, 0), Said::Later(2));
    assert_eq!(peek(&mut session, NOW - 3600, 0), Said::Refresh);
}

/// Only `invalid_grant` and its like end a grant: a mistake in the configuration keeps the tokens (rf-015).
#[test]
fn what_is_not_the_grants_end_keeps_the_tokens() {
    for remedy in [Remedy::TryLater(None), Remedy::FixConfiguration, Remedy::Report] {
        let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
        let (ticket, _) = begin(&mut session, NOW);
        let Completion::Failed(told) = session.complete(ticket, Err(remedy), at(NOW)) else { panic!("{remedy:?}") };
        let expected = if remedy == Remedy::TryLater(None) { Remedy::TryLater(Some(SECOND * 2)) } else { remedy };
        assert_eq!(told, expected);
        assert!(session.tokens().is_some(), "{remedy:?}");
        assert_eq!(peek(&mut session, NOW, 0), Said::Later(2), "{remedy:?}");
        assert_eq!(peek(&mut session, NOW + 2, 0), Said::Refresh, "{remedy:?}");
    }
}

/// A server that answers each refresh with nonsense for an hour, and somebody who asks every second. Where the refresh token
/// may be spent it is sent twice; otherwise no more than once a minute, and everybody is told.
#[test]
fn a_refresh_token_is_not_worn_out_by_a_server_that_makes_no_sense() {
    let tokens_in_json = r#"{"access_token":"AT2","token_type":"Bearer"}"#;
    let later = Remedy::TryLater(None);
    let (spent, kept) = (2, 64);
    let rows = [
        (200, "<html>", Remedy::Report, spent),
        (200, "{}", Remedy::Report, spent),
        (200, r#"{"access_token":["AT2"],"token_type":"Bearer"}"#, Remedy::Report, spent),
        (200, r#"{"access_token":"AT2","token_type":"mac"}"#, Remedy::Report, spent),
        (201, tokens_in_json, Remedy::Report, spent),
        (204, "", Remedy::Report, spent),
        (400, r#"{"error":["invalid_grant"]}"#, Remedy::Report, spent),
        (302, tokens_in_json, Remedy::Report, kept),
        (400, "<html>", Remedy::Report, kept),
        (404, "<html>", Remedy::Report, kept),
        (401, r#"{"error":"invalid_client"}"#, Remedy::FixConfiguration, kept),
        (503, tokens_in_json, later, kept),
    ];
    for (status, body, remedy, most) in rows {
        let case = format!("{status} {body}");
        let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
        let mut count = 0;
        for now in NOW..NOW + 3600 {
            match session.next(at(now), &mut Draws(0)) {
                Next::Refresh(ticket, mut exchange) => {
                    count += 1;
                    let _request = exchange.next_request(at(now), &mut Draws(0)).expect("a request");
                    let answer = Response::builder().status(status).body(body.into()).expect("an answer");
                    let error = exchange.handle_response(answer).expect_err(&case);
                    assert_eq!(error.remedy(), remedy, "{case}");
                    let done = if error.ambiguous() {
                        session.lost(ticket, remedy, at(now))
                    } else {
                        session.complete(ticket, Err(remedy), at(now))
                    };
                    let Completion::Failed(told) = done else { panic!("{case}: {done:?}") };
                    let is_last = most == spent && count == spent;
                    let expected = if is_last { Remedy::LogInAgain } else { remedy };
                    assert!(told == expected || (remedy == later && matches!(told, Remedy::TryLater(_))), "{case}");
                }
                Next::Later(delay) => assert!(delay <= SECOND * 61, "{case}: {delay:?}"),
                Next::LogIn => assert_eq!(count, spent, "{case}"),
                other => panic!("{case}: {other:?}"),
            }
        }
        assert_eq!(count, most, "{case}");
        assert!(session.tokens().is_some(), "{case}: nobody has said that they are dead");
    }
}

/// "The first time [..] the refresh is tried once more. The second time [..] it is [`Next::LogIn`]", until there are new
/// tokens, or the same ones are installed again.
#[test]
fn a_refresh_token_is_sent_again_after_one_lost_answer_and_not_after_two() {
    for (remedy, told) in [
        (Remedy::TryLater(None), Remedy::TryLater(Some(SECOND * 2))),
        (Remedy::TryLater(Some(SECOND * 9)), Remedy::TryLater(Some(SECOND * 10))),
        (Remedy::Report, Remedy::Report),
    ] {
        let own = tokens(Some((NOW - 3600, NOW)), Some("RT1"));
        let mut session = Session::new(client(), own.clone()).expect("its own");
        let (ticket, _) = begin(&mut session, NOW);
        let done = session.lost(ticket, remedy, at(NOW));
        assert!(matches!(done, Completion::Failed(said) if said == told), "{done:?}");
        assert!(matches!(peek(&mut session, NOW, 0), Said::Later(_)), "{remedy:?}");

        let (ticket, _) = begin(&mut session, NOW + 10);
        let done = session.lost(ticket, remedy, at(NOW + 10));
        assert!(matches!(done, Completion::Failed(Remedy::LogInAgain)), "{done:?}");
        for now in [NOW + 10, NOW + 100, u64::MAX] {
            assert_eq!(peek(&mut session, now, 0), Said::LogIn, "{remedy:?}");
        }
        assert!(session.tokens().is_some(), "nobody knows that they are dead");

        session.install(own).expect("its own");
        assert_eq!(peek(&mut session, NOW + 11, 0), Said::Refresh, "{remedy:?}");
    }
}

/// What is lost is counted, and what is known is not: a refusal, or a request that was never sent.
#[test]
fn what_is_known_to_have_failed_is_no_loss() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    for round in 0..5 {
        fail(&mut session, Remedy::TryLater(None), NOW + round * 100);
    }
    let (ticket, _) = begin(&mut session, NOW + 500);
    assert!(later(&session.lost(ticket, Remedy::TryLater(None), at(NOW + 500))).is_some());
    // Nor does it undo the loss.
    fail(&mut session, Remedy::TryLater(None), NOW + 600);
    let (ticket, _) = begin(&mut session, NOW + 700);
    let done = session.lost(ticket, Remedy::TryLater(None), at(NOW + 700));
    assert!(matches!(done, Completion::Failed(Remedy::LogInAgain)), "{done:?}");
}

/// A refresh token that has come since is another one.
#[test]
fn new_tokens_forget_what_was_lost() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    for round in 0..5 {
        let now = NOW + round * 100;
        let (ticket, _) = begin(&mut session, now);
        assert!(later(&session.lost(ticket, Remedy::TryLater(None), at(now))).is_some(), "{round}");
        let (ticket, exchange) = begin(&mut session, now + 10);
        let renewed = answer(exchange, now + 10, &json!({"access_token": "AT2", "expires_in": 1}));
        assert!(matches!(session.complete(ticket, Ok(renewed), at(now + 10)), Completion::Renewed(_)));
    }
}

/// "The tokens are held and used as long as they last."
#[test]
fn tokens_last_although_their_renewal_was_lost() {
    let own = tokens(Some((NOW - 3555, NOW + 45)), Some("RT1"));
    let mut session = Session::new(client(), own.clone()).expect("its own");
    for now in [NOW, NOW + 10] {
        let (ticket, _) = begin(&mut session, now);
        assert!(matches!(session.lost(ticket, Remedy::TryLater(None), at(now)), Completion::Failed(_)));
    }
    assert_eq!(peek(&mut session, NOW + 44, 0), Said::Use);
    assert_eq!(peek(&mut session, NOW + 45, 0), Said::LogIn);
    session.reject(&own);
    assert_eq!(peek(&mut session, NOW + 11, 0), Said::LogIn);
}

/// A loss that comes after a login is the old login's.
#[test]
fn what_was_lost_before_a_login_is_not_counted() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    let (ticket, _) = begin(&mut session, NOW);
    session.install(tokens(Some((NOW - 3600, NOW)), Some("RT2"))).expect("its own");
    let done = session.lost(ticket, Remedy::TryLater(None), at(NOW));
    assert!(matches!(done, Completion::Stale(None)), "{done:?}");
    let (ticket, _) = begin(&mut session, NOW);
    assert!(later(&session.lost(ticket, Remedy::TryLater(None), at(NOW))).is_some());
}

/// RFC 6749 section 5.2: "`invalid_grant`: The provided authorization grant (e.g., authorization code, resource owner
/// credentials) or refresh token is invalid, expired, revoked [..]"
#[test]
fn a_dead_grant_ends_the_session_until_there_are_new_tokens() {
    let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
    let (ticket, _) = begin(&mut session, NOW);
    let done = session.complete(ticket, Err(Remedy::LogInAgain), at(NOW));
    assert!(matches!(done, Completion::Failed(Remedy::LogInAgain)), "{done:?}");
    assert!(session.tokens().is_none());
    for now in [NOW, NOW + 100, u64::MAX] {
        assert_eq!(peek(&mut session, now, 0), Said::LogIn);
    }
    session.install(tokens(Some((NOW, NOW + 3600)), Some("RT9"))).expect("its own");
    assert_eq!(peek(&mut session, NOW, 0), Said::Use);
}

// Logins and logouts in between.

/// "A ticket names the tokens it was given for: what comes back for others [..] is dropped."
#[test]
fn what_comes_after_a_logout_is_dropped() {
    for outcome in [Ok(()), Err(Remedy::TryLater(None)), Err(Remedy::LogInAgain)] {
        let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
        let (ticket, exchange) = begin(&mut session, NOW);
        assert!(session.is_current(&ticket));
        assert!(session.clear().is_some());
        assert!(session.clear().is_none());
        assert!(!session.is_current(&ticket));
        let renewed = answer(exchange, NOW, &json!({"access_token": "AT2"}));
        let done = session.complete(ticket, outcome.map(|()| renewed), at(NOW));
        let Completion::Stale(late) = done else { panic!("{done:?}") };
        assert_eq!(late.map(|late| late.access_token().expose().to_owned()), outcome.ok().map(|()| "AT2".to_owned()));
        assert_eq!(peek(&mut session, NOW, 0), Said::LogIn);
        assert!(session.tokens().is_none());
    }
}

#[test]
fn what_comes_after_a_login_is_dropped_and_its_own_refresh_goes_on() {
    for outcome in [Ok(()), Err(Remedy::TryLater(None)), Err(Remedy::LogInAgain)] {
        let mut session = Session::new(client(), tokens(Some((NOW - 3600, NOW)), Some("RT1"))).expect("its own");
        let (late, exchange) = begin(&mut session, NOW);
        session.install(tokens(Some((NOW - 3600, NOW)), Some("RT9"))).expect("its own");
        let (ticket, own) = begin(&mut session, NOW);
        let renewed = answer(exchange, NOW, &json!({"access_token": "AT2"}));
        let done = session.complete(late, outcome.map(|()| renewed), at(NOW));
        assert!(matches!(done, Completion::Stale(_)), "{done:?}");
        assert_eq!(peek(&mut session, NOW, 0), Said::Wait, "the other refresh is still under way");
        let renewed = answer_to(own, NOW, &json!({"access_token": "AT10"}), "RT9");
        assert!(matches!(session.complete(ticket, Ok(renewed), at(NOW)), Completion::Renewed(_)));
        assert_eq!(session.tokens().expect("tokens").access_token().expose(), "AT10");
    }
}

/// The same grant read again, from a store perhaps, does not let its refresh token be spent twice.
#[test]
fn tokens_that_are_being_renewed_are_not_renewed_twice_when_they_are_installed_again() {
    let same = tokens(Some((NOW - 3600, NOW)), Some("RT1"));
    let mut session = Session::new(client(), same.clone()).expect("its own");
    let (ticket, exchange) = begin(&mut session, NOW);
    session.install(same).expect("its own");
    assert!(session.is_current(&ticket));
    assert_eq!(peek(&mut session, NOW, 0), Said::Wait);
    let renewed = answer(exchange, NOW, &json!({"access_token": "AT2"}));
    assert!(matches!(session.complete(ticket, Ok(renewed), at(NOW)), Completion::Renewed(_)));
    assert_eq!(peek(&mut session, NOW, 0), Said::Use);
}

/// Tokens are used only for the server and the client they were given to.
#[test]
fn a_stranger_s_tokens_are_refused_and_change_nothing() {
    let own = tokens(Some((NOW, NOW + 3600)), Some("RT1"));
    let rows = [("token_endpoint", "https://other.example/token"), ("client_id", "another")];
    for (member, value) in rows {
        let mut strange = serde_json::to_value(&own).expect("JSON");
        strange[member] = value.into();
        let strange: Tokens = serde_json::from_value(strange).expect("tokens");
        let why = |error| match error {
            Error::Usage(Usage::OtherServer) => "token_endpoint",
            Error::Usage(Usage::OtherClient) => "client_id",
            other => panic!("{other:?}"),
        };
        assert_eq!(why(Session::new(client(), strange.clone()).expect_err("not its own")), member);
        let mut session = Session::new(client(), own.clone()).expect("its own");
        assert_eq!(why(session.install(strange).expect_err("not its own")), member);
        assert_eq!(peek(&mut session, NOW, 0), Said::Use);
    }
}

/// What [`Next`] says, to compare.
#[derive(Debug, PartialEq)]
enum Said {
    Use,
    Refresh,
    Wait,
    Later(u64),
    LogIn,
}

impl Said {
    fn of(next: &Next) -> Self {
        match next {
            Next::Use(_) => Self::Use,
            Next::Refresh(..) => Self::Refresh,
            Next::Wait => Self::Wait,
            Next::Later(delay) => Self::Later(delay.as_secs()),
            Next::LogIn => Self::LogIn,
        }
    }
}

/// What it says. After a refresh whose ticket is lost, a session is of no more use.
fn peek(session: &mut Session, now: u64, drawn: u32) -> Said {
    Said::of(&session.next(at(now), &mut Draws(drawn)))
}

fn begin(session: &mut Session, now: u64) -> (Ticket, Refresh) {
    match session.next(at(now), &mut Draws(0)) {
        Next::Refresh(ticket, exchange) => (ticket, exchange),
        other => panic!("no refresh, but {other:?}"),
    }
}

fn fail(session: &mut Session, remedy: Remedy, now: u64) {
    let (ticket, _) = begin(session, now);
    assert!(matches!(session.complete(ticket, Err(remedy), at(now)), Completion::Failed(_)));
}

fn later(done: &Completion) -> Option<u64> {
    match done {
        Completion::Failed(Remedy::TryLater(Some(delay))) => Some(delay.as_secs()),
        _ => None,
    }
}

/// Runs a refresh whose answer is this.
fn answer(exchange: Refresh, now: u64, body: &Value) -> Arc<Tokens> {
    answer_to(exchange, now, body, "RT1")
}

fn answer_to(mut exchange: Refresh, now: u64, body: &Value, spent: &str) -> Arc<Tokens> {
    let request = exchange.next_request(at(now), &mut Draws(0)).expect("a request");
    let form = str::from_utf8(request.body().as_ref()).expect("a form");
    assert!(form.contains(&format!("refresh_token={spent}&")), "{form}");
    let mut body = body.clone();
    body["token_type"] = "Bearer".into();
    match exchange.handle_response(Response::new(body.to_string().into_bytes())) {
        Ok(Step::Done(tokens)) => Arc::new(tokens),
        other => panic!("{other:?}"),
    }
}

fn client() -> Client {
    let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token");
    Client::builder(server, "s6BhdRkqt3").build().expect("a client")
}

/// Issued and expiring then.
fn tokens(life: Option<(u64, u64)>, refresh_token: Option<&str>) -> Tokens {
    let stored = json!({
        "v": 1, "access_token": "AT1", "token_type": "Bearer", "refresh_token": refresh_token,
        "issued_at": life.map_or(NOW, |(issued, _)| issued), "expires_at": life.map(|(_, expires)| expires),
        "token_endpoint": "https://as.example.com/token", "client_id": "s6BhdRkqt3",
    });
    serde_json::from_value(stored).expect("tokens")
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

/// Chance that always gives the same.
struct Draws(u32);

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.into())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

const NOW: u64 = 1_767_225_600;
const SECOND: Duration = Duration::from_secs(1);

/// A ticket is the session's that gave it, and what it brings must be of the same client.
#[test]
fn a_ticket_is_of_one_session_and_brings_its_own_tokens() {
    let due = || tokens(Some((NOW - 3600, NOW)), Some("RT1"));
    let (mut alices, mut bobs) =
        (Session::new(client(), due()).expect("hers"), Session::new(client(), due()).expect("his"));
    let (ticket, _) = begin(&mut alices, NOW);
    assert!(!bobs.is_current(&ticket));
    let hers = Arc::new(tokens(None, Some("RT2")));
    assert!(matches!(bobs.complete(ticket, Ok(hers), at(NOW)), Completion::Stale(Some(_))));

    let (ticket, _) = begin(&mut bobs, NOW);
    let foreign = r#"{"v":1,"access_token":"X","token_type":"Bearer","issued_at":1,"token_endpoint":"https://other.example/token"}"#;
    let foreign: Tokens = serde_json::from_str(foreign).expect("tokens");
    assert!(matches!(bobs.complete(ticket, Ok(Arc::new(foreign)), at(NOW)), Completion::Stale(Some(_))));
    // It is a failed refresh like others, and nobody waits for it any more.
    assert!(matches!(bobs.next(at(NOW), &mut Draws(0)), Next::Later(_)));
    let _again = begin(&mut bobs, NOW + 10);
}
