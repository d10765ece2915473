//! JSON objects as servers send them, read without building a tree.
//!
//! ```text
//! {"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","example_parameter":"example_value"}
//! ```
//!
//! The members asked for come out as they stand, each at most once, and all others are kept as text. Refused: anything
//! but exactly one object in UTF-8, more values than any answer needs, and a member asked for that stands twice, also where
//! one of the names is escaped.
//! Nothing here prints what it read.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::Violation;
use crate::form;
use crate::parameter::is_printable;
use crate::secret::{Secret, Wiped};

/// Reads a body as one object: the named members, in the order of `names`, and the rest.
pub(crate) fn members<'a, const N: usize>(
    body: &'a [u8],
    names: [&'static str; N],
) -> Result<([Member<'a>; N], Extra), Violation> {
    members_of(std::str::from_utf8(body).map_err(|_| Violation::NotJson)?, names)
}

/// The same of a body that is known to be UTF-8.
pub(crate) fn members_of<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<([Member<'a>; N], Extra), Violation> {
    // RFC 8259 section 8.1: "implementations .. MAY ignore the presence of a byte order mark".
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let is_long_object = text.len() > MAX_VALUES && text.trim_ascii_start().starts_with('{');
    if is_long_object && memchr::memchr3_iter(b',', b'[', b'{', text.as_bytes()).nth(MAX_VALUES).is_some() {
        return Err(Violation::TooManyValues);
    }
    let mut found = names.map(|name| Member { name, value: None });
    let mut extra = Wiped(String::new());
    let mut repeated = None;
    each(text, |name, raw_name, value| match found.iter_mut().find(|member| member.name == name) {
        Some(member) if member.value.is_some() => repeated = Some(member.name),
        Some(member) => member.value = Some(value),
        None => {
            // They take no more room than they had, and a text that was outgrown would stay in memory.
            let Wiped(extra) = &mut extra;
            if extra.is_empty() {
                extra.reserve_exact(text.len());
            }
            match name {
                Cow::Borrowed(_) => push(extra, raw_name, value.json),
                Cow::Owned(name) => push(extra, &Value::from(name).to_string(), value.json),
            }
        }
    })
    .ok_or(Violation::NotJson)?;
    match repeated {
        Some(name) => Err(Violation::Duplicate(name)),
        None => Ok((found, Extra::close(&mut extra))),
    }
}

/// A form as an object of strings; `None` if it is no form, or longer than one would be.
pub(crate) fn from_form(body: &[u8]) -> Option<Wiped> {
    if body.len() > MAX_FORM {
        return None;
    }
    let text = str::from_utf8(body).ok().filter(|text| !text.trim_start().starts_with('{'))?;
    // A byte takes six at most, and a pair six more than its texts: nothing is outgrown.
    let mut object = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(6).saturating_add(8)));
    for (name, value) in form::pairs(text.trim_ascii()) {
        let before = if object.is_empty() { b'{' } else { b',' };
        object.push(before);
        serde_json::to_writer(&mut *object, &*name?).ok()?;
        object.push(b':');
        serde_json::to_writer(&mut *object, &*value?).ok()?;
    }
    if object.is_empty() {
        return None;
    }
    object.push(b'}');
    String::from_utf8(std::mem::take(&mut *object)).ok().map(Wiped)
}

/// A member of an object: its name, and its value as it stands, if it is there.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    name: &'static str,
    value: Option<Raw<'a>>,
}

/// A value as it stands.
#[derive(Clone, Copy)]
struct Raw<'a> {
    json: &'a str,
    /// Whether it is a string in which nothing is escaped.
    is_plain: bool,
    /// Whether it is known to be such a string, of printable ASCII alone.
    known_printable: bool,
}

impl<'a> Member<'a> {
    /// The value of a string; `null` and the empty string count as absent (RFC 6749 section 3.1, by analogy).
    pub(crate) fn text(self) -> Result<Option<Cow<'a, str>>, Violation> {
        Ok(self.string()?.filter(|text| !text.is_empty()))
    }

    /// The same, of printable ASCII and not blank: a token, which has to go into a header (RFC 6749 appendix A.12:
    /// `1*VSCHAR`).
    pub(crate) fn token(self) -> Result<Option<Cow<'a, str>>, Violation> {
        let Some(text) = self.text()? else { return Ok(None) };
        let is_printable = self.value.is_some_and(|value| value.known_printable) || is_printable(&text);
        let is_blank = text.bytes().all(|byte| byte == b' ');
        if is_printable && !is_blank { Ok(Some(text)) } else { Err(self.invalid()) }
    }

    /// The value of a string that may be empty; `null` counts as absent.
    pub(crate) fn string(self) -> Result<Option<Cow<'a, str>>, Violation> {
        self.present().map(|value| value.text().ok_or(self.invalid())).transpose()
    }

    /// The strings of an array; `null` counts as absent.
    pub(crate) fn list(self) -> Result<Option<Vec<String>>, Violation> {
        match self.strings()? {
            None if !self.is_absent() => Err(self.invalid()),
            strings => Ok(strings),
        }
    }

    /// The strings of an array, or `None` if the value is not an array.
    pub(crate) fn strings(self) -> Result<Option<Vec<String>>, Violation> {
        match self.value {
            Some(Raw { json, .. }) if json.starts_with('[') => {
                serde_json::from_str(json).map(Some).map_err(|_| self.invalid())
            }
            _ => Ok(None),
        }
    }

    /// Whole seconds: an integer, a float (floored), or either as a string. Huge values saturate.
    pub(crate) fn seconds(self) -> Result<Option<u64>, Violation> {
        self.rounded(f64::floor)
    }

    /// The same, rounded up: what has to be waited at least.
    pub(crate) fn seconds_at_least(self) -> Result<Option<u64>, Violation> {
        self.rounded(f64::ceil)
    }

    fn rounded(self, round: fn(f64) -> f64) -> Result<Option<u64>, Violation> {
        let Some(value) = self.present() else { return Ok(None) };
        let text = if value.json.starts_with('"') { value.text() } else { Some(Cow::Borrowed(value.json)) };
        text.and_then(|text| rounded(&text, round)).map(Some).ok_or(self.invalid())
    }

    /// The value of a boolean; `null` counts as absent.
    pub(crate) fn flag(self) -> Result<Option<bool>, Violation> {
        match self.present().map(|value| value.json) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.invalid()),
        }
    }

    pub(crate) fn invalid(self) -> Violation {
        Violation::Invalid(self.name)
    }

    /// Of the value as it stands, in bytes.
    pub(crate) fn length(self) -> usize {
        self.value.map_or(0, |value| value.json.len())
    }

    /// Whether it is not there, or null.
    pub(crate) fn is_absent(self) -> bool {
        self.present().is_none()
    }

    fn present(self) -> Option<Raw<'a>> {
        self.value.filter(|value| value.json != "null")
    }

    pub(crate) fn missing(self) -> Violation {
        Violation::Missing(self.name)
    }
}

impl<'a> Raw<'a> {
    /// The text of a string; `None` if the value is another type, or escapes what is no character.
    fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.json.strip_prefix('"')?.strip_suffix('"')?;
        if self.is_plain { Some(Cow::Borrowed(inner)) } else { serde_json::from_str(self.json).ok().map(Cow::Owned) }
    }
}

/// The members of a server's answer that have no accessor of their own, kept as they came.
///
/// Servers put what they like there, secrets included, so `Debug` shows their number only.
///
/// ```
/// # use proofkey_core::Tokens;
/// let tokens: Tokens = serde_json::from_str(r#"{"access_token":"a","team":{"id":"T9TK3CUKW"}}"#)?;
/// let team: serde_json::Value = tokens.extra().get("team").unwrap();
/// assert_eq!(team["id"], "T9TK3CUKW");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Serialised as an object, numbers as far as 64 bits hold them. A value that `serde_json::Value` cannot hold (nested deeper than 127, a number beyond
/// `f64`) is then written as a string of its JSON text.
#[derive(Clone)]
pub struct Extra(Option<Secret>);

impl Extra {
    /// The member of this name as a `T`; `None` if there is none, or it is not one. Where a name stands twice, the last.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let mut found = None;
        each(self.as_json(), |member, _, value| {
            if member == name {
                found = Some(value.json);
            }
        });
        serde_json::from_str(found?).ok()
    }

    /// The names of all members, in the order they came.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        each(self.as_json(), |name, _, _| names.push(name.into_owned()));
        names
    }

    /// All members as the text of one JSON object.
    pub fn as_json(&self) -> &str {
        self.0.as_ref().map_or("{}", Secret::expose)
    }

    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Members read as values, as a store hands them back.
    pub(crate) fn from_values(values: Map<String, Value>) -> Self {
        let mut extra = Wiped(String::new());
        for (name, value) in values {
            push(&mut extra.0, &Value::from(name).to_string(), &value.to_string());
        }
        Self::close(&mut extra)
    }

    fn close(Wiped(members): &mut Wiped) -> Self {
        // Tokens are kept for long, and most of the room may have been for members that are not here.
        Self(close(members).then(|| Secret::from(members.as_str())))
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extra({} members)", self.names().len())
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = Map::new();
        each(self.as_json(), |name, _, Raw { json, .. }| {
            let value = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()));
            values.insert(name.into_owned(), value);
        });
        let mut map = serializer.serialize_map(Some(values.len()))?;
        for (name, value) in &values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Calls `member` with the name of each member, the name as it stands, and the value; `None` if the text is not exactly
/// one object.
fn each<'a>(text: &'a str, mut member: impl FnMut(Cow<'a, str>, &'a str, Raw<'a>)) -> Option<()> {
    let mut reader = Reader::new(text);
    reader.sign(b'{').then_some(())?;
    let mut is_over = reader.sign(b'}');
    while !is_over {
        let name = reader.value()?;
        reader.sign(b':').then_some(())?;
        member(name.text()?, name.json, reader.value()?);
        is_over = !reader.sign(b',');
        if is_over {
            reader.sign(b'}').then_some(())?;
        }
    }
    (reader.at == text.len()).then_some(())
}

/// A text, and how far it has been read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    is_printable: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        // Most answers are, and then no string in them needs to be looked through again.
        Self { text, at: 0, is_printable: is_printable(text) }
    }

    /// The value that comes next.
    fn value(&mut self) -> Option<Raw<'a>> {
        let rest = self.text.get(self.at..)?;
        // Answers are plain strings for the most part; everything else is serde's to read.
        let length = plain(rest, self.is_printable);
        let json = match length {
            Some(length) => rest.get(..length)?,
            None => serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>().next()?.ok()?.get(),
        };
        self.at = self.at.saturating_add(json.len());
        let is_plain = length.is_some();
        Some(Raw { json, is_plain, known_printable: is_plain && self.is_printable })
    }

    /// Whether this sign comes next, behind whitespace that is passed over; it is then read, and whitespace behind it.
    fn sign(&mut self, sign: u8) -> bool {
        self.skip_whitespace();
        let is_next = self.next() == Some(sign);
        if is_next {
            self.at = self.at.saturating_add(1);
            self.skip_whitespace();
        }
        is_next
    }

    /// RFC 8259 section 2: whitespace is space, tab, line feed and carriage return.
    fn skip_whitespace(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The length of the string that a text begins with, quotes included, if nothing in it is escaped: it ends at the next
/// quote.
fn plain(text: &str, is_printable: bool) -> Option<usize> {
    let inner = text.as_bytes().strip_prefix(b"\"")?;
    let (inner, after) = inner.split_at_checked(memchr::memchr2(b'"', b'\\', inner)?)?;
    // RFC 8259 section 7: "the characters that MUST be escaped: .. the control characters (U+0000 through U+001F)".
    let fits = is_printable || inner.iter().copied().fold(b' ', u8::min) == b' ';
    (fits && after.starts_with(b"\"")).then_some(inner.len().saturating_add(2))
}

/// Adds a member to the text of an object that [`close`] ends.
fn push(members: &mut String, name: &str, value: &str) {
    members.push(if members.is_empty() { '{' } else { ',' });
    members.push_str(name);
    members.push(':');
    members.push_str(value);
}

/// Ends the text that [`push`] began, if it did.
fn close(members: &mut String) -> bool {
    if !members.is_empty() {
        members.push('}');
    }
    !members.is_empty()
}

/// A JSON number that is not negative, in whole seconds.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    rounded(text, f64::floor)
}

fn rounded(text: &str, round: fn(f64) -> f64) -> Option<u64> {
    if let Ok(whole) = text.parse() {
        // `u64` also reads "+1", which JSON does not.
        return (!text.starts_with('+')).then_some(whole);
    }
    // `f64` also reads "inf", "nan", ".5", "1." and "+1": the first character and the last tell.
    let number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && text.ends_with(|last: char| last.is_ascii_digit());
    let value: f64 = text.parse().ok().filter(|_| number)?;
    // A float is cast with saturation: 1e308 becomes the largest integer.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (value >= 0.0).then(|| round(value) as u64)
}

/// Of one body, its own object included, counted by what begins them. Answers have tens, and metadata hundreds; a value
/// takes tens of bytes once it is read, also where it took two to write.
const MAX_VALUES: usize = 16 * 1024;

/// In bytes. A character of a form may become six in JSON.
const MAX_FORM: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_one_form() {
        let cases = [
            (r#"{ "a" : 1 , "b" :"c d", "e":[1, 2] }"#, r#"{"a":1,"b":"c d","e":[1, 2]}"#),
            ("{\"a\"\n:\t\"b\"}", r#"{"a":"b"}"#),
            (r#"{"\u0061\u00e9\"":"\u0062"}"#, r#"{"aé\"":"\u0062"}"#),
            (r#"{"asked":1}"#, "{}"),
        ];
        for (body, kept) in cases {
            let ([asked], extra) = members(body.as_bytes(), ["asked"]).unwrap();
            assert_eq!(extra.as_json(), kept, "{body}");
            assert_eq!(asked.is_absent(), kept != "{}");
        }
    }
}
