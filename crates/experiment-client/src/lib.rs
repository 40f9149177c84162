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

/// What the fuzz targets call.
#[doc(hidden)]
#[cfg(feature = "test-kit")]
pub mod fuzzing {
    /// The payloads in a spool file that the file of acks beside it does not settle.
    pub fn read_spool(records: &[u8], acks: &[u8]) -> Vec<Vec<u8>> {
        crate::delivery::unsettled(records, acks)
    }

    /// A spool file with a record of each payload, and what settles those that `settle` says.
    pub fn write_spool(payloads: &[Vec<u8>], settle: impl Fn(usize) -> bool) -> (Vec<u8>, Vec<u8>) {
        crate::delivery::written(payloads, settle)
    }
}
