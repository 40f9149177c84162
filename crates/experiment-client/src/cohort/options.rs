//! [`CohortOptions`].

use std::time::Duration;

use crate::{error::Error, retry::RetryPolicy, secret::Secret};

/// How cohorts are downloaded.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::CohortOptions;
///
/// let options = CohortOptions::new("project-api-key", "project-secret-key")
///     .with_poll_interval(Duration::from_secs(300));
/// assert_eq!(options.max_cohort_size, 2_147_483_647);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CohortOptions {
    /// API key of the analytics project; not the deployment key.
    pub api_key: Secret,
    /// Secret key of the analytics project.
    pub secret_key: Secret,
    /// How often cohorts are refreshed. Default: 60 s, and no less: shorter intervals count as 60 s,
    /// as in the official SDKs.
    pub poll_interval: Duration,
    /// How many members a cohort may have for the service to send it. Default: 2,147,483,647, as in
    /// the official SDKs.
    pub max_cohort_size: u32,
    /// How many bytes the body of a cohort may have, unpacked. Default: 1 GiB, which is enough for
    /// ten million ids of 100 bytes. In memory a member takes 9 bytes, whatever its id.
    pub max_body_bytes: usize,
    /// How many cohorts are downloaded at once. Default: 4.
    pub concurrency: usize,
    /// Attempts and time for one cohort. Default: three attempts (as node and ruby have it) of at
    /// most 60 s each, 200 s together.
    pub retry: RetryPolicy,
}

impl CohortOptions {
    /// The shortest [`poll_interval`](Self::poll_interval): 60 s.
    pub const MIN_POLL_INTERVAL: Duration = Duration::from_secs(60);

    /// Default options with the keys of the analytics project.
    pub fn new(api_key: impl Into<Secret>, secret_key: impl Into<Secret>) -> Self {
        Self {
            api_key: api_key.into(),
            secret_key: secret_key.into(),
            poll_interval: Self::MIN_POLL_INTERVAL,
            max_cohort_size: i32::MAX.unsigned_abs(),
            max_body_bytes: 1 << 30,
            concurrency: 4,
            retry: RetryPolicy::default()
                .with_retries(2)
                .with_attempt_timeout(Duration::from_secs(60))
                .with_total_timeout(Duration::from_secs(200)),
        }
    }

    /// Replaces [`poll_interval`](Self::poll_interval).
    #[must_use]
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Self::MIN_POLL_INTERVAL);
        self
    }

    /// Replaces [`max_cohort_size`](Self::max_cohort_size).
    #[must_use]
    pub fn with_max_cohort_size(mut self, members: u32) -> Self {
        self.max_cohort_size = members;
        self
    }

    /// Replaces [`max_body_bytes`](Self::max_body_bytes).
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Replaces [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, downloads: usize) -> Self {
        self.concurrency = downloads;
        self
    }

    /// Replaces [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Whether the options can be used.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |field, reason| Err(Error::Config { field, reason });
        if self.api_key.is_blank() {
            return refuse("api_key", "is empty");
        }
        if self.secret_key.is_blank() {
            return refuse("secret_key", "is empty");
        }
        // It separates the two keys on the wire.
        if self.api_key.expose().contains(':') {
            return refuse("api_key", "has a colon in it");
        }
        if self.concurrency == 0 {
            return refuse("concurrency", "is zero");
        }
        Ok(())
    }
}
