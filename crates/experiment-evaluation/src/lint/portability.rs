//! Constructs that the official SDKs answer differently (the spec's classes D1 to D33).

use alloc::{format, string::String, vec::Vec};

use experiment_model::{Condition, Operator, Selector, Text};
use hashbrown::HashSet;

use super::{
    Findings,
    constant::answers_absent,
    dialect::dialect,
    selection::{Selected, selected},
    spelling::{cased_letter, number_problem, typed, version_problem},
};
use crate::{
    compile::{ConditionPlace, conditions},
    diagnostic::Code,
};

/// Names that every JavaScript object has (D32).
const PROTOTYPE: [&str; 12] = [
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// Adds the notes. Values whose path is `refused` by compiling have a finding already.
pub(super) fn check(findings: &mut Findings<'_>, refused: impl Fn(&str) -> bool) {
    let flag = findings.flag;
    for (index, segment) in flag.segments.iter().enumerate() {
        check_conditions(findings, index, segment.conditions.as_deref());
        if let Some(bucket) = &segment.bucket {
            let path = format!("segments[{index}].bucket.selector");
            check_bucketing(findings, &path, &bucket.selector);
            check_selector(findings, &path, &bucket.selector);
        }
    }
    for (place, condition) in conditions(flag) {
        let path = format!("{place}.selector");
        check_selector(findings, &path, &condition.selector);
        if selected(&condition.selector) == Selected::Object {
            let message = format!("`{}` is an object, compared as text", condition.selector);
            findings.push(Code::TypedText, path, message);
        }
        check_absent(findings, place, condition);
        check_values(findings, place, condition, &refused);
    }
}

fn check_conditions(
    findings: &mut Findings<'_>,
    segment: usize,
    any_of: Option<&[Vec<Condition>]>,
) {
    let Some(any_of) = any_of else {
        return;
    };
    let path = format!("segments[{segment}].conditions");
    if any_of.is_empty() {
        let message =
            String::from("an empty list of conditions holds for nobody, in Python for everyone");
        findings.push(Code::EmptyConditions, path, message);
        return;
    }
    for (index, all_of) in any_of.iter().enumerate() {
        if all_of.is_empty() {
            let message = String::from("an empty inner list holds for everyone, in PHP for nobody");
            findings.push(Code::EmptyConditions, format!("{path}[{index}]"), message);
        }
    }
}

/// A bucket by something that may be other than text.
fn check_bucketing(findings: &mut Findings<'_>, path: &str, selector: &Selector) {
    let what = match selected(selector) {
        Selected::Nothing | Selected::Text => return,
        Selected::Anything => "may be a number or truth value, whose text engines hash differently",
        Selected::Cohorts | Selected::Object => "is no text, and engines write it differently",
    };
    let message = format!("`{selector}` {what}");
    findings.push(Code::TypedText, String::from(path), message);
}

fn check_selector(findings: &mut Findings<'_>, path: &str, selector: &Selector) {
    let keys: Vec<&str> = selector.0.iter().map(Text::as_str).collect();
    let mut push = |message: String| {
        findings.push(Code::UnusualSelector, String::from(path), message);
    };
    match *keys.as_slice() {
        ["result"] | ["result", _] => push(String::from(
            "a whole result is read as nothing; Kotlin prints its own form of it, the others JSON",
        )),
        ["result", _, "payload", ..] => push(String::from(
            "the payload of a result is read by all engines but Kotlin",
        )),
        _ => {}
    }
    if keys.contains(&"") {
        push(String::from(
            "an empty key is looked up; JavaScript and Python read nothing",
        ));
    }
    for (depth, key) in keys.iter().enumerate().skip(1) {
        // The second key of a result is a flag key.
        let is_flag_key = depth == 1 && keys.first() == Some(&"result");
        if PROTOTYPE.contains(key) && !is_flag_key {
            push(format!("`{key}` is something in every JavaScript object"));
        }
    }
    if let &["context", "user", field, _, ..] = keys.as_slice() {
        let owner = ["context", "user", field].into_iter().collect();
        if matches!(selected(&owner), Selected::Text | Selected::Cohorts) {
            push(format!(
                "`{field}` is no object: JavaScript finds lengths and positions in it, Ruby fails the call"
            ));
        }
    }
}

/// A negation that engines answer differently for absent properties. Any property may be absent,
/// user and device ids too, as a user needs only one of them; cohorts are filled in by the SDKs.
fn check_absent(findings: &mut Findings<'_>, place: ConditionPlace, condition: &Condition) {
    let operator = &condition.operator;
    let selection = selected(&condition.selector);
    if !matches!(operator, Operator::SetIsNot | Operator::RegexDoesNotMatch)
        || matches!(selection, Selected::Nothing | Selected::Cohorts)
        || requires_presence(findings, place, &condition.selector)
    {
        return;
    }
    let message = format!(
        "`{}` may be absent, and then engines answer `{operator}` differently",
        condition.selector
    );
    findings.push(Code::NegatedAbsent, format!("{place}.op"), message);
}

/// Whether another condition beside this one fails where the property is absent.
fn requires_presence(findings: &Findings<'_>, place: ConditionPlace, selector: &Selector) -> bool {
    let segment = findings.flag.segments.get(place.segment);
    segment
        .and_then(|segment| segment.conditions.as_ref()?.get(place.alternative))
        .is_some_and(|all_of| {
            all_of
                .iter()
                .any(|other| other.selector == *selector && !answers_absent(other))
        })
}

fn check_values(
    findings: &mut Findings<'_>,
    place: ConditionPlace,
    condition: &Condition,
    refused: &impl Fn(&str) -> bool,
) {
    let selection = selected(&condition.selector);
    if selection == Selected::Nothing {
        return;
    }
    let may_be_typed = selection == Selected::Anything;
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, value) in condition.values.iter().enumerate() {
        let path = || format!("{place}.values[{index}]");
        let about = |what: &str| format!("`{value}` {what}");
        match Kind::of(&condition.operator) {
            Kind::Other => {}
            Kind::Pattern => {
                if !refused(&path()) {
                    check_pattern(findings, &path(), value);
                }
                let word = value.trim_start_matches('^').trim_end_matches('$');
                if may_be_typed && matches!(word, "true" | "false") {
                    let message =
                        about("may stand for a truth value, which Python writes `True` or `False`");
                    findings.push(Code::TypedText, path(), message);
                }
            }
            _ if value == "(none)" => {}
            Kind::Number => {
                if let Some(problem) = number_problem(value) {
                    findings.push(Code::NumberText, path(), about(problem));
                }
            }
            Kind::Version => {
                if let Some(problem) = version_problem(value) {
                    findings.push(Code::VersionText, path(), about(problem));
                }
            }
            Kind::Part => {
                if let Some(letter) = cased_letter(value) {
                    let message = format!("`{letter}` is lower-cased differently");
                    findings.push(Code::LetterCase, path(), message);
                }
                if may_be_typed && value == "false" {
                    let what = typed(value).unwrap_or_default();
                    findings.push(
                        Code::TypedText,
                        path(),
                        about(&format!("may stand for {what}")),
                    );
                }
            }
            kind @ (Kind::Whole | Kind::Element { .. }) => {
                if let Some(what) = typed(value).filter(|_| may_be_typed) {
                    findings.push(
                        Code::TypedText,
                        path(),
                        about(&format!("may stand for {what}")),
                    );
                }
                if value.is_empty() {
                    let message = String::from("engines take empty text differently");
                    findings.push(Code::EmptyText, path(), message);
                }
                if (kind == Kind::Element { counted: true }) && !seen.insert(value) {
                    let message = about("stands twice");
                    findings.push(Code::RepeatedValue, path(), message);
                }
            }
        }
    }
}

fn check_pattern(findings: &mut Findings<'_>, path: &str, pattern: &str) {
    let dialect = dialect(pattern);
    if !dialect.anchored {
        let message = format!("`{pattern}` matches a part of a property in some engines only");
        findings.push(Code::UnanchoredPattern, String::from(path), message);
    }
    for (construct, reading) in dialect.constructs {
        let message = format!("{construct} in `{pattern}`: {reading}");
        findings.push(Code::PatternDialect, String::from(path), message);
    }
}

/// What the values of an operator are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A property as a whole.
    Whole,
    /// An element of a list; `counted` if it matters how many there are.
    Element {
        counted: bool,
    },
    /// Part of a property.
    Part,
    Number,
    Version,
    Pattern,
    Other,
}

impl Kind {
    fn of(operator: &Operator) -> Self {
        match operator {
            Operator::Is | Operator::IsNot => Self::Whole,
            Operator::Contains | Operator::DoesNotContain => Self::Part,
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => Self::Number,
            Operator::VersionLess
            | Operator::VersionLessOrEqual
            | Operator::VersionGreater
            | Operator::VersionGreaterOrEqual => Self::Version,
            Operator::SetIs
            | Operator::SetIsNot
            | Operator::SetContains
            | Operator::SetDoesNotContain => Self::Element { counted: true },
            Operator::SetContainsAny | Operator::SetDoesNotContainAny => {
                Self::Element { counted: false }
            }
            Operator::RegexMatch | Operator::RegexDoesNotMatch => Self::Pattern,
            _ => Self::Other,
        }
    }
}
