//! Users as contexts.

use experiment_conformance::vectors::USER_TO_CONTEXT;
use experiment_evaluation::{Options, Plan};
use experiment_model::{User, UserField, Value, read_flags};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    name: String,
    user: Value,
    contexts: Contexts,
}

#[derive(Deserialize)]
struct Contexts {
    jvm: Value,
}

/// Where decision 10 leaves what the JVM SDK does: row, reason, context.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "unknown field",
        "unknown top-level fields pass through",
        r#"{"user": {"user_id": "u", "browser": "chrome"}}"#,
    ),
    (
        "ip address",
        "unknown top-level fields pass through",
        r#"{"user": {"user_id": "u", "ip_address": "1.2.3.4"}}"#,
    ),
    (
        "groups empty array",
        "groups without a name are omitted",
        r#"{"user": {"user_id": "u"}}"#,
    ),
    (
        "groups string instead of array",
        "a bare group name counts as a list of one",
        r#"{"groups": {"org name": {"group_name": "Amplitude"}}, "user": {"user_id": "u"}}"#,
    ),
];

fn rows() -> Vec<Row> {
    serde_json::from_str(USER_TO_CONTEXT).unwrap()
}

fn user(json: &str) -> User {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_user_becomes_the_context_of_the_jvm_sdk_but_for_the_listed_differences() {
    let rows = rows();
    assert_eq!(rows.len(), 23);
    for row in &rows {
        let context = user(&row.user.to_string()).to_context();
        let ours = DIFFERENCES.iter().find(|(name, ..)| *name == row.name);
        match ours {
            Some((name, reason, expected)) => {
                let expected: Value = serde_json::from_str(expected).unwrap();
                assert_eq!(context, expected, "{name}: {reason}");
                assert_ne!(row.contexts.jvm, expected, "{name}: no difference any more");
            }
            None => assert_eq!(context, row.contexts.jvm, "{}", row.name),
        }
    }
    for (name, ..) in DIFFERENCES {
        assert!(rows.iter().any(|row| row.name == *name), "no row `{name}`");
    }
}

/// One flag for each selector there is into a user.
fn plan() -> Plan {
    let fields = UserField::ALL
        .iter()
        .map(|field| vec!["user", field.name()]);
    let others = [
        &[][..],
        &["user"],
        &["user", "browser"],
        &["user", "browser", "x"],
        &["user", "user_id", "x"],
        &["user", "user_properties"],
        &["user", "user_properties", "a"],
        &["user", "user_properties", "c"],
        &["user", "user_properties", "o", "i"],
        &["user", "user_properties", "nothing"],
        &["user", "cohort_ids"],
        &["user", "groups"],
        &["user", "group_properties"],
        &["groups"],
        &["groups", "nothing"],
        &["groups", "org name"],
        &["groups", "org name", "group_name"],
        &["groups", "org name", "group_properties"],
        &["groups", "org name", "group_properties", "plan"],
        &["groups", "org name", "cohort_ids"],
        &["groups", "team", "group_properties", "size"],
        &["nothing"],
    ];
    let flags: Vec<String> = fields
        .chain(others.iter().map(|keys| keys.to_vec()))
        .enumerate()
        .map(|(at, keys)| {
            let selector = Value::from([vec!["context"], keys].concat());
            format!(
                r#"{{"key": "{at}", "variants": {{"on": {{"key": "on"}}, "off": {{"key": "off"}}}}, "segments": [
                    {{"variant": "on", "conditions": [[{{"selector": {selector}, "op": "set contains any", "values": ["c1"]}},
                        {{"selector": {selector}, "op": "is not", "values": ["u"]}}]]}},
                    {{"conditions": [[{{"selector": {selector}, "op": "is", "values": ["nobody"]}}]]}},
                    {{"variant": "off", "bucket": {{"selector": {selector}, "salt": "s", "allocations":
                        [{{"range": [0, 100], "distributions": [{{"variant": "on", "range": [0, 21474837]}}]}}]}}}}]}}"#
            )
        })
        .collect();
    let flags = read_flags(format!("[{}]", flags.join(",")).as_bytes()).unwrap();
    Plan::compile(&flags, &Options::default())
}

#[test]
fn a_user_is_evaluated_as_its_context_is() {
    let every_field: Vec<String> = UserField::ALL
        .iter()
        .map(|field| format!(r#""{0}": "a {0}""#, field.name()))
        .collect();
    let full = format!(
        r#"{{{}, "browser": {{"x": 1}}, "user_properties": {{"a": 1.0, "c": ["c1", null], "o": {{"i": true}}}},
            "cohort_ids": ["c1", "c2"], "groups": {{"org name": ["Amplitude", "B"], "team": "t", "none": []}},
            "group_properties": {{"org name": {{"Amplitude": {{"plan": "pro"}}}}, "team": {{"t": {{"size": 3}}}}}},
            "group_cohort_ids": {{"org name": {{"Amplitude": ["c1"]}}}}}}"#,
        every_field.join(",")
    );
    let plan = plan();
    let users = rows()
        .into_iter()
        .map(|row| row.user.to_string())
        .chain([full]);
    for json in users {
        let user = user(&json);
        let context = user.to_context();
        assert_eq!(plan.evaluate(&user), plan.evaluate(&context), "{json}");
        for flag in plan.flags() {
            let (ours, theirs) = (flag.explain(&user), flag.explain(&context));
            // What was selected and hashed, not only what came of it.
            assert_eq!(
                serde_json::to_string(&ours).unwrap(),
                serde_json::to_string(&theirs).unwrap(),
                "{json}"
            );
        }
    }
}
