//! What the client adds to the engine: `cargo bench -p experiment-client --bench local`.
//!
//! CPU time of the thread, the best of many batches, since other work on the machine can only make
//! a batch slower.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails says where"
)]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use cpu_time::ThreadTime;
use experiment_client::{
    DeliveryOptions, LocalClient, Tracking, Updates,
    test_kit::{InMemoryTransport, Script},
};
use experiment_evaluation::{Options, Plan};
use experiment_model::User;

const BATCHES: usize = 200;
const CALLS: usize = 5_000;

/// One condition and a 50/50 split, as workload T1 of the engine.
const FLAGS: &str = r#"[{
    "key": "checkout",
    "metadata": {"flagVersion": 1, "experimentKey": "exp-1", "flagType": "experiment", "deployed": true},
    "variants": {
        "control": {"key": "control", "value": "control"},
        "treatment": {"key": "treatment", "value": "treatment"},
        "off": {"key": "off", "metadata": {"default": true}}
    },
    "segments": [
        {"metadata": {"segmentName": "Everyone in Norway"},
         "conditions": [[{"selector": ["context", "user", "country"], "op": "is", "values": ["Norway"]}]],
         "bucket": {"selector": ["context", "user", "device_id"], "salt": "salt", "allocations": [
            {"range": [0, 100], "distributions": [
                {"variant": "control", "range": [0, 21474836]},
                {"variant": "treatment", "range": [21474836, 42949673]}]}]},
         "variant": "off"},
        {"variant": "off", "metadata": {"segmentName": "All Other Users"}}
    ]
}]"#;

/// Seven flags with several conditions, dependencies and patterns.
const SEVERAL: &str = include_str!("../../../examples/data/flags.json");

fn main() {
    let user = user(7);
    let plan = Plan::from_json(FLAGS.as_bytes(), &Options::default()).expect("good flags");
    let client = client();

    let engine = best(|| {
        black_box(plan.variant(black_box(&user), black_box("checkout")));
    });
    let alone = best(|| {
        black_box(client.variant(black_box(&user), black_box("checkout")));
    });
    row("engine, one flag by key", engine, "");
    let ratio = alone / engine;
    row(
        "LocalClient::variant",
        alone,
        &format!("{ratio:.2} x the engine (at most 1.25)"),
    );
    several();
    let flags = client.flags();
    let pinned = best(|| {
        black_box(flags.variant(black_box(&user), black_box("checkout")));
    });
    let ratio = pinned / engine;
    row(
        "the same of flags held for a request",
        pinned,
        &format!("{ratio:.2} x the engine"),
    );
    let shared = contended(&client, &user);
    let ratio = shared / alone;
    row(
        "two readers, flags replaced every ms",
        shared,
        &format!("{ratio:.2} x alone (at most 1.15)"),
    );
    let allocations = allocation_counter::measure(|| {
        black_box(client.variant(&user, "checkout"));
    });
    println!(
        "LocalClient::variant allocates {} times",
        allocations.count_total
    );
    tracking(&client, &user);
}

/// The seven flags of the examples, asked for one by one.
fn several() {
    let plan = Plan::from_json(SEVERAL.as_bytes(), &Options::default()).expect("good flags");
    let client = client();
    client.set_flags(SEVERAL.as_bytes()).expect("good flags");
    let user = User::new()
        .with_user_id("user-0041")
        .with_device_id("device-b3f1")
        .with_country("Norway")
        .with_version("3.4.1")
        .with_platform("iOS")
        .with_user_property("plan", "enterprise");
    let keys: Vec<&str> = plan.flags().map(|flag| flag.key()).collect();
    let engine = best(|| {
        for key in &keys {
            black_box(plan.variant(black_box(&user), black_box(key)));
        }
    });
    let local = best(|| {
        for key in &keys {
            black_box(client.variant(black_box(&user), black_box(key)));
        }
    });
    row("engine, seven flags by key", engine, "");
    let ratio = local / engine;
    row(
        "LocalClient::variant, seven flags",
        local,
        &format!("{ratio:.2} x the engine"),
    );
}

fn tracking(client: &LocalClient, user: &User) {
    let variant = client.variant(user, "checkout").expect("a variant").clone();
    client
        .exposure(user, "checkout", &variant)
        .expect("room in the queue");
    let dropped = best(|| {
        client
            .exposure(black_box(user), "checkout", &variant)
            .expect("dropped by the filter");
    });
    row(
        "an exposure that was tracked before",
        dropped,
        "(under 400)",
    );

    let users: Vec<User> = (0..60_000).map(|at| self::user(1_000_000 + at)).collect();
    let before = client.account().queued;
    let started = ThreadTime::now();
    for user in &users {
        client
            .exposure(user, "checkout", &variant)
            .expect("room in the queue");
    }
    let each = started.elapsed().as_nanos() as f64 / users.len() as f64;
    assert_eq!(
        client.account().queued - before,
        users.len() as u64,
        "every one is queued"
    );
    row(
        "an exposure that is queued in memory",
        each,
        "(under 2,000)",
    );
}

/// Nanoseconds per evaluation of a reader, while another one reads and a writer replaces the flags.
fn contended(client: &LocalClient, user: &User) -> f64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = FLAGS.replace("flagVersion\": 1", "flagVersion\": 2");
            for flags in [other.as_str(), FLAGS].into_iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                client.set_flags(flags.as_bytes()).expect("good flags");
                thread::sleep(Duration::from_millis(1));
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                black_box(client.variant(black_box(user), black_box("checkout")));
            }
        });
        let each = best(|| {
            black_box(client.variant(black_box(user), black_box("checkout")));
        });
        done.store(true, Ordering::Relaxed);
        each
    })
}

fn client() -> LocalClient {
    LocalClient::builder("server-key")
        .transport(InMemoryTransport::new(Script::new()))
        .updates(Updates::Off)
        .bootstrap(FLAGS)
        .tracking(Tracking::new(
            DeliveryOptions::new("api-key")
                .with_queue_events(100_000)
                .with_queue_bytes(256 << 20),
        ))
        .build()
        .expect("the options are good")
}

fn user(number: u32) -> User {
    User::new()
        .with_user_id(format!("user-{number}"))
        .with_device_id(format!("device-{number}"))
        .with_country("Norway")
        .with_language("no")
        .with_platform("server")
        .with_user_property("plan", "pro")
}

/// Nanoseconds per call, the best batch.
fn best(mut call: impl FnMut()) -> f64 {
    let batch = |_| {
        let started = ThreadTime::now();
        for _ in 0..CALLS {
            call();
        }
        started.elapsed().as_nanos() as f64 / CALLS as f64
    };
    (0..BATCHES).map(batch).fold(f64::INFINITY, f64::min)
}

fn row(name: &str, nanoseconds: f64, note: &str) {
    println!("{name:44} {nanoseconds:>8.1} ns  {note}");
}
