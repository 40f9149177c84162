//! [`RemoteClient`]: variants evaluated by the service.

mod answer;
mod client;
mod options;
mod request;

pub use self::{
    answer::{Fetched, MalformedVariant},
    client::{RemoteClient, RemoteClientBuilder},
    options::FetchOptions,
};

#[cfg(any(test, feature = "test-kit"))]
pub(crate) use self::answer::read;
