//! The work of a delivery: what is uploaded when, and what is told about it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Inner,
    answer::Verdict,
    event::Entry,
    options::DeliveryOptions,
    queue::{Due, Failed, Pick, Settlement, Stage},
    request,
    spool::{self, Chore},
};
use crate::account::DropCause;
use crate::{exchange::Limits, metrics::Measurement};

/// An answer that is larger is no answer of the service: it names at most the events it was sent.
const ANSWER_BYTES: usize = 1024 * 1024;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something was sent, or dropped; there may be more.
    Sent,
    /// There is nothing to send until then, or until something is recorded.
    Waiting(Option<Instant>),
}

/// The largest event that fits a request.
pub(super) fn largest_event(options: &DeliveryOptions) -> usize {
    options
        .ingestion
        .most_bytes()
        .saturating_sub(request::envelope(options))
}

/// See [`Delivery::memory_limit`](super::Delivery::memory_limit).
pub(super) fn memory_limit(options: &DeliveryOptions) -> usize {
    let entry = size_of::<Entry>();
    // A queue that grows has its old and its new storage for a moment: one and a half times twice
    // the events. There are two queues. A pause is kept for a user and for a device, in tables that
    // are at least half full and grow in the same way.
    let pause = size_of::<(u64, Instant)>().saturating_add(1);
    let queue = options
        .queue_events
        .saturating_mul(
            entry
                .saturating_mul(6)
                .saturating_add(pause.saturating_mul(6)),
        )
        .saturating_add(options.queue_bytes);
    // The last event may be larger than the batch, then it is alone.
    let body = options
        .body_bytes()
        .max(largest_event(options).min(options.queue_bytes));
    let bodies = if options.gzip { 3 } else { 1 };
    let batch = body
        .saturating_mul(bodies)
        .saturating_add(options.batch_events.saturating_mul(entry).saturating_mul(3))
        .saturating_add(ANSWER_BYTES.saturating_mul(4));
    let spool = options.spool.as_ref().map_or(0, |spool| {
        spool::memory_limit(spool, largest_event(options))
    });
    queue.saturating_add(batch).saturating_add(spool)
}

/// The worker.
pub(super) async fn work(inner: Arc<Inner>) {
    // Since when there is something to send.
    let mut since = None;
    // When the spool is to be forced to the disk.
    let mut sync_at = None;
    loop {
        if inner.is_abandoned() {
            inner.leave().await;
            return;
        }
        let now = Instant::now();
        let (due, retry) = {
            let queue = inner.lock();
            if queue.stage != Stage::Open {
                return;
            }
            (queue.due(), queue.spool_retry())
        };
        let due = match due {
            Due::Never => {
                since = None;
                None
            }
            Due::Now => Some(now),
            Due::At(at) => Some(at),
            Due::Within => {
                let since = *since.get_or_insert(now);
                Some(
                    since
                        .checked_add(inner.options.flush_interval)
                        .unwrap_or(since),
                )
            }
        };
        if sync_at.is_none() && inner.is_unsynced() {
            sync_at = inner
                .options
                .spool
                .as_ref()
                .and_then(|spool| now.checked_add(spool.fsync.interval()?));
        }
        if sync_at.is_some_and(|at| at <= now) {
            inner.sync_all().await;
            sync_at = None;
            continue;
        }
        if due.is_some_and(|at| at <= now) {
            since = None;
            let pump = inner.pump.lock().await;
            inner.step(inner.options.retry.attempt_timeout).await;
            drop(pump);
            // Where nothing could be sent it is due later now.
            continue;
        }
        // What is in a spool that could not be opened is sent even if nothing is recorded.
        if retry.is_some_and(|at| at <= now) {
            let _pump = inner.pump.lock().await;
            inner.tend_spool();
            continue;
        }
        let next = [due, sync_at, retry].into_iter().flatten().min();
        match next {
            Some(at) => {
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = inner.wake.notified() => {}
                }
            }
            None => inner.wake.notified().await,
        }
    }
}

impl Inner {
    fn is_abandoned(&self) -> bool {
        self.abandoned.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Sends what there is, without waiting for anything.
    async fn leave(&self) {
        let _pump = self.pump.lock().await;
        while self.lock().silence.is_none() {
            let step = self.step(self.options.retry.attempt_timeout).await;
            if step != Step::Sent {
                break;
            }
        }
        let account = self.lock().account;
        if account.queued > 0 {
            tracing::warn!(
                events = account.queued,
                "events were not delivered before the last handle was dropped"
            );
        }
    }

    /// Makes at most one upload, within `time`. The caller holds the pump.
    pub(super) async fn step(&self, time: Duration) -> Step {
        self.tend_spool();
        let batch = loop {
            self.read_back();
            let clock = self.options.clock.now().unix_millis();
            let pick = self.lock().pick(Instant::now(), clock);
            match pick {
                Pick::Send(batch) => break batch,
                Pick::Again => {}
                Pick::Expired(entries) => self.drop_expired(&entries),
                Pick::Wait(until) => return Step::Waiting(until),
            }
        };
        let flight = Flight { inner: self, batch };
        let request = request::upload(&self.options, &self.target, &flight.batch);
        let limits = Limits {
            time: time.min(self.options.retry.attempt_timeout),
            bytes: ANSWER_BYTES,
        };
        let outcome = self.exchange.call(request, limits).await;
        let settlement = flight.land(Verdict::of(&outcome));
        self.tell(settlement);
        Step::Sent
    }

    fn drop_expired(&self, entries: &[Entry]) {
        let mut settlement = Settlement::default();
        self.lock()
            .drop_events(entries, DropCause::Expired, &mut settlement);
        self.tell(settlement);
    }

    /// Opens the spool again if it failed, and writes what it did not take.
    fn tend_spool(&self) {
        self.lock().tend_spool(Instant::now());
        // Others get the lock in between.
        while self.lock().spill() {}
        self.tell_spool_alarm();
    }

    /// Fills the queue from the spool.
    fn read_back(&self) {
        loop {
            let Some((part, room)) = self.lock().next_part(Instant::now()) else {
                return;
            };
            // Files are read without the lock.
            let Ok(loaded) = part.read(room, &self.hasher) else {
                self.lock().note_unreadable();
                self.tell_spool_alarm();
                return;
            };
            let missing = self.lock().note_loaded(loaded);
            let missing = usize::try_from(missing).unwrap_or(usize::MAX);
            self.tell_dropped(DropCause::Damaged, missing);
        }
    }

    /// Whether there are records that the worker must force to the disk.
    fn is_unsynced(&self) -> bool {
        let spool = self.options.spool.as_ref();
        if spool.is_none_or(|spool| spool.fsync.interval().is_none()) {
            return false;
        }
        let written = self.lock().written().unwrap_or(0);
        *self
            .synced
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            < written
    }

    /// Forces the spool to the disk, if the worker is to do that.
    pub(super) async fn sync_all(self: &Arc<Self>) {
        if !self.is_unsynced() {
            return;
        }
        let inner = Arc::clone(self);
        // A disk may take long. It fails only if the runtime ends.
        let _ = tokio::task::spawn_blocking(move || {
            let written = inner.lock().written().unwrap_or(0);
            inner.sync(written);
        })
        .await;
    }

    pub(super) fn perform(&self, chores: Vec<Chore>) {
        let mut failed = false;
        for chore in chores {
            failed |= chore.perform().is_err();
        }
        if failed {
            self.tell_spool_failed();
        }
    }

    fn tell(&self, settlement: Settlement) {
        self.perform(settlement.chores);
        let events = settlement.delivered;
        if events > 0 {
            tracing::debug!(events, "events were delivered");
            self.meter.record(Measurement::EventsDelivered { events });
        }
        for (cause, events) in settlement.dropped {
            if events > 0 {
                tracing::error!(events, cause = cause.as_str(), "events are lost");
            }
            self.tell_dropped(cause, events);
        }
        if let Some(failed) = settlement.failed {
            self.tell_failed(failed);
        }
        self.tell_depth(self.lock().depth());
    }

    fn tell_failed(&self, failed: Failed) {
        let status = failed.status;
        if failed.invalid_key {
            tracing::error!("the service does not know the API key for events; they are kept");
        } else if failed.is_first {
            tracing::warn!(status, "events could not be uploaded; they are kept");
        } else {
            tracing::debug!(status, "events could not be uploaded again");
        }
        self.meter.record(Measurement::UploadFailed { status });
    }
}

/// A batch that is being uploaded. Given up, as when its future is dropped, it goes back to the
/// queue.
struct Flight<'a> {
    inner: &'a Inner,
    batch: Vec<Entry>,
}

impl Flight<'_> {
    fn land(mut self, verdict: Verdict) -> Settlement {
        let batch = std::mem::take(&mut self.batch);
        let inner = self.inner;
        inner
            .lock()
            .settle(batch, verdict, &inner.options, &inner.hasher)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.inner.lock().put_back(batch);
        }
    }
}
