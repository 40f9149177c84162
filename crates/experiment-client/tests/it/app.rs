//! The app client against a scripted service: starting, fetching, races, polling, retries.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    AppClient, AppClientBuilder, ClientExposure, Error, ExposureTrackingProvider, FetchOptions,
    FetchOutcome, Measurement, MemoryStorage, Metrics, NotTracked, RetryPolicy, UserProvider,
    VariantSource,
    test_kit::{Answer, InMemoryTransport, Received, Script},
};
use experiment_model::{User, Variant, Variants, read_flags};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) const KEY: &str = "client-3cFg7a";
pub(crate) const VARDATA: &str = "/sdk/v2/vardata";
pub(crate) const FLAGS: &str = "/sdk/v2/flags";

/// A service that answers everything with 404.
pub(crate) fn no_service() -> InMemoryTransport {
    InMemoryTransport::new(Script::new())
}

/// Takes exposures, unless told to refuse.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exposures(Arc<Mutex<Vec<Exposed>>>);

#[derive(Clone, Debug)]
pub(crate) struct Exposed {
    pub(crate) json: Value,
    pub(crate) event_type: String,
    pub(crate) user: User,
    pub(crate) transition: u32,
}

impl Exposures {
    pub(crate) fn all(&self) -> Vec<Exposed> {
        self.0.lock().expect("not poisoned").clone()
    }

    pub(crate) fn told(&self) -> Vec<Value> {
        self.all().into_iter().map(|exposed| exposed.json).collect()
    }
}

impl ExposureTrackingProvider for Exposures {
    fn track(
        &self,
        exposure: &ClientExposure,
        user: &User,
        transition: u32,
    ) -> Result<(), NotTracked> {
        self.0.lock().expect("not poisoned").push(Exposed {
            json: serde_json::to_value(exposure).expect("JSON"),
            event_type: exposure.event_type().to_owned(),
            user: user.clone(),
            transition,
        });
        Ok(())
    }
}

fn script() -> Script {
    let script = Script::new();
    script.on(FLAGS, Answer::json("[]"));
    script.on(VARDATA, Answer::json("{}"));
    script
}

fn builder(script: &Script) -> AppClientBuilder {
    AppClient::builder(KEY).transport(InMemoryTransport::new(script.clone()))
}

fn client(script: &Script) -> AppClient {
    builder(script).build().expect("a client")
}

pub(crate) fn user(id: &str) -> User {
    User::new().with_user_id(id)
}

fn variants(entries: &[(&str, &str)]) -> Answer {
    let variants: Variants = entries
        .iter()
        .map(|(key, variant)| (*key, Variant::new(*variant)))
        .collect();
    Answer::json(variants.to_string())
}

fn flag(key: &str, mode: &str, variant: &str) -> Value {
    json!({
        "key": key,
        "variants": {variant: {"key": variant, "value": variant}},
        "segments": [{"variant": variant}],
        "metadata": {"evaluationMode": mode},
    })
}

fn flags(flags: &[Value]) -> Answer {
    Answer::json(Value::from(flags).to_string())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whom a fetch was for.
fn fetched_for(received: &Received) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = received.header("x-amp-exp-user").expect("a user");
    let json = URL_SAFE_NO_PAD.decode(header).expect("base64");
    serde_json::from_slice(&json).expect("JSON")
}

fn all() -> FetchOptions {
    FetchOptions::default()
}

fn only<const N: usize>(keys: [&str; N]) -> FetchOptions {
    FetchOptions::default().flag_keys(keys)
}

#[tokio::test(start_paused = true)]
async fn a_start_loads_flags_and_fetches_variants_at_once() {
    let script = Script::new();
    script.on(
        FLAGS,
        flags(&[flag("local", "local", "on")]).after(seconds(3)),
    );
    script.on(VARDATA, variants(&[("remote", "on")]).after(seconds(3)));
    let client = client(&script);
    let began = Instant::now();
    let started = client.start(Some(user("a"))).await;
    assert_eq!(began.elapsed(), seconds(3));
    assert!(started.flags.is_ok());
    assert!(matches!(
        started.variants,
        Some(Ok(FetchOutcome::Stored { variants: 1 }))
    ));
    assert_eq!(
        client.variant("remote", None).source,
        Some(VariantSource::Storage)
    );
    assert_eq!(
        client.variant("local", None).source,
        Some(VariantSource::LocalEvaluation)
    );
    assert_eq!(client.user(), Some(user("a")));

    let request = &script.requests_to(FLAGS)[0];
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, FLAGS);
    assert_eq!(
        request.header("authorization"),
        Some("Api-Key client-3cFg7a")
    );
    let library = concat!("experiment-rust/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("x-amp-exp-library"), Some(library));
    assert_eq!(fetched_for(&script.requests_to(VARDATA)[0])["user_id"], "a");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_must_not_fetch_sends_no_user() {
    let script = script();
    let client = builder(&script)
        .fetch_on_start(false)
        .build()
        .expect("a client");
    let started = client.start(Some(user("a"))).await;
    assert!(started.variants.is_none());
    assert!(started.into_result().is_ok());
    assert_eq!(script.requests_to(VARDATA).len(), 0);
    assert_eq!(script.requests_to(FLAGS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_a_user_keeps_the_one_that_was_set() {
    let script = script();
    let client = client(&script);
    client.set_user(user("a"));
    for _ in 0..2 {
        client.start(None).await.into_result().expect("started");
        assert_eq!(client.user(), Some(user("a")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_start_polls_once_all_the_same() {
    let script = script();
    let client = client(&script);
    for _ in 0..3 {
        client
            .start(Some(user("a")))
            .await
            .into_result()
            .expect("started");
    }
    let before = script.requests_to(FLAGS).len();
    sleep(seconds(3000)).await;
    let polls = script.requests_to(FLAGS).len() - before;
    assert!((9..=11).contains(&polls), "{polls}");
}

#[tokio::test(start_paused = true)]
async fn a_start_given_up_polls_on_and_a_dropped_client_does_not() {
    let script = script();
    script.on(FLAGS, flags(&[flag("f", "local", "on")]).after(seconds(5)));
    let client = client(&script);
    {
        let start = client.start(Some(user("a")));
        assert!(tokio::time::timeout(seconds(1), start).await.is_err());
    }
    sleep(seconds(10)).await;
    assert!(client.variant("f", None).is("on"));
    let clone = client.clone();
    drop(client);
    sleep(seconds(400)).await;
    assert_eq!(script.requests_to(FLAGS).len(), 2);
    drop(clone);
    sleep(seconds(4000)).await;
    assert_eq!(script.requests_to(FLAGS).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_client_answers_and_can_be_started_again() {
    let script = script();
    script.on(FLAGS, flags(&[flag("f", "local", "on")]));
    script.on(VARDATA, Answer::status(503));
    let client = client(&script);
    client
        .start(Some(user("a")))
        .await
        .into_result()
        .expect_err("503");
    client.stop();
    let before = script.requests().len();
    sleep(seconds(4000)).await;
    assert_eq!(
        script.requests().len(),
        before,
        "neither polled nor retried"
    );
    assert!(client.variant("f", None).is("on"));
    client.start(None).await.into_result().expect_err("503");
    sleep(seconds(4000)).await;
    assert!(script.requests_to(FLAGS).len() > 10);
}

#[tokio::test(start_paused = true)]
async fn stopping_during_a_start_ends_it() {
    let script = script();
    script.on(FLAGS, Answer::silence());
    let client = client(&script);
    let other = client.clone();
    tokio::spawn(async move {
        sleep(seconds(1)).await;
        other.stop();
    });
    let started = client.start(Some(user("a"))).await;
    assert!(matches!(started.flags, Err(Error::Closed)));
}

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
    assert_eq!(outcome, FetchOutcome::Stored { variants: 1 });
}

/// Fetches of one user: when each begins and is answered, which keys it asks for, what it gets.
struct Overlap {
    begin: u64,
    takes: u64,
    keys: Option<&'static [&'static str]>,
    gets: &'static [(&'static str, &'static str)],
}

#[tokio::test(start_paused = true)]
async fn fetches_of_one_user_that_overlap_leave_what_began_last() {
    let fetch = |begin, takes, keys, gets| Overlap {
        begin,
        takes,
        keys,
        gets,
    };
    let cases: [(&str, Vec<Overlap>, &[(&str, &str)]); 6] = [
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
                let begin = began + seconds(fetch.begin);
                let options = match fetch.keys {
                    Some(keys) => FetchOptions::default().flag_keys(keys.iter().copied()),
                    None => all(),
                };
                tokio::spawn(async move {
                    sleep_until(begin).await;
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

#[derive(Debug)]
struct Device;

impl UserProvider for Device {
    fn user(&self) -> User {
        User::new()
            .with_device_id("device-1")
            .with_language("de")
            .with_user_property("plan", "free")
            .with_user_property("seats", 1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_provider_fills_in_and_the_program_wins() {
    let script = script();
    let in_german = json!([{
        "key": "f",
        "variants": {"on": {"key": "on", "value": "on"}},
        "segments": [{"variant": "on", "conditions": [[
            {"selector": ["context", "user", "language"], "op": "is", "values": ["de"]},
            {"selector": ["context", "user", "user_properties", "plan"], "op": "is", "values": ["pro"]},
        ]]}],
        "metadata": {"evaluationMode": "local"},
    }]);
    script.on(FLAGS, Answer::json(in_german.to_string()));
    let client = builder(&script)
        .user_provider(Device)
        .build()
        .expect("a client");
    let explicit = User::new()
        .with_user_id("a")
        .with_user_property("plan", "pro");
    client
        .start(Some(explicit.clone()))
        .await
        .into_result()
        .expect("started");
    let sent = fetched_for(&script.requests_to(VARDATA)[0]);
    assert_eq!(sent["user_id"], "a");
    assert_eq!(sent["device_id"], "device-1");
    assert_eq!(sent["user_properties"], json!({"plan": "pro", "seats": 1}));
    assert!(client.variant("f", None).is("on"));
    assert_eq!(
        client.user(),
        Some(explicit),
        "the caller's user is never changed"
    );
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Metrics for Told {
    fn record(&self, measurement: &Measurement<'_>) {
        let line = match measurement {
            Measurement::Fetched { attempts, .. } => format!("fetched {attempts}"),
            Measurement::FetchFailed { attempts, reason } => format!("failed {attempts} {reason}"),
            Measurement::FlagsLoaded {
                source,
                flags,
                changed,
            } => format!("flags {source} {flags} {changed}"),
            Measurement::FlagsFailed { source, reason } => format!("no flags {source} {reason}"),
            other => format!("{other:?}"),
        };
        self.0.lock().expect("not poisoned").push(line);
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_what_happened() {
    let script = script();
    script.then(
        FLAGS,
        [
            flags(&[flag("f", "local", "on")]),
            Answer::status(500),
            flags(&[flag("f", "local", "on")]),
        ],
    );
    script.then(VARDATA, [Answer::status(400), variants(&[])]);
    let told = Arc::new(Told::default());
    let client = builder(&script)
        .metrics(told.clone())
        .build()
        .expect("a client");
    client
        .start(Some(user("a")))
        .await
        .into_result()
        .expect_err("400");
    client.fetch(None, all()).await.expect("fetched");
    client
        .fetch(Some(User::new()), all())
        .await
        .expect_err("no id");
    sleep(seconds(340)).await;
    let mut told = told.0.lock().expect("not poisoned").clone();
    told.sort();
    assert_eq!(
        told,
        [
            "failed 0 missing_id",
            "failed 1 status",
            "fetched 1",
            "flags poll 1 false",
            "flags poll 1 true",
            "no flags poll status",
        ]
    );
}

#[test]
fn variants_are_answered_without_a_runtime() {
    let client = builder(&Script::new())
        .initial_variants(Variants::from_iter([("f", Variant::new("on"))]))
        .build()
        .expect("a client");
    assert!(client.variant("f", None).is("on"));
    client.set_user(user("a"));
    client.set_tracks_assignment(true);
    client.clear();
    client.stop();
    assert_eq!(client.all().len(), 1);
}

#[test]
fn options_that_cannot_be_used_are_named() {
    for (key, field) in [
        ("", "deployment_key"),
        (" \n", "deployment_key"),
        ("a\nb", "deployment_key"),
    ] {
        let error = AppClient::builder(key)
            .transport(no_service())
            .build()
            .expect_err("unusable");
        assert!(
            matches!(error, Error::Config { field: name, .. } if name == field),
            "{error}"
        );
        assert!(!error.to_string().contains("a\nb"));
    }
}

#[tokio::test(start_paused = true)]
async fn neither_key_nor_user_nor_content_is_shown() {
    let script = script();
    script.on(VARDATA, variants(&[("f", "shown-variant")]));
    let secret = || {
        User::new()
            .with_user_id("secret-id")
            .with_user_property("p", "secret-property")
    };
    let building = builder(&script).storage(MemoryStorage::new());
    assert!(!format!("{building:?}").contains("3cFg7a"));
    let client = building.build().expect("a client");
    client
        .start(Some(secret()))
        .await
        .into_result()
        .expect("started");
    let shown = format!("{client:?}");
    for hidden in ["3cFg7a", "secret", "shown-variant"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
