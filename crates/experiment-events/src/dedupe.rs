//! [`DedupeFilter`]: each fact is tracked once.

mod limits;
mod mark;
mod table;

use core::fmt;

use experiment_model::{Text, Timestamp, User};

pub use self::{
    limits::DedupeLimits,
    mark::{Decision, DropReason, Mark},
};
use self::{
    mark::{Said, Standing},
    table::{Key, Table},
};
use crate::{
    assignment::Assignment,
    client_exposure::ClientExposure,
    exposure::Exposure,
    insert_id::utc_day,
    result,
    tuple_hash::{Kind, TupleHash},
};

/// Remembers what was tracked last, so that an unchanged fact is tracked once per window and every
/// change is tracked.
///
/// An exposure is known by user, device and flag, and what is remembered is its variant and experiment
/// key; an assignment is known by user and device, and what is remembered is the result as a whole. A
/// default variant is tracked once, as an unset, if another one stands; the one after it is tracked
/// again. Keys are 128-bit hashes: no ids are kept.
///
/// A decision changes nothing by itself. The caller builds the event with [`Mark::transition`], puts it
/// into a durable queue and then [commits](DedupeFilter::commit) the mark; a queue that drops the event
/// later has it [rolled back](DedupeFilter::rollback), so that the fact is tracked when it is seen
/// again.
///
/// ```
/// use experiment_events::{Decision, DedupeFilter, DedupeLimits, Exposure};
/// use experiment_model::{Timestamp, User, Variant};
///
/// let mut filter = DedupeFilter::new(DedupeLimits::default());
/// let (user, on) = (User::new().with_user_id("user-1"), Variant::new("on"));
/// let exposure = Exposure::new(&user, "checkout", &on);
/// let now = Timestamp::from_unix_millis(1_700_000_000_000);
///
/// if let Decision::Track(mark) = filter.check_exposure(&exposure, now) {
///     // … queue exposure.to_event(now, mark.transition(), &options) …
///     filter.commit(mark);
/// }
/// assert_eq!(filter.check_exposure(&exposure, now), Decision::Drop);
/// ```
///
/// # Time
///
/// The window is fixed: it begins when a value is tracked, and repeats do not prolong it. After it the
/// same value is tracked again with the same transition number; its insert id differs by the day. A
/// clock that was set back by less than the window suppresses until it is one window past the time
/// that was remembered; one that was set back further suppresses nothing.
///
/// # Transition numbers
///
/// The first value of a key has 0 and every change counts one up: A, B, A have 0, 1, 2 and thus three
/// insert ids. A number is given out again only after a rollback, because the event that had it was
/// not delivered. An entry that was evicted, and another process, begin at 0.
///
/// # Threads
///
/// Two threads that check one fact before either commits both get to track it with the same
/// transition number, hence with the same insert id, of which ingestion counts one. Whatever the order
/// of checks, commits and rollbacks: a fact is dropped only while analysis has it, and what is in doubt
/// is tracked.
pub struct DedupeFilter {
    table: Table,
    window_millis: u64,
}

/// When a fact that stands is tracked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// When the window is over.
    AfterWindow,
    /// On the next UTC day, or when the window is over.
    NextDay,
}

impl DedupeFilter {
    /// A filter that remembers nothing yet. Memory is taken as it is needed.
    pub fn new(limits: DedupeLimits) -> Self {
        Self {
            table: Table::new(limits.entries, limits.bytes),
            window_millis: u64::try_from(limits.window.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether to track `exposure`, seen at `now`.
    pub fn check_exposure(&mut self, exposure: &Exposure<'_>, now: Timestamp) -> Decision {
        self.try_exposure(exposure, now).into()
    }

    /// As [`check_exposure`](Self::check_exposure), with the reason of a drop.
    ///
    /// # Errors
    ///
    /// [`DropReason`] if the exposure is not to be tracked.
    pub fn try_exposure(
        &mut self,
        exposure: &Exposure<'_>,
        now: Timestamp,
    ) -> Result<Mark, DropReason> {
        if !exposure.is_tracked() {
            return Err(DropReason::Untracked);
        }
        let variant = exposure.variant;
        let said = if variant.is_default() {
            Said::NOTHING
        } else {
            said(
                Kind::Exposure,
                result::variant_name(variant).as_deref(),
                result::experiment_key(variant).map(Text::as_str),
            )
        };
        let key = key(Kind::Exposure, exposure.user, Some(exposure.flag_key));
        self.decide(key, said, now, Repeat::AfterWindow)
    }

    /// Whether to track `assignment`, seen at `now`. The order of the flags does not matter. The same
    /// result is tracked again on the next UTC day, even if the window is not over: "one Assignment
    /// per evaluated user, per unique evaluation result, per day", says the document on event
    /// tracking.
    pub fn check_assignment(&mut self, assignment: &Assignment<'_>, now: Timestamp) -> Decision {
        self.try_assignment(assignment, now).into()
    }

    /// As [`check_assignment`](Self::check_assignment), with the reason of a drop.
    ///
    /// # Errors
    ///
    /// [`DropReason`] if the assignment is not to be tracked.
    pub fn try_assignment(
        &mut self,
        assignment: &Assignment<'_>,
        now: Timestamp,
    ) -> Result<Mark, DropReason> {
        // A sum does not depend on the order, and needs no sorted copy.
        let sum = assignment
            .variants
            .iter()
            .fold(0_u128, |sum, (flag_key, variant)| {
                let mut tuple = TupleHash::new(Kind::AssignedFlag);
                tuple.text(Some(flag_key));
                tuple.text(result::variant_name(variant).as_deref());
                tuple.text(result::experiment_key(variant).map(Text::as_str));
                tuple.number(u64::from(variant.is_default()));
                sum.wrapping_add(tuple.finish())
            });
        let key = key(Kind::Assignment, assignment.user, None);
        self.decide(key, Said::hashed(sum), now, Repeat::NextDay)
    }

    /// Whether to track the client's `exposure` of `user`, seen at `now`.
    ///
    /// As official clients do, it tracks an unset also if nothing stands (an earlier session may have
    /// set the property), and every [impression](ClientExposure::is_impression).
    pub fn check_client_exposure(
        &mut self,
        user: &User,
        exposure: &ClientExposure,
        now: Timestamp,
    ) -> Decision {
        if !exposure.is_tracked() {
            return Decision::Drop;
        }
        let said = if exposure.is_impression() {
            Said::FORGOTTEN
        } else {
            said(
                Kind::ClientExposure,
                exposure.variant.as_deref(),
                exposure.experiment_key.as_deref(),
            )
        };
        let key = key(Kind::ClientExposure, user, Some(&exposure.flag_key));
        self.decide(key, said, now, Repeat::AfterWindow).into()
    }

    fn decide(
        &mut self,
        key: Key,
        said: Said,
        now: Timestamp,
        repeat: Repeat,
    ) -> Result<Mark, DropReason> {
        let previous = self.table.find(key).map(|slot| slot.standing);
        let transition = match previous {
            None if said == Said::NOTHING => return Err(DropReason::NothingToUnset),
            None => 0,
            Some(standing) if standing.said != said || said == Said::FORGOTTEN => {
                standing.transition.saturating_add(1)
            }
            Some(_) if said == Said::NOTHING => return Err(DropReason::NothingToUnset),
            Some(standing)
                if self.is_fresh(standing.since, now)
                    && (repeat == Repeat::AfterWindow
                        || utc_day(standing.since) == utc_day(now)) =>
            {
                return Err(DropReason::AlreadyTracked);
            }
            Some(standing) => standing.transition,
        };
        let standing = Standing {
            said,
            since: now,
            transition,
        };
        Ok(Mark {
            key,
            standing,
            previous,
        })
    }

    /// Whether `now` is within the window of what was tracked at `since`, before or after it.
    fn is_fresh(&self, since: Timestamp, now: Timestamp) -> bool {
        now.unix_millis().abs_diff(since.unix_millis()) < self.window_millis
    }

    /// Makes `mark` stand: its event is durably queued.
    ///
    /// If another thread has committed the same fact since the check, nothing changes; if it has
    /// committed another one, what stands is not known, and whatever comes next is tracked. What a full
    /// filter evicts for this mark is not brought back by a rollback.
    pub fn commit(&mut self, mark: Mark) {
        let Some(slot) = self.table.find(mark.key) else {
            let slot = self.table.insert(mark.key, mark.standing);
            if let (Some(slot), Some(_)) = (slot, mark.previous) {
                slot.forget_history();
            }
            return;
        };
        let found = slot.standing;
        if Some(found) == mark.previous {
            slot.standing = mark.standing;
            return;
        }
        slot.forget_history();
        if !found.is_same_tracking(&mark.standing) {
            // This event may even have the id of an earlier one, so that ingestion drops it.
            slot.standing = Standing {
                transition: found.transition.max(mark.standing.transition),
                ..mark.standing.forgotten()
            };
        }
    }

    /// Takes back a mark that was committed: its event was dropped and will not be delivered.
    ///
    /// What stood before the commit stands again, unless its event was dropped, too, or another thread
    /// came in between: then whatever comes next is tracked. If something newer was committed since,
    /// that stays.
    pub fn rollback(&mut self, mark: Mark) {
        let Some(slot) = self.table.find(mark.key) else {
            return;
        };
        let found = slot.standing;
        if found != mark.standing {
            slot.lose(mark.standing);
            return;
        }
        match mark.previous {
            _ if slot.has_no_history() => slot.standing = found.forgotten(),
            None => self.table.remove(mark.key),
            Some(previous) if slot.is_lost(previous) => slot.standing = found.forgotten(),
            Some(previous) => slot.standing = previous,
        }
    }

    /// How many keys are remembered, at most [`DedupeLimits::entries`].
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap, at most [`DedupeLimits::bytes`]. While the tables grow, the old ones exist
    /// for a moment, too.
    pub fn memory_used(&self) -> usize {
        self.table.memory_used()
    }
}

impl fmt::Debug for DedupeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupeFilter")
            .field("len", &self.len())
            .field("memory_used", &self.memory_used())
            .field("window_millis", &self.window_millis)
            .finish_non_exhaustive()
    }
}

fn key(kind: Kind, user: &User, flag_key: Option<&str>) -> Key {
    let mut tuple = TupleHash::new(kind);
    tuple.text(user.user_id());
    tuple.text(user.device_id());
    tuple.text(flag_key);
    Key::new(tuple.finish())
}

fn said(kind: Kind, variant: Option<&str>, experiment_key: Option<&str>) -> Said {
    let mut tuple = TupleHash::new(kind);
    tuple.text(variant);
    tuple.text(experiment_key);
    Said::hashed(tuple.finish())
}
