//! URIs that others hand us, vetted as raw text before they are parsed.
//!
//! A URL parser forgives: it drops tabs, turns `\` into `/`, finds a host in `https:as.example`. Each of these has been
//! used to make two parsers see two hosts, so what needs forgiving is refused, with a reason that never quotes the text
//! (it may hold a password).

use std::net::{IpAddr, Ipv4Addr};

use http::Uri;
use http::uri::{Authority, Scheme};
use url::{Host, Url};

use crate::form::is_unreserved;

/// An absolute `https` URI, or `http` on loopback: a host, no userinfo, no fragment.
pub(crate) fn secure(text: &str) -> Result<Url, &'static str> {
    let url = web(text)?;
    if url.scheme() == "https" || is_loopback(&url) {
        Ok(url)
    } else {
        Err("must be https, or http on a loopback host")
    }
}

/// An absolute `https` or `http` URI: a host, no userinfo, no fragment.
pub(crate) fn web(text: &str) -> Result<Url, &'static str> {
    let url = absolute(text)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("must be an https URI");
    }
    if text.contains(FORBIDDEN) {
        return Err("must not have quotes or brackets");
    }
    let after = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    let authority = after.and_then(|after| after.split(['/', '?']).next()).filter(|authority| !authority.is_empty());
    let authority = authority.ok_or("must have a host after \"https://\"")?;
    if authority.contains('@') {
        return Err("must not have a user name or password");
    }
    // `2130706433`, `%61s.example`: a host that is not what it looks like.
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
    if !url.host_str().is_some_and(|parsed| parsed.eq_ignore_ascii_case(host)) {
        return Err("must write its host in the usual form");
    }
    Ok(url)
}

/// The address of a page for a person: the same, and a fragment may follow.
pub(crate) fn page(text: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && !FORBIDDEN.contains(&char::from(byte));
    if !text.bytes().all(is_plain) || text.matches('#').count() > 1 {
        return Err("must not have quotes, brackets or spaces");
    }
    // Where it leads stands at its beginning. The rest may quote a secret, and a URL that was parsed is not wiped.
    let (scheme, rest) = text.split_once("://").ok_or("must have a host after \"https://\"")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    web(&[scheme, "://", authority].concat()).map(drop)
}

/// An absolute URI of any scheme, without a fragment.
pub(crate) fn absolute(text: &str) -> Result<Url, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be ASCII without spaces and control characters");
    }
    if text.contains('\\') {
        return Err("must not have a backslash");
    }
    if text.contains('#') {
        return Err("must not have a fragment");
    }
    Url::parse(text).map_err(|_| "must be an absolute URI")
}

/// Whether requests to this host stay on this machine. Decided on the parsed host: `127.0.0.1.example.com` is elsewhere.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(domain)) => domain == "localhost",
        None => false,
    }
}

/// Whether this host is this machine by any name or address that is known for it: more than [`is_loopback`] trusts.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let is_own = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    match url.host() {
        Some(Host::Domain(domain)) => is_localhost(domain),
        Some(Host::Ipv4(address)) => is_own(address.into()),
        Some(Host::Ipv6(address)) => is_own(address.to_canonical()),
        None => false,
    }
}

/// Whether a name is loopback by itself: `localhost` and whatever ends with it (RFC 6761 section 6.3).
fn is_localhost(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    domain == "localhost" || domain.ends_with(".localhost")
}

/// Whether this host could be anybody's: not an address of this machine or of a private network, nor `localhost`. What a
/// name resolves to is not known here.
pub(crate) fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => !is_localhost(domain),
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => {
            // RFC 4291 section 2.4: what is global begins with these three bits. Of that, 2002::/16 embeds IPv4 addresses,
            // 2001::/32 tunnels to them, and 2001:db8::/32 is for documentation; the rest of IPv4 in IPv6 lies outside.
            let [first, second, ..] = address.segments();
            first & 0xE000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && matches!(second, 0 | 0xDB8))
        }
        None => false,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // RFC 6890: this network, a provider's own customers, protocol assignments, benchmarks; 224 and up are no hosts.
        || first == 0
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && matches!(second, 18 | 19))
        || first >= 224)
}

/// Whether a target is `https` with a host name, and has nothing in it that [`secure`] could find fault with. One that is
/// not may still be secure.
pub(crate) fn is_plain(target: &Uri) -> bool {
    let host = target.authority().map_or("", Authority::as_str).as_bytes();
    // A top label that begins with a letter: no IPv4 address in any of its spellings.
    let dot = host.iter().rposition(|byte| *byte == b'.').unwrap_or_default();
    target.scheme() == Some(&Scheme::HTTPS)
        && dot > 0
        && matches!(host.get(dot..), Some([_, b'a'..=b'z', ..]))
        && !host.windows(4).any(|part| part == b"xn--")
        && host.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && target.path_and_query().is_some_and(|path| {
            path.as_str().bytes().all(|byte| is_unreserved(byte) || matches!(byte, b'/' | b'?' | b'=' | b'&' | b'%'))
        })
}

/// The same URL as a request's target.
pub(crate) fn target(url: &Url) -> Result<Uri, &'static str> {
    url.as_str().parse().map_err(|_| "has characters that cannot stand in a request")
}

/// What may be printed of a URI that was given to us: not its query, which may hold a key, nor a password. Of a URI without
/// a path of its own that is the scheme; of what is no URI nothing is known, and nothing printed.
pub(crate) fn shown(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "[no URI]".to_owned() };
    if url.cannot_be_a_base() {
        return format!("{}:[..]", url.scheme());
    }
    url.set_query(None);
    url.set_fragment(None);
    // These fail where there is no host, and so no user.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.into()
}

/// Quotes end arguments where a URL is handed to a browser; the others stand in no URI (RFC 3986).
const FORBIDDEN: [char; 9] = ['\'', '"', '`', '<', '>', '^', '{', '|', '}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_would_forgive_is_refused() {
        let cases = [
            ("/relative", "must be an absolute URI"),
            ("", "must be an absolute URI"),
            ("https:as.example", "must have a host after \"https://\""),
            ("https:/as.example", "must have a host after \"https://\""),
            ("https://", "must be an absolute URI"),
            ("https:///u:p@as.example.com/t", "must have a host after \"https://\""),
            ("https:as.example/?x=://y", "must have a host after \"https://\""),
            ("https:u:p@as.example/?x=://y", "must have a host after \"https://\""),
            ("https://2130706433/", "must write its host in the usual form"),
            ("https://127.1/", "must write its host in the usual form"),
            ("https://%61s.example/", "must write its host in the usual form"),
            ("https://as.exa\tmple", "must be ASCII without spaces and control characters"),
            (" https://as.example", "must be ASCII without spaces and control characters"),
            ("https://as。example", "must be ASCII without spaces and control characters"),
            ("https:\\\\as.example", "must not have a backslash"),
            ("https://as.example\\@evil.example", "must not have a backslash"),
            ("https://as.example/#f", "must not have a fragment"),
            ("https://user:pw@as.example", "must not have a user name or password"),
            ("https://@as.example", "must not have a user name or password"),
            ("https://as.example:x", "must be an absolute URI"),
            ("http://as.example", "must be https, or http on a loopback host"),
            ("http://127.0.0.1.as.example", "must be https, or http on a loopback host"),
            ("http://localhost.as.example", "must be https, or http on a loopback host"),
            ("http://127.0.0.1@as.example", "must not have a user name or password"),
            ("javascript:alert(1)", "must be an https URI"),
            ("https://as.example/a'b", "must not have quotes or brackets"),
            ("https://as.example/`id`", "must not have quotes or brackets"),
            ("file:///etc/passwd", "must be an https URI"),
        ];
        for (text, why) in cases {
            assert_eq!(secure(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn private_addresses_are_not_public() {
        for host in [
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "0.0.0.0",
            "240.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::a00:1]",
            "[2001::1]",
            "[2002:a00:1::]",
            "[2001:db8::1]",
            "[fc00::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "localhost",
            "localhost.",
            "as.localhost.",
        ] {
            assert!(!is_public(&Url::parse(&format!("https://{host}/")).unwrap()), "{host}");
        }
        for host in [
            "as.example",
            "8.8.8.8",
            "192.1.1.1",
            "198.1.1.1",
            "[2606:4700::1111]",
            "[2001:4860:4860::8888]",
            "localhost.example",
        ] {
            assert!(is_public(&Url::parse(&format!("https://{host}/")).unwrap()), "{host}");
        }
    }

    #[test]
    fn https_and_loopback_pass() {
        for text in [
            "https://as.example",
            "https://as.example:8443/a?b=c@d",
            "http://127.0.0.1:3000",
            "http://[::1]/",
            "http://[::1]:3000",
            "https://xn--bcher-kva.example",
            "http://localhost:1",
            "HTTPS://AS.example",
        ] {
            assert!(secure(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_plain_is_secure() {
        let plain = ["https://api.example.com/Photos/1.jpg?a=b&c=%20", "https://api.example.com", "https://a-1.b/"];
        for text in plain {
            assert!(is_plain(&text.parse().unwrap()) && secure(text).is_ok(), "{text}");
        }
        let others = [
            "http://api.example.com/",
            "http://localhost/",
            "https://api.example.com:8443/",
            "https://u:p@api.example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.0x1/",
            "https://[::1]/",
            "https://localhost/",
            "https://API.example.com/",
            "https://xn--a.example/",
            "https://%61s.example/",
            "https://api.example.com/'",
            "https://api.example.com/\"",
            "https://api.example.com/{a}",
            "/photos",
        ];
        for text in others {
            let Ok(target) = text.parse::<Uri>() else { continue };
            assert!(!is_plain(&target), "{text}");
        }
    }
}
