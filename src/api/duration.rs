//! Gateway API durations (`720h`, `1h30m`, `10s`, `500ms`).
//!
//! Invariant: a `Duration` that exists is one that the API server accepts by pattern and length, and
//! its text is kept as the user wrote it, because messages quote it. Arithmetic is not here: it is
//! done on [`Duration::length`]. The upper bound (8760h) is not here either: that one is the
//! schema's to check, and an object that was stored before a bound changed must still be readable.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a duration looks like, as the API server checks it.
pub(super) const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// The shortest text.
pub(super) const MIN_LENGTH: usize = 2;
/// The longest text. CEL needs a bound to know the cost of a rule.
pub(super) const MAX_LENGTH: usize = 16;

const MAX_GROUPS: usize = 4;
const MAX_DIGITS: usize = 5;

/// A duration as the API writes it: keeps its text, knows its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    text: String,
    length: SignedDuration,
}

/// A text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration like 720h, 1h30m or 500ms")]
pub struct DurationError(String);

impl Duration {
    /// A number of hours, written `24h`.
    pub fn from_hours(hours: u16) -> Self {
        Self { text: format!("{hours}h"), length: SignedDuration::from_hours(hours.into()) }
    }

    /// A number of minutes, written `5m`.
    pub fn from_minutes(minutes: u16) -> Self {
        Self { text: format!("{minutes}m"), length: SignedDuration::from_mins(minutes.into()) }
    }

    /// A number of seconds, written `30s`.
    pub fn from_seconds(seconds: u16) -> Self {
        Self { text: format!("{seconds}s"), length: SignedDuration::from_secs(seconds.into()) }
    }

    /// The length of time.
    pub fn length(&self) -> SignedDuration {
        self.length
    }

    /// As the user wrote it; messages quote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse(text) {
            Some(length) => Ok(Self { text: text.to_owned(), length }),
            None => Err(DurationError(text.chars().take(2 * MAX_LENGTH).collect())),
        }
    }
}

/// The length of what [`PATTERN`] accepts, `None` for everything else.
fn parse(text: &str) -> Option<SignedDuration> {
    if !(MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) {
        return None;
    }
    let mut rest = text;
    let mut milliseconds: i64 = 0;
    let mut groups = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=MAX_DIGITS).contains(&digits) || groups == MAX_GROUPS {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = unit(tail)?;
        milliseconds += number.parse::<i64>().ok()? * unit;
        rest = tail;
        groups += 1;
    }
    Some(SignedDuration::from_millis(milliseconds))
}

/// The milliseconds of the unit that `text` begins with, and what follows it. `ms` comes before
/// `m`: a unit is followed by a digit or by nothing, so the longer one is the only way to read it.
fn unit(text: &str) -> Option<(i64, &str)> {
    const UNITS: [(&str, i64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    UNITS.iter().find_map(|(name, length)| Some((*length, text.strip_prefix(name)?)))
}

impl TryFrom<&str> for Duration {
    type Error = DurationError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        super::schema::duration(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_pattern_accepts() {
        for (text, milliseconds) in [
            ("720h", 720 * 3_600_000),
            ("1h30m", 5_400_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("0s", 0),
            ("1m1ms", 60_001),
            ("1ms1m", 60_001),
            ("1h1h1h1h", 4 * 3_600_000),
            ("99999h", 99_999 * 3_600_000),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.length(), SignedDuration::from_millis(milliseconds), "{text}");
            assert_eq!(duration.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_the_pattern_refuses() {
        for text in [
            "",
            "1",
            "h",
            "1 h",
            "1d",
            "-1h",
            "+1h",
            "1.5h",
            "100000h",
            "1h1h1h1h1h",
            "1hour",
            "1H",
            "1us",
            "1h ",
            " 1h",
            "1hh",
            "m1",
            "１h",
            "12345h12345m1234s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
            assert!(serde_json::from_value::<Duration>(text.into()).is_err(), "{text}");
        }
        assert!(serde_json::from_value::<Duration>(3600.into()).is_err());
    }

    #[test]
    fn round_trips_as_written() {
        let duration: Duration = serde_json::from_str("\"90m\"").unwrap();
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"90m\"");
        assert_ne!(duration, "1h30m".parse().unwrap());
        assert_eq!(Duration::from_hours(24), "24h".parse().unwrap());
        assert_eq!(Duration::from_minutes(5), "5m".parse().unwrap());
        assert_eq!(Duration::from_seconds(30), "30s".parse().unwrap());
    }

    #[test]
    fn the_error_quotes_no_more_than_a_line() {
        let error = "x".repeat(10_000).parse::<Duration>().unwrap_err().to_string();
        assert!(error.len() < 120, "{error}");
    }
}
