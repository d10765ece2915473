//! The handle itself: starting, stopping, listening, breaking things.

mod client;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use client::{agent, authorization_url, code, refresh, tokens};
use proofkey_test_server::{RegisteredClient, TestServer};

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

#[test]
fn drop_frees_the_port_in_spite_of_open_connections() {
    let server = start();
    let address = server.issuer().strip_prefix("http://").expect("http").to_owned();
    // One idle connection that was kept alive, one in the middle of a request.
    let mut idle = TcpStream::connect(&address).expect("it listens");
    idle.write_all(b"GET /resource HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    assert!(idle.read(&mut [0; 1024]).expect("an answer") > 0);
    let mut slow = TcpStream::connect(&address).expect("it listens");
    slow.write_all(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").expect("sent");

    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(TcpStream::connect(&address).is_err());

    let (_, port) = address.split_once(':').expect("a port");
    let server = TestServer::builder().port(port.parse().expect("a number")).start().expect("the port is free again");
    assert_eq!(server.issuer(), format!("http://{address}"));
}

#[test]
fn a_taken_port_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port();
    assert!(TestServer::builder().port(port).start().is_err());
}

#[test]
fn requests_are_remembered_in_full() {
    let server = start();
    tokens(&server, RegisteredClient::BASIC);
    let requests = server.requests();
    let [page, pressed, token] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((page.method.as_str(), &*page.path, page.status), ("GET", "/authorize", 200));
    assert!(page.query.as_ref().is_some_and(|q| q.contains("S256")));
    assert_eq!((&*pressed.path, pressed.status), ("/consent", 303));
    assert_eq!((token.method.as_str(), &*token.path, token.status), ("POST", "/token", 200));
    assert_eq!(token.parameter_names(), ["grant_type", "code", "redirect_uri", "code_verifier"]);
    assert_eq!(token.parameter("code_verifier").as_deref(), Some(client::VERIFIER));
    assert!(token.authorization().is_some_and(|a| a.starts_with("Basic ")));
    assert_eq!(server.token_requests(), 1);
    server.forget_requests();
    assert!(server.requests().is_empty());
}

#[test]
fn delayed_answers_overlap() {
    let server = start();
    let client = RegisteredClient::PUBLIC;
    let token = tokens(&server, client).text("refresh_token");
    server.delay_token_answers(Duration::from_millis(400));
    let begun = Instant::now();
    let answers: Vec<u16> = thread::scope(|scope| {
        let racers: Vec<_> = (0..2).map(|_| scope.spawn(|| refresh(&server, client, &token).status)).collect();
        racers.into_iter().map(|r| r.join().expect("no panic")).collect()
    });
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(400), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(790), "{elapsed:?}");
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!((server.refreshes(), server.reuses()), (1, 1));
}

#[test]
fn an_outage_has_no_effect_but_its_page() {
    let server = start();
    let client = RegisteredClient::PUBLIC;
    let code = code(&server, client);
    server.fail_token_requests(2, 503);
    for _ in 0..2 {
        let answer = client::redeem(&server, client, &code, client::VERIFIER);
        assert_eq!(answer.status, 503);
        assert!(answer.body.starts_with("<!DOCTYPE html>"));
    }
    let answer = client::redeem(&server, client, &code, client::VERIFIER);
    assert_eq!(answer.status, 200);
    assert_eq!(server.token_requests(), 3);
}

#[test]
fn a_person_delivers_the_redirect() {
    let server = start();
    let application = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = application.local_addr().expect("it has an address").port();
    let uri = proofkey_test_server::redirect_uri(port);
    let change = [("redirect_uri", Some(&*uri))];
    let location = server.person().allow(&authorization_url(&server, RegisteredClient::PUBLIC, &change));
    let listening = thread::spawn(move || {
        let (mut browser, _) = application.accept().expect("a browser comes");
        let mut request = [0; 4096];
        let n = browser.read(&mut request).expect("it asks");
        browser
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbye!")
            .expect("it listens");
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let answer = server.person().follow(&location).expect("the application answers");
    assert_eq!((answer.status, &*answer.body), (200, "bye!"));
    let request = listening.join().expect("no panic");
    assert!(request.starts_with("GET /callback?code="), "{request}");

    assert!(server.person().follow("http://127.0.0.1:1/callback").is_err());
}

#[test]
fn a_body_too_large_is_refused() {
    let server = start();
    let body = "a".repeat((1 << 20) + 1);
    // The server may hang up before all of it was sent.
    if let Ok(answer) = agent().post(server.token_endpoint()).send(&body) {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(server.token_requests(), 0);
}

#[test]
fn it_starts_and_stops_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let server = start();
        assert_eq!(client::get(&server.metadata_url(), None).status, 200);
        drop(server);
    });
}
