//! [`Queue`]: every event that waits, and the account of all.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{
    account::{Account, DropCause},
    event::{Entry, Written},
    options::DeliveryOptions,
    pauses::Pauses,
    request,
    spool::{Chore, Found, Loaded, Part, Place, Refusal, Spool, seal},
};

/// How long the spool is left alone after it failed.
const SPOOL_PAUSE: Duration = Duration::from_secs(5);

/// How many events are written to the spool at once when it works again, so that nobody who
/// records waits for more than these.
const SPILLED_AT_ONCE: usize = 64;

/// Everything that is behind the lock of a delivery.
///
/// The events that wait are, in the order in which they were recorded: those of `first`, those that
/// are only in the spool and still to be read back, those of `last`. What is in `first` may be in
/// the spool, too; `last` is used only while the spool does not take events.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) account: Account,
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
    pub(super) spool: Option<Spool>,
    /// When the spool is tried again; `None` while it works.
    spool_retry: Option<Instant>,
    /// When it is read again; `None` while it can be read. A disk that is full can be.
    read_retry: Option<Instant>,
    spool_alarm: bool,
    /// Spooled events that were put out of memory because their users are paused. They are read
    /// again when the first pause is over.
    parked: u64,
    parked_until: Option<Instant>,
    pub(super) pauses: Pauses,
    /// Nothing is sent until then.
    pub(super) silence: Option<Silence>,
    /// Uploads that failed since the last that did not.
    pub(super) failures: u32,
    /// Events that were recorded since sending began.
    fresh: usize,
    threshold: usize,
    /// How many of the events that were there then are still to be sent. Those that came since wait
    /// for others.
    draining: u64,
    max_age: Option<Duration>,
    /// What a request may hold now: less than the options say after the service refused as much.
    pub(super) batch: Size,
    full_batch: Size,
    pub(super) stage: Stage,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Nothing is taken any more.
    Closed,
    /// Nor is anything sent.
    Finished,
}

/// Until when nothing is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) until: Instant,
    /// Whether the service asked for it; otherwise a flush may break it.
    pub(super) asked: bool,
}

/// A number of events and the size of their JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Pick {
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
pub(super) enum Due {
    Never,
    Now,
    /// After this time from when it was noticed that there is something.
    Within,
    At(Instant),
}

impl Queue {
    pub(super) fn new(options: &DeliveryOptions, spool: Option<Spool>) -> Self {
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
    pub(super) fn refuse(&mut self, cause: DropCause) {
        self.account.recorded = self.account.recorded.saturating_add(1);
        self.account.dropped.add(cause, 1);
    }

    /// Whether no event can be taken, whatever its size, and why.
    pub(super) fn refuses_all(&self) -> Option<DropCause> {
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
    pub(super) fn record(&mut self, event: &Written) -> Result<bool, DropCause> {
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

    /// Writes an event to the spool, if there is one and all events before it are in it: its order
    /// is that in which they are read back.
    fn write(&mut self, event: &Written) -> Option<Result<Place, Refusal>> {
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
    fn must_spill(&self) -> bool {
        !self.last.is_empty() || (self.unspooled > 0 && self.unread() == 0)
    }

    /// How many records have been written to the spool, if it is written.
    pub(super) fn written(&self) -> Option<u64> {
        Some(self.spool.as_ref()?.to_sync()?.1)
    }

    fn spool_failed(&mut self) {
        self.spool_retry = Some(crate::exchange::deadline(SPOOL_PAUSE));
        self.spool_alarm = true;
    }

    /// Whether the spool failed since the last call.
    pub(super) fn take_spool_alarm(&mut self) -> bool {
        std::mem::take(&mut self.spool_alarm)
    }

    fn unread(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::unread)
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

    pub(super) fn is_empty(&self) -> bool {
        self.account.pending() == 0
    }

    /// How much waits.
    pub(super) fn depth(&self) -> (u64, u64) {
        (self.account.pending(), self.pending_bytes)
    }

    /// What the worker has to do.
    pub(super) fn due(&self) -> Due {
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

    /// What to send, in the order in which it was recorded. `day` is the time of the clock in Unix
    /// milliseconds, for the age of events.
    pub(super) fn pick(&mut self, now: Instant, clock: i64) -> Pick {
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
    pub(super) fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.note_in(&entry);
            self.first.push_front(entry);
        }
    }

    /// Puts the events of `first` that are in the spool out of memory; whether there were any. They
    /// are all of paused users, since nothing could be sent.
    fn park(&mut self) -> bool {
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

    fn note_parked(&mut self, events: usize) {
        if events > 0 {
            self.parked = self.parked.saturating_add(events as u64);
            self.parked_until = [self.parked_until, self.pauses.next()]
                .into_iter()
                .flatten()
                .min();
        }
    }

    /// Begins to read the spool from its start again.
    fn unpark(&mut self) {
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
    pub(super) fn next_part(&mut self, now: Instant) -> Option<(Part, Size)> {
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
    pub(super) fn note_loaded(&mut self, loaded: Loaded) -> u64 {
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
    pub(super) fn note_unreadable(&mut self) {
        self.read_retry = Some(crate::exchange::deadline(SPOOL_PAUSE));
        self.spool_alarm = true;
    }

    /// When the spool is tried again, if it failed.
    pub(super) fn spool_retry(&self) -> Option<Instant> {
        self.spool_retry
    }

    /// Opens the spool again if it is time.
    pub(super) fn tend_spool(&mut self, now: Instant) {
        if self.spool_retry.is_some_and(|at| at <= now) {
            self.spool_retry = None;
            if self.spool.as_ref().is_some_and(|spool| !spool.is_open()) {
                self.open_spool();
            }
        }
    }

    /// Opens the spool and counts what is in it.
    pub(super) fn open_spool(&mut self) {
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
    pub(super) fn spill(&mut self) -> bool {
        let Some(spool) = self.spool.as_mut().filter(|spool| spool.is_open()) else {
            return false;
        };
        let mut buffer = Vec::new();
        let mut append = |spool: &mut Spool, json: &[u8]| {
            buffer.clear();
            buffer.resize(super::spool::HEADER, 0);
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

    /// Takes events out for good; what is to be done about it in the file system. The caller counts
    /// what became of them.
    pub(super) fn remove(&mut self, entries: &[Entry]) -> Vec<Chore> {
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
    pub(super) fn grow_batch(&mut self) {
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
    pub(super) fn is_flushed(&self, recorded: u64) -> bool {
        self.is_empty()
            || (self.account.settled() >= recorded && self.parked == 0 && self.pauses.len() == 0)
    }

    /// Whether there is room to remember another paused user. If there is not, all wait.
    pub(super) fn has_room_for_pause(&self) -> bool {
        self.pauses.len() < self.share.events
    }

    /// Takes nothing any more.
    pub(super) fn close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closed;
        }
    }

    /// Ends everything: nothing is sent or written any more.
    pub(super) fn finish(&mut self) -> Vec<Chore> {
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
