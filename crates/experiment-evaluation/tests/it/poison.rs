//! One bad flag among 200 good ones: it changes the answer of none of them.

use experiment_evaluation::{Code, Options, Plan};
use experiment_model::{User, Variant, read_flags};

/// Flags of the configuration, and users that are asked about.
const FLAGS: usize = 200;
const USERS: usize = 20;

/// The longest chain of dependencies in the configuration, which is made the limit.
const DEPTH: usize = 3;

/// The flag at the end of that chain.
const DEEPEST: &str = "flag-103";

/// The bad flag.
const POISON: &str = "poison";

/// A flag on which none depends.
const TWICE: &str = "flag-020";

/// More values than this are too many.
const VALUES: usize = 100;

fn options() -> Options {
    let mut options = Options::default();
    options.limits.values = VALUES;
    options.limits.dependency_depth = DEPTH;
    options
}

/// What a team has after a few years: releases, experiments, targeting by version, property,
/// address and cohort, exclusion groups, and flags that depend on others.
fn good_flag(at: usize) -> String {
    let (key, before) = (
        format!("flag-{at:03}"),
        format!("flag-{:03}", at.saturating_sub(1)),
    );
    let property = |name: &str, operator: &str, value: String| {
        format!(
            r#"[[{{"selector": ["context", "user", "user_properties", "{name}"], "op": "{operator}", "values": ["{value}"]}}]]"#
        )
    };
    let depends = matches!(at, 101..=103) || at % 10 == 9;
    let (dependencies, conditions) = match at % 10 {
        _ if depends => (
            format!(r#"["{before}"]"#),
            format!(
                r#"[[{{"selector": ["result", "{before}", "key"], "op": "is not", "values": ["off"]}}]]"#
            ),
        ),
        0 => ("null".to_string(), "null".to_string()),
        1 => (
            "[]".to_string(),
            property("plan", "is", format!("plan-{}", at % 4)),
        ),
        2 => (
            "null".to_string(),
            property("app", "version greater or equal", format!("3.{}.0", at % 7)),
        ),
        // One, because patterns take the longest to compile.
        3 if at == 3 => (
            "null".to_string(),
            property(
                "email",
                "regex match",
                format!(".*@host{}\\\\.example", at % 3),
            ),
        ),
        4 => (
            "null".to_string(),
            property("cohorts", "set contains any", format!("c{}", at % 6)),
        ),
        5 => (
            "null".to_string(),
            property("seats", "greater", format!("{}", at % 9)),
        ),
        6 => (
            "null".to_string(),
            property("plan", "is not", "(none)".to_string()),
        ),
        7 => (
            "null".to_string(),
            property("email", "does not contain", "HOST1".to_string()),
        ),
        _ => (
            "null".to_string(),
            property("nothing", "set is not", "x".to_string()),
        ),
    };
    let half = 21_474_837;
    format!(
        r#"{{"key": "{key}", "dependencies": {dependencies}, "metadata": {{"flagVersion": {at}}},
            "variants": {{"off": {{"key": "off", "metadata": {{"default": true}}}}, "control": {{"key": "control", "value": "control"}},
                "treatment": {{"key": "treatment", "value": "treatment", "payload": {{"size": {at}}}}}}},
            "segments": [
                {{"metadata": {{"segmentName": "Segment 1"}}, "conditions": {conditions}, "bucket":
                    {{"selector": ["context", "user", "user_id"], "salt": "salt{at}", "allocations":
                        [{{"range": [0, {}], "distributions": [{{"variant": "control", "range": [0, {half}]}},
                            {{"variant": "treatment", "range": [{half}, 42949673]}}]}}]}}}},
                {{"metadata": {{"segmentName": "All Other Users"}}, "variant": "off"}}]}}"#,
        40 + at % 60
    )
}

fn user(at: usize) -> User {
    let mut user = User::new()
        .with_user_id(format!("user-{at}"))
        .with_user_property("plan", format!("plan-{}", at % 5))
        .with_user_property("app", format!("3.{}.{at}", at % 8))
        .with_user_property("email", format!("u{at}@host{}.example", at % 4))
        .with_user_property(
            "cohorts",
            vec![format!("c{}", at % 7), format!("c{}", at % 3)],
        );
    if at % 4 != 0 {
        user = user.with_user_property("seats", i64::try_from(at).expect("a number"));
    }
    user
}

/// A flag `poison` with these fields behind its key.
fn fields(rest: &str) -> String {
    format!(r#"{{"key": "{POISON}", {rest}}}"#)
}

/// With variants and one segment.
fn segment(segment: &str) -> String {
    fields(&format!(
        r#""variants": {{"on": {{"key": "on"}}}}, "segments": [{segment}]"#
    ))
}

/// With one condition.
fn condition(condition: &str) -> String {
    segment(&format!(
        r#"{{"variant": "on", "conditions": [[{condition}]]}}"#
    ))
}

/// With one comparison of the plan.
fn compared(operator: &str, values: &str) -> String {
    condition(&format!(
        r#"{{"selector": ["context", "user", "user_properties", "plan"], "op": {operator}, "values": {values}}}"#
    ))
}

/// With a bucket.
fn bucket(fields: &str) -> String {
    segment(&format!(r#"{{"variant": "on", "bucket": {{{fields}}}}}"#))
}

/// With a bucket of these allocations.
fn allocations(allocations: &str) -> String {
    bucket(&format!(
        r#""selector": ["context", "user", "user_id"], "salt": "s", "allocations": [{allocations}]"#
    ))
}

/// With variants and dependencies.
fn depends(dependencies: &str) -> String {
    fields(&format!(
        r#""variants": {{}}, "segments": [], "dependencies": {dependencies}"#
    ))
}

/// Kinds of bad flags: name, flag, what is found.
#[allow(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(&'static str, String, Code)> {
    use Code::{
        DependencyCycle, DependencyDepth, DuplicateFlagKey, InvalidPattern, MalformedFlag,
        MalformedRange, MissingDependency, PatternTooLarge, TooManyValues, UnknownOperator,
        UnknownVariant, UnsupportedPattern,
    };
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let many: Vec<String> = (0..=VALUES).map(|at| format!("\"{at}\"")).collect();
    let all = r#"{"variant": "on", "range": [0, 42949673]}"#;
    vec![
        ("nothing", "null".into(), MalformedFlag),
        ("a number", "7".into(), MalformedFlag),
        ("a truth value", "true".into(), MalformedFlag),
        ("text", r#""poison""#.into(), MalformedFlag),
        ("an empty list", "[]".into(), MalformedFlag),
        ("an empty object", "{}".into(), MalformedFlag),
        (
            "a flag without a key",
            r#"{"variants": {}, "segments": []}"#.into(),
            MalformedFlag,
        ),
        (
            "a key that is null",
            r#"{"key": null, "variants": {}, "segments": []}"#.into(),
            MalformedFlag,
        ),
        (
            "a key that is a list",
            r#"{"key": ["k"], "variants": {}, "segments": []}"#.into(),
            MalformedFlag,
        ),
        (
            "two keys",
            fields(r#""key": "poison", "variants": {}, "segments": []"#),
            MalformedFlag,
        ),
        ("no variants", fields(r#""segments": []"#), MalformedFlag),
        ("no segments", fields(r#""variants": {}"#), MalformedFlag),
        (
            "variants that are null",
            fields(r#""variants": null, "segments": []"#),
            MalformedFlag,
        ),
        (
            "variants that are a list",
            fields(r#""variants": [], "segments": []"#),
            MalformedFlag,
        ),
        (
            "segments that are null",
            fields(r#""variants": {}, "segments": null"#),
            MalformedFlag,
        ),
        (
            "segments that are an object",
            fields(r#""variants": {}, "segments": {}"#),
            MalformedFlag,
        ),
        (
            "a variant that is text",
            fields(r#""variants": {"on": "on"}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "a variant that is null",
            fields(r#""variants": {"on": null}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "a variant key that is an object",
            fields(r#""variants": {"on": {"key": {}}}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "variant metadata that is text",
            fields(r#""variants": {"on": {"metadata": "m"}}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "a payload beyond doubles",
            fields(r#""variants": {"on": {"key": "on", "payload": 1e400}}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "half a surrogate pair",
            fields(r#""variants": {"on": {"key": "\ud800"}}, "segments": []"#),
            MalformedFlag,
        ),
        (
            "metadata that is a list",
            fields(r#""variants": {}, "segments": [], "metadata": [1]"#),
            MalformedFlag,
        ),
        (
            "metadata of 10,000 levels",
            fields(&format!(
                r#""variants": {{}}, "segments": [], "metadata": {{"d": {deep}}}"#
            )),
            MalformedFlag,
        ),
        ("a segment that is null", segment("null"), MalformedFlag),
        ("a segment that is a number", segment("1"), MalformedFlag),
        (
            "segment metadata that is text",
            segment(r#"{"metadata": "m"}"#),
            MalformedFlag,
        ),
        (
            "a segment variant that is an object",
            segment(r#"{"variant": {"key": "on"}}"#),
            MalformedFlag,
        ),
        (
            "conditions that are an object",
            segment(r#"{"conditions": {}}"#),
            MalformedFlag,
        ),
        (
            "conditions that are not listed twice",
            segment(r#"{"conditions": [{"selector": [], "op": "is", "values": []}]}"#),
            MalformedFlag,
        ),
        ("a condition that is null", condition("null"), MalformedFlag),
        (
            "a condition without a selector",
            condition(r#"{"op": "is", "values": []}"#),
            MalformedFlag,
        ),
        (
            "a selector that is text",
            condition(r#"{"selector": "context.user", "op": "is", "values": []}"#),
            MalformedFlag,
        ),
        (
            "a selector with null in it",
            condition(r#"{"selector": ["context", null], "op": "is", "values": []}"#),
            MalformedFlag,
        ),
        (
            "a condition without an operator",
            condition(r#"{"selector": [], "values": []}"#),
            MalformedFlag,
        ),
        (
            "an operator that is null",
            compared("null", "[]"),
            MalformedFlag,
        ),
        (
            "an operator that is a list",
            compared(r#"["is"]"#, "[]"),
            MalformedFlag,
        ),
        (
            "a condition without values",
            condition(r#"{"selector": [], "op": "is"}"#),
            MalformedFlag,
        ),
        (
            "values that are null",
            compared(r#""is""#, "null"),
            MalformedFlag,
        ),
        (
            "values that are text",
            compared(r#""is""#, r#""a""#),
            MalformedFlag,
        ),
        (
            "values with null in them",
            compared(r#""is""#, r#"["a", null]"#),
            MalformedFlag,
        ),
        (
            "values with a list in them",
            compared(r#""is""#, r#"["a", ["b"]]"#),
            MalformedFlag,
        ),
        (
            "a bucket that is a number",
            segment(r#"{"bucket": 5}"#),
            MalformedFlag,
        ),
        (
            "a bucket without a salt",
            bucket(r#""selector": [], "allocations": []"#),
            MalformedFlag,
        ),
        (
            "a bucket without a selector",
            bucket(r#""salt": "s", "allocations": []"#),
            MalformedFlag,
        ),
        (
            "a bucket without allocations",
            bucket(r#""selector": [], "salt": "s""#),
            MalformedFlag,
        ),
        (
            "an allocation without a range",
            allocations(r#"{"distributions": []}"#),
            MalformedFlag,
        ),
        (
            "a range that is null",
            allocations(r#"{"range": null, "distributions": []}"#),
            MalformedFlag,
        ),
        (
            "a range that is text",
            allocations(r#"{"range": "0-100", "distributions": []}"#),
            MalformedFlag,
        ),
        (
            "a range of texts",
            allocations(r#"{"range": ["0", "100"], "distributions": []}"#),
            MalformedFlag,
        ),
        (
            "a range of fractions",
            allocations(r#"{"range": [0.5, 100], "distributions": []}"#),
            MalformedFlag,
        ),
        (
            "a range beyond 64 bits",
            allocations(r#"{"range": [0, 18446744073709551615], "distributions": []}"#),
            MalformedFlag,
        ),
        (
            "distributions that are null",
            allocations(r#"{"range": [0, 100], "distributions": null}"#),
            MalformedFlag,
        ),
        (
            "a distribution without a variant",
            allocations(r#"{"range": [0, 100], "distributions": [{"range": [0, 1]}]}"#),
            MalformedFlag,
        ),
        (
            "dependencies that are text",
            depends(r#""flag-000""#),
            MalformedFlag,
        ),
        (
            "dependencies with an object in them",
            depends("[{}]"),
            MalformedFlag,
        ),
        (
            "a flag that depends on itself",
            depends(r#"["flag-000", "poison"]"#),
            DependencyCycle,
        ),
        (
            "a flag that depends on none there is",
            depends(r#"["flag-000", "flag-999"]"#),
            MissingDependency,
        ),
        (
            "a flag that depends on too many in a row",
            depends(&format!(r#"["{DEEPEST}"]"#)),
            DependencyDepth,
        ),
        (
            "a condition with too many values",
            compared(r#""is""#, &format!("[{}]", many.join(","))),
            TooManyValues,
        ),
        (
            "an open group",
            compared(r#""regex match""#, r#"["("]"#),
            InvalidPattern,
        ),
        (
            "a class that runs backwards",
            compared(r#""regex match""#, r#"["a", "[z-a]"]"#),
            InvalidPattern,
        ),
        (
            "a pattern that repeats nothing",
            compared(r#""regex does not match""#, r#"["*"]"#),
            InvalidPattern,
        ),
        (
            "a pattern this build lacks",
            compared(r#""regex match""#, r#"["\\X"]"#),
            UnsupportedPattern,
        ),
        (
            "nested repetition",
            compared(r#""regex match""#, r#"["((a{99}){99}){99}"]"#),
            PatternTooLarge,
        ),
        (
            "an unknown operator",
            compared(r#""glob match""#, r#"["*"]"#),
            UnknownOperator,
        ),
        (
            "an operator in capitals",
            compared(r#""IS""#, r#"["a"]"#),
            UnknownOperator,
        ),
        (
            "an empty operator",
            compared(r#""""#, "[]"),
            UnknownOperator,
        ),
        (
            "an allocation with an empty range",
            allocations(&format!(r#"{{"range": [], "distributions": [{all}]}}"#)),
            MalformedRange,
        ),
        (
            "an allocation with half a range",
            allocations(&format!(r#"{{"range": [0], "distributions": [{all}]}}"#)),
            MalformedRange,
        ),
        (
            "a distribution with half a range",
            allocations(
                r#"{"range": [0, 100], "distributions": [{"variant": "on", "range": [7]}]}"#,
            ),
            MalformedRange,
        ),
        (
            "a segment with a variant that is none",
            segment(r#"{"variant": "nobody"}"#),
            UnknownVariant,
        ),
        (
            "a distribution with a variant that is none",
            allocations(
                r#"{"range": [0, 100], "distributions": [{"variant": "nobody", "range": [0, 1]}]}"#,
            ),
            UnknownVariant,
        ),
        (
            "a key that another flag has",
            format!(r#"{{"key": "{TWICE}", "variants": {{}}, "segments": []}}"#),
            DuplicateFlagKey,
        ),
    ]
}

fn plan(flags: &[String]) -> Plan {
    let json = format!("[{}]", flags.join(","));
    let set = read_flags(json.as_bytes()).expect("a list of flags");
    Plan::compile(&set, &options())
}

/// The answers of the good flags that no kind of bad flag defines again.
fn answers<'p>(plan: &'p Plan, user: &User) -> Vec<(&'p str, &'p Variant)> {
    let evaluation = plan.evaluate(user);
    let all = evaluation.iter();
    let mut answers: Vec<_> = all
        .filter(|(key, _)| ![POISON, TWICE].contains(key))
        .collect();
    // Dependencies decide which of them comes first.
    answers.sort_by_key(|(key, _)| *key);
    answers
}

#[test]
fn a_bad_flag_changes_no_answer_of_the_others_and_is_one_finding() {
    let good: Vec<String> = (0..FLAGS).map(good_flag).collect();
    let users: Vec<User> = (0..USERS).map(user).collect();
    let without = plan(&good);
    assert_eq!(without.diagnostics(), []);
    let expected: Vec<_> = users.iter().map(|user| answers(&without, user)).collect();
    // The users get different variants, or nothing would be shown.
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]));
    for answers in &expected {
        let on = answers.iter().filter(|(_, variant)| !variant.is_default());
        assert!((20..180).contains(&on.count()));
    }

    for (name, bad, code) in table() {
        // The key, where it can be read.
        let with_key = bad.starts_with(&format!(r#"{{"key": "{POISON}""#)) && name != "two keys";
        let key = match code {
            Code::DuplicateFlagKey => Some(TWICE),
            _ => with_key.then_some(POISON),
        };
        for place in [0, FLAGS / 2, FLAGS] {
            let mut flags = good.clone();
            flags.insert(place, bad.clone());
            let plan = plan(&flags);
            for (user, expected) in users.iter().zip(&expected) {
                assert!(
                    answers(&plan, user) == *expected,
                    "{name} at {place}: an answer changed"
                );
            }
            let [finding] = plan.diagnostics() else {
                panic!("{name} at {place}: {:?}", plan.diagnostics());
            };
            assert_eq!(finding.code, code, "{name} at {place}: {finding}");
            assert_eq!(finding.flag.as_deref(), key, "{name} at {place}: {finding}");
        }
    }
}

#[test]
fn there_are_enough_kinds_of_bad_flags() {
    let mut names: Vec<&str> = table().iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), table().len());
    assert!(names.len() >= 40, "{}", names.len());
    // Every error and warning that compiling finds in one flag alone is among them.
    let codes: Vec<Code> = table().iter().map(|(.., code)| *code).collect();
    assert_eq!(
        codes.iter().collect::<std::collections::HashSet<_>>().len(),
        12
    );
}
