//! The login itself, by the way that is possible here: the browser of this machine, a code for another device, or a URL
//! that is pasted back.

use std::io::{BufRead, BufReader, Cursor, IsTerminal, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use proofkey::{Callback, Client, Pending, Remedy, Tokens};
use proofkey_loopback::Loopback;
use proofkey_loopback::browser::{self, Surroundings};
use proofkey_test_server::TestServer;
use url::Url;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::http::Http;
use crate::story::{Countdown, Story};

/// A login that is to begin.
struct Login<'a> {
    arguments: &'a Arguments,
    http: &'a Http,
    client: &'a Client,
    story: &'a Story,
    scope: Vec<&'a str>,
    deadline: Instant,
    /// Where this program plays the person too.
    played: Option<&'a TestServer>,
}

/// Logs in by the way that was asked for, or the one that is possible.
pub(crate) fn log_in(
    arguments: &Arguments,
    http: &Http,
    client: &Client,
    embedded: Option<&TestServer>,
    story: &Story,
) -> Result<Tokens, Failure> {
    let mut scope: Vec<&str> = arguments.scope.iter().flat_map(|scope| scope.split_whitespace()).collect();
    if scope.is_empty() && embedded.is_some() {
        scope = vec!["photos", "profile"];
    }
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let played = embedded.filter(|_| !arguments.browser && !arguments.no_browser);
    let login = Login { arguments, http, client, story, scope, deadline, played };
    if arguments.device {
        return login.by_device();
    }
    if arguments.paste {
        return login.by_paste();
    }
    if arguments.browser || arguments.no_browser || played.is_some() {
        return login.by_browser(!arguments.no_browser);
    }
    let here = Surroundings::of_this_process();
    if here.has_browser() {
        if here != Surroundings::Desktop {
            story.tell("way", here);
        }
        login.by_browser(true)
    } else if client.server().device_authorization_endpoint.is_some() {
        story.tell(
            "way",
            format_args!("{here}, so the login goes by a code for another device (--browser for one here)"),
        );
        login.by_device()
    } else if std::io::stdin().is_terminal() {
        story.tell("way", format_args!("{here}, so the URL is to be pasted back (--browser for one here)"));
        login.by_paste()
    } else {
        story.tell("way", format_args!("{here}, so somebody has to open the URL in a browser on this machine"));
        login.by_browser(false)
    }
}

impl Login<'_> {
    /// The browser comes back to a port of this machine.
    fn by_browser(&self, open: bool) -> Result<Tokens, Failure> {
        let loopback = self.listen()?;
        self.story.tell("listening", loopback.redirect_uri());
        let (url, pending) = self.leave(loopback.redirect_uri())?;
        if let Some(server) = self.played {
            self.story.tell("browser", "played by this program: \"alice\" logs in and presses Allow");
            let (person, url) = (server.person(), url.to_string());
            thread::spawn(move || person.follow(&person.allow(&url)));
        } else if !open {
            self.story.tell("browser", "open the URL above in one on this machine");
        } else {
            // Beside the wait: a browser for terminals runs until somebody closes it.
            let story = self.story.clone();
            thread::spawn(move || match browser::open(&url) {
                Ok(()) => story.tell("browser", "opened; if nothing shows, copy the URL above into one"),
                Err(_) => story.tell("browser", "none could be opened: copy the URL above into one on this machine"),
            });
        }
        // A browser that was named may be one for this terminal.
        let is_named = open && Surroundings::of_this_process() == Surroundings::Chosen;
        let countdown = (!is_named).then(|| Countdown::until(self.deadline));
        let callback = loopback.wait(&pending, self.deadline)?;
        drop(countdown);
        self.redeem(pending, callback)
    }

    /// The browser is elsewhere: it ends up at an address where nobody listens, and the person brings that here.
    fn by_paste(&self) -> Result<Tokens, Failure> {
        // Only for a redirect URI. The port is free again before a browser of this machine can come to it, so that it shows
        // an error, with the address, instead of waiting; what else may listen there can make nothing of the code.
        let redirect_uri = self.listen()?.redirect_uri().to_owned();
        let (url, pending) = self.leave(&redirect_uri)?;
        let typed: Box<dyn Read + Send> = if let Some(server) = self.played {
            self.story.tell("browser", "played by this program: \"alice\" presses Allow and copies the address");
            Box::new(Cursor::new(server.person().allow(url.as_str())))
        } else {
            self.story.tell(
                "paste",
                "open the URL above in any browser; in the end it cannot show a page: paste its address",
            );
            Box::new(std::io::stdin())
        };
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(typed).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        loop {
            let line = match lines.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Err(Failure::timed_out("nothing was pasted in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::timed_out("standard input ended before this login's address was pasted"));
                }
            };
            match Callback::parse(line.trim()) {
                Ok(callback) if pending.is_for(&callback) => return self.redeem(pending, callback),
                Ok(_) => self.story.tell("pasted", "another login's address; still waiting for this one's"),
                Err(_) if line.trim().is_empty() => {}
                Err(error) => self.story.tell("pasted", format_args!("{error}; still waiting for the whole address")),
            }
        }
    }

    /// The person types a code on another device.
    fn by_device(&self) -> Result<Tokens, Failure> {
        let mut exchange = self.client.device().scope(&self.scope);
        for (name, value) in &self.arguments.param {
            exchange = exchange.param(name, value);
        }
        for resource in &self.arguments.resource {
            exchange = exchange.resource(resource);
        }
        let pending = self.http.run(exchange)?;
        self.story.tell("open", pending.verification_uri());
        self.story.tell("type", pending.user_code());
        if let Some(link) = pending.verification_uri_complete() {
            self.story.tell("or open", format_args!("{link} and compare the code"));
        }
        if let Some(server) = self.played {
            self.story.tell("person", "played by this program: \"alice\" types the code and presses Allow");
            let (person, code) = (server.person(), pending.user_code().to_owned());
            thread::spawn(move || person.allow_device(&code));
        }
        let ends = Instant::now() + pending.expires_at().saturating_since(SystemTime::now().into());
        let mut polling = self.client.poll(pending);
        let http = self.http.clone();
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let tokens = loop {
                match http.run(&mut polling) {
                    // A network that is away for a while costs some time, and no login.
                    Err(error) if matches!(error.remedy(), Remedy::TryLater(_)) && polling.resume() => {}
                    result => break result,
                }
            };
            let _ = sender.send(tokens);
        });
        let countdown = Countdown::until(self.deadline.min(ends));
        let tokens = ended.recv_timeout(self.deadline.saturating_duration_since(Instant::now()));
        drop(countdown);
        let tokens = tokens.map_err(|_| Failure::timed_out("nobody typed the code in time"))??;
        self.story.tell("polled", "until the person had agreed, for tokens");
        Ok(tokens)
    }

    /// The listener comes first: the URL names its port.
    fn listen(&self) -> Result<Loopback, Failure> {
        let builder = Loopback::builder().application("the login example").path(&*self.arguments.redirect_path);
        Ok(builder.ports([self.arguments.port]).bind()?)
    }

    /// The URL for the browser, shown before anything else, and what to keep.
    fn leave(&self, redirect_uri: &str) -> Result<(Url, Pending), Failure> {
        let mut authorization = self.client.authorize().redirect_uri(redirect_uri).scope(&self.scope);
        for (name, value) in &self.arguments.param {
            authorization = authorization.param(name, value);
        }
        for resource in &self.arguments.resource {
            authorization = authorization.resource(resource);
        }
        let (url, pending) = if self.arguments.par {
            let pushed = self.http.run(authorization.push())?;
            self.story.tell("pushed", "the login's parameters to the server; the URL only refers to them");
            pushed
        } else {
            self.http.transport.start(authorization)?
        };
        self.story.tell("leaving", &url);
        Ok((url, pending))
    }

    fn redeem(&self, pending: Pending, callback: Callback) -> Result<Tokens, Failure> {
        let grant = pending.accept(callback)?;
        self.story.tell("returned", "with a code; state and issuer are this login's");
        let tokens = self.http.run(self.client.exchange(grant))?;
        self.story.tell("exchanged", "the code and its verifier for tokens");
        Ok(tokens)
    }
}
