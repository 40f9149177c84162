//! [`DeliveryOptions`]: where events go, and how much of them is kept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    endpoints::{Endpoints, paths},
    error::Error,
    metrics::Metrics,
    retry::RetryPolicy,
    secret::Secret,
};

/// Which of the two upload services takes the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ingestion {
    /// `/batch`: bodies below 20 MB, 1,000 events per second and user. The default: an evaluation
    /// of many flags may make more events at once than `/2/httpapi` takes of one user.
    #[default]
    Batch,
    /// `/2/httpapi`: bodies below 1 MB, 30 events per second and user.
    HttpV2,
}

impl Ingestion {
    /// "Under 2,000 events" for both (Batch Event Upload API, HTTP V2 API: "Upload limit").
    pub(super) const MOST_EVENTS: usize = 1_999;

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Batch => paths::BATCH,
            Self::HttpV2 => paths::HTTP_V2,
        }
    }

    /// The largest body, in bytes (Batch Event Upload API, HTTP V2 API: "Upload limit").
    pub(super) fn most_bytes(self) -> usize {
        match self {
            Self::Batch => 19_999_999,
            Self::HttpV2 => 999_999,
        }
    }

    /// How long a user or device is left alone that sent too much (the same pages, status 429).
    pub(super) fn throttle_pause(self) -> Duration {
        match self {
            Self::Batch => Duration::from_secs(15),
            Self::HttpV2 => Duration::from_secs(30),
        }
    }
}

/// When spooled events are forced to the disk. They survive the death of the process in any case;
/// this is about the death of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// When the operating system pleases.
    Never,
    /// By the worker, this often while there is something new. The default, every second.
    Every(Duration),
    /// Before `record` returns; threads that record at the same time share one.
    EachEvent,
}

impl Fsync {
    /// How often the worker forces the spool to the disk, if it does.
    pub(super) fn interval(self) -> Option<Duration> {
        match self {
            // Not all the time.
            Self::Every(interval) => Some(interval.max(Duration::from_millis(10))),
            Self::Never | Self::EachEvent => None,
        }
    }
}

impl Default for Fsync {
    fn default() -> Self {
        Self::Every(Duration::from_secs(1))
    }
}

/// Where events are kept on disk until they are delivered.
///
/// Several processes can share a directory: each writes files of its own, and takes over the files
/// of processes that are gone when it starts. Whether one is gone tells a file lock, which a process
/// that was forked from it holds, too, until it has dropped its copy of the
/// [`Delivery`](super::Delivery). Where the file system has no locks, there is no spool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpoolOptions {
    pub(super) directory: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) fsync: Fsync,
}

impl SpoolOptions {
    /// The spool in this directory, which is made if it does not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 256 * 1024 * 1024,
            fsync: Fsync::default(),
        }
    }

    /// How large the files of this process may become together, in bytes. Default: 256 MiB.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// When events are forced to the disk. Default: every second.
    #[must_use]
    pub fn with_fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }
}

/// Where events go, how they are grouped, and how many are kept while they cannot go there.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::{DeliveryOptions, Secret, SpoolOptions};
///
/// let options = DeliveryOptions::new(Secret::from("analytics-api-key"))
///     .with_flush_interval(Duration::from_secs(5))
///     .with_spool(SpoolOptions::new("/var/spool/checkout"));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliveryOptions {
    pub(super) api_key: Secret,
    pub(super) endpoints: Endpoints,
    pub(super) ingestion: Ingestion,
    pub(super) flush_interval: Duration,
    pub(super) flush_threshold: usize,
    pub(super) batch_events: usize,
    pub(super) batch_bytes: usize,
    pub(super) queue_events: usize,
    pub(super) queue_bytes: usize,
    pub(super) min_id_length: Option<u32>,
    pub(super) retry: RetryPolicy,
    pub(super) max_age: Option<Duration>,
    pub(super) gzip: bool,
    pub(super) spool: Option<SpoolOptions>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Option<Arc<dyn Metrics>>,
}

impl DeliveryOptions {
    /// The defaults, for the analytics project with this API key (not a deployment key).
    pub fn new(api_key: impl Into<Secret>) -> Self {
        Self {
            api_key: api_key.into(),
            endpoints: Endpoints::default(),
            ingestion: Ingestion::default(),
            // Both as the analytics SDKs for Go, Node, Python and Ruby have them.
            flush_interval: Duration::from_secs(10),
            flush_threshold: 200,
            batch_events: 1_000,
            batch_bytes: 900_000,
            queue_events: 16_384,
            queue_bytes: 16 * 1024 * 1024,
            min_id_length: None,
            retry: RetryPolicy::default().with_backoff(
                Duration::from_secs(1),
                Duration::from_secs(60),
                2.0,
            ),
            max_age: None,
            gzip: false,
            spool: None,
            clock: Arc::new(SystemClock),
            metrics: None,
        }
    }

    /// The hosts. Default: those of the US zone.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The upload service. Default: [`Ingestion::Batch`].
    #[must_use]
    pub fn with_ingestion(mut self, ingestion: Ingestion) -> Self {
        self.ingestion = ingestion;
        self
    }

    /// How long an event waits for others before it is sent. Default: 10 s.
    #[must_use]
    pub fn with_flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// How many events are sent without waiting for more. Default: 200.
    #[must_use]
    pub fn with_flush_threshold(mut self, events: usize) -> Self {
        self.flush_threshold = events.max(1);
        self
    }

    /// The most events in one request; at most what the service takes (1,999). Default: 1,000.
    #[must_use]
    pub fn with_batch_events(mut self, events: usize) -> Self {
        self.batch_events = events.clamp(1, Ingestion::MOST_EVENTS);
        self
    }

    /// The size of the body from which a request takes no further event, in bytes; at most what
    /// the service takes. A single event may be larger. Default: 900,000.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// How many events are kept in memory, those under way included. With a spool, half of it is
    /// for events that are in the spool, too, and half for those that the spool does not take.
    /// Default: 16,384.
    #[must_use]
    pub fn with_queue_events(mut self, events: usize) -> Self {
        self.queue_events = events;
        self
    }

    /// How large the events in memory may be together, as JSON, in bytes; halved as their number.
    /// Default: 16 MiB.
    #[must_use]
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// The fewest characters the service shall accept as an id. Default: none is sent, which the
    /// service takes for 5.
    #[must_use]
    pub fn with_min_id_length(mut self, characters: u32) -> Self {
        self.min_id_length = Some(characters);
        self
    }

    /// How the waits between failed uploads grow. There is no last attempt. Default: 1 s to 60 s,
    /// doubling.
    #[must_use]
    pub fn with_backoff(mut self, min: Duration, max: Duration, scalar: f64) -> Self {
        self.retry = self.retry.with_backoff(min, max, scalar);
        self
    }

    /// How long one upload may take. Default: 10 s.
    #[must_use]
    pub fn with_upload_timeout(mut self, timeout: Duration) -> Self {
        self.retry = self.retry.with_attempt_timeout(timeout);
        self
    }

    /// From which age on events, by their `time`, are no longer sent. Default: none.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Compresses uploads. Default: off, because the documentation of the service does not say that
    /// it takes them and no official SDK sends them; a collector of one's own may.
    #[must_use]
    pub fn with_gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// Keeps events on disk until they are delivered. Default: none; they are lost with the
    /// process.
    #[must_use]
    pub fn with_spool(mut self, spool: SpoolOptions) -> Self {
        self.spool = Some(spool);
        self
    }

    /// What tells the time. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who is told what happens. Default: nobody.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |field, reason| Err(Error::Config { field, reason });
        if self.api_key.is_blank() {
            return refuse("api_key", "is blank");
        }
        if self.queue_events == 0 {
            return refuse("queue_events", "is 0");
        }
        if self.queue_bytes == 0 {
            return refuse("queue_bytes", "is 0");
        }
        Ok(())
    }

    /// The body from which a request takes no further event.
    pub(super) fn body_bytes(&self) -> usize {
        self.batch_bytes.min(self.ingestion.most_bytes())
    }
}
