//! Partial evaluation: the canonical engine's cases, and the law that it changes no answer.

use experiment_conformance::vectors::PARTIAL_EVALUATION;
use experiment_evaluation::{Options, Plan, evaluate_partially};
use experiment_model::{Flag, FlagSet, Object, Value, read_flags};
use proptest::{prelude::*, sample::select};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    name: String,
    flags: Vec<Flag>,
    context: Value,
    expected: Vec<Flag>,
}

#[test]
fn every_case_of_the_canonical_engine_gives_the_same_flags() {
    let rows: Vec<Row> = serde_json::from_str(PARTIAL_EVALUATION).unwrap();
    assert_eq!(rows.len(), 18);
    for row in rows {
        let settled = evaluate_partially(&row.flags, &row.context, &Options::default());
        assert_eq!(
            serde_json::to_string(&settled).unwrap(),
            serde_json::to_string(&row.expected).unwrap(),
            "{}",
            row.name
        );
    }
}

fn partially(json: &str, context: &str) -> Value {
    let flags = read_flags(json.as_bytes()).unwrap();
    let context: Value = serde_json::from_str(context).unwrap();
    let settled = evaluate_partially(&flags.flags, &context, &Options::default());
    let json = serde_json::to_string(&settled[0].segments).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[test]
fn what_compiling_would_report_is_settled_as_compiling_settles_it() {
    let flag = |segment: &str| {
        format!(
            r#"[{{"key": "f", "variants": {{}}, "dependencies": ["f"], "segments": [{segment}]}}]"#
        )
    };
    let regex = |operator: &str| {
        flag(&format!(
            r#"{{"variant": "on", "conditions": [[{{"selector": ["context", "user", "os"], "op": "{operator}", "values": ["("]}}]]}}"#
        ))
    };
    let ios = r#"{"user": {"os": "iOS"}}"#;
    let never =
        r#"[{"conditions":[[{"selector":[],"op":"is not","values":["(none)"]}]],"variant":"on"}]"#;
    let always =
        r#"[{"conditions":[[{"selector":[],"op":"is","values":["(none)"]}]],"variant":"on"}]"#;
    assert_eq!(partially(&regex("regex match"), ios).to_string(), never);
    assert_eq!(
        partially(&regex("regex does not match"), ios).to_string(),
        always
    );
    assert_eq!(partially(&regex("glob match"), ios).to_string(), never);
    // A range that is no pair takes nobody: the segment's variant stays.
    let ranges = flag(
        r#"{"variant": "off", "bucket": {"selector": ["context", "user", "os"], "salt": "", "allocations":
            [{"range": [0], "distributions": [{"variant": "on", "range": [0, 42949673]}]}]}}"#,
    );
    assert_eq!(
        partially(&ranges, ios).to_string(),
        r#"[{"variant":"off"}]"#
    );
}

#[test]
fn a_flag_with_too_many_values_is_left_as_it_is() {
    let json = r#"[{"key": "f", "variants": {}, "segments": [{"conditions": [[
        {"selector": ["context", "user", "os"], "op": "is", "values": ["a", "b"]}]]}]}]"#;
    let flags = read_flags(json.as_bytes()).unwrap().flags;
    let context: Value = serde_json::from_str(r#"{"user": {"os": "a"}}"#).unwrap();
    let mut options = Options::default();
    options.limits.values = 1;
    assert_eq!(evaluate_partially(&flags, &context, &options), flags);
}

const OPERATORS: &[&str] = &[
    "is",
    "is not",
    "contains",
    "greater",
    "version less",
    "set contains any",
    "set is not",
    "regex match",
    "regex does not match",
    "unheard of",
];

prop_compose! {
    fn condition()(
        property in 0..6_u8,
        operator in select(OPERATORS),
        values in prop::collection::vec(select(&["a", "b", "1.0", "(none)", "("][..]), 0..3),
        result in prop::bool::weighted(0.2),
    ) -> String {
        let selector = if result {
            r#"["result", "dependency", "key"]"#.to_string()
        } else {
            format!(r#"["context", "user", "user_properties", "p{property}"]"#)
        };
        format!(r#"{{"selector": {selector}, "op": "{operator}", "values": {values:?}}}"#)
    }
}

prop_compose! {
    fn segment()(
        conditions in prop::option::of(prop::collection::vec(prop::collection::vec(condition(), 0..3), 0..3)),
        bucket in prop::option::of((0..6_u8, 0..100_u8, 0..42_949_673_u32)),
        variant in prop::option::of(select(&["a", "b", "unknown"][..])),
    ) -> String {
        let conditions = conditions.map_or("null".to_string(), |any_of| {
            let lists: Vec<String> = any_of.iter().map(|all_of| format!("[{}]", all_of.join(","))).collect();
            format!("[{}]", lists.join(","))
        });
        let bucket = bucket.map_or("null".to_string(), |(property, slots, point)| format!(
            r#"{{"selector": ["context", "user", "user_properties", "p{property}"], "salt": "s", "allocations": [
                {{"range": [0, {slots}], "distributions": [
                    {{"variant": "a", "range": [0, {point}]}}, {{"variant": "unknown", "range": [{point}, 42949673]}}]}}]}}"#));
        let variant = variant.map_or("null".to_string(), |variant| format!("{variant:?}"));
        format!(r#"{{"conditions": {conditions}, "bucket": {bucket}, "variant": {variant}}}"#)
    }
}

prop_compose! {
    fn flags()(
        first in prop::collection::vec(segment(), 0..4),
        second in prop::collection::vec(segment(), 0..4),
    ) -> FlagSet {
        let variants = r#"{"a": {"key": "a", "value": 1}, "b": {"key": "b", "metadata": {"m": 1}}}"#;
        let json = format!(
            r#"[{{"key": "f", "variants": {variants}, "dependencies": ["dependency"], "segments": [{}]}},
                {{"key": "dependency", "variants": {variants}, "segments": [{}]}}]"#,
            first.join(","), second.join(","));
        read_flags(json.as_bytes()).expect("flags are well formed")
    }
}

fn context(properties: impl IntoIterator<Item = (String, Value)>) -> Value {
    let properties: Object = properties.into_iter().collect();
    let user = Object::from_iter([("user_properties", properties)]);
    Value::Object(Object::from_iter([("user", user)]))
}

fn property() -> impl Strategy<Value = Option<Value>> {
    let texts = select(&["a", "b", "", "1.0", "2.0.0", r#"["a"]"#][..]).prop_map(Value::from);
    let lists = Just(Value::from(["a", "b"]));
    let numbers = select(&[1.0, 7.5][..]).prop_map(Value::from);
    prop::option::weighted(0.8, prop_oneof![texts, lists, numbers])
}

proptest! {
    #[test]
    fn finishing_with_the_rest_equals_evaluating_with_everything(
        flags in flags(),
        properties in prop::collection::vec((property(), any::<bool>()), 6),
    ) {
        let options = Options::default();
        let named = || (0..).zip(&properties).filter_map(|(index, (value, is_known))| {
            Some((format!("p{index}"), value.clone()?, *is_known))
        });
        let part = |known: bool| context(named().filter(|entry| entry.2 == known).map(|entry| (entry.0, entry.1)));
        let everything = context(named().map(|entry| (entry.0, entry.1)));

        let settled = FlagSet::from(evaluate_partially(&flags.flags, &part(true), &options));
        let expected = Plan::compile(&flags, &options).evaluate(&everything).to_variants();
        let finished = Plan::compile(&settled, &options).evaluate(&part(false)).to_variants();
        prop_assert_eq!(finished, expected);
    }

    #[test]
    fn with_nothing_known_nothing_but_empty_lists_changes(flags in flags()) {
        let nothing = context([]);
        let settled = evaluate_partially(&flags.flags, &nothing, &Options::default());
        for (settled, flag) in settled.iter().zip(&flags.flags) {
            for (settled, segment) in settled.segments.iter().zip(&flag.segments) {
                prop_assert_eq!(&settled.bucket, &segment.bucket);
                prop_assert_eq!(&settled.variant, &segment.variant);
                let lists = settled.conditions.iter().flatten().zip(segment.conditions.iter().flatten());
                for (settled, conditions) in lists {
                    prop_assert!(settled == conditions || conditions.is_empty());
                }
            }
        }
    }
}
