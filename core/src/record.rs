//! What a store hands back, read member by member.
//!
//! ```text
//! {"v":1,"state":"..","verifier":"..",..}
//! ```
//!
//! A record that was mangled may hold a secret in any place, so no error here shows a value.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::json::seconds;
use crate::time::UnixTime;

/// What a store hands back: an object, whose members are taken one by one.
///
/// Its errors name a member and never show a value: a record that was mangled may hold a secret in any place.
pub(crate) struct Record {
    what: &'static str,
    members: Map<String, Value>,
}

impl Record {
    /// Reads anything; only an object is one.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(what: &'static str, from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Object(members) => Ok(Self { what, members }),
            _ => Err(D::Error::custom(format_args!("stored {what}: not an object"))),
        }
    }

    /// A value that may be absent or null.
    pub(crate) fn take<T: DeserializeOwned, E: serde::de::Error>(&mut self, name: &str) -> Result<Option<T>, E> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|_| self.unfit(name)),
        }
    }

    /// A value that must be there.
    pub(crate) fn require<T: DeserializeOwned, E: serde::de::Error>(&mut self, name: &str) -> Result<T, E> {
        self.take(name)?.ok_or_else(|| self.unfit(name))
    }

    /// A number of seconds, in any shape that [`Member::seconds`] reads.
    pub(crate) fn seconds<E: serde::de::Error>(&mut self, name: &str) -> Result<Option<u64>, E> {
        let read = match self.members.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => seconds(&number.to_string()),
            Some(Value::String(text)) => seconds(&text),
            Some(_) => None,
        };
        read.map(Some).ok_or_else(|| self.unfit(name))
    }

    /// A moment, as [`seconds`](Self::seconds) since 1970.
    pub(crate) fn time<E: serde::de::Error>(&mut self, name: &str) -> Result<Option<UnixTime>, E> {
        Ok(self.seconds(name)?.map(UnixTime::from_secs))
    }

    /// Whatever has not been taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.members
    }

    /// The error for a member that is missing or cannot be what it says.
    pub(crate) fn unfit<E: serde::de::Error>(&self, name: &str) -> E {
        E::custom(format_args!("stored {}: {name} is missing or of the wrong type or value", self.what))
    }
}
