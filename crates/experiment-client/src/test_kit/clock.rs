//! [`ManualClock`].

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use experiment_model::Timestamp;

use crate::clock::Clock;

/// A clock that stands still until it is set.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::{Clock, test_kit::ManualClock};
/// use experiment_model::Timestamp;
///
/// let clock = ManualClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
/// clock.advance(Duration::from_secs(86_400));
/// assert_eq!(clock.now().unix_millis(), 1_700_086_400_000);
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.unix_millis()))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_millis(), Ordering::SeqCst);
    }

    /// Sets the clock forwards.
    pub fn advance(&self, duration: Duration) {
        let now = self.now().saturating_add(duration);
        self.set(now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}
