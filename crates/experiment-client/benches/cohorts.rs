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
//! What a cohort of a million random UUIDs costs to load, to keep and to ask.
//!
//! `cargo bench -p experiment-client --bench cohorts` prints the table. Memory is counted by the
//! allocator and the same on every run, but for the growth of buffers; load times are those of the
//! processor, where Linux tells; times per question are the best of some rounds over all members in
//! random order, so that the memory of the set is not in the processor's caches in advance.

use std::{fmt::Write, hint::black_box, time::Duration};

use allocation_counter::measure;
use experiment_client::{Cohort, CohortSet, CohortStore, Enriched, fuzzing::CohortReader};
use experiment_evaluation::{Options, Plan};
use experiment_model::{Timestamp, User};

const MEMBERS: usize = 1_000_000;

/// As bodies arrive from a socket.
const PIECE: usize = 16 * 1024;

/// Questions per round: users of evaluations are built in advance and need memory themselves.
const USERS: usize = 20_000;

fn main() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut ids = uuids(&mut random);
    let strangers = uuids(&mut random);
    let body = body(&ids);

    let mut set = CohortSet::default();
    let memory = measure(|| set = load(&body));
    let seconds = (0..5)
        .map(|_| {
            let start = cpu_time();
            black_box(load(&body));
            cpu_time().saturating_sub(start)
        })
        .min()
        .expect("there are rounds");
    random.shuffle(&mut ids);
    // Where the id itself is in memory is no matter of the set: each lies behind the one before.
    let ids: Vec<String> = ids.iter().map(String::clone).collect();
    let hit = per_question(&ids, |id| assert!(set.contains(id)));
    let miss = per_question(&strangers, |id| assert!(!set.contains(id)));

    row("load: CPU time", "ms", seconds.as_secs_f64() * 1e3, 1000.0);
    row(
        "load: peak memory",
        "MB",
        memory.bytes_max as f64 / 1e6,
        40.0,
    );
    row(
        "kept: bytes per member",
        "B",
        memory.bytes_current as f64 / MEMBERS as f64,
        12.0,
    );
    row("ask for a member", "ns", hit, 150.0);
    row("ask for a stranger", "ns", miss, 150.0);
    evaluate(set, &ids, &strangers);
}

/// A flag with one condition on one cohort: with the cohort, and the same for a user who brings its
/// cohorts along.
fn evaluate(set: CohortSet, ids: &[String], strangers: &[String]) {
    let plan = Plan::from_json(
        br#"[{"key": "f", "variants": {"on": {"key": "on", "value": "on"}}, "segments": [
            {"variant": "on", "conditions": [[{"selector": ["context", "user", "cohort_ids"],
                "op": "set contains any", "values": ["c"]}]]}]}]"#,
        &Options::default(),
    )
    .expect("flags");
    let now = Timestamp::from_unix_millis(0);
    let store = CohortStore::from_iter([("c", Cohort::new("User", set, now))]);
    let users = |ids: &[String]| -> Vec<User> {
        let ids = ids.iter().take(USERS);
        ids.map(|id| User::new().with_user_id(id.as_str()))
            .collect()
    };
    let (members, strangers) = (users(ids), users(strangers));
    let flag = plan.flag("f").expect("the flag");
    let hit = per_question(&members, |user| {
        assert!(flag.variant(&Enriched::new(user, &store)).is_some());
    });
    let miss = per_question(&strangers, |user| {
        assert!(flag.variant(&Enriched::new(user, &store)).is_none());
    });
    let own: Vec<User> = members
        .into_iter()
        .map(|user| user.with_cohort_ids(["c"]))
        .collect();
    let alone = per_question(&own, |user| assert!(flag.variant(user).is_some()));
    let allocated = measure(|| {
        black_box(flag.variant(&Enriched::new(&own[0], &store)));
    });
    row("evaluate a flag for a member", "ns", hit, f64::INFINITY);
    row("evaluate a flag for a stranger", "ns", miss, f64::INFINITY);
    row(
        "the same with the user's own cohort_ids",
        "ns",
        alone,
        f64::INFINITY,
    );
    row(
        "allocations of an evaluation",
        "",
        allocated.count_total as f64,
        0.0,
    );
}

fn row(what: &str, unit: &str, value: f64, target: f64) {
    let target = if target.is_finite() {
        format!("{target} {unit}")
    } else {
        "-".to_owned()
    };
    println!("{what:<44} {value:>10.2} {unit:<3} target {target}");
}

fn uuids(random: &mut fastrand::Rng) -> Vec<String> {
    (0..MEMBERS)
        .map(|_| {
            let (a, b) = (random.u64(..), random.u64(..));
            format!(
                "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                a >> 32,
                a >> 16 & 0xFFFF,
                a & 0xFFF,
                b >> 48 & 0x3FFF | 0x8000,
                b & 0xFFFF_FFFF_FFFF
            )
        })
        .collect()
}

fn body(ids: &[String]) -> String {
    let mut body = String::with_capacity(ids.len() * 40);
    body.push_str(
        r#"{"cohortId":"c","groupType":"User","lastModified":1700000000123,"memberIds":["#,
    );
    for (number, id) in ids.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(body, "{comma}\"{id}\"").expect("room");
    }
    body.push_str("]}");
    body
}

fn load(body: &str) -> CohortSet {
    let mut reader = CohortReader::new();
    for piece in body.as_bytes().chunks(PIECE) {
        reader.push(piece).expect("a good body");
    }
    let (_, _, _, set) = reader.finish().expect("a good body");
    assert_eq!(set.len(), MEMBERS);
    set
}

/// Nanoseconds of the processor per question, the best of some rounds of about a million.
fn per_question<T>(questions: &[T], ask: impl Fn(&T)) -> f64 {
    let times = MEMBERS / questions.len();
    let round = || {
        let start = cpu_time();
        for _ in 0..times {
            for question in questions {
                ask(black_box(question));
            }
        }
        cpu_time().saturating_sub(start)
    };
    let best = (0..9).map(|_| round()).min().expect("there are rounds");
    best.as_secs_f64() * 1e9 / (times * questions.len()) as f64
}

/// What this thread has spent on a processor, or simply the time.
fn cpu_time() -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(
            || {
                let epoch = std::time::UNIX_EPOCH;
                epoch.elapsed().unwrap_or_default()
            },
            Duration::from_nanos,
        )
}
