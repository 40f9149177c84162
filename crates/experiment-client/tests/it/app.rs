//! The app client against a scripted service: starting, fetching, races, polling, retries.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    AppClient, AppClientBuilder, ClientExposure, Endpoints, Error, ExposureTrackingProvider,
    FetchOptions, FetchOutcome, FileStorage, Measurement, MemoryStorage, Metrics, NotTracked,
    RetryPolicy, Storage, UserProvider, VariantSource,
    test_kit::{Answer, InMemoryTransport, Received, Script, Service},
};
use experiment_model::{User, Variant, Variants, read_flags};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

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

pub(crate) fn script() -> Script {
    let script = Script::new();
    script.on(FLAGS, Answer::json("[]"));
    script.on(VARDATA, Answer::json("{}"));
    script
}

pub(crate) fn builder(script: &Script) -> AppClientBuilder {
    AppClient::builder(KEY).transport(InMemoryTransport::new(script.clone()))
}

pub(crate) fn client(script: &Script) -> AppClient {
    builder(script).build().expect("a client")
}

pub(crate) fn user(id: &str) -> User {
    User::new().with_user_id(id)
}

pub(crate) fn variants(entries: &[(&str, &str)]) -> Answer {
    let variants: Variants = entries
        .iter()
        .map(|(key, variant)| (*key, Variant::new(*variant)))
        .collect();
    Answer::json(variants.to_string())
}

pub(crate) fn flag(key: &str, mode: &str, variant: &str) -> Value {
    json!({
        "key": key,
        "variants": {variant: {"key": variant, "value": variant}},
        "segments": [{"variant": variant}],
        "metadata": {"evaluationMode": mode},
    })
}

pub(crate) fn flags(flags: &[Value]) -> Answer {
    Answer::json(Value::from(flags).to_string())
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whom a fetch was for.
pub(crate) fn fetched_for(received: &Received) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = received.header("x-amp-exp-user").expect("a user");
    let json = URL_SAFE_NO_PAD.decode(header).expect("base64");
    serde_json::from_slice(&json).expect("JSON")
}

pub(crate) fn all() -> FetchOptions {
    FetchOptions::default()
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
        Some(Ok(FetchOutcome::Stored { variants: 1, .. }))
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
fn metrics_tell_where_the_first_flags_are_from() {
    let on = flag("f", "local", "on");
    let initial = read_flags(json!([on]).to_string().as_bytes()).expect("flags");
    let stored = json!({"f": on, "g": flag("g", "local", "on")}).to_string();
    for (stored, expected) in [
        ("", "no flags file storage"),
        (stored.as_str(), "flags file 2 true"),
    ] {
        let (told, storage) = (Arc::new(Told::default()), MemoryStorage::new());
        let name = "amp-exp-$default_instance-3cFg7a-flags";
        storage.set(name, stored.as_bytes()).expect("in memory");
        builder(&Script::new())
            .storage(storage)
            .initial_flags(initial.clone())
            .metrics(told.clone())
            .build()
            .expect("a client");
        let told = told.0.lock().expect("not poisoned").clone();
        assert_eq!(told, [expected, "flags bootstrap 1 true"]);
    }
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

#[tokio::test]
async fn over_real_sockets_the_next_run_starts_offline() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = script();
    script.on(FLAGS, flags(&[flag("local", "local", "on")]));
    script.on(VARDATA, variants(&[("remote", "on")]));
    let mut service = Service::start(script).await.expect("a service");
    let build = || {
        AppClient::builder(KEY)
            .endpoints(Endpoints::at(&service.url()).expect("an address"))
            .storage(FileStorage::new(directory.path()).expect("made"))
            .retry(RetryPolicy::default().with_retries(0))
            .build()
            .expect("a client")
    };
    let first = build();
    first
        .start(Some(user("a")))
        .await
        .into_result()
        .expect("started");
    drop(first);
    let third = build();
    service.stop().await;
    let started = third.start(Some(user("a"))).await;
    assert!(matches!(started.flags, Err(Error::Transport { .. })));
    assert!(matches!(
        started.variants,
        Some(Err(Error::Transport { .. }))
    ));
    assert!(third.variant("remote", None).is("on"));
    assert!(third.variant("local", None).is("on"));
}
