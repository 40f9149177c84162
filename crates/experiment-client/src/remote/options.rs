//! [`FetchOptions`].

use experiment_model::Text;

use crate::retry::RetryPolicy;

/// What one fetch asks for.
///
/// ```
/// use experiment_client::FetchOptions;
///
/// let options = FetchOptions::new()
///     .with_flag_keys(["checkout", "search"])
///     .with_tracks_assignment(false);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FetchOptions {
    /// The flags to evaluate; an empty list is none of them. They are sent sorted and once each,
    /// whatever order they have here, because the service caches by the exact request. Default:
    /// `None`, all flags of the deployment.
    ///
    /// They travel in a header, which services and proxies limit (often to 8 KB): name some flags or
    /// all, not most of a thousand.
    pub flag_keys: Option<Vec<Text>>,
    /// Whether the service tracks an assignment event. Default: `None`, which leaves it to the
    /// service: it does (`X-Amp-Exp-Track` is absent).
    pub tracks_assignment: Option<bool>,
    /// Whether the service tracks exposure events. Default: `None`, which leaves it to the service:
    /// it does not (`X-Amp-Exp-Exposure-Track` is absent).
    pub tracks_exposure: Option<bool>,
    /// How often and how long to try, for this fetch. Default: `None`, as the client was told.
    pub retry: Option<RetryPolicy>,
}

impl FetchOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces [`flag_keys`](Self::flag_keys).
    #[must_use]
    pub fn with_flag_keys<T: Into<Text>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.flag_keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Replaces [`tracks_assignment`](Self::tracks_assignment).
    #[must_use]
    pub fn with_tracks_assignment(mut self, tracks: impl Into<Option<bool>>) -> Self {
        self.tracks_assignment = tracks.into();
        self
    }

    /// Replaces [`tracks_exposure`](Self::tracks_exposure).
    #[must_use]
    pub fn with_tracks_exposure(mut self, tracks: impl Into<Option<bool>>) -> Self {
        self.tracks_exposure = tracks.into();
        self
    }

    /// Replaces [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        self.retry = policy.into();
        self
    }
}
