//! Where the event of an official SDK is not ours: `tests/known_differences.json`.

use std::collections::BTreeSet;

use serde_json::Value;

const KNOWN: &str = include_str!("../known_differences.json");

/// Places at which two JSON values differ, as paths.
pub(crate) fn paths(ours: &Value, theirs: &Value) -> Vec<String> {
    fn walk(path: &str, ours: &Value, theirs: &Value, paths: &mut Vec<String>) {
        let (Value::Object(a), Value::Object(b)) = (ours, theirs) else {
            if ours != theirs {
                paths.push(path.to_owned());
            }
            return;
        };
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let path = match path {
                "" => key.clone(),
                _ => format!("{path}/{key}"),
            };
            match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => walk(&path, a, b, paths),
                _ => paths.push(path),
            }
        }
    }

    let mut paths = Vec::new();
    walk("", ours, theirs, &mut paths);
    paths
}

/// Compares what was found with the known differences for `event`: neither may have more.
pub(crate) fn assert_known(event: &str, found: &BTreeSet<(String, String, String)>) {
    let known: Value = serde_json::from_str(KNOWN).expect("the known differences are JSON");
    let mut expected = BTreeSet::new();
    for entry in known["differences"].as_array().expect("a list") {
        let text = |key: &str| entry[key].as_str().expect("text").to_owned();
        let list = |key: &str| entry[key].as_array().expect("a list").clone();
        assert!(!text("reason").is_empty());
        if text("event") != event {
            continue;
        }
        for case in list("cases") {
            for field in list("fields") {
                let [case, field] = [&case, &field].map(|it| it.as_str().expect("text").to_owned());
                let place = (text("sdk"), case, field);
                assert!(expected.insert(place.clone()), "{place:?} is listed twice");
            }
        }
    }
    let new: Vec<_> = found.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "differences that are not listed: {new:#?}\nlisted ones that no longer apply: {gone:#?}"
    );
}
