//! The local client keeps flags fresh, and keeps the last good ones.

use std::time::Duration;

use experiment_client::{
    Error, EvaluateOptions, FlagSource, LocalClient, LocalClientBuilder, State, Updates,
    test_kit::{Answer, InMemoryTransport, Script},
};
use experiment_model::User;
use tokio::time::sleep;

const FLAGS: &str = "/sdk/v2/flags";
const STREAM: &str = "/sdk/stream/v1/flags";
const SECOND: Duration = Duration::from_secs(1);

/// A configuration whose flag `f` gives everybody `variant`.
fn flags(variant: &str, version: u32) -> String {
    format!(
        r#"[{{"key": "f", "metadata": {{"flagVersion": {version}}},
            "variants": {{"{variant}": {{"key": "{variant}", "value": "{variant}"}}}},
            "segments": [{{"variant": "{variant}"}}]}}]"#
    )
}

fn builder(script: &Script) -> LocalClientBuilder {
    LocalClient::builder("server-key").transport(InMemoryTransport::new(script.clone()))
}

fn client(script: &Script) -> LocalClient {
    builder(script).build().expect("the options are good")
}

fn streaming(script: &Script) -> LocalClient {
    let builder = builder(script).updates(Updates::streaming());
    builder.build().expect("the options are good")
}

fn user() -> User {
    User::new().with_user_id("user-1")
}

/// What the flag gives now; empty if nothing.
fn variant(client: &LocalClient) -> String {
    let variant = client.variant(&user(), "f");
    variant.map_or_else(String::new, |variant| {
        variant.key.as_deref().unwrap_or_default().to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn starting_waits_for_the_flags() {
    let script = Script::new();
    script.on(FLAGS, Answer::json(flags("on", 1)).after(SECOND));
    let client = client(&script);
    assert_eq!(client.freshness().state, State::NotReady);
    assert!(matches!(
        client.evaluate(&user(), EvaluateOptions::default()),
        Err(Error::NotReady)
    ));
    client
        .start(10 * SECOND)
        .await
        .expect("the service answers");
    assert_eq!(variant(&client), "on");
    let freshness = client.freshness();
    assert_eq!(
        (
            freshness.state,
            freshness.source,
            freshness.version,
            freshness.flags
        ),
        (State::Ready, Some(FlagSource::Poll), 1, 1)
    );
    let request = &script.requests_to(FLAGS)[0];
    assert_eq!(request.header("authorization"), Some("Api-Key server-key"));
    assert!(
        request
            .header("x-amp-exp-library")
            .is_some_and(|name| name.starts_with("experiment-rust/"))
    );
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
}

#[tokio::test(start_paused = true)]
async fn flags_are_asked_for_again_within_a_tenth_of_the_interval() {
    let script = Script::new();
    script.on(FLAGS, Answer::json(flags("a", 1)));
    let client = client(&script);
    client.start(SECOND).await.expect("the service answers");
    script.on(FLAGS, Answer::json(flags("b", 2)));
    sleep(26 * SECOND).await;
    assert_eq!(
        (variant(&client).as_str(), script.requests().len()),
        ("a", 1)
    );
    sleep(8 * SECOND).await;
    assert_eq!(
        (variant(&client).as_str(), script.requests().len()),
        ("b", 2)
    );
    assert_eq!(client.freshness().version, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_flags_survive_every_answer() {
    let page = "<html><body>Bad gateway</body></html>";
    let rows: Vec<(&str, Answer)> = vec![
        ("connection refused", Answer::refused()),
        ("silence", Answer::silence()),
        ("stall in the body", Answer::json("[{\"key\": ").stall()),
        ("reset in the body", Answer::json("[{\"key\": ").reset()),
        ("cut off", Answer::json(flags("b", 2)[..40].to_owned())),
        ("a page", Answer::json(page)),
        (
            "an object",
            Answer::json(r#"{"code": 500, "error": "internal"}"#),
        ),
        ("an empty object", Answer::json("{}")),
        ("a string", Answer::json("\"flags\"")),
        ("no body", Answer::status(200)),
        (
            "nothing but malformed flags",
            Answer::json("[7, {\"key\": \"f\"}]"),
        ),
        ("500 with an empty list", Answer::status(500).send("[]")),
        ("204", Answer::status(204)),
        (
            "302",
            Answer::status(302).header("location", "http://elsewhere.example/"),
        ),
        ("400", Answer::status(400)),
        ("401", Answer::status(401)),
        ("403", Answer::status(403)),
        ("429", Answer::status(429)),
        ("503", Answer::status(503).header("retry-after", "1")),
        (
            "damaged gzip",
            Answer::json(vec![0x1f, 0x8b, 8, 0, 1]).header("content-encoding", "gzip"),
        ),
        (
            "unknown encoding",
            Answer::json(flags("b", 2)).header("content-encoding", "zstd"),
        ),
    ];
    for (name, answer) in rows {
        let script = Script::new();
        script.on(FLAGS, Answer::json(flags("a", 1)));
        let client = client(&script);
        client.start(SECOND).await.expect("the service answers");
        script.on(FLAGS, answer);
        sleep(100 * SECOND).await;
        assert!(script.requests().len() >= 3, "{name}: it goes on asking");
        assert_eq!(variant(&client), "a", "{name}");
        let freshness = client.freshness();
        assert_eq!(freshness.state, State::Stale, "{name}");
        assert!(freshness.cause.is_some(), "{name}");
        script.on(FLAGS, Answer::json(flags("c", 3)));
        sleep(45 * SECOND).await;
        assert_eq!(variant(&client), "c", "{name}: it recovers");
        assert_eq!(client.freshness().state, State::Ready, "{name}");
        assert!(client.freshness().cause.is_none(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_without_the_service_says_why_and_late_success_counts() {
    let script = Script::new();
    script.on(FLAGS, Answer::status(503));
    let client = client(&script);
    let error = client
        .start(5 * SECOND)
        .await
        .expect_err("there are no flags");
    assert!(
        matches!(error, Error::Status { status: 503, .. }),
        "{error}"
    );
    assert_eq!(error.attempts() as usize, script.requests().len());
    assert_eq!(client.freshness().state, State::Failed);
    assert!(
        script.requests().len() > 3,
        "it tries again before the deadline"
    );
    script.on(FLAGS, Answer::json(flags("on", 1)));
    sleep(35 * SECOND).await;
    assert_eq!(variant(&client), "on");
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_what_cannot_change_and_never_longer_than_its_deadline() {
    let started = tokio::time::Instant::now();
    let script = Script::new();
    script.on(FLAGS, Answer::status(401));
    let error = client(&script)
        .start(60 * SECOND)
        .await
        .expect_err("refused");
    assert!(
        matches!(error, Error::Status { status: 401, .. }),
        "{error}"
    );
    assert_eq!(started.elapsed(), Duration::ZERO);

    script.on(FLAGS, Answer::silence());
    let error = client(&script)
        .start(3 * SECOND)
        .await
        .expect_err("silence");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(started.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn bundled_flags_serve_until_the_service_has_better_ones() {
    let script = Script::new();
    script.on(FLAGS, Answer::refused());
    let client = builder(&script)
        .bootstrap(flags("bundled", 1))
        .build()
        .expect("good flags");
    assert_eq!(variant(&client), "bundled");
    client
        .start(2 * SECOND)
        .await
        .expect("the bundled flags will do");
    let freshness = client.freshness();
    assert_eq!(
        (freshness.state, freshness.source, freshness.age),
        (State::Stale, Some(FlagSource::Bootstrap), None)
    );
    script.on(FLAGS, Answer::json(flags("bundled", 1)));
    sleep(35 * SECOND).await;
    let freshness = client.freshness();
    assert_eq!(
        (freshness.state, freshness.source),
        (State::Ready, Some(FlagSource::Poll))
    );
}

#[tokio::test(start_paused = true)]
async fn flags_that_look_wrong_are_taken_when_they_come_again() {
    for (name, wrong, then) in [
        ("an empty list", "[]".to_owned(), ""),
        ("an older version", flags("old", 4), "old"),
    ] {
        let script = Script::new();
        script.on(FLAGS, Answer::json(flags("new", 5)));
        let client = client(&script);
        client.start(SECOND).await.expect("the service answers");

        script.then(FLAGS, [Answer::json(wrong.clone())]);
        sleep(34 * SECOND).await;
        assert_eq!(
            variant(&client),
            "new",
            "{name} once, then the right ones again"
        );

        script.on(FLAGS, Answer::json(wrong));
        sleep(35 * SECOND).await;
        assert_eq!(variant(&client), then, "{name} twice");
    }
}

#[tokio::test(start_paused = true)]
async fn one_poisoned_flag_among_a_thousand_changes_nothing_else() {
    let good = (0..1000).map(|at| {
        format!(r#"{{"key": "f{at}", "variants": {{"on": {{"key": "on"}}}}, "segments": [{{"variant": "on"}}]}}"#)
    });
    let mut all: Vec<String> = good.collect();
    all[500] = r#"{"key": "f500", "variants": {"on": 7}, "segments": "none"}"#.to_owned();
    let script = Script::new();
    script.on(
        FLAGS,
        Answer::gzip(format!("[{}]", all.join(",")).as_bytes()),
    );
    let client = client(&script);
    client.start(SECOND).await.expect("999 good flags");
    assert_eq!(
        client
            .evaluate(&user(), EvaluateOptions::default())
            .expect("ready")
            .len(),
        999
    );
}

#[tokio::test(start_paused = true)]
async fn of_flags_with_the_same_key_one_is_used() {
    let both = format!(
        "[{},{}]",
        &flags("a", 1)[1..flags("a", 1).len() - 1],
        &flags("b", 1)[1..flags("b", 1).len() - 1]
    );
    let script = Script::new();
    script.on(FLAGS, Answer::json(both));
    let client = client(&script);
    client.start(SECOND).await.expect("the flags can be read");
    assert!(["a", "b"].contains(&variant(&client).as_str()));
    assert!(
        client.flags().plan().diagnostics().len() == 1,
        "and a diagnostic says so"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let script = Script::new();
    script.on(FLAGS, Answer::json(flags("a", 1)));
    let client = client(&script);
    client.start(SECOND).await.expect("the service answers");
    script.then(FLAGS, [Answer::status(429).header("retry-after", "100")]);
    sleep(120 * SECOND).await;
    assert_eq!(script.requests().len(), 2);
    sleep(20 * SECOND).await;
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn streamed_flags_replace_each_other_and_nothing_is_polled() {
    let script = Script::new();
    let stream = Answer::stream()
        .send(format!(
            "data: {}\n\n",
            flags("a", 1).replace('\n', "\ndata: ")
        ))
        .wait(15 * SECOND)
        .send("data:  \n\n")
        .wait(15 * SECOND)
        .send(format!(
            "data: {}\r\n\r\n",
            flags("b", 2).replace('\n', "\r\ndata: ")
        ))
        .stall();
    script.on(STREAM, stream);
    let client = streaming(&script);
    client.start(SECOND).await.expect("the stream sends flags");
    assert_eq!(
        (variant(&client).as_str(), client.freshness().source),
        ("a", Some(FlagSource::Stream))
    );
    sleep(31 * SECOND).await;
    assert_eq!(variant(&client), "b");
    assert_eq!(script.requests_to(FLAGS).len(), 0);
    let request = &script.requests_to(STREAM)[0];
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("authorization"), Some("Api-Key server-key"));
    assert!(request.header("x-amp-exp-library").is_some());
}

#[tokio::test(start_paused = true)]
async fn polling_takes_over_whenever_the_stream_fails() {
    let first = format!("data: {}\n\n", flags("streamed", 1).replace('\n', ""));
    let rows = [
        ("no such service", Answer::status(501)),
        ("refused", Answer::refused()),
        ("silence", Answer::silence()),
        ("no first flags", Answer::stream().stall()),
        (
            "only keep-alives",
            Answer::stream().send("data:  \n\n").stall(),
        ),
        ("not a stream", Answer::json("[]")),
        ("401", Answer::status(401)),
        (
            "malformed first flags",
            Answer::stream().send("data: <html>\n\n").stall(),
        ),
        (
            "malformed later flags",
            Answer::stream()
                .send(first.clone())
                .send("data: [{\n\n")
                .stall(),
        ),
        ("half open", Answer::stream().send(first.clone()).stall()),
        ("reset", Answer::stream().send(first.clone()).reset()),
        ("closed", Answer::stream().send(first)),
    ];
    for (name, answer) in rows {
        let script = Script::new();
        script.on(STREAM, answer);
        script.on(FLAGS, Answer::json(flags("polled", 2)));
        let client = streaming(&script);
        client.start(5 * SECOND).await.expect(name);
        sleep(20 * SECOND).await;
        assert_eq!(variant(&client), "polled", "{name}");
        let polls = script.requests_to(FLAGS).len();
        assert!((1..=3).contains(&polls), "{name}: {polls} polls");

        let good = format!("data: {}\n\n", flags("again", 3).replace('\n', ""));
        let streams = script.requests_to(STREAM).len();
        script.on(FLAGS, Answer::refused());
        script.on(STREAM, Answer::stream().send(good).stall());
        sleep(16 * 60 * SECOND).await;
        assert_eq!(
            variant(&client),
            "again",
            "{name}: the stream is tried again"
        );
        assert!(script.requests_to(STREAM).len() > streams, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_closes_every_stream_is_not_stormed() {
    let first = format!("data: {}\n\n", flags("streamed", 1).replace('\n', ""));
    let script = Script::new();
    script.on(STREAM, Answer::stream().send(first));
    script.on(FLAGS, Answer::json(flags("streamed", 1).replace('\n', "")));
    let client = streaming(&script);
    client.start(SECOND).await.expect("flags");
    sleep(60 * SECOND).await;
    let streams = script.requests_to(STREAM).len();
    assert!((4..=6).contains(&streams), "{streams} streams in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_renewed_after_a_quarter_of_an_hour_without_polling() {
    let first = format!("data: {}\n\n", flags("streamed", 1).replace('\n', ""));
    let script = Script::new();
    script.respond(STREAM, move |_| {
        (0..100).fold(Answer::stream().send(first.clone()), |answer, _| {
            answer.wait(15 * SECOND).send("data:  \n\n")
        })
    });
    let client = streaming(&script);
    client.start(SECOND).await.expect("flags");
    sleep(16 * 60 * SECOND).await;
    assert_eq!(script.requests_to(STREAM).len(), 2);
    assert_eq!(script.requests_to(FLAGS).len(), 0);
    assert_eq!(
        client.freshness().version,
        1,
        "the same flags are not taken into use again"
    );
    assert_eq!(
        client.freshness().state,
        State::Ready,
        "keep-alives confirm"
    );
}

#[tokio::test(start_paused = true)]
async fn the_tasks_end_with_the_last_client() {
    let script = Script::new();
    script.on(FLAGS, Answer::json(flags("a", 1)));
    let first = client(&script);
    first.start(SECOND).await.expect("flags");
    let second = first.clone();
    drop(first);
    sleep(40 * SECOND).await;
    assert_eq!(script.requests().len(), 2);
    drop(second);
    sleep(600 * SECOND).await;
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_held_stays_as_it_is() {
    let script = Script::new();
    script.on(FLAGS, Answer::json(flags("a", 1)));
    let client = client(&script);
    client.start(SECOND).await.expect("flags");
    let held = client.flags();
    let variant_then = client.variant(&user(), "f").expect("a variant");
    script.on(FLAGS, Answer::json(flags("b", 2)));
    sleep(40 * SECOND).await;
    assert_eq!(variant(&client), "b");
    assert_eq!(variant_then.key.as_deref(), Some("a"));
    assert!(
        held.plan()
            .variant(&user(), "f")
            .is_some_and(|variant| variant.is("a"))
    );
    assert_eq!(held.flags()[0].version(), Some(1));
}

#[test]
fn evaluating_needs_no_runtime() {
    let client = LocalClient::builder("key")
        .updates(Updates::Off)
        .bootstrap(flags("on", 1))
        .build()
        .expect("good flags");
    assert_eq!(variant(&client), "on");
    assert!(
        client
            .explain(&user(), "f", |why| why.to_string())
            .is_some()
    );
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let field = |error| match error {
        Err(Error::Config { field, .. }) => field,
        other => panic!("not a configuration error: {other:?}"),
    };
    assert_eq!(
        field(LocalClient::builder(" ").build().map(|_| ())),
        "deployment_key"
    );
    let client = LocalClient::builder("key")
        .bootstrap("[]")
        .build()
        .expect("good options");
    let options = EvaluateOptions::new().with_tracks_exposure(true);
    assert_eq!(
        field(client.evaluate(&user(), options).map(|_| ())),
        "tracking"
    );
    let error = LocalClient::builder("key")
        .bootstrap("<html>")
        .build()
        .expect_err("not flags");
    assert!(
        matches!(
            error,
            Error::Malformed {
                what: "bootstrap flags",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn asking_for_one_flag_allocates_nothing() {
    let client = LocalClient::builder("key")
        .updates(Updates::Off)
        .bootstrap(flags("on", 1))
        .build()
        .expect("good flags");
    let user = user();
    // The first call of a thread sets up what belongs to the thread.
    assert!(client.variant(&user, "f").is_some());
    let allocations = allocation_counter::measure(|| {
        for _ in 0..3000 {
            assert!(client.variant(&user, "f").is_some());
        }
    });
    assert_eq!(allocations.count_total, 0);
}
