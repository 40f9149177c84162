//! [`CohortSet`]: the members of a cohort, eight and a half bytes each.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

/// Members per entry of the index, on average: one look finds the entry, and its members fit in two
/// or three cache lines.
const MEMBERS_PER_ENTRY: usize = 16;

/// Up to so many members are looked at one by one, which is faster than a binary search: no look
/// waits for the one before. More are under one entry only if fingerprints are not random.
const LOOKED_THROUGH: usize = 128;

/// Who is in a cohort, without their ids: a 64-bit fingerprint of each, in order, and an index over
/// them, together at most 8.6 bytes per member from 1,000 members on.
///
/// Every member is found. Somebody who is none is taken for one with probability n / 2^64 for a
/// cohort of n: 5.5e-14 for a million members, and below 1e-9 up to 1.8e10. That holds for any ids,
/// also for those that somebody chooses in order to be taken for a member: the fingerprint is
/// SipHash-2-4 under a 128-bit key, which is drawn anew for every set from the randomness of the
/// operating system and leaves the process in the last-known-good file at most.
///
/// ```
/// use experiment_client::CohortSet;
///
/// let members: CohortSet = ["user-1", "user-2", "user-1"].into_iter().collect();
/// assert_eq!(members.len(), 2);
/// assert!(members.contains("user-1"));
/// assert!(!members.contains("user-3"));
/// ```
#[derive(Clone, Default)]
pub struct CohortSet {
    key: Key,
    /// Ascending, each once.
    fingerprints: Box<[u64]>,
    /// Where the fingerprints start whose highest bits are the position in this list, and at the end
    /// how many there are; empty for small sets.
    index: Box<[usize]>,
}

impl CohortSet {
    /// How many different ids were collected.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// Whether `id` was collected, with the error bound that the type states.
    pub fn contains(&self, id: &str) -> bool {
        let fingerprint = self.key.fingerprint(id);
        let nearby = self.nearby(fingerprint);
        if nearby.len() <= LOOKED_THROUGH {
            nearby.contains(&fingerprint)
        } else {
            nearby.binary_search(&fingerprint).is_ok()
        }
    }

    /// The fingerprints among which this one would be.
    fn nearby(&self, fingerprint: u64) -> &[u64] {
        let entries = self.index.len().saturating_sub(1);
        if entries == 0 {
            return &self.fingerprints;
        }
        let entry = entry_of(fingerprint, entries);
        let bounds = self.index.get(entry..=entry.saturating_add(1));
        match bounds {
            Some(&[start, end]) => self.fingerprints.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The set of these fingerprints; `None` if they are not in order.
    pub(crate) fn from_parts(key: Key, fingerprints: Vec<u64>) -> Option<Self> {
        let ascending = fingerprints.is_sorted_by(|a, b| a < b);
        ascending.then(|| Self::index(key, fingerprints))
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn fingerprints(&self) -> &[u64] {
        &self.fingerprints
    }

    fn index(key: Key, fingerprints: Vec<u64>) -> Self {
        let fingerprints = fingerprints.into_boxed_slice();
        let entries = fingerprints
            .len()
            .checked_div(MEMBERS_PER_ENTRY)
            .unwrap_or_default();
        let mut index = Vec::new();
        if entries > 1 {
            index.reserve_exact(entries.saturating_add(1));
            index.push(0);
            for (position, fingerprint) in fingerprints.iter().enumerate() {
                let entry = entry_of(*fingerprint, entries);
                while index.len() <= entry {
                    index.push(position);
                }
            }
            index.resize(entries.saturating_add(1), fingerprints.len());
        }
        Self {
            key,
            fingerprints,
            index: index.into_boxed_slice(),
        }
    }
}

/// Which of `entries` equal parts of all numbers a fingerprint falls in.
fn entry_of(fingerprint: u64, entries: usize) -> usize {
    let scaled = u128::from(fingerprint).saturating_mul(entries as u128) >> 64;
    // Below `entries`, since the fingerprint is below 2^64.
    usize::try_from(scaled).unwrap_or_default()
}

/// Tells how many, not whom.
impl fmt::Debug for CohortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CohortSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T: AsRef<str>> FromIterator<T> for CohortSet {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> Self {
        let mut builder = CohortSetBuilder::new();
        for id in ids {
            builder.push(id.as_ref());
        }
        builder.finish()
    }
}

/// Collects a [`CohortSet`] one id at a time, in any order; the same id may come again.
///
/// ```
/// use experiment_client::CohortSetBuilder;
///
/// let mut builder = CohortSetBuilder::new();
/// builder.push("user-1");
/// assert!(builder.finish().contains("user-1"));
/// ```
pub struct CohortSetBuilder {
    key: Key,
    fingerprints: Vec<u64>,
}

impl CohortSetBuilder {
    /// Nobody yet, and a new key.
    pub fn new() -> Self {
        Self {
            key: Key::random(),
            fingerprints: Vec::new(),
        }
    }

    /// Adds a member.
    pub fn push(&mut self, id: &str) {
        self.fingerprints.push(self.key.fingerprint(id));
    }

    /// The set of all that were added. Sorting a million takes some 20 ms.
    pub fn finish(mut self) -> CohortSet {
        self.fingerprints.sort_unstable();
        self.fingerprints.dedup();
        CohortSet::index(self.key, self.fingerprints)
    }
}

impl Default for CohortSetBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells how many, not whom.
impl fmt::Debug for CohortSetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CohortSetBuilder")
            .field("pushed", &self.fingerprints.len())
            .finish_non_exhaustive()
    }
}

/// What fingerprints are made with.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u64, pub(crate) u64);

impl Key {
    /// `RandomState` is keyed by the operating system; what it makes of two numbers tells neither
    /// its key nor one from the other.
    fn random() -> Self {
        let state = RandomState::new();
        Self(state.hash_one(0_u8), state.hash_one(1_u8))
    }

    #[expect(
        deprecated,
        reason = "the one hasher of std that is specified (SipHash-2-4) and takes a key: sets are \
                  kept in files, across versions"
    )]
    fn fingerprint(self, id: &str) -> u64 {
        let mut hasher = std::hash::SipHasher::new_with_keys(self.0, self.1);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation of SipHash-2-4: key 00 01 … 0f, input 00 01 … n-1.
    #[test]
    fn fingerprints_are_those_of_the_published_vectors() {
        let key = Key(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        for (length, expected) in [
            (0_u8, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
        ] {
            let input: String = (0..length).map(char::from).collect();
            assert_eq!(key.fingerprint(&input), expected, "{length}");
        }
    }

    #[test]
    fn two_sets_of_the_same_ids_have_nothing_in_common() {
        let [a, b] = [(), ()].map(|()| CohortSet::from_iter(["a", "b", "c"]));
        assert!(a.key() != b.key());
        assert!(
            a.fingerprints()
                .iter()
                .all(|it| !b.fingerprints().contains(it))
        );
    }

    #[test]
    fn fingerprints_out_of_order_are_no_set() {
        assert!(CohortSet::from_parts(Key(1, 2), vec![1, 2, 3]).is_some());
        assert!(CohortSet::from_parts(Key(1, 2), vec![1, 1]).is_none());
        assert!(CohortSet::from_parts(Key(1, 2), vec![2, 1]).is_none());
    }

    #[test]
    fn the_ends_of_the_range_are_found_through_the_index() {
        let mut fingerprints: Vec<u64> = (0..1000).map(|n| n << 20).collect();
        fingerprints.extend((0..1000).map(|n| u64::MAX - 999 + n));
        let set = CohortSet::from_parts(Key(1, 2), fingerprints.clone()).expect("in order");
        assert!(!set.index.is_empty());
        for fingerprint in fingerprints {
            assert!(set.nearby(fingerprint).contains(&fingerprint));
        }
    }
}
