//! What an evaluation tracks, and that it is tracked once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    DeliveryOptions, Error, EvaluateOptions, LocalClient, LocalClientBuilder, Measurement, Metrics,
    Tracking, Updates,
    test_kit::{Answer, CapturedEvents, InMemoryTransport, ManualClock, Overrides, Script},
};
use experiment_model::{Timestamp, User, Variant};

const SECOND: Duration = Duration::from_secs(1);

const FLAGS: &str = r#"[
    {"key": "a", "metadata": {"flagVersion": 7, "experimentKey": "exp-1", "flagType": "experiment"},
     "variants": {"on": {"key": "on", "value": "on"}, "off": {"key": "off", "metadata": {"default": true}}},
     "segments": [{"variant": "on", "metadata": {"segmentName": "All Other Users"}}]},
    {"key": "b", "dependencies": ["a"], "metadata": {"flagVersion": 1},
     "variants": {"on": {"key": "on", "value": "on"}},
     "segments": [{"variant": "on", "metadata": {"segmentName": "Everyone"}}]},
    {"key": "silent", "metadata": {"trackExposure": false},
     "variants": {"on": {"key": "on", "value": "on"}}, "segments": [{"variant": "on"}]}
]"#;

/// A client that tracks, and what arrives.
struct Setup {
    client: LocalClient,
    script: Script,
    events: CapturedEvents,
    clock: Arc<ManualClock>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Metrics for Seen {
    fn record(&self, measurement: &Measurement<'_>) {
        self.0
            .lock()
            .expect("no panic")
            .push(format!("{measurement:?}"));
    }
}

impl Seen {
    fn count(&self, name: &str) -> usize {
        let seen = self.0.lock().expect("no panic");
        seen.iter().filter(|line| line.starts_with(name)).count()
    }
}

fn setup(
    tracking: impl FnOnce(Tracking) -> Tracking,
    more: impl FnOnce(LocalClientBuilder) -> LocalClientBuilder,
) -> Setup {
    let script = Script::new();
    let events = CapturedEvents::of(&script);
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(
        1_700_000_000_000,
    )));
    let seen = Arc::new(Seen::default());
    let builder = LocalClient::builder("server-key")
        .transport(InMemoryTransport::new(script.clone()))
        .updates(Updates::Off)
        .bootstrap(FLAGS)
        .clock(clock.clone())
        .metrics(seen.clone())
        .tracking(tracking(Tracking::new(DeliveryOptions::new(
            "analytics-key",
        ))));
    let client = more(builder).build().expect("the options are good");
    Setup {
        client,
        script,
        events,
        clock,
        seen,
    }
}

fn user() -> User {
    User::new()
        .with_user_id("user-1")
        .with_device_id("device-1")
        .with_group("org", "Acme")
}

fn options<'a>() -> EvaluateOptions<'a> {
    EvaluateOptions::new()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tracked_unless_asked_for() {
    let it = setup(|tracking| tracking, |builder| builder);
    it.client.evaluate(&user(), options()).expect("flags");
    assert!(it.client.variant(&user(), "a").is_some());
    assert_eq!(it.client.account().recorded, 0);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_one_assignment_a_day() {
    let it = setup(
        |tracking| tracking.with_assignments(true),
        |builder| builder,
    );
    for _ in 0..3 {
        it.client.evaluate(&user(), options()).expect("flags");
    }
    it.clock.advance(Duration::from_secs(25 * 3600));
    it.client.evaluate(&user(), options()).expect("flags");
    let account = it.client.flush(SECOND).await;
    assert_eq!((account.recorded, account.delivered), (2, 2));
    let events = it.events.all();
    assert_eq!(events[0]["event_type"], "[Experiment] Assignment");
    assert_eq!(events[0]["event_properties"]["a.variant"], "on");
    assert_eq!(
        events[0]["event_properties"]["a.details"],
        "v7 rule:All Other Users"
    );
    assert_eq!(events[0]["user_properties"]["$set"]["[Experiment] a"], "on");
    assert_eq!(events[0]["groups"]["org"][0], "Acme");
    it.events.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn each_flag_is_one_exposure_and_dependencies_are_none_unless_asked_for() {
    let it = setup(|tracking| tracking.with_exposures(true), |builder| builder);
    let only_b = options().with_flag_keys(&["b", "silent"]);
    it.client.evaluate(&user(), only_b).expect("flags");
    it.client.evaluate(&user(), only_b).expect("flags");
    it.client.flush(SECOND).await;
    it.events.assert_exposed("user-1", "b", "on");
    assert_eq!(
        it.events.exposures().len(),
        1,
        "neither what b depends on nor what is not to be tracked"
    );
    it.client
        .evaluate(&user(), only_b.with_dependencies(true))
        .expect("flags");
    it.client.evaluate(&user(), options()).expect("flags");
    it.client.flush(SECOND).await;
    it.events.assert_exposed("user-1", "a", "on");
    assert_eq!(
        it.events.exposures().len(),
        2,
        "what was tracked before is not tracked again"
    );
    it.events.assert_no_duplicates();
    let event = &it.events.all()[1];
    assert_eq!(
        event["event_properties"]["[Experiment] Experiment Key"],
        "exp-1"
    );
    assert_eq!(event["groups"]["org"][0], "Acme");
}

#[tokio::test(start_paused = true)]
async fn a_call_can_ask_for_tracking_and_against_it() {
    let it = setup(|tracking| tracking.with_exposures(true), |builder| builder);
    let quiet = options().with_tracks_exposure(false);
    it.client.evaluate(&user(), quiet).expect("flags");
    assert_eq!(it.client.account().recorded, 0);
    let both = quiet.with_tracks_assignment(true);
    it.client.evaluate(&user(), both).expect("flags");
    assert_eq!(it.client.account().recorded, 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_and_a_change_back_are_tracked() {
    let it = setup(|tracking| tracking, |builder| builder);
    let (a, b) = (Variant::new("A"), Variant::new("B"));
    let mut off = Variant::new("off");
    off.metadata = Some([("default", true)].into_iter().collect());
    for variant in [&a, &a, &b, &a, &off, &off, &a] {
        it.client.exposure(&user(), "f", variant).expect("room");
    }
    it.client.flush(SECOND).await;
    let shown = it
        .events
        .exposures()
        .into_iter()
        .map(|(_, _, variant)| variant);
    let expected = ["A", "B", "A", "", "A"].map(|key| (!key.is_empty()).then(|| key.to_owned()));
    assert!(shown.eq(expected));
    it.events.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn a_user_without_ids_is_evaluated_counted_and_not_tracked() {
    let it = setup(|tracking| tracking.with_exposures(true), |builder| builder);
    let nobody = User::new().with_country("Norway").with_user_id("");
    assert_eq!(
        it.client.evaluate(&nobody, options()).expect("flags").len(),
        3
    );
    let quiet = options().with_tracks_exposure(false);
    it.client.evaluate(&nobody, quiet).expect("flags");
    assert_eq!(it.client.account().recorded, 0);
    assert_eq!(it.seen.count("EvaluatedWithoutId"), 2);
    let error = it
        .client
        .exposure(&nobody, "a", &Variant::new("on"))
        .expect_err("no id");
    assert!(matches!(error, Error::MissingId));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_found_no_room_is_tracked_when_it_happens_again() {
    let it = setup(
        |mut tracking| {
            tracking.delivery = tracking.delivery.with_queue_events(1);
            tracking
        },
        |builder| builder,
    );
    let on = Variant::new("on");
    it.client
        .exposure(&user(), "first", &on)
        .expect("room for one");
    let error = it
        .client
        .exposure(&user(), "second", &on)
        .expect_err("no room");
    assert!(matches!(error, Error::Dropped { .. }), "{error}");
    it.client.flush(SECOND).await;
    it.client
        .exposure(&user(), "second", &on)
        .expect("room again");
    let account = it.client.flush(SECOND).await;
    assert_eq!(
        (account.recorded, account.delivered, account.dropped.total()),
        (3, 2, 1)
    );
    it.events.assert_exposed("user-1", "second", "on");
}

#[tokio::test(start_paused = true)]
async fn clocks_that_jump_lose_nothing_and_suppress_nothing_for_ever() {
    let day = Duration::from_secs(86_400);
    let start = Timestamp::from_unix_millis(1_700_000_000_000);
    let on = Variant::new("on");
    for (name, jump) in [
        ("forwards", start.saturating_add(day)),
        (
            "backwards",
            Timestamp::from_unix_millis(1_700_000_000_000 - 86_400_000),
        ),
    ] {
        let it = setup(|tracking| tracking, |builder| builder);
        it.client.exposure(&user(), "f", &on).expect("room");
        it.clock.set(jump);
        it.client.exposure(&user(), "f", &on).expect("room");
        it.client
            .exposure(&user(), "f", &Variant::new("other"))
            .expect("room");
        it.clock.set(start.saturating_add(day * 2));
        it.client
            .exposure(&user(), "f", &Variant::new("other"))
            .expect("room");
        let account = it.client.flush(SECOND).await;
        assert_eq!(account.delivered, account.recorded, "{name}");
        assert!(account.recorded >= 3, "{name}: {account:?}");
        it.events.assert_no_duplicates();
    }
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_a_service_that_is_down_and_go_out_once() {
    let it = setup(
        |tracking| tracking.with_exposures(true),
        |builder| builder.updates(Updates::Off),
    );
    it.script
        .then("/batch", (0..4).map(|_| Answer::status(503)));
    it.script
        .then("/batch", [Answer::refused(), Answer::silence()]);
    it.client.start(SECOND).await.expect("bundled flags");
    it.client.evaluate(&user(), options()).expect("flags");
    tokio::time::sleep(Duration::from_secs(300)).await;
    let account = it.client.account();
    assert_eq!(
        (account.recorded, account.delivered, account.queued),
        (2, 2, 0)
    );
    assert!(it.seen.count("UploadFailed") >= 6);
    let ids: std::collections::BTreeSet<String> = it
        .events
        .all()
        .iter()
        .map(|event| event["insert_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 2, "repetitions have the same insert ids");
}

#[tokio::test(start_paused = true)]
async fn after_shutdown_flags_still_answer_and_events_are_counted_as_dropped() {
    let it = setup(|tracking| tracking.with_exposures(true), |builder| builder);
    it.client.start(SECOND).await.expect("bundled flags");
    it.client.evaluate(&user(), options()).expect("flags");
    let account = it.client.shutdown(SECOND).await;
    assert_eq!((account.recorded, account.delivered), (2, 2));
    let other = User::new().with_user_id("user-2");
    assert_eq!(
        it.client.evaluate(&other, options()).expect("flags").len(),
        3
    );
    let account = it.client.shutdown(SECOND).await;
    assert_eq!(
        (account.recorded, account.delivered, account.dropped.total()),
        (4, 2, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn overrides_are_seen_by_evaluation_dependents_and_tracking() {
    let overrides = Overrides::new()
        .with_flag("a", Variant::new("forced"))
        .with_user("user-2", "a", Variant::new("special"))
        .with_flag("new", Variant::new("on"));
    let it = setup(
        |tracking| tracking.with_exposures(true),
        |builder| builder.overrides(overrides),
    );
    let variants = it.client.evaluate(&user(), options()).expect("flags");
    assert!(
        variants
            .get("a")
            .is_some_and(|variant| variant.is("forced"))
    );
    assert!(variants.get("new").is_some_and(|variant| variant.is("on")));
    let other = User::new().with_user_id("user-2");
    assert!(
        it.client
            .variant(&other, "a")
            .is_some_and(|variant| variant.is("special"))
    );
    it.client.flush(SECOND).await;
    it.events.assert_exposed("user-1", "a", "forced");
}
