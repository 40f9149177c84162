#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a program for developers, which may stop"
)]
//! What decisions and events allocate and how long they take.
//!
//! `cargo bench -p experiment-events --bench events` prints the table: allocations per operation are
//! the same on every run, times are the best of several passes.

use std::{hint::black_box, time::Instant};

use allocation_counter::measure;
use experiment_events::{
    Assignment, Decision, DedupeFilter, DedupeLimits, EventOptions, Exposure, PropertyNames,
};
use experiment_model::{Timestamp, User, Variant, Variants};

/// Operations in a pass.
const OPERATIONS: u32 = 65_536;
const PASSES: u32 = 7;

/// How many keys a full filter has.
const KEYS: usize = 65_536;

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn main() {
    println!("{:<56} {:>12} {:>10}", "operation", "allocations", "ns");

    let (user, variant) = (user(), variant());
    let options = EventOptions::default();
    let exposure = Exposure::new(&user, "my-experiment", &variant);

    let mut filter = DedupeFilter::new(DedupeLimits::default());
    track(&mut filter, &exposure);
    row("dropped repeat exposure", |_| {
        assert_eq!(
            black_box(filter.check_exposure(black_box(&exposure), NOW)),
            Decision::Drop
        );
    });

    // Many flags and not many users, whose own fields would be most of the memory that is touched.
    let flags: Vec<String> = (0..KEYS).map(|n| format!("flag-{n}")).collect();
    let mut full = DedupeFilter::new(DedupeLimits::default());
    for flag in &flags {
        track(&mut full, &Exposure::new(&user, flag, &variant));
    }
    row("dropped repeat exposure, one of 65,536 keys", |n| {
        // A stride that visits keys far from each other.
        let flag = &flags[n as usize * 40_503 % KEYS];
        let exposure = Exposure::new(&user, flag, &variant);
        assert_eq!(
            black_box(full.check_exposure(&exposure, NOW)),
            Decision::Drop
        );
    });

    row("exposure event", |_| {
        black_box(black_box(&exposure).to_event(NOW, 0, &options));
    });
    let event = exposure.to_event(NOW, 0, &options);
    row("exposure event to JSON", |_| {
        black_box(serde_json::to_vec(black_box(&event)).unwrap());
    });

    let other = Variant {
        key: Some("control".into()),
        ..variant.clone()
    };
    row("tracked exposure: check, event, JSON, commit", |n| {
        let variant = if n % 2 == 0 { &variant } else { &other };
        let exposure = Exposure::new(&user, "changing", variant);
        let mark = filter
            .check_exposure(&exposure, NOW)
            .mark()
            .expect("it changes each time");
        let event = exposure.to_event(NOW, mark.transition(), &options);
        black_box(serde_json::to_vec(&event).unwrap());
        filter.commit(mark);
    });

    let variants: Variants = (0..10)
        .map(|n| (format!("my-experiment-{n}"), variant.clone()))
        .collect();
    let assignment = Assignment::new(&user, &variants).expect("there are variants");
    let decision = filter.check_assignment(&assignment, NOW);
    filter.commit(decision.mark().expect("nothing is known"));
    row("dropped repeat assignment of 10 flags", |_| {
        assert_eq!(
            black_box(filter.check_assignment(black_box(&assignment), NOW)),
            Decision::Drop
        );
    });
    row("assignment of 10 flags: event, JSON", |_| {
        let event = black_box(&assignment).to_event(NOW, 0, &options);
        black_box(serde_json::to_vec(&event).unwrap());
    });
    let sdk = EventOptions::default().with_property_names(PropertyNames::Sdk);
    row(
        "assignment of 10 flags as the SDKs spell it: event, JSON",
        |_| {
            let event = black_box(&assignment).to_event(NOW, 0, &sdk);
            black_box(serde_json::to_vec(&event).unwrap());
        },
    );
}

/// Prints what `operation`, which gets the number of the call, takes.
fn row(name: &str, mut operation: impl FnMut(u32)) {
    // The first pass lets buffers grow.
    (0..OPERATIONS).for_each(&mut operation);
    let allocations = measure(|| (0..OPERATIONS).for_each(&mut operation)).count_total;
    let best = (0..PASSES).map(|_| {
        let started = Instant::now();
        (0..OPERATIONS).for_each(&mut operation);
        started.elapsed().as_nanos() as f64 / f64::from(OPERATIONS)
    });
    let best = best.fold(f64::INFINITY, f64::min);
    println!(
        "{name:<56} {:>12.2} {best:>10.0}",
        allocations as f64 / f64::from(OPERATIONS)
    );
}

fn track(filter: &mut DedupeFilter, exposure: &Exposure<'_>) {
    if let Decision::Track(mark) = filter.check_exposure(exposure, NOW) {
        filter.commit(mark);
    }
}

fn user() -> User {
    User::new()
        .with_user_id("4b43a1e2-07a1-4a60-9d4a-8a4c1f0f3d11")
        .with_device_id("9f2d1c55-52c3-4f8e-a4de-0d6f3f2c8b77")
}

/// A variant with the metadata that evaluation gives it.
fn variant() -> Variant {
    serde_json::from_str(
        r#"{"key":"treatment","value":"treatment","metadata":{"deployed":true,"evaluationMode":"local","experimentKey":"exp-1","flagType":"experiment","flagVersion":7,"segmentName":"All Other Users"}}"#,
    )
    .unwrap()
}
