//! Conditions that are the same for everyone, and segments that nobody reaches.

use alloc::{format, string::String, vec::Vec};

use experiment_model::{Condition, Flag, Operator, Segment, Text};

use super::{
    Findings,
    selection::{Selected, selected},
};
use crate::{compile::conditions, diagnostic::Code, matching::Matcher};

pub(super) fn check(findings: &mut Findings<'_>) {
    let flag = findings.flag;
    for (place, condition) in conditions(flag) {
        if let Some(message) = constant_message(condition) {
            findings.push(Code::ConstantCondition, format!("{place}"), message);
        }
        let is_pattern = matches!(
            condition.operator,
            Operator::RegexMatch | Operator::RegexDoesNotMatch
        );
        for (index, value) in condition.values.iter().enumerate() {
            if is_pattern && value == "(none)" {
                let message = String::from("`(none)` does not stand for absence in a pattern");
                findings.push(
                    Code::NoneInPattern,
                    format!("{place}.values[{index}]"),
                    message,
                );
            }
        }
    }
    for (index, segment) in flag.segments.iter().enumerate() {
        if segment.conditions.as_ref().is_some_and(Vec::is_empty) {
            let message = String::from("an empty list of conditions never holds");
            findings.push(
                Code::ConstantCondition,
                format!("segments[{index}].conditions"),
                message,
            );
        }
    }
    let last = flag
        .segments
        .iter()
        .position(|segment| takes_everyone(flag, segment));
    if let Some(last) = last {
        for index in last.saturating_add(1)..flag.segments.len() {
            let message = format!("segment {last} gives every user a variant");
            findings.push(
                Code::UnreachableSegment,
                format!("segments[{index}]"),
                message,
            );
        }
    }
}

fn constant_message(condition: &Condition) -> Option<String> {
    let operator = &condition.operator;
    if let Some(answer) = constant_answer(condition) {
        // An unknown operator is a finding of compiling.
        let unknown = matches!(operator, Operator::Unknown(_));
        let holds = if answer { "always" } else { "never" };
        return (!unknown).then(|| {
            format!(
                "the selector `{}` selects nothing: {holds} holds",
                condition.selector
            )
        });
    }
    if !condition.values.is_empty() {
        return None;
    }
    match operator {
        Operator::Is
        | Operator::Contains
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::VersionLess
        | Operator::VersionLessOrEqual
        | Operator::VersionGreater
        | Operator::VersionGreaterOrEqual
        | Operator::RegexMatch
        | Operator::SetContainsAny => Some(format!("`{operator}` without values never holds")),
        Operator::IsNot | Operator::DoesNotContain | Operator::RegexDoesNotMatch => Some(format!(
            "`{operator}` without values holds for everyone whose property is no empty list"
        )),
        _ => None,
    }
}

/// The answer of a condition that reads nothing; `None` if it reads something.
fn constant_answer(condition: &Condition) -> Option<bool> {
    (selected(&condition.selector) == Selected::Nothing).then(|| answers_absent(condition))
}

/// Whether a condition holds for an absent property.
pub(super) fn answers_absent(condition: &Condition) -> bool {
    // Only `(none)` matters to an absent property; the other values need not be prepared.
    let none: Vec<Text> = condition
        .values
        .iter()
        .filter(|value| *value == "(none)")
        .take(1)
        .cloned()
        .collect();
    Matcher::new(&condition.operator, &none, Vec::new()).when_absent
}

/// Whether no user comes past a segment. Users who cannot be hashed come past a bucket, unless the
/// segment has a variant for them.
fn takes_everyone(flag: &Flag, segment: &Segment) -> bool {
    let is_known = |key: &Text| flag.variants.get(key).is_some();
    let targets_everyone = segment.conditions.as_ref().is_none_or(|any_of| {
        any_of.iter().any(|all_of| {
            all_of
                .iter()
                .all(|condition| constant_answer(condition) == Some(true))
        })
    });
    let has_distributions_known = segment.bucket.as_ref().is_none_or(|bucket| {
        bucket
            .allocations
            .iter()
            .flat_map(|allocation| &allocation.distributions)
            .all(|distribution| is_known(&distribution.variant))
    });
    targets_everyone && has_distributions_known && segment.variant.as_ref().is_some_and(is_known)
}
