//! [`Clock`].

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use experiment_model::Timestamp;

/// Tells what time it is: when an event happened, and on which UTC day.
///
/// Only the time of events comes from here. How long to wait is measured with tokio's timers, which
/// no change of the system clock moves.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_millis()).map_or(i64::MIN, i64::saturating_neg)
            }
        };
        Timestamp::from_unix_millis(millis)
    }
}
