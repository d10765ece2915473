//! What to remember while the browser is away, and its stored form.
//!
//! ```text
//! {"v":1,"state":"..","verifier":"..","redirect_uri":"https://client.example.com/cb",
//!  "issuer":"https://as.example.com","iss_required":true,"client_id":"s6BhdRkqt3",
//!  "token_endpoint":"https://as.example.com/token","scope":"photos","started_at":1767225600}
//! ```
//!
//! It holds the verifier: keep it where only this browser's session can reach it (RFC 9700 section 2.1), under its
//! [`state`](Pending::state), because several tabs may be logging in at once.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::asked::Resources;
use crate::pkce::Verifier;
use crate::record::Record;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;

/// A login under way: everything its return needs, with the server pinned that it was begun with.
///
/// Opaque in Rust, stable on disk. Deliberately not `Clone`: [`accept`](Self::accept) consumes it, because a state and a
/// verifier serve once.
#[derive(Debug)]
pub struct Pending {
    pub(crate) state: Secret,
    pub(crate) verifier: Verifier,
    pub(crate) redirect_uri: Arc<str>,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) iss_required: bool,
    /// But not where the response is an error.
    pub(crate) iss_missing_on_errors: bool,
    pub(crate) client_id: Arc<str>,
    pub(crate) token_endpoint: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) resources: Resources,
    /// When what was pushed is forgotten.
    pub(crate) leave_by: Option<UnixTime>,
    pub(crate) started_at: UnixTime,
}

impl Pending {
    /// The key to keep this under, inside the browser's own session: 43 characters of base64url.
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// The redirect URI that the browser will return to, exactly as it was sent.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Until when the browser must have opened the URL, if the login was pushed (RFC 9126 section 2.2).
    pub fn leave_by(&self) -> Option<UnixTime> {
        self.leave_by
    }

    /// When the login was begun.
    pub fn started_at(&self) -> UnixTime {
        self.started_at
    }
}

impl Serialize for Pending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The stored form, version 1.
        #[derive(Serialize)]
        struct Stored<'a> {
            v: u64,
            state: &'a str,
            verifier: &'a str,
            redirect_uri: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            issuer: Option<&'a str>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            iss_required: bool,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            iss_missing_on_errors: bool,
            client_id: &'a str,
            token_endpoint: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            scope: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            resource: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            leave_by: Option<UnixTime>,
            started_at: UnixTime,
        }
        let stored = Stored {
            v: VERSION,
            state: self.state.expose(),
            verifier: self.verifier.expose(),
            redirect_uri: &self.redirect_uri,
            issuer: self.issuer.as_deref(),
            iss_required: self.iss_required,
            iss_missing_on_errors: self.iss_missing_on_errors,
            client_id: &self.client_id,
            token_endpoint: &self.token_endpoint,
            scope: self.scope.as_str(),
            resource: &self.resources,
            leave_by: self.leave_by,
            started_at: self.started_at,
        };
        stored.serialize(serializer)
    }
}

/// Reads what was stored by this version or an earlier one. Its errors name a member and show no value.
impl<'de> Deserialize<'de> for Pending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Record::deserialize("login", deserializer)?;
        if record.require::<u64, _>("v")? != VERSION {
            return Err(record.unfit("v"));
        }
        let state: Secret = record.require("state")?;
        let verifier: Secret = record.require("verifier")?;
        let text = |text: String| Arc::<str>::from(text);
        Ok(Self {
            // A login without a state would accept whatever has none.
            state: if state.expose().is_empty() { return Err(record.unfit("state")) } else { state },
            verifier: Verifier::new(verifier).map_err(|_| record.unfit("verifier"))?,
            redirect_uri: record.require("redirect_uri").map(text)?,
            issuer: record.take("issuer")?.map(text),
            iss_required: record.take("iss_required")?.unwrap_or_default(),
            iss_missing_on_errors: record.take("iss_missing_on_errors")?.unwrap_or_default(),
            client_id: record.require("client_id").map(text)?,
            token_endpoint: record.require("token_endpoint").map(text)?,
            scope: Scope::granted(record.take::<String, _>("scope")?.unwrap_or_default())
                .ok_or_else(|| record.unfit("scope"))?,
            resources: Resources(record.take("resource")?.unwrap_or_default()),
            leave_by: record.time("leave_by")?,
            started_at: record.time("started_at")?.ok_or_else(|| record.unfit("started_at"))?,
        })
    }
}

/// Of the stored form. A change of meaning makes a new one; this one stays readable.
const VERSION: u64 = 1;
