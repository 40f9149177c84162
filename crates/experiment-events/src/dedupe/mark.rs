//! [`Decision`] and [`Mark`]: what the filter answers.

use core::fmt;

use experiment_model::Timestamp;

use super::table::Key;

/// Whether to track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Track it: queue the event, then commit the mark.
    Track(Mark),
    /// Do not track it: it is known, the flag wants no exposures, or there is nothing to unset
    /// ([`DedupeFilter::try_exposure`](crate::DedupeFilter::try_exposure) tells which).
    Drop,
}

impl Decision {
    /// The mark, if it is to be tracked.
    pub fn mark(self) -> Option<Mark> {
        match self {
            Self::Track(mark) => Some(mark),
            Self::Drop => None,
        }
    }
}

impl From<Result<Mark, DropReason>> for Decision {
    fn from(result: Result<Mark, DropReason>) -> Self {
        result.map_or(Self::Drop, Self::Track)
    }
}

/// Why something is not tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// The same was tracked within the window.
    #[error("already tracked")]
    AlreadyTracked,
    /// The flag wants no exposures (`metadata.trackExposure` is `false`).
    #[error("the flag does not track exposures")]
    Untracked,
    /// A default variant, and nothing that was tracked stands.
    #[error("nothing to unset")]
    NothingToUnset,
}

/// A decision to track, to be committed once its event is durably queued.
///
/// It is a plain value of 72 bytes, so that a queue can keep one beside each event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(super) key: Key,
    pub(super) standing: Standing,
    /// What stood when the decision was made.
    pub(super) previous: Option<Standing>,
}

impl Mark {
    /// The number of changes seen before this one, for the insert id.
    pub fn transition(&self) -> u32 {
        self.standing.transition
    }
}

impl fmt::Debug for Mark {
    /// Leaves out the key: ids could be guessed from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mark")
            .field("transition", &self.transition())
            .field("since", &self.standing.since)
            .finish_non_exhaustive()
    }
}

/// What was tracked last for a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) said: Said,
    pub(super) since: Timestamp,
    pub(super) transition: u32,
}

impl Standing {
    /// Whether both came of the same change, as two threads see it.
    pub(super) fn is_same_tracking(&self, other: &Self) -> bool {
        self.said == other.said && self.transition == other.transition
    }

    /// The same without what was said: anything is a change, and its number is not used before.
    pub(super) fn forgotten(self) -> Self {
        Self {
            said: Said::FORGOTTEN,
            ..self
        }
    }
}

/// What an event said, as 64 bits: enough to tell the values of one key apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Said(u64);

impl Said {
    /// The user has no variant (any more).
    pub(super) const NOTHING: Self = Self(0);
    /// Not known; equal to nothing that is to be tracked.
    pub(super) const FORGOTTEN: Self = Self(1);

    pub(super) fn hashed(hash: u128) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "half of the hash is enough"
        )]
        let half = hash as u64;
        Self(half.max(2))
    }
}
