//! Nothing that the service or the network does loses an event, stops delivery or breaks the order.

use std::{collections::BTreeSet, time::Duration};

use experiment_client::{
    DropCause,
    test_kit::{Answer, Received, Script},
};
use tokio::time::{Instant, sleep};

use crate::ingestion::{
    ACCEPTED, LONG, accepting, delivery, event, event_of, numbers, options, record, sent,
    times_sent,
};

/// What an upload can meet that says nothing about its events.
fn faults() -> Vec<(&'static str, Answer)> {
    let html = "<html>Log in to the network</html>";
    vec![
        ("refused", Answer::refused()),
        ("black hole", Answer::silence()),
        ("slow head", Answer::json(ACCEPTED).after(LONG)),
        ("stall in the body", Answer::json("{\"code\"").stall()),
        ("reset in the body", Answer::json("{\"code\"").reset()),
        ("200 with HTML", Answer::json(html)),
        ("200 that says 500", Answer::json(r#"{"code":500}"#)),
        ("200 cut off", Answer::json(r#"{"code":2"#)),
        (
            "truncated gzip",
            Answer::status(200)
                .header("content-encoding", "gzip")
                .send(&b"\x1f\x8b\x08"[..]),
        ),
        ("gzip bomb", Answer::gzip(&vec![b' '; 3_000_000])),
        ("302", Answer::status(302).header("location", "http://x/")),
        ("400 with HTML", Answer::status(400).send(html)),
        ("401", Answer::status(401)),
        ("403", Answer::status(403).send(html)),
        ("404", Answer::status(404)),
        ("408", Answer::status(408)),
        ("407", Answer::status(407)),
        ("429", Answer::status(429)),
        ("429 with null", Answer::status(429).send("null")),
        (
            "429 that names nobody here",
            Answer::status(429)
                .send(r#"{"throttled_users":{"stranger":1},"throttled_events":[99]}"#),
        ),
        (
            "429 with strange types",
            Answer::status(429).send(r#"{"throttled_events":"x","throttled_users":[1,null]}"#),
        ),
        ("500", Answer::status(500)),
        ("502", Answer::status(502).send(html)),
        ("503", Answer::status(503).header("retry-after", "120")),
        ("504", Answer::status(504)),
        ("599", Answer::status(599)),
        (
            "Retry-After for ever",
            Answer::status(503).header("retry-after", "99999999999"),
        ),
        (
            "Retry-After in the past",
            Answer::status(503).header("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_fault_loses_an_event_or_ends_delivery() {
    for (fault, answer) in faults() {
        let script = accepting();
        script.then("/batch", [answer.clone(), answer]);
        let delivery = delivery(options(), &script);
        tokio::spawn(delivery.worker());
        record(&delivery, 0..3);
        sleep(Duration::from_secs(3 * 3_600)).await;
        let account = delivery.account();
        assert_eq!((account.delivered, account.pending()), (3, 0), "{fault}");
        assert_eq!(sent(&script), [[0, 1, 2]; 3], "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_blocks_who_records() {
    for (fault, answer) in faults() {
        let script = Script::new();
        script.on("/batch", answer);
        let delivery = delivery(options(), &script);
        tokio::spawn(delivery.worker());
        record(&delivery, 0..3);
        sleep(Duration::from_secs(11)).await;
        let start = Instant::now();
        record(&delivery, 3..6);
        let account = delivery.account();
        assert_eq!(start.elapsed(), Duration::ZERO, "{fault}");
        assert_eq!((account.queued, account.recorded), (6, 6), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_the_service_costs_nothing() {
    let script = Script::new();
    script.on("/batch", Answer::refused());
    let delivery = delivery(options(), &script);
    tokio::spawn(delivery.worker());
    for minute in 0..60 {
        record(&delivery, minute * 10..minute * 10 + 10);
        sleep(Duration::from_secs(60)).await;
    }
    // Between the waits of half a minute in the middle and those of 0 s that chance may give.
    assert!(script.requests().len() < 600);
    assert_eq!(delivery.account().queued, 600);
    script.on("/batch", Answer::json(ACCEPTED));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(delivery.account().delivered, 600);
    let last = sent(&script).pop().expect("requests");
    assert_eq!(last, (0..600).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_fall_back_after_a_success() {
    let script = Script::new();
    script.on("/batch", Answer::status(503));
    let delivery = delivery(options(), &script);
    record(&delivery, 0..1);
    delivery.flush(Duration::from_secs(3_600)).await;
    // 1 + 2 + … + 32 s and then 60 s, each time a random part of it: about 120 in an hour.
    let requests = script.requests().len();
    assert!((60..400).contains(&requests), "{requests}");
    script.on("/batch", Answer::json(ACCEPTED));
    delivery.flush(LONG).await;
    script.then("/batch", [Answer::status(503)]);
    record(&delivery, 1..2);
    let start = Instant::now();
    delivery.flush(LONG).await;
    assert!(start.elapsed() <= Duration::from_millis(1_010));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_rejects_without_saying_what_is_found_by_halving() {
    let script = Script::new();
    let hopeless = BTreeSet::from([3, 77, 78]);
    let rejected = hopeless.clone();
    script.respond("/batch", move |request: &Received| {
        if numbers(request).iter().any(|it| rejected.contains(it)) {
            Answer::status(400).send(r#"{"code":400,"error":"Invalid JSON request body"}"#)
        } else {
            Answer::json(ACCEPTED)
        }
    });
    let delivery = delivery(options(), &script);
    record(&delivery, 0..100);
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 97);
    assert_eq!(account.dropped.get(DropCause::Invalid), 3);
    assert!(script.requests().len() < 40, "{}", script.requests().len());
}

#[tokio::test(start_paused = true)]
async fn batches_fit_what_the_service_takes_and_grow_again() {
    let script = Script::new();
    script.respond("/batch", |request: &Received| {
        if request.body.len() > 3_000 {
            Answer::status(413)
        } else {
            Answer::json(ACCEPTED)
        }
    });
    let delivery = delivery(options(), &script);
    record(&delivery, 0..200);
    let huge = "x".repeat(4_000);
    delivery
        .record(&event_of(&huge, "device", 200))
        .expect("room");
    record(&delivery, 201..210);
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 209);
    assert_eq!(account.dropped.get(DropCause::TooLarge), 1);
    let refused = script
        .requests()
        .iter()
        .filter(|request| request.body.len() > 3_000)
        .count();
    assert!(refused < 20, "{refused}");

    script.on("/batch", Answer::json(ACCEPTED));
    record(&delivery, 300..1_300);
    delivery.flush(LONG).await;
    let largest = sent(&script).iter().map(Vec::len).max();
    assert!(largest >= Some(200), "{largest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_user_waits_and_keeps_its_order_while_others_go_on() {
    let script = accepting();
    script.then(
        "/batch",
        [Answer::status(429).send(r#"{"throttled_users":{"busy":31}}"#)],
    );
    let delivery = delivery(options(), &script);
    tokio::spawn(delivery.worker());
    let by = |user: &str, number| {
        let event = event_of(user, &format!("device-of-{user}"), number);
        delivery.record(&event).expect("room");
    };
    by("busy", 0);
    by("calm", 1);
    by("busy", 2);
    sleep(Duration::from_millis(10_100)).await;
    assert_eq!(sent(&script), [vec![0, 1, 2], vec![1]]);
    // What comes while the pause lasts waits behind what came before.
    by("busy", 3);
    by("calm", 4);
    sleep(Duration::from_millis(10_100)).await;
    assert_eq!(sent(&script)[2..], [vec![4]]);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(sent(&script)[3..], [vec![0, 2, 3]]);
    assert_eq!(delivery.account().delivered, 5);
}

#[tokio::test(start_paused = true)]
async fn a_user_on_a_throttled_device_waits_with_it_on_every_device() {
    let script = accepting();
    script.then(
        "/batch",
        [Answer::status(429).send(r#"{"throttled_devices":{"phone":31}}"#)],
    );
    let delivery = delivery(options(), &script);
    for (number, device) in ["phone", "laptop", "phone"].into_iter().enumerate() {
        delivery
            .record(&event_of("one", device, number))
            .expect("room");
    }
    record(&delivery, 3..4);
    delivery.flush(Duration::from_secs(10)).await;
    assert_eq!(sent(&script), [vec![0, 1, 2, 3], vec![3]]);
    delivery.flush(LONG).await;
    assert_eq!(sent(&script)[2..], [vec![0, 1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_if_the_service_names_users_and_asks_for_silence() {
    let script = accepting();
    script.then(
        "/batch",
        [Answer::status(429)
            .header("retry-after", "40")
            .send(r#"{"throttled_users":{"user-0":31}}"#)],
    );
    let delivery = delivery(options(), &script);
    record(&delivery, 0..2);
    let start = Instant::now();
    delivery.flush(LONG).await;
    assert_eq!(start.elapsed().as_secs(), 40);
    assert_eq!(sent(&script), [[0, 1], [0, 1]]);
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_quota_is_used_up_delays_nobody_else() {
    let script = Script::new();
    script.respond("/batch", |request: &Received| {
        if numbers(request).contains(&0) {
            Answer::status(429).send(r#"{"exceeded_daily_quota_users":{"user-0":500001}}"#)
        } else {
            Answer::json(ACCEPTED)
        }
    });
    let delivery = delivery(options(), &script);
    tokio::spawn(delivery.worker());
    record(&delivery, 0..1);
    for hour in 1..=24 {
        record(&delivery, hour..hour + 1);
        sleep(Duration::from_secs(3_600)).await;
    }
    let account = delivery.account();
    assert_eq!((account.delivered, account.queued), (24, 1));
    let asked = times_sent(&script)[&0];
    assert!((20..=26).contains(&asked), "{asked}");
    script.on("/batch", Answer::json(ACCEPTED));
    sleep(Duration::from_secs(3_700)).await;
    assert_eq!(delivery.account().delivered, 25);
}

#[tokio::test(start_paused = true)]
async fn a_repaired_key_delivers_what_was_kept() {
    let script = Script::new();
    let refusal = r#"{"code":400,"error":"Invalid API key: 0123"}"#;
    script.on("/batch", Answer::status(400).send(refusal));
    let delivery = delivery(options(), &script);
    tokio::spawn(delivery.worker());
    for hour in 0..24 {
        record(&delivery, hour..hour + 1);
        sleep(Duration::from_secs(3_600)).await;
    }
    let asked = script.requests().len();
    assert!((24 * 12..=24 * 24).contains(&asked), "{asked}");
    script.on("/batch", Answer::json(ACCEPTED));
    sleep(Duration::from_secs(301)).await;
    assert_eq!(delivery.account().delivered, 24);
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_changes_nothing() {
    use experiment_client::test_kit::ManualClock;
    use experiment_model::Timestamp;

    let clock = std::sync::Arc::new(ManualClock::new(Timestamp::from_unix_millis(0)));
    for day in [86_400_000, -86_400_000, i64::MAX, i64::MIN] {
        let script = accepting();
        script.then("/batch", [Answer::status(503)]);
        let delivery = delivery(options().with_clock(clock.clone()), &script);
        tokio::spawn(delivery.worker());
        record(&delivery, 0..1);
        clock.set(Timestamp::from_unix_millis(day));
        delivery.record(&event(1)).expect("room");
        sleep(Duration::from_secs(12)).await;
        assert_eq!(delivery.account().delivered, 2, "{day}");
    }
}
