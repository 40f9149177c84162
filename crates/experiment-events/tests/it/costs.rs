//! What decisions and events may allocate.

use allocation_counter::measure;
use experiment_events::{Assignment, Decision, DedupeFilter, DedupeLimits, EventOptions, Exposure};
use experiment_model::{Timestamp, User, Variant, Variants};
use serde_json::json;

fn variant() -> Variant {
    let metadata =
        json!({"experimentKey": "exp-1", "flagVersion": 7, "segmentName": "All Other Users"});
    serde_json::from_value(json!({"key": "treatment", "value": "treatment", "metadata": metadata}))
        .unwrap()
}

fn user() -> User {
    // Ids of a length that is shared and not kept inside the text.
    User::new()
        .with_user_id("4b43a1e2-07a1-4a60-9d4a-8a4c1f0f3d11")
        .with_device_id("9f2d1c55-52c3-4f8e-a4de-0d6f3f2c8b77")
}

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

#[test]
fn a_decision_allocates_nothing() {
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let (user, variant) = (user(), variant());
    let variants: Variants = (0..10)
        .map(|n| (format!("flag-{n}"), variant.clone()))
        .collect();
    let long_user = User::new().with_user_id("x".repeat(5000));
    let exposures = [
        Exposure::new(&user, "my-experiment", &variant),
        Exposure::new(&long_user, "my-experiment", &variant),
    ];
    let assignment = Assignment::new(&user, &variants).unwrap();
    for tracked in [true, false] {
        for exposure in &exposures {
            let mut decision = Decision::Drop;
            let info = measure(|| decision = filter.check_exposure(exposure, NOW));
            assert_eq!((info.count_total, decision != Decision::Drop), (0, tracked));
            decision
                .mark()
                .into_iter()
                .for_each(|mark| filter.commit(mark));
        }
        let mut decision = Decision::Drop;
        let info = measure(|| decision = filter.check_assignment(&assignment, NOW));
        assert_eq!((info.count_total, decision != Decision::Drop), (0, tracked));
        decision
            .mark()
            .into_iter()
            .for_each(|mark| filter.commit(mark));
    }
}

#[test]
fn an_exposure_event_takes_few_allocations() {
    let (user, variant, options) = (user(), variant(), EventOptions::default());
    let exposure = Exposure::new(&user, "my-experiment", &variant);
    let info = measure(|| drop(exposure.to_event(NOW, 0, &options)));
    assert!(info.count_total <= 9, "{} allocations", info.count_total);
}

#[test]
fn the_memory_that_is_told_is_what_the_heap_has() {
    let limits = DedupeLimits::default().with_bytes(100_000);
    let variant = Variant::new("on");
    let mut filter = None;
    let mut told = 0;
    let info = measure(|| {
        let mut full = DedupeFilter::new(limits);
        for n in 0..5000 {
            let user = User::new().with_user_id(format!("user-{n}"));
            let exposure = Exposure::new(&user, "f", &variant);
            if let Decision::Track(mark) = full.check_exposure(&exposure, NOW) {
                full.commit(mark);
            }
            assert!(full.memory_used() <= 100_000);
        }
        told = full.memory_used();
        filter = Some(full);
    });
    assert_eq!(usize::try_from(info.bytes_current).unwrap(), told);
    assert!(told > 90_000, "{told}");
}
