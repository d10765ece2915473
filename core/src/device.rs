//! Logging in where there is no browser: the person types a short code on another device (RFC 8628 sections 3.1 to 3.3).
//!
//! ```text
//! POST /device_authorization                  {"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
//! client_id=1406020730&scope=photos            "user_code":"WDJB-MJHT","verification_uri":"https://example.com/device",
//!                                              "expires_in":1800,"interval":5}
//! ```
//!
//! What comes of it is shown to the person, kept as long as need be, and [polled](crate::Client::poll) with. Refused: a
//! code or an address that would do more, on a terminal or to a browser, than be read; a code that ends before the first
//! poll. Left out: a link with the code in it that would, because the code can be typed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use http::{Request, Response, StatusCode};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::asked::{Asked, Resources};
use crate::endpoint;
use crate::error::{Error, Usage, Violation};
use crate::exchange::{Body, Exchange, MAX_BODY, Step, Turn};
use crate::form::Form;
use crate::json::{self, Member};
use crate::record::Record;
use crate::refusal::is_safe;
use crate::registration::Registration;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::uri;

/// A login without a browser, being begun; made by [`Client::device`](crate::Client::device).
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct DeviceAuthorization {
    registration: Arc<Registration>,
    asked: Asked,
    turn: Turn,
}

impl DeviceAuthorization {
    pub(crate) fn new(registration: Arc<Registration>) -> Self {
        Self { registration, asked: Asked::default(), turn: Turn::default() }
    }

    /// Asks for these scope tokens, in addition to those asked for before.
    pub fn scope<I: IntoIterator<Item: AsRef<str>>>(mut self, tokens: I) -> Self {
        self.asked.scope(tokens);
        self
    }

    /// Asks for tokens for this resource; may be given several times (RFC 8707 section 2).
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.asked.resource(resource.into());
        self
    }

    /// Adds a parameter of the provider's. An empty value leaves it out. Names that the library sets itself are refused
    /// when the request is made.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.asked.parameters.add(name.into(), value.into());
        self
    }
}

impl Exchange for DeviceAuthorization {
    type Output = DevicePending;

    fn next_request(&mut self, now: UnixTime, _: &mut dyn CryptoRng) -> Result<Request<Body>, Error> {
        self.turn.ask()?;
        let target = self.registration.device_target.clone();
        let target = target.ok_or(Usage::NoEndpoint("device_authorization_endpoint"))?;
        let mut form = Form::with_capacity(256);
        self.asked.write(&mut form)?;
        let request = endpoint::post(&self.registration, target, form);
        self.turn.asked(now);
        Ok(request)
    }

    fn handle_response(&mut self, response: Response<Vec<u8>>) -> Result<Step<DevicePending>, Error> {
        let asked = self.turn.answered()?;
        let own = &self.registration;
        let mut pending =
            endpoint::answer(own, StatusCode::OK, response, asked, &[], |head, body| read(own, head, body, asked))?;
        pending.scope = std::mem::take(&mut self.asked.scope);
        pending.resources = std::mem::take(&mut self.asked.resources);
        Ok(Step::Done(pending))
    }
}

/// A login without a browser, under way: what to show the person, and what [`Client::poll`](crate::Client::poll) needs.
///
/// Serde data like [`Pending`](crate::Pending), and like it not `Clone`: two that poll would get in each other's way. It
/// holds the device code: whoever has it gets the tokens.
pub struct DevicePending {
    pub(crate) device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    pub(crate) expires_at: UnixTime,
    pub(crate) interval: Duration,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) token_endpoint: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) resources: Resources,
}

impl DevicePending {
    /// The code to show, exactly so. Show it also beside
    /// [`verification_uri_complete`](Self::verification_uri_complete): the person compares the two
    /// (RFC 8628 section 3.3.1). At most 100 characters, none of which controls a terminal.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the person types it: an `https` or `http` URL, short enough to be typed itself.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same with the code in it, for a link or a QR code, if the server has such a thing. One that is no `https` or
    /// `http` URL is as good as none.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// Until when the person must have decided; a day from the beginning at most.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// Says where and until when, not the codes.
impl fmt::Debug for DevicePending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePending")
            .field("verification_uri", &self.verification_uri)
            .field("expires_at", &self.expires_at)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Serialize for DevicePending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The stored form, version 1.
        #[derive(Serialize)]
        struct Stored<'a> {
            v: u64,
            device_code: &'a Secret,
            user_code: &'a str,
            verification_uri: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            verification_uri_complete: Option<&'a str>,
            expires_at: UnixTime,
            interval: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            issuer: Option<&'a str>,
            client_id: &'a str,
            token_endpoint: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            scope: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            resource: &'a [String],
        }
        let stored = Stored {
            v: VERSION,
            device_code: &self.device_code,
            user_code: &self.user_code,
            verification_uri: &self.verification_uri,
            verification_uri_complete: self.verification_uri_complete.as_deref(),
            expires_at: self.expires_at,
            interval: self.interval.as_secs(),
            issuer: self.issuer.as_deref(),
            client_id: &self.client_id,
            token_endpoint: &self.token_endpoint,
            scope: self.scope.as_str(),
            resource: &self.resources,
        };
        stored.serialize(serializer)
    }
}

/// Reads what was stored by this version or an earlier one. Its errors name a member and show no value.
impl<'de> Deserialize<'de> for DevicePending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Record::deserialize("device login", deserializer)?;
        if record.require::<u64, _>("v")? != VERSION {
            return Err(record.unfit("v"));
        }
        let shared = |text: String| Arc::<str>::from(text);
        let fit = |text: Option<String>, fits: fn(&str) -> bool| text.filter(|text| fits(text));
        let complete: Option<String> = record.take("verification_uri_complete")?;
        let interval = record.seconds("interval")?.map_or(INTERVAL, Duration::from_secs);
        Ok(Self {
            device_code: record.require("device_code")?,
            user_code: fit(record.take("user_code")?, is_code).ok_or_else(|| record.unfit("user_code"))?,
            verification_uri: fit(record.take("verification_uri")?, is_page)
                .ok_or_else(|| record.unfit("verification_uri"))?,
            verification_uri_complete: match complete {
                Some(text) if !is_page(&text) => return Err(record.unfit("verification_uri_complete")),
                complete => complete,
            },
            expires_at: record.time("expires_at")?.ok_or_else(|| record.unfit("expires_at"))?,
            interval: interval.clamp(SHORTEST_INTERVAL, LONGEST_LIFE),
            issuer: record.take("issuer")?.map(shared),
            client_id: record.require("client_id").map(shared)?,
            token_endpoint: record.require("token_endpoint").map(shared)?,
            scope: Scope::granted(record.take::<String, _>("scope")?.unwrap_or_default())
                .ok_or_else(|| record.unfit("scope"))?,
            resources: Resources(record.take("resource")?.unwrap_or_default()),
        })
    }
}

/// What to show and what to keep, but for what was asked for.
fn read(own: &Registration, head: &Parts, body: &[u8], asked: UnixTime) -> Result<DevicePending, Error> {
    if body.len() > MAX_BODY {
        return Err(Violation::TooLong.into());
    }
    let names = [
        "device_code",
        "user_code",
        "verification_uri",
        "verification_url",
        "verification_uri_complete",
        "expires_in",
        "interval",
        "error",
        "error_description",
        "error_uri",
    ];
    let ([device_code, user_code, page, url, complete, expires_in, interval, error, description, uri], _) =
        json::members(body, names)?;
    if let Some(error) = endpoint::server_error(head, asked, error, description, uri)? {
        return Err(error.into());
    }
    let lifetime = expires_in.seconds()?.ok_or(expires_in.missing())?;
    if lifetime == 0 {
        return Err(expires_in.invalid().into());
    }
    let lifetime = Duration::from_secs(lifetime).min(LONGEST_LIFE);
    // RFC 8628 section 3.2: "If no value is provided, clients MUST use 5 as the default."
    let wait = interval.seconds_at_least()?.map_or(INTERVAL, Duration::from_secs).max(SHORTEST_INTERVAL);
    // Nobody need be shown a code that ends before the first poll.
    if wait >= lifetime {
        return Err(interval.invalid().into());
    }
    let page = if page.is_absent() && own.settings.quirks.verification_url { url } else { page };
    Ok(DevicePending {
        device_code: device_code.token()?.ok_or(device_code.missing())?.into_owned().into(),
        user_code: text(user_code, is_code)?.ok_or(user_code.missing())?,
        verification_uri: text(page, is_page)?.ok_or(page.missing())?,
        // It only spares the typing.
        verification_uri_complete: text(complete, is_page).unwrap_or_default(),
        expires_at: asked.saturating_add(lifetime),
        interval: wait,
        issuer: own.issuer.clone(),
        client_id: own.client_id.clone(),
        token_endpoint: own.token_endpoint.clone(),
        scope: Scope::default(),
        resources: Resources::default(),
    })
}

/// A text that is to be shown, and may be.
fn text(member: Member<'_>, fits: fn(&str) -> bool) -> Result<Option<String>, Violation> {
    match member.text()? {
        Some(text) if !fits(&text) => Err(member.invalid()),
        text => Ok(text.map(Cow::into_owned)),
    }
}

/// A code that can be read out: neither long, nor blank, nor the master of a terminal.
fn is_code(text: &str) -> bool {
    text.len() <= LONGEST_CODE && !text.trim().is_empty() && text.chars().all(is_safe)
}

fn is_page(text: &str) -> bool {
    uri::page(text).is_ok()
}

/// Of the stored form. A change of meaning makes a new one; this one stays readable.
const VERSION: u64 = 1;

/// Between two polls, where the server does not say (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// A server that says zero does not mean a loop without rest.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Providers give a quarter of an hour; nobody comes back to a code after a day.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// RFC 8628 section 6.1 recommends eight characters.
const LONGEST_CODE: usize = 100;
