//! Points in time as the caller tells them: whole seconds since 1970, never read from a clock here.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::{Deserialize, Deserializer, Serialize};

/// A point in time, in whole seconds since 1970-01-01T00:00:00Z.
///
/// It is an argument wherever time matters, because the core reads no clock. Serialised as an integer.
/// Arithmetic saturates at `i64::MAX` seconds, so that every storage format can hold it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use proofkey_core::UnixTime;
///
/// let now: UnixTime = SystemTime::now().into();
/// assert!(now < now.saturating_add(Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UnixTime(u64);

impl UnixTime {
    /// This many seconds after 1970 began.
    pub const fn from_secs(seconds: u64) -> Self {
        if seconds > LAST { Self(LAST) } else { Self(seconds) }
    }

    /// Seconds since 1970 began.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This much later; parts of a second are dropped.
    #[must_use]
    pub const fn saturating_add(self, later: Duration) -> Self {
        Self::from_secs(self.0.saturating_add(later.as_secs()))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// A time before 1970 becomes 1970.
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        Self::from_secs(since.map_or(0, |since| since.as_secs()))
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_secs)
    }
}

/// The delay that `Retry-After` asks for (RFC 9110 section 10.2.3), as seconds or as a date seen from `asked`;
/// at most a day, and `None` for anything else.
pub(crate) fn retry_after(headers: &HeaderMap, asked: UnixTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits: what does not fit into 64 bits is a long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        UnixTime::from(httpdate::parse_http_date(text).ok()?).saturating_since(asked)
    };
    Some(delay.min(LONGEST_DELAY))
}

/// The last second that a signed 64-bit integer holds.
const LAST: u64 = i64::MAX as u64;

/// Nobody waits longer than this because a header said so.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = UnixTime::from_secs(u64::MAX);
        assert_eq!(end.as_secs(), LAST);
        assert_eq!(end.saturating_add(Duration::MAX), end);
        assert_eq!(UnixTime::from_secs(1).saturating_since(end), Duration::ZERO);
        assert_eq!(UnixTime::from(SystemTime::UNIX_EPOCH - Duration::from_secs(9)).as_secs(), 0);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_a_day() {
        let asked = UnixTime::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let cases = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("99999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("-5", None),
            ("1.5", None),
            ("abc", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, asked), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
