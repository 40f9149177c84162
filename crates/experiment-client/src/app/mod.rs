//! [`AppClient`]: for an app with one user at a time.

mod builder;
mod client;
mod cookie;
mod exposure;
mod file_storage;
mod flags;
mod inner;
mod outcome;
mod percent;
mod pieces;
mod resolution;
mod state;
mod storage;
mod tasks;
mod user;

pub use self::{
    builder::AppClientBuilder,
    client::AppClient,
    cookie::AmplitudeCookie,
    exposure::{ExposureTrackingProvider, NotTracked},
    file_storage::FileStorage,
    outcome::{FetchOutcome, ResolvedVariant, Started},
    resolution::{Source, VariantSource},
    storage::{MemoryStorage, Piece, Storage, StorageFinding, StorageProblem},
    user::UserProvider,
};
