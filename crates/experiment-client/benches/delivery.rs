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
//! What recording an event costs.
//!
//! `cargo bench -p experiment-client --bench delivery` prints nanoseconds and allocations of one
//! `record` of an exposure of about 500 bytes: into memory, into a full queue, into the spool, and
//! with several threads; then the memory that a million users take while nothing is delivered.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use experiment_client::{
    Answering, Delivery, DeliveryOptions, Fsync, Request, Secret, SpoolOptions, Transport,
    TransportError, TransportErrorKind,
};
use experiment_events::Event;

/// Of the middle of so many rounds the time is shown.
const ROUNDS: usize = 15;
const EVENTS: usize = 10_000;

#[derive(Debug)]
struct Dead;

impl Transport for Dead {
    fn send(&self, _request: Request) -> Answering<'_> {
        Box::pin(async { Err(TransportError::new(TransportErrorKind::Connect)) })
    }
}

fn options() -> DeliveryOptions {
    DeliveryOptions::new(Secret::from("analytics-api-key")).with_queue_events(EVENTS)
}

fn delivery(options: DeliveryOptions) -> Delivery {
    Delivery::new(options, Arc::new(Dead)).expect("usable options")
}

/// An exposure as the SDKs send them.
fn exposure() -> Event {
    let json = r#"{"event_type":"[Experiment] Exposure","user_id":"user-00001",
        "device_id":"device-00001","time":1795289646870,
        "insert_id":"user-00001 device-00001 0123456789abcdef0123456789abcdef 20778",
        "event_properties":{"[Experiment] Flag Key":"exp-local","[Experiment] Variant":"treatment",
        "[Experiment] Experiment Key":"exp-1","metadata":{"deployed":true,
        "evaluationMode":"local","experimentKey":"exp-1","flagType":"experiment",
        "flagVersion":7,"segmentName":"All Other Users"}},
        "user_properties":{"$set":{"[Experiment] exp-local":"treatment"}}}"#;
    serde_json::from_str(json).expect("an event")
}

fn record(delivery: &Delivery, event: &Event, events: usize) {
    for _ in 0..events {
        black_box(delivery.record(black_box(event))).expect("room");
    }
}

/// The median of nanoseconds per event; `prepare` is not timed.
fn median<T>(prepare: impl Fn() -> T, run: impl Fn(&T), events: usize) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let prepared = prepare();
            let start = Instant::now();
            run(&prepared);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2].as_nanos() as f64 / events as f64
}

fn row(what: &str, nanos: f64) {
    println!("{what:<44} {nanos:>9.0} ns");
}

fn main() {
    let event = exposure();
    let bytes = serde_json::to_vec(&event).expect("JSON").len();
    println!("record() of an exposure of {bytes} bytes and its library");

    let writes = median(
        || (),
        |()| {
            for _ in 0..EVENTS {
                black_box(serde_json::to_vec(black_box(&event)).expect("JSON"));
            }
        },
        EVENTS,
    );
    row("(serde_json::to_vec alone)", writes);

    let memory = || delivery(options());
    let fresh = memory();
    record(&fresh, &event, 1);
    let counted = measure(|| record(&fresh, &event, EVENTS - 1));
    let nanos = median(memory, |delivery| record(delivery, &event, EVENTS), EVENTS);
    row("into memory", nanos);
    println!(
        "    allocations of each: {:.2}",
        counted.count_total as f64 / EVENTS as f64
    );

    let full = median(
        || {
            let delivery = memory();
            record(&delivery, &event, EVENTS);
            delivery
        },
        |delivery| {
            for _ in 0..EVENTS {
                let _ = black_box(delivery.record(&event));
            }
        },
        EVENTS,
    );
    row("into a full queue, refused", full);

    for threads in [2, 4] {
        let nanos = median(
            memory,
            |delivery| {
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| record(delivery, &event, EVENTS / threads));
                    }
                });
            },
            EVENTS,
        );
        row(
            &format!("into memory, {threads} threads, each event"),
            nanos,
        );
    }

    for (name, fsync, events) in [
        ("into the spool, no fsync", Fsync::Never, EVENTS),
        ("into the spool, fsync each event", Fsync::EachEvent, 50),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let spooled = || {
            let spool = SpoolOptions::new(directory.path()).with_fsync(fsync);
            delivery(options().with_spool(spool))
        };
        let nanos = median(
            || {
                // What the last round left is not adopted.
                for file in std::fs::read_dir(&directory).expect("a directory") {
                    std::fs::remove_file(file.expect("a file").path()).expect("a file");
                }
                spooled()
            },
            |delivery| record(delivery, &event, events),
            events,
        );
        row(name, nanos);
    }

    let mut event = event;
    let mut limit = 0;
    let used = measure(|| {
        let delivery = delivery(
            DeliveryOptions::new(Secret::from("analytics-api-key")).with_queue_bytes(8_000_000),
        );
        for number in 0..1_000_000 {
            event.user_id = Some(format!("user-{number}").into());
            let _ = delivery.record(&event);
        }
        limit = delivery.memory_limit();
    });
    println!(
        "1,000,000 users and a dead service: {} bytes at the most, declared {limit}",
        used.bytes_max
    );
}
