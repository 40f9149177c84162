//! How an app client loads flags and keeps them.

use std::time::Duration;

use experiment_client::{MemoryStorage, test_kit::Answer};
use experiment_model::read_flags;
use serde_json::json;
use tokio::time::sleep;

use crate::app::{FLAGS, builder, client, flag, flags, script, seconds, user};

#[tokio::test(start_paused = true)]
async fn flags_can_be_loaded_once_only() {
    let script = script();
    let client = builder(&script)
        .flag_polling(None)
        .build()
        .expect("a client");
    client
        .start(Some(user("a")))
        .await
        .into_result()
        .expect("started");
    sleep(seconds(4000)).await;
    assert_eq!(script.requests_to(FLAGS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn flags_are_not_polled_more_often_than_every_minute() {
    let script = script();
    let client = builder(&script)
        .flag_polling(Some(Duration::from_millis(1)))
        .build()
        .expect("a client");
    client
        .start(Some(user("a")))
        .await
        .into_result()
        .expect("started");
    sleep(seconds(600)).await;
    let loads = script.requests_to(FLAGS).len();
    assert!((10..=12).contains(&loads), "{loads}");
}

#[tokio::test(start_paused = true)]
async fn last_good_flags_survive_every_failure() {
    let good = || flags(&[flag("f", "local", "on")]);
    for bad in [
        Answer::refused(),
        Answer::silence(),
        Answer::status(204),
        Answer::status(302).header("location", "https://elsewhere.example/"),
        Answer::status(401),
        Answer::status(500).send("[]"),
        Answer::status(503),
        Answer::json(""),
        Answer::json("<html>"),
        Answer::json("5"),
        Answer::json("{\"error\": 5}"),
        Answer::json("[5]"),
        Answer::json("[{\"key\": \"f\""),
        Answer::json("[").stall(),
        Answer::json("[").reset(),
        Answer::json("[]").header("content-encoding", "gzip"),
        Answer::json("[]").header("content-encoding", "br"),
        Answer::status(429).header("retry-after", "7"),
    ] {
        let script = script();
        script.then(FLAGS, [good(), bad.clone()]);
        script.on(FLAGS, flags(&[flag("f", "local", "later")]));
        let client = client(&script);
        client
            .start(Some(user("a")))
            .await
            .into_result()
            .expect("started");
        while script.requests_to(FLAGS).len() < 3 {
            assert!(client.variant("f", None).is("on"), "{bad:?}");
            sleep(Duration::from_millis(100)).await;
        }
        sleep(seconds(1)).await;
        assert!(client.variant("f", None).is("later"), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn flags_that_are_gone_are_gone_and_one_bad_flag_is_alone() {
    let script = script();
    let answers = [
        flags(&[flag("f", "local", "on"), flag("g", "local", "on")]),
        flags(&[flag("f", "local", "on"), json!({"key": "g"})]),
        flags(&[]),
    ];
    script.then(FLAGS, answers);
    let client = client(&script);
    client
        .start(Some(user("a")))
        .await
        .into_result()
        .expect("started");
    assert!(client.variant("g", None).is("on"));
    sleep(seconds(331)).await;
    assert!(client.variant("f", None).is("on"));
    assert_eq!(client.variant("g", None).source, None);
    sleep(seconds(331)).await;
    assert_eq!(client.variant("f", None).source, None);
}

#[tokio::test(start_paused = true)]
async fn initial_flags_fill_in_what_is_missing_before_and_after_loading() {
    let script = script();
    script.on(FLAGS, flags(&[flag("both", "local", "loaded")]));
    let initial = json!([
        flag("both", "local", "initial"),
        flag("own", "local", "initial")
    ]);
    let initial = read_flags(initial.to_string().as_bytes()).expect("flags");
    let storage = MemoryStorage::new();
    let build = || {
        builder(&script)
            .initial_flags(initial.clone())
            .storage(storage.clone())
            .build()
            .expect("a client")
    };
    let client = build();
    client.set_user(user("a"));
    assert!(client.variant("both", None).is("initial"));
    client.start(None).await.into_result().expect("started");
    assert!(client.variant("both", None).is("loaded"));
    assert!(client.variant("own", None).is("initial"));
    // Only what was loaded is kept.
    let next = build();
    assert!(next.variant("both", None).is("loaded"));
    assert!(next.variant("own", None).is("initial"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_old_load_does_not_replace_newer_flags() {
    let script = script();
    let old = flags(&[flag("f", "local", "old")]).after(seconds(8));
    script.then(FLAGS, [old, flags(&[flag("f", "local", "new")])]);
    let client = client(&script);
    let slow = {
        let client = client.clone();
        tokio::spawn(async move { client.start(Some(user("a"))).await.into_result() })
    };
    sleep(seconds(1)).await;
    client.start(None).await.into_result().expect("started");
    slow.await.expect("no panic").expect("started");
    assert!(client.variant("f", None).is("new"));
}
