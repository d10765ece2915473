//! A person with a browser, played by code: they open real pages over HTTP and press real buttons.

use std::io;
use std::time::Duration;

use ureq::Agent;
use url::{Url, form_urlencoded};

use crate::page::unescape;

/// Someone with an account at the server, and a browser that follows no redirect by itself.
///
/// The pages are this crate's own, so a page that is not as expected is a mistake in the test or
/// in the server: methods panic then, and say what the page said.
#[derive(Clone, Debug)]
pub struct Person {
    name: String,
    device_page: String,
    browser: Agent,
}

/// What a browser got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The `Location` header, made absolute.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

impl Person {
    pub(crate) fn new(device_page: String) -> Self {
        let browser = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { name: "alice".to_owned(), device_page, browser: browser.into() }
    }

    /// The same browser in the hands of someone else; the name is the tokens' subject.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Opens the authorization URL, logs in and presses "Allow".
    ///
    /// Returns the URL that the browser is then sent to, which it has not yet opened: the redirect
    /// URI with a code, or with an error if the server redirected without asking.
    ///
    /// # Panics
    ///
    /// If there is no redirect, but a page that refuses.
    pub fn allow(&self, authorization_url: &str) -> String {
        self.decide(authorization_url, "allow")
    }

    /// Opens the authorization URL and presses "Deny".
    ///
    /// # Panics
    ///
    /// As [`allow`](Self::allow).
    pub fn deny(&self, authorization_url: &str) -> String {
        self.decide(authorization_url, "deny")
    }

    /// Opens the device page, types the code in and presses "Allow" (RFC 8628 section 3.3).
    ///
    /// # Panics
    ///
    /// If no device waits with that code.
    pub fn allow_device(&self, user_code: &str) {
        self.decide_device(user_code, "allow");
    }

    /// Opens the device page, types the code in and presses "Deny".
    ///
    /// # Panics
    ///
    /// As [`allow_device`](Self::allow_device).
    pub fn deny_device(&self, user_code: &str) {
        self.decide_device(user_code, "deny");
    }

    /// Opens a URL and looks at what comes back, without pressing anything.
    ///
    /// Fails if nobody answers there.
    pub fn open(&self, url: &str) -> io::Result<Answer> {
        let response = self.browser.get(url).call();
        answer(url, response)
    }

    /// Lets the browser go where [`allow`](Self::allow) said: to the application's redirect URI.
    ///
    /// Fails if the application does not answer.
    pub fn follow(&self, redirect_url: &str) -> io::Result<Answer> {
        self.open(redirect_url)
    }

    fn decide(&self, authorization_url: &str, decision: &str) -> String {
        let page = self.open(authorization_url).expect("the authorization server answers");
        if let Some(location) = page.location {
            return location;
        }
        let answer = self.press(authorization_url, &page, decision);
        answer.location.unwrap_or_else(|| panic!("no redirect, but {}: {}", answer.status, answer.body))
    }

    fn decide_device(&self, user_code: &str, decision: &str) {
        let url =
            Url::parse_with_params(&self.device_page, [("user_code", user_code)]).expect("the device page is at a URL");
        let page = self.open(url.as_str()).expect("the authorization server answers");
        let answer = self.press(url.as_str(), &page, decision);
        assert_eq!(answer.status, 200, "the page says: {}", answer.body);
    }

    /// Fills the page's form in and presses the button.
    fn press(&self, url: &str, page: &Answer, decision: &str) -> Answer {
        let form = page.body.split_once("<form method=\"post\"").and_then(|(_, rest)| rest.split_once("</form>"));
        let Some((form, _)) = form else { panic!("no question, but {}: {}", page.status, page.body) };
        let mut fields = form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input ").filter(|input| attribute(input, "type").as_deref() == Some("hidden")) {
            let name = attribute(input, "name").expect("a hidden field has a name");
            fields.append_pair(&name, &attribute(input, "value").unwrap_or_default());
        }
        fields.append_pair("user", &self.name);
        fields.append_pair("decision", decision);
        let action = attribute(form, "action").unwrap_or_default();
        let action = Url::parse(url).and_then(|url| url.join(&action)).expect("the form's action is a URL");
        let response =
            self.browser.post(action.as_str()).content_type("application/x-www-form-urlencoded").send(fields.finish());
        answer(action.as_str(), response).expect("the authorization server answers")
    }
}

fn answer(url: &str, response: Result<http::Response<ureq::Body>, ureq::Error>) -> io::Result<Answer> {
    let mut response = response.map_err(ureq::Error::into_io)?;
    let location = response.headers().get(http::header::LOCATION).and_then(|location| location.to_str().ok());
    let location = location.map(|location| {
        // As it stands, if it is absolute: parsing it would tidy up what a test wants to see.
        match Url::parse(location) {
            Ok(_) => location.to_owned(),
            Err(_) => {
                Url::parse(url).and_then(|url| url.join(location)).map_or_else(|_| location.to_owned(), String::from)
            }
        }
    });
    Ok(Answer {
        status: response.status().as_u16(),
        location,
        body: response.body_mut().read_to_string().map_err(ureq::Error::into_io)?,
    })
}

/// The first attribute of this name, where every value is in double quotes.
fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(unescape(value))
}
