//! Vectors for the parts of an evaluator, as JSON texts, and the cases that follow from them.
//!
//! Tests of an engine read the texts directly. Evaluators that can only be asked for variants get
//! the same facts as cases, in [`Subject::built_in`](crate::Subject::built_in).

use experiment_model::{Object, Text, Value};

use crate::{case::Case, subject::Subject};

/// `[{input, seed, hash, allocation, distribution}]`: `MurmurHash3` x86 32-bit.
pub const MURMUR3: &str = include_str!("../vectors/murmur3.json");
/// `{seed, words: [[word, hash]]}`: 1,999 English words.
pub const MURMUR3_WORDS: &str = include_str!("../vectors/murmur3_words_seed7f3a21ea.json");
/// `[{input, expected: [major, minor, patch, pre] | null}]`, labelled with 32-bit numbers: rows
/// with numbers of 2^31 and more do not hold (decision 5).
pub const SEMVER_PARSE: &str = include_str!("../vectors/semver_parse.json");
/// `[{a, b, cmp: -1 | 0 | 1}]`, labelled as [`SEMVER_PARSE`].
pub const SEMVER_COMPARE: &str = include_str!("../vectors/semver_compare.json");
/// `[{json, expected}]`: the text of a number token; tokens with an exponent and `-0` follow
/// decision 9 instead.
pub const NUMBER_TO_STRING: &str = include_str!("../vectors/number_to_string.json");
/// `[{json, string, list_kotlin, list_strict_json?}]`: the text and the list that a value is. For
/// texts `list_strict_json` stands over `list_kotlin` (decision 4); exponents follow decision 9.
pub const COERCION: &str = include_str!("../vectors/coercion.json");
/// `[{input, expected}]`: the number a text is, printed as the JVM does, or null.
pub const PARSE_DOUBLE: &str = include_str!("../vectors/parse_double.json");
/// `[{name, flags, flagKeys, expected: {order} | {cycle}}]`: the order of evaluation.
pub const TOPOLOGICAL_SORT: &str = include_str!("../vectors/topological_sort.json");
/// `[{name, flags, context, expected: flags}]`: partial evaluation.
pub const PARTIAL_EVALUATION: &str = include_str!("../vectors/partial_evaluation.json");
/// `[{name, flags, context, expected: {results, traces}}]`: traces of the TypeScript engine.
pub const TRACES: &str = include_str!("../vectors/traces.json");
/// `[{name, user, contexts: {sdk: context}}]`: the contexts that SDKs make of users.
pub const USER_TO_CONTEXT: &str = include_str!("../vectors/user_to_context.json");
/// `[{pattern, java_valid, full_match, no_match, search}]`: 184 patterns against 36 texts.
pub const REGEX_DIALECT: &str = include_str!("../vectors/regex_dialect.json");
/// Tab-separated: probes and the answers of eight engines.
pub const DIVERGENCE: &str = include_str!("../vectors/divergence.tsv");

/// The cases that follow from the vectors.
pub(crate) fn subjects() -> Vec<Subject> {
    [
        ("coercion", coercion()),
        ("parse_double", parse_double()),
        ("semver_compare", semver_compare()),
        ("regex_dialect", regex_dialect()),
    ]
    .into_iter()
    .map(|(name, cases)| Subject {
        name: name.to_owned(),
        cases,
    })
    .collect()
}

fn rows(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap_or_default()
}

fn texts(value: Option<&Value>) -> Vec<Text> {
    let list = value.and_then(Value::as_list).unwrap_or_default();
    list.iter()
        .filter_map(Value::as_str)
        .map(Text::new)
        .collect()
}

fn text(row: &Value, key: &str) -> Option<Text> {
    row.get(key).and_then(Value::as_str).map(Text::new)
}

/// A flag that is on where a property `p` satisfies a condition.
fn flag(key: &str, operator: &str, values: Vec<Text>) -> Value {
    let selector = Value::from(["context", "user", "user_properties", "p"]);
    let condition = object([
        ("selector", selector),
        ("op", Value::from(operator)),
        ("values", Value::from(values)),
    ]);
    let conditions = Value::from([Value::from([condition])]);
    let on = object([("key", Value::from("on"))]);
    object([
        ("key", Value::from(key)),
        ("variants", object([("on", on)])),
        (
            "segments",
            Value::from([object([
                ("variant", Value::from("on")),
                ("conditions", conditions),
            ])]),
        ),
    ])
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.into_iter().collect())
}

/// The flags against a user whose property `p` is `property`; those in `on` must be on.
fn case(name: String, flags: Vec<Value>, property: Value, on: &[&str]) -> Case {
    let properties = object([("p", property)]);
    let context = object([("user", object([("user_properties", properties)]))]);
    let variant = object([("key", Value::from("on"))]);
    let expected: Object = on.iter().map(|key| (*key, variant.clone())).collect();
    Case::new(name, Value::from(flags), context, Value::Object(expected))
}

/// Whether decision 9 changes how a number in this JSON text is written: exponents and `-0`.
fn follows_decision_9(json: &str) -> bool {
    let exponent = json
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, [b'0'..=b'9', b'e' | b'E']));
    exponent || json.ends_with("-0") || json.contains("-0]")
}

fn coercion() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows(COERCION) {
        let Some(json) = text(&row, "json").filter(|json| !follows_decision_9(json)) else {
            continue;
        };
        let Ok(value) = serde_json::from_str::<Value>(&json) else {
            continue;
        };
        let list = match &value {
            Value::Text(_) => row.get("list_strict_json"),
            _ => row.get("list_kotlin"),
        };
        let list = list.filter(|list| !list.is_null());
        let Some(string) = text(&row, "string") else {
            continue;
        };
        let flags = vec![
            flag("is", "is", vec![string]),
            flag("set is", "set is", texts(list)),
        ];
        // A list is compared element by element, so it is not its own text.
        let on = if list.is_some() { "set is" } else { "is" };
        cases.push(case(json.to_string(), flags, value, &[on]));
    }
    for row in rows(NUMBER_TO_STRING) {
        let Some(json) = text(&row, "json").filter(|json| !follows_decision_9(json)) else {
            continue;
        };
        let (Ok(value), Some(expected)) = (serde_json::from_str(&json), text(&row, "expected"))
        else {
            continue;
        };
        cases.push(case(
            format!("number {json}"),
            vec![flag("is", "is", vec![expected])],
            value,
            &["is"],
        ));
    }
    cases
}

fn parse_double() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows(PARSE_DOUBLE) {
        let Some(input) = text(&row, "input") else {
            continue;
        };
        // Equal to its number and, if it is no number, compared as text with one below every text.
        let (values, on): (_, &[&str]) = match text(&row, "expected") {
            Some(number) => (vec![number], &["at least", "at most"]),
            None => (
                vec![Text::new("")],
                if input.is_empty() {
                    &["at least", "at most"]
                } else {
                    &["at least"]
                },
            ),
        };
        let flags = vec![
            flag("at least", "greater or equal", values.clone()),
            flag("at most", "less or equal", values),
        ];
        cases.push(case(
            format!("{:?}", input.as_str()),
            flags,
            Value::from(input),
            on,
        ));
    }
    cases
}

fn semver_compare() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows(SEMVER_COMPARE) {
        let (Some(a), Some(b), Some(order)) = (
            text(&row, "a"),
            text(&row, "b"),
            row.get("cmp").and_then(Value::as_i64),
        ) else {
            continue;
        };
        let number = |part: &str| part.parse::<u64>().unwrap_or_default();
        let large = |version: &str| {
            version
                .split(|character: char| !character.is_ascii_digit())
                .any(|part| number(part) >= 1 << 31)
        };
        if large(&a) || large(&b) {
            continue;
        }
        let flags = vec![
            flag("less", "version less", vec![b.clone()]),
            flag("less or equal", "version less or equal", vec![b.clone()]),
            flag("greater", "version greater", vec![b.clone()]),
            flag(
                "greater or equal",
                "version greater or equal",
                vec![b.clone()],
            ),
        ];
        let on: &[&str] = match order {
            ..=-1 => &["less", "less or equal"],
            0 => &["less or equal", "greater or equal"],
            1.. => &["greater", "greater or equal"],
        };
        cases.push(case(format!("{a} and {b}"), flags, Value::from(a), on));
    }
    cases
}

fn regex_dialect() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows = rows(REGEX_DIALECT);
    // A pattern that Java rejects never matches anything.
    let inputs: Vec<Text> = rows
        .iter()
        .take(1)
        .flat_map(|row| {
            texts(row.get("full_match"))
                .into_iter()
                .chain(texts(row.get("no_match")))
        })
        .collect();
    for row in &rows {
        let Some(pattern) = text(row, "pattern") else {
            continue;
        };
        let full_match = texts(row.get("full_match"));
        for input in &inputs {
            let name = format!("{:?} against {:?}", pattern.as_str(), input.as_str());
            let flags = vec![flag("match", "regex match", vec![pattern.clone()])];
            let on: &[&str] = if full_match.contains(input) {
                &["match"]
            } else {
                &[]
            };
            cases.push(case(name, flags, Value::from(input.clone()), on));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_file_is_read_in_full() {
        for (json, least) in [
            (MURMUR3, 168),
            (SEMVER_PARSE, 96),
            (SEMVER_COMPARE, 142),
            (NUMBER_TO_STRING, 66),
            (COERCION, 77),
            (PARSE_DOUBLE, 52),
            (TOPOLOGICAL_SORT, 70),
            (PARTIAL_EVALUATION, 18),
            (TRACES, 12),
            (USER_TO_CONTEXT, 23),
            (REGEX_DIALECT, 184),
        ] {
            assert_eq!(rows(json).len(), least);
        }
        let counts: Vec<usize> = subjects()
            .iter()
            .map(|subject| subject.cases.len())
            .collect();
        assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
        assert_eq!(counts.last(), Some(&(184 * 36)));
    }
}
