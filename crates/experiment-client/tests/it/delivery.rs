//! What delivery sends, when, and what becomes of every event.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    Account, Answering, Clock, Delivery, DeliveryOptions, DropCause, Endpoints, Error, Fsync,
    Ingestion, Measurement, Metrics, Request, Secret, SpoolOptions, SystemClock, Transport,
    TransportError, TransportErrorKind,
    test_kit::{Answer, InMemoryTransport, ManualClock, Script},
};
use experiment_events::Event;
use experiment_model::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::ingestion::{
    ACCEPTED, LONG, TIME, accepting, delivery, event, event_of, numbers, options, record, sent,
};

fn golden(text: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(text).expect("JSON");
    golden["cases"].as_array().expect("cases").clone()
}

/// What becomes of eight events whose batch gets the answer of a golden row, then 200.
struct Row {
    /// What the golden row begins its advice with.
    client: &'static str,
    /// The batches sent at once, the first with all events.
    at_once: &'static [&'static [usize]],
    /// The batches sent later.
    later: &'static [&'static [usize]],
    /// How long later is, in seconds.
    wait: std::ops::RangeInclusive<f64>,
    dropped: Option<(DropCause, u64)>,
}

const ALL: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7];

/// Repeated with back-off, of which the first wait is up to a second.
const REPEATED: Row = Row {
    client: "",
    at_once: &[ALL],
    later: &[ALL],
    wait: 0.0..=1.0,
    dropped: None,
};

const ROWS: [Row; 15] = [
    Row {
        client: "delete the batch",
        later: &[],
        ..REPEATED
    },
    Row {
        client: "whole batch can never succeed",
        later: &[],
        dropped: Some((DropCause::Invalid, 8)),
        ..REPEATED
    },
    Row {
        client: "dead-letter the named indexes, resend the others",
        at_once: &[ALL, &[0, 1, 2, 5, 6]],
        later: &[],
        dropped: Some((DropCause::Invalid, 3)),
        ..REPEATED
    },
    Row {
        client: "dead-letter the named indexes (or set min_id_length)",
        at_once: &[ALL, &[0, 1, 2, 5, 6]],
        later: &[],
        dropped: Some((DropCause::Invalid, 3)),
        ..REPEATED
    },
    Row {
        client: "drop silenced indexes",
        at_once: &[ALL, &[1, 3, 4, 5, 6, 7]],
        later: &[],
        dropped: Some((DropCause::Invalid, 2)),
        ..REPEATED
    },
    Row {
        client: "stop sending, keep spool, report loudly",
        wait: 150.0..=300.1,
        ..REPEATED
    },
    Row {
        client: "retry slowly, keep spool",
        wait: 150.0..=300.1,
        ..REPEATED
    },
    Row {
        client: "split the batch in two",
        at_once: &[ALL, &[0, 1, 2, 3], &[4, 5, 6, 7]],
        later: &[],
        ..REPEATED
    },
    Row {
        client: "pause 30 s for the named devices/users",
        at_once: &[ALL, &[0, 1, 2, 5, 6]],
        later: &[&[3, 4, 7]],
        wait: 15.0..=15.1,
        ..REPEATED
    },
    Row {
        client: "keep for later (quota",
        at_once: &[ALL, &[1, 2, 3, 4, 5, 6, 7]],
        later: &[&[0]],
        wait: 3_600.0..=3_600.1,
        ..REPEATED
    },
    Row {
        client: "retry with the same insert_id",
        ..REPEATED
    },
    Row {
        client: "retry with the same insert_id",
        ..REPEATED
    },
    Row {
        client: "not processed: retry",
        ..REPEATED
    },
    Row {
        client: "may have been processed",
        ..REPEATED
    },
    Row {
        client: "retry with the same insert_id",
        ..REPEATED
    },
];

#[tokio::test(start_paused = true)]
async fn every_answer_of_the_upload_table_has_its_consequence() {
    let cases = golden(include_str!("../golden/analytics_upload_responses.json"));
    assert_eq!(cases.len(), ROWS.len());
    for (case, row) in cases.iter().zip(&ROWS) {
        let client = case["client"].as_str().expect("advice");
        assert!(client.starts_with(row.client), "{client}");
        let answer = match (&case["status"], &case["body"]) {
            (Value::Null, _) => Answer::refused(),
            (status, body) => {
                let status = u16::try_from(status.as_u64().expect("a status")).expect("a status");
                Answer::status(status).send(match body {
                    Value::String(text) => text.clone(),
                    body => body.to_string(),
                })
            }
        };
        let script = accepting();
        script.then("/batch", [answer]);
        let delivery = delivery(options(), &script);
        // The golden row about a quota names this user.
        delivery.record(&event_of("u", "device", 0)).expect("room");
        record(&delivery, 1..8);
        let start = Instant::now();

        let worker = tokio::spawn(delivery.worker());
        sleep(Duration::from_millis(10_001)).await;
        assert_eq!(sent(&script).first().expect("a request"), ALL, "{client}");
        let at_once = sent(&script);
        // What is repeated with back-off may have been repeated by now.
        let at_once = at_once.get(..row.at_once.len()).expect("requests");
        assert_eq!(at_once, row.at_once, "{client}");

        let all = row.at_once.len() + row.later.len();
        while script.requests().len() < all {
            sleep(Duration::from_millis(10)).await;
        }
        if !row.later.is_empty() {
            let wait = start.elapsed().as_secs_f64() - 10.0;
            assert!(row.wait.contains(&wait), "{client}: {wait}");
        }
        let expected: Vec<_> = row.at_once.iter().chain(row.later).copied().collect();
        assert_eq!(sent(&script), expected, "{client}");

        let account = delivery.shutdown(LONG).await;
        worker.await.expect("the worker ends");
        let dropped = row.dropped.map_or(0, |(_, events)| events);
        assert_eq!((account.recorded, account.pending()), (8, 0), "{client}");
        assert_eq!(account.delivered, 8 - dropped, "{client}");
        if let Some((cause, events)) = row.dropped {
            assert_eq!(account.dropped.get(cause), events, "{client}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn uploads_have_the_form_of_those_of_the_official_sdks() {
    for case in golden(include_str!("../golden/analytics_upload_requests.json")) {
        for upload in case["uploads"].as_array().expect("uploads") {
            let golden = &upload["json_body"];
            let target = upload["target"].as_str().expect("a target");
            let script = Script::new();
            script.on(target, Answer::json(ACCEPTED));
            let mut options = options().with_clock(Arc::new(ManualClock::new(
                Timestamp::from_unix_millis(TIME),
            )));
            if target == "/2/httpapi" {
                options = options.with_ingestion(Ingestion::HttpV2);
            }
            if let Some(length) = golden["options"]["min_id_length"].as_u64() {
                options = options.with_min_id_length(u32::try_from(length).expect("small"));
            }
            let delivery = delivery(options, &script);
            let events = golden["events"].as_array().expect("events");
            for event in events {
                let event: Event = serde_json::from_value(event.clone()).expect("an event");
                delivery.record(&event).expect("room");
            }
            delivery.flush(LONG).await;

            let request = &script.requests()[0];
            assert_eq!(request.method.as_str(), "POST");
            assert_eq!(request.target, target);
            assert_eq!(request.header("content-type"), Some("application/json"));
            let body = request.json().expect("a JSON body");
            assert_eq!(body["api_key"], golden["api_key"]);
            assert_eq!(body["client_upload_time"], "2023-11-14T22:13:20.000Z");
            assert_eq!(
                body["options"]["min_id_length"],
                golden["options"]["min_id_length"]
            );
            let expected: Vec<_> = events.iter().map(as_we_write_it).collect();
            assert_eq!(body["events"], Value::Array(expected), "{}", case["case"]);
        }
    }
}

/// Without empty members, and with our library if it has none.
fn as_we_write_it(event: &Value) -> Value {
    let mut event = event.as_object().expect("an event").clone();
    event.retain(|_, value| *value != json!({}) && *value != json!([]));
    event
        .entry("library")
        .or_insert_with(|| json!(concat!("experiment-rust/", env!("CARGO_PKG_VERSION"))));
    event.into()
}

#[tokio::test(start_paused = true)]
async fn an_event_without_time_insert_id_and_library_gets_them() {
    let script = accepting();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_unix_millis(TIME)));
    let delivery = delivery(options().with_clock(clock), &script);
    for _ in 0..2 {
        let event = Event {
            event_type: "checkout".into(),
            device_id: Some("a \"quoted\" device".into()),
            ..Event::default()
        };
        delivery.record(&event).expect("room");
    }
    delivery.flush(LONG).await;
    let body = script.requests()[0].json().expect("a JSON body");
    let [one, other] = [&body["events"][0], &body["events"][1]];
    assert_eq!(one["time"], TIME);
    assert_eq!(one["library"], other["library"]);
    assert_eq!(one["device_id"], "a \"quoted\" device");
    let ids = [one, other].map(|event| event["insert_id"].as_str().expect("an insert id"));
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn events_are_sent_after_the_interval_or_when_there_are_enough() {
    let script = accepting();
    let delivery = delivery(options(), &script);
    tokio::spawn(delivery.worker());
    record(&delivery, 0..1);
    sleep(Duration::from_secs(9)).await;
    record(&delivery, 1..2);
    assert_eq!(script.requests().len(), 0);
    sleep(Duration::from_secs(1)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sent(&script), [[0, 1]]);

    record(&delivery, 2..201);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(script.requests().len(), 1);
    record(&delivery, 201..202);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sent(&script)[1], (2..202).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_request_holds_as_many_events_and_bytes_as_the_options_say() {
    let script = accepting();
    let options = options().with_batch_events(3).with_batch_bytes(1_000);
    let delivery = delivery(options, &script);
    record(&delivery, 0..7);
    let large = "x".repeat(1_500);
    delivery
        .record(&event_of(&large, "device", 7))
        .expect("room");
    record(&delivery, 8..9);
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 9);
    assert_eq!(
        sent(&script),
        [vec![0, 1, 2], vec![3, 4, 5], vec![6], vec![7], vec![8]]
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_new_events_and_keeps_the_old() {
    let script = accepting();
    let delivery = delivery(options().with_queue_events(2), &script);
    record(&delivery, 0..2);
    assert_eq!(delivery.record(&event(2)), Err(DropCause::QueueFull));
    let account = delivery.account();
    assert_eq!((account.recorded, account.queued), (3, 2));
    assert_eq!(account.dropped.get(DropCause::QueueFull), 1);
    delivery.flush(LONG).await;
    assert_eq!(sent(&script), [[0, 1]]);
    record(&delivery, 3..4);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_by_bytes_as_well() {
    let script = accepting();
    let delivery = delivery(options().with_queue_bytes(1_000), &script);
    let large = "x".repeat(400);
    delivery
        .record(&event_of(&large, "device", 0))
        .expect("room");
    assert_eq!(
        delivery.record(&event_of(&large, "device", 1)),
        Err(DropCause::QueueFull)
    );
    // A smaller one finds room.
    record(&delivery, 2..3);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_no_request_can_hold_is_refused() {
    let script = accepting();
    let delivery = delivery(options().with_ingestion(Ingestion::HttpV2), &script);
    let huge = "x".repeat(1_000_000);
    assert_eq!(
        delivery.record(&event_of(&huge, "device", 0)),
        Err(DropCause::TooLarge)
    );
    assert_eq!(delivery.account().dropped.get(DropCause::TooLarge), 1);
}

#[tokio::test(start_paused = true)]
async fn old_events_expire_where_that_is_asked_for() {
    let script = accepting();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(TIME)));
    let options = options()
        .with_clock(clock.clone())
        .with_max_age(Duration::from_secs(3_600));
    let delivery = delivery(options, &script);
    record(&delivery, 0..2);
    clock.advance(Duration::from_secs(3_601));
    let fresh = Event {
        time: Some(clock.now()),
        ..event(2)
    };
    delivery.record(&fresh).expect("room");
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 1);
    assert_eq!(account.dropped.get(DropCause::Expired), 2);
    assert_eq!(sent(&script), [[2]]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_after_the_shutdown_and_a_second_one_does_nothing() {
    let script = accepting();
    let delivery = delivery(options(), &script);
    record(&delivery, 0..1);
    let account = delivery.shutdown(LONG).await;
    assert_eq!(account.delivered, 1);
    assert_eq!(delivery.record(&event(1)), Err(DropCause::Closed));
    let account = delivery.shutdown(LONG).await;
    assert_eq!((account.recorded, account.delivered), (2, 1));
    assert_eq!(account.dropped.get(DropCause::Closed), 1);
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_delivers_nothing_ends_at_its_deadline() {
    let script = Script::new();
    script.on("/batch", Answer::silence());
    let delivery = delivery(options(), &script);
    record(&delivery, 0..3);
    let start = Instant::now();
    let account = delivery.shutdown(Duration::from_secs(3)).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!((account.queued, account.delivered), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_flush_returns_early_when_nothing_can_be_sent_before_its_deadline() {
    let script = accepting();
    script.then("/batch", [Answer::status(429).header("retry-after", "60")]);
    let delivery = delivery(options(), &script);
    record(&delivery, 0..1);
    let start = Instant::now();
    let account = delivery.flush(Duration::from_secs(30)).await;
    assert_eq!((account.queued, start.elapsed()), (1, Duration::ZERO));
    // The service asked for silence, which no flush breaks.
    delivery.flush(Duration::from_secs(30)).await;
    assert_eq!(script.requests().len(), 1);
    let account = delivery.flush(Duration::from_secs(61)).await;
    assert_eq!((account.delivered, start.elapsed().as_secs()), (1, 60));
}

#[tokio::test(start_paused = true)]
async fn a_flush_breaks_the_wait_after_a_failure() {
    let script = accepting();
    script.then("/batch", [Answer::status(403)]);
    let delivery = delivery(options(), &script);
    record(&delivery, 0..1);
    assert_eq!(delivery.flush(Duration::from_secs(1)).await.queued, 1);
    assert_eq!(delivery.flush(Duration::from_secs(1)).await.delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_upload_goes_back_to_the_queue_in_its_order() {
    let script = accepting();
    script.then("/batch", [Answer::silence()]);
    let delivery = delivery(options(), &script);
    record(&delivery, 0..3);
    let flush = delivery.flush(LONG);
    tokio::select! {
        _ = flush => panic!("nobody answers"),
        () = sleep(Duration::from_secs(1)) => {}
    }
    record(&delivery, 3..4);
    assert_eq!(delivery.account().queued, 4);
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 4);
    assert_eq!(sent(&script), [vec![0, 1, 2], vec![0, 1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn the_worker_ends_with_the_last_handle_and_sends_what_there_is() {
    let script = accepting();
    let delivery = delivery(options(), &script);
    let worker = tokio::spawn(delivery.worker());
    let clone = delivery.clone();
    drop(delivery);
    sleep(Duration::from_secs(1)).await;
    record(&clone, 0..3);
    drop(clone);
    worker.await.expect("the worker ends");
    assert_eq!(sent(&script), [[0, 1, 2]]);
}

#[test]
fn events_are_recorded_and_dropped_without_a_runtime() {
    let script = accepting();
    let delivery = delivery(options(), &script);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let delivery = delivery.clone();
            std::thread::spawn(move || record(&delivery, thread * 100..thread * 100 + 100))
        })
        .collect();
    for thread in threads {
        thread.join().expect("the thread records");
    }
    assert_eq!(delivery.account().queued, 400);
    drop(delivery);
    assert_eq!(script.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_compressed_where_that_is_asked_for() {
    let script = accepting();
    let delivery = delivery(options().with_gzip(true), &script);
    record(&delivery, 0..3);
    delivery.flush(LONG).await;
    let request = &script.requests()[0];
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert_eq!(numbers(request), [0, 1, 2]);
}

#[test]
fn options_that_cannot_work_are_named() {
    let transport = || Arc::new(InMemoryTransport::new(Script::new()));
    for (options, field) in [
        (DeliveryOptions::new(Secret::from(" ")), "api_key"),
        (options().with_queue_events(0), "queue_events"),
        (options().with_queue_bytes(0), "queue_bytes"),
    ] {
        let error = Delivery::new(options, transport()).expect_err("unusable options");
        assert!(
            matches!(error, Error::Config { field: named, .. } if named == field),
            "{error}"
        );
    }
    let endpoints = Endpoints::at("http://127.0.0.1:1/base").expect("an address");
    let options = options()
        .with_endpoints(endpoints)
        .with_clock(Arc::new(SystemClock));
    Delivery::new(options, transport()).expect("usable options");
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Metrics for Told {
    fn record(&self, measurement: &Measurement<'_>) {
        self.0
            .lock()
            .expect("no test thread panics")
            .push(format!("{measurement:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_told_what_happens() {
    let script = accepting();
    script.then(
        "/batch",
        [
            Answer::status(503),
            Answer::status(400).send(r#"{"error":"x","silenced_events":[0]}"#),
        ],
    );
    let told = Arc::new(Told::default());
    let options = options().with_queue_events(2).with_metrics(told.clone());
    let delivery = delivery(options, &script);
    record(&delivery, 0..2);
    let _ = delivery.record(&event(2));
    delivery.flush(LONG).await;
    let told = told.0.lock().expect("no test thread panics");
    let without_depth: Vec<_> = told
        .iter()
        .filter(|it| !it.starts_with("QueueDepth"))
        .collect();
    assert_eq!(
        without_depth,
        [
            "EventsDropped { events: 1, cause: \"queue_full\" }",
            "UploadFailed { status: Some(503) }",
            "EventsDropped { events: 1, cause: \"invalid\" }",
            "EventsDelivered { events: 1 }",
        ]
    );
    assert_eq!(
        told.last().expect("a depth"),
        "QueueDepth { events: 0, bytes: 0 }"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_shows_neither_keys_nor_users() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let script = accepting();
    script.then(
        "/batch",
        [
            Answer::status(400).send(r#"{"error":"Invalid API key: analytics-api-key"}"#),
            Answer::status(400).send(r#"{"error":"bad user-0"}"#),
            Answer::status(503),
        ],
    );
    let delivery = delivery(options(), &script);
    record(&delivery, 0..2);
    let account = delivery.shutdown(LONG).await;
    drop(guard);
    assert_eq!(account.delivered + account.dropped.total(), 2);
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert!(log.contains("does not know the API key"), "{log}");
    assert!(!log.contains("analytics-api-key"), "{log}");
    assert!(
        !log.contains("user-0") && !log.contains("device-0"),
        "{log}"
    );
    assert!(!format!("{delivery:?} {account:?}").contains("user-0"));
}

#[tokio::test(start_paused = true)]
async fn a_child_after_a_fork_has_nothing_of_its_parent() {
    let script = accepting();
    let parent = delivery(options(), &script);
    record(&parent, 0..3);
    let transport = Arc::new(InMemoryTransport::new(script.clone()));
    let child = parent.after_fork(transport);
    assert_eq!(child.account(), Account::default());
    record(&child, 3..4);
    child.flush(LONG).await;
    assert_eq!(sent(&script), [[3]]);
    assert_eq!(parent.account().queued, 3);
}

/// Users that are recorded while nothing is delivered.
const CROWD: usize = 1_000_000;

#[derive(Debug)]
struct Dead;

impl Transport for Dead {
    fn send(&self, _request: Request) -> Answering<'_> {
        Box::pin(async { Err(TransportError::new(TransportErrorKind::Connect)) })
    }
}

#[test]
fn a_million_users_and_a_dead_service_stay_below_the_memory_limit() {
    let directory = tempfile::tempdir().expect("a directory");
    let spool = SpoolOptions::new(directory.path()).with_max_bytes(8_000_000);
    for options in [
        options(),
        options().with_spool(spool.with_fsync(Fsync::Never)),
    ] {
        let mut outcome = None;
        let used = allocation_counter::measure(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            outcome = Some(runtime.block_on(async {
                let delivery = Delivery::new(options, Arc::new(Dead)).expect("usable options");
                tokio::spawn(delivery.worker());
                let mut event = event(0);
                for number in 0..CROWD {
                    event.user_id = Some(format!("user-{number}").into());
                    let _ = delivery.record(&event);
                    if number % 10_000 == 0 {
                        sleep(Duration::from_secs(60)).await;
                    }
                }
                (delivery.account(), delivery.memory_limit())
            }));
        });
        let (account, limit) = outcome.expect("it ran");
        assert_eq!(account.recorded, CROWD as u64);
        assert!(account.pending() >= 16_384, "{account:?}");
        assert!(used.bytes_max < limit as u64, "{used:?}, {limit}");
    }
}
