//! [`Table`]: what stands, by key, bounded, with the least recently seen evicted first.

use alloc::{vec, vec::Vec};
use core::{hash::BuildHasher, mem::size_of};

use foldhash::fast::RandomState;

use super::mark::Standing;

/// No slot.
const NONE: u32 = u32::MAX;

/// How many slots a table begins with.
const FIRST_SLOTS: usize = 16;

/// A key: 128 bits of a hash over the ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u64; 2]);

impl Key {
    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(super) fn new(hash: u128) -> Self {
        Self([hash as u64, (hash >> 64) as u64])
    }
}

/// One key and what stands for it.
pub(super) struct Slot {
    key: Key,
    pub(super) standing: Standing,
    /// The highest transition number that was rolled back under a newer one, plus one; the maximum
    /// also once threads have got in each other's way.
    lost: u32,
    /// The slot seen next after this one, and the one seen last before it.
    newer: u32,
    older: u32,
    /// The next slot of the same bucket, or the next free one.
    next: u32,
}

impl Slot {
    /// Remembers that the event of `standing` was dropped while a newer one stands.
    pub(super) fn lose(&mut self, standing: Standing) {
        self.lost = self.lost.max(standing.transition.saturating_add(1));
    }

    /// Remembers that what marks know of the past is not all of it.
    pub(super) fn forget_history(&mut self) {
        self.lost = u32::MAX;
    }

    /// Whether what marks know of the past is not all of it.
    pub(super) fn has_no_history(&self) -> bool {
        self.lost == u32::MAX
    }

    /// Whether the event of `standing` was dropped.
    pub(super) fn is_lost(&self, standing: Standing) -> bool {
        standing.transition < self.lost
    }
}

/// A hash table with chains through one list of slots, which is also a list in order of use.
///
/// It is our own so that its bytes are known before it grows. Where a key goes depends on a random
/// state: who chooses ids cannot choose collisions.
pub(super) struct Table {
    slots: Vec<Slot>,
    /// First slot of each bucket; the number of buckets is a power of two, or 0.
    buckets: Vec<u32>,
    newest: u32,
    oldest: u32,
    free: u32,
    len: usize,
    /// Most slots there may be.
    limit: usize,
    state: RandomState,
}

impl Table {
    pub(super) fn new(entries: usize, bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            buckets: Vec::new(),
            newest: NONE,
            oldest: NONE,
            free: NONE,
            len: 0,
            limit: most_slots(entries, bytes),
            state: RandomState::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_used(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        let buckets = self.buckets.capacity().saturating_mul(size_of::<u32>());
        slots.saturating_add(buckets)
    }

    /// The slot of `key`, which counts as seen now.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut Slot> {
        let mut at = *self.buckets.get(self.bucket(key)?)?;
        while let Some(slot) = self.slots.get(at as usize) {
            if slot.key == key {
                if at != self.newest {
                    self.unlink(at);
                    self.link_as_newest(at);
                }
                return self.slots.get_mut(at as usize);
            }
            at = slot.next;
        }
        None
    }

    /// Adds a key that is not there, and returns its slot, if there may be any.
    pub(super) fn insert(&mut self, key: Key, standing: Standing) -> Option<&mut Slot> {
        if self.limit == 0 {
            return None;
        }
        if self.len >= self.limit {
            if let Some(oldest) = self.slots.get(self.oldest as usize) {
                self.remove(oldest.key);
            }
        }
        let mut slot = Slot {
            key,
            standing,
            lost: 0,
            newer: NONE,
            older: NONE,
            next: NONE,
        };
        let at = if let Some(place) = self.slots.get_mut(self.free as usize) {
            let at = self.free;
            self.free = place.next;
            *place = slot;
            at
        } else {
            self.grow();
            let at = u32::try_from(self.slots.len()).unwrap_or(NONE);
            slot.next = NONE;
            self.slots.push(slot);
            at
        };
        self.len = self.len.saturating_add(1);
        self.link_as_newest(at);
        self.link_to_bucket(at);
        self.slots.get_mut(at as usize)
    }

    pub(super) fn remove(&mut self, key: Key) {
        let Some(bucket) = self.bucket(key) else {
            return;
        };
        let mut before = NONE;
        let mut at = self.buckets.get(bucket).copied().unwrap_or(NONE);
        while let Some(slot) = self.slots.get(at as usize) {
            let next = slot.next;
            if slot.key != key {
                (before, at) = (at, next);
                continue;
            }
            if let Some(before) = self.slots.get_mut(before as usize) {
                before.next = next;
            } else if let Some(first) = self.buckets.get_mut(bucket) {
                *first = next;
            }
            self.unlink(at);
            if let Some(slot) = self.slots.get_mut(at as usize) {
                slot.next = self.free;
                self.free = at;
            }
            self.len = self.len.saturating_sub(1);
            return;
        }
    }

    fn bucket(&self, key: Key) -> Option<usize> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the low bits choose the bucket"
        )]
        let hash = self.state.hash_one(key) as usize;
        Some(hash & self.buckets.len().checked_sub(1)?)
    }

    /// Makes room for one more slot, within the limit.
    fn grow(&mut self) {
        if self.slots.len() < self.slots.capacity() {
            return;
        }
        let doubled = self.slots.len().saturating_mul(2).max(FIRST_SLOTS);
        let slots = doubled.min(self.limit);
        self.slots
            .reserve_exact(slots.saturating_sub(self.slots.len()));
        let buckets = bucket_count(slots);
        if buckets > self.buckets.len() {
            self.buckets = vec![NONE; buckets];
            for at in 0..u32::try_from(self.slots.len()).unwrap_or(NONE) {
                self.link_to_bucket(at);
            }
        }
    }

    fn link_to_bucket(&mut self, at: u32) {
        let Some(slot) = self.slots.get(at as usize) else {
            return;
        };
        let Some(bucket) = self.bucket(slot.key) else {
            return;
        };
        if let (Some(slot), Some(first)) = (
            self.slots.get_mut(at as usize),
            self.buckets.get_mut(bucket),
        ) {
            slot.next = *first;
            *first = at;
        }
    }

    fn link_as_newest(&mut self, at: u32) {
        let older = self.newest;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.newer, slot.older) = (NONE, older);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Some(&Slot { newer, older, .. }) = self.slots.get(at as usize) else {
            return;
        };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn bucket_count(slots: usize) -> usize {
    slots.checked_next_power_of_two().unwrap_or(usize::MAX)
}

/// The largest table, in slots, of at most so many entries and bytes.
fn most_slots(entries: usize, bytes: usize) -> usize {
    let fits = |slots: usize| {
        let slot_bytes = slots.saturating_mul(size_of::<Slot>());
        let bucket_bytes = bucket_count(slots).saturating_mul(size_of::<u32>());
        slot_bytes.saturating_add(bucket_bytes) <= bytes
    };
    let most = entries.min(bytes.checked_div(size_of::<Slot>()).unwrap_or(0));
    let most = most.min(NONE as usize);
    if most == 0 || fits(most) {
        return most;
    }
    // Fitting is monotone: every smaller table takes no more bytes.
    let (mut fitting, mut too_many) = (0, most);
    while too_many.saturating_sub(fitting) > 1 {
        let middle = fitting.midpoint(too_many);
        if fits(middle) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use experiment_model::Timestamp;

    use super::{super::mark::Said, *};

    fn standing(transition: u32) -> Standing {
        Standing {
            said: Said::NOTHING,
            since: Timestamp::default(),
            transition,
        }
    }

    fn key(n: u64) -> Key {
        Key([n, n])
    }

    #[test]
    fn the_least_recently_seen_is_evicted() {
        let mut table = Table::new(3, usize::MAX);
        for n in 0..3 {
            table.insert(key(n), standing(0));
        }
        assert!(table.find(key(0)).is_some());
        table.insert(key(3), standing(0));
        let kept: Vec<u64> = (0..4).filter(|&n| table.find(key(n)).is_some()).collect();
        assert_eq!(kept, [0, 2, 3]);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn slots_of_removed_keys_are_used_again() {
        let mut table = Table::new(1000, usize::MAX);
        for round in 0..50 {
            for n in 0..40 {
                table.insert(key(n), standing(round));
            }
            for n in (0..40).rev() {
                assert!(
                    table
                        .find(key(n))
                        .is_some_and(|it| it.standing.transition == round)
                );
                table.remove(key(n));
                assert!(table.find(key(n)).is_none());
            }
            assert_eq!(table.len(), 0);
        }
        assert_eq!(table.slots.len(), 40);
    }

    #[test]
    fn a_table_fills_its_bytes_and_no_more() {
        for bytes in [0, 59, 60, 119, 120, 1000, 10_000, 123_456] {
            let mut table = Table::new(usize::MAX, bytes);
            for n in 0..5000 {
                table.insert(key(n), standing(0));
                assert!(table.memory_used() <= bytes, "{bytes}");
            }
            assert_eq!(table.len(), table.limit);
            let one_more =
                bucket_count(table.limit + 1) * 4 + (table.limit + 1) * size_of::<Slot>();
            assert!(one_more > bytes, "{bytes}");
        }
        assert_eq!(most_slots(usize::MAX, usize::MAX), NONE as usize);
        assert_eq!(most_slots(65_536, 4 << 20), 65_536);
    }
}
