//! [`Tally`]: what became of the users, and what should have become of them.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use experiment_evaluation::{Explanation, SegmentOutcome};
use experiment_model::{Flag, Segment};

use super::{
    FEWEST_EXPECTED, NO_VARIANT, Place, Row, Split, Test, chi_square, count, label_of,
    shares::{Shares, shares},
};
use crate::page::printable;

/// Less than this of a user is a rounding error of sums.
const NOBODY: f64 = 1e-6;

/// Counts users.
///
/// A user goes from segment to segment. Where one splits them, chance decides; everywhere else the
/// flag does. So expectations are made for the users that arrive at a split, and what the flag
/// decides is expected as it is observed.
pub(super) struct Tally<'f> {
    flag: &'f Flag,
    users: u64,
    observed: BTreeMap<String, u64>,
    groups: Vec<Group>,
    /// How many users went which way.
    ways: BTreeMap<Way, u64>,
    hasher: RandomState,
}

/// Users that arrive at one split with the same chances.
struct Group {
    /// The segments that hashed them the same before, and then the one that splits them.
    segments: Vec<usize>,
    property: String,
    shares: Shares,
    arrived: u64,
    /// Users whom this split gave no variant.
    left: u64,
    /// Hashes of the values that were split; users with the same one are split together.
    values: HashSet<u64>,
    /// How many of the values got which variant, or none.
    outcomes: BTreeMap<Option<String>, u64>,
}

/// The splits that gave a user no variant, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    left: Vec<usize>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// A split, a position in the groups, gave a variant.
    Split(usize),
    /// A segment gave this variant to everybody.
    Fixed(String),
    /// No segment gave one.
    Nothing,
}

impl<'f> Tally<'f> {
    pub(super) fn new(flag: &'f Flag) -> Self {
        Self {
            flag,
            users: 0,
            observed: BTreeMap::new(),
            groups: Vec::new(),
            ways: BTreeMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// How many users were counted.
    pub(super) fn users(&self) -> u64 {
        self.users
    }

    /// Counts a user.
    pub(super) fn add(&mut self, explanation: &Explanation<'_>) {
        increment(&mut self.users);
        let label = explanation
            .variant()
            .map_or_else(|| NO_VARIANT.to_owned(), label_of);
        increment(self.observed.entry(label).or_default());
        let mut way = Way {
            left: Vec::new(),
            end: End::Nothing,
        };
        let mut hashed: Vec<usize> = Vec::new();
        for step in explanation.segments() {
            if step.outcome() == SegmentOutcome::NotTargeted {
                continue;
            }
            let variant = step.variant().map(label_of);
            let Some((bucket, value)) = step.bucket().and_then(|bucket| {
                Some((bucket, bucket.value().filter(|value| !value.is_empty())?))
            }) else {
                if let Some(variant) = variant {
                    way.end = End::Fixed(variant);
                }
                continue;
            };
            let at = self.group(step.index(), &hashed, bucket.selector().to_string());
            hashed.push(step.index());
            let value = self.hasher.hash_one(value);
            let Some(group) = self.groups.get_mut(at) else {
                continue;
            };
            increment(&mut group.arrived);
            if variant.is_some() {
                way.end = End::Split(at);
            } else {
                increment(&mut group.left);
                way.left.push(at);
            }
            if group.values.insert(value) {
                increment(group.outcomes.entry(variant).or_default());
            }
        }
        increment(self.ways.entry(way).or_default());
    }

    /// The group of users at a segment, of whom those in `hashed` have seen the hash before.
    fn group(&mut self, index: usize, hashed: &[usize], property: String) -> usize {
        let bucket = |index: &usize| self.flag.segments.get(*index)?.bucket.as_ref();
        let same = |other: &&usize| match (bucket(other), bucket(&index)) {
            (Some(a), Some(b)) => a.salt == b.salt && a.selector == b.selector,
            _ => false,
        };
        let mut segments: Vec<usize> = hashed.iter().filter(same).copied().collect();
        segments.push(index);
        let known = self
            .groups
            .iter()
            .position(|group| group.segments == segments);
        known.unwrap_or_else(|| {
            let of = |index: &usize| self.flag.segments.get(*index);
            let all: Vec<&Segment> = segments.iter().filter_map(of).collect();
            let shares = match all.split_last() {
                Some((segment, before)) => shares(self.flag, segment, before),
                None => Shares::default(),
            };
            self.groups.push(Group {
                segments,
                property,
                shares,
                arrived: 0,
                left: 0,
                values: HashSet::new(),
                outcomes: BTreeMap::new(),
            });
            self.groups.len().saturating_sub(1)
        })
    }

    /// The counts beside the expectations.
    pub(super) fn finish(&self, users: &str) -> Split {
        let expected = self.expected();
        let total = count(self.users).max(1.0);
        let mut labels: Vec<String> = Vec::new();
        for (_, variant) in self.flag.variants.iter() {
            let label = label_of(variant);
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        labels.push(NO_VARIANT.to_owned());
        let rows = labels.into_iter().map(|label| {
            let observed = self.observed.get(&label).copied().unwrap_or_default();
            let expected = expected.get(&label).copied().unwrap_or_default();
            Row {
                observed,
                expected,
                observed_share: count(observed) / total,
                expected_share: expected / total,
                label,
            }
        });
        Split {
            flag: printable(&self.flag.key).into_owned(),
            users: users.to_owned(),
            rows: rows
                .filter(|row| row.observed > 0 || row.expected > NOBODY)
                .collect(),
            places: self.groups.iter().map(|group| self.place(group)).collect(),
            test: self.test(),
        }
    }

    /// How many users each variant should have.
    ///
    /// A user who was left over by a split counts as much as users should have been left over by
    /// it, for each that was: so the expectations behind it add up.
    fn expected(&self) -> BTreeMap<String, f64> {
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        let mut arrived = vec![0.0; self.groups.len()];
        for (way, &users) in &self.ways {
            let mut weight = count(users);
            for &at in &way.left {
                if let (Some(place), Some(group)) = (arrived.get_mut(at), self.groups.get(at)) {
                    *place += weight;
                    weight *= group.shares.rest * count(group.arrived) / count(group.left.max(1));
                }
            }
            match &way.end {
                End::Split(at) => {
                    if let Some(place) = arrived.get_mut(*at) {
                        *place += weight;
                    }
                }
                End::Fixed(variant) => *expected.entry(variant.clone()).or_default() += weight,
                End::Nothing => {}
            }
        }
        for (group, arrived) in self.groups.iter().zip(arrived) {
            for (variant, share) in &group.shares.variants {
                *expected.entry(variant.clone()).or_default() += arrived * share;
            }
        }
        let given: f64 = expected.values().sum();
        expected.insert(NO_VARIANT.to_owned(), (count(self.users) - given).max(0.0));
        expected
    }

    fn place(&self, group: &Group) -> Place {
        let index = group.segments.last().copied().unwrap_or_default();
        let metadata = self
            .flag
            .segments
            .get(index)
            .and_then(|segment| segment.metadata.as_ref());
        let name = metadata.and_then(|metadata| metadata.get("segmentName")?.as_str());
        Place {
            segment: match name {
                Some(name) => format!("segment {index} \"{}\"", printable(name)),
                None => format!("segment {index}"),
            },
            property: printable(&group.property).into_owned(),
            arrived: group.arrived,
            distinct: group.values.len() as u64,
        }
    }

    /// The chi-square test over the outcomes of all splits, value by value.
    fn test(&self) -> Option<Test> {
        let mut test = Test {
            statistic: 0.0,
            degrees: 0,
            p: 1.0,
            too_few: false,
        };
        for group in &self.groups {
            let values = count(group.values.len() as u64);
            let shares = group.shares.variants.iter();
            let cells = shares
                .map(|(variant, share)| (Some(variant.clone()), *share))
                .chain([(None, group.shares.rest)])
                .filter(|(_, share)| *share > 0.0);
            let mut possible = 0_u32;
            for (outcome, share) in cells {
                possible = possible.saturating_add(1);
                let expected = values * share;
                let observed = group.outcomes.get(&outcome).copied().unwrap_or_default();
                let difference = count(observed) - expected;
                test.statistic += difference * difference / expected;
                test.too_few |= share < 1.0 && expected < FEWEST_EXPECTED;
            }
            test.degrees = test.degrees.saturating_add(possible.saturating_sub(1));
        }
        if test.degrees == 0 {
            return None;
        }
        test.p = chi_square::survival(test.statistic, test.degrees);
        Some(test)
    }
}

fn increment(count: &mut u64) {
    *count = count.saturating_add(1);
}
