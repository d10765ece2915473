//! Tokens: what a grant gives, what a request carries, and their stored form (RFC 6749 sections 5.1 and 7.1).
//!
//! ```text
//! {"v":1,"access_token":"..","token_type":"Bearer","issued_at":1767225600,"expires_at":1767229200,
//!  "refresh_token":"..","scope":"photos","issuer":"https://as.example.com",
//!  "token_endpoint":"https://as.example.com/token","client_id":"s6BhdRkqt3","extra":{"sub":"248289761001"}}
//! ```
//!
//! They know the server and the client they were given to. Read back, a record without `v` is taken for one that another
//! library saved; see [`Tokens`].

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::asked::Resources;
use crate::json::Extra;
use crate::parameter::is_printable;
use crate::record::Record;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;

/// What a grant gave: an access token and what belongs to it.
///
/// Opaque in Rust, stable on disk: serde writes a `"v": 1` record. It also reads what others have saved: a token answer
/// itself, or a record with `expires_at`, `expires` (seconds since 1970, or milliseconds), or `expires_in` beside
/// `issued_at` or `created_at`; numbers may be integers, floats or strings. An `expires_in` alone does not say since when,
/// so the expiry is then unknown. The format must be self-describing, as JSON is.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) scope: Option<Scope>,
    /// What the grant is good for, where that is more than this access token was made for.
    pub(crate) grant_scope: Option<Scope>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) token_endpoint: Option<Arc<str>>,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) resources: Resources,
    pub(crate) extra: Extra,
    /// The header of a request that carries the access token, once there was one.
    pub(crate) header: OnceLock<HeaderValue>,
}

impl Tokens {
    /// The access token, opaque and byte for byte as the server gave it.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How requests carry it.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// When the server said it ends, counted from when it was asked for; `None` if it did not say. A hint: servers
    /// refuse tokens earlier.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// The refresh token, if there is one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// What was granted: as the server said, or as requested if it said nothing (RFC 6749 section 5.1). `None` if
    /// nothing was requested either. An empty scope is a grant of nothing.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// The ID token as the server sent it: **not validated**, so not to be believed.
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// The issuer that gave them, if it has a name.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The client they were given to; `None` if another library saved them without.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Every member of the answer that has no accessor of its own.
    pub fn extra(&self) -> &Extra {
        &self.extra
    }
}

/// How a token is presented. The scheme in requests is this library's own word, never the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenType {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
}

impl TokenType {
    /// RFC 6749 section 5.1: "Value is case insensitive."
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.eq_ignore_ascii_case("Bearer").then_some(Self::Bearer)
    }

    /// The scheme of an `Authorization` header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The stored form, version 1.
        #[derive(Serialize)]
        struct Stored<'a> {
            v: u64,
            access_token: &'a Secret,
            token_type: &'static str,
            issued_at: UnixTime,
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_at: Option<UnixTime>,
            #[serde(skip_serializing_if = "Option::is_none")]
            refresh_token: Option<&'a Secret>,
            #[serde(skip_serializing_if = "Option::is_none")]
            scope: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            grant_scope: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            id_token: Option<&'a Secret>,
            #[serde(skip_serializing_if = "Option::is_none")]
            issuer: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            token_endpoint: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            client_id: Option<&'a str>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            resource: &'a [String],
            #[serde(skip_serializing_if = "Extra::is_empty")]
            extra: &'a Extra,
        }
        let stored = Stored {
            v: VERSION,
            access_token: &self.access_token,
            token_type: self.token_type.as_str(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            refresh_token: self.refresh_token.as_ref(),
            scope: self.scope.as_ref().map(Scope::as_str),
            grant_scope: self.grant_scope.as_ref().map(Scope::as_str),
            id_token: self.id_token.as_ref(),
            issuer: self.issuer.as_deref(),
            token_endpoint: self.token_endpoint.as_deref(),
            client_id: self.client_id.as_deref(),
            resource: &self.resources,
            extra: &self.extra,
        };
        stored.serialize(serializer)
    }
}

/// Reads what was stored by this version, an earlier one, or another library. Its errors name a member and show no value.
impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Record::deserialize("tokens", deserializer)?;
        let version: Option<u64> = record.take("v")?;
        if version.is_some_and(|version| version != VERSION) {
            return Err(record.unfit("v"));
        }
        let token_type: Option<String> = record.take("token_type")?;
        let issued_at = match record.time("issued_at")? {
            None if version.is_none() => record.time("created_at")?.map(from_milliseconds),
            issued_at if version.is_none() => issued_at.map(from_milliseconds),
            issued_at => issued_at,
        };
        let text = |text: String| Arc::<str>::from(text);
        let mut tokens = Self {
            access_token: credential(&mut record, "access_token")?.ok_or_else(|| record.unfit("access_token"))?,
            // Other libraries do not always save it; there is one type that they could mean.
            token_type: TokenType::parse(token_type.as_deref().unwrap_or("Bearer"))
                .ok_or_else(|| record.unfit("token_type"))?,
            issued_at: issued_at.unwrap_or(UnixTime::from_secs(0)),
            expires_at: record.time("expires_at")?,
            refresh_token: credential(&mut record, "refresh_token")?,
            scope: read_scope(&mut record, "scope")?,
            grant_scope: read_scope(&mut record, "grant_scope")?,
            id_token: credential(&mut record, "id_token")?,
            issuer: record.take("issuer")?.map(text),
            token_endpoint: record.take("token_endpoint")?.map(text),
            client_id: record.take("client_id")?.map(text),
            resources: Resources(record.take("resource")?.unwrap_or_default()),
            extra: Extra::none(),
            header: OnceLock::new(),
        };
        if version.is_none() {
            let lifetime = record.seconds("expires_in")?;
            let counted =
                issued_at.zip(lifetime).map(|(at, lifetime)| at.saturating_add(Duration::from_secs(lifetime)));
            let told = tokens.expires_at.or(record.time("expires")?).map(from_milliseconds);
            tokens.expires_at = told.or(counted);
            tokens.extra = Extra::from_values(record.rest());
        } else {
            tokens.extra = Extra::from_values(record.take::<Map<String, Value>, _>("extra")?.unwrap_or_default());
        }
        Ok(tokens)
    }
}

/// Some count milliseconds: what would be after the year 5000 in seconds is one of those.
fn from_milliseconds(at: UnixTime) -> UnixTime {
    if at.as_secs() > 100_000_000_000 { UnixTime::from_secs(at.as_secs() / 1000) } else { at }
}

/// A token that can still stand in a header; an empty one is none.
fn credential<E: serde::de::Error>(record: &mut Record, name: &str) -> Result<Option<Secret>, E> {
    match record.take::<Secret, E>(name)? {
        Some(token) if !is_printable(token.expose()) => Err(record.unfit(name)),
        token => Ok(token.filter(|token| !token.expose().trim().is_empty())),
    }
}

/// Scope as text or as a list.
fn read_scope<E: serde::de::Error>(record: &mut Record, name: &str) -> Result<Option<Scope>, E> {
    let text = match record.take::<Value, E>(name)? {
        None => return Ok(None),
        Some(Value::String(text)) => Some(text),
        Some(list) => serde_json::from_value::<Vec<String>>(list).ok().map(|tokens| tokens.join(" ")),
    };
    text.as_deref().and_then(Scope::granted).map(Some).ok_or_else(|| record.unfit(name))
}

/// Of the stored form. A change of meaning makes a new one; this one stays readable.
const VERSION: u64 = 1;
