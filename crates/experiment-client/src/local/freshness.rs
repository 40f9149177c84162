//! [`Freshness`]: how good the flags are right now.

use std::{sync::Arc, time::Duration};

use experiment_model::Text;

use crate::error::Error;

/// How good the flags and cohorts are that a [`LocalClient`](crate::LocalClient) evaluates with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Freshness {
    /// In one word.
    pub state: State,
    /// Where the flags came from; `None` while there are none.
    pub source: Option<FlagSource>,
    /// How long ago the service last confirmed these flags; for flags from the file, how long ago
    /// they were stored; `None` for bootstrap flags and without flags.
    pub age: Option<Duration>,
    /// How many configurations this client has taken into use; 0 while there are no flags.
    pub version: u64,
    /// How many flags there are.
    pub flags: usize,
    /// Why the last attempt to refresh the flags failed; `None` after a success.
    pub cause: Option<Arc<Error>>,
    /// Cohorts that flags refer to and that have never been loaded: their conditions answer as if
    /// nobody were in them.
    pub missing_cohorts: Vec<Text>,
}

/// The state of a client's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// There are no flags yet, and nothing has failed.
    NotReady,
    /// The flags are what the service had within
    /// [`stale_after`](crate::LocalClientBuilder::stale_after).
    Ready,
    /// There are flags, but the service has not confirmed them for longer than that.
    Stale,
    /// There are no flags, and the last attempt to load them failed.
    Failed,
}

/// Where flags came from, from the weakest to the strongest: bundled with the program, the file of
/// an earlier run, the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FlagSource {
    /// Given when the client was built.
    Bootstrap,
    /// The file with the last good flags.
    File,
    /// The service, asked for them.
    Poll,
    /// The service, which sent them.
    Stream,
}

impl FlagSource {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::File => "file",
            Self::Poll => "poll",
            Self::Stream => "stream",
        }
    }
}
