//! Text that must not be printed, compared in variable time, or left in memory.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret text: a token, a code, a verifier, a client secret.
///
/// It prints as `[redacted]`, is wiped when dropped, and has no `==`: [`matches`](Self::matches) compares in
/// constant time. Serialising writes the secret itself, because what persists must work again; store it accordingly.
///
/// Wiping covers the memory that this value owns. Copies made by moving it between stores, by an allocator that
/// grew a buffer, by serde or by an HTTP library are beyond its reach.
pub struct Secret(Text);

enum Text {
    Own(Wiped),
    /// A part of a text that others have parts of, which is wiped behind the last of them.
    Part(Arc<Wiped>, Range<usize>),
}

/// A text that is wiped when dropped. What it outgrows is not.
pub(crate) struct Wiped(pub(crate) String);

impl Secret {
    /// Takes the text over; no copy is made.
    pub fn new(text: impl Into<String>) -> Self {
        Self::from(text.into())
    }

    /// A part of this text, without a copy. It keeps the whole text in memory; its clones do not.
    pub(crate) fn part(whole: &Arc<Wiped>, part: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.0.as_ptr().addr());
        let range = start..start.saturating_add(part.len());
        let is_part = whole.0.get(range.clone()).is_some_and(|own| std::ptr::eq(own, part));
        if is_part { Self(Text::Part(whole.clone(), range)) } else { Self::from(part) }
    }

    /// The secret itself. Everything done with it from here is the caller's care.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::Own(text) => &text.0,
            Text::Part(whole, range) => whole.0.get(range.clone()).unwrap_or_default(),
        }
    }

    /// Whether `other` is the same text, in time that depends on the lengths only.
    pub fn matches(&self, other: &str) -> bool {
        self.expose().as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::from(self.expose())
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_mut_str().zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Text::Own(Wiped(text)))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own words would quote what stands in its place.
        String::deserialize(deserializer).map(Self::from).map_err(|_| D::Error::custom("a secret is a string"))
    }
}

/// What stands where a secret would.
pub(crate) const REDACTED: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_its_memory_and_its_clone_does_not() {
        let whole = Arc::new(Wiped("a canary and more".to_owned()));
        let word = &whole.0[2..8];
        let part = Secret::part(&whole, word);
        assert!(std::ptr::eq(part.expose(), word) && part.matches("canary"));
        assert_eq!(part.clone().expose(), word);
        assert!(!std::ptr::eq(part.clone().expose(), word));
        for foreign in ["canary", ""] {
            assert_eq!(Secret::part(&whole, foreign).expose(), foreign);
        }
        assert_eq!(Arc::strong_count(&whole), 2);
    }

    #[test]
    fn nothing_prints_it() {
        let secret = Secret::new("canary");
        for printed in [format!("{secret}"), format!("{secret:?}"), format!("{:#?}", Some(&secret))] {
            assert!(!printed.contains("canary"), "{printed}");
        }
    }

    #[test]
    fn what_is_none_is_not_quoted() {
        for json in ["123456789", "[123456789]", "{\"a\":123456789}"] {
            let error = serde_json::from_str::<Secret>(json).unwrap_err().to_string();
            assert!(!error.contains("123456789"), "{error}");
        }
    }

    #[test]
    fn it_matches_itself_only() {
        let secret = Secret::new("a canary of 20 bytes");
        assert!(secret.matches("a canary of 20 bytes"));
        let others = [
            "",
            "a canary",
            "a canary of 20 byte",
            "a canary of 20 bytes ",
            "a canary of 20 bytes a canary of 20 bytes",
        ];
        let changed = (0..20).map(|at| {
            let mut other = secret.expose().to_owned();
            other.replace_range(at..=at, "#");
            other
        });
        for other in others.map(str::to_owned).into_iter().chain(changed) {
            assert!(!secret.matches(&other), "{other:?}");
        }
    }
}
