//! [`EvaluateOptions`], [`Updates`], [`Tracking`].

use std::time::Duration;

use experiment_events::{DedupeLimits, EventOptions, PropertyNames};

use crate::delivery::DeliveryOptions;

/// Of one evaluation.
///
/// ```
/// use experiment_client::EvaluateOptions;
///
/// let options = EvaluateOptions::new()
///     .with_flag_keys(&["checkout", "search"])
///     .with_tracks_exposure(true);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EvaluateOptions<'a> {
    /// Only these flags. Default: all.
    pub flag_keys: Option<&'a [&'a str]>,
    /// Whether the flags that those depend on are in the result (and tracked) too, as the official
    /// SDKs do. Default: no.
    pub include_dependencies: bool,
    /// Whether the result is tracked as an assignment. Default: as the client was built.
    pub tracks_assignment: Option<bool>,
    /// Whether each variant of the result is tracked as an exposure. Default: as the client was
    /// built.
    pub tracks_exposure: Option<bool>,
}

impl<'a> EvaluateOptions<'a> {
    /// All flags, tracked as the client was built.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces [`flag_keys`](Self::flag_keys).
    #[must_use]
    pub fn with_flag_keys(mut self, keys: &'a [&'a str]) -> Self {
        self.flag_keys = Some(keys);
        self
    }

    /// Replaces [`include_dependencies`](Self::include_dependencies).
    #[must_use]
    pub fn with_dependencies(mut self, include: bool) -> Self {
        self.include_dependencies = include;
        self
    }

    /// Replaces [`tracks_assignment`](Self::tracks_assignment).
    #[must_use]
    pub fn with_tracks_assignment(mut self, tracks: bool) -> Self {
        self.tracks_assignment = Some(tracks);
        self
    }

    /// Replaces [`tracks_exposure`](Self::tracks_exposure).
    #[must_use]
    pub fn with_tracks_exposure(mut self, tracks: bool) -> Self {
        self.tracks_exposure = Some(tracks);
        self
    }
}

/// How a [`LocalClient`](crate::LocalClient) keeps its flags fresh.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Updates {
    /// Asks for all flags again and again, every `interval` ± 10 %, so that the servers of a fleet
    /// do not ask at once. Default: 30 s.
    Polling {
        /// From one request to the next.
        interval: Duration,
    },
    /// Lets the service send them as they change, and asks for them every `fallback` ± 10 % while
    /// that does not work.
    Streaming {
        /// From one request to the next, while there is no stream.
        fallback: Duration,
    },
    /// Uses the bootstrap flags, or those of the file, for ever. No request is sent.
    Off,
}

/// The interval of the official server SDKs (`flagConfigPollingIntervalMillis`).
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(30);

impl Default for Updates {
    fn default() -> Self {
        Self::polling()
    }
}

impl Updates {
    /// Polling every 30 s.
    pub fn polling() -> Self {
        Self::Polling {
            interval: POLL_INTERVAL,
        }
    }

    /// Streaming, with polling every 30 s as fallback.
    pub fn streaming() -> Self {
        Self::Streaming {
            fallback: POLL_INTERVAL,
        }
    }
}

/// What becomes of [`LocalClient::start`](crate::LocalClient::start) when cohorts cannot be loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CohortPolicy {
    /// It succeeds; [`Freshness::missing_cohorts`](crate::Freshness::missing_cohorts) names them,
    /// and they are tried again. Default.
    #[default]
    StartDegraded,
    /// It fails when its deadline is over; they are tried again all the same.
    FailStart,
}

/// What a [`LocalClient`](crate::LocalClient) tracks, and where it goes.
///
/// ```
/// use experiment_client::{DeliveryOptions, Tracking};
///
/// let tracking = Tracking::new(DeliveryOptions::new("analytics-api-key")).with_exposures(true);
/// assert!(!tracking.assignments);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tracking {
    /// Whether evaluations are tracked as assignments unless a call says otherwise. Default: no.
    pub assignments: bool,
    /// Whether they are tracked as exposures unless a call says otherwise. Default: no.
    pub exposures: bool,
    /// How events are written. Default: as the official SDKs put them on the wire.
    pub events: EventOptions,
    /// How many facts are remembered to track each only once, and for how long.
    pub dedupe: DedupeLimits,
    /// Where events go.
    pub delivery: DeliveryOptions,
}

impl Tracking {
    /// Tracks what each call asks for and delivers it with `delivery`.
    pub fn new(delivery: DeliveryOptions) -> Self {
        Self {
            assignments: false,
            exposures: false,
            events: EventOptions::default().with_property_names(PropertyNames::Sdk),
            dedupe: DedupeLimits::default(),
            delivery,
        }
    }

    /// Replaces [`assignments`](Self::assignments).
    #[must_use]
    pub fn with_assignments(mut self, tracks: bool) -> Self {
        self.assignments = tracks;
        self
    }

    /// Replaces [`exposures`](Self::exposures).
    #[must_use]
    pub fn with_exposures(mut self, tracks: bool) -> Self {
        self.exposures = tracks;
        self
    }

    /// Replaces [`events`](Self::events).
    #[must_use]
    pub fn with_events(mut self, events: EventOptions) -> Self {
        self.events = events;
        self
    }

    /// Replaces [`dedupe`](Self::dedupe).
    #[must_use]
    pub fn with_dedupe(mut self, dedupe: DedupeLimits) -> Self {
        self.dedupe = dedupe;
        self
    }
}
