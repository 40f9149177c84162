//! Which cohorts flags refer to.

use std::collections::BTreeMap;

use experiment_client::{Cohort, CohortStore, References};
use experiment_model::{Flag, Timestamp};
use serde_json::{Value, json};

/// Where the answer is not that of the official SDKs: they take any selector that ends in
/// `cohort_ids`, also that of a user property.
const OURS: &[(&str, &str)] = &[("user-property-called-cohort_ids", "{}")];

fn flag(value: &Value) -> Flag {
    serde_json::from_value(value.clone()).expect("a flag")
}

fn by_type(references: &References) -> Value {
    let mut types: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (group_type, id) in references.iter() {
        types.entry(group_type).or_default().push(id);
    }
    json!(types)
}

#[test]
fn every_golden_flag_refers_to_its_cohorts() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/cohorts.json"))
        .expect("the golden file is JSON");
    let rows = golden["references"].as_array().expect("rows");
    assert_eq!(rows.len(), 10);
    for row in rows {
        let name = row["name"].as_str().expect("a name");
        let expected = match OURS.iter().find(|(ours, _)| *ours == name) {
            Some((_, ours)) => serde_json::from_str(ours).expect("JSON"),
            None => row["expected"].clone(),
        };
        let references = References::of(&[flag(&row["flag"])]);
        assert_eq!(by_type(&references), expected, "{name}");
    }
}

fn flag_on(selector: &Value, operator: &str, values: &[&str]) -> Flag {
    flag(&json!({"key": "f", "variants": {}, "segments": [
        {"conditions": [[{"selector": selector, "op": operator, "values": values}]]}
    ]}))
}

#[test]
fn only_the_exact_selectors_and_operators_refer_to_cohorts() {
    for (selector, operator, refers) in [
        (
            json!(["context", "user", "cohort_ids"]),
            "set contains any",
            true,
        ),
        (
            json!(["context", "user", "cohort_ids"]),
            "set does not contain any",
            true,
        ),
        (
            json!(["context", "user", "cohort_ids"]),
            "set contains",
            false,
        ),
        (json!(["context", "user", "cohort_ids"]), "set is", false),
        (
            json!(["context", "groups", "org", "cohort_ids"]),
            "set contains any",
            true,
        ),
        (
            json!(["context", "groups", "cohort_ids"]),
            "set contains any",
            false,
        ),
        (
            json!(["context", "groups", "org", "x", "cohort_ids"]),
            "set contains any",
            false,
        ),
        (
            json!(["context", "groups", "org", "group_properties", "cohort_ids"]),
            "set contains any",
            false,
        ),
        (
            json!(["other", "user", "cohort_ids"]),
            "set contains any",
            false,
        ),
        (
            json!(["context", "user", "cohort_ids", "x"]),
            "set contains any",
            false,
        ),
        (json!([]), "set contains any", false),
    ] {
        let references = References::of(&[flag_on(&selector, operator, &["c"])]);
        assert_eq!(!references.is_empty(), refers, "{selector} {operator}");
    }
}

#[test]
fn a_cohort_is_missing_until_it_is_there_with_its_type() {
    let users = flag_on(
        &json!(["context", "user", "cohort_ids"]),
        "set contains any",
        &["a", "b", "c"],
    );
    let groups = flag_on(
        &json!(["context", "groups", "org", "cohort_ids"]),
        "set contains any",
        &["c", "d"],
    );
    let references = References::of([&users, &groups]);
    assert_eq!(references.ids().collect::<Vec<_>>(), ["a", "b", "c", "d"]);

    let now = Timestamp::default();
    let cohort = |group_type: &str| Cohort::new(group_type, [""; 0].into_iter().collect(), now);
    let store = CohortStore::from_iter([
        ("a", cohort("User")),
        ("b", cohort("org")),
        ("d", cohort("org")),
    ]);
    let missing = |flag: &Flag| {
        References::of([flag])
            .missing(&store)
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(missing(&users), ["b", "c"]);
    assert_eq!(missing(&groups), ["c"]);
    let store = store.with("b", cohort("User"));
    assert_eq!(references.missing(&store).collect::<Vec<_>>(), ["c", "c"]);
}
