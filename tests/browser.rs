//! Logins by a person in a real browser: Chromium, from the consent page of the embedded server to the page that the
//! loopback listener shows.
//!
//! Needs `chromium` and `chromedriver` on the `PATH`; without them it says so and passes, unless
//! `PROOFKEY_REQUIRE_INTEROP=1`. With `PROOFKEY_SCREENSHOTS=DIR` it leaves a picture of each page there.

use std::env;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{ClientBuilder, Locator};
use proofkey::hyper::hyper_util::client::legacy::connect::HttpConnector;
use proofkey::loopback::{self, Loopback};
use proofkey::{Client, Error, ErrorCode, Server, Tokens, blocking};
use proofkey_test_server::{RegisteredClient, TestServer};
use serde_json::{Value, json};
use url::Url;

#[test]
fn a_person_logs_in() {
    with_browser(async |browser, server| {
        for waiting in [Waiting::Blocking, Waiting::OnTokio] {
            let login = Login::begin(server, waiting, Loopback::builder().application("Photo Sorter"));
            browser.open(&login.url).await;
            browser.click("button[value=allow]").await;
            browser.is_shown("success", "Login received", "return to Photo Sorter.").await;
            let tokens = login.end().expect("tokens");
            assert_eq!(tokens.scope().map(proofkey::Scope::as_str), Some("photos"));
        }
    });
}

#[test]
fn a_person_denies() {
    with_browser(async |browser, server| {
        let login = Login::begin(server, Waiting::Blocking, Loopback::builder());
        browser.open(&login.url).await;
        browser.click("button[value=deny]").await;
        browser.is_shown("denied", "Access was not granted", "once more in the application.").await;
        let error = login.end().expect_err("no tokens");
        let denied =
            matches!(&error, blocking::Error::Protocol(Error::Server(error)) if error.code == ErrorCode::ACCESS_DENIED);
        assert!(denied, "{error}");
    });
}

/// The person at the second device: the code is in the link, and is shown to be compared.
#[test]
fn a_person_allows_a_device() {
    with_browser(async |browser, server| {
        let mut endpoints = Server::new(server.authorization_endpoint(), server.token_endpoint());
        endpoints.device_authorization_endpoint = Some(server.device_authorization_endpoint());
        let client = Client::builder(endpoints, RegisteredClient::PUBLIC.id).build().expect("a client");
        let http = blocking::Transport::new().expect("a transport");
        let pending = http.run(client.device().scope(["photos"])).expect("a code");
        browser.open(&Url::parse(pending.verification_uri()).expect("a URL")).await;
        browser.type_into("#code", pending.user_code()).await;
        browser.click("button").await;
        browser.picture("device").await;
        browser.click("button[value=allow]").await;
        assert_eq!(
            http.run(client.poll(pending)).expect("tokens").scope().map(proofkey::Scope::as_str),
            Some("photos")
        );
        browser.picture("device-done").await;
    });
}

/// Each of these is a page, and the login goes on behind it; the last one ends it.
#[test]
fn what_is_not_the_answer_gets_a_page_of_its_own() {
    with_browser(async |browser, server| {
        let login = Login::begin(server, Waiting::OnTokio, Loopback::builder().ipv6().application("A & B <i>"));
        let at = |query: &str| {
            let mut url = login.redirect_uri.clone();
            url.set_query(Some(query));
            url
        };
        browser.open(&at("code=abc&state=of-another-login")).await;
        browser.is_shown("stranger", "Not this login", "in A & B <i>.").await;
        browser.open(&login.redirect_uri.join("/elsewhere?code=abc").unwrap()).await;
        browser.is_shown("nothing", "Nothing here", "in A & B <i>.").await;
        let state = login.url.query_pairs().find(|(name, _)| name == "state").expect("a state").1;
        browser.open(&at(&format!("error=server_error&state={state}"))).await;
        browser.is_shown("failed", "The login did not work", "in A & B <i>.").await;
        assert!(matches!(login.end(), Err(blocking::Error::Protocol(Error::Server(_)))));
    });
}

/// An application's own page: its style works, a script in it does not.
#[test]
fn an_application_brings_its_own_page() {
    with_browser(async |browser, server| {
        let html = "<!doctype html><title>{{title}}</title><style>main { letter-spacing: 3px }</style>\
            <main class={{outcome}}><h1>{{title}}</h1><p>{{text}}</p></main><script>document.title = 'run'</script>";
        let login = Login::begin(server, Waiting::Blocking, Loopback::builder().template(html));
        browser.open(&login.url).await;
        browser.click("button[value=allow]").await;
        browser.wait_for("main.success").await;
        let seen =
            "return [document.title, getComputedStyle(document.querySelector('main')).letterSpacing, location.search]";
        assert_eq!(browser.evaluate(seen).await, json!(["Login received", "3px", ""]));
        assert!(browser.complaints().await.iter().all(|complaint| complaint.contains("script")));
        assert!(login.end().is_ok());
    });
}

/// How an application waits.
#[derive(Clone, Copy)]
enum Waiting {
    Blocking,
    OnTokio,
}

/// A login under way: an application on a thread of its own.
struct Login {
    url: Url,
    redirect_uri: Url,
    application: JoinHandle<Result<Tokens, blocking::Error>>,
}

impl Login {
    fn begin(server: &TestServer, waiting: Waiting, builder: loopback::Builder) -> Self {
        let endpoints = Server::new(server.authorization_endpoint(), server.token_endpoint());
        let client = Client::builder(endpoints, RegisteredClient::PUBLIC.id).build().expect("a client");
        let (say, begun) = mpsc::channel();
        let application = thread::spawn(move || {
            let loopback = builder.bind().expect("a port");
            let http = blocking::Transport::new()?;
            let redirect_uri = Url::parse(loopback.redirect_uri()).expect("a URL");
            let (url, pending) =
                http.start(client.authorize().redirect_uri(loopback.redirect_uri()).scope(["photos"]))?;
            say.send((url, redirect_uri)).expect("the test waits");
            let deadline = Instant::now() + PATIENCE;
            let callback = match waiting {
                Waiting::Blocking => loopback.wait(&pending, deadline),
                Waiting::OnTokio => runtime().block_on(loopback.wait_async(&pending, deadline)),
            };
            http.run(client.exchange(pending.accept(callback.expect("a callback"))?))
        });
        let (url, redirect_uri) = begun.recv_timeout(PATIENCE).expect("the login has begun");
        Self { url, redirect_uri, application }
    }

    fn end(self) -> Result<Tokens, blocking::Error> {
        self.application.join().expect("the application does not panic")
    }
}

/// Chromium without a window, with an empty profile.
struct Browser {
    client: fantoccini::Client,
}

impl Browser {
    async fn start(driver: &str, profile: &str) -> Self {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1000,700",
            &format!("--user-data-dir={profile}"),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(driver).await.expect("a browser");
        Self { client }
    }

    async fn open(&self, url: &Url) {
        self.client.goto(url.as_str()).await.expect("it opens");
    }

    async fn wait_for(&self, selector: &str) {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        assert!(found.is_ok(), "no {selector}: {}", self.client.source().await.unwrap_or_default());
    }

    async fn click(&self, selector: &str) {
        self.wait_for(selector).await;
        self.client.find(Locator::Css(selector)).await.expect("it is there").click().await.expect("it can be clicked");
    }

    async fn type_into(&self, selector: &str, text: &str) {
        self.wait_for(selector).await;
        self.client
            .find(Locator::Css(selector))
            .await
            .expect("it is there")
            .send_keys(text)
            .await
            .expect("it takes text");
    }

    async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("it runs")
    }

    /// What the browser had to say about the page, a policy that stopped something among it; but not that the page
    /// itself came with status 400 or 404.
    async fn complaints(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(Vendor("se/log", json!({ "type": "browser" }))).await.expect("a log");
        let entries = entries.as_array().expect("entries").iter();
        let messages = entries.map(|entry| entry["message"].to_string());
        messages.filter(|message| message.contains("favicon") || !message.contains("responded with a status")).collect()
    }

    /// The listener's own page, whole: its words, its style, and no query in the address bar.
    async fn is_shown(&self, outcome: &str, title: &str, words: &str) {
        self.wait_for(&format!("main.{outcome}")).await;
        let shown = "const text = selector => document.querySelector(selector).innerText; \
            return [document.title, text('h1'), text('p'), location.search, \
                getComputedStyle(document.querySelector('main')).borderRadius]";
        let shown = self.evaluate(shown).await;
        assert_eq!((&shown[0], &shown[1]), (&json!(title), &json!(title)));
        assert!(shown[2].as_str().expect("a text").contains(words), "{shown}");
        assert_eq!((&shown[3], &shown[4]), (&json!(""), &json!("16px")));
        assert_eq!(self.client.current_url().await.expect("a URL").query(), None);
        assert_eq!(self.complaints().await, [""; 0]);
        self.picture(outcome).await;
    }

    async fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("PROOFKEY_SCREENSHOTS").map(PathBuf::from) else { return };
        for scheme in ["light", "dark"] {
            for (device, width, height) in [("desktop", 1000, 700), ("phone", 360, 740)] {
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                self.tell("Emulation.setEmulatedMedia", media).await;
                let metrics =
                    json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 500 });
                self.tell("Emulation.setDeviceMetricsOverride", metrics).await;
                let picture = self.tell("Page.captureScreenshot", json!({ "format": "png" })).await;
                let picture = STANDARD.decode(picture["data"].as_str().expect("base64")).expect("base64");
                std::fs::write(folder.join(format!("{name}-{scheme}-{device}.png")), picture).expect("a file");
            }
        }
        self.tell("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// A command of the browser itself, through the driver.
    async fn tell(&self, command: &str, parameters: Value) -> Value {
        let command = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Vendor("goog/cdp/execute", command)).await.expect("it is obeyed")
    }
}

/// A command of the driver's own.
#[derive(Debug)]
struct Vendor(&'static str, Value);

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

/// Plays with a browser and a server of its own, if there is a browser.
fn with_browser(play: impl AsyncFnOnce(&Browser, &TestServer)) {
    let missing = ["chromium", "chromedriver"].into_iter().find(|program| !is_on_path(program));
    if let Some(program) = missing {
        assert!(env::var_os("PROOFKEY_REQUIRE_INTEROP").is_none_or(|it| it != "1"), "{program} is missing");
        println!("skipped: there is no {program}");
        return;
    }
    // One browser at a time is enough for a small machine.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let profile = tempfile::tempdir().expect("a folder");
    let driver = Driver::start();
    let server = TestServer::start().expect("a server");
    let runtime = runtime();
    let browser = runtime.block_on(Browser::start(&driver.url, profile.path().to_str().expect("UTF-8")));
    // The browser is closed after a test that failed, too.
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(&browser, &server))));
    runtime.block_on(browser.client.close()).expect("it closes");
    if let Err(panic) = played {
        resume_unwind(panic);
    }
}

struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        // The port that it chooses for IPv4 may be taken for IPv6; then it ends.
        (0..10).find_map(|_| Self::try_start()).expect("chromedriver starts")
    }

    fn try_start() -> Option<Self> {
        let process = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = Self { process: process.expect("chromedriver runs"), url: String::new() };
        let said = BufReader::new(driver.process.stdout.take()?);
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        })?;
        driver.url = format!("http://127.0.0.1:{port}");
        Some(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

static TURN: Mutex<()> = Mutex::new(());

/// Browsers start slowly on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(120);
