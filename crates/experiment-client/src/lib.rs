#![doc = include_str!("../README.md")]

mod clock;
mod delivery;
mod endpoints;
mod error;
mod exchange;
mod metrics;
mod retry;
mod secret;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod transport;

pub use crate::{
    clock::{Clock, SystemClock},
    delivery::{
        Account, Delivery, DeliveryOptions, DropCause, Dropped, Fsync, Ingestion, SpoolOptions,
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
