//! What becomes of a batch when its answer has come.

use std::time::Duration;

use tokio::time::Instant;

use super::{Queue, Silence};
use crate::{
    account::DropCause,
    delivery::{
        answer::{Named, Verdict},
        event::{Entry, IdHasher},
        options::DeliveryOptions,
        spool::Chore,
    },
    error::LONGEST_SILENCE,
    exchange::deadline,
};

/// How long to wait where only people can change the answer, at most; at least half of it.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);

/// How long a user or device waits whose quota is used up. The quota is one of the last 24 hours,
/// so that a part of it becomes free all the time.
const QUOTA_PAUSE: Duration = Duration::from_secs(3_600);

/// What happened to a batch, to be told when the queue is no longer locked.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Settlement {
    pub(in crate::delivery) delivered: usize,
    pub(in crate::delivery) dropped: Vec<(DropCause, usize)>,
    /// The upload will be repeated.
    pub(in crate::delivery) failed: Option<Failed>,
    pub(in crate::delivery) chores: Vec<Chore>,
}

/// Why an upload will be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Failed {
    pub(in crate::delivery) status: Option<u16>,
    /// The service does not know the API key.
    pub(in crate::delivery) invalid_key: bool,
    /// The last upload did not fail.
    pub(in crate::delivery) is_first: bool,
}

impl Queue {
    /// Does with a batch what the answer to it means.
    pub(in crate::delivery) fn settle(
        &mut self,
        batch: Vec<Entry>,
        verdict: Verdict,
        options: &DeliveryOptions,
        hasher: &IdHasher,
    ) -> Settlement {
        let mut settlement = Settlement::default();
        match verdict {
            Verdict::Accepted => {
                self.deliver(&batch, &mut settlement);
                self.grow_batch();
                self.failures = 0;
            }
            Verdict::Hopeless(named) => {
                let (hopeless, rest) = split(batch, &Marks::of(&named, hasher));
                if hopeless.is_empty() {
                    // It names nothing that was sent.
                    self.narrow_down(rest, &mut settlement);
                } else {
                    self.drop_events(&hopeless, DropCause::Invalid, &mut settlement);
                    self.put_back(rest);
                }
            }
            Verdict::HopelessRequest => {
                self.drop_events(&batch, DropCause::Invalid, &mut settlement);
            }
            Verdict::Unexplained => self.narrow_down(batch, &mut settlement),
            Verdict::TooLarge => self.halve(batch, &mut settlement),
            Verdict::Throttled {
                throttled,
                exhausted,
                retry_after,
            } => {
                let marks = Marks::of(&throttled, hasher);
                let quota = Marks::of(&exhausted, hasher);
                let pause = options.ingestion.throttle_pause();
                let paused = self.pause(&batch, &marks, &quota, pause);
                self.put_back(batch);
                if !paused || retry_after.is_some() {
                    self.fail(Some(429), retry_after, options, &mut settlement);
                }
            }
            Verdict::Busy {
                status,
                retry_after,
            } => {
                self.put_back(batch);
                self.fail(status, retry_after, options, &mut settlement);
            }
            Verdict::Refused {
                status,
                invalid_key,
                retry_after,
            } => {
                self.put_back(batch);
                self.fail(Some(status), retry_after, options, &mut settlement);
                if let Some(failed) = &mut settlement.failed {
                    failed.invalid_key = invalid_key;
                }
                if retry_after.is_none() {
                    let pause = REFUSED_PAUSE.mul_f64(1.0 - fastrand::f64() / 2.0);
                    self.silence = Some(Silence {
                        until: deadline(pause),
                        asked: false,
                    });
                }
            }
        }
        settlement
    }

    fn deliver(&mut self, batch: &[Entry], settlement: &mut Settlement) {
        let chores = self.remove(batch);
        settlement.chores.extend(chores);
        settlement.delivered = batch.len();
        let delivered = &mut self.account.delivered;
        *delivered = delivered.saturating_add(batch.len() as u64);
    }

    /// Drops events that were in the queue.
    pub(in crate::delivery) fn drop_events(
        &mut self,
        events: &[Entry],
        cause: DropCause,
        settlement: &mut Settlement,
    ) {
        let chores = self.remove(events);
        settlement.chores.extend(chores);
        settlement.dropped.push((cause, events.len()));
        self.account.dropped.add(cause, events.len() as u64);
    }

    /// Sends a batch again in two parts, until a part is a single event, which is dropped: something
    /// in it can never be accepted.
    fn narrow_down(&mut self, batch: Vec<Entry>, settlement: &mut Settlement) {
        if batch.len() <= 1 {
            self.drop_events(&batch, DropCause::Invalid, settlement);
            // Half of the last part may still be to be sent, and was not the cause.
            self.grow_batch();
        } else {
            self.batch.events = batch.len() / 2;
            self.put_back(batch);
        }
    }

    /// Sends a batch again in two parts, because it is too large.
    fn halve(&mut self, batch: Vec<Entry>, settlement: &mut Settlement) {
        if batch.len() <= 1 {
            self.drop_events(&batch, DropCause::TooLarge, settlement);
            return;
        }
        let bytes = batch.iter().fold(0, |bytes: usize, entry| {
            bytes.saturating_add(entry.json.len()).saturating_add(1)
        });
        self.batch.bytes = bytes / 2;
        self.put_back(batch);
    }

    /// Pauses the marked events; whether there are any.
    fn pause(&mut self, batch: &[Entry], marks: &Marks, quota: &Marks, pause: Duration) -> bool {
        let now = Instant::now();
        let mut paused = false;
        for (index, entry) in batch.iter().enumerate() {
            let pause = if quota.has(index, entry) {
                QUOTA_PAUSE
            } else if marks.has(index, entry) {
                pause
            } else {
                continue;
            };
            if self.has_room_for_pause() {
                self.pauses.add(entry.who, now, pause);
                paused = true;
            }
        }
        paused
    }

    fn fail(
        &mut self,
        status: Option<u16>,
        retry_after: Option<Duration>,
        options: &DeliveryOptions,
        settlement: &mut Settlement,
    ) {
        settlement.failed = Some(Failed {
            status,
            invalid_key: false,
            is_first: self.failures == 0,
        });
        self.failures = self.failures.saturating_add(1);
        let asked = retry_after.map(|time| time.min(LONGEST_SILENCE));
        self.silence = Some(Silence {
            until: deadline(options.retry.wait(self.failures, asked)),
            asked: asked.is_some(),
        });
    }
}

/// Which events of a batch an answer names.
struct Marks {
    events: Vec<usize>,
    users: Vec<u64>,
    devices: Vec<u64>,
}

impl Marks {
    fn of(named: &Named, hasher: &IdHasher) -> Self {
        let sorted = |mut ids: Vec<u64>| {
            ids.sort_unstable();
            ids
        };
        let known = |ids: &[String]| sorted(ids.iter().map(|id| hasher.of(id)).collect());
        let mut events = named.events.clone();
        events.sort_unstable();
        Self {
            events,
            users: known(&named.users),
            devices: known(&named.devices),
        }
    }

    fn has(&self, index: usize, entry: &Entry) -> bool {
        self.events.binary_search(&index).is_ok()
            || self.users.binary_search(&entry.who.user).is_ok()
            || self.devices.binary_search(&entry.who.device).is_ok()
    }
}

/// The marked events, and the others.
fn split(batch: Vec<Entry>, marks: &Marks) -> (Vec<Entry>, Vec<Entry>) {
    let mut marked = Vec::new();
    let mut others = Vec::new();
    for (index, entry) in batch.into_iter().enumerate() {
        if marks.has(index, &entry) {
            marked.push(entry);
        } else {
            others.push(entry);
        }
    }
    (marked, others)
}
