//! [`Pauses`]: whose events the service does not want for a while.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::event::Who;

/// Users and devices whose events wait, by hash, and until when.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    users: HashMap<u64, Instant>,
    devices: HashMap<u64, Instant>,
    /// The earliest end.
    next: Option<Instant>,
}

impl Pauses {
    pub(super) fn len(&self) -> usize {
        self.users.len().saturating_add(self.devices.len())
    }

    /// When the first pause ends, if there is one.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn hold(&self, who: Who) -> bool {
        self.next.is_some()
            && (self.users.contains_key(&who.user) || self.devices.contains_key(&who.device))
    }

    /// Pauses user and device of an event, so that no later event of either overtakes it.
    pub(super) fn add(&mut self, who: Who, now: Instant, pause: Duration) {
        let until = crate::exchange::deadline(pause).max(now);
        for (ids, id) in [(&mut self.users, who.user), (&mut self.devices, who.device)] {
            if id != 0 {
                let end = ids.entry(id).or_insert(until);
                *end = until.max(*end);
            }
        }
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// Forgets the pauses that are over; whether there were any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        for ids in [&mut self.users, &mut self.devices] {
            ids.retain(|_, until| *until > now);
        }
        self.next = self
            .users
            .values()
            .chain(self.devices.values())
            .min()
            .copied();
        true
    }
}
