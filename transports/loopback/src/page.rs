//! What a person sees: one page for each way it can end, whole in itself, and the headers that keep it to itself.
//!
//! Nothing of a request is ever on a page: not the server's words for an error, not a parameter. What stands on it is
//! this crate's text and the application's name.

/// How it ended, for whoever looks at the browser.
#[derive(Clone, Copy)]
pub(crate) enum Page {
    /// The login came back with a code. What the code is worth is not known yet.
    Success,
    /// The person, or the server, said no.
    Denied,
    /// The server reported another error.
    Failed,
    /// Another login's answer, or none.
    Stranger,
    /// Not the redirect URI.
    Nothing,
}

/// The pages of one application.
pub(crate) struct Pages {
    /// Its name, as it was given.
    application: String,
    /// Its own page, with holes.
    template: Option<String>,
}

impl Pages {
    pub(crate) fn new(application: Option<String>, template: Option<String>) -> Self {
        Self { application: application.unwrap_or_else(|| "the application".to_owned()), template }
    }

    /// A whole HTTP response.
    pub(crate) fn answer(&self, status: &str, page: Page, bodiless: bool) -> Vec<u8> {
        let (html, policy) = match &self.template {
            None => (self.fill(PAGE, page), POLICY),
            Some(template) => (self.fill(template, page) + SCRIPT, TEMPLATE_POLICY),
        };
        let allow = if status == METHOD_NOT_ALLOWED { "Allow: GET, POST\r\n" } else { "" };
        let length = html.len();
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: {policy}\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        );
        if !bodiless {
            answer += &html;
        }
        answer.into_bytes()
    }

    /// The template with its holes filled. What a hole is filled with is not looked at again.
    fn fill(&self, template: &str, page: Page) -> String {
        let (outcome, title, text) = page.words();
        let mut html = String::with_capacity(template.len() + 512);
        let mut pieces = template.split("{{");
        html += pieces.next().unwrap_or_default();
        for piece in pieces {
            let (hole, rest) = piece.split_once("}}").unwrap_or(("", piece));
            match hole {
                "application" => escape(&self.application, &mut html),
                "outcome" => html += outcome,
                "title" => html += title,
                "text" => {
                    let (before, after) = text.split_once("{}").unwrap_or((text, ""));
                    html += before;
                    escape(&self.application, &mut html);
                    html += after;
                }
                _ => {
                    html += "{{";
                    html += piece;
                    continue;
                }
            }
            html += rest;
        }
        html
    }
}

impl Page {
    /// Its name for style sheets, its title, and its text, in which `{}` is the application.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Success => ("success", "Login received", "You can close this window and return to {}."),
            Self::Denied => (
                "denied",
                "Access was not granted",
                "You can close this window. To try once more, start the login again in {}.",
            ),
            Self::Failed => (
                "failed",
                "The login did not work",
                "The server you were logging in to reported an error. You can close this window; what went wrong is told in {}.",
            ),
            Self::Stranger => (
                "stranger",
                "Not this login",
                "What your browser brought here belongs to another login than the one that was begun in {}, which is still waiting for its own.",
            ),
            Self::Nothing => ("nothing", "Nothing here", "This address only receives logins that were begun in {}."),
        }
    }
}

/// Text as HTML, in an element or in a quoted attribute.
fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => *html += "&amp;",
            '<' => *html += "&lt;",
            '>' => *html += "&gt;",
            '"' => *html += "&quot;",
            '\'' => *html += "&#39;",
            _ => html.push(character),
        }
    }
}

const PAGE: &str =
    "<!doctype html><html lang=en><meta charset=utf-8><title>{{title}}</title><h1>{{title}}</h1><p>{{text}}</p>";
const SCRIPT: &str = "";
const POLICY: &str = "default-src 'none'";
const TEMPLATE_POLICY: &str = "default-src 'none'";

pub(crate) const METHOD_NOT_ALLOWED: &str = "405 Method Not Allowed";
