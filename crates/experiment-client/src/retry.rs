//! [`RetryPolicy`].

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    error::{Error, Phase},
    exchange::deadline,
};

/// How often and how long to try.
///
/// Before each repetition it waits a random time up to a bound that grows from
/// [`backoff_min`](Self::backoff_min) by [`backoff_scalar`](Self::backoff_scalar) to
/// [`backoff_max`](Self::backoff_max) ("full jitter": clients that failed together do not come back
/// together), and at least as long as the service asked for with `Retry-After`. The numbers of the
/// defaults are those of the official SDKs (`retryBackoff…`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Repetitions after the first attempt. Default: 8.
    pub retries: u32,
    /// Upper bound of the first wait. Default: 500 ms.
    pub backoff_min: Duration,
    /// Upper bound of every wait. Default: 10 s.
    pub backoff_max: Duration,
    /// Factor from bound to bound. Default: 1.5.
    pub backoff_scalar: f64,
    /// How long one attempt may take, from connecting to the last byte. Default: 10 s.
    pub attempt_timeout: Duration,
    /// How long all attempts may take together, waits included. Default: 30 s.
    pub total_timeout: Duration,
}

/// `interval` up to a tenth shorter or longer, so that clients that started together do not ask
/// together.
pub(crate) fn jittered(interval: Duration) -> Duration {
    let seconds = interval.as_secs_f64() * (0.9 + fastrand::f64() / 5.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(interval)
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 8,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(10),
            backoff_scalar: 1.5,
            attempt_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no repetition.
    pub fn once(timeout: Duration) -> Self {
        Self {
            retries: 0,
            attempt_timeout: timeout,
            total_timeout: timeout,
            ..Self::default()
        }
    }

    /// Replaces [`retries`](Self::retries).
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Replaces [`attempt_timeout`](Self::attempt_timeout).
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Replaces [`total_timeout`](Self::total_timeout).
    #[must_use]
    pub fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// Replaces [`backoff_min`](Self::backoff_min), [`backoff_max`](Self::backoff_max) and
    /// [`backoff_scalar`](Self::backoff_scalar).
    #[must_use]
    pub fn with_backoff(mut self, min: Duration, max: Duration, scalar: f64) -> Self {
        self.backoff_min = min;
        self.backoff_max = max;
        self.backoff_scalar = scalar;
        self
    }

    /// The upper bound of the wait before repetition `number`, which counts from 1.
    pub(crate) fn backoff_bound(&self, number: u32) -> Duration {
        let exponent = i32::try_from(number.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.backoff_scalar.max(1.0).powi(exponent);
        let seconds = self.backoff_min.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(self.backoff_max)
            .min(self.backoff_max)
    }

    /// The wait before repetition `number`: random up to the bound, at least `retry_after`.
    pub(crate) fn wait(&self, number: u32, retry_after: Option<Duration>) -> Duration {
        let bound = self.backoff_bound(number);
        let jittered = bound.mul_f64(fastrand::f64());
        jittered.max(retry_after.unwrap_or(Duration::ZERO))
    }

    /// Repeats `attempt` until it succeeds, fails for good or time is up. `attempt` is given its
    /// number, counted from 1, and how long it may take.
    pub(crate) async fn run<T, F, A>(&self, mut attempt: F) -> Result<T, Error>
    where
        // Not `AsyncFnMut`: what calls this with one that borrows could not be spawned
        // (https://github.com/rust-lang/rust/issues/139475).
        F: FnMut(u32, Duration) -> A,
        A: Future<Output = Result<T, Error>>,
    {
        let until = deadline(self.total_timeout);
        let mut number = 1;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let error = match attempt(number, left.min(self.attempt_timeout)).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !error.is_retryable() || number > self.retries {
                return Err(error);
            }
            let retry_after = match &error {
                Error::Status { retry_after, .. } => *retry_after,
                _ => None,
            };
            let wait = self.wait(number, retry_after);
            let left = until.saturating_duration_since(Instant::now());
            if wait >= left {
                // Waiting would only cost time: what the service said last is worth more than
                // that time was up, unless nothing was said.
                return Err(match error {
                    Error::Timeout { attempts, .. } => Error::Timeout {
                        phase: Phase::Backoff,
                        attempts,
                    },
                    other => other,
                });
            }
            sleep(wait).await;
            number = number.saturating_add(1);
        }
    }
}
