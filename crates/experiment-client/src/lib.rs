#![doc = include_str!("../README.md")]

mod clock;
mod cohort;
mod delivery;
mod endpoints;
mod error;
mod exchange;
mod flags;
#[cfg(any(test, feature = "test-kit"))]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod remote;
mod retry;
mod secret;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod transport;

pub use crate::{
    clock::{Clock, SystemClock},
    cohort::{Cohort, CohortSet, CohortSetBuilder, CohortStore, Enriched, References},
    delivery::{
        Account, Delivery, DeliveryOptions, DropCause, Dropped, Fsync, Ingestion, SpoolOptions,
    cohort::{
        Cohort, CohortOptions, CohortSet, CohortSetBuilder, CohortStore, Enriched, References,
    },
    endpoints::{Endpoint, Endpoints, ServerZone, paths},
    error::{Error, Phase},
    metrics::{Measurement, Metrics},
    remote::{FetchOptions, Fetched, MalformedVariant, RemoteClient, RemoteClientBuilder},
    retry::RetryPolicy,
    secret::Secret,
    transport::{
        Answering, HttpVersion, HyperTransport, Request, Response, ResponseBody, Transport,
        TransportError, TransportErrorKind, TransportOptions,
    },
};
