//! [`Account`] and [`DropCause`]: what became of every event.

use std::fmt;

/// What became of the events of one [`Delivery`](crate::Delivery).
///
/// At any time `recorded = delivered + queued + spooled + dropped.total()`.
///
/// ```
/// use experiment_client::Account;
///
/// let account = Account::default();
/// assert_eq!(account.recorded, account.settled() + account.pending());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Events that were recorded: every call of [`record`](crate::Delivery::record), refused ones
    /// too, and what an earlier process left in the spool.
    pub recorded: u64,
    /// How many of the recorded events an earlier process left in the spool.
    pub replayed: u64,
    /// Events that the service acknowledged.
    pub delivered: u64,
    /// Events that are in memory only, those under way included.
    pub queued: u64,
    /// Events that are in the spool and not settled, wherever else they are.
    pub spooled: u64,
    /// Events that are lost, by cause.
    pub dropped: Dropped,
    /// Damaged places that were found in spool files. How many events each one was is not known,
    /// so that they are in none of the other numbers.
    pub damaged: u64,
}

impl Account {
    /// Events that wait for delivery: queued or spooled.
    pub fn pending(&self) -> u64 {
        self.queued.saturating_add(self.spooled)
    }

    /// Events that are delivered or dropped.
    pub fn settled(&self) -> u64 {
        self.delivered.saturating_add(self.dropped.total())
    }
}

/// Why an event is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
#[error("the event was dropped: {}", self.as_str())]
pub enum DropCause {
    /// It was recorded while the queue was full; events that were there before stay.
    QueueFull,
    /// It was recorded while both the spool and the queue were full.
    SpoolFull,
    /// It is larger than the service takes in one request.
    TooLarge,
    /// The service says that it can never be accepted (status 400).
    Invalid,
    /// It waited longer than [`DeliveryOptions::with_max_age`](crate::DeliveryOptions::with_max_age).
    Expired,
    /// It was in the spool and cannot be read back.
    Damaged,
    /// It was recorded after [`shutdown`](crate::Delivery::shutdown).
    Closed,
}

impl DropCause {
    /// Every cause.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::SpoolFull,
        Self::TooLarge,
        Self::Invalid,
        Self::Expired,
        Self::Damaged,
        Self::Closed,
    ];

    /// The name in metrics, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::SpoolFull => "spool_full",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::Closed => "closed",
        }
    }
}

/// How many events are lost, by cause.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropCause::ALL.len()]);

impl Dropped {
    /// How many events are lost for this cause.
    pub fn get(&self, cause: DropCause) -> u64 {
        self.iter()
            .find_map(|(of, events)| (of == cause).then_some(events))
            .unwrap_or_default()
    }

    /// How many events are lost.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, &one| sum.saturating_add(one))
    }

    /// Every cause with its number.
    pub fn iter(&self) -> impl Iterator<Item = (DropCause, u64)> {
        DropCause::ALL.into_iter().zip(self.0)
    }

    pub(crate) fn add(&mut self, cause: DropCause, events: u64) {
        for (of, number) in DropCause::ALL.iter().zip(&mut self.0) {
            if *of == cause {
                *number = number.saturating_add(events);
            }
        }
    }
}

impl fmt::Debug for Dropped {
    /// Shows the causes that there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().filter(|(_, events)| *events > 0))
            .finish()
    }
}
