#![doc = include_str!("../README.md")]

mod app;
mod clock;
mod endpoints;
mod error;
mod exchange;
mod metrics;
mod remote;
mod retry;
mod secret;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod transport;

pub use crate::{
    app::{
        AmplitudeCookie, AppClient, AppClientBuilder, ExposureTrackingProvider, FetchOutcome,
        FileStorage, MemoryStorage, NotTracked, Piece, ResolvedVariant, Source, Started, Storage,
        StorageFinding, StorageProblem, UserProvider, VariantSource,
    },
    clock::{Clock, SystemClock},
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

pub use experiment_events::ClientExposure;
