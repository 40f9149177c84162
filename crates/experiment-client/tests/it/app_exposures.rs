//! Which exposures an app client tells its provider.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use experiment_client::{
    AppClient, AppClientBuilder, ClientExposure, ExposureTrackingProvider, FetchOptions,
    MemoryStorage, NotTracked, Source, Storage,
    test_kit::{Answer, InMemoryTransport, Script},
};
use experiment_model::{User, Variant, Variants, read_flags};
use serde_json::{Value, json};

use crate::app::{Exposures, KEY, VARDATA, no_service, user};

const GOLDEN: &str = include_str!("../golden/exposure_events_client.json");
const STORED: &str = include_str!("../golden/client_storage.json");

fn golden(json: &str) -> Value {
    serde_json::from_str(json).expect("golden data")
}

/// A client with variants and flags as the recorded clients had them.
fn recorded() -> (AppClientBuilder, Exposures) {
    let stored = &golden(STORED)["cases"][0]["local_storage"];
    let storage = MemoryStorage::new();
    for (name, content) in stored.as_object().expect("pieces") {
        storage
            .set(name, content.to_string().as_bytes())
            .expect("in memory");
    }
    let exposures = Exposures::default();
    let builder = AppClient::builder("client-deployment-key")
        .transport(no_service())
        .storage(storage)
        .exposure_tracking_provider(exposures.clone());
    (builder, exposures)
}

fn somebody() -> User {
    User::new()
        .with_user_id("user-00001")
        .with_device_id("device-00001")
        .with_user_property("premium", true)
}

/// A variant as the official client shows it; the experiment key stands in the metadata, too.
fn variant(mut shown: Value) -> Variant {
    let fields = shown.as_object_mut().expect("a variant");
    if let Some(key) = fields.remove("expKey") {
        assert_eq!(fields["metadata"]["experimentKey"], key);
    }
    serde_json::from_value(shown).expect("a variant")
}

#[test]
fn the_provider_is_told_what_the_official_client_tells() {
    let recording = golden(GOLDEN);
    let cases = recording["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["case"].as_str().expect("a name");
        let (mut builder, exposures) = recorded();
        let mut inline = None;
        let result = |flag_key: &str| {
            let calls = case["calls_result"].as_array().expect("calls");
            let call = calls
                .iter()
                .find(|call| call[0] == flag_key)
                .expect("a call");
            (flag_key.to_owned(), variant(call[1].clone()))
        };
        match name {
            "variant-inline-fallbacks" => inline = Some(Variant::new("fallback-value")),
            "initial-variants-secondary" => {
                builder = builder
                    .initial_variants(Variants::from_iter(["missing", "flag-default"].map(result)))
                    .fallback_variant(Variant::new("fb"));
            }
            "source-initial-variants" => {
                builder = builder
                    .source(Source::InitialVariants)
                    .initial_variants(Variants::from_iter([result("exp-remote")]));
            }
            "initial-flags-bootstrap" => {
                let flags = &golden(STORED)["cases"][0]["local_storage"]["amp-exp-$default_instance-nt-key-flags"];
                let flag = json!([flags["release-flag"]]).to_string();
                builder = builder
                    .storage(MemoryStorage::new())
                    .initial_flags(read_flags(flag.as_bytes()).expect("a flag"));
            }
            _ => {}
        }
        let client = builder.build().expect("a client");
        client.set_user(somebody());
        let calls: Vec<(String, Value)> = match &case["calls_result"] {
            Value::Null => {
                client.variant("exp-remote", None);
                client.variant("exp-remote", None);
                client.set_user(user("user-00002"));
                vec![("exp-remote".to_owned(), Value::Null)]
            }
            Value::Object(result) => {
                vec![("release-flag".to_owned(), Value::Object(result.clone()))]
            }
            calls => calls
                .as_array()
                .expect("calls")
                .iter()
                .map(|call| (call[0].as_str().expect("a key").to_owned(), call[1].clone()))
                .collect(),
        };
        // Twice: the second time tells nothing.
        for (flag_key, expected) in calls.iter().chain(&calls) {
            let resolved = client.variant(flag_key, inline.as_ref());
            if !expected.is_null() {
                assert_eq!(
                    resolved.variant,
                    variant(expected.clone()),
                    "{name} {flag_key}"
                );
            }
        }
        let expected = case["exposures"].as_array().expect("exposures");
        assert_eq!(exposures.told(), *expected, "{name}");
        let queue = &case["unsent_queue"]["EXP_unsent_$default_instance"];
        let events: Vec<&str> = queue
            .as_array()
            .expect("events")
            .iter()
            .map(|event| event["eventType"].as_str().expect("a type"))
            .collect();
        let told: Vec<String> = exposures
            .all()
            .into_iter()
            .map(|told| told.event_type)
            .collect();
        assert_eq!(told, events, "{name}");
    }
}

/// A client whose variants come from one flag, evaluated here: the user property `v` is the variant.
fn by_property() -> (AppClientBuilder, Exposures) {
    let segment = |variant: &str| {
        json!({"variant": variant, "conditions": [[
            {"selector": ["context", "user", "user_properties", "v"], "op": "is", "values": [variant]},
        ]]})
    };
    let flag = |key: &str, metadata: Value| {
        json!({
            "key": key,
            "variants": {
                "a": {"key": "a", "value": "a"},
                "b": {"key": "b", "value": "b"},
                "off": {"key": "off", "metadata": {"default": true}},
            },
            "segments": [segment("a"), segment("b"), {"variant": "off"}],
            "metadata": metadata,
        })
    };
    let flags = json!([
        flag("f", json!({"evaluationMode": "local"})),
        flag(
            "web",
            json!({"evaluationMode": "local", "deliveryMethod": "web"})
        ),
        flag(
            "own",
            json!({"evaluationMode": "local", "exposureEvent": "seen"})
        ),
        flag(
            "untracked",
            json!({"evaluationMode": "local", "trackExposure": false})
        ),
    ]);
    let exposures = Exposures::default();
    let builder = AppClient::builder(KEY)
        .transport(no_service())
        .initial_flags(read_flags(flags.to_string().as_bytes()).expect("flags"))
        .exposure_tracking_provider(exposures.clone());
    (builder, exposures)
}

fn with_variant(user: &User, variant: &str) -> User {
    user.clone().with_user_property("v", variant)
}

#[test]
fn each_change_is_told_once_and_a_default_variant_unsets() {
    let (builder, exposures) = by_property();
    let client = builder.build().expect("a client");
    for variant in ["a", "a", "b", "b", "a", "off", "off", "a"] {
        client.set_user(with_variant(&user("1"), variant));
        client.variant("f", None);
    }
    let told: Vec<(Option<String>, u32)> = exposures
        .all()
        .into_iter()
        .map(|told| {
            (
                told.json["variant"].as_str().map(str::to_owned),
                told.transition,
            )
        })
        .collect();
    let a = || Some("a".to_owned());
    assert_eq!(
        told,
        [
            (a(), 0),
            (Some("b".to_owned()), 1),
            (a(), 2),
            (None, 3),
            (a(), 4)
        ]
    );
}

#[test]
fn another_user_or_device_is_told_again() {
    let (builder, exposures) = by_property();
    let client = builder.build().expect("a client");
    let both = || user("1").with_device_id("d1");
    for (user, told) in [
        (both(), 1),
        (both().with_country("Norway"), 1),
        (both().with_device_id("d2"), 2),
        (user("1"), 3),
        (User::new().with_device_id("d1"), 4),
        (User::new(), 5),
        (User::new(), 5),
        (both(), 6),
    ] {
        client.set_user(with_variant(&user, "a"));
        client.variant("f", None);
        client.variant("f", None);
        let all = exposures.all();
        assert_eq!(all.len(), told, "{:?}", user.fields().collect::<Vec<_>>());
        let last = &all[told - 1];
        assert_eq!(last.transition, 0);
        assert_eq!(
            (last.user.user_id(), last.user.device_id()),
            (user.user_id(), user.device_id())
        );
    }
}

#[test]
fn the_flag_decides_on_the_event_and_every_impression_counts() {
    let (builder, exposures) = by_property();
    let client = builder.build().expect("a client");
    client.set_user(with_variant(&user("1"), "a"));
    for flag in ["f", "web", "own", "untracked"] {
        for _ in 0..3 {
            client.variant(flag, None);
        }
    }
    let types: Vec<String> = exposures
        .all()
        .into_iter()
        .map(|told| told.event_type)
        .collect();
    assert_eq!(
        types,
        [
            "$exposure",
            "$impression",
            "$impression",
            "$impression",
            "seen"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_experiment_on_the_flag_is_another_exposure() {
    let (script, exposures) = (Script::new(), Exposures::default());
    let client = AppClient::builder(KEY)
        .transport(InMemoryTransport::new(script.clone()))
        .exposure_tracking_provider(exposures.clone())
        .build()
        .expect("a client");
    for experiment in ["exp-1", "exp-1", "exp-2"] {
        let variants = json!({"f": {"key": "on", "metadata": {"experimentKey": experiment}}});
        script.then(VARDATA, [Answer::json(variants.to_string())]);
        client
            .fetch(Some(user("1")), FetchOptions::default())
            .await
            .expect("fetched");
        client.variant("f", None);
    }
    let told: Vec<(Value, u32)> = exposures
        .all()
        .into_iter()
        .map(|told| (told.json["experiment_key"].clone(), told.transition))
        .collect();
    assert_eq!(told, [(json!("exp-1"), 0), (json!("exp-2"), 1)]);
}

#[test]
fn exposures_can_be_told_by_hand() {
    let (builder, exposures) = by_property();
    let client = builder
        .automatic_exposure_tracking(false)
        .build()
        .expect("a client");
    client.set_user(with_variant(&user("1"), "a"));
    client.variant("f", None);
    client.all();
    assert_eq!(exposures.told().len(), 0);
    client.exposure("f");
    client.exposure("f");
    client.exposure("unheard-of");
    assert_eq!(exposures.told().len(), 1);
    assert_eq!(exposures.told()[0]["variant"], "a");
}

/// Refuses the first so many exposures.
#[derive(Debug)]
struct Full(Exposures, AtomicUsize);

impl ExposureTrackingProvider for Full {
    fn track(
        &self,
        exposure: &ClientExposure,
        user: &User,
        transition: u32,
    ) -> Result<(), NotTracked> {
        let refuse = |left: usize| left.checked_sub(1);
        match self
            .1
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse)
        {
            Ok(_) => Err(NotTracked),
            Err(_) => self.0.track(exposure, user, transition),
        }
    }
}

#[test]
fn a_refused_exposure_is_told_again() {
    let (builder, exposures) = by_property();
    let client = builder
        .exposure_tracking_provider(Full(exposures.clone(), AtomicUsize::new(2)))
        .build()
        .expect("a client");
    for (variant, told) in [("a", 0), ("a", 0), ("a", 1), ("a", 1), ("b", 2)] {
        client.set_user(with_variant(&user("1"), variant));
        client.variant("f", None);
        assert_eq!(exposures.told().len(), told);
    }
    let transitions: Vec<u32> = exposures.all().iter().map(|told| told.transition).collect();
    assert_eq!(transitions, [0, 1]);
}

#[derive(Debug)]
struct Shared(Arc<Full>);
impl ExposureTrackingProvider for Shared {
    fn track(
        &self,
        exposure: &ClientExposure,
        user: &User,
        transition: u32,
    ) -> Result<(), NotTracked> {
        self.0.track(exposure, user, transition)
    }
}

#[test]
fn a_refused_change_does_not_count_as_told() {
    let (builder, exposures) = by_property();
    let full = Arc::new(Full(exposures.clone(), AtomicUsize::new(0)));
    let client = builder
        .exposure_tracking_provider(Shared(full.clone()))
        .build()
        .expect("a client");
    let ask = |variant: &str| {
        client.set_user(with_variant(&user("1"), variant));
        client.variant("f", None);
    };
    ask("a");
    full.1.store(1, Ordering::SeqCst);
    ask("b");
    ask("b");
    ask("a");
    let told: Vec<(Value, u32)> = exposures
        .all()
        .into_iter()
        .map(|told| (told.json["variant"].clone(), told.transition))
        .collect();
    assert_eq!(told, [(json!("a"), 0), (json!("b"), 1), (json!("a"), 2)]);
}

#[test]
fn threads_that_see_one_variant_tell_it_once() {
    let (builder, exposures) = by_property();
    let client = builder.build().expect("a client");
    client.set_user(with_variant(&user("1"), "a"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    assert!(client.variant("f", None).is("a"));
                }
            });
        }
    });
    assert_eq!(exposures.told().len(), 1);
}
