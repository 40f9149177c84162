//! Hostile flags and users: what they can cost is bounded, shown as sizes and counts, not as time.

use std::thread;

use allocation_counter::measure;
use experiment_evaluation::{Code, Explanation, KeysOptions, Limits, Options, Plan, Reason, lint};
use experiment_model::{FlagSet, Object, Operator, User, Value, read_flags};

const MEGABYTE: usize = 1 << 20;

/// Stack for flags that depend on each other, however many; a debug build needs 48 KiB.
const STACK_FOR_FLAGS: usize = 128 << 10;

/// Stack for JSON that is nested as deep as it may be; a debug build needs 384 KiB.
const STACK_FOR_NESTING: usize = 512 << 10;

/// Stack for patterns that are nested as deep as they may be; a debug build needs most of it, and
/// threads have twice as much if nothing is said.
const STACK_FOR_PATTERNS: usize = 1 << 20;

/// Runs in a thread that has little stack: recursion without a bound would end the process.
fn with_stack(size: usize, run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(size).spawn(run);
    thread.expect("a thread").join().expect("no panic");
}

fn plan(json: &str) -> Plan {
    Plan::from_json(json.as_bytes(), &Options::default()).expect("a list of flags")
}

fn codes(plan: &Plan) -> Vec<Code> {
    plan.diagnostics()
        .iter()
        .map(|finding| finding.code)
        .collect()
}

/// A flag `f` that gives `on` where the property `p` satisfies a condition.
fn flag(operator: &str, values: &[&str]) -> String {
    let values = Value::from(values.to_vec());
    format!(
        r#"[{{"key": "f", "variants": {{"on": {{"key": "on"}}}}, "segments": [{{"variant": "on", "conditions":
            [[{{"selector": ["context", "user", "user_properties", "p"], "op": "{operator}", "values": {values}}}]]}}]}}]"#
    )
}

/// A flag `f` that splits users by the property `p`: `on` is half of them, `off` the others, and
/// `none` those that have none.
fn split() -> String {
    let half = 21_474_837;
    format!(
        r#"[{{"key": "f", "variants": {{"on": {{"key": "on"}}, "off": {{"key": "off"}}, "none": {{"key": "none"}}}},
            "segments": [{{"variant": "none", "bucket": {{"selector": ["context", "user", "user_properties", "p"], "salt": "s",
                "allocations": [{{"range": [0, 100], "distributions": [{{"variant": "on", "range": [0, {half}]}},
                    {{"variant": "off", "range": [{half}, 42949673]}}]}}]}}}}]}}]"#
    )
}

fn user(property: impl Into<Value>) -> User {
    User::new().with_user_property("p", property)
}

fn matches(plan: &Plan, user: &User) -> bool {
    plan.variant(user, "f").is_some()
}

/// Flags `0`, `1`, … that each depend on the one before, and give `on`; `first` are the
/// dependencies of the first.
fn chain(length: usize, first: &str) -> FlagSet {
    let flags: Vec<String> = (0..length)
        .map(|at| {
            let before = at.checked_sub(1).map_or(first.to_owned(), |before| format!("\"{before}\""));
            format!(
                r#"{{"key": "{at}", "variants": {{"on": {{"key": "on"}}}}, "segments": [{{"variant": "on"}}], "dependencies": [{before}]}}"#
            )
        })
        .collect();
    read_flags(format!("[{}]", flags.join(",")).as_bytes()).expect("flags")
}

/// Lists in lists.
fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::from("deep"), |inner, _| Value::from(vec![inner]))
}

#[test]
fn an_ambiguous_pattern_reads_a_megabyte_once() {
    let plan = plan(&flag("regex match", &["^(a+)+$"]));
    let all = "a".repeat(MEGABYTE - 1);
    let (matching, other) = (user(all.as_str()), user(format!("{all}b")));
    assert!(matches(&plan, &matching));
    assert!(!matches(&plan, &other));
    // A backtracking engine would need memory, or time, exponential in the text. What is allocated
    // here, a cache of the pattern, does not even grow with it.
    let few = measure(|| assert!(!matches(&plan, &user("aaaaaaaaaaaaaaab"))));
    let many = measure(|| assert!(!matches(&plan, &other)));
    assert!(
        many.bytes_max <= few.bytes_max + 64 * 1024,
        "{many:?} {few:?}"
    );
}

#[test]
fn nested_repetition_is_refused_by_its_size() {
    for pattern in [
        "((a{99}){99}){99}",
        "((a{1,100}){1,100}){1,100}",
        "(((((a{9}){9}){9}){9}){9}){9}",
        "(|a){2147483647}",
        "(a|b|c){100000}",
        ".{9999}",
        "(.*){9999}",
        "[^a]{20000}",
        r"(?i)(straße){9999}",
        r"\w{20000}",
    ] {
        let json = flag("regex match", &[pattern]);
        // It is refused before anything of its size is built.
        let cost =
            measure(|| assert_eq!(codes(&plan(&json)), [Code::PatternTooLarge], "{pattern}"));
        assert!(cost.bytes_max < 8 * MEGABYTE as u64, "{pattern}: {cost:?}");
    }
    for pattern in [
        "(".repeat(MEGABYTE),
        "[".repeat(MEGABYTE),
        format!("{}a{}", "(".repeat(65), ")".repeat(65)),
    ] {
        let plan = plan(&flag("regex match", &[&pattern]));
        let refused = [[Code::UnsupportedPattern], [Code::PatternTooLarge]];
        assert!(
            refused.iter().any(|code| codes(&plan) == code),
            "{}",
            pattern.len()
        );
    }
    let long = plan(&flag("regex match", &[&"a".repeat(MEGABYTE)]));
    assert_eq!(codes(&long), [Code::PatternTooLarge]);
}

#[test]
fn patterns_need_no_stack_for_their_nesting() {
    with_stack(STACK_FOR_PATTERNS, || {
        let nested = format!("{}a{}", "(".repeat(64), ")*".repeat(64));
        for pattern in [
            nested.as_str(),
            "[a-z&&[^b&&[c[d[e]]]]]+",
            "^(a+)+$",
            "(a|b|(c|d)*)*",
        ] {
            let plan = plan(&flag("regex match", &[pattern]));
            assert!(plan.diagnostics().len() <= 1);
            matches(&plan, &user("aaaa"));
        }
    });
}

#[test]
fn a_chain_of_twelve_thousand_flags_ends_at_the_limit() {
    with_stack(STACK_FOR_FLAGS, || {
        let flags = chain(12_000, "");
        let plan = Plan::compile(&flags, &Options::default());
        let user = User::new();
        // A flag may have as many dependencies behind one another as the limit says.
        let within = Limits::DEPENDENCY_DEPTH + 1;
        assert_eq!(codes(&plan), vec![Code::DependencyDepth; 12_000 - within]);
        assert_eq!(plan.evaluate(&user).len(), within);
        for (at, given) in [
            (0, true),
            (within - 1, true),
            (within, false),
            (11_999, false),
        ] {
            let key = at.to_string();
            assert_eq!(plan.variant(&user, &key).is_some(), given, "{key}");
            let reason = plan.explain(&user, &key).map(|it| it.reason());
            let expected = if given {
                Reason::Match
            } else {
                Reason::DependencyDepth
            };
            assert_eq!(reason, Some(expected), "{key}");
        }
        let last = (within - 1).to_string();
        let options = KeysOptions::new().with_dependencies();
        assert_eq!(plan.evaluate_keys(&user, [last], options).len(), within);
        assert!(lint(&flags, &Options::default()).len() >= plan.diagnostics().len());
    });
}

#[test]
fn a_circle_of_ten_thousand_flags_gives_no_variant_and_changes_no_other_flag() {
    with_stack(STACK_FOR_FLAGS, || {
        let mut flags = chain(10_000, "\"9999\"");
        let mut other = flags.flags[0].clone();
        other.key = "other".into();
        other.dependencies = None;
        let mut behind = other.clone();
        behind.key = "behind".into();
        behind.dependencies = Some(vec!["5000".into()]);
        flags.flags.extend([other, behind]);
        let plan = Plan::compile(&flags, &Options::default());
        let user = User::new();
        let mut expected = vec![Code::DependencyCycle; 10_000];
        expected.push(Code::DependsOnCycle);
        assert_eq!(codes(&plan), expected);
        // What is said about so many flags stays small.
        let text: usize = plan.diagnostics().iter().map(|it| it.message.len()).sum();
        assert!(text < 10_000 * 100, "{text}");
        let evaluation = plan.evaluate(&user);
        assert_eq!(
            evaluation.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            ["other"]
        );
        let reasons =
            ["0", "9999", "behind"].map(|key| plan.explain(&user, key).map(|it| it.reason()));
        let cycle = Some(Reason::DependencyCycle);
        assert_eq!(reasons, [cycle, cycle, Some(Reason::DependsOnCycle)]);
        assert!(lint(&flags, &Options::default()).len() >= plan.diagnostics().len());
    });
}

#[test]
fn flags_that_depend_on_all_before_them_are_evaluated_once_each() {
    // A walk that forgot which flags it had been to would take 2^300 steps.
    let flags: Vec<String> = (0..300)
        .map(|at| {
            let before: Vec<String> = (0..at).map(|before| format!("\"{before}\"")).collect();
            format!(
                r#"{{"key": "{at}", "variants": {{"on": {{"key": "on"}}}}, "segments": [{{"variant": "on"}}], "dependencies": [{}]}}"#,
                before.join(",")
            )
        })
        .collect();
    let plan = plan(&format!("[{}]", flags.join(",")));
    let options = KeysOptions::new().with_dependencies();
    assert_eq!(
        plan.evaluate_keys(&User::new(), ["299"], options).len(),
        300
    );
    assert!(plan.variant(&User::new(), "299").is_some());
}

#[test]
fn a_megabyte_of_text_is_compared_by_every_operator_with_memory_in_proportion() {
    let texts = [
        "a".repeat(MEGABYTE),
        "1".repeat(MEGABYTE),
        format!("1.2.3-{}", "a".repeat(MEGABYTE - 7)),
        format!("{}.2.3", "9".repeat(MEGABYTE - 5)),
        "é".repeat(MEGABYTE / 2),
        "[".repeat(MEGABYTE),
        format!("[\"{}\"]", "a".repeat(MEGABYTE - 4)),
    ];
    for operator in Operator::KNOWN {
        // As a property, and as a value.
        let short = plan(&flag(operator.as_str(), &["a", "1", "1.2.3"]));
        for text in &texts {
            let user = user(text.as_str());
            let cost = measure(|| {
                matches(&short, &user);
            });
            assert!(
                cost.bytes_max <= 3 * MEGABYTE as u64,
                "{operator}: {cost:?}"
            );
        }
        let text = texts[0].as_str();
        let long = plan(&flag(operator.as_str(), &[text]));
        let holds = [
            Operator::Is,
            Operator::Contains,
            Operator::LessOrEqual,
            Operator::GreaterOrEqual,
            Operator::VersionLessOrEqual,
            Operator::VersionGreaterOrEqual,
            // The value is larger than a pattern may be.
            Operator::RegexDoesNotMatch,
        ];
        assert_eq!(
            matches(&long, &user(text)),
            holds.contains(&operator),
            "{operator}"
        );
    }
    // A list of half a million numbers becomes as many values.
    let list = user(format!("[{}1]", "1,".repeat(MEGABYTE / 2 - 2)));
    for operator in [Operator::SetContains, Operator::Is] {
        let plan = plan(&flag(operator.as_str(), &["1"]));
        let cost = measure(|| assert!(matches(&plan, &list)));
        assert!(
            cost.bytes_max <= 24 * MEGABYTE as u64,
            "{operator}: {cost:?}"
        );
    }
    let plan = plan(&split());
    assert_ne!(
        plan.variant(&user(texts[0].as_str()), "f")
            .and_then(|it| it.key.as_deref()),
        Some("none")
    );
}

#[test]
fn text_that_looks_like_a_list_of_ten_thousand_levels_is_text() {
    with_stack(STACK_FOR_NESTING, || {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for operator in Operator::KNOWN {
            let plan = plan(&flag(operator.as_str(), &["[", "a"]));
            let user = user(deep.as_str());
            assert_eq!(
                plan.variant(&user, "f"),
                plan.explain(&user, "f").and_then(|it| it.variant())
            );
        }
        assert!(matches(
            &plan(&flag("contains", &["[["])),
            &user(deep.as_str())
        ));
        assert!(!matches(
            &plan(&flag("set contains any", &["a"])),
            &user(deep.as_str())
        ));
    });
}

#[test]
fn metadata_of_ten_thousand_levels_is_malformed_and_unknown_fields_are_skipped() {
    with_stack(STACK_FOR_NESTING, || {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            let flag = |field: &str| {
                format!(
                    r#"[{{"key": "f", "variants": {{"on": {{"key": "on"}}}}, "segments": [{{"variant": "on"}}], "{field}": {{"d": {deep}}}}}]"#
                )
            };
            let (known, unknown) = (plan(&flag("metadata")), plan(&flag("other")));
            assert_eq!(codes(&known), [Code::MalformedFlag]);
            assert_eq!(known.diagnostics()[0].flag.as_deref(), Some("f"));
            assert!(known.is_empty());
            assert_eq!(codes(&unknown), []);
            assert!(matches(&unknown, &User::new()));
            // As a context, and as a user.
            assert!(serde_json::from_str::<Value>(&deep).is_err());
            assert!(serde_json::from_str::<User>(&format!(r#"{{"x": {deep}}}"#)).is_err());
        }
    });
}

#[test]
fn a_property_of_a_thousand_levels_has_no_text() {
    with_stack(STACK_FOR_NESTING, || {
        let deep = nested(1_000);
        let context = user(deep.clone()).to_context();
        for operator in Operator::KNOWN {
            let plan = plan(&flag(operator.as_str(), &["deep"]));
            let explanation = plan.explain(&context, "f").expect("the flag");
            assert_eq!(explanation.variant(), plan.variant(&context, "f"));
            assert!(!explanation.to_string().is_empty());
            serde_json::to_string(&explanation).expect("JSON");
        }
        let plan = plan(&split());
        let variant = plan.variant(&context, "f").and_then(|it| it.key.as_deref());
        assert_eq!(variant, Some("none"));
    });
}

#[test]
fn a_condition_may_have_a_million_values_and_not_one_more() {
    let values = |count: usize| {
        let mut json = String::with_capacity(count * 10);
        for at in 0..count {
            json.push_str(if at == 0 { "\"" } else { ",\"" });
            json.push_str(&at.to_string());
            json.push('"');
        }
        flag("is", &[]).replace(r#""values": []"#, &format!(r#""values": [{json}]"#))
    };
    let at_limit = plan(&values(Limits::VALUES));
    assert_eq!(codes(&at_limit), []);
    assert!(matches(&at_limit, &user("999999")));
    assert!(!matches(&at_limit, &user("1000000")));
    let beyond = plan(&values(Limits::VALUES + 1));
    assert_eq!(codes(&beyond), [Code::TooManyValues]);
    assert!(!matches(&beyond, &user("999999")));
    let reason = beyond.explain(&user("0"), "f").map(|it| it.reason());
    assert_eq!(reason, Some(Reason::TooManyValues));
}

/// Limits of which one is changed.
fn limited(change: impl FnOnce(&mut Limits)) -> Options {
    let mut options = Options::default();
    change(&mut options.limits);
    options
}

fn limited_plan(json: &str, change: impl FnOnce(&mut Limits)) -> Plan {
    Plan::from_json(json.as_bytes(), &limited(change)).expect("a list of flags")
}

#[test]
fn the_limit_of_pattern_size_is_in_bytes_of_the_compiled_pattern() {
    let json = flag("regex match", &["(foo|bar)+[a-z]{20}"]);
    let accepted =
        |size: usize| codes(&limited_plan(&json, |it| it.pattern_size = size)).is_empty();
    // The smallest size that is accepted, by halving: one byte less is refused.
    let (mut refused, mut enough) = (0, Limits::PATTERN_SIZE);
    assert!(accepted(enough) && !accepted(refused));
    while enough - refused > 1 {
        let middle = usize::midpoint(refused, enough);
        if accepted(middle) {
            enough = middle;
        } else {
            refused = middle;
        }
    }
    let plan = limited_plan(&json, |it| it.pattern_size = refused);
    assert_eq!(codes(&plan), [Code::PatternTooLarge]);
    assert!((500..20_000).contains(&enough), "{enough}");
}

#[cfg(feature = "lookaround")]
#[test]
fn the_limit_of_pattern_steps_ends_a_search_that_backtracks() {
    let json = flag("regex match", &[r"(a|aa)+\1(?!b)$"]);
    let text = user("a".repeat(18));
    let found = |steps: usize| {
        let plan = limited_plan(&json, |it| it.pattern_steps = steps);
        assert_eq!(codes(&plan), []);
        matches(&plan, &text)
    };
    let (mut few, mut enough) = (1, Limits::PATTERN_STEPS);
    assert!(found(enough) && !found(few));
    while enough - few > 1 {
        let middle = usize::midpoint(few, enough);
        if found(middle) {
            enough = middle;
        } else {
            few = middle;
        }
    }
    assert!((2..1_000).contains(&enough), "{enough}");
    // A pattern that is exponential gives up, and the text counts as not matching.
    let exponential = plan(&flag("regex match", &[r"(a|a|aa)+\1b"]));
    assert!(!matches(&exponential, &user("a".repeat(10_000))));
}

#[test]
fn the_limit_of_text_length_is_in_bytes_of_what_is_searched() {
    const LENGTH: usize = 12;
    let cases: [(&str, &str, &str, &str); 4] = [
        ("contains", "a", "aaaaaaaaaaaa", "aaaaaaaaaaaaa"),
        ("contains", "é", "éééééé", "ééééééa"),
        ("regex match", "a*", "aaaaaaaaaaaa", "aaaaaaaaaaaaa"),
        (
            "set contains any",
            "a",
            r#"["a","bbbb"]"#,
            r#"["a","bbbbb"]"#,
        ),
    ];
    for (operator, value, at_limit, beyond) in cases {
        assert!(at_limit.len() == LENGTH && beyond.len() == LENGTH + 1);
        let json = flag(operator, &[value]);
        let limited = limited_plan(&json, |it| it.text_length = LENGTH);
        assert!(matches(&limited, &user(at_limit)), "{operator} {at_limit}");
        assert!(!matches(&limited, &user(beyond)), "{operator} {beyond}");
        assert!(matches(&plan(&json), &user(beyond)), "{operator} {beyond}");
    }
    // Negated operators hold of what is not searched, and equality is not bound.
    for operator in ["does not contain", "regex does not match", "is"] {
        let text = "a".repeat(LENGTH + 1);
        let plan = limited_plan(&flag(operator, &[&text]), |it| it.text_length = LENGTH);
        assert!(matches(&plan, &user(text)), "{operator}");
    }
    // The default is a megabyte.
    let plan = plan(&flag("contains", &["a"]));
    assert!(matches(&plan, &user("a".repeat(Limits::TEXT_LENGTH))));
    assert!(!matches(&plan, &user("a".repeat(Limits::TEXT_LENGTH + 1))));
}

#[test]
fn the_limit_of_nesting_counts_lists_and_objects_inside_each_other() {
    let variant = |plan: &Plan, value: Value| {
        plan.variant(&user(value), "f")
            .and_then(|it| it.key.as_deref())
            .map(str::to_owned)
    };
    for (limit, plan) in [
        (Limits::NESTING, plan(&split())),
        (3, limited_plan(&split(), |it| it.nesting = 3)),
        (0, limited_plan(&split(), |it| it.nesting = 0)),
    ] {
        // Hashed at the limit, absent beyond it.
        assert_ne!(
            variant(&plan, nested(limit)).as_deref(),
            Some("none"),
            "{limit}"
        );
        assert_eq!(
            variant(&plan, nested(limit + 1)).as_deref(),
            Some("none"),
            "{limit}"
        );
    }
    // Compared: an object of two levels.
    let object = |levels: usize| {
        (0..levels).fold(Value::from(1), |inner, _| {
            Value::Object(Object::from_iter([("a", inner)]))
        })
    };
    let json = flag("is", &[r#"{"a":{"a":1}}"#]);
    assert!(matches(
        &limited_plan(&json, |it| it.nesting = 2),
        &user(object(2))
    ));
    assert!(!matches(
        &limited_plan(&json, |it| it.nesting = 1),
        &user(object(2))
    ));
    let json = flag("is", &["(none)"]);
    assert!(!matches(
        &limited_plan(&json, |it| it.nesting = 2),
        &user(object(2))
    ));
    assert!(matches(
        &limited_plan(&json, |it| it.nesting = 1),
        &user(object(2))
    ));
    // In a list, of which the list itself is a level.
    let json = flag("set contains any", &["[1]"]);
    let list = || Value::from(vec![Value::from(vec![1])]);
    assert!(matches(
        &limited_plan(&json, |it| it.nesting = 2),
        &user(list())
    ));
    assert!(!matches(
        &limited_plan(&json, |it| it.nesting = 1),
        &user(list())
    ));
}

#[test]
fn the_limit_of_dependency_depth_counts_dependencies_behind_one_another() {
    for limit in [0, 1, 5] {
        let plan = Plan::compile(
            &chain(limit + 2, ""),
            &limited(|it| it.dependency_depth = limit),
        );
        assert_eq!(codes(&plan), [Code::DependencyDepth]);
        let user = User::new();
        let reason = |at: usize| {
            plan.explain(&user, &at.to_string())
                .as_ref()
                .map(Explanation::reason)
        };
        assert_eq!(reason(limit), Some(Reason::Match));
        assert_eq!(reason(limit + 1), Some(Reason::DependencyDepth));
    }
}

#[test]
fn the_limit_of_values_counts_them_as_they_stand() {
    let (two, three) = (flag("is", &["a", "b"]), flag("is", &["a", "b", "b"]));
    let at_limit = limited_plan(&two, |it| it.values = 2);
    assert!(codes(&at_limit).is_empty() && matches(&at_limit, &user("a")));
    let beyond = limited_plan(&three, |it| it.values = 2);
    assert_eq!(codes(&beyond), [Code::TooManyValues]);
    assert!(!matches(&beyond, &user("a")));
}

#[test]
fn patterns_of_a_plan_take_no_more_together_than_the_limit() {
    let patterns: Vec<String> = (0..300).map(|n| format!("[a-y]{{1000}}{n}")).collect();
    let values: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let json = flag("regex match", &values);
    let text = |n: usize| user(format!("{}{n}", "a".repeat(1_000)));
    // Each takes some 44 kB by the estimate.
    let plan = limited_plan(&json, |it| it.patterns_size = 1 << 20);
    let refused = codes(&plan);
    assert!((250..300).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|code| *code == Code::PatternTooLarge));
    assert!(matches(&plan, &text(0)) && !matches(&plan, &text(299)));
    let plan = limited_plan(&json, |_| {});
    assert_eq!(codes(&plan), []);
    assert!(matches(&plan, &text(299)));
    // One pattern in many places counts once.
    let same = flag("regex match", &["[a-y]{1000}"; 300]);
    assert_eq!(
        codes(&limited_plan(&same, |it| it.patterns_size = 100_000)),
        []
    );
}
