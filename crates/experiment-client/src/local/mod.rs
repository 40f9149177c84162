//! Evaluation in this process.

mod builder;
mod client;
mod freshness;
mod loading;
mod options;
mod polling;
mod shared;
mod snapshot;
mod streaming;
mod tracking;

pub use self::{
    builder::LocalClientBuilder,
    client::LocalClient,
    freshness::{FlagSource, Freshness, State},
    options::{CohortPolicy, EvaluateOptions, Tracking, Updates},
    snapshot::{FlagInfo, Snapshot, VariantRef},
};

#[cfg(any(test, feature = "test-kit"))]
pub(crate) use self::loading::Loaded;
