//! Time: nanoseconds since the epoch in UTC, everywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The time of day, given by the driver to whoever needs it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Nanoseconds since 1970-01-01T00:00:00Z.
///
/// The wire's milliseconds and seconds are multiplied by the decoders; what does not fit an `i64` is a decode error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest instant that can be held.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that can be held.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds; `None` when out of range.
    pub fn from_millis(ms: i64) -> Option<Self> {
        ms.checked_mul(1_000_000).map(Self)
    }

    /// From seconds and nanoseconds of the second; `None` when out of range.
    pub fn from_parts(seconds: i64, nanos: i64) -> Option<Self> {
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Self)
    }

    /// Parses RFC 3339, with any number of fraction digits.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(at.as_nanosecond()).ok().map(Self)
    }

    /// RFC 3339 in whole seconds, as the API server writes times and people read them.
    pub fn whole(self) -> String {
        let text = self.to_string();
        format!("{}Z", text.split('.').next().unwrap_or(&text))
    }

    /// Nanoseconds since the epoch.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// This long later, at most [`Timestamp::MAX`].
    #[must_use]
    #[inline]
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This long earlier, at least [`Timestamp::MIN`].
    #[must_use]
    #[inline]
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Seconds from `earlier` to this, negative when it is the other way round.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with nine fraction digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default();
        write!(f, "{at:.9}")
    }
}

/// As RFC 3339 where people read it, else as the number.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return i64::deserialize(d).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("not an RFC 3339 time: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nine_digits_and_parses_back() {
        let at = Timestamp::parse("2026-11-22T13:37:16.877328Z").unwrap_or_default();
        assert_eq!(at.to_string(), "2026-11-22T13:37:16.877328000Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn out_of_range_is_none() {
        assert_eq!(Timestamp::from_millis(i64::MAX), None);
        assert_eq!(Timestamp::from_parts(i64::MAX, 0), None);
    }
}
