//! The pages: HTML, all in one answer, readable on a phone and at night, with everything escaped.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use oauth_as::scope::ScopeSet;

use crate::clients::SCOPES;

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f4f5f7;--card:#fff;--ink:#1c2024;--soft:#5b6470;--line:#d5dae1;\
--go:#1a5fd0;--go-ink:#fff}\
@media(prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1e2329;--ink:#e8eaed;--soft:#a3adb9;\
--line:#39414b;--go:#8ab4f8;--go-ink:#0b1b33}}\
*{box-sizing:border-box}\
body{margin:0;padding:1.5rem 1rem;background:var(--paper);color:var(--ink);\
font:1rem/1.5 system-ui,sans-serif}\
main{max-width:26rem;margin:8vh auto 0;padding:1.5rem;background:var(--card);\
border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 1rem;font-size:1.35rem;line-height:1.3}\
p,ul,form{margin:0 0 1rem}form:last-child,p:last-child{margin-bottom:0}\
ul{padding-left:1.25rem}li{margin:.25rem 0}\
code{font:.875rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}\
small,.soft{color:var(--soft)}\
label{display:block;font-weight:600}\
input{display:block;width:100%;margin:.25rem 0 1rem;padding:.6rem .75rem;font:inherit;color:inherit;\
background:transparent;border:1px solid var(--soft);border-radius:.5rem}\
.buttons{display:flex;flex-direction:row-reverse;gap:.75rem}\
button{flex:1;min-height:2.75rem;padding:0 1rem;font:inherit;font-weight:600;color:inherit;background:transparent;\
border:1px solid var(--soft);border-radius:.5rem;cursor:pointer}\
button.go{background:var(--go);border-color:var(--go);color:var(--go-ink)}\
:focus-visible{outline:3px solid var(--go);outline-offset:2px}";

/// What a user is asked to decide.
pub(crate) struct Question<'a> {
    /// The client's registered name, if it has one.
    pub(crate) client_name: Option<&'a str>,
    pub(crate) client_id: &'a str,
    pub(crate) scope: &'a ScopeSet,
    /// Where the browser goes afterwards; a device has no such place.
    pub(crate) redirect_uri: Option<&'a str>,
    /// The path the answer is posted to, and the hidden field that says what it answers.
    pub(crate) action: &'a str,
    pub(crate) hidden: (&'a str, &'a str),
}

/// "Allow" or "Deny".
pub(crate) fn question(question: &Question<'_>) -> Response {
    let client = escape(question.client_name.unwrap_or(question.client_id));
    let mut scopes = String::new();
    for scope in question.scope.iter() {
        let name = scope.as_str();
        let words = SCOPES.iter().find_map(|(known, words)| (*known == name).then_some(*words));
        let (words, name) = (escape(words.unwrap_or_default()), escape(name));
        scopes += &["<li>", &words, " <small>(<code>", &name, "</code>)</small></li>"].concat();
    }
    let asks = if scopes.is_empty() {
        "<p>It asks for nothing in particular.</p>".to_owned()
    } else {
        format!("<p>It would be able to:</p><ul>{scopes}</ul>")
    };
    let leads = question.redirect_uri.map_or_else(String::new, |uri| {
        format!("<p class=\"soft\">Afterwards your browser goes to<br><code>{}</code></p>", escape(uri))
    });
    let (name, value) = question.hidden;
    page(
        StatusCode::OK,
        &format!("Allow {client} to use your account?"),
        &format!(
            "<p><strong>{client}</strong> <small>(<code>{id}</code>)</small> asks for access.</p>\
             {asks}{leads}\
             <form method=\"post\" action=\"{action}\">\
             <input type=\"hidden\" name=\"{name}\" value=\"{value}\">\
             <label for=\"user\">Your name</label>\
             <input id=\"user\" name=\"user\" value=\"alice\" maxlength=\"64\" required \
             autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\">\
             <div class=\"buttons\">\
             <button class=\"go\" name=\"decision\" value=\"allow\">Allow</button>\
             <button name=\"decision\" value=\"deny\">Deny</button></div></form>\
             <p class=\"soft\"><small>A server for tests: any name will do, and no password is \
             asked for.</small></p>",
            id = escape(question.client_id),
            action = escape(question.action),
            name = escape(name),
            value = escape(value),
        ),
    )
}

/// Where a device's code is typed.
pub(crate) fn ask_for_code(action: &str, problem: Option<&str>) -> Response {
    let status = problem.map_or(StatusCode::OK, |_| StatusCode::BAD_REQUEST);
    let problem =
        problem.map_or_else(String::new, |text| format!("<p role=\"alert\"><strong>{}</strong></p>", escape(text)));
    page(
        status,
        "Connect a device",
        &format!(
            "{problem}<form method=\"get\" action=\"{}\">\
             <label for=\"code\">The code your device shows</label>\
             <input id=\"code\" name=\"user_code\" required autocomplete=\"off\" \
             autocapitalize=\"characters\" spellcheck=\"false\">\
             <button class=\"go\">Continue</button></form>",
            escape(action)
        ),
    )
}

/// A page that only says something. `code` is the protocol's word for it.
pub(crate) fn message(status: StatusCode, title: &str, code: Option<&str>, text: &str) -> Response {
    let code = code.map_or_else(String::new, |code| format!("<p class=\"soft\"><code>{}</code></p>", escape(code)));
    page(status, &escape(title), &format!("<p>{}</p>{code}", escape(text)))
}

/// `title` and `body` are HTML.
fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let nonce = unguessable();
    let mut response = Response::new(Body::from(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // `form-action` names schemes, because browsers apply it to the redirect that answers the
    // form as well, and no host in it can be spelled `[::1]`.
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' http: https:; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("the nonce is hexadecimal");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// 128 bits from the operating system, in hexadecimal.
pub(crate) fn unguessable() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    format!("{:032x}", u128::from_ne_bytes(bytes))
}

/// Text as HTML, in an element or in a quoted attribute.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// What [`escape`] wrote, as text again.
pub(crate) fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::{escape, unescape};

    #[test]
    fn what_is_escaped_cannot_leave_its_attribute_and_comes_back() {
        let nasty = "\"><script>alert('&lt;')</script>";
        let html = escape(nasty);
        assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
        assert_eq!(unescape(&html), nasty);
    }
}
