//! The recorded events and decisions in `tests/golden`, which say themselves how they were made.

use experiment_events::Sdk;
use experiment_model::{Timestamp, User, Variant, Variants};
use serde_json::Value;

pub(crate) const SDKS: [(&str, Sdk); 6] = [
    ("go", Sdk::Go),
    ("node", Sdk::Node),
    ("jvm", Sdk::Jvm),
    ("python", Sdk::Python),
    ("ruby", Sdk::Ruby),
    ("php", Sdk::Php),
];

/// Reads a file of `tests/golden`.
macro_rules! golden {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!("../golden/", $name)))
            .expect("a golden file is JSON")
    };
}

pub(crate) use golden;

/// A user, results and a time, with what each SDK made of them.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) user: User,
    pub(crate) results: Variants,
    pub(crate) now: Timestamp,
    pub(crate) per_sdk: Value,
}

pub(crate) fn cases(golden: &Value) -> Vec<Case> {
    let cases = golden["cases"].as_array().expect("a list of cases").iter();
    let read = |case: &Value| Case {
        name: case["name"].as_str().expect("a name").to_owned(),
        user: serde_json::from_value(case["user"].clone()).expect("a user"),
        results: results(&case["results"]),
        now: Timestamp::from_unix_millis(case["timestamp_ms"].as_i64().expect("a time")),
        per_sdk: case["per_sdk"].clone(),
    };
    cases.map(read).collect()
}

fn results(value: &Value) -> Variants {
    if let Some(rule) = value.as_str() {
        assert_eq!(
            rule,
            r#"40 flags flag-000..., each {"key":"on","metadata":{}}"#
        );
        let variant: Variant = serde_json::from_str(r#"{"key":"on","metadata":{}}"#).unwrap();
        let flags = (0..40).map(|n| (format!("flag-{n:03}"), variant.clone()));
        return flags.collect();
    }
    serde_json::from_value(value.clone()).expect("variants by flag")
}
