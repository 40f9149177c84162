//! Ranges of allocations and distributions: whom they take, twice or not at all.

use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

use experiment_model::{Allocation, Bucket, Distribution};

use super::Findings;
use crate::{bucket::SLOTS, diagnostic::Code};

/// Distributions divide the hash into this many points (model 2.1.1, "Distribution").
const POINTS: i64 = 42_949_673;

/// Neighbours may overlap or miss each other by this many points: Amplitude rounds every bound by
/// itself, `[0, 42520177]` and `[42520175, 42949673]` stand in a real flag.
const SEAM: i64 = 2;

/// Allocations behind these are not compared with each other; there are only 100 slots to divide.
const COMPARED: usize = 100;

pub(super) fn check(findings: &mut Findings<'_>) {
    let flag = findings.flag;
    for (index, segment) in flag.segments.iter().enumerate() {
        if let Some(bucket) = &segment.bucket {
            let path = format!("segments[{index}].bucket");
            check_bucket(findings, &path, bucket);
        }
    }
}

fn check_bucket(findings: &mut Findings<'_>, path: &str, bucket: &Bucket) {
    for (index, allocation) in bucket.allocations.iter().enumerate() {
        let path = format!("{path}.allocations[{index}]");
        check_bounds(findings, &path, &allocation.range, i64::from(SLOTS));
        for (index, distribution) in allocation.distributions.iter().enumerate() {
            let path = format!("{path}.distributions[{index}]");
            check_bounds(findings, &path, &distribution.range, POINTS);
        }
        check_overlaps(findings, &path, &allocation.distributions);
        check_gaps(findings, &path, bucket, index, allocation);
    }
    check_allocations(findings, path, &bucket.allocations);
}

/// A range by itself. One that is no pair is a finding of compiling.
fn check_bounds(findings: &mut Findings<'_>, path: &str, pair: &[i64], limit: i64) {
    let &[start, end, ..] = pair else {
        return;
    };
    let path = || format!("{path}.range");
    if start > end {
        let message = format!("[{start}, {end}] starts behind its end");
        findings.push(Code::InvertedRange, path(), message);
    } else if start == end {
        let message = format!("[{start}, {end}] takes no users");
        findings.push(Code::EmptyRange, path(), message);
    }
    if start.min(end) < 0 || start.max(end) > limit {
        let message = format!("[{start}, {end}] reaches beyond [0, {limit}]");
        findings.push(Code::RangeOutOfBounds, path(), message);
    }
}

/// The part of a range that can take users; `None` if that is nothing.
fn taking(pair: &[i64], limit: i64) -> Option<Range<i64>> {
    let &[start, end, ..] = pair else {
        return None;
    };
    let range = start.max(0)..end.min(limit);
    (!range.is_empty()).then_some(range)
}

/// The points that distributions take, by start, with the position of each distribution.
fn points(distributions: &[Distribution]) -> Vec<(Range<i64>, usize)> {
    let mut points: Vec<(Range<i64>, usize)> = distributions
        .iter()
        .enumerate()
        .filter_map(|(index, distribution)| Some((taking(&distribution.range, POINTS)?, index)))
        .collect();
    points.sort_by_key(|(range, index)| (range.start, *index));
    points
}

fn overlap(a: &Range<i64>, b: &Range<i64>) -> i64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start)).max(0)
}

/// Distributions of one allocation that take the same points: the first in the list gets them.
fn check_overlaps(findings: &mut Findings<'_>, path: &str, distributions: &[Distribution]) {
    let mut furthest: Option<(Range<i64>, usize)> = None;
    for (range, index) in points(distributions) {
        if let Some((reach, other)) = &furthest {
            let shared = overlap(reach, &range);
            if shared > SEAM {
                let (first, second) = (index.min(*other), index.max(*other));
                let (start, end) = (range.start, range.start.saturating_add(shared));
                let message = format!(
                    "{shared} points, [{start}, {end}), belong to distribution {first} already"
                );
                let path = format!("{path}.distributions[{second}].range");
                findings.push(Code::OverlappingRanges, path, message);
            }
        }
        if furthest
            .as_ref()
            .is_none_or(|(reach, _)| reach.end < range.end)
        {
            furthest = Some((range, index));
        }
    }
}

/// Points of an allocation that neither its distributions nor those of another allocation take.
fn check_gaps(
    findings: &mut Findings<'_>,
    path: &str,
    bucket: &Bucket,
    index: usize,
    allocation: &Allocation,
) {
    let Some(slots) = taking(&allocation.range, i64::from(SLOTS)) else {
        return;
    };
    let is_pair = |distribution: &Distribution| distribution.range.len() >= 2;
    if !allocation.distributions.iter().all(is_pair) {
        return;
    }
    let mut gaps: Vec<Range<i64>> = Vec::new();
    let mut reached = 0;
    for (range, _) in points(&allocation.distributions) {
        gaps.push(reached..range.start);
        reached = reached.max(range.end);
    }
    gaps.push(reached..POINTS);
    let others = points_beside(bucket, index, &slots);
    for gap in gaps {
        let size = gap.end.saturating_sub(gap.start);
        if size > SEAM && !is_touched(&gap, &others) {
            let share = percent(size);
            let message = format!(
                "no distribution takes [{}, {}), {share} % of the allocation",
                gap.start, gap.end
            );
            let path = format!("{path}.distributions");
            findings.push(Code::IncompleteRanges, path, message);
        }
    }
}

/// The points that other allocations take of the same slots, apart from each other and by start. A
/// user whom no distribution of one allocation takes goes on to the next.
fn points_beside(bucket: &Bucket, index: usize, slots: &Range<i64>) -> Vec<Range<i64>> {
    let shares_slots = |allocation: &Allocation| {
        taking(&allocation.range, i64::from(SLOTS)).is_some_and(|other| overlap(&other, slots) > 0)
    };
    let mut ranges: Vec<Range<i64>> = bucket
        .allocations
        .iter()
        .take(COMPARED)
        .enumerate()
        .filter(|(other, allocation)| *other != index && shares_slots(allocation))
        .flat_map(|(_, allocation)| points(&allocation.distributions))
        .map(|(range, _)| range)
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let joins = next.start <= range.end;
        if joins {
            range.end = range.end.max(next.end);
        }
        joins
    });
    ranges
}

/// Whether one of the ranges, which are apart and in order, has a point of the gap.
fn is_touched(gap: &Range<i64>, ranges: &[Range<i64>]) -> bool {
    let behind = ranges.partition_point(|range| range.end <= gap.start);
    ranges
        .get(behind)
        .is_some_and(|range| range.start < gap.end)
}

/// Allocations that take the same users: the first in the list gets them.
fn check_allocations(findings: &mut Findings<'_>, path: &str, allocations: &[Allocation]) {
    type Taking = (Range<i64>, Vec<(Range<i64>, usize)>);
    let takes: Vec<Option<Taking>> = allocations
        .iter()
        .take(COMPARED)
        .map(|allocation| {
            let slots = taking(&allocation.range, i64::from(SLOTS))?;
            Some((slots, points(&allocation.distributions)))
        })
        .collect();
    for (second, later) in takes.iter().enumerate() {
        let Some((slots, points)) = later else {
            continue;
        };
        for (first, earlier) in takes.iter().enumerate().take(second) {
            let Some((taken_slots, taken_points)) = earlier else {
                continue;
            };
            if overlap(slots, taken_slots) == 0 || !share_points(points, taken_points) {
                continue;
            }
            let start = slots.start.max(taken_slots.start);
            let end = slots.end.min(taken_slots.end);
            let message = format!("slots [{start}, {end}) belong to allocation {first} already");
            let path = format!("{path}.allocations[{second}].range");
            findings.push(Code::OverlappingRanges, path, message);
            break;
        }
    }
}

/// Whether two lists of ranges, each by start, have more than a seam in common.
fn share_points(a: &[(Range<i64>, usize)], b: &[(Range<i64>, usize)]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some((one, _)), Some((other, _))) = (a.peek(), b.peek()) {
        if overlap(one, other) > SEAM {
            return true;
        }
        if one.end <= other.end {
            a.next();
        } else {
            b.next();
        }
    }
    false
}

/// Points as a share of all, in percent with two decimals.
fn percent(points: i64) -> String {
    let hundredths = points.saturating_mul(10_000) / POINTS;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
