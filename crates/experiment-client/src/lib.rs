#![doc = include_str!("../README.md")]

mod clock;
mod cohort;
mod endpoints;
mod error;
mod exchange;
mod flags;
#[cfg(any(test, feature = "test-kit"))]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod retry;
mod secret;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod transport;

pub use crate::{
    clock::{Clock, SystemClock},
    cohort::{
        Cohort, CohortOptions, CohortSet, CohortSetBuilder, CohortStore, Enriched, References,
    },
    endpoints::{Endpoint, Endpoints, ServerZone, paths},
    error::{Error, Phase},
    metrics::{Measurement, Metrics},
    retry::RetryPolicy,
    secret::Secret,
    transport::{
        Answering, Request, Response, ResponseBody, Transport, TransportError, TransportErrorKind,
    },
};
