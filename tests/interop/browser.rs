//! A person with a browser, played by code: it keeps cookies, follows redirects within the server, fills in whatever form
//! it is shown, and stops at the door of the application.

use std::collections::BTreeMap;
use std::time::Duration;

use proofkey::blocking::ureq;
use url::Url;
use url::form_urlencoded::Serializer;

/// One browser, for one login. It keeps no path and no port with a cookie, which is enough for one server.
pub(crate) struct Browser {
    agent: ureq::Agent,
    cookies: BTreeMap<String, String>,
}

/// Where the browser got.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It was sent to the application, by this URL.
    Application(String),
    /// It would post this form to the application.
    Form(String),
    /// It shows a page that has nothing to fill in.
    Page { status: u16, body: String },
}

impl Arrival {
    /// What the application gets.
    pub(crate) fn callback(self) -> String {
        match self {
            Self::Application(callback) | Self::Form(callback) => callback,
            Self::Page { status, body } => panic!("a page with {status} instead of a redirect: {body}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Allow,
    Deny,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::with(ureq::Agent::config_builder())
    }

    /// The same with TLS of its own.
    pub(crate) fn trusting(tls: ureq::tls::TlsConfig) -> Self {
        Self::with(ureq::Agent::config_builder().tls_config(tls))
    }

    fn with(config: ureq::config::ConfigBuilder<ureq::typestate::AgentScope>) -> Self {
        let config = config
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)));
        Self { agent: config.build().into(), cookies: BTreeMap::new() }
    }

    /// Opens a URL, logs in, and agrees to everything.
    pub(crate) fn allow(&mut self, url: &str) -> Arrival {
        self.visit(url, Decision::Allow)
    }

    /// Opens a URL and refuses what the first page asks.
    pub(crate) fn deny(&mut self, url: &str) -> Arrival {
        self.visit(url, Decision::Deny)
    }

    fn visit(&mut self, url: &str, decision: Decision) -> Arrival {
        let mut here = Url::parse(url).expect("a URL");
        let server = here.origin();
        let (mut form, mut over) = (None, false);
        for _ in 0..20 {
            let (status, location, body) = self.send(&here, form.take());
            if let Some(location) = location {
                let next = here.join(&location).expect("a URL");
                if next.origin() != server {
                    // As it stands: parsing it would tidy up what a test wants to see.
                    return Arrival::Application(location);
                }
                here = next;
            } else if over {
                return Arrival::Page { status, body };
            } else if decision == Decision::Deny
                && let Some(abort) = abort(&body)
            {
                here = here.join(&abort).expect("a URL");
                over = true;
            } else if let Some((action, fields)) = filled(&body) {
                here = here.join(&action).expect("a URL");
                if here.origin() != server {
                    return Arrival::Form(Serializer::new(String::new()).extend_pairs(fields).finish());
                }
                form = Some(fields);
            } else {
                return Arrival::Page { status, body };
            }
        }
        panic!("the browser goes round in circles: {here}");
    }

    /// One request: the status, where it redirects to, and the page.
    fn send(&mut self, url: &Url, form: Option<Vec<(String, String)>>) -> (u16, Option<String>, String) {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let answer = match form {
            None => self.agent.get(url.as_str()).header("cookie", cookies).call(),
            Some(form) => self.agent.post(url.as_str()).header("cookie", cookies).send_form(form),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII").split(';').next().unwrap_or_default();
            let (name, value) = cookie.split_once('=').expect("a cookie");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(|location| location.to_str().expect("ASCII").to_owned());
        let body = answer.body_mut().read_to_string().unwrap_or_else(|error| panic!("{url}: {error}"));
        (answer.status().as_u16(), location, body)
    }
}

/// The link by which a page is refused.
fn abort(page: &str) -> Option<String> {
    let links = page.split("<a ").filter_map(|link| attribute(link, "href"));
    links.into_iter().find(|link| link.split('?').next().is_some_and(|path| path.ends_with("/abort")))
}

/// Where a page's form goes, and what a person fills in: a name, a password, and what is hidden stays as it is.
fn filled(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let (_, form) = page.split_once("<form ")?;
    let (form, _) = form.split_once("</form>")?;
    let mut inputs = form.split("<input ");
    let action = attribute(inputs.next()?, "action")?;
    let fields = inputs.filter_map(|input| {
        let name = attribute(input, "name")?;
        let value = match name.as_str() {
            "login" => "alice".to_owned(),
            "password" => "anything".to_owned(),
            _ => attribute(input, "value").unwrap_or_default(),
        };
        Some((name, value))
    });
    Some((action, fields.collect()))
}

/// An attribute of the tag that this begins in.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (tag, _) = tag.split_once('>')?;
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = value.split_once('"')?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}
