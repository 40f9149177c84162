//! The bodies of the fuzz targets: each takes any bytes and panics where a law is broken.
//!
//! `scripts/fuzz` runs them under libFuzzer. `cargo test --manifest-path fuzz/Cargo.toml --test
//! replay` runs them on the committed corpora and on everything that ever failed, on any toolchain.

mod client;

use experiment_evaluation::{Options, Plan, RegexMatching, evaluate_partially, lint};
use experiment_model::{
    Condition, Flag, FlagSet, Operator, Segment, Selector, Text, User, Value, Variant, Variants,
    read_flags,
};

pub use crate::client::{cohort, flags, spool, sse, variants};

/// A fuzz target: it panics where a law is broken.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("compile", compile),
    ("evaluate", evaluate),
    ("version", version),
    ("pattern", pattern),
    ("sse", sse),
    ("cohort", cohort),
    ("flags", flags),
    ("variants", variants),
    ("spool", spool),
];

/// The operators that compare: less, less or equal, greater, greater or equal.
const ORDERS: [[Operator; 4]; 2] = [
    [
        Operator::VersionLess,
        Operator::VersionLessOrEqual,
        Operator::VersionGreater,
        Operator::VersionGreaterOrEqual,
    ],
    [
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ],
];

/// Flags as JSON: they are read, compiled and linted. Reading them one by one finds the same, and
/// so does reading what is written of them.
pub fn compile(data: &[u8]) {
    let options = Options::default();
    let flags = match (read_flags(data), Plan::from_json(data, &options)) {
        (Ok(flags), Ok(plan)) => {
            let compiled = Plan::compile(&flags, &options);
            assert_eq!(plan.diagnostics(), compiled.diagnostics());
            assert!(plan.diagnostics().len() >= flags.malformed.len());
            flags
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            return;
        }
        (read, plan) => panic!("read {read:?}, compiled {plan:?}"),
    };
    for finding in lint(&flags, &options) {
        assert!(!finding.to_string().is_empty() && !finding.message.is_empty());
    }
    let written = serde_json::to_vec(&flags).expect("JSON");
    let again = read_flags(&written).expect("flags");
    assert_eq!(again, FlagSet::from(flags.flags));
}

/// Flags and, behind the first line end, a context: explanations agree with evaluation, and a user
/// with the context made of it.
pub fn evaluate(data: &[u8]) {
    let Some((flags, context)) = lines(data) else {
        return;
    };
    let Ok(flags) = read_flags(flags) else {
        return;
    };
    let plan = Plan::compile(&flags, &Options::default());
    if let Ok(context) = serde_json::from_slice::<Value>(context) {
        let evaluation = plan.evaluate(&context);
        assert!(evaluation.len() <= plan.len());
        for flag in plan.flags() {
            let explanation = flag.explain(&context);
            assert_eq!(explanation.variant(), flag.variant(&context));
            assert!(!explanation.to_string().is_empty());
            serde_json::to_string(&explanation).expect("JSON");
        }
        let settled = evaluate_partially(&flags.flags, &context, &Options::default());
        assert_eq!(settled.len(), flags.flags.len());
    }
    if let Ok(user) = serde_json::from_slice::<User>(context) {
        let context = user.to_context();
        assert_eq!(plan.evaluate(&user), plan.evaluate(&context));
        for flag in plan.flags() {
            assert_eq!(flag.variant(&user), flag.variant(&context));
        }
    }
}

/// A property and, behind the first line end, a value, compared as versions and as numbers: the
/// comparisons are those of one total order.
pub fn version(data: &[u8]) {
    let Some((property, value)) = texts(data) else {
        return;
    };
    // Of a list any element may satisfy a condition, so that several comparisons may hold.
    if property.starts_with('[') || value.starts_with('[') {
        return;
    }
    for family in ORDERS {
        let holds = |operator: &Operator| compares(property, operator, value, RegexMatching::Full);
        let [less, less_or_equal, greater, greater_or_equal] = family.each_ref().map(holds);
        assert_ne!(less, greater_or_equal);
        assert_ne!(greater, less_or_equal);
        assert!(!(less && greater));
        let mirrored = compares(value, &family[2], property, RegexMatching::Full);
        assert_eq!(less, mirrored);
    }
}

/// A pattern and, behind the first line end, a text: a negated condition is the opposite, and what
/// matches as a whole is found by a search.
pub fn pattern(data: &[u8]) {
    let Some((pattern, text)) = texts(data) else {
        return;
    };
    if text.starts_with('[') {
        return;
    }
    let [full, search] = [RegexMatching::Full, RegexMatching::Search].map(|matching| {
        let matches = compares(text, &Operator::RegexMatch, pattern, matching);
        let differs = compares(text, &Operator::RegexDoesNotMatch, pattern, matching);
        assert_ne!(matches, differs);
        matches
    });
    // Patterns that may need backtracking can run out of steps in one of the two.
    let backtracks = ["\\", "(?", "++", "*+", "?+", "}+"];
    if backtracks.iter().all(|it| !pattern.contains(it)) {
        assert!(search || !full, "{pattern:?} on {text:?}");
    }
}

/// What stands in front of the first line end and behind it.
fn lines(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|&byte| byte == b'\n')?;
    Some((&data[..end], &data[end + 1..]))
}

fn texts(data: &[u8]) -> Option<(&str, &str)> {
    let (first, second) = lines(data)?;
    Some((str::from_utf8(first).ok()?, str::from_utf8(second).ok()?))
}

/// Whether a property satisfies a condition with one value.
fn compares(property: &str, operator: &Operator, value: &str, matching: RegexMatching) -> bool {
    let condition = Condition {
        selector: Selector::from_iter(["context", "user", "user_properties", "p"]),
        operator: operator.clone(),
        values: vec![Text::new(value)],
    };
    let segment = Segment {
        conditions: Some(vec![vec![condition]]),
        variant: Some(Text::new("on")),
        ..Segment::default()
    };
    let flag = Flag {
        key: Text::new("f"),
        variants: Variants::from_iter([("on", Variant::new("on"))]),
        segments: vec![segment],
        ..Flag::default()
    };
    let mut options = Options::default();
    options.regex_matching = matching;
    let plan = Plan::compile(&FlagSet::from(vec![flag]), &options);
    let user = User::new().with_user_property("p", property);
    plan.variant(&user, "f").is_some()
}
