//! [`Timestamp`].

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00 UTC, without leap seconds.
///
/// Nothing here reads a clock: who has one passes the time on. In JSON and in C it is the number.
///
/// ```
/// use core::time::Duration;
/// use experiment_model::Timestamp;
///
/// let noon = Timestamp::from_unix_millis(1_700_049_600_000);
/// let later = noon.saturating_add(Duration::from_secs(1));
/// assert_eq!(later.saturating_since(noon), Duration::from_secs(1));
/// assert_eq!(noon.saturating_since(later), Duration::ZERO);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point in time this many milliseconds after (before, if negative) the start of 1970 UTC.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970 UTC.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// The point in time `duration` later, or the last one there is. Less than a millisecond is
    /// cut off.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long it has been since `earlier`; nothing if that is in the future, which happens when
    /// a clock was set back.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let (first, last) = (
            Timestamp::from_unix_millis(i64::MIN),
            Timestamp::from_unix_millis(i64::MAX),
        );
        assert_eq!(last.saturating_add(Duration::MAX), last);
        assert_eq!(first.saturating_since(last), Duration::ZERO);
        assert_eq!(
            last.saturating_since(first),
            Duration::from_millis(i64::MAX.unsigned_abs())
        );
    }

    #[test]
    fn json_is_the_number() {
        let time: Timestamp = serde_json::from_str("1700000000000").expect("a number is a time");
        assert_eq!(time.unix_millis(), 1_700_000_000_000);
        assert_eq!(
            serde_json::to_string(&time).expect("a time is a number"),
            "1700000000000"
        );
    }
}
