//! The traces of the TypeScript engine agree with explanations.
//!
//! It traces every segment; an explanation stops at the one that gives the variant, and says
//! `bucketed` only of variants that the flag has.

use experiment_conformance::vectors::TRACES;
use experiment_evaluation::{Options, Plan, SegmentOutcome};
use experiment_model::{Condition, Flag, FlagSet, Text, Value, Variants};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Row {
    name: String,
    flags: Vec<Flag>,
    context: Value,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    results: Variants,
    traces: BTreeMap<String, Trace>,
}

#[derive(Deserialize)]
struct Trace {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    conditions_passed: bool,
    bucketed: bool,
    bucket_variant: Option<Text>,
    #[serde(default)]
    condition_result: Vec<Vec<Compared>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    #[serde(default)]
    prop_value: Value,
    condition: Condition,
    matched: bool,
}

#[test]
fn explanations_say_what_the_traces_of_the_javascript_engine_say() {
    let rows: Vec<Row> = serde_json::from_str(TRACES).unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let name = &row.name;
        let plan = Plan::compile(&FlagSet::from(row.flags.clone()), &Options::default());
        let results: Variants = row
            .expected
            .results
            .iter()
            .map(|(key, variant)| {
                let mut variant = variant.clone();
                // JavaScript writes the metadata of an empty merge (D30).
                variant.metadata = variant.metadata.filter(|metadata| !metadata.is_empty());
                (key.clone(), variant)
            })
            .collect();
        let ours = plan.evaluate(&row.context).to_variants();
        assert_eq!(ours, results, "{name}");
        for (key, trace) in &row.expected.traces {
            let flag = row
                .flags
                .iter()
                .find(|flag| flag.key == **key)
                .expect("the flag");
            let explanation = plan.explain(&row.context, key).expect("the flag");
            let steps = explanation.segments();
            match explanation.variant() {
                Some(_) => assert!(
                    !steps.is_empty() && steps.len() <= trace.steps.len(),
                    "{name}"
                ),
                None => assert_eq!(steps.len(), trace.steps.len(), "{name}"),
            }
            for (step, traced) in steps.iter().zip(&trace.steps) {
                let passed = step.outcome() != SegmentOutcome::NotTargeted;
                assert_eq!(passed, traced.conditions_passed, "{name}");
                let is_known = |key: &Text| flag.variants.get(key).is_some();
                let bucketed =
                    traced.bucketed && traced.bucket_variant.as_ref().is_some_and(is_known);
                assert_eq!(step.outcome() == SegmentOutcome::Match, bucketed, "{name}");
                let given = step.variant().and_then(|variant| variant.key.clone());
                assert_eq!(
                    given,
                    traced.bucket_variant.clone().filter(|_| bucketed),
                    "{name}"
                );

                let ours: Vec<_> = explanation
                    .conditions(step)
                    .iter()
                    .map(|it| {
                        let operator = it.operator().clone();
                        let condition = (it.selector(), operator, it.values().to_vec());
                        (
                            it.alternative(),
                            it.actual().clone(),
                            condition,
                            it.matched(),
                        )
                    })
                    .collect();
                let theirs: Vec<_> = (0..)
                    .zip(&traced.condition_result)
                    .flat_map(|(alternative, compared)| {
                        compared.iter().map(move |it| (alternative, it))
                    })
                    .map(|(alternative, it)| {
                        let condition = it.condition.clone();
                        let condition = (condition.selector, condition.operator, condition.values);
                        (alternative, it.prop_value.clone(), condition, it.matched)
                    })
                    .collect();
                assert_eq!(ours, theirs, "{name}");
            }
        }
    }
}
