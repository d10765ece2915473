//! Ten thousand strangers during one wait: the login completes, memory stays where it was, no thread and no descriptor is left. Alone in
//! its process, because it counts what the process has.
#![cfg(target_os = "linux")] // reads /proc

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use proofkey::loopback::Loopback;

mod strangers;
mod support;

use support::{NOW, Octets, STATE, client};

#[test]
fn ten_thousand_strangers_leave_no_trace() {
    for on_tokio in [false, true] {
        let before = [count("task"), count("fd")];
        let loopback = Loopback::bind().expect("a port");
        let host = loopback.redirect_uri().split('/').nth(2).expect("an authority").to_owned();
        let login = client().authorize().redirect_uri(loopback.redirect_uri());
        let pending = login.redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1;
        let crowd = thread::spawn(move || crowd(&host));
        let deadline = Instant::now() + Duration::from_secs(600);
        let callback = if on_tokio {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(loopback.wait_async(&pending, deadline))
        } else {
            loopback.wait(&pending, deadline)
        };
        let grown = crowd.join().expect("nothing panics");
        assert!(pending.is_for(&callback.expect("a callback")), "on tokio: {on_tokio}");
        println!("on tokio: {on_tokio}, grown by {grown} KiB");
        // As much as half a kilobyte kept of each.
        assert!(grown < 4096, "on tokio: {on_tokio}, grown by {grown} KiB");
        // A thread that was joined is listed for a moment longer.
        let patience = Instant::now() + Duration::from_secs(30);
        while before != [count("task"), count("fd")] && Instant::now() < patience {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(before, [count("task"), count("fd")], "on tokio: {on_tokio}");
    }
}

/// Everybody comes, and this login's browser while they still do. Gives the memory, in KiB, that the later ones took beyond
/// the first.
fn crowd(host: &str) -> usize {
    let address = host.parse().expect("an address");
    let strangers = strangers::all(host, STATE);
    flood(address, &strangers, STRANGERS / 5);
    let before = resident();
    flood(address, &strangers, STRANGERS - STRANGERS / 5);
    let grown = resident().saturating_sub(before);
    let own =
        strangers::Stranger::saying(format!("GET /callback?code=abc&state={STATE} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let has_returned = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut idle = VecDeque::new();
            while !has_returned.load(Ordering::Relaxed) {
                idle.push_back(TcpStream::connect(address));
                idle.truncate(100);
            }
        });
        // Where it had to give way it loads the page again, as a person would.
        let answer = (0..100).find_map(|_| own.play(address).ok().filter(|answer| !answer.is_empty()));
        has_returned.store(true, Ordering::Relaxed);
        assert!(answer.expect("an answer").starts_with(b"HTTP/1.1 200 OK\r\n"));
    });
    grown
}

/// A few at a time, each with somebody beside it who only sits there.
fn flood(address: SocketAddr, strangers: &[strangers::Stranger], count: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut idle = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let stranger = &strangers[number % strangers.len()];
                    if let Err(error) = stranger.play(address) {
                        // One of many in a hurry may have had to give way.
                        let gone = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
                        assert!(gone.contains(&error.kind()), "{}: {error}", stranger.what);
                    }
                    if number.is_multiple_of(10) {
                        drop(idle.replace(TcpStream::connect(address)));
                    }
                }
            });
        }
    });
}

/// What of this process is in memory, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How many threads, or descriptors, this process has.
fn count(of: &str) -> usize {
    fs::read_dir(format!("/proc/self/{of}")).expect("Linux").count()
}

const STRANGERS: usize = 10_000;
