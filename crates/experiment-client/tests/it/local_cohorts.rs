//! Cohorts of the local client, and the file that keeps them with the flags.

use std::{fs, path::Path, sync::Arc, time::Duration};

use experiment_client::{
    Clock, CohortOptions, CohortPolicy, Error, FlagSource, LocalClient, LocalClientBuilder, State,
    SystemClock,
    test_kit::{Answer, InMemoryTransport, ManualClock, Script},
};
use experiment_model::User;
use tokio::time::{Instant, sleep};

const FLAGS: &str = "/sdk/v2/flags";
const COHORT: &str = "/sdk/v1/cohort/c1";
const SECOND: Duration = Duration::from_secs(1);

/// `beta` is for the members of cohort `c1`, `all` for everybody.
const CONFIGURATION: &str = r#"[
    {"key": "beta", "variants": {"on": {"key": "on", "value": "on"}}, "segments": [{"variant": "on",
     "conditions": [[{"selector": ["context", "user", "cohort_ids"], "op": "set contains any", "values": ["c1"]}]]}]},
    {"key": "all", "variants": {"on": {"key": "on", "value": "on"}}, "segments": [{"variant": "on"}]}
]"#;

fn cohort(members: &[&str], last_modified: u32) -> String {
    format!(
        r#"{{"cohortId": "c1", "groupType": "User", "lastModified": {last_modified}, "size": {}, "memberIds": {members:?}}}"#,
        members.len()
    )
}

fn builder(script: &Script) -> LocalClientBuilder {
    LocalClient::builder("server-key")
        .transport(InMemoryTransport::new(script.clone()))
        .cohorts(CohortOptions::new("api-key", "secret-key"))
}

fn script() -> Script {
    let script = Script::new();
    script.on(FLAGS, Answer::json(CONFIGURATION));
    script
}

fn has(client: &LocalClient, flag: &str, user_id: &str) -> bool {
    let user = User::new().with_user_id(user_id);
    client.variant(&user, flag).is_some()
}

#[tokio::test(start_paused = true)]
async fn flags_are_used_together_with_their_cohorts() {
    let script = script();
    script.on(COHORT, Answer::json(cohort(&["in"], 1)).after(2 * SECOND));
    let client = builder(&script).build().expect("good options");
    client.start(10 * SECOND).await.expect("flags and cohorts");
    assert!(has(&client, "beta", "in") && !has(&client, "beta", "out"));
    assert!(client.freshness().missing_cohorts.is_empty());

    script.on(COHORT, Answer::json(cohort(&["in", "out"], 2)));
    sleep(70 * SECOND).await;
    assert!(has(&client, "beta", "out"), "cohorts are refreshed");
    let asked = &script.requests_to(COHORT)[1];
    assert!(asked.target.contains("lastModified=1"), "{}", asked.target);

    for failure in [204, 202, 400, 401, 404, 413, 429, 500, 503] {
        script.on(COHORT, Answer::status(failure));
        sleep(130 * SECOND).await;
        assert!(
            has(&client, "beta", "in") && has(&client, "beta", "out"),
            "{failure}: the last good one stays"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cohort_that_cannot_be_loaded_is_named_and_comes_later() {
    let script = script();
    script.on(COHORT, Answer::status(503));
    let client = builder(&script).build().expect("good options");
    client.start(60 * SECOND).await.expect("degraded");
    assert!(has(&client, "all", "in") && !has(&client, "beta", "in"));
    let freshness = client.freshness();
    assert_eq!(
        (freshness.state, freshness.missing_cohorts),
        (State::Ready, vec!["c1".into()])
    );
    script.on(COHORT, Answer::json(cohort(&["in"], 1)));
    sleep(20 * SECOND).await;
    assert!(
        has(&client, "beta", "in"),
        "without waiting for the next regular refresh"
    );
    assert!(client.freshness().missing_cohorts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_start_can_insist_on_cohorts() {
    let script = script();
    script.on(COHORT, Answer::status(429));
    let client = builder(&script)
        .cohort_policy(CohortPolicy::FailStart)
        .build()
        .expect("good options");
    let started = Instant::now();
    let error = client
        .start(45 * SECOND)
        .await
        .expect_err("a cohort is missing");
    assert!(
        matches!(
            error,
            Error::Malformed {
                what: "cohorts",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("c1"), "{error}");
    assert_eq!(started.elapsed(), 45 * SECOND);
    assert!(script.requests_to(COHORT).len() < 30, "it is not stormed");
    script.on(COHORT, Answer::json(cohort(&["in"], 1)));
    client.start(60 * SECOND).await.expect("cohorts");
    assert!(has(&client, "beta", "in"));
}

#[tokio::test(start_paused = true)]
async fn a_cohort_that_never_answers_blocks_no_evaluation() {
    let script = script();
    script.on(COHORT, Answer::json(cohort(&["in"], 1)));
    let client = builder(&script).build().expect("good options");
    client.start(SECOND).await.expect("flags and cohorts");
    let other = CONFIGURATION.replace("\"c1\"", "\"c1\", \"c2\"");
    script.on("/sdk/v1/cohort/c2", Answer::silence());
    script.on(FLAGS, Answer::json(other));
    sleep(40 * SECOND).await;
    assert_eq!(
        script.requests_to("/sdk/v1/cohort/c2").len(),
        1,
        "it is being asked for"
    );
    let now = Instant::now();
    let outside = std::thread::spawn({
        let client = client.clone();
        move || has(&client, "beta", "in") && client.freshness().flags == 2
    });
    assert!(
        outside.join().expect("no panic"),
        "with the flags and cohorts before"
    );
    assert_eq!(now.elapsed(), Duration::ZERO);
    sleep(60 * SECOND).await;
    assert_eq!(
        client.freshness().missing_cohorts,
        ["c2"],
        "the new flags are used without it"
    );
    assert!(has(&client, "beta", "in"));
}

#[tokio::test(start_paused = true)]
async fn a_file_starts_a_service_while_the_network_is_down() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flags");
    {
        let script = script();
        script.on(COHORT, Answer::json(cohort(&["in"], 1)));
        let client = builder(&script)
            .last_good_file(&file)
            .build()
            .expect("good options");
        client.start(SECOND).await.expect("flags and cohorts");
        wait_for(&file).await;
        let written = || {
            fs::metadata(&file)
                .and_then(|file| file.modified())
                .expect("a file")
        };
        let before = written();
        script.on(COHORT, Answer::status(204));
        sleep(200 * SECOND).await;
        assert_eq!(
            written(),
            before,
            "what has not changed is not written again"
        );
    }
    let tomorrow = SystemClock.now().saturating_add(24 * 3600 * SECOND);
    let down = Script::new();
    down.on(FLAGS, Answer::refused());
    let client = builder(&down)
        .bootstrap("[]")
        .last_good_file(&file)
        .clock(Arc::new(ManualClock::new(tomorrow)))
        .build()
        .expect("good options");
    assert!(
        has(&client, "beta", "in") && !has(&client, "beta", "out"),
        "flags and cohorts of the file"
    );
    client.start(SECOND).await.expect("the file will do");
    let freshness = client.freshness();
    assert_eq!(
        (freshness.state, freshness.source),
        (State::Stale, Some(FlagSource::File))
    );
    assert!(freshness.age.is_some() && freshness.cause.is_some());

    let other = LocalClient::builder("key of another deployment")
        .transport(InMemoryTransport::new(down.clone()))
        .last_good_file(&file)
        .build()
        .expect("good options");
    assert_eq!(
        other.freshness().version,
        0,
        "the flags of another deployment are not used"
    );

    let mut bytes = fs::read(&file).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("the file");
    let damaged = builder(&down)
        .last_good_file(&file)
        .build()
        .expect("good options");
    assert_eq!(damaged.freshness().version, 0, "a damaged file is ignored");
}

/// The file is written after the flags are in use.
async fn wait_for(file: &Path) {
    while !file.exists() {
        sleep(SECOND).await;
    }
}
