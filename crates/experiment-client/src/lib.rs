#![doc = include_str!("../README.md")]

mod account;
mod app;
#[cfg(feature = "blocking")]
pub mod blocking;
mod clock;
mod cohort;
mod delivery;
mod endpoints;
mod error;
mod exchange;
mod executor;
mod flags;
#[cfg(any(test, feature = "test-kit"))]
#[doc(hidden)]
pub mod fuzzing;
mod local;
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_facade;
mod process;
mod remote;
mod retry;
mod secret;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod transport;

#[cfg(feature = "metrics")]
pub use crate::metrics_facade::MetricsFacade;
pub use crate::{
    account::{Account, DropCause, Dropped},
    app::{
        AmplitudeCookie, AppClient, AppClientBuilder, ExposureTrackingProvider, FetchOutcome,
        FileStorage, MemoryStorage, NotTracked, Piece, ResolvedVariant, Source, Started, Storage,
        StorageFinding, StorageProblem, UserProvider, VariantSource,
    },
    clock::{Clock, SystemClock},
    cohort::{
        Cohort, CohortOptions, CohortSet, CohortSetBuilder, CohortStore, Enriched, References,
    },
    delivery::{Delivery, DeliveryOptions, Fsync, Ingestion, SpoolOptions},
    endpoints::{Endpoint, Endpoints, ServerZone, paths},
    error::{Error, Phase},
    local::{
        CohortPolicy, EvaluateOptions, FlagInfo, FlagSource, Freshness, LocalClient,
        LocalClientBuilder, Snapshot, State, Tracking, Updates, VariantRef,
    },
    metrics::{Measurement, Metrics},
    remote::{FetchOptions, Fetched, MalformedVariant, RemoteClient, RemoteClientBuilder},
    retry::RetryPolicy,
    secret::Secret,
    transport::{
        Answering, HttpVersion, HyperTransport, Request, Response, ResponseBody, Transport,
        TransportError, TransportErrorKind, TransportOptions,
    },
};

pub use experiment_events::ClientExposure;

/// The examples of the project's README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ProjectReadme;
