//! Exposure events of the server form, rule by rule.

use experiment_events::{EventOptions, Exposure, InsertIdFormat, Sdk};
use experiment_model::{Timestamp, User, Variant};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn variant(json: Value) -> Variant {
    serde_json::from_value(json).unwrap()
}

fn written(variant_json: Value) -> Value {
    let user = User::new().with_user_id("user-1");
    let variant = variant(variant_json);
    let event = Exposure::new(&user, "f", &variant).to_event(NOW, 0, &EventOptions::default());
    serde_json::to_value(event).unwrap()
}

#[test]
fn the_whole_event_is_written() {
    let user = User::new()
        .with_user_id("user-1")
        .with_device_id("device-1")
        .with_group("org", "Acme")
        .with_group("org", "Other");
    let variant = variant(json!({
        "key": "treatment", "value": "v",
        "metadata": {"experimentKey": "exp-1", "flagVersion": 7},
    }));
    let options = EventOptions::default().with_environment_name("production");
    let event = Exposure::new(&user, "my-experiment", &variant).to_event(NOW, 0, &options);
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"event_type":"[Experiment] Exposure","user_id":"user-1","device_id":"device-1","time":1700000000000,"insert_id":"user-1 device-1 6d68c4bd0ccd733f02cb21ae55aaac0f 19675","event_properties":{"[Experiment] Flag Key":"my-experiment","[Experiment] Variant":"treatment","[Experiment] Experiment Key":"exp-1","metadata":{"experimentKey":"exp-1","flagVersion":7},"[Experiment] Environment Name":"production"},"user_properties":{"$set":{"[Experiment] my-experiment":"treatment"},"$unset":{}},"groups":{"org":["Acme","Other"]}}"#
    );
}

#[test]
fn the_variant_is_the_key_else_the_value() {
    for (variant, shown) in [
        (json!({"key": "a", "value": "b"}), json!("a")),
        (json!({"value": "b"}), json!("b")),
        (json!({"key": "", "value": "b"}), json!("b")),
        (json!({"value": 5}), json!("5")),
        (json!({"value": {"a": 1}}), json!(r#"{"a":1}"#)),
    ] {
        let event = written(variant.clone());
        assert_eq!(
            event["event_properties"]["[Experiment] Variant"], shown,
            "{variant}"
        );
        let set = json!({"$set": {"[Experiment] f": shown}, "$unset": {}});
        assert_eq!(event["user_properties"], set, "{variant}");
    }
    for nothing in [
        json!({}),
        json!({"value": null}),
        json!({"value": "", "key": ""}),
    ] {
        let event = written(nothing.clone());
        assert_eq!(
            event["event_properties"],
            json!({"[Experiment] Flag Key": "f"}),
            "{nothing}"
        );
        assert_eq!(
            event["user_properties"],
            json!({"$set": {}, "$unset": {}}),
            "{nothing}"
        );
    }
}

#[test]
fn a_default_variant_unsets() {
    let event =
        written(json!({"key": "off", "metadata": {"default": true, "experimentKey": "exp-1"}}));
    assert_eq!(
        event["event_properties"],
        json!({
            "[Experiment] Flag Key": "f",
            "[Experiment] Experiment Key": "exp-1",
            "metadata": {"default": true, "experimentKey": "exp-1"},
        })
    );
    assert_eq!(
        event["user_properties"],
        json!({"$set": {}, "$unset": {"[Experiment] f": "-"}})
    );
}

#[test]
fn a_mutual_exclusion_group_sets_nothing_and_a_holdout_group_does() {
    let of_type = |flag_type: &str, default: bool| {
        let metadata = json!({"flagType": flag_type, "default": default});
        written(json!({"key": "slot-1", "metadata": metadata}))["user_properties"].clone()
    };
    let nothing = json!({"$set": {}, "$unset": {}});
    assert_eq!(of_type("mutual-exclusion-group", false), nothing);
    assert_eq!(of_type("mutual-exclusion-group", true), nothing);
    let set = json!({"$set": {"[Experiment] f": "slot-1"}, "$unset": {}});
    assert_eq!(of_type("holdout-group", false), set);
}

#[test]
fn only_a_text_is_an_experiment_key() {
    for metadata in [
        json!({"experimentKey": ""}),
        json!({"experimentKey": null}),
        json!({"experimentKey": 5}),
    ] {
        let event = written(json!({"key": "on", "metadata": metadata}));
        assert_eq!(
            event["event_properties"].get("[Experiment] Experiment Key"),
            None,
            "{metadata}"
        );
    }
}

#[test]
fn metadata_are_written_as_evaluated_and_shared_with_the_variant() {
    let user = User::new();
    let on = variant(json!({"key": "on", "metadata": {"a": [1, {"b": null}]}}));
    let event = Exposure::new(&user, "f", &on).to_event(NOW, 0, &EventOptions::default());
    let written = event
        .event_properties
        .get("metadata")
        .and_then(|it| it.as_object());
    assert!(
        written
            .unwrap()
            .shares_entries_with(on.metadata.as_ref().unwrap())
    );
    let empty = variant(json!({"key": "on", "metadata": {}}));
    let event = Exposure::new(&user, "f", &empty).to_event(NOW, 0, &EventOptions::default());
    assert!(event.event_properties.contains_key("metadata"));
}

#[test]
fn only_false_stops_tracking() {
    let user = User::new();
    for (metadata, tracked) in [
        (json!({}), true),
        (json!({"trackExposure": true}), true),
        (json!({"trackExposure": null}), true),
        (json!({"trackExposure": "false"}), true),
        (json!({"trackExposure": 0}), true),
        (json!({"trackExposure": false}), false),
    ] {
        let variant = variant(json!({"key": "on", "metadata": metadata}));
        assert_eq!(
            Exposure::new(&user, "f", &variant).is_tracked(),
            tracked,
            "{metadata}"
        );
    }
    assert!(Exposure::new(&user, "f", &Variant::default()).is_tracked());
}

#[test]
fn default_variants_are_skipped_in_compat_mode_only() {
    let user = User::new();
    let (v2, compat) = (
        EventOptions::default(),
        EventOptions::default().with_insert_id(InsertIdFormat::Compat(Sdk::Node)),
    );
    let skipped = |json: Value| {
        let variant = variant(json);
        let exposure = Exposure::new(&user, "f", &variant);
        (exposure.is_skipped(&v2), exposure.is_skipped(&compat))
    };
    assert_eq!(skipped(json!({"key": "on"})), (false, false));
    assert_eq!(
        skipped(json!({"key": "off", "metadata": {"default": true}})),
        (false, true)
    );
    assert_eq!(
        skipped(json!({"key": "on", "metadata": {"trackExposure": false}})),
        (true, true)
    );
}

#[test]
fn compat_ids_are_of_the_flag_alone_without_the_results() {
    let user = User::new()
        .with_user_id("user-00001")
        .with_device_id("device-00001");
    let options = EventOptions::default().with_insert_id(InsertIdFormat::Compat(Sdk::Node));
    let on = Variant::new("on");
    let event = Exposure::new(&user, "release-flag", &on).to_event(NOW, 0, &options);
    assert_eq!(
        event.insert_id.unwrap(),
        "user-00001 device-00001 -1828174314 19675"
    );
}
