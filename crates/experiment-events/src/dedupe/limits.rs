//! [`DedupeLimits`].

use core::time::Duration;

/// Bounds of a [`DedupeFilter`](crate::DedupeFilter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DedupeLimits {
    /// How many keys are remembered; beyond, the least recently seen is forgotten. Default: 65,536,
    /// as in most official SDKs.
    pub entries: usize,
    /// How many bytes the tables may take; at 60 to 64 bytes per key they can bound the number of
    /// keys first. Default: 4 MiB, which is enough for 65,536 keys.
    pub bytes: usize,
    /// How long a tracked value is not tracked again, from its tracking on. Default: 24 h.
    pub window: Duration,
}

impl DedupeLimits {
    /// Sets how many keys are remembered.
    pub fn with_entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// Sets how many bytes the tables may take.
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how long a tracked value is not tracked again.
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }
}

impl Default for DedupeLimits {
    fn default() -> Self {
        Self {
            entries: 65_536,
            bytes: 4 << 20,
            window: Duration::from_secs(24 * 60 * 60),
        }
    }
}
