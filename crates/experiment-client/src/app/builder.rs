//! [`AppClientBuilder`].

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_model::{FlagSet, Variant, Variants};

use super::{
    client::{AppClient, StartOptions},
    exposure::{ExposureTracker, ExposureTrackingProvider},
    flags::Flags,
    inner::{FlagService, Inner, Kept},
    pieces::{Names, read_stored_flags, read_tracks_assignment, read_variants},
    resolution::Source,
    state::State,
    storage::{MemoryStorage, Piece, Storage, StorageProblem},
    user::UserProvider,
};
use crate::{
    endpoints::{Endpoints, ServerZone},
    error::Error,
    exchange::Exchange,
    metrics::{Measurement, Meter, Metrics},
    remote::RemoteClient,
    retry::RetryPolicy,
    secret::Secret,
    transport::{HyperTransport, Transport, TransportOptions},
};

/// The instance name that the official SDKs use when none is set.
const DEFAULT_INSTANCE: &str = "$default_instance";

/// `flagConfigPollingIntervalMillis` of the official client-side SDKs, and its least value.
const POLL_INTERVAL: Duration = Duration::from_secs(300);
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Options of an [`AppClient`]. Defaults are those of the official client-side SDKs.
#[must_use]
pub struct AppClientBuilder {
    deployment_key: Secret,
    transport: Option<Arc<dyn Transport>>,
    endpoints: Endpoints,
    instance_name: String,
    source: Source,
    fallback: Option<Variant>,
    initial_variants: Variants,
    initial_flags: FlagSet,
    storage: Arc<dyn Storage>,
    user_provider: Option<Arc<dyn UserProvider>>,
    exposure_provider: Option<Arc<dyn ExposureTrackingProvider>>,
    automatic_exposures: bool,
    start: StartOptions,
    retry: RetryPolicy,
    metrics: Option<Arc<dyn Metrics>>,
}

impl AppClientBuilder {
    pub(crate) fn new(deployment_key: Secret) -> Self {
        Self {
            deployment_key,
            transport: None,
            endpoints: Endpoints::default(),
            instance_name: DEFAULT_INSTANCE.to_owned(),
            source: Source::default(),
            fallback: None,
            initial_variants: Variants::new(),
            initial_flags: FlagSet::default(),
            storage: Arc::new(MemoryStorage::new()),
            user_provider: None,
            exposure_provider: None,
            automatic_exposures: true,
            start: StartOptions {
                fetch: true,
                poll: Some(POLL_INTERVAL),
            },
            retry: RetryPolicy::default(),
            metrics: None,
        }
    }

    /// Sends requests with this transport. Default: a [`HyperTransport`] with its defaults.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets every host to that of a zone. Default: [`ServerZone::Us`].
    pub fn server_zone(self, zone: ServerZone) -> Self {
        self.endpoints(Endpoints::new(zone))
    }

    /// Sets the addresses of the services.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Tells clients of one deployment apart in the storage. Default: `$default_instance`.
    pub fn instance_name(mut self, name: impl Into<String>) -> Self {
        self.instance_name = name.into();
        self
    }

    /// Sets which variants are believed first. Default: [`Source::LocalStorage`].
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sets the variant for every flag for which there is no other. Default: none.
    pub fn fallback_variant(mut self, variant: Variant) -> Self {
        self.fallback = Some(variant);
        self
    }

    /// Sets variants by flag key, which come with the app or from its own server. Default: none.
    pub fn initial_variants(mut self, variants: Variants) -> Self {
        self.initial_variants = variants;
        self
    }

    /// Sets flags for local evaluation ([`read_flags`](experiment_model::read_flags) reads them), in
    /// use wherever the loaded or stored ones have none with that key. Default: none.
    pub fn initial_flags(mut self, flags: impl Into<FlagSet>) -> Self {
        self.initial_flags = flags.into();
        self
    }

    /// Sets what keeps variants and flags from run to run. Default: a [`MemoryStorage`], which does
    /// not.
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.storage = Arc::new(storage);
        self
    }

    /// Sets what tells the rest about the user. Default: nobody.
    pub fn user_provider(mut self, provider: impl UserProvider) -> Self {
        self.user_provider = Some(Arc::new(provider));
        self
    }

    /// Sets who is told exposures. Default: nobody, so nothing is tracked.
    pub fn exposure_tracking_provider(mut self, provider: impl ExposureTrackingProvider) -> Self {
        self.exposure_provider = Some(Arc::new(provider));
        self
    }

    /// Sets whether asking for a variant is an exposure. Default: it is, if there is a provider.
    pub fn automatic_exposure_tracking(mut self, automatic: bool) -> Self {
        self.automatic_exposures = automatic;
        self
    }

    /// Sets whether starting fetches variants. Default: it does.
    pub fn fetch_on_start(mut self, fetch: bool) -> Self {
        self.start.fetch = fetch;
        self
    }

    /// Sets how often flags are loaded after the start, a tenth more or less; at least every 60 s is
    /// kept to. `None`: at the start only. Default: every 300 s.
    pub fn flag_polling(mut self, interval: Option<Duration>) -> Self {
        self.start.poll = interval.map(|interval| interval.max(MIN_POLL_INTERVAL));
        self
    }

    /// Sets how long one attempt of a fetch or a load of flags may take, and how a fetch that failed
    /// is repeated in the background: how often ([`RetryPolicy::retries`], 0 for not at all) and how
    /// far apart. The total time is not limited there. Default: 10 s; 8 times, 500 ms to 10 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Tells `metrics` what happens. Default: nobody.
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Builds the client, with what the storage kept. Nothing is sent, and no task is started.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the deployment key is blank or cannot stand in a header, or the address
    /// of the proxy in the environment cannot be read. Damaged storage is no error: see
    /// [`AppClient::storage_findings`].
    pub fn build(self) -> Result<AppClient, Error> {
        let authorization = self.deployment_key.to_authorization()?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HyperTransport::new(TransportOptions::default())?),
        };
        let names = Names::new(&self.instance_name, &self.deployment_key);
        let mut remote = RemoteClient::builder(self.deployment_key)
            .endpoints(self.endpoints.clone())
            .transport(Arc::clone(&transport));
        if let Some(metrics) = &self.metrics {
            remote = remote.metrics(Arc::clone(metrics));
        }
        let remote = remote.build()?;
        let meter = Meter::new(self.metrics);
        let kept = Kept {
            names,
            storage: self.storage,
            findings: Mutex::default(),
        };
        let found = Found::read(&kept);
        let flags = Flags::new(
            &found.flags.clone().unwrap_or_default(),
            &self.initial_flags,
        );
        if let Some(stored) = &found.flags {
            meter.record(Measurement::FlagsLoaded {
                source: "file",
                flags: stored.flags.len(),
                changed: true,
            });
        } else if kept
            .findings()
            .iter()
            .any(|finding| finding.piece == Piece::Flags)
        {
            meter.record(Measurement::FlagsFailed {
                source: "file",
                reason: "storage",
            });
        }
        if !self.initial_flags.flags.is_empty() {
            meter.record(Measurement::FlagsLoaded {
                source: "bootstrap",
                flags: self.initial_flags.flags.len(),
                changed: true,
            });
        }
        let exchange = Exchange::new(Arc::clone(&transport));
        let inner = Inner {
            source: self.source,
            initial_variants: self.initial_variants,
            fallback: self.fallback,
            initial_flags: self.initial_flags,
            state: State::new(found.variants, flags),
            user_provider: self.user_provider,
            tracker: self.exposure_provider.map(ExposureTracker::new),
            automatic_exposures: self.automatic_exposures,
            tracks_assignment: Mutex::new(found.tracks_assignment),
            kept,
            remote,
            flag_service: FlagService {
                exchange,
                endpoint: self.endpoints.app_flags().clone(),
                authorization,
                timeout: self.retry.attempt_timeout,
                current: Mutex::default(),
            },
            retry: self.retry,
            meter,
        };
        Ok(AppClient::new(inner, self.start))
    }
}

/// What an earlier run has kept.
#[derive(Default)]
struct Found {
    variants: Variants,
    flags: Option<FlagSet>,
    tracks_assignment: Option<bool>,
}

impl Found {
    fn read(kept: &Kept) -> Self {
        Self {
            variants: read(kept, Piece::Variants, read_variants).unwrap_or_default(),
            flags: read(kept, Piece::Flags, read_stored_flags),
            tracks_assignment: read(kept, Piece::TrackingOption, |json, _| {
                read_tracks_assignment(json)
            }),
        }
    }
}

/// What is in a piece; what is damaged is noted and counts as absent.
fn read<T>(
    kept: &Kept,
    piece: Piece,
    parse: impl FnOnce(&[u8], &mut Vec<String>) -> Result<T, StorageProblem>,
) -> Option<T> {
    let json = kept.read(piece)?;
    let mut damaged = Vec::new();
    let parsed = parse(&json, &mut damaged);
    for entry in damaged {
        kept.note(piece, StorageProblem::DamagedEntry(entry));
    }
    parsed.map_err(|problem| kept.note(piece, problem)).ok()
}

impl fmt::Debug for AppClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppClientBuilder")
            .field("endpoints", &self.endpoints)
            .field("instance_name", &self.instance_name)
            .field("source", &self.source)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
