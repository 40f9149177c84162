//! Exposures of the client form, compared with those of the JavaScript client.

use experiment_events::{ClientExposure, Decision, DedupeFilter, DedupeLimits, EventOptions};
use experiment_model::{Timestamp, User, Variant};
use serde_json::{Value, json, to_value};

use crate::golden::golden;

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn variant(json: &Value) -> Variant {
    serde_json::from_value(json.clone()).unwrap()
}

/// The results of a recorded case with what the client knew of them: flags of which a fallback was
/// given although they have a default variant, and flags that are not known at all.
fn exposures(results: &[Value], fallbacks: &[&str], unknown: &[&str]) -> Vec<ClientExposure> {
    let results = results
        .iter()
        .map(|it| (it[0].as_str().unwrap(), variant(&it[1])));
    let exposures = results
        .filter(|(flag, _)| !unknown.contains(flag))
        .map(|(flag, variant)| {
            if fallbacks.contains(&flag) {
                ClientExposure::fallback(flag, &variant)
            } else {
                ClientExposure::new(flag, &variant)
            }
        });
    exposures.filter(ClientExposure::is_tracked).collect()
}

#[test]
fn exposures_are_those_of_the_javascript_client() {
    let golden = golden!("exposure_events_client.json");
    let user = User::new().with_user_id("user-00001");
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let results = case["calls_result"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let ours = match case["case"].as_str().unwrap() {
            "variant-exposures" => exposures(results, &[], &["missing"]),
            "variant-inline-fallbacks" => {
                exposures(results, &["flag-default", "off-flag"], &["missing"])
            }
            "initial-variants-secondary" => {
                exposures(results, &["flag-default"], &["missing", "missing2"])
            }
            "source-initial-variants" => exposures(results, &[], &[]),
            "initial-flags-bootstrap" => {
                vec![ClientExposure::new(
                    "release-flag",
                    &variant(&case["calls_result"]),
                )]
            }
            "dedupe-and-identity-change" => {
                let exposure: ClientExposure =
                    serde_json::from_value(case["exposures"][0].clone()).unwrap();
                let mut filter = DedupeFilter::new(DedupeLimits::default());
                let mut tracked = Vec::new();
                for id in ["user-00001", "user-00001", "user-00002"] {
                    let user = User::new().with_user_id(id);
                    if let Decision::Track(mark) =
                        filter.check_client_exposure(&user, &exposure, NOW)
                    {
                        filter.commit(mark);
                        tracked.push(exposure.clone());
                    }
                }
                tracked
            }
            other => panic!("{other} is not known"),
        };
        assert_eq!(
            to_value(&ours).unwrap(),
            case["exposures"],
            "{}",
            case["case"]
        );
        let events: Vec<Value> = ours
            .iter()
            .map(|exposure| exposure.to_event(&user, NOW, 0, &EventOptions::default()))
            .map(|it| json!({"eventType": it.event_type, "eventProperties": it.event_properties}))
            .collect();
        assert_eq!(
            Value::from(events),
            case["unsent_queue"]["EXP_unsent_$default_instance"]
        );
        compared += ours.len();
    }
    assert_eq!(compared, 9 + 3 + 2 + 1 + 2 + 1);
}

#[test]
fn metadata_choose_the_type_of_the_event() {
    let event_type = |metadata: Value| {
        let variant = variant(&json!({"key": "on", "metadata": metadata}));
        ClientExposure::new("f", &variant).event_type().to_owned()
    };
    assert_eq!(event_type(json!({})), "$exposure");
    assert_eq!(event_type(json!({"deliveryMethod": "web"})), "$impression");
    assert_eq!(
        event_type(json!({"deliveryMethod": "feature"})),
        "$exposure"
    );
    assert_eq!(
        event_type(json!({"exposureEvent": "seen", "deliveryMethod": "web"})),
        "seen"
    );
    assert_eq!(event_type(json!({"exposureEvent": ""})), "$exposure");
}

#[test]
fn both_forms_of_an_exposure_have_one_insert_id() {
    let user = User::new().with_user_id("user-1").with_group("org", "Acme");
    for json in [
        json!({"key": "on", "metadata": {"experimentKey": "exp-1"}}),
        json!({"key": "off", "metadata": {"default": true}}),
        json!({"value": "on"}),
    ] {
        let (variant, options) = (variant(&json), EventOptions::default());
        let server =
            experiment_events::Exposure::new(&user, "f", &variant).to_event(NOW, 3, &options);
        let client = ClientExposure::new("f", &variant).to_event(&user, NOW, 3, &options);
        assert_eq!(client.insert_id, server.insert_id, "{json}");
        assert_eq!(client.groups, server.groups);
        assert!(client.user_properties.is_empty());
    }
}

#[test]
fn every_impression_counts() {
    let user = User::new().with_user_id("user-1");
    let variant = variant(&json!({"key": "on", "metadata": {"deliveryMethod": "web"}}));
    let impression = ClientExposure::new("f", &variant);
    assert_eq!(
        impression
            .to_event(&user, NOW, 0, &EventOptions::default())
            .insert_id,
        None
    );
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    for _ in 0..3 {
        let decision = filter.check_client_exposure(&user, &impression, NOW);
        filter.commit(decision.mark().expect("each one is tracked"));
    }
}

#[test]
fn an_unset_is_tracked_once_even_if_nothing_stands() {
    let user = User::new().with_user_id("user-1");
    let unset = ClientExposure::fallback("f", &Variant::new("fallback"));
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let mark = filter.check_client_exposure(&user, &unset, NOW).mark();
    filter.commit(mark.expect("an earlier session may have set the property"));
    assert_eq!(
        filter.check_client_exposure(&user, &unset, NOW),
        Decision::Drop
    );
    let untracked = ClientExposure::new(
        "g",
        &variant(&json!({"key": "on", "metadata": {"trackExposure": false}})),
    );
    assert_eq!(
        filter.check_client_exposure(&user, &untracked, NOW),
        Decision::Drop
    );
}
