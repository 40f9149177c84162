//! The order of evaluation, and flags that depend on each other in a circle.

use experiment_conformance::vectors::TOPOLOGICAL_SORT;
use experiment_evaluation::{Code, KeysOptions, Options, Plan};
use experiment_model::{Flag, FlagSet, Segment, Text, User, Variant};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    flags: Vec<Node>,
    flag_keys: Vec<Text>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Node {
    key: Text,
    dependencies: Option<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Order(Vec<Text>),
    /// The way on which the circle was found, which may begin in front of it.
    Cycle(Vec<Text>),
}

/// A flag that everybody gets.
fn flag(node: &Node) -> Flag {
    let mut flag = Flag {
        key: node.key.clone(),
        dependencies: node.dependencies.clone(),
        ..Flag::default()
    };
    flag.variants.insert("on", Variant::new("on"));
    flag.segments.push(Segment {
        variant: Some(Text::new("on")),
        ..Segment::default()
    });
    flag
}

fn evaluated(plan: &Plan, keys: &[Text]) -> Vec<Text> {
    let user = User::new();
    let evaluation = if keys.is_empty() {
        plan.evaluate(&user)
    } else {
        plan.evaluate_keys(&user, keys, KeysOptions::new().with_dependencies())
    };
    evaluation.iter().map(|(key, _)| Text::new(key)).collect()
}

#[test]
fn flags_are_evaluated_in_the_order_of_the_canonical_engine() {
    let rows: Vec<Row> = serde_json::from_str(TOPOLOGICAL_SORT).unwrap();
    assert_eq!(rows.len(), 70);
    for row in rows {
        let flags: Vec<Flag> = row.flags.iter().map(flag).collect();
        let plan = Plan::compile(&FlagSet::from(flags), &Options::default());
        let order = evaluated(&plan, &row.flag_keys);
        let blocked: Vec<(&Text, Code)> = plan
            .diagnostics()
            .iter()
            .filter(|finding| matches!(finding.code, Code::DependencyCycle | Code::DependsOnCycle))
            .filter_map(|finding| Some((finding.flag.as_ref()?, finding.code)))
            .collect();
        match &row.expected {
            // A circle that is not reached is no error to the canonical engine.
            Expected::Order(expected) => {
                assert_eq!(order, *expected, "{}", row.name);
                assert!(
                    expected
                        .iter()
                        .all(|key| blocked.iter().all(|(other, _)| *other != key))
                );
            }
            // Where that one aborts, the flags on the way give no variant, and all others do.
            Expected::Cycle(way) => {
                let name = &row.name;
                for key in way {
                    assert!(!order.contains(key), "{name}");
                    assert!(blocked.iter().any(|(other, _)| *other == key), "{name}");
                }
                let on_circle = |key: &Text| blocked.contains(&(key, Code::DependencyCycle));
                assert!(way.iter().any(on_circle), "{name}");
                if row.flag_keys.is_empty() {
                    let others = row.flags.iter().map(|node| &node.key);
                    for key in others.filter(|key| blocked.iter().all(|(other, _)| other != key)) {
                        assert!(order.contains(key), "{name}");
                    }
                }
            }
        }
    }
}
