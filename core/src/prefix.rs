//! The URL that the browser is sent to, but for what is fresh in each login.
//!
//! ```text
//! https://as.example.com/authorize?response_type=code&client_id=s6BhdRkqt3&redirect_uri=..&scope=photos    the prefix
//! &state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256 each login's
//! ```
//!
//! It is parsed once. What follows has no character that a parser would change, so the parts that it found stay where
//! they are. To append by `Url`'s own means takes as long as the rest of beginning a login. (In a debug build `url` parses
//! each of them again all the same, and compares.)

use std::iter::Skip;
use std::slice;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, SeqAccess};
use serde_json::Value;
use url::Url;

use crate::error::Usage;

/// The authorization endpoint's URL with parameters, which takes more of them.
pub(crate) struct Prefix {
    /// With the `&` for the next one.
    text: String,
    /// All that a `Url` is made of: its text, and where in it everything stands.
    parts: Vec<Value>,
}

impl Prefix {
    /// A URL that has a query and no fragment.
    pub(crate) fn parse(text: &str) -> Result<Self, Usage> {
        let url = parse(text)?;
        let parts = match url.serialize_internal(serde_json::value::Serializer) {
            Ok(Value::Array(parts)) => parts,
            _ => Vec::new(),
        };
        let mut text = String::from(url);
        text.push('&');
        Ok(Self { text, parts })
    }

    /// The URL with these parameters at its end, written as it takes them.
    pub(crate) fn with(&self, written: [&str; 5]) -> Result<Url, Usage> {
        let length = written.iter().map(|part| part.len()).fold(self.text.len(), usize::saturating_add);
        let text = || {
            let mut text = String::with_capacity(length);
            text.push_str(&self.text);
            text.extend(written);
            text
        };
        // Should a `Url` be read from other parts one day, it is parsed.
        self.put_together(text()).or_else(|_| parse(&text()))
    }

    /// All other parts are places in the text, none of them behind the beginning of the query.
    fn put_together(&self, text: String) -> serde_json::Result<Url> {
        let parts = Parts { text: Some(text), others: self.parts.iter().skip(1) };
        Url::deserialize_internal(SeqAccessDeserializer::new(parts))
    }
}

/// A parser that took the endpoint takes it with a query, unless that is gigabytes long.
pub(crate) fn parse(text: &str) -> Result<Url, Usage> {
    Url::parse(text).map_err(|_| Usage::Endpoint("authorization_endpoint", "is too long with its parameters"))
}

/// The parts of a URL whose text has become longer.
struct Parts<'a> {
    text: Option<String>,
    others: Skip<slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for Parts<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        match self.text.take() {
            Some(text) => seed.deserialize(text.into_deserializer()).map(Some),
            None => self.others.next().map(|part| seed.deserialize(part)).transpose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_url_that_a_parser_makes() {
        let prefixes = [
            "https://as.example.com/authorize?a=b",
            "HTTPS://AS.example.com:443?a",
            "https://user:pass@as.example.com:8443/a/../b?a=%zz&&\u{FC}",
            "http://127.0.0.1:1/?",
            "http://[::1]:1/authorize?a='",
            "https://b\u{FC}cher.example/?a=b c",
        ];
        for prefix in prefixes {
            let prefix = Prefix::parse(prefix).unwrap();
            let text = format!("{}state=x-._~&c=Y&m=", prefix.text);
            let parsed = Url::parse(&text).unwrap();
            let url = prefix.put_together(text).unwrap();
            assert_eq!(prefix.with(["state=", "x-._~", "&c=", "Y", "&m="]).unwrap(), url);
            let parts = |url: &Url| url.serialize_internal(serde_json::value::Serializer).unwrap();
            assert_eq!(parts(&url), parts(&parsed), "{url}");
        }
    }

    #[test]
    fn without_parts_it_is_parsed() {
        let prefix = Prefix { text: "https://as.example.com/?a=b&".to_owned(), parts: vec![Value::Null] };
        let url = prefix.with(["c=", "d", "&e=f&g=", "h", ""]).unwrap();
        assert_eq!(url.as_str(), "https://as.example.com/?a=b&c=d&e=f&g=h");
    }
}
