//! Events in compat mode, compared with those of six official SDKs, field by field.

use std::collections::BTreeSet;

use experiment_events::{Assignment, EventOptions, Exposure, InsertIdFormat, PropertyNames, Sdk};
use serde_json::{Value, to_value};

use crate::{
    differences::{assert_known, paths},
    golden::{SDKS, cases, golden},
};

fn options(sdk: Sdk) -> EventOptions {
    EventOptions::default()
        .with_property_names(PropertyNames::Sdk)
        .with_insert_id(InsertIdFormat::Compat(sdk))
}

/// Our event as far as the recording goes: the dump of go has no ids and no time, and only that of php
/// has a time.
fn as_recorded(sdk: Sdk, mut event: Value) -> Value {
    let fields = event.as_object_mut().expect("an event");
    if sdk == Sdk::Go {
        fields.remove("user_id");
        fields.remove("device_id");
    }
    if sdk != Sdk::Php {
        fields.remove("time");
    }
    event
}

#[test]
fn assignments_are_those_of_the_sdks_but_for_known_differences() {
    let (mut found, mut compared) = (BTreeSet::new(), 0);
    for case in cases(&golden!("assignment_events.json")) {
        // Not tracked; its insert ids are tested where they are made.
        let Some(assignment) = Assignment::new(&case.user, &case.results) else {
            assert_eq!(case.name, "empty-results");
            continue;
        };
        for (name, sdk) in SDKS {
            let ours = assignment.to_event(case.now, 7, &options(sdk));
            let theirs = &case.per_sdk[name];
            compared += 1;
            if let Some(id) = theirs.get("insert_id") {
                assert_eq!(case.name, "long-many-flags");
                assert_eq!(to_value(&ours.insert_id).unwrap(), *id, "{name}");
                continue;
            }
            let ours = as_recorded(sdk, to_value(&ours).unwrap());
            assert_eq!(
                ours["insert_id"], theirs["event"]["insert_id"],
                "{name} {}",
                case.name
            );
            for path in paths(&ours, &theirs["event"]) {
                found.insert((name.to_owned(), case.name.clone(), path));
            }
        }
    }
    assert_eq!(compared, 19 * 6);
    assert_known("assignment", &found);
}

#[test]
fn exposures_are_those_of_the_sdks_but_for_known_differences() {
    let (mut found, mut compared) = (BTreeSet::new(), 0);
    for case in cases(&golden!("exposure_events_server.json")) {
        for (name, sdk) in SDKS {
            let options = options(sdk);
            let tracked: Vec<_> = case
                .results
                .iter()
                .map(|(flag, variant)| Exposure::new(&case.user, flag, variant))
                .map(|exposure| exposure.with_results(&case.results))
                .filter(|exposure| !exposure.is_skipped(&options))
                .collect();
            let theirs = &case.per_sdk[name];
            if case.name == "long-many-flags" {
                assert_eq!(tracked.len(), 40);
                let ours: Vec<Value> = tracked
                    .iter()
                    .map(|exposure| exposure.to_event(case.now, 7, &options).insert_id)
                    .map(|id| to_value(id).unwrap())
                    .collect();
                let theirs = theirs["first_insert_ids"].as_array().unwrap();
                // go walks its map in random order.
                let same = match sdk {
                    Sdk::Go => theirs.iter().all(|id| ours.contains(id)),
                    _ => ours.starts_with(theirs),
                };
                assert!(same, "{name}");
                compared += theirs.len();
                continue;
            }
            let theirs = theirs.as_array().map_or(&[][..], Vec::as_slice);
            assert_eq!(tracked.len(), theirs.len(), "{name} {}", case.name);
            for exposure in tracked {
                let flag = exposure.flag_key();
                let is_of_flag = |event: &&Value| match &event["event_properties"]["[Experiment] Flag Key"]
                {
                    Value::String(key) => key == flag,
                    // php makes a number of a key that looks like one.
                    number => number.as_i64().is_some_and(|it| flag.parse() == Ok(it)),
                };
                let theirs = theirs
                    .iter()
                    .find(is_of_flag)
                    .expect("an event of the same flag");
                let ours = exposure.to_event(case.now, 7, &options);
                let ours = as_recorded(sdk, to_value(&ours).unwrap());
                assert_eq!(
                    ours["insert_id"], theirs["insert_id"],
                    "{name} {} {flag}",
                    case.name
                );
                compared += 1;
                for path in paths(&ours, theirs) {
                    let place = format!("{}/{flag}", case.name);
                    found.insert((name.to_owned(), place, path));
                }
            }
        }
    }
    assert_eq!(compared, 6 * 36);
    assert_known("exposure", &found);
}
