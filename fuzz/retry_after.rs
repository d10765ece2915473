//! Whatever `Retry-After` says, and other headers beside it: a delay of a day at most, and the right one where it is
//! written by the grammar.
#![no_main]

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use oracle::{Counting, clients, response};
use proofkey_core::{Error, Exchange, Remedy, UnixTime};

const DAY: u64 = 24 * 60 * 60;

fuzz_target!(|input: (u16, u64, u64, &[u8])| {
    let (status, asked, at, text) = input;
    let status = [429, 500, 503, 400, 408][usize::from(status) % 5];
    let asked = asked % 300_000_000_000;
    if let Ok(value) = HeaderValue::from_bytes(text) {
        let delay = delay(status, asked, value);
        assert!(delay.is_none_or(|delay| delay <= Duration::from_secs(DAY)));
        let digits: Option<&str> = str::from_utf8(text).ok().map(|text| text.trim_matches([' ', '\t']));
        if let Some(digits) =
            digits.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        {
            let digits = digits.trim_start_matches('0');
            let seconds = if digits.len() > 6 { DAY } else { digits.parse().unwrap_or(0) };
            assert_eq!(delay, Some(Duration::from_secs(seconds.min(DAY))));
        }
    }
    // Near the time of asking, where it matters; up to the year 9999, where dates end.
    for at in [at % 253_402_300_800, asked.saturating_add(at % (2 * DAY)).min(253_402_300_799)] {
        let value = date(at).parse().expect("a header value");
        assert_eq!(
            delay(status, asked, value),
            Some(Duration::from_secs(at.saturating_sub(asked).min(DAY))),
            "{}",
            date(at)
        );
    }
});

/// What a refusal says of it.
fn delay(status: u16, asked: u64, value: HeaderValue) -> Option<Duration> {
    let [_, client, _] = clients();
    let mut exchange = client.credentials();
    let _request = exchange.next_request(UnixTime::from_secs(asked), &mut Counting(0)).expect("the fixture is valid");
    let status = StatusCode::from_u16(status).expect("a status");
    let answer = response(status, &[(RETRY_AFTER, value)], "{\"error\":\"invalid_request\"}");
    match exchange.handle_response(answer) {
        Err(error) => {
            let remedy = error.remedy();
            let Error::Server(error) = error else { panic!("{error}") };
            let later = Remedy::TryLater(error.retry_after);
            assert_eq!(remedy, if status == 400 { Remedy::FixConfiguration } else { later });
            error.retry_after
        }
        Ok(_) => panic!("a refusal is no success"),
    }
}

/// RFC 9110 section 5.6.7: an IMF-fixdate, counted day by day in the civil calendar.
fn date(seconds: u64) -> String {
    let (days, of_day) = (seconds / DAY, seconds % DAY);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut day) = (1970 + 400 * (days / 146_097), days % 146_097);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [
        ("Jan", 31),
        ("Feb", 28 + u64::from(is_leap(year))),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let mut months = months.into_iter();
    let mut month = months.next().expect("January");
    while day >= month.1 {
        day -= month.1;
        month = months.next().expect("the year has not ended");
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT", day + 1, month.0)
}
