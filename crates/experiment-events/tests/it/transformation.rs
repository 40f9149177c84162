//! What ingestion makes of a client's exposure.

use experiment_events::{Event, TransformError, transform};
use serde_json::{Value, json};

use crate::golden::golden;

fn read(json: Value) -> Event {
    serde_json::from_value(json).unwrap()
}

fn transformed(json: Value) -> Value {
    serde_json::to_value(transform(read(json)).unwrap()).unwrap()
}

fn exposure(properties: &Value) -> Value {
    json!({"event_type": "$exposure", "user_id": "u", "event_properties": properties})
}

#[test]
fn golden_transformations() {
    let golden = golden!("exposure_transformation.json");
    for case in golden["cases"].as_array().unwrap() {
        let out = match &case["out"] {
            Value::String(unchanged) => {
                assert_eq!(unchanged, "unchanged");
                &case["in"]
            }
            out => out,
        };
        let once = transformed(case["in"].clone());
        assert_eq!(once, *out, "{}", case["name"]);
        assert_eq!(transformed(once), *out, "{} twice", case["name"]);
    }
}

#[test]
fn a_missing_flag_key_is_an_error_that_names_the_field() {
    for properties in [
        json!({"variant": "secret@example.com"}),
        json!({"flag_key": null}),
        json!({"flag_key": ""}),
        json!({"[Experiment] Flag Key": "f"}),
    ] {
        let error = transform(read(exposure(&properties))).unwrap_err();
        assert!(
            matches!(
                error,
                TransformError::Missing {
                    field: "flag_key",
                    ..
                }
            ),
            "{properties}"
        );
        assert_eq!(error.to_string(), "event property `flag_key` is missing");
    }
    let without_properties = read(json!({"event_type": "$exposure"}));
    assert_eq!(
        transform(without_properties).unwrap_err().field(),
        "flag_key"
    );
}

#[test]
fn a_property_that_is_no_text_is_an_error_that_names_the_field() {
    for field in ["flag_key", "variant", "experiment_key"] {
        for (value, found) in [
            (json!(["secret@example.com"]), "a list"),
            (json!({"a": 1}), "an object"),
        ] {
            let mut properties = json!({"flag_key": "f"});
            properties[field] = value;
            let error = transform(read(exposure(&properties))).unwrap_err();
            assert_eq!(error.field(), field);
            assert_eq!(
                error.to_string(),
                format!("event property `{field}`: expected text, found {found}")
            );
        }
    }
}

#[test]
fn numbers_become_text() {
    let event = transformed(exposure(
        &json!({"flag_key": 10, "variant": true, "experiment_key": 2.5}),
    ));
    assert_eq!(
        event["event_properties"],
        json!({
            "[Experiment] Flag Key": "10",
            "[Experiment] Variant": "true",
            "[Experiment] Experiment Key": "2.5",
        })
    );
    assert_eq!(
        event["user_properties"],
        json!({"$set": {"[Experiment] 10": "true"}})
    );
}

#[test]
fn an_empty_variant_is_none() {
    let event = transformed(exposure(
        &json!({"flag_key": "f", "variant": "", "experiment_key": ""}),
    ));
    assert_eq!(
        event["event_properties"],
        json!({"[Experiment] Flag Key": "f"})
    );
    assert_eq!(
        event["user_properties"],
        json!({"$unset": {"[Experiment] f": "-"}})
    );
}

#[test]
fn everything_else_stays() {
    let event = json!({
        "event_type": "$exposure",
        "user_id": "u", "device_id": "d", "time": 5, "insert_id": "i",
        "event_properties": {
            "screen": "home", "flag_key": "f", "metadata": {"a": 1}, "variant": "on",
            "[Experiment] Variant": "forged", "[Experiment] Environment Name": "production",
        },
        "user_properties": {"premium": true, "$set": {"plan": "pro"}, "$unset": {"x": "-"}},
        "groups": {"org": ["Acme"]},
        "library": "js", "ip": "$remote",
    });
    assert_eq!(
        transformed(event),
        json!({
            "event_type": "[Experiment] Exposure",
            "user_id": "u", "device_id": "d", "time": 5, "insert_id": "i",
            "event_properties": {
                "screen": "home", "[Experiment] Flag Key": "f", "metadata": {"a": 1},
                "[Experiment] Variant": "on", "[Experiment] Environment Name": "production",
            },
            "user_properties": {
                "premium": true,
                "$set": {"plan": "pro", "[Experiment] f": "on"},
                "$unset": {"x": "-"},
            },
            "groups": {"org": ["Acme"]},
            "library": "js", "ip": "$remote",
        })
    );
}

#[test]
fn the_opposite_operation_on_the_flag_goes() {
    let mut event = exposure(&json!({"flag_key": "f"}));
    event["user_properties"] = json!({"$set": {"[Experiment] f": "on", "a": 1}, "$unset": []});
    assert_eq!(
        transformed(event)["user_properties"],
        json!({"$set": {"a": 1}, "$unset": {"[Experiment] f": "-"}})
    );
}

#[test]
fn only_exposures_of_the_client_form_are_transformed() {
    for event_type in [
        "[Experiment] Exposure",
        "[Experiment] Assignment",
        "$impression",
        "exposure",
    ] {
        let event = json!({"event_type": event_type, "event_properties": {"flag_key": ["any"]}});
        assert_eq!(transformed(event.clone()), event);
    }
}
