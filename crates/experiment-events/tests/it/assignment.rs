//! Assignment events, rule by rule.

use experiment_events::{Assignment, Event, EventOptions, PropertyNames};
use experiment_model::{Text, Timestamp, User, Variants};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn event(results: Value, options: &EventOptions) -> Event {
    let user = User::new().with_user_id("123456789");
    let variants: Variants = serde_json::from_value(results).unwrap();
    let assignment = Assignment::new(&user, &variants).expect("there are variants");
    assignment.to_event(NOW, 0, options)
}

fn written(results: Value) -> Value {
    serde_json::to_value(event(results, &EventOptions::default())).unwrap()
}

#[test]
fn the_documents_example_comes_out() {
    let mut event = written(json!({
        "my-flag": {"key": "off", "metadata": {"default": true}},
        "my-experiment": {"key": "treatment", "value": "treatment"},
    }));
    // The example shows neither.
    let fields = event.as_object_mut().unwrap();
    assert_eq!(fields.remove("time"), Some(json!(1_700_000_000_000_i64)));
    assert!(fields.remove("insert_id").is_some());
    let example = json!({
        "user_id": "123456789",
        "event_type": "[Experiment] Assignment",
        "event_properties": {
            "[Experiment] my-flag.variant": "off",
            "[Experiment] my-experiment.variant": "treatment"
        },
        "user_properties": {
            "$set": {
                "[Experiment] my-experiment": "treatment"
            },
            "$unset": {
                "[Experiment] my-flag": "-"
            }
        }
    });
    assert_eq!(event, example);
}

#[test]
fn the_spelling_of_the_sdks_has_no_prefix() {
    let results =
        json!({"f": {"key": "on", "metadata": {"flagVersion": 3, "segmentName": "Beta"}}});
    let options = EventOptions::default().with_property_names(PropertyNames::Sdk);
    assert_eq!(
        event(results.clone(), &options)
            .event_properties
            .to_string(),
        r#"{"f.variant":"on","f.details":"v3 rule:Beta"}"#
    );
    assert_eq!(
        event(results, &EventOptions::default())
            .event_properties
            .to_string(),
        r#"{"[Experiment] f.variant":"on","[Experiment] f.details":"v3 rule:Beta"}"#
    );
}

#[test]
fn flags_are_written_in_the_order_of_the_results() {
    let (user, mut variants) = (User::new(), Variants::new());
    for flag in ["b", "a", "10", "9"] {
        variants.insert(flag, experiment_model::Variant::new("on"));
    }
    let options = EventOptions::default().with_property_names(PropertyNames::Sdk);
    let event = Assignment::new(&user, &variants)
        .unwrap()
        .to_event(NOW, 0, &options);
    let names: Vec<&str> = event.event_properties.keys().map(Text::as_str).collect();
    assert_eq!(names, ["b.variant", "a.variant", "10.variant", "9.variant"]);
}

#[test]
fn a_flag_without_a_variant_is_off_and_unset() {
    let nothing = written(json!({"f": {"metadata": {"flagType": "release"}}, "g": {"key": ""}}));
    assert_eq!(
        nothing["event_properties"],
        json!({"[Experiment] f.variant": "off", "[Experiment] g.variant": "off"})
    );
    assert_eq!(
        nothing["user_properties"],
        json!({"$set": {}, "$unset": {"[Experiment] f": "-", "[Experiment] g": "-"}})
    );
    let value = written(json!({"f": {"value": "blue"}, "g": {"value": 5}}));
    assert_eq!(
        value["user_properties"]["$set"],
        json!({"[Experiment] f": "blue", "[Experiment] g": "5"})
    );
}

#[test]
fn groups_of_experiments_set_user_properties_unless_they_exclude_each_other() {
    let of_type = |flag_type: &str| {
        let metadata = json!({"flagType": flag_type});
        written(json!({"f": {"key": "slot-1", "metadata": metadata}}))["user_properties"].clone()
    };
    for flag_type in ["holdout-group", "release-group", "release", "experiment"] {
        assert_eq!(
            of_type(flag_type),
            json!({"$set": {"[Experiment] f": "slot-1"}, "$unset": {}}),
            "{flag_type}"
        );
    }
    assert_eq!(
        of_type("mutual-exclusion-group"),
        json!({"$set": {}, "$unset": {}})
    );
    let default =
        json!({"key": "off", "metadata": {"flagType": "mutual-exclusion-group", "default": true}});
    let default = written(json!({"f": default}));
    assert_eq!(
        default["user_properties"],
        json!({"$set": {}, "$unset": {}})
    );
    assert_eq!(
        default["event_properties"],
        json!({"[Experiment] f.variant": "off"})
    );
}

#[test]
fn details_are_written_when_both_parts_are_known() {
    let details = |metadata: Value| {
        let event = written(json!({"f": {"key": "on", "metadata": metadata}}));
        event["event_properties"]["[Experiment] f.details"].clone()
    };
    for (metadata, expected) in [
        (
            json!({"flagVersion": 1_000_000, "segmentName": "s"}),
            json!("v1000000 rule:s"),
        ),
        (
            json!({"flagVersion": 12.0, "segmentName": "s"}),
            json!("v12 rule:s"),
        ),
        (
            json!({"flagVersion": "12", "segmentName": "s"}),
            json!("v12 rule:s"),
        ),
        (
            json!({"flagVersion": 0, "segmentName": ""}),
            json!("v0 rule:"),
        ),
        (json!({"flagVersion": 3}), Value::Null),
        (json!({"segmentName": "s"}), Value::Null),
        (
            json!({"flagVersion": null, "segmentName": "s"}),
            Value::Null,
        ),
        (json!({"flagVersion": 3, "segmentName": null}), Value::Null),
        (json!({"flagVersion": [3], "segmentName": "s"}), Value::Null),
    ] {
        assert_eq!(details(metadata.clone()), expected, "{metadata}");
    }
}

#[test]
fn an_untracked_flag_is_assigned_all_the_same() {
    let event = written(json!({"f": {"key": "on", "metadata": {"trackExposure": false}}}));
    assert_eq!(
        event["user_properties"]["$set"],
        json!({"[Experiment] f": "on"})
    );
}

#[test]
fn the_environment_is_written_when_it_is_given() {
    let options = EventOptions::default().with_environment_name("production");
    let event = event(json!({"f": {"key": "on"}}), &options);
    assert_eq!(
        event.event_properties.to_string(),
        r#"{"[Experiment] f.variant":"on","[Experiment] Environment Name":"production"}"#
    );
}

#[test]
fn all_names_of_all_groups_are_written() {
    let user: User = serde_json::from_value(json!({
        "groups": {"org": ["Acme", "Other"], "team": "blue"},
        "group_properties": {"region": {"EU": {"size": 1}}},
    }))
    .unwrap();
    let variants: Variants = serde_json::from_value(json!({"f": {"key": "on"}})).unwrap();
    let event =
        Assignment::new(&user, &variants)
            .unwrap()
            .to_event(NOW, 0, &EventOptions::default());
    assert_eq!(
        event.groups.to_string(),
        r#"{"org":["Acme","Other"],"team":["blue"]}"#
    );
}

#[test]
fn nothing_evaluated_is_no_assignment() {
    assert!(Assignment::new(&User::new(), &Variants::new()).is_none());
}
