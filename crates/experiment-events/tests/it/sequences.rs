//! The recorded dedupe sequences of the official SDKs. Where ours differ, and they shall, the case
//! says so.

use core::time::Duration;

use experiment_events::{
    Decision, DedupeFilter, DedupeLimits, EventOptions, Exposure, InsertIdFormat, Sdk,
};
use experiment_model::{Timestamp, User, Variants};
use serde_json::{Map, Value, json};

use crate::golden::golden;

/// What we do, step by step: the flags tracked. `Some` says why it is not what the SDKs do.
const OURS: [(&str, Option<&str>, &[&str]); 11] = [
    ("same-result-same-day", None, &["f", ""]),
    ("absolute-ttl", None, &["f", "", "f"]),
    ("lru-capacity-2", None, &["f", "f", "f", "f"]),
    ("empty-results", None, &[""]),
    (
        "subset-reemits",
        Some("each flag is known by itself: a is dropped"),
        &["a b", ""],
    ),
    (
        "variant-changes",
        Some("every change is tracked, also back to the first variant"),
        &["a", "a", "a"],
    ),
    (
        "a-b-a",
        Some("every change is tracked, with an insert id of its own"),
        &["f", "f", "f"],
    ),
    (
        "default-in-between",
        Some("a default variant after another unsets, and what follows is a change"),
        &["g", "g", "g"],
    ),
    (
        "hash-collision",
        Some("the two insert ids differ"),
        &["checkout-Aa checkout-BB"],
    ),
    ("js-identity-change", None, &["f", "", "f"]),
    (
        "js-page-reload",
        Some("a filter that lives on remembers; one made anew tracks, as there"),
        &["f", ""],
    ),
];

/// The variants of a step: texts are keys, `off (default)` is a default variant.
fn variants(step: &Value) -> Variants {
    let Some(results) = step.get("results").and_then(Value::as_object) else {
        return Variants::from_iter([("f", experiment_model::Variant::new("on"))]);
    };
    let variant = |key: &str| match key.strip_suffix(" (default)") {
        Some(key) => json!({"key": key, "metadata": {"default": true}}),
        None => json!({"key": key}),
    };
    let results: Map<String, Value> = results
        .iter()
        .map(|(flag, key)| (flag.clone(), variant(key.as_str().unwrap())))
        .collect();
    serde_json::from_value(Value::Object(results)).unwrap()
}

fn run(case: &Value, options: &EventOptions) -> (Vec<String>, Vec<String>) {
    let mut limits = DedupeLimits::default();
    if let Some(millis) = case["ttl_ms"].as_u64() {
        limits = limits.with_window(Duration::from_millis(millis));
    }
    if let Some(entries) = case["capacity"].as_u64() {
        limits = limits.with_entries(usize::try_from(entries).unwrap());
    }
    let mut filter = DedupeFilter::new(limits);
    let (mut tracked, mut ids) = (Vec::new(), Vec::new());
    for step in case["steps"].as_array().unwrap() {
        let user = User::new()
            .with_user_id(step["user"].as_str().unwrap_or("user-00001"))
            .with_device_id("device-00001");
        let at = 20_778 * 86_400_000 + step["at_ms"].as_i64().unwrap_or(0);
        let now = Timestamp::from_unix_millis(at);
        let results = variants(step);
        let mut flags = Vec::new();
        for (flag, variant) in results.iter() {
            let exposure = Exposure::new(&user, flag, variant).with_results(&results);
            if exposure.is_skipped(options) {
                continue;
            }
            if let Decision::Track(mark) = filter.check_exposure(&exposure, now) {
                let event = exposure.to_event(now, mark.transition(), options);
                ids.push(event.insert_id.expect("an id").to_string());
                filter.commit(mark);
                flags.push(flag.as_str().to_owned());
            }
        }
        tracked.push(flags.join(" "));
    }
    (tracked, ids)
}

#[test]
fn sequences_are_those_of_the_sdks_or_better_for_a_reason() {
    let golden = golden!("dedupe_sequences.json");
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), OURS.len());
    for (case, (name, difference, ours)) in cases.iter().zip(OURS) {
        assert_eq!(case["name"], name);
        let (tracked, ids) = run(case, &EventOptions::default());
        assert_eq!(tracked, ours, "{name}");
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        // In one window; the next one may repeat the id of an unchanged fact on the same day, and a
        // key that was evicted begins anew.
        let repeats = matches!(name, "absolute-ttl" | "lru-capacity-2");
        assert_eq!(unique.len(), ids.len() - usize::from(repeats), "{name}");

        let steps = case["steps"].as_array().unwrap();
        let same = steps.iter().zip(ours).all(|(step, tracked)| {
            let expected = step["expect"].as_str().unwrap();
            let tracks = expected.starts_with("track") || expected.contains(" event");
            tracks != tracked.is_empty()
        });
        let collides = name == "hash-collision";
        assert_eq!(same && !collides, difference.is_none(), "{name}");
    }
}

#[test]
fn compat_ids_of_a_sequence_are_those_of_node() {
    let golden = golden!("dedupe_sequences.json");
    let node = EventOptions::default().with_insert_id(InsertIdFormat::Compat(Sdk::Node));
    let case = |name: &str| {
        let cases = golden["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap()
    };
    let (_, ids) = run(case("a-b-a"), &node);
    let steps = case("a-b-a")["steps"].as_array().unwrap();
    assert_eq!(steps[0]["insert_id"], ids[0]);
    assert_eq!(steps[1]["insert_id"], ids[1]);
    // It is sent, but ingestion drops it: that is what compat means.
    assert_eq!(ids[2], ids[0]);

    let (_, ids) = run(case("hash-collision"), &node);
    let id = "user-00001 device-00001 -1899751154 ";
    assert!(
        ids.len() == 2 && ids.iter().all(|it| it.starts_with(id)),
        "{ids:?}"
    );

    let (tracked, _) = run(case("default-in-between"), &node);
    assert_eq!(
        tracked,
        ["g", "", ""],
        "default variants are skipped, as in the SDKs"
    );
}
