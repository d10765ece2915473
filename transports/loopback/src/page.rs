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
        let (template, policy) = match &self.template {
            None => (PAGE, POLICY),
            Some(template) => (template.as_str(), TEMPLATE_POLICY),
        };
        let html = self.fill(template, page) + SCRIPT;
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
                "You can close this window. To try again, start the login once more in {}.",
            ),
            Self::Failed => (
                "failed",
                "The login did not work",
                "The server reported an error. You can close this window and look for the details in {}.",
            ),
            Self::Stranger => (
                "stranger",
                "Not this login",
                "Your browser brought the answer to another login than the one that was begun last in {}. \
                 If you have several under way, finish the newest.",
            ),
            Self::Nothing => {
                ("nothing", "Nothing here", "This address does nothing but receive logins that were begun in {}.")
            }
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

/// A page like any application's own.
const PAGE: &str = include_str!("page.html");

/// Takes the query out of the address bar and out of what a bookmark or a screenshot would keep.
const SCRIPT: &str = "<script>history.replaceState(null,\"\",location.pathname)</script>\n";

/// Nothing but the page's own style and script, by their hashes, and its icon.
const POLICY: &str = "default-src 'none'; style-src 'sha256-VTs5IeBGL4NnF0Wg7k4FX/jtRHgb3D+fS7P4wDMLtAA='; \
    script-src 'sha256-8A+3er73YJf04rRHGhbZwZQACPiiipi9EPduIeAAIDk='; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An application's page has styles that are not known here.
const TEMPLATE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'sha256-8A+3er73YJf04rRHGhbZwZQACPiiipi9EPduIeAAIDk='; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) const METHOD_NOT_ALLOWED: &str = "405 Method Not Allowed";

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn pages(application: &str, template: Option<&str>) -> Pages {
        Pages::new(Some(application.to_owned()), template.map(str::to_owned))
    }

    fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
        text.split_once(before).unwrap().1.split_once(after).unwrap().0
    }

    #[test]
    fn the_policy_lets_the_page_s_own_style_and_script_through() {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        let style = hash(between(PAGE, "<style>", "</style>"));
        assert!(POLICY.contains(&format!("style-src {style};")), "{style}");
        let script = hash(between(SCRIPT, "<script>", "</script>"));
        for policy in [POLICY, TEMPLATE_POLICY] {
            assert!(policy.contains(&format!("script-src {script};")), "{script}");
        }
    }

    #[test]
    fn holes_are_filled_once_and_escaped() {
        let application = "<b>\"A\" & 'B'</b> {{title}}";
        let pages = pages(application, Some("{{application}}|{{outcome}}|{{title}}|{{text}}|{{other}}|{{open|}}"));
        let html = String::from_utf8(pages.answer("200 OK", Page::Success, false)).unwrap();
        let name = "&lt;b&gt;&quot;A&quot; &amp; &#39;B&#39;&lt;/b&gt; {{title}}";
        let filled = format!(
            "{name}|success|Login received|You can close this window and return to {name}.|{{{{other}}}}|{{{{open|}}}}"
        );
        assert_eq!(html.split_once("\r\n\r\n").unwrap().1, filled + SCRIPT);
    }
}
