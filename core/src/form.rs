//! `application/x-www-form-urlencoded` (RFC 6749 appendix B), written and read by hand.
//!
//! ```text
//! grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient.example.com%2Fcb
//! ```
//!
//! Written: everything but unreserved characters is percent-encoded, a space as `%20`, which form decoders and percent
//! decoders read alike. Read: `+` and `%20` are spaces, decoded exactly once, a malformed `%` stands for itself, and
//! what is not UTF-8 is refused instead of replaced.

use std::ops::Deref;

use zeroize::Zeroize;

use crate::secret::Wiped;

/// A form being written. It may hold secrets: a buffer that was outgrown is wiped.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    /// A form whose first `capacity` bytes need no second allocation.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// A form that goes on after this text, as the query of a URL goes on after its path.
    pub(crate) fn after(text: &str, capacity: usize) -> Self {
        let mut form = Self::with_capacity(text.len().saturating_add(capacity));
        form.0.extend_from_slice(text.as_bytes());
        form
    }

    /// Begins the query of the URL written so far, if it has none.
    pub(crate) fn begin_query(&mut self) {
        if !self.0.contains(&b'?') {
            self.0.push(b'?');
        }
    }

    /// Adds `name=value`, the value encoded, behind an `&` where one is needed. The name is one of the protocol's, none of
    /// which needs encoding.
    pub(crate) fn pair(&mut self, name: &'static str, value: &str) {
        // An encoded byte takes three at most.
        self.begin(name.len().saturating_add(value.len().saturating_mul(3)));
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        encode(value, &mut self.0);
    }

    /// The same with a name that the caller chose.
    pub(crate) fn foreign_pair(&mut self, name: &str, value: &str) {
        self.begin(name.len().saturating_add(value.len()).saturating_mul(3));
        encode(name, &mut self.0);
        self.0.push(b'=');
        encode(value, &mut self.0);
    }

    /// Adds pairs as they are written here, in which no character needs encoding.
    pub(crate) fn plain<const N: usize>(&mut self, written: [&str; N]) {
        self.begin(written.iter().map(|part| part.len()).fold(0, usize::saturating_add));
        for part in written {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    /// Makes room for a pair of this length, its own `=` not counted.
    fn begin(&mut self, length: usize) {
        let longest = length.saturating_add(2);
        if self.0.capacity().saturating_sub(self.0.len()) < longest {
            self.grow(longest);
        }
        if !matches!(self.0.last(), None | Some(b'?' | b'&')) {
            self.0.push(b'&');
        }
    }

    /// The text so far; it is ASCII.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.into_bytes()).unwrap_or_default()
    }

    /// The bytes so far. Wiping them is the receiver's care from here.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    fn grow(&mut self, longest: usize) {
        let mut grown =
            Vec::with_capacity(self.0.len().saturating_add(longest).max(self.0.capacity().saturating_mul(2)));
        grown.extend_from_slice(&self.0);
        self.0.as_mut_slice().zeroize();
        self.0 = grown;
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 section 2.3).
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let plain = rest.iter().position(|byte| !is_unreserved(*byte)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(plain);
        out.extend_from_slice(run);
        let Some((byte, after)) = after.split_first() else { return };
        out.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        rest = after;
    }
}

/// The pairs of a query or form, decoded; `None` stands for what is not UTF-8.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (Option<Decoded<'_>>, Option<Decoded<'_>>)> {
    let mut rest = Some(text);
    let pairs = std::iter::from_fn(move || {
        let (pair, after) = cut(rest?, b'&');
        rest = after;
        Some(pair)
    });
    pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = cut(pair, b'=');
        (decode(name), decode(value.unwrap_or_default()))
    })
}

/// What stands before the first of this sign, and what behind it, if there is one.
pub(crate) fn cut(text: &str, sign: u8) -> (&str, Option<&str>) {
    let at = memchr::memchr(sign, text.as_bytes());
    match at.and_then(|at| Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

/// A name or a value, decoded; it may be a secret.
pub(crate) enum Decoded<'a> {
    AsItStood(&'a str),
    Own(Wiped),
}

impl Deref for Decoded<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::AsItStood(text) => text,
            Self::Own(Wiped(text)) => text,
        }
    }
}

impl PartialEq for Decoded<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Decodes once; `None` if the bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Decoded<'_>> {
    let next_sign = |bytes| memchr::memchr2(b'+', b'%', bytes);
    let mut rest = text.as_bytes();
    if next_sign(rest).is_none() {
        return Some(Decoded::AsItStood(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((run, [sign, after @ ..])) = next_sign(rest).and_then(|at| rest.split_at_checked(at)) {
        bytes.extend_from_slice(run);
        let escaped = match after {
            [high, low, behind @ ..] if *sign == b'%' => {
                unhex(*high).zip(unhex(*low)).map(|(h, l)| (h << 4 | l, behind))
            }
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((if *sign == b'+' { b' ' } else { b'%' }, after));
        bytes.push(byte);
        rest = behind;
    }
    bytes.extend_from_slice(rest);
    let decoded = String::from_utf8(bytes).map(Wiped);
    decoded.map_err(|error| error.into_bytes().as_mut_slice().zeroize()).ok().map(Decoded::Own)
}

/// RFC 3986 section 2.3, looked up: every byte that is sent is asked about.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    UNRESERVED.get(usize::from(byte)).is_some_and(|is| *is)
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    while let [byte, after @ ..] = rest {
        table[*byte as usize] = true;
        rest = after;
    }
    table
};

fn hex(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' | nibble,
        _ => (b'A' - 10).wrapping_add(nibble & 15),
    }
}

fn unhex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_encoded_and_joined() {
        let mut form = Form::default();
        form.foreign_pair("a b", "c+d/ü~");
        form.pair("e", "");
        assert_eq!(form.into_text(), "a%20b=c%2Bd%2F%C3%BC~&e=");
        let mut form = Form::after("https://as.example/authorize?", 0);
        form.pair("a", "b");
        assert_eq!(form.into_text(), "https://as.example/authorize?a=b");
    }

    /// A buffer that grew by itself would leave its old bytes behind, not wiped.
    #[test]
    fn room_is_made_before_it_is_needed_and_not_sooner() {
        let longest = "name".len() + 3 * "value".len() + 2;
        let mut form = Form::default();
        form.pair("name", "value");
        assert!(form.0.capacity() >= longest);
        let mut form = Form::with_capacity(longest);
        let room = form.0.capacity();
        form.pair("name", "value");
        assert_eq!((room, form.0.capacity()), (longest, longest));
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let text: String = (0..=0x2FF).filter_map(char::from_u32).collect();
        let mut bytes = Vec::new();
        encode(&text, &mut bytes);
        assert_eq!(*decode(std::str::from_utf8(&bytes).unwrap()).unwrap(), *text);
    }

    #[test]
    fn decoding_is_strict_about_utf8_and_literal_about_the_rest() {
        let cases = [
            ("a+b%20c", Some("a b c")),
            ("%2B%2b", Some("++")),
            ("%zz%", Some("%zz%")),
            ("%2", Some("%2")),
            ("%%41", Some("%A")),
            ("%2541", Some("%41")),
            ("%C3%BC", Some("ü")),
            ("%C0%AF", None),
            ("%ff", None),
            ("%C3", None),
        ];
        for (text, decoded) in cases {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn empty_pairs_are_skipped_and_lone_names_have_empty_values() {
        let read: Vec<_> =
            pairs("&&a&=b&c=d=e&").map(|(name, value)| format!("{} {}", &*name.unwrap(), &*value.unwrap())).collect();
        assert_eq!(read, ["a ", " b", "c d=e"]);
    }
}
