//! Uploads that five official SDKs were recorded to send: we read them, and make the same events.

use experiment_events::{
    Assignment, Event, EventOptions, Exposure, InsertIdFormat, PropertyNames, Sdk,
};
use experiment_model::{Object, User, Variant, Variants};
use serde_json::{Value, json, to_value};

use crate::{
    differences::paths,
    golden::{SDKS, golden},
};

/// Each upload's SDK, case and events.
fn uploads(golden: &Value) -> Vec<(Sdk, &str, &[Value])> {
    let cases = golden["cases"].as_array().unwrap().iter();
    let uploads = cases.flat_map(|case| {
        let sdk = SDKS
            .iter()
            .find(|(name, _)| case["sdk"] == *name)
            .unwrap()
            .1;
        let events = |upload: &'_ Value| upload["json_body"]["events"].as_array().unwrap().len();
        let uploads = case["uploads"].as_array().unwrap().iter();
        uploads.filter(move |it| events(it) > 0).map(move |upload| {
            let events = upload["json_body"]["events"].as_array().unwrap();
            (sdk, case["case"].as_str().unwrap(), events.as_slice())
        })
    });
    uploads.collect()
}

/// What was evaluated, from the assignment event that tells it.
fn results(assignment: &Value) -> Variants {
    let properties = assignment["event_properties"].as_object().unwrap();
    let (set, unset) = (
        &assignment["user_properties"]["$set"],
        &assignment["user_properties"]["$unset"],
    );
    let flags = properties.iter().filter_map(|(name, key)| {
        let flag = name.strip_suffix(".variant")?;
        let details = properties[&format!("{flag}.details")].as_str().unwrap();
        let (version, segment) = details.strip_prefix('v')?.split_once(" rule:")?;
        let property = format!("[Experiment] {flag}");
        let mut metadata = json!({
            "flagVersion": version.parse::<i64>().unwrap(),
            "segmentName": segment,
            "default": unset.get(&property).is_some(),
        });
        if set.get(&property).or(unset.get(&property)).is_none() {
            metadata["flagType"] = json!("mutual-exclusion-group");
        }
        let variant = json!({"key": key, "metadata": metadata});
        Some((flag.to_owned(), serde_json::from_value(variant).unwrap()))
    });
    flags.collect()
}

fn user(event: &Value) -> User {
    let fields = ["user_id", "device_id", "groups"];
    let fields = fields
        .iter()
        .filter_map(|name| Some((*name, event.get(name)?.clone())));
    serde_json::from_value(Value::Object(
        fields.map(|(k, v)| (k.to_owned(), v)).collect(),
    ))
    .unwrap()
}

/// What the SDK's delivery adds, and not the event's builder.
fn without_delivery(event: &Value) -> Value {
    let mut event = event.clone();
    let fields = event.as_object_mut().unwrap();
    fields.remove("library");
    fields.remove("event_id");
    event
}

/// PHP writes `[]` for an empty object and no experiment keys, and python may mix in properties.
fn is_known(sdk: Sdk, case: &str, path: &str, theirs: &Value) -> bool {
    match sdk {
        Sdk::Php => {
            let empty = path.starts_with("user_properties/$");
            empty && theirs.pointer(&format!("/{path}")) == Some(&json!([]))
                || path == "event_properties/[Experiment] Experiment Key"
        }
        Sdk::Ruby | Sdk::Jvm => path == "event_properties/[Experiment] Experiment Key",
        Sdk::Python => {
            case == "local-assignments-evaluated-props" && path == "user_properties/premium"
        }
        _ => false,
    }
}

#[test]
fn uploaded_events_are_read_and_written_as_they_were() {
    let golden = golden!("analytics_upload_requests.json");
    let mut read = 0;
    for (_, case, events) in uploads(&golden) {
        for json in events {
            let event: Event = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(to_value(&event).unwrap(), *json, "{case}");
            read += 1;
        }
    }
    assert_eq!(
        read,
        5 + 1 + 1 + 3 + 2 + 5 + 1 + 1 + 5 + 1 + 5 + 1 + 5 + 1 + 1
    );
}

#[test]
fn the_same_events_are_made_of_the_same_results() {
    let golden = golden!("analytics_upload_requests.json");
    let uploads = uploads(&golden);
    let mut made = 0;
    for (sdk, case, events) in &uploads {
        let options = EventOptions::default()
            .with_property_names(PropertyNames::Sdk)
            .with_insert_id(InsertIdFormat::Compat(*sdk));
        // All flags of the evaluation: the assignment that the same SDK sent for the same user.
        let assignment = uploads.iter().find(|(other, case, _)| {
            other == sdk && matches!(*case, "assignments" | "local-assignments")
        });
        let all = results(&assignment.expect("each SDK sent one").2[0]);
        for theirs in *events {
            let (user, event): (User, Event) = (
                user(theirs),
                serde_json::from_value(theirs.clone()).unwrap(),
            );
            let now = event.time.unwrap();
            let ours = if event.event_type == Event::ASSIGNMENT {
                let results = results(theirs);
                Assignment::new(&user, &results)
                    .unwrap()
                    .to_event(now, 0, &options)
            } else {
                let property = |name: &str| event.event_properties.get(name);
                let flag = property("[Experiment] Flag Key").unwrap().as_str().unwrap();
                let metadata: &Object = property("metadata").unwrap().as_object().unwrap();
                let mut variant =
                    Variant::new(property("[Experiment] Variant").unwrap().as_str().unwrap());
                variant.metadata = Some(metadata.clone());
                let exposure = Exposure::new(&user, flag, &variant);
                let alone = events.len() == 1;
                let exposure = if alone {
                    exposure
                } else {
                    exposure.with_results(&all)
                };
                exposure.to_event(now, 0, &options)
            };
            let ours = to_value(&ours).unwrap();
            let theirs = without_delivery(theirs);
            for path in paths(&ours, &theirs) {
                assert!(
                    is_known(*sdk, case, &path, &theirs),
                    "{sdk:?} {case}: {path}"
                );
            }
            made += 1;
        }
    }
    assert_eq!(made, 38);
}
