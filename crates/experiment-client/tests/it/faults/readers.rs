//! Who evaluates never sees half of a change, and never waits for one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use experiment_client::{
    CohortOptions, EvaluateOptions, LocalClient, Updates, paths,
    test_kit::{Answer, InMemoryTransport, Script},
};
use experiment_model::User;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    services::{AFTER, BEFORE, flags},
    stage::PATIENCE,
};

const FLAGS: usize = 50;
const CHANGES: usize = 200;
const THREADS: usize = 4;

/// Fifty flags, each of which depends on the one before, whose variants all carry the version.
fn configuration(version: &str) -> String {
    let flag = |number: usize| {
        let mut flag = json!({
            "key": format!("flag-{number}"),
            "variants": {"on": {"key": version, "value": version}},
            "segments": [{"variant": "on"}],
        });
        if number > 0 {
            let before = format!("flag-{}", number - 1);
            flag["dependencies"] = json!([before]);
            // What the flag before gives is of the same version.
            flag["segments"] = json!([{"variant": "on", "conditions": [[{
                "selector": ["result", before, "key"], "op": "is", "values": [version],
            }]]}]);
        }
        flag
    };
    (0..FLAGS).map(flag).collect::<Value>().to_string()
}

/// The version that all variants of a result are of.
fn version_of(client: &LocalClient, user: &User) -> String {
    let variants = client.evaluate(user, EvaluateOptions::new());
    let variants = variants.expect("there are flags");
    assert_eq!(
        variants.len(),
        FLAGS,
        "a flag of another version is in between"
    );
    let mut keys = variants.iter().filter_map(|(_, it)| it.key.as_deref());
    let first = keys.next().expect("a variant").to_owned();
    assert!(keys.all(|key| key == first), "two versions in one result");
    first
}

#[test]
fn no_result_mixes_two_configurations() {
    let configurations = ["one", "two"].map(configuration);
    let client = LocalClient::builder("key")
        .updates(Updates::Off)
        .bootstrap(configurations[0].clone())
        .build()
        .expect("good flags");
    let ends = AtomicBool::new(false);
    let changes_seen = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (client, ends, changes_seen) = (client.clone(), &ends, &changes_seen);
            scope.spawn(move || {
                let user = User::new().with_user_id(format!("user-{number}"));
                let mut last = String::new();
                while !ends.load(Ordering::Relaxed) {
                    let version = version_of(&client, &user);
                    if version != last {
                        changes_seen.fetch_add(1, Ordering::Relaxed);
                    }
                    // All flags of a snapshot that is held are of one version, too.
                    let held = client.flags();
                    let first = held.variant(&user, "flag-0").and_then(|it| it.key.clone());
                    let last_flag = held.variant(&user, "flag-49").and_then(|it| it.key.clone());
                    assert_eq!(first, last_flag);
                    last = version;
                }
            });
        }
        for change in 1..=CHANGES {
            let json = &configurations[change % 2];
            client.set_flags(json.as_bytes()).expect("good flags");
        }
        ends.store(true, Ordering::Relaxed);
    });
    assert_eq!(client.flags().version(), CHANGES as u64 + 1);
    assert!(changes_seen.into_inner() > THREADS, "nobody saw a change");
}

/// New flags wait for their cohort, which never comes; then the deadline is over.
#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_come_to_its_end_blocks_no_reader() {
    let script = Script::new();
    let without_cohort = flags(BEFORE).replace("cohort_ids", "country");
    script.on(paths::FLAGS, Answer::json(without_cohort));
    script.on("/sdk/v1/cohort/c1", Answer::silence());
    let client = LocalClient::builder("key")
        .transport(InMemoryTransport::new(script.clone()))
        .cohorts(CohortOptions::new("api-key", "secret-key"))
        .build()
        .expect("the options are good");
    client.start(PATIENCE).await.expect("flags without cohorts");
    script.on(paths::FLAGS, Answer::json(flags(AFTER)));
    while script.requests_to("/sdk/v1/cohort/c1").is_empty() {
        sleep(Duration::from_secs(1)).await;
    }
    // The task is within the change now, and stays there: this thread, on which it runs, waits.
    let client = Arc::new(client);
    let (sender, receiver) = mpsc::channel();
    for _ in 0..THREADS {
        let (client, sender) = (Arc::clone(&client), sender.clone());
        thread::spawn(move || {
            for number in 0..1_000 {
                let user = User::new().with_user_id(format!("user-{number}"));
                let variant = client.variant(&user, "checkout").expect("a variant");
                let key = variant.key.clone().expect("a key");
                assert!(key.ends_with("-5"), "{key}");
            }
            let _ = sender.send(client.freshness().version);
        });
    }
    for _ in 0..THREADS {
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok(1), "a reader waits");
    }
    sleep(Duration::from_secs(60)).await;
    let freshness = client.freshness();
    assert_eq!(freshness.version, 2, "the change came without the cohort");
    assert_eq!(freshness.missing_cohorts, ["c1"]);
}
