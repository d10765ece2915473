//! Exchanges over a loopback connection: each transport beside its own HTTP library. The server is one process and the
//! client another, whose CPU time is what is compared: throughput is the server's as much as the client's. Both sides send
//! the same bytes through the same client, and give up after the same time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Full};
use nix::sys::resource::UsageWho;
use oauth2::TokenResponse;
use proofkey::hyper::hyper_util;
use proofkey::reqwest::reqwest;
use proofkey::{Client, Server, Tokens};
use tokio::runtime::Builder;

use proofkey_benches::input;

use crate::times::{median, processor};

pub const IN_FLIGHT: [usize; 3] = [1, 16, 128];
/// Each with the raw library that it is held against.
pub const CLIENTS: [(&str, &str); 8] = [
    ("reqwest", "reqwest"),
    ("proofkey-reqwest", "reqwest"),
    ("oauth2 over reqwest", "reqwest"),
    ("hyper", "hyper"),
    ("proofkey-hyper", "hyper"),
    ("ureq", "ureq"),
    ("ureq without time-out", "ureq"),
    ("proofkey-ureq", "ureq"),
];

const ROUNDS: usize = 15;
const EXCHANGES: usize = 2048;
const WARM: usize = 256;

/// What an exchange costs.
pub struct Cost {
    /// Of the client, user and system, in microseconds.
    pub cpu: f64,
    /// That over the raw library's.
    pub over_raw: f64,
    pub per_second: f64,
}

/// By client and number in flight, medians of runs taken in turns. Each is held against the raw library's run of the same
/// round, because what else the machine does changes more from round to round than within one.
pub fn measure() -> io::Result<Vec<[Cost; 3]>> {
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let costs = measured(&mut server);
    server.kill()?;
    server.wait()?;
    costs
}

fn measured(server: &mut Child) -> io::Result<Vec<[Cost; 3]>> {
    let mut port = String::new();
    BufReader::new(server.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut port)?;
    let mut samples = vec![[const { Vec::new() }; 3]; CLIENTS.len()];
    for _ in 0..ROUNDS {
        for (at, in_flight) in IN_FLIGHT.into_iter().enumerate() {
            for (client, samples) in samples.iter_mut().enumerate() {
                let arguments =
                    ["exchange", &client.to_string(), &in_flight.to_string(), port.trim()].map(str::to_owned);
                let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
                let output = String::from_utf8_lossy(&output.stdout);
                let (cpu, per_second) = output.trim().split_once(' ').ok_or(io::ErrorKind::UnexpectedEof)?;
                samples[at].push((
                    cpu.parse::<f64>().map_err(io::Error::other)?,
                    per_second.parse::<f64>().map_err(io::Error::other)?,
                ));
            }
        }
    }
    let cost = |client: usize, at: usize| {
        let raw = CLIENTS.iter().position(|(name, _)| *name == CLIENTS[client].1).unwrap_or(client);
        let (own, raw) = (&samples[client][at], &samples[raw][at]);
        Cost {
            cpu: median(own.iter().map(|own| own.0).collect()),
            over_raw: median(own.iter().zip(raw).map(|(own, raw)| own.0 / raw.0).collect()),
            per_second: median(own.iter().map(|own| own.1).collect()),
        }
    };
    Ok((0..CLIENTS.len()).map(|client| std::array::from_fn(|at| cost(client, at))).collect())
}

/// A server that answers whatever it is asked with the same tokens. Prints its port.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        // A connection that breaks off ends its thread.
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let body = input::tokens().into_body();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend(body);
    let mut requests = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        io::copy(&mut requests.by_ref().take(length), &mut io::sink())?;
        stream.write_all(&answer)?;
    }
}

/// One client process: exchanges a refresh token many times, and prints CPU time and exchanges per second.
pub fn exchange(client: usize, in_flight: usize, port: &str) -> io::Result<()> {
    let token = format!("http://127.0.0.1:{port}/token");
    let server = Server::new("https://as.example.com/authorize", token.as_str());
    let ours = Client::builder(server, input::CLIENT_ID).build().map_err(io::Error::other)?;
    let tokens: Tokens = serde_json::from_slice(input::tokens().body())?;
    let body = format!(
        "grant_type=refresh_token&refresh_token={}&scope=openid%20profile%20photos&client_id={}",
        input::refresh_token(),
        input::CLIENT_ID
    );
    // A second time is no harm.
    drop(rustls::crypto::ring::default_provider().install_default());
    let reqwest = || reqwest::Client::builder().no_proxy().build().expect("a client");
    let hyper = || {
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build::<_, Full<Bytes>>(hyper_util::client::legacy::connect::HttpConnector::new())
    };
    let ureq = || {
        let config = proofkey::blocking::ureq::Agent::config_builder().http_status_as_error(false);
        config.max_idle_connections(256).max_idle_connections_per_host(256).build().new_agent()
    };
    match client {
        0 => {
            let http = reqwest();
            asynchronous(in_flight, async || {
                let request = http.post(&token).body(body.clone()).timeout(TIMEOUT);
                let request = request.header("content-type", FORM).header("accept", "application/json");
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.bytes().await.expect("a body").len(), input::tokens().body().len());
            })
        }
        1 => {
            let http = proofkey::reqwest::Transport::with_client(reqwest());
            asynchronous(in_flight, async || {
                let tokens = http.run(ours.refresh(&tokens).expect("ours")).await.expect("tokens");
                assert!(tokens.refresh_token().is_some());
            })
        }
        2 => {
            let http = reqwest();
            let theirs = oauth2::basic::BasicClient::new(oauth2::ClientId::new(input::CLIENT_ID.to_owned()))
                .set_auth_type(oauth2::AuthType::RequestBody)
                .set_token_uri(oauth2::TokenUrl::new(token).expect("a URL"));
            let refresh = oauth2::RefreshToken::new(input::refresh_token());
            let send = async |request: oauth2::HttpRequest| over_reqwest(&http, request).await;
            asynchronous(in_flight, async || {
                let tokens = theirs.exchange_refresh_token(&refresh).request_async(&send).await.expect("tokens");
                assert!(tokens.refresh_token().is_some());
            })
        }
        3 => {
            let http = hyper();
            asynchronous(in_flight, async || {
                let request = Request::post(&token).header("content-type", FORM).header("accept", "application/json");
                let request = request.body(Full::from(body.clone())).expect("a request");
                let whole = async { http.request(request).await.expect("an answer").into_body().collect().await };
                let body = tokio::time::timeout(TIMEOUT, whole).await.expect("in time").expect("a body").to_bytes();
                assert_eq!(body.len(), input::tokens().body().len());
            })
        }
        4 => {
            let http = proofkey::hyper::Transport::with_client(hyper());
            asynchronous(in_flight, async || {
                let tokens = http.run(ours.refresh(&tokens).expect("ours")).await.expect("tokens");
                assert!(tokens.refresh_token().is_some());
            })
        }
        5 | 6 => {
            let http = ureq();
            let timeout = (client == 5).then_some(TIMEOUT);
            blocking(in_flight, || {
                let request = http.post(&token).header("content-type", FORM).header("accept", "application/json");
                let request = request.config().timeout_global(timeout).build();
                let mut answer = request.send(&body).expect("an answer");
                let body = answer.body_mut().read_to_vec().expect("a body");
                assert_eq!(body.len(), input::tokens().body().len());
            })
        }
        _ => {
            let http = proofkey::blocking::Transport::with_client(ureq());
            blocking(in_flight, || {
                let tokens = http.run(ours.refresh(&tokens).expect("ours")).expect("tokens");
                assert!(tokens.refresh_token().is_some());
            })
        }
    }
}

/// As `oauth2` does it for the reqwest that it knows.
async fn over_reqwest(
    http: &reqwest::Client,
    request: oauth2::HttpRequest,
) -> Result<oauth2::HttpResponse, reqwest::Error> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = http::Response::builder().status(answer.status()).version(answer.version());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    Ok(response.body(answer.bytes().await?.to_vec()).expect("it was a response"))
}

fn asynchronous(in_flight: usize, one: impl AsyncFn()) -> io::Result<()> {
    let many = async |count: usize| {
        let tasks = (0..in_flight).map(|_| async {
            for _ in 0..count / in_flight {
                one().await;
            }
        });
        join_all(tasks).await;
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(many(WARM.max(in_flight)));
    costs(|| runtime.block_on(many(EXCHANGES)))
}

fn blocking(in_flight: usize, one: impl Fn() + Sync) -> io::Result<()> {
    let many = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..in_flight {
                scope.spawn(|| (0..count / in_flight).for_each(|_| one()));
            }
        });
    };
    many(WARM.max(in_flight));
    costs(|| many(EXCHANGES))
}

fn costs(run: impl FnOnce()) -> io::Result<()> {
    let (before, start) = (processor(UsageWho::RUSAGE_SELF)?, Instant::now());
    run();
    let (after, elapsed) = (processor(UsageWho::RUSAGE_SELF)?, start.elapsed());
    let count = EXCHANGES as f64;
    println!("{} {}", (after - before).as_secs_f64() * 1e6 / count, count / elapsed.as_secs_f64());
    Ok(())
}

const TIMEOUT: Duration = Duration::from_secs(30);
const FORM: &str = "application/x-www-form-urlencoded";
