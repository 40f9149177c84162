//! What of the queue is in the spool, and what is not although it should be.

use tokio::time::Instant;

use super::{Queue, Size};
use crate::{
    account::DropCause,
    delivery::{
        event::Written,
        spool::{Found, HEADER, Loaded, Part, Place, Refusal, Spool, seal},
    },
    exchange::deadline,
};

/// How long the spool is left alone after it failed.
const SPOOL_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// How many events are written to the spool at once when it works again, so that nobody who
/// records waits for more than these.
const SPILLED_AT_ONCE: usize = 64;

impl Queue {
    /// Writes an event to the spool, if there is one and all events before it are in it: its order
    /// is that in which they are read back.
    pub(super) fn write(&mut self, event: &Written) -> Option<Result<Place, Refusal>> {
        let spool = self.spool.as_ref()?;
        if self.must_spill() {
            if spool.has_room(event.record().len()) {
                self.spill();
            }
            if self.must_spill() {
                return Some(Err(match self.spool_retry {
                    Some(_) => Refusal::Failed,
                    None => Refusal::Full,
                }));
            }
        }
        let result = self.spool.as_mut()?.append(event.record());
        if result == Err(Refusal::Failed) && self.spool_retry.is_none() {
            self.spool_failed();
        }
        Some(result)
    }

    /// Whether there are events that belong into the spool in front of the next one.
    pub(super) fn must_spill(&self) -> bool {
        !self.last.is_empty() || (self.unspooled > 0 && self.unread() == 0)
    }

    /// How many records have been written to the spool, if it is written.
    pub(in crate::delivery) fn written(&self) -> Option<u64> {
        Some(self.spool.as_ref()?.to_sync()?.1)
    }

    pub(super) fn spool_failed(&mut self) {
        self.spool_retry = Some(deadline(SPOOL_PAUSE));
        self.spool_alarm = true;
    }

    /// Whether the spool failed since the last call.
    pub(in crate::delivery) fn take_spool_alarm(&mut self) -> bool {
        std::mem::take(&mut self.spool_alarm)
    }

    pub(super) fn unread(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::unread)
    }

    /// Puts the events of `first` that are in the spool out of memory; whether there were any. They
    /// are all of paused users, since nothing could be sent.
    pub(super) fn park(&mut self) -> bool {
        let before = self.first.len();
        let memory = &mut self.memory;
        self.first.retain(|entry| {
            if entry.place.is_some() {
                memory.subtract(entry);
            }
            entry.place.is_none()
        });
        let parked = before.saturating_sub(self.first.len());
        self.note_parked(parked);
        parked > 0
    }

    pub(super) fn note_parked(&mut self, events: usize) {
        if events > 0 {
            self.parked = self.parked.saturating_add(events as u64);
            self.parked_until = [self.parked_until, self.pauses.next()]
                .into_iter()
                .flatten()
                .min();
        }
    }

    /// Begins to read the spool from its start again.
    pub(super) fn unpark(&mut self) {
        self.park();
        // What is left is in memory only: it was recorded when the spool took nothing more.
        while let Some(entry) = self.first.pop_back() {
            self.last.push_front(entry);
        }
        self.parked = 0;
        self.parked_until = None;
        if let Some(spool) = &mut self.spool {
            spool.rewind();
        }
    }

    /// What is to be read back from the spool now, and how much room there is for it.
    pub(in crate::delivery) fn next_part(&mut self, now: Instant) -> Option<(Part, Size)> {
        if self.first.len() >= self.batch.events || self.read_retry.is_some_and(|at| at > now) {
            return None;
        }
        self.read_retry = None;
        let room = self.room_for_spooled();
        if (room.events == 0 || room.bytes == 0) && !self.first.is_empty() {
            return None;
        }
        Some((self.spool.as_mut()?.next_part()?, room))
    }

    /// Takes what was read back; how many events are lost.
    pub(in crate::delivery) fn note_loaded(&mut self, loaded: Loaded) -> u64 {
        if let Some(spool) = &mut self.spool {
            spool.note_loaded(&loaded);
        }
        let missing = loaded.missing;
        self.account.spooled = self.account.spooled.saturating_sub(missing);
        self.account.dropped.add(DropCause::Damaged, missing);
        self.draining = self.draining.saturating_sub(missing);
        let mut parked = 0_usize;
        for entry in loaded.entries {
            // While some events of paused users are on disk only, all of them stay there.
            if self.parked > 0 && self.pauses.hold(entry.who) {
                parked = parked.saturating_add(1);
            } else {
                self.push(entry, false);
            }
        }
        self.note_parked(parked);
        missing
    }

    /// Notes that reading back failed for a reason that may pass.
    pub(in crate::delivery) fn note_unreadable(&mut self) {
        self.read_retry = Some(deadline(SPOOL_PAUSE));
        self.spool_alarm = true;
    }

    /// When the spool is tried again, if it failed.
    pub(in crate::delivery) fn spool_retry(&self) -> Option<Instant> {
        self.spool_retry
    }

    /// Opens the spool again if it is time.
    pub(in crate::delivery) fn tend_spool(&mut self, now: Instant) {
        if self.spool_retry.is_some_and(|at| at <= now) {
            self.spool_retry = None;
            if self.spool.as_ref().is_some_and(|spool| !spool.is_open()) {
                self.open_spool();
            }
        }
    }

    /// Opens the spool and counts what is in it.
    pub(in crate::delivery) fn open_spool(&mut self) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        let mut found = Found::default();
        let opened = spool.open(&mut found);
        let account = &mut self.account;
        for number in [
            &mut account.recorded,
            &mut account.replayed,
            &mut account.spooled,
        ] {
            *number = number.saturating_add(found.events);
        }
        account.damaged = account.damaged.saturating_add(found.damaged);
        self.pending_bytes = self.pending_bytes.saturating_add(found.bytes);
        let fresh = usize::try_from(found.events).unwrap_or(usize::MAX);
        self.fresh = self.fresh.saturating_add(fresh);
        if opened.is_err() {
            self.spool_failed();
        }
    }

    /// Writes some of the events to the spool that it did not take before; whether there may be
    /// more.
    pub(in crate::delivery) fn spill(&mut self) -> bool {
        let Some(spool) = self.spool.as_mut().filter(|spool| spool.is_open()) else {
            return false;
        };
        let mut buffer = Vec::new();
        let mut append = |spool: &mut Spool, json: &[u8]| {
            buffer.clear();
            buffer.resize(HEADER, 0);
            buffer.extend_from_slice(json);
            seal(&mut buffer);
            spool.append(&buffer)
        };
        let mut spilled = 0_usize;
        let mut result = Ok(());
        if spool.unread() == 0 {
            // Everything is in memory, so that nothing that is written now is read back.
            self.first.append(&mut self.last);
            let unspooled = self.first.iter_mut().filter(|entry| entry.place.is_none());
            for entry in unspooled.take(SPILLED_AT_ONCE) {
                match append(spool, &entry.json) {
                    Ok(place) => {
                        entry.place = Some(place);
                        self.memory_only.subtract(entry);
                    }
                    Err(refusal) => {
                        result = Err(refusal);
                        break;
                    }
                }
                spilled = spilled.saturating_add(1);
            }
        } else {
            while spilled < SPILLED_AT_ONCE {
                let Some(entry) = self.last.pop_front() else {
                    break;
                };
                match append(spool, &entry.json) {
                    Ok(place) => spool.leave_unread(place),
                    Err(refusal) => {
                        self.last.push_front(entry);
                        result = Err(refusal);
                        break;
                    }
                }
                self.memory.subtract(&entry);
                self.memory_only.subtract(&entry);
                spilled = spilled.saturating_add(1);
            }
        }
        self.unspooled = self.unspooled.saturating_sub(spilled);
        self.account.queued = self.account.queued.saturating_sub(spilled as u64);
        self.account.spooled = self.account.spooled.saturating_add(spilled as u64);
        if result == Err(Refusal::Failed) {
            self.spool_failed();
        }
        result.is_ok() && spilled == SPILLED_AT_ONCE
    }
}
