//! Scope: what access is asked for, and what was granted (RFC 6749 section 3.3).
//!
//! ```text
//! scope       = scope-token *( SP scope-token )
//! scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
//! ```
//!
//! Asked for, the grammar is held to. Granted, what no token could hold is refused, and the rest is left as the server
//! wrote it: a comma-separated list is one token.

use std::fmt;

/// A set of scope tokens, in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(String);

impl Scope {
    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether this token is among them; compared exactly, case included.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens joined by spaces, as they go over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds a token to ask for; `false` if it is not one.
    #[must_use]
    pub(crate) fn add(&mut self, token: &str) -> bool {
        let fits = !token.is_empty() && token.bytes().all(is_token);
        if fits && !self.contains(token) {
            if self.0.is_empty() {
                self.0.reserve(USUAL);
            } else {
                self.0.push(' ');
            }
            self.0.push_str(token);
        }
        fits
    }

    /// What a server says was granted; `None` if it has characters that no token could hold.
    pub(crate) fn granted(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        text.bytes().all(|byte| byte == b' ' || is_token(byte)).then_some(Self(text))
    }
}

/// Room for what most logins ask for, in bytes.
const USUAL: usize = 64;

fn is_token(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_checked_and_joined_once() {
        let mut scope = Scope::default();
        for token in ["read", "https://api.example/x", "read"] {
            assert!(scope.add(token));
        }
        for token in ["", "a b", "a\"", "a\\", "a\r\nb", "é", "\u{7F}"] {
            assert!(!scope.add(token), "{token:?}");
        }
        assert_eq!(scope.as_str(), "read https://api.example/x");
        assert!(scope.contains("read") && !scope.contains("rea"));
    }

    #[test]
    fn what_was_granted_is_left_as_it_is() {
        let scope = Scope::granted("a,b  c ").unwrap();
        assert_eq!(scope.iter().collect::<Vec<_>>(), ["a,b", "c"]);
        assert!(Scope::granted("").unwrap().is_empty());
        assert!(Scope::granted("a\nb").is_none() && Scope::granted("a\"b").is_none());
    }
}
