//! [`Shares`]: which part of all users a bucket gives which variant, exactly.
//!
//! A hash of 32 bits is a slot (the remainder of a division by 100) and a point (the quotient).
//! So all hashes are a table of 100 columns, which allocations and distributions divide into
//! rectangles; counting the hashes in each of them leaves nothing to approximation.

use std::collections::BTreeMap;

use experiment_model::{Flag, Segment};

use super::label;

/// The slots that allocations divide.
const SLOTS: i64 = 100;

/// Which part of the users that arrive at a segment gets which variant from it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shares {
    /// By label, 0 to 1.
    pub(super) variants: BTreeMap<String, f64>,
    /// Users whom the segment gives no variant, who go to the next one.
    pub(super) rest: f64,
}

/// The shares of a segment's bucket, for users whom `before`, segments of the same flag that hash
/// the same, gave no variant.
pub(super) fn shares(flag: &Flag, segment: &Segment, before: &[&Segment]) -> Shares {
    let mut counts: BTreeMap<Option<String>, u64> = BTreeMap::new();
    let mut total = 0_u64;
    for slot in 0..SLOTS {
        let last = (i64::from(u32::MAX).saturating_sub(slot)) / SLOTS;
        let end = last.saturating_add(1);
        let mut cuts: Vec<i64> = before
            .iter()
            .copied()
            .chain([segment])
            .flat_map(|segment| cuts(segment, slot))
            .filter(|cut| (1..end).contains(cut))
            .collect();
        cuts.extend([0, end]);
        cuts.sort_unstable();
        cuts.dedup();
        for piece in cuts.windows(2) {
            let &[from, to] = piece else {
                continue;
            };
            let taken = |segment: &&Segment| given(flag, segment, slot, from).is_some();
            if before.iter().any(taken) {
                continue;
            }
            let hashes = u64::try_from(to.saturating_sub(from)).unwrap_or_default();
            total = total.saturating_add(hashes);
            let place = counts.entry(given(flag, segment, slot, from)).or_default();
            *place = place.saturating_add(hashes);
        }
    }
    let mut shares = Shares::default();
    for (variant, hashes) in counts {
        let share = super::count(hashes) / super::count(total);
        match variant {
            Some(variant) => {
                shares.variants.insert(variant, share);
            }
            None => shares.rest = share,
        }
    }
    shares
}

/// Where the distributions of a slot begin and end.
fn cuts(segment: &Segment, slot: i64) -> impl Iterator<Item = i64> {
    let allocations = segment.bucket.iter().flat_map(|bucket| &bucket.allocations);
    allocations
        .filter(move |allocation| contains(&allocation.range, slot))
        .flat_map(|allocation| &allocation.distributions)
        .flat_map(|distribution| distribution.range.iter().copied().take(2))
}

/// The variant that a segment gives a slot and a point, first match first.
fn given(flag: &Flag, segment: &Segment, slot: i64, point: i64) -> Option<String> {
    let allocations = segment.bucket.iter().flat_map(|bucket| &bucket.allocations);
    let taken = allocations
        .filter(|allocation| contains(&allocation.range, slot))
        .flat_map(|allocation| &allocation.distributions)
        .find(|distribution| contains(&distribution.range, point));
    match taken {
        Some(distribution) => label(flag, &distribution.variant),
        None => label(flag, segment.variant.as_deref()?),
    }
}

fn contains(range: &[i64], number: i64) -> bool {
    matches!(range, &[start, end, ..] if start <= number && number < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flag with variants a and b and these segments.
    fn flag(segments: &str) -> Flag {
        let json = format!(
            r#"{{"key":"f","variants":{{"a":{{"key":"a"}},"b":{{"key":"b"}}}},"segments":{segments}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn segment(allocations: &str, variant: &str) -> String {
        format!(
            r#"{{"bucket":{{"selector":["context","user","user_id"],"salt":"s","allocations":{allocations}}}{variant}}}"#
        )
    }

    fn assert_shares(found: &Shares, a: f64, b: f64, rest: f64) {
        let of = |variant: &str| found.variants.get(variant).copied().unwrap_or_default();
        for (found, expected) in [(of("a"), a), (of("b"), b), (found.rest, rest)] {
            assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_share_is_slots_times_points() {
        let allocations = r#"[{"range":[0,40],"distributions":[{"variant":"a","range":[0,10737418]},{"variant":"b","range":[10737418,42949673]}]}]"#;
        let flag = flag(&format!("[{}]", segment(allocations, "")));
        assert_shares(&shares(&flag, &flag.segments[0], &[]), 0.1, 0.3, 0.6);
    }

    #[test]
    fn of_overlapping_ranges_the_first_takes_the_users() {
        let allocations = r#"[{"range":[0,60],"distributions":[{"variant":"a","range":[0,42949673]}]},{"range":[50,100],"distributions":[{"variant":"b","range":[0,42949673]}]}]"#;
        let flag = flag(&format!("[{}]", segment(allocations, r#","variant":"b""#)));
        assert_shares(&shares(&flag, &flag.segments[0], &[]), 0.6, 0.4, 0.0);
    }

    #[test]
    fn an_allocation_with_a_gap_leaves_users_to_the_next_one() {
        let allocations = r#"[{"range":[0,100],"distributions":[{"variant":"a","range":[0,21474837]}]},{"range":[0,100],"distributions":[{"variant":"b","range":[0,32212254]}]}]"#;
        let flag = flag(&format!("[{}]", segment(allocations, "")));
        assert_shares(&shares(&flag, &flag.segments[0], &[]), 0.5, 0.25, 0.25);
    }

    #[test]
    fn an_unknown_variant_and_a_malformed_range_take_nobody() {
        let allocations = r#"[{"range":[0,50],"distributions":[{"variant":"x","range":[0,42949673]}]},{"range":[0],"distributions":[{"variant":"a","range":[0,42949673]}]},{"range":[-7,1000],"distributions":[{"variant":"a","range":[-1,99999999]}]}]"#;
        let flag = flag(&format!("[{}]", segment(allocations, "")));
        assert_shares(&shares(&flag, &flag.segments[0], &[]), 0.5, 0.0, 0.5);
    }

    #[test]
    fn users_who_were_hashed_before_are_what_was_left_of_them() {
        let first = r#"[{"range":[0,50],"distributions":[{"variant":"a","range":[0,42949673]}]}]"#;
        let second = r#"[{"range":[0,75],"distributions":[{"variant":"b","range":[0,42949673]}]}]"#;
        let flag = flag(&format!("[{},{}]", segment(first, ""), segment(second, "")));
        let [first, second] = &flag.segments[..] else {
            panic!("two segments");
        };
        assert_shares(&shares(&flag, second, &[first]), 0.0, 0.5, 0.5);
        assert_shares(&shares(&flag, second, &[]), 0.0, 0.75, 0.25);
    }
}
