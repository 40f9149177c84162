//! [`LocalClientBuilder`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use experiment_evaluation::{Options, Plan};
use experiment_model::Timestamp;

use crate::{
    clock::{Clock, SystemClock},
    cohort::{CohortOptions, CohortStore, download::CohortDownloader},
    delivery::Delivery,
    endpoints::{Endpoints, ServerZone},
    error::Error,
    exchange::Exchange,
    flags::cache_file::CacheFile,
    local::{
        client::LocalClient,
        freshness::FlagSource,
        options::{CohortPolicy, Tracking, Updates},
        shared::{Settings, Shared},
        snapshot::Snapshot,
    },
    metrics::{Measurement, Meter, Metrics},
    retry::RetryPolicy,
    secret::Secret,
    transport::{HyperTransport, Transport, TransportOptions},
};

/// Of a flag configuration: larger ones are refused.
const BODY_LIMIT: usize = 64 << 20;

/// Three missed polls.
const STALE_AFTER: Duration = Duration::from_secs(90);

/// Builds a [`LocalClient`]. Nothing is sent before it is [started](LocalClient::start).
#[derive(Debug)]
#[must_use]
pub struct LocalClientBuilder {
    deployment_key: Secret,
    endpoints: Endpoints,
    transport: Option<Arc<dyn Transport>>,
    updates: Updates,
    retry: RetryPolicy,
    body_limit: usize,
    stale_after: Duration,
    cohorts: Option<CohortOptions>,
    cohort_policy: CohortPolicy,
    tracking: Option<Tracking>,
    bootstrap: Option<Bytes>,
    file: Option<PathBuf>,
    plan: Options,
    clock: Arc<dyn Clock>,
    metrics: Option<Arc<dyn Metrics>>,
    #[cfg(any(test, feature = "test-kit"))]
    overrides: Option<crate::test_kit::Overrides>,
}

impl LocalClientBuilder {
    pub(crate) fn new(deployment_key: Secret) -> Self {
        Self {
            deployment_key,
            endpoints: Endpoints::default(),
            transport: None,
            updates: Updates::default(),
            retry: RetryPolicy::default(),
            body_limit: BODY_LIMIT,
            stale_after: STALE_AFTER,
            cohorts: None,
            cohort_policy: CohortPolicy::default(),
            tracking: None,
            bootstrap: None,
            file: None,
            plan: Options::default(),
            clock: Arc::new(SystemClock),
            metrics: None,
            #[cfg(any(test, feature = "test-kit"))]
            overrides: None,
        }
    }

    /// Uses the hosts of a zone.
    pub fn server_zone(self, zone: ServerZone) -> Self {
        self.endpoints(Endpoints::new(zone))
    }

    /// Where the services are. Default: the hosts of the US zone.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// How requests are sent. Default: [`HyperTransport`] with its defaults.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How flags are kept fresh. Default: polling every 30 s.
    pub fn updates(mut self, updates: Updates) -> Self {
        self.updates = updates;
        self
    }

    /// The time-out of a request for flags, and the waits between attempts until the first one
    /// succeeds.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The largest flag configuration, in bytes of JSON. Default: 64 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// After how long without confirmation by the service flags count as
    /// [stale](crate::State::Stale). Default: 90 s.
    pub fn stale_after(mut self, time: Duration) -> Self {
        self.stale_after = time;
        self
    }

    /// Loads the cohorts that flags refer to. Default: they are not loaded, and conditions on
    /// cohorts only see what the user has under `cohort_ids`.
    pub fn cohorts(mut self, cohorts: CohortOptions) -> Self {
        self.cohorts = Some(cohorts);
        self
    }

    /// What becomes of the start when cohorts cannot be loaded. Default: it succeeds.
    pub fn cohort_policy(mut self, policy: CohortPolicy) -> Self {
        self.cohort_policy = policy;
        self
    }

    /// Tracks assignments or exposures; endpoints, clock and metrics of the delivery are those of
    /// the client. Default: nothing is tracked.
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.tracking = Some(tracking);
        self
    }

    /// Flags as JSON to evaluate with until better ones arrive.
    pub fn bootstrap(mut self, json: impl Into<Bytes>) -> Self {
        self.bootstrap = Some(json.into());
        self
    }

    /// Keeps the last good flags and cohorts in a file, to evaluate with until the service
    /// confirms or replaces them. It is read when the client is built; if it is damaged, that is
    /// logged and it is ignored.
    pub fn last_good_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Limits of flags and evaluation.
    pub fn plan_options(mut self, options: Options) -> Self {
        self.plan = options;
        self
    }

    /// What time events happen at. Default: the clock of the system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who is told what happens.
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Gives users or flags other variants than the configuration says, for tests.
    #[cfg(any(test, feature = "test-kit"))]
    pub fn overrides(mut self, overrides: crate::test_kit::Overrides) -> Self {
        self.overrides = Some(overrides);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the deployment key is blank or an option cannot be used,
    /// [`Error::Malformed`] if the bootstrap flags cannot be read.
    pub fn build(self) -> Result<LocalClient, Error> {
        let authorization = self.deployment_key.to_authorization()?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HyperTransport::new(TransportOptions::default())?),
        };
        let exchange = Exchange::new(transport);
        let meter = Meter::new(self.metrics.clone());
        let delivery = match &self.tracking {
            Some(tracking) => {
                let mut options = tracking
                    .delivery
                    .clone()
                    .with_endpoints(self.endpoints.clone())
                    .with_clock(Arc::clone(&self.clock));
                if let Some(metrics) = &self.metrics {
                    options = options.with_metrics(Arc::clone(metrics));
                }
                Some(Delivery::with_exchange(
                    Arc::new(options),
                    exchange.clone(),
                )?)
            }
            None => None,
        };
        let cohort_interval = self.cohorts.as_ref().map_or(Duration::MAX, |it| {
            it.poll_interval.max(CohortOptions::MIN_POLL_INTERVAL)
        });
        let cohorts = match self.cohorts {
            Some(options) => Some(CohortDownloader::new(
                exchange.clone(),
                self.endpoints.cohorts().clone(),
                options,
                Arc::clone(&self.clock),
                meter.clone(),
            )?),
            None => None,
        };
        let settings = Settings {
            deployment_key: self.deployment_key,
            authorization,
            endpoints: self.endpoints,
            exchange,
            updates: self.updates,
            retry: self.retry,
            body_limit: self.body_limit,
            stale_after: self.stale_after,
            cohorts,
            cohort_interval,
            cohort_policy: self.cohort_policy,
            tracking: self.tracking,
            cache_file: self.file.map(CacheFile::new),
            plan: self.plan,
            clock: self.clock,
            meter,
            #[cfg(any(test, feature = "test-kit"))]
            overrides: self.overrides,
        };
        let shared = Arc::new(Shared::new(settings, nothing(), delivery));
        if let Some(json) = self.bootstrap {
            shared
                .take(
                    &json,
                    FlagSource::Bootstrap,
                    Timestamp::default(),
                    Arc::default(),
                )
                .map_err(|reason| Error::Malformed {
                    what: "bootstrap flags",
                    reason,
                    attempts: 0,
                })?;
        }
        shared.read_file();
        Ok(LocalClient::new(shared))
    }
}

/// Before there are flags.
fn nothing() -> Snapshot {
    Snapshot {
        plan: Arc::new(Plan::compile(
            &experiment_model::FlagSet::default(),
            &Options::default(),
        )),
        cohorts: Arc::default(),
        flags: Arc::default(),
        wanted: Arc::default(),
        hash: 0,
        version: 0,
        source: FlagSource::Bootstrap,
        stored_at: Timestamp::default(),
    }
}

impl Shared {
    /// Takes flags into use that do not come from the service.
    pub(crate) fn take(
        &self,
        json: &[u8],
        source: FlagSource,
        stored_at: Timestamp,
        cohorts: Arc<CohortStore>,
    ) -> Result<(), String> {
        let loaded = self.read(json, false)?;
        self.settings.meter.record(Measurement::FlagsLoaded {
            source: source.as_str(),
            flags: loaded.flags.len(),
            changed: true,
        });
        let version = self.snapshot.load().version.saturating_add(1);
        self.snapshot.store(Arc::new(Snapshot {
            plan: loaded.plan,
            cohorts,
            flags: loaded.flags,
            wanted: loaded.wanted,
            hash: twox_hash::XxHash3_128::oneshot(json),
            version,
            source,
            stored_at,
        }));
        Ok(())
    }

    fn read_file(&self) {
        let Some(file) = &self.settings.cache_file else {
            return;
        };
        let problem = match file.load() {
            Ok(None) => return,
            Ok(Some(found)) if found.record.origin != self.origin() => {
                "it is of another deployment".to_owned()
            }
            Ok(Some(found)) => {
                let (record, cohorts) = (found.record, Arc::new(found.cohorts));
                match self.take(&record.flags, FlagSource::File, record.stored_at, cohorts) {
                    Ok(()) => return,
                    Err(reason) => reason,
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(problem, "the file with the last good flags is ignored");
        self.settings.meter.record(Measurement::FlagsFailed {
            source: FlagSource::File.as_str(),
            reason: "malformed",
        });
    }
}
