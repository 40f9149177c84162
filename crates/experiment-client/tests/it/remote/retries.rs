//! When a request is repeated, on a paused clock.

use super::*;

const VARIANTS: &str = r#"{"bool-value": {"key": "on", "value": true}}"#;

/// The answer that a row of the data names.
fn answer(name: &serde_json::Value) -> Answer {
    match (name.as_u64(), name.as_str()) {
        (Some(200), _) => Answer::json(VARIANTS),
        (Some(status), _) => Answer::status(u16::try_from(status).expect("a status")),
        (_, Some("closed")) => Answer::refused(),
        (_, Some("malformed")) => Answer::json("{\"a\":"),
        (_, Some("slow")) => Answer::json(VARIANTS).after(Duration::from_secs(3600)),
        _ => panic!("{name}"),
    }
}

fn outcome(result: &Result<Fetched, Error>) -> String {
    match result {
        Ok(fetched) => {
            assert!(
                fetched
                    .variants
                    .get("bool-value")
                    .is_some_and(|v| v.is("true"))
            );
            "variants".to_owned()
        }
        Err(Error::Status { status, .. }) => format!("status {status}"),
        Err(Error::Timeout { .. }) => "timeout".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_recorded_sequences_end_as_they_should() {
    let (golden, ours) = (golden("remote_fetch_retries"), data("remote_fetch_ours"));
    let rows = ours["retries"].as_array().expect("rows");
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!((rows.len(), cases.len()), (31, 31));
    for case in cases {
        let row = row(&ours["retries"], case).expect("a row for each case");
        let name = format!("{} {}", row["sdk"], row["case"]);
        let answers = row["answers"].as_array().expect("answers");
        let script = answering(VARIANTS);
        script.then(VARDATA, answers.iter().map(answer));
        let retries = row["retries"].as_u64().expect("a number");
        let timeout = row
            .get("attempt_timeout_ms")
            .map_or(10_000, |ms| ms.as_u64().expect("ms"));
        let policy = RetryPolicy::default()
            .with_retries(u32::try_from(retries).expect("a number"))
            .with_attempt_timeout(Duration::from_millis(timeout));
        let options = FetchOptions::new().with_retry(policy);
        let result = client(&script).fetch(&ada(), options).await;
        assert_eq!(json!(outcome(&result)), row["outcome"], "{name}");
        let attempts = result
            .as_ref()
            .map_or_else(Error::attempts, |fetched| fetched.attempts);
        assert_eq!(json!(attempts), row["attempts"], "{name}");
        assert_eq!(json!(script.requests().len()), row["attempts"], "{name}");
        // What is not explained is as recorded.
        if row.get("why").is_none() {
            let recorded = case["statuses"].as_array().expect("statuses");
            assert_eq!(recorded.len(), answers.len(), "{name}");
            assert_eq!(case["outcome"] == "value", result.is_ok(), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_stay_random_and_are_bounded() {
    let script = Script::new();
    script.on(VARDATA, Answer::status(500));
    let policy = RetryPolicy::default().with_retries(3).with_backoff(
        Duration::from_millis(100),
        Duration::from_millis(250),
        2.0,
    );
    let client = builder(&script).retry(policy).build().expect("a client");
    let mut waits = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        let error = client.fetch(&ada(), FetchOptions::new()).await;
        assert_eq!(error.expect_err("500").attempts(), 4);
        waits.push(started.elapsed());
    }
    // 100 + 200 + 250 ms, and a millisecond for each timer to be late.
    assert!(
        waits.iter().all(|wait| *wait <= Duration::from_millis(553)),
        "{waits:?}"
    );
    assert!(waits.iter().any(|wait| *wait != waits[0]));
    assert_eq!(script.requests().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_waits_as_long_as_the_service_asks() {
    for (header, value, least) in [
        ("retry-after", "7", 7),
        ("retry-after", "Thu, 01 Jan 2026 00:00:09 GMT", 9),
    ] {
        let script = answering("{}");
        let answer = Answer::status(429)
            .header(header, value)
            .header("date", "Thu, 01 Jan 2026 00:00:00 GMT");
        script.then(VARDATA, [answer]);
        let started = Instant::now();
        let fetched = client(&script).fetch(&ada(), FetchOptions::new()).await;
        assert_eq!(fetched.expect("variants").attempts, 2);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(least), "{waited:?}");
        assert!(waited < Duration::from_secs(least + 1), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_would_come_too_late_is_not_waited_for() {
    let script = answering("{}");
    script.then(VARDATA, [Answer::status(429).header("retry-after", "3600")]);
    let started = Instant::now();
    let error = client(&script).fetch(&ada(), FetchOptions::new()).await;
    let Err(Error::Status {
        status: 429,
        retry_after,
        attempts: 1,
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_ends_when_its_total_time_is_up() {
    let script = Script::new();
    script.on(VARDATA, Answer::silence());
    let started = Instant::now();
    let error = client(&script).fetch(&ada(), FetchOptions::new()).await;
    // Three attempts of 10 s and the waits between them do not fit into 30 s.
    let Err(Error::Timeout { attempts: 3, phase }) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(phase, Phase::Head | Phase::Backoff), "{phase:?}");
    assert!(started.elapsed() <= Duration::from_millis(30_010));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_sends_nothing_more() {
    let script = Script::new();
    script.on(VARDATA, Answer::status(500));
    let client = client(&script);
    let user = ada();
    tokio::select! {
        biased;
        _ = client.fetch(&user, FetchOptions::new()) => panic!("it waits"),
        () = async {
            while script.requests().is_empty() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_earlier_question_never_reaches_a_later_one() {
    let script = Script::new();
    script.respond(VARDATA, |received| {
        let user = decoded(received, "x-amp-exp-user").expect("a user");
        let id = user["user_id"].as_str().expect("an id");
        let slow = if id == "slow" { 5 } else { 0 };
        Answer::json(format!(r#"{{"f": {{"key": "{id}"}}}}"#)).after(Duration::from_secs(slow))
    });
    let client = client(&script);
    let fetch = async |id: &str| {
        let user = User::new().with_user_id(id);
        let fetched = client
            .fetch(&user, FetchOptions::new())
            .await
            .expect("variants");
        fetched
            .variants
            .get("f")
            .cloned()
            .and_then(|variant| variant.key)
    };
    let (slow, fast) = tokio::join!(fetch("slow"), fetch("fast"));
    assert_eq!(slow.as_deref(), Some("slow"));
    assert_eq!(fast.as_deref(), Some("fast"));
}
