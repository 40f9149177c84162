//! [`Queue`]: every event that waits, and the account of all.

mod backlog;
mod settle;

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

pub(in crate::delivery) use self::settle::{Failed, Settlement};
use super::{
    event::{Entry, Written},
    options::DeliveryOptions,
    pauses::Pauses,
    request,
    spool::{Chore, Refusal, Spool},
};
use crate::account::{Account, DropCause};

/// Everything that is behind the lock of a delivery.
///
/// The events that wait are, in the order in which they were recorded: those of `first`, those that
/// are only in the spool and still to be read back, those of `last`. What is in `first` may be in
/// the spool, too; `last` is used only while the spool does not take events.
#[derive(Debug)]
pub(in crate::delivery) struct Queue {
    pub(in crate::delivery) account: Account,
    first: VecDeque<Entry>,
    last: VecDeque<Entry>,
    /// How many of both are not in the spool.
    unspooled: usize,
    /// What is in memory, under way included.
    memory: Size,
    /// What of it is in memory only.
    memory_only: Size,
    /// The bound of what is in memory only, and that of the rest: half each with a spool, so that
    /// neither keeps the other out.
    share: Size,
    /// The JSON of all that waits, wherever it is.
    pending_bytes: u64,
    pub(in crate::delivery) spool: Option<Spool>,
    /// When the spool is tried again; `None` while it works.
    spool_retry: Option<Instant>,
    /// When it is read again; `None` while it can be read. A disk that is full can be.
    read_retry: Option<Instant>,
    spool_alarm: bool,
    /// Spooled events that were put out of memory because their users are paused. They are read
    /// again when the first pause is over.
    parked: u64,
    parked_until: Option<Instant>,
    pub(in crate::delivery) pauses: Pauses,
    /// Nothing is sent until then.
    pub(in crate::delivery) silence: Option<Silence>,
    /// Uploads that failed since the last that did not.
    pub(in crate::delivery) failures: u32,
    /// Events that were recorded since sending began.
    fresh: usize,
    threshold: usize,
    /// How many of the events that were there then are still to be sent. Those that came since wait
    /// for others.
    draining: u64,
    max_age: Option<Duration>,
    /// What a request may hold now: less than the options say after the service refused as much.
    pub(in crate::delivery) batch: Size,
    full_batch: Size,
    pub(in crate::delivery) stage: Stage,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Stage {
    Open,
    /// Nothing is taken any more.
    Closed,
    /// Nor is anything sent.
    Finished,
}

/// Until when nothing is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Silence {
    pub(in crate::delivery) until: Instant,
    /// Whether the service asked for it; otherwise a flush may break it.
    pub(in crate::delivery) asked: bool,
}

/// A number of events and the size of their JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::delivery) struct Size {
    pub(in crate::delivery) events: usize,
    pub(in crate::delivery) bytes: usize,
}

/// What to do next.
#[derive(Debug)]
pub(in crate::delivery) enum Pick {
    Send(Vec<Entry>),
    /// These are too old.
    Expired(Vec<Entry>),
    /// There may be something now.
    Again,
    /// Nothing until then, or until something is recorded.
    Wait(Option<Instant>),
}

/// When the worker has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Due {
    Never,
    Now,
    /// After this time from when it was noticed that there is something.
    Within,
    At(Instant),
}

impl Queue {
    pub(in crate::delivery) fn new(options: &DeliveryOptions, spool: Option<Spool>) -> Self {
        let full_batch = Size {
            events: options.batch_events,
            bytes: options
                .body_bytes()
                .saturating_sub(request::envelope(options)),
        };
        Self {
            account: Account::default(),
            first: VecDeque::new(),
            last: VecDeque::new(),
            unspooled: 0,
            memory: Size::default(),
            memory_only: Size::default(),
            share: if spool.is_some() {
                Size {
                    events: (options.queue_events / 2).max(1),
                    bytes: options.queue_bytes / 2,
                }
            } else {
                Size {
                    events: options.queue_events,
                    bytes: options.queue_bytes,
                }
            },
            pending_bytes: 0,
            spool,
            spool_retry: None,
            read_retry: None,
            spool_alarm: false,
            parked: 0,
            parked_until: None,
            pauses: Pauses::default(),
            silence: None,
            failures: 0,
            fresh: 0,
            threshold: options.flush_threshold,
            draining: 0,
            max_age: options.max_age,
            batch: full_batch,
            full_batch,
            stage: Stage::Open,
        }
    }

    /// Counts an event that is refused.
    pub(in crate::delivery) fn refuse(&mut self, cause: DropCause) {
        self.account.recorded = self.account.recorded.saturating_add(1);
        self.account.dropped.add(cause, 1);
    }

    /// Whether no event can be taken, whatever its size, and why.
    pub(in crate::delivery) fn refuses_all(&self) -> Option<DropCause> {
        if self.stage != Stage::Open {
            return Some(DropCause::Closed);
        }
        let spool = self.spool.as_ref();
        if self.has_room(0) || spool.is_some_and(|spool| spool.has_room(0)) {
            return None;
        }
        Some(match (spool, self.spool_retry) {
            (Some(_), None) => DropCause::SpoolFull,
            _ => DropCause::QueueFull,
        })
    }

    /// Takes an event, which is sealed if there is a spool; whether the worker must be told.
    pub(in crate::delivery) fn record(&mut self, event: &Written) -> Result<bool, DropCause> {
        if self.stage != Stage::Open {
            self.refuse(DropCause::Closed);
            return Err(DropCause::Closed);
        }
        let spooled = self.write(event);
        let size = event.json().len();
        let unread = self.unread();
        match spooled {
            Some(Ok(place)) => {
                self.account.spooled = self.account.spooled.saturating_add(1);
                if unread == 0 && self.has_room_for_spooled(size) {
                    self.push(event.to_entry(Some(place)), false);
                } else if let Some(spool) = &mut self.spool {
                    spool.leave_unread(place);
                }
            }
            refused => {
                if !self.has_room(size) {
                    let cause = match refused {
                        Some(Err(Refusal::Full)) => DropCause::SpoolFull,
                        _ => DropCause::QueueFull,
                    };
                    self.refuse(cause);
                    return Err(cause);
                }
                self.account.queued = self.account.queued.saturating_add(1);
                self.push(event.to_entry(None), unread > 0 || !self.last.is_empty());
            }
        }
        self.account.recorded = self.account.recorded.saturating_add(1);
        self.pending_bytes = self.pending_bytes.saturating_add(size as u64);
        self.fresh = self.fresh.saturating_add(1);
        Ok(self.fresh == 1 || self.fresh == self.threshold)
    }

    /// Whether there is room for an event that is not in the spool.
    fn has_room(&self, bytes: usize) -> bool {
        let room = self.share.minus(self.memory_only);
        room.events > 0 && room.bytes >= bytes
    }

    fn has_room_for_spooled(&self, bytes: usize) -> bool {
        let room = self.room_for_spooled();
        room.events > 0 && room.bytes >= bytes
    }

    fn room_for_spooled(&self) -> Size {
        self.share.minus(self.memory.minus(self.memory_only))
    }

    fn push(&mut self, entry: Entry, behind_the_spool: bool) {
        self.memory.add(&entry);
        if entry.place.is_none() {
            self.memory_only.add(&entry);
        }
        self.note_in(&entry);
        if behind_the_spool {
            self.last.push_back(entry);
        } else {
            self.first.push_back(entry);
        }
    }

    fn note_in(&mut self, entry: &Entry) {
        self.unspooled = self.unspooled.saturating_add(entry.place.is_none().into());
    }

    fn take_first(&mut self) -> Option<Entry> {
        let entry = self.first.pop_front()?;
        self.unspooled = self.unspooled.saturating_sub(entry.place.is_none().into());
        Some(entry)
    }

    pub(in crate::delivery) fn is_empty(&self) -> bool {
        self.account.pending() == 0
    }

    /// How much waits.
    pub(in crate::delivery) fn depth(&self) -> (u64, u64) {
        (self.account.pending(), self.pending_bytes)
    }

    /// What the worker has to do.
    pub(in crate::delivery) fn due(&self) -> Due {
        if self.is_empty() {
            return Due::Never;
        }
        let earliest = self.silence.map(|silence| silence.until);
        if self.draining > 0 || self.fresh >= self.threshold {
            return earliest.map_or(Due::Now, Due::At);
        }
        match self.next_time() {
            Some(end) if self.fresh == 0 => Due::At(earliest.map_or(end, |at| at.max(end))),
            _ => Due::Within,
        }
    }

    /// What to send, in the order in which it was recorded. `clock` is the time in Unix
    /// milliseconds, for the age of events.
    pub(in crate::delivery) fn pick(&mut self, now: Instant, clock: i64) -> Pick {
        if self.stage == Stage::Finished {
            return Pick::Wait(None);
        }
        if self.draining == 0 {
            self.draining = self.account.pending();
            self.fresh = 0;
        }
        if let Some(silence) = self.silence {
            if silence.until > now {
                return Pick::Wait(Some(silence.until));
            }
            self.silence = None;
        }
        self.pauses.expire(now);
        if self.parked > 0 && self.parked_until.is_none_or(|until| until <= now) {
            self.unpark();
            return Pick::Again;
        }
        let oldest = self.max_age.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            clock.saturating_sub(age)
        });
        let mut batch = Vec::new();
        let mut size = Size::default();
        let mut expired = Vec::new();
        let mut passed = Vec::new();
        while size.events < self.batch.events {
            let Some(entry) = self.take_first() else {
                break;
            };
            if oldest.is_some_and(|oldest| entry.time < oldest) {
                expired.push(entry);
            } else if self.pauses.hold(entry.who) {
                passed.push(entry);
            } else {
                // A comma stands between events.
                let bytes = size
                    .bytes
                    .saturating_add(entry.json.len())
                    .saturating_add(1);
                if bytes > self.batch.bytes && !batch.is_empty() {
                    self.put_back(vec![entry]);
                    break;
                }
                size.add(&entry);
                size.bytes = bytes;
                batch.push(entry);
            }
        }
        self.put_back(passed);
        if !expired.is_empty() {
            self.put_back(batch);
            return Pick::Expired(expired);
        }
        if !batch.is_empty() {
            return Pick::Send(batch);
        }
        if self.unread() > 0 && self.park() {
            return Pick::Again;
        }
        if self.unread() == 0 && !self.last.is_empty() {
            self.first.append(&mut self.last);
            return Pick::Again;
        }
        self.draining = 0;
        self.fresh = 0;
        Pick::Wait(self.next_time())
    }

    fn next_time(&self) -> Option<Instant> {
        let retry = self.read_retry.filter(|_| self.unread() > 0);
        [self.pauses.next(), retry].into_iter().flatten().min()
    }

    /// Puts events back in front, in the order they have.
    pub(in crate::delivery) fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.note_in(&entry);
            self.first.push_front(entry);
        }
    }

    /// Takes events out for good; what is to be done about it in the file system. The caller counts
    /// what became of them.
    pub(in crate::delivery) fn remove(&mut self, entries: &[Entry]) -> Vec<Chore> {
        let mut places = Vec::new();
        for entry in entries {
            self.memory.subtract(entry);
            self.pending_bytes = self.pending_bytes.saturating_sub(entry.json.len() as u64);
            if let Some(place) = entry.place {
                places.push((place, entry.json.len()));
            } else {
                self.memory_only.subtract(entry);
            }
        }
        let spooled = places.len() as u64;
        let queued = (entries.len() as u64).saturating_sub(spooled);
        self.draining = self.draining.saturating_sub(entries.len() as u64);
        self.account.queued = self.account.queued.saturating_sub(queued);
        self.account.spooled = self.account.spooled.saturating_sub(spooled);
        if self.is_empty() {
            self.pending_bytes = 0;
            // New events may have been sent with older ones. The next is the first again, which
            // wakes the worker.
            self.fresh = 0;
        }
        match &mut self.spool {
            Some(spool) if !places.is_empty() => spool.settle(places),
            _ => Vec::new(),
        }
    }

    /// Lets requests hold more again after one was accepted.
    pub(in crate::delivery) fn grow_batch(&mut self) {
        let grown =
            |now: usize, full: usize, step: usize| now.saturating_add(step.max(1)).min(full);
        // The limit on events was for one that nobody named; it is found by now. That on bytes is
        // one of the service, and only now and then tried.
        self.batch.events = grown(self.batch.events, self.full_batch.events, self.batch.events);
        self.batch.bytes = grown(
            self.batch.bytes,
            self.full_batch.bytes,
            self.batch.bytes / 8,
        );
    }

    /// Whether everything is settled that was recorded when `recorded` was the number of events.
    pub(in crate::delivery) fn is_flushed(&self, recorded: u64) -> bool {
        self.is_empty()
            || (self.account.settled() >= recorded && self.parked == 0 && self.pauses.len() == 0)
    }

    /// Whether there is room to remember another paused user. If there is not, all wait.
    pub(in crate::delivery) fn has_room_for_pause(&self) -> bool {
        self.pauses.len() < self.share.events
    }

    /// Takes nothing any more.
    pub(in crate::delivery) fn close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closed;
        }
    }

    /// Ends everything: nothing is sent or written any more.
    pub(in crate::delivery) fn finish(&mut self) -> Vec<Chore> {
        while self.spill() {}
        self.stage = Stage::Finished;
        self.first.clear();
        self.last.clear();
        self.unspooled = 0;
        self.memory = Size::default();
        self.memory_only = Size::default();
        self.spool
            .take()
            .map_or_else(Vec::new, |mut spool| spool.close())
    }
}

impl Size {
    fn add(&mut self, entry: &Entry) {
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(entry.json.len());
    }

    fn subtract(&mut self, entry: &Entry) {
        self.events = self.events.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(entry.json.len());
    }

    fn minus(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}
