//! Whatever a secret is: no memory that core gives back still holds it. The allocator looks before it frees.
//!
//! Left out is what core hands to others: a header of the `http` crate, a serializer's buffer, an escaped JSON string.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use oracle::{Counting, ISSUER, NOW, REDIRECT_URI, encode, response, server};
use proofkey_core::{Authentication, Callback, Exchange, Quirks, Secret, Step};

/// What is looked for; secrets begin with it. What is shorter than eight letters an error's code may contain by chance.
const CANARY: &[u8] = b"A-Canary";

/// Looks for [`CANARY`] in what is freed, while [`LOOKING`]. New memory is zero, so that what it held before is not found.
struct Looking;

static LOOKING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if LOOKING.load(Ordering::Relaxed) {
            let freed = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            if freed.windows(CANARY.len()).any(|window| window == CANARY) {
                FOUND.fetch_add(1, Ordering::Relaxed);
            }
        }
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

/// The outcome of this, if it left no secret behind.
fn look<T>(what: &str, at: impl FnOnce() -> T) -> T {
    LOOKING.store(true, Ordering::Relaxed);
    let outcome = at();
    LOOKING.store(false, Ordering::Relaxed);
    assert_eq!(FOUND.swap(0, Ordering::Relaxed), 0, "{what} leaves a secret in memory");
    outcome
}

fuzz_target!(|input: (u16, &str)| {
    let (status, suffix) = input;
    let Ok(status) = StatusCode::from_u16(200 + status % 400) else { return };
    let suffix: String = suffix.chars().filter(|c| c.is_ascii_graphic() && !"\"\\".contains(*c)).collect();
    let secret = format!("A-Canary{suffix}");
    for authentication in [Authentication::none(), Authentication::post(secret.as_str())] {
        let copy = authentication.clone();
        let client = oracle::client(server(), authentication, Quirks::none());
        let mut push = client.authorize().push();
        look("a push", || drop((push.next_request(NOW, &mut Counting(0)), push)));

        let pending = oracle::login(&client);
        let query = format!("code={}&state={}&iss={}", encode(&secret), pending.state(), encode(ISSUER));
        let url = format!("{REDIRECT_URI}?{query}");
        look("a callback", || drop(Callback::parse(&query)));
        let refused = format!("{query}&code=%ff");
        look("what is refused", || drop(Callback::parse(&refused)));
        let Ok(callback) = look("a whole URL", || Callback::parse(&url)) else { return };
        let Ok(grant) = look("a grant", || pending.accept(callback)) else { panic!("it is the answer") };
        let token = format!(
            r#"{{"access_token":"{secret}","token_type":"Bearer","refresh_token":"{secret}","id_token":"{secret}","other":"{secret}"}}"#
        );
        if let Some(tokens) = run(client.exchange(grant), status, token.into_bytes()) {
            let words = format!(r#"{{"error":"invalid_grant","error_description":"of {secret}: {secret}"}}"#);
            run(client.refresh(&tokens).expect("a refresh"), StatusCode::BAD_REQUEST, words.clone().into_bytes());
            run(client.revoke(&tokens).expect("a revocation"), status, words.into_bytes());
            // The access token stands for what a server should not quote: as its error, and where it sends people.
            let words = format!(r#"{{"error":"{secret}","error_uri":"https://as.example.com/?{secret}"}}"#);
            run(client.refresh(&tokens).expect("a refresh"), StatusCode::BAD_REQUEST, words.into_bytes());
            let mut refused = client.refresh(&tokens).expect("a refresh").param("state", "not to be given");
            look("a refused request", || drop(refused.next_request(NOW, &mut Counting(0))));
            drop(refused);
            look("tokens", || drop(tokens));
        }
        let forgiving = oracle::client(server(), copy.clone(), Quirks::none().token_response_form_encoded());
        let pending = oracle::login(&forgiving);
        let query = format!("code=a&state={}&iss={}", pending.state(), encode(ISSUER));
        let Ok(grant) = pending.accept(Callback::parse(&query).expect("a callback")) else {
            panic!("it is the answer")
        };
        let token = format!("access_token={}&token_type=bearer&scope={}", encode(&secret), encode(&suffix));
        drop(run(forgiving.exchange(grant), status, token.into_bytes()));
        run(client.introspect(&Secret::new(secret.as_str())), status, secret.clone().into_bytes());
        // Not the client itself: what moves into it takes along, where it holds nothing, what was on the stack.
        look("a client's credentials", || drop(copy));
    }
});

/// One request and its answer.
fn run<X: Exchange>(mut exchange: X, status: StatusCode, body: Vec<u8>) -> Option<X::Output> {
    let request = look("a request", || exchange.next_request(NOW, &mut Counting(0))).expect("a request");
    look("its body", || drop(request));
    let answer = response(status, &[], body);
    let step = look("an answer", || exchange.handle_response(answer));
    look("an exchange", || drop(exchange));
    match step {
        Ok(Step::Done(output)) => Some(output),
        Ok(Step::Again { .. }) => None,
        Err(error) => {
            look("an error", || drop(error));
            None
        }
    }
}
