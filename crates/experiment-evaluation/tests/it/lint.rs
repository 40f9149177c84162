//! Findings, as a table: a flag, and what is found in it.

use std::collections::BTreeSet;

use experiment_conformance::Subject;
use experiment_evaluation::{Code, Options, Plan, RegexMatching, SegmentOutcome, Severity, lint};
use experiment_model::{FlagSet, Operator, User, Value, read_flags};
use proptest::{prelude::*, sample::select};

/// What is found in `flags`, as `code path`; for every flag but the first with its key in front.
fn found(flags: &str, options: &Options) -> Vec<String> {
    let flags = read_flags(flags.as_bytes()).expect("a list of flags");
    lint(&flags, options)
        .into_iter()
        .map(|finding| {
            let flag = finding.flag.as_deref().filter(|flag| *flag != "f");
            let flag = flag.map_or(String::new(), |flag| format!("{flag}: "));
            let place = format!("{flag}{} {}", finding.code, finding.path);
            place.trim_end().to_string()
        })
        .collect()
}

/// A flag `f` with variants `on` and `off`.
fn flag(rest: &str) -> String {
    format!(
        r#"[{{"key": "f", "variants": {{"on": {{"key": "on"}}, "off": {{"key": "off"}}}}, {rest}}}]"#
    )
}

/// A flag with one segment.
fn segment(segment: &str) -> String {
    flag(&format!(r#""segments": [{{{segment}}}]"#))
}

/// A flag with one condition.
fn condition(selector: &str, operator: &str, values: &str) -> String {
    let keys: Vec<String> = selector.split('.').map(|key| format!("{key:?}")).collect();
    let keys = if selector == "-" {
        String::new()
    } else {
        keys.join(",")
    };
    segment(&format!(
        r#""variant": "on", "conditions": [[{{"selector": [{keys}], "op": "{operator}", "values": {values}}}]]"#
    ))
}

/// A flag whose property `p` is compared.
fn property(operator: &str, values: &str) -> String {
    condition("context.user.user_properties.p", operator, values)
}

/// A flag that splits users by a property.
fn bucket(selector: &str, allocations: &str) -> String {
    let keys: Vec<String> = selector.split('.').map(|key| format!("{key:?}")).collect();
    segment(&format!(
        r#""variant": "off", "bucket": {{"selector": [{}], "salt": "s", "allocations": {allocations}}}"#,
        keys.join(",")
    ))
}

/// A flag whose single allocation has distributions with these ranges.
fn distributions(ranges: &[[i64; 2]]) -> String {
    let list: Vec<String> = ranges
        .iter()
        .map(|range| format!(r#"{{"variant": "on", "range": {range:?}}}"#))
        .collect();
    bucket(
        "context.user.user_id",
        &format!(
            r#"[{{"range": [0, 100], "distributions": [{}]}}]"#,
            list.join(",")
        ),
    )
}

const VALUE: &str = "segments[0].conditions[0][0].values[0]";
const CONDITION: &str = "segments[0].conditions[0][0]";
const BUCKET: &str = "segments[0].bucket";
const ALL: &str = r#"[{"variant": "on", "range": [0, 42949673]}]"#;

/// Flags and what is found in them.
#[allow(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(String, Vec<String>)> {
    let one = |code: &str, path: &str| vec![format!("{code} {path}")];
    let none = Vec::new;
    let everyone = r#"{"variant": "on"}"#;
    let own = |rest: &str| format!(r#"{{"key": "g", "variants": {{}}, "segments": []{rest}}}"#);
    let reads = |dependencies: &str| {
        flag(&format!(
            r#""dependencies": {dependencies}, "segments": [{{"variant": "on", "conditions": [[
                {{"selector": ["result", "g", "key"], "op": "is", "values": ["on"]}}]]}}]"#
        ))
    };
    let with =
        |flags: &str, more: &str| format!("{},{more}]", flags.strip_suffix(']').expect("a list"));
    vec![
        // What compiling finds.
        (
            r#"[{"key": "f", "variants": {}}]"#.into(),
            vec!["malformed-flag".into()],
        ),
        (
            flag(r#""segments": [], "dependencies": ["f"]"#),
            vec![
                "dependency-cycle dependencies".into(),
                "unused-dependency dependencies[0]".into(),
            ],
        ),
        (
            with(
                &flag(r#""segments": [], "dependencies": ["g"]"#),
                &own(r#", "dependencies": ["g"]"#),
            ),
            vec![
                "depends-on-cycle dependencies".into(),
                "unused-dependency dependencies[0]".into(),
                "g: dependency-cycle dependencies".into(),
                "g: unused-dependency dependencies[0]".into(),
            ],
        ),
        (
            property("regex match", r#"["("]"#),
            one("invalid-pattern", VALUE),
        ),
        (
            property("regex match", r#"["\\X"]"#),
            one("unsupported-pattern", VALUE),
        ),
        (
            property("regex match", r#"["^((a{99}){99}){99}$"]"#),
            one("pattern-too-large", VALUE),
        ),
        (
            bucket(
                "context.user.user_id",
                r#"[{"range": [0], "distributions": []}]"#,
            ),
            one("malformed-range", &format!("{BUCKET}.allocations[0].range")),
        ),
        (
            property("glob match", "[]"),
            one("unknown-operator", &format!("{CONDITION}.op")),
        ),
        (
            with(
                &flag(r#""segments": []"#),
                flag(r#""segments": []"#).trim_matches(['[', ']']),
            ),
            one("duplicate-flag-key", "key"),
        ),
        (
            flag(r#""segments": [], "dependencies": ["g"]"#),
            one("missing-dependency", "dependencies[0]"),
        ),
        (
            segment(r#""variant": "x""#),
            one("unknown-variant", "segments[0].variant"),
        ),
        // Dependencies.
        (
            reads("[]"),
            one("undeclared-dependency", &format!("{CONDITION}.selector")),
        ),
        (
            with(&reads("[]"), &own("")),
            one("undeclared-dependency", &format!("{CONDITION}.selector")),
        ),
        (with(&reads(r#"["g"]"#), &own("")), none()),
        // Through another flag.
        (
            with(
                &with(&reads(r#"["h"]"#), &own("")),
                r#"{"key": "h", "variants": {}, "segments": [], "dependencies": ["g"]}"#,
            ),
            vec!["h: unused-dependency dependencies[0]".into()],
        ),
        (
            condition("result.f.key", "is", r#"["on"]"#),
            one("undeclared-dependency", &format!("{CONDITION}.selector")),
        ),
        (
            with(&flag(r#""segments": [], "dependencies": ["g"]"#), &own("")),
            one("unused-dependency", "dependencies[0]"),
        ),
        // Segments that nobody reaches.
        (
            flag(&format!(
                r#""segments": [{everyone}, {everyone}, {everyone}]"#
            )),
            vec![
                "unreachable-segment segments[1]".into(),
                "unreachable-segment segments[2]".into(),
            ],
        ),
        (
            flag(&format!(
                r#""segments": [{{"variant": "x"}}, {{"metadata": {{}}}}, {everyone}]"#
            )),
            one("unknown-variant", "segments[0].variant"),
        ),
        (
            flag(&format!(
                r#""segments": [{{"variant": "on", "conditions": [[{{"selector": [], "op": "is", "values": ["(none)"]}}]]}}, {everyone}]"#
            )),
            vec![
                format!("constant-condition {CONDITION}"),
                "unreachable-segment segments[1]".into(),
            ],
        ),
        // Users without an id come past a bucket that has no variant for them.
        (
            flag(&format!(
                r#""segments": [{{"bucket": {{"selector": ["context", "user", "user_id"], "salt": "", "allocations":
                    [{{"range": [0, 100], "distributions": {ALL}}}]}}}}, {everyone}]"#
            )),
            none(),
        ),
        (
            flag(&format!(
                r#""segments": [{{"variant": "off", "bucket": {{"selector": ["context", "user", "user_id"], "salt": "", "allocations":
                    [{{"range": [0, 10], "distributions": {ALL}}}]}}}}, {everyone}]"#
            )),
            one("unreachable-segment", "segments[1]"),
        ),
        // Conditions that are the same for everyone.
        (
            condition("-", "is not", r#"["(none)"]"#),
            one("constant-condition", CONDITION),
        ),
        (
            condition("user.user_id", "is", r#"["a"]"#),
            one("constant-condition", CONDITION),
        ),
        (property("is", "[]"), one("constant-condition", CONDITION)),
        (
            property("is not", "[]"),
            one("constant-condition", CONDITION),
        ),
        (
            property("version greater", "[]"),
            one("constant-condition", CONDITION),
        ),
        (
            property("set contains any", "[]"),
            one("constant-condition", CONDITION),
        ),
        (property("set is", "[]"), none()),
        (property("set does not contain", "[]"), none()),
        (
            segment(r#""variant": "on", "conditions": []"#),
            vec![
                "constant-condition segments[0].conditions".into(),
                "portability-empty-conditions segments[0].conditions".into(),
            ],
        ),
        (
            segment(r#""variant": "on", "conditions": [[]]"#),
            one("portability-empty-conditions", "segments[0].conditions[0]"),
        ),
        (property("is", r#"["(none)"]"#), none()),
        (
            property("regex match", r#"["(none)"]"#),
            vec![
                format!("none-in-pattern {VALUE}"),
                format!("portability-unanchored-pattern {VALUE}"),
            ],
        ),
        // Ranges.
        (
            distributions(&[[0, 21_474_837], [21_474_836, 42_949_673]]),
            none(),
        ),
        (
            distributions(&[[0, 42_520_177], [42_520_175, 42_949_673]]),
            none(),
        ),
        (
            distributions(&[[0, 21_474_837], [21_474_838, 42_949_672]]),
            none(),
        ),
        (
            distributions(&[[21_474_837, 42_949_673], [0, 21_474_837]]),
            none(),
        ),
        (
            distributions(&[[0, 20_000_000], [10_000_000, 42_949_673]]),
            one(
                "overlapping-ranges",
                &format!("{BUCKET}.allocations[0].distributions[1].range"),
            ),
        ),
        (
            distributions(&[[0, 10_000_000], [20_000_000, 40_000_000]]),
            vec![format!("incomplete-ranges {BUCKET}.allocations[0].distributions"); 2],
        ),
        (
            distributions(&[[0, 42_949_673], [5, 5]]),
            one(
                "empty-range",
                &format!("{BUCKET}.allocations[0].distributions[1].range"),
            ),
        ),
        (
            distributions(&[[0, 42_949_673], [5, 1]]),
            one(
                "inverted-range",
                &format!("{BUCKET}.allocations[0].distributions[1].range"),
            ),
        ),
        (
            distributions(&[[-1, 42_949_674]]),
            one(
                "range-out-of-bounds",
                &format!("{BUCKET}.allocations[0].distributions[0].range"),
            ),
        ),
        (
            bucket(
                "context.user.user_id",
                &format!(r#"[{{"range": [0, 101], "distributions": {ALL}}}]"#),
            ),
            one(
                "range-out-of-bounds",
                &format!("{BUCKET}.allocations[0].range"),
            ),
        ),
        // A rollout of 20 % in two parts, and one that gives the same users twice.
        (
            bucket(
                "context.user.user_id",
                &format!(
                    r#"[{{"range": [0, 10], "distributions": {ALL}}}, {{"range": [10, 20], "distributions": {ALL}}}]"#
                ),
            ),
            none(),
        ),
        (
            bucket(
                "context.user.user_id",
                &format!(
                    r#"[{{"range": [0, 10], "distributions": {ALL}}}, {{"range": [9, 20], "distributions": {ALL}}}]"#
                ),
            ),
            one(
                "overlapping-ranges",
                &format!("{BUCKET}.allocations[1].range"),
            ),
        ),
        // Whom the first allocation leaves the second takes.
        (
            bucket(
                "context.user.user_id",
                r#"[{"range": [0, 100], "distributions": [{"variant": "on", "range": [0, 20000000]}]},
                    {"range": [0, 100], "distributions": [{"variant": "off", "range": [20000000, 42949673]}]}]"#,
            ),
            none(),
        ),
        // Patterns.
        (
            property("regex match", r#"["^a|b$"]"#),
            one("portability-unanchored-pattern", VALUE),
        ),
        (property("regex match", r#"["^(a|b)$", ".*x.*"]"#), none()),
        (
            property("regex match", r#"["^(?<n>a)$"]"#),
            one("portability-pattern-dialect", VALUE),
        ),
        (
            property("regex match", r#"["^a#b$"]"#),
            one("portability-pattern-dialect", VALUE),
        ),
        (
            property("regex match", r#"["^true$"]"#),
            one("portability-typed-text", VALUE),
        ),
        // Negations on what may be absent.
        (
            property("set is not", r#"["a"]"#),
            one("portability-negated-absent", &format!("{CONDITION}.op")),
        ),
        (
            condition("context.user.user_id", "regex does not match", r#"["^a$"]"#),
            one("portability-negated-absent", &format!("{CONDITION}.op")),
        ),
        (
            condition("context.user.cohort_ids", "set is not", r#"["a"]"#),
            none(),
        ),
        (
            segment(
                r#""variant": "on", "conditions": [[
                    {"selector": ["context", "user", "os"], "op": "regex does not match", "values": ["^a$"]},
                    {"selector": ["context", "user", "os"], "op": "is not", "values": ["(none)"]}]]"#,
            ),
            none(),
        ),
        // Numbers and versions.
        (property("greater", r#"["5", "-1.5", "(none)"]"#), none()),
        (
            property("greater", r#"["1_000", "5"]"#),
            one("portability-number-text", VALUE),
        ),
        (
            property("less", r#"["2024-01-01"]"#),
            one("portability-number-text", VALUE),
        ),
        (
            property("less", r#"["-0"]"#),
            one("portability-number-text", VALUE),
        ),
        (
            property("version less", r#"["1.2", "1.2.3", "1.2.3-rc.1"]"#),
            none(),
        ),
        (
            property("version less", r#"["1"]"#),
            one("portability-version-text", VALUE),
        ),
        (
            property("version less", r#"["1.2.3+build"]"#),
            one("portability-version-text", VALUE),
        ),
        (
            property("version less", r#"["1.0.2147483648"]"#),
            one("portability-version-text", VALUE),
        ),
        // What may be no text.
        (
            property("is", r#"["a", "1", "true", "2.5", "007", "1.50"]"#),
            none(),
        ),
        (
            property("is", r#"["1.0"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            property("is", r#"["1e3"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            property("is", r#"["1234567"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            property("is", r#"["false"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            property("set contains", r#"["[1]"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            property("contains", r#"["false"]"#),
            one("portability-typed-text", VALUE),
        ),
        (
            condition(
                "context.user.user_id",
                "is",
                r#"["1234567", "{}", "false"]"#,
            ),
            none(),
        ),
        (
            condition("context.user", "is", r#"["a"]"#),
            one("portability-typed-text", &format!("{CONDITION}.selector")),
        ),
        (
            bucket(
                "context.user.user_properties.account",
                &format!(r#"[{{"range": [0, 100], "distributions": {ALL}}}]"#),
            ),
            one("portability-typed-text", &format!("{BUCKET}.selector")),
        ),
        (
            bucket(
                "context.groups.org name.group_name",
                &format!(r#"[{{"range": [0, 100], "distributions": {ALL}}}]"#),
            ),
            none(),
        ),
        (
            property("is", r#"[""]"#),
            one("portability-empty-text", VALUE),
        ),
        (
            property("set contains", r#"["a", "a"]"#),
            one(
                "portability-repeated-value",
                &format!("{CONDITION}.values[1]"),
            ),
        ),
        (property("set contains any", r#"["a", "a"]"#), none()),
        (
            property("contains", r#"["école"]"#),
            one("portability-letter-case", VALUE),
        ),
        (property("contains", r#"["日本", "e"]"#), none()),
        // Selectors.
        (
            condition("context.user.user_properties.", "is", r#"["a"]"#),
            one(
                "portability-unusual-selector",
                &format!("{CONDITION}.selector"),
            ),
        ),
        (
            condition("context.user.constructor", "is", r#"["a"]"#),
            one(
                "portability-unusual-selector",
                &format!("{CONDITION}.selector"),
            ),
        ),
        (
            condition("context.user.user_id.length", "is", r#"["7"]"#),
            one(
                "portability-unusual-selector",
                &format!("{CONDITION}.selector"),
            ),
        ),
        (
            condition("result.g.payload", "is", r#"["a"]"#),
            vec![
                format!("constant-condition {CONDITION}"),
                format!("portability-unusual-selector {CONDITION}.selector"),
            ],
        ),
        (
            condition("result.g", "is", r#"["a"]"#),
            vec![
                format!("constant-condition {CONDITION}"),
                format!("portability-unusual-selector {CONDITION}.selector"),
            ],
        ),
    ]
}

#[test]
fn every_row_has_exactly_its_findings() {
    for (flags, expected) in table() {
        assert_eq!(found(&flags, &Options::default()), expected, "{flags}");
    }
}

fn limited() -> [(String, Vec<String>); 2] {
    let chain = r#"[{"key": "f", "variants": {}, "segments": [], "dependencies": ["g"]},
        {"key": "g", "variants": {}, "segments": [], "dependencies": ["h"]},
        {"key": "h", "variants": {}, "segments": []}]"#;
    [
        (
            property("regex match", r#"["a", "b", "c"]"#),
            vec![format!("too-many-values {CONDITION}.values")],
        ),
        (
            chain.to_string(),
            vec![
                "dependency-depth dependencies".into(),
                "unused-dependency dependencies[0]".into(),
                "g: unused-dependency dependencies[0]".into(),
            ],
        ),
    ]
}

#[test]
fn limits_are_findings() {
    let mut options = Options::default();
    options.limits.values = 2;
    options.limits.dependency_depth = 1;
    for (flags, expected) in limited() {
        assert_eq!(found(&flags, &options), expected, "{flags}");
    }
}

#[test]
fn every_code_stands_in_the_table() {
    let in_table: BTreeSet<String> = table()
        .into_iter()
        .chain(limited())
        .flat_map(|(_, expected)| expected)
        .filter_map(|finding| {
            let finding = finding
                .split_once(": ")
                .map_or(finding.as_str(), |(_, rest)| rest);
            finding.split(' ').next().map(str::to_string)
        })
        .collect();
    let all: BTreeSet<String> = Code::ALL.iter().map(Code::to_string).collect();
    assert_eq!(in_table, all);
}

#[test]
fn codes_differ_and_portability_notes_are_notes() {
    let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(!code.advice().is_empty());
        if code.as_str().starts_with("portability-") {
            assert_eq!(code.severity(), Severity::Note, "{code}");
        }
    }
}

#[test]
fn findings_follow_the_flags_and_count_indices_as_numbers() {
    let ghosts = [r#"{"variant": "ghost"}"#; 12].join(",");
    let json = format!(
        r#"[{{"key": "z", "variants": {{}}, "segments": [{ghosts}]}}, 7,
            {{"key": "a", "variants": {{}}, "segments": [], "dependencies": ["x"]}}]"#
    );
    let found = found(&json, &Options::default());
    assert_eq!(found.len(), 14);
    assert_eq!(found[2], "z: unknown-variant segments[2].variant");
    assert_eq!(found[11], "z: unknown-variant segments[11].variant");
    assert_eq!(found[12], "malformed-flag");
    assert_eq!(found[13], "a: missing-dependency dependencies[0]");
}

#[test]
fn messages_say_the_numbers() {
    let message = |flags: &str| {
        let flags = read_flags(flags.as_bytes()).unwrap();
        lint(&flags, &Options::default())[0].message.clone()
    };
    assert_eq!(
        message(&distributions(&[[0, 20_000_000], [10_000_000, 42_949_673]])),
        "10000000 points, [10000000, 20000000), belong to distribution 0 already"
    );
    assert_eq!(
        message(&distributions(&[[0, 38_654_705]])),
        "no distribution takes [38654705, 42949673), 10.00 % of the allocation"
    );
    assert_eq!(
        message(&property("regex match", r#"["^(?<n>a)$"]"#)),
        "`(?<name>` in `^(?<n>a)$`: Python and older Go reject it"
    );
}

#[test]
fn ordinary_flags_have_no_findings() {
    let subjects = Subject::built_in();
    let fixtures = subjects
        .iter()
        .find(|subject| subject.name == "sdk_fixture_flags")
        .expect("the flags of the SDKs' own tests");
    assert_eq!(fixtures.cases.len(), 16);
    for case in &fixtures.cases {
        assert_eq!(found(&case.flags.to_string(), &Options::default()), [""; 0]);
    }
    // One of each kind that the benchmark's w4 has.
    let segment = |condition: &str| {
        format!(
            r#"{{"metadata": {{"segmentName": "Segment 2"}}, "conditions": [[{condition}]], "bucket":
                {{"selector": ["context", "user", "user_id"], "salt": "s4lt0000", "allocations": [{{"range": [0, 100], "distributions":
                    [{{"variant": "control", "range": [0, 21474837]}}, {{"variant": "treatment", "range": [21474837, 42949673]}}]}}]}}}}"#
        )
    };
    let condition = |property: &str, operator: &str, values: &str| {
        format!(
            r#"{{"selector": ["context", "user", "user_properties", "{property}"], "op": "{operator}", "values": {values}}}"#
        )
    };
    for condition in [
        condition("plan", "is", r#"["enterprise"]"#),
        condition("app_version", "version greater or equal", r#"["3.2.0"]"#),
        condition("account", "is", r#"["acct-000026", "acct-000123"]"#),
        condition("locale", "is", r#"["en_US", "en_GB"]"#),
        condition("cohort", "set contains any", r#"["a", "b"]"#),
    ] {
        let flags = format!(
            r#"[{{"key": "f", "variants": {{"off": {{"key": "off", "metadata": {{"default": true}}}}, "control": {{"key": "control", "value": "control"}},
                "treatment": {{"key": "treatment", "value": "treatment"}}}}, "segments": [{}, {{"variant": "off"}}]}}]"#,
            segment(&condition)
        );
        assert_eq!(found(&flags, &Options::default()), [""; 0], "{flags}");
    }
}

#[test]
fn every_conformance_case_can_be_linted() {
    let subjects = Subject::built_in();
    let mut flags: Vec<String> = subjects
        .iter()
        .flat_map(|subject| &subject.cases)
        .map(|case| case.flags.to_string())
        .collect();
    flags.dedup();
    for flags in flags {
        if let Ok(flags) = read_flags(flags.as_bytes()) {
            let findings = lint(&flags, &Options::default());
            assert!(findings.iter().all(|finding| !finding.message.is_empty()));
        }
    }
    assert_eq!(lint(&FlagSet::default(), &Options::default()), []);
}

#[test]
fn findings_about_segments_and_conditions_hold_for_every_user() {
    let (mut unreachable, mut constant) = (0, 0);
    let large = Subject::large();
    let cases = large.iter().flat_map(|subject| &subject.cases).step_by(8);
    for case in cases {
        let flags = read_flags(case.flags.to_string().as_bytes()).expect("a list of flags");
        let plan = Plan::compile(&flags, &Options::default());
        for finding in lint(&flags, &Options::default()) {
            let flag = finding.flag.as_deref().unwrap_or_default();
            let Some(explanation) = plan.explain(&case.context, flag) else {
                continue;
            };
            for step in explanation.segments() {
                let segment = format!("segments[{}]", step.index());
                if finding.code == Code::UnreachableSegment {
                    unreachable += 1;
                    assert_ne!(finding.path, segment, "{}", case.flags);
                }
                if finding.code != Code::ConstantCondition {
                    continue;
                }
                constant += 1;
                if finding.path == format!("{segment}.conditions") {
                    assert_eq!(step.outcome(), SegmentOutcome::NotTargeted);
                }
                let (mut alternative, mut index) = (0, 0);
                for condition in explanation.conditions(step) {
                    if condition.alternative() != alternative {
                        (alternative, index) = (condition.alternative(), 0);
                    }
                    if finding.path == format!("{segment}.conditions[{alternative}][{index}]") {
                        let never = finding.message.ends_with("never holds");
                        let always = finding.message.ends_with("always holds");
                        let empty_list = condition.actual() == &Value::from([""; 0]);
                        let holds = if always { true } else { !never && !empty_list };
                        assert_eq!(condition.matched(), holds, "{finding}: {condition}");
                    }
                    index += 1;
                }
            }
        }
    }
    assert!(unreachable > 0 && constant > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_pattern_without_the_note_matches_the_same_in_full_and_in_search(
        start in select(&["^", ".*", ".+?", "^(", "(^", "(?:^a|^", r"\A", "a|^", "(^)?", "[^", "a"][..]),
        body in "[ab.*|?)(]{0,4}",
        end in select(&["$", ".*", ".{1,}", ")$", "$)", "$|.*$", r"\z", "$|b", r"\$", "[$]", "$?"][..]),
        texts in prop::collection::vec("[ab]{0,5}", 1..8),
    ) {
        let pattern = format!("{start}{body}{end}");
        let flags = property("regex match", &Value::from([pattern.as_str()]).to_string());
        let flags = read_flags(flags.as_bytes()).expect("a list of flags");
        let noted = [Code::UnanchoredPattern, Code::InvalidPattern];
        if lint(&flags, &Options::default()).iter().any(|finding| noted.contains(&finding.code)) {
            return Ok(());
        }
        let mut search = Options::default();
        search.regex_matching = RegexMatching::Search;
        let full = Plan::compile(&flags, &Options::default());
        let search = Plan::compile(&flags, &search);
        for text in texts {
            let user = User::new().with_user_property("p", text.as_str());
            prop_assert_eq!(full.evaluate(&user), search.evaluate(&user), "{:?} and {:?}", pattern, text);
        }
    }

    #[test]
    fn anything_that_can_be_read_can_be_linted(
        pairs in prop::collection::vec((any::<i64>(), any::<i64>()), 0..6),
        slots in (any::<i64>(), any::<i64>()),
        pattern in "\\PC{0,12}",
        value in "\\PC{0,12}",
        operator in select(&Operator::KNOWN[..]),
        keys in prop::collection::vec(select(&["context", "user", "result", "f", "key", "", "groups"][..]), 0..4),
    ) {
        let list: Vec<String> = pairs
            .iter()
            .map(|(start, end)| format!(r#"{{"variant": "on", "range": [{start}, {end}]}}"#))
            .collect();
        let allocation = format!(r#"{{"range": [{}, {}], "distributions": [{}]}}"#, slots.0, slots.1, list.join(","));
        let (keys, values) = (Value::from(keys), Value::from([pattern, value]));
        let flags = segment(&format!(
            r#""bucket": {{"selector": {keys}, "salt": "", "allocations": [{allocation}, {allocation}]}},
                "conditions": [[{{"selector": {keys}, "op": "{operator}", "values": {values}}}], []]"#
        ));
        let flags = read_flags(flags.as_bytes()).expect("a list of flags");
        prop_assert!(!lint(&flags, &Options::default()).is_empty());
    }
}
