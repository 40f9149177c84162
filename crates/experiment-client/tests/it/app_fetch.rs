//! How an app client fetches variants: what overlaps, what fails, what is repeated.

use std::time::Duration;

use experiment_client::{Error, FetchOptions, FetchOutcome, RetryPolicy, test_kit::Answer};
use experiment_model::{Variant, Variants};
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::{
    FLAGS, VARDATA, all, builder, client, fetched_for, flag, flags, script, seconds, user, variants,
};

pub(crate) fn only<const N: usize>(keys: [&str; N]) -> FetchOptions {
    FetchOptions::default().with_flag_keys(keys)
}

#[tokio::test(start_paused = true)]
async fn a_slow_old_fetch_does_not_reach_a_newer_user() {
    for change in ["fetch", "set_user", "clear", "start"] {
        let script = script();
        script.respond(VARDATA, |received| {
            let id = fetched_for(received)["user_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let delay = if id == "a" { 8 } else { 1 };
            variants(&[("f", &id)]).after(seconds(delay))
        });
        let client = client(&script);
        let slow = {
            let client = client.clone();
            tokio::spawn(async move { client.fetch(Some(user("a")), all()).await })
        };
        sleep(seconds(1)).await;
        let expected = match change {
            "fetch" => {
                client.fetch(Some(user("b")), all()).await.expect("fetched");
                Some("b")
            }
            "start" => {
                client
                    .start(Some(user("b")))
                    .await
                    .into_result()
                    .expect("started");
                Some("b")
            }
            "set_user" => {
                client.set_user(user("b"));
                None
            }
            _ => {
                client.clear();
                None
            }
        };
        let outcome = slow.await.expect("no panic").expect("answered");
        assert_eq!(outcome, FetchOutcome::Superseded, "{change}");
        let variant = client.variant("f", None).variant;
        assert_eq!(variant.key.as_deref(), expected, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn setting_the_same_user_again_does_not_lose_an_answer() {
    let script = script();
    script.on(VARDATA, variants(&[("f", "on")]).after(seconds(5)));
    let client = client(&script);
    let fetch = {
        let client = client.clone();
        tokio::spawn(async move { client.fetch(Some(user("a")), all()).await })
    };
    sleep(seconds(1)).await;
    client.set_user(user("a"));
    let outcome = fetch.await.expect("no panic").expect("answered");
    assert!(matches!(outcome, FetchOutcome::Stored { variants: 1, .. }));
}

/// Flag keys and variants.
type Pairs = &'static [(&'static str, &'static str)];

/// Fetches of one user: when each begins and is answered, which keys it asks for, what it gets.
struct Overlap {
    begin: u64,
    takes: u64,
    keys: Option<&'static [&'static str]>,
    gets: Pairs,
}

#[tokio::test(start_paused = true)]
async fn fetches_of_one_user_that_overlap_leave_what_began_last() {
    let fetch = |begin, takes, keys, gets| Overlap {
        begin,
        takes,
        keys,
        gets,
    };
    let cases: [(&str, Vec<Overlap>, Pairs); 6] = [
        (
            "an older answer to everything comes last",
            vec![
                fetch(0, 9, None, &[("f", "old"), ("g", "old")]),
                fetch(1, 1, None, &[("f", "new")]),
            ],
            &[("f", "new")],
        ),
        (
            "in order",
            vec![
                fetch(0, 2, None, &[("f", "old"), ("g", "old")]),
                fetch(1, 5, None, &[("f", "new")]),
            ],
            &[("f", "new")],
        ),
        (
            "everything comes after a newer part of it",
            vec![
                fetch(0, 9, None, &[("f", "old"), ("g", "old")]),
                fetch(1, 1, Some(&["f"]), &[("f", "new")]),
            ],
            &[("f", "new"), ("g", "old")],
        ),
        (
            "everything comes after a newer part that removed a flag",
            vec![
                fetch(0, 9, None, &[("f", "old"), ("g", "old")]),
                fetch(1, 1, Some(&["f"]), &[]),
            ],
            &[("g", "old")],
        ),
        (
            "a part comes after newer everything",
            vec![
                fetch(0, 9, Some(&["f", "g"]), &[("f", "old"), ("g", "old")]),
                fetch(1, 1, None, &[("f", "new")]),
            ],
            &[("f", "new")],
        ),
        (
            "a part comes after a newer part",
            vec![
                fetch(0, 9, Some(&["f", "g"]), &[("f", "old"), ("g", "old")]),
                fetch(1, 1, Some(&["f", "h"]), &[("f", "new")]),
            ],
            &[("f", "new"), ("g", "old")],
        ),
    ];
    for (name, fetches, expected) in cases {
        let script = script();
        script.then(
            VARDATA,
            fetches
                .iter()
                .map(|f| variants(f.gets).after(seconds(f.takes))),
        );
        let client = client(&script);
        client.set_user(user("a"));
        let began = Instant::now();
        let tasks: Vec<_> = fetches
            .iter()
            .map(|fetch| {
                let client = client.clone();
                let start = began + seconds(fetch.begin);
                let options = match fetch.keys {
                    Some(keys) => FetchOptions::default().with_flag_keys(keys.iter().copied()),
                    None => all(),
                };
                tokio::spawn(async move {
                    sleep_until(start).await;
                    client.fetch(None, options).await.expect("answered")
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let expected: Variants = expected
            .iter()
            .map(|(key, variant)| (*key, Variant::new(*variant)))
            .collect();
        assert_eq!(client.all(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_by_keys_changes_those_and_an_empty_list_removes_none() {
    let script = script();
    script.then(
        VARDATA,
        [
            variants(&[("f", "1"), ("g", "1"), ("h", "1")]),
            variants(&[("f", "2"), ("more", "2")]),
            variants(&[]),
            variants(&[]),
        ],
    );
    let client = client(&script);
    client.fetch(Some(user("a")), all()).await.expect("fetched");
    client.fetch(None, only(["f", "g"])).await.expect("fetched");
    let expected: Variants = [("f", "2"), ("h", "1"), ("more", "2")]
        .map(|(k, v)| (k, Variant::new(v)))
        .into_iter()
        .collect();
    assert_eq!(client.all(), expected);
    client.fetch(None, only([])).await.expect("fetched");
    assert_eq!(client.all(), expected);
    client.fetch(None, all()).await.expect("fetched");
    assert!(client.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_without_any_id_is_refused_and_local_flags_answer() {
    let script = script();
    script.on(FLAGS, flags(&[flag("f", "local", "on")]));
    let client = client(&script);
    let started = client.start(None).await;
    assert!(matches!(started.variants, Some(Err(Error::MissingId))));
    assert_eq!(script.requests_to(VARDATA).len(), 0);
    assert!(client.variant("f", None).is("on"));
    sleep(seconds(4000)).await;
    assert_eq!(script.requests_to(VARDATA).len(), 0, "not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_repeated_in_the_background_until_it_succeeds() {
    let script = script();
    script.then(
        VARDATA,
        [
            Answer::refused(),
            Answer::status(500),
            Answer::status(429).header("retry-after", "60"),
            Answer::silence(),
        ],
    );
    script.on(VARDATA, variants(&[("f", "on")]));
    let client = client(&script);
    let error = client
        .fetch(Some(user("a")), all())
        .await
        .expect_err("refused");
    assert_eq!(error.attempts(), 1);
    sleep(seconds(59)).await;
    assert_eq!(
        script.requests_to(VARDATA).len(),
        3,
        "the service asked for a minute"
    );
    sleep(seconds(30)).await;
    assert!(client.variant("f", None).is("on"));
    sleep(seconds(4000)).await;
    assert_eq!(script.requests_to(VARDATA).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_repeated_as_often_as_the_policy_says() {
    for (retries, requests) in [(8, 9), (2, 3), (0, 1)] {
        let script = script();
        script.on(VARDATA, Answer::status(503));
        let policy = RetryPolicy::default().with_retries(retries);
        let client = builder(&script).retry(policy).build().expect("a client");
        client.fetch(Some(user("a")), all()).await.expect_err("503");
        sleep(seconds(4000)).await;
        assert_eq!(script.requests_to(VARDATA).len(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_for_good_is_not_repeated() {
    for status in [400, 401, 403, 404, 413] {
        let script = script();
        script.then(VARDATA, [Answer::status(500), Answer::status(status)]);
        let client = client(&script);
        client.fetch(Some(user("a")), all()).await.expect_err("500");
        sleep(seconds(4000)).await;
        assert_eq!(script.requests_to(VARDATA).len(), 2, "{status}");
        script.then(VARDATA, [Answer::status(status)]);
        client.fetch(None, all()).await.expect_err("refused");
        sleep(seconds(4000)).await;
        assert_eq!(script.requests_to(VARDATA).len(), 3, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_newer_ends_repeating() {
    for newer in ["fetch", "set_user", "clear", "stop", "drop"] {
        let script = script();
        script.on(VARDATA, Answer::status(503).after(Duration::from_millis(1)));
        let client = client(&script);
        client.fetch(Some(user("a")), all()).await.expect_err("503");
        let mut more = 0;
        match newer {
            "fetch" => {
                script.then(VARDATA, [Answer::status(400)]);
                client.fetch(None, only(["f"])).await.expect_err("400");
                more = 1;
            }
            "set_user" => client.set_user(user("b")),
            "clear" => client.clear(),
            "stop" => client.stop(),
            _ => drop(client.clone()),
        }
        let kept = (newer != "drop").then_some(client);
        sleep(seconds(4000)).await;
        assert_eq!(script.requests_to(VARDATA).len(), 1 + more, "{newer}");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn setting_the_same_user_again_does_not_end_repeating() {
    let script = script();
    script.then(VARDATA, [Answer::status(503)]);
    script.on(VARDATA, variants(&[("f", "on")]));
    let client = client(&script);
    client.fetch(Some(user("a")), all()).await.expect_err("503");
    client.set_user(user("a"));
    sleep(seconds(60)).await;
    assert!(client.variant("f", None).is("on"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_after_a_newer_one_began_is_not_repeated() {
    let script = script();
    script.then(VARDATA, [Answer::status(503).after(seconds(5))]);
    script.on(VARDATA, variants(&[("f", "on")]));
    let client = client(&script);
    let slow = {
        let client = client.clone();
        tokio::spawn(async move { client.fetch(Some(user("a")), all()).await })
    };
    sleep(seconds(1)).await;
    client.fetch(None, all()).await.expect("fetched");
    slow.await.expect("no panic").expect_err("503");
    sleep(seconds(4000)).await;
    assert_eq!(script.requests_to(VARDATA).len(), 2);
}
