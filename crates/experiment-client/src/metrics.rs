//! [`Metrics`]: what happens, as numbers.

use std::{fmt, sync::Arc, time::Duration};

/// Is told what happens, from whichever thread it happens on. It must return quickly.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use experiment_client::{Measurement, Metrics};
///
/// #[derive(Debug, Default)]
/// struct Failures(AtomicU64);
///
/// impl Metrics for Failures {
///     fn record(&self, measurement: &Measurement<'_>) {
///         if let Measurement::FlagsFailed { .. } = measurement {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Metrics: Send + Sync + fmt::Debug + 'static {
    /// Something happened.
    fn record(&self, measurement: &Measurement<'_>);
}

/// Something that happened. Flag keys and cohort ids may be in it, users and keys are not.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Measurement<'a> {
    /// A user was evaluated locally; `flags` is how many flags gave a variant.
    Evaluated {
        /// Variants in the result.
        flags: usize,
    },
    /// A user without user id and device id was evaluated: nothing can be tracked for it.
    EvaluatedWithoutId,
    /// An evaluation was asked for before there were flags.
    EvaluatedNotReady,
    /// A fetch of variants succeeded.
    Fetched {
        /// Requests that were sent.
        attempts: u32,
        /// From the call to the result.
        duration: Duration,
    },
    /// A fetch of variants failed.
    FetchFailed {
        /// Requests that were sent.
        attempts: u32,
        /// Which [`Error`](crate::Error), in snake case.
        reason: &'static str,
    },
    /// Flags arrived.
    FlagsLoaded {
        /// `poll`, `stream`, `file` or `bootstrap`.
        source: &'static str,
        /// Flags in the configuration.
        flags: usize,
        /// Whether they differ from those before.
        changed: bool,
    },
    /// Flags could not be loaded; the last good ones stay.
    FlagsFailed {
        /// `poll`, `stream`, `file` or `bootstrap`.
        source: &'static str,
        /// Which [`Error`](crate::Error), in snake case.
        reason: &'static str,
    },
    /// The stream of flags is open.
    StreamOpened,
    /// Polling has taken over from the stream.
    StreamFallback,
    /// How old the flags are, told at every attempt to refresh them.
    FlagsAge(Duration),
    /// A cohort arrived.
    CohortLoaded {
        /// The id of the cohort.
        cohort: &'a str,
        /// Its members.
        members: usize,
        /// From the request to the last byte.
        duration: Duration,
    },
    /// A cohort is what it was.
    CohortUnchanged {
        /// The id of the cohort.
        cohort: &'a str,
    },
    /// A cohort could not be loaded; the last good one stays.
    CohortFailed {
        /// The id of the cohort.
        cohort: &'a str,
        /// Which [`Error`](crate::Error), in snake case.
        reason: &'static str,
    },
    /// How old the oldest cohort is, told at every refresh.
    CohortAge(Duration),
    /// An event was accepted.
    EventRecorded {
        /// `assignment` or `exposure`.
        kind: &'static str,
    },
    /// An event was not needed: it has been tracked before.
    EventDeduplicated {
        /// `assignment` or `exposure`.
        kind: &'static str,
    },
    /// Events were acknowledged by the service.
    EventsDelivered {
        /// How many.
        events: usize,
    },
    /// Events are lost.
    EventsDropped {
        /// How many.
        events: usize,
        /// A [`DropCause`](crate::DropCause), in snake case.
        cause: &'static str,
    },
    /// An upload failed and will be repeated.
    UploadFailed {
        /// The status, if there was an answer.
        status: Option<u16>,
    },
    /// How much waits for delivery, told after every change.
    QueueDepth {
        /// Events.
        events: usize,
        /// Their size as JSON.
        bytes: usize,
    },
    /// The spool cannot be written; events are kept in memory.
    SpoolFailed,
    /// The process was forked and this client starts afresh in the child.
    Forked,
}

/// Tells nobody, or somebody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Option<Arc<dyn Metrics>>);

impl Meter {
    pub(crate) fn new(metrics: Option<Arc<dyn Metrics>>) -> Self {
        Self(metrics)
    }

    pub(crate) fn record(&self, measurement: Measurement<'_>) {
        if let Some(metrics) = &self.0 {
            metrics.record(&measurement);
        }
    }
}
