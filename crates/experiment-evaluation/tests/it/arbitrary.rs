//! Any flags and any users: realistic ones, and what a hostile or broken service could send.

use experiment_model::{
    Allocation, Bucket, Condition, Distribution, Flag, FlagSet, Object, Operator, Segment,
    Selector, Text, User, Value, Variant, Variants,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

/// Texts in which some operator, or the reading of numbers, versions and lists, sees more than text.
pub(crate) const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "B",
    "ab",
    "true",
    "TRUE",
    "False",
    "(none)",
    "null",
    "0",
    "1",
    "1.0",
    "-0",
    "-0.0",
    " 5",
    "1e3",
    "1e400",
    "1_000",
    "0x1p3",
    "0x10",
    "1f",
    "NaN",
    "nan",
    "-Infinity",
    "inf",
    "9007199254740993",
    "12345678901234567890",
    "1.2",
    "1.2.3",
    "1.2.3-beta.1",
    "1.2.3-01",
    "1.2.3+build",
    "01.02.03",
    "1.0.20240115123456",
    "1.0.99999999999999999999",
    "v1.2.3",
    "1.2.3-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
    "[]",
    "[",
    "[\"a\"]",
    "[\"a\",\"b\",\"a\"]",
    "[1, true, null, 1.0]",
    "[[1],{\"a\":2}]",
    "[beta]",
    "[1e400]",
    "{\"a\":1}",
    "é",
    "e\u{301}",
    "İ",
    "ΣΑΣ",
    "σας",
    "\u{1F600}",
    "\u{FFFD}",
    "\u{0}",
    "line\nbreak",
    "\"quoted\\",
    "a text of more than twenty-three bytes",
];

/// A few of them, so that users often have what flags ask for.
const ORDINARY: &[&str] = &["a", "b", "true", "TRUE", "1", "1.2.3", "(none)", "[\"a\"]"];

/// Regular expressions: ordinary, of the dialect's corners, wrong, and hostile.
const PATTERNS: &[&str] = &[
    "",
    "a",
    "^a$",
    ".*a.*",
    "a|b",
    "(?i)TRUE",
    "[a-z&&[^b]]+",
    r"\d+(\.\d+)*",
    r"\p{L}+",
    r"\Qa.b\E",
    "(a+)+b",
    "(?=a)a",
    r"(a)\1",
    "a{1000}",
    "((a{99}){99}){99}",
    "(",
    "*",
    "[z-a]",
    r"\X",
    "(?<n>a)",
];

/// The properties, and the user's fields, that selectors of generated flags read.
const PROPERTIES: &[&str] = &["p0", "p1", "p2", "p3"];
const FIELDS: &[&str] = &["user_id", "device_id", "country", "version", "browser"];

/// Keys of generated flags; few, so that flags repeat keys and depend on each other in circles.
const KEYS: &[&str] = &["f0", "f1", "f2", "f3", "f4", "f5", "f6"];

const VARIANTS: &[&str] = &["on", "off", "other"];

pub(crate) fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        6 => select(ORDINARY).prop_map(Text::new),
        6 => select(TEXTS).prop_map(Text::new),
        1 => "[a-c0-9.\\[\\]\", -]{0,8}".prop_map(Text::from),
        1 => "\\PC{0,30}".prop_map(Text::from),
        1 => any::<f64>().prop_map(|number| Text::from(number.to_string())),
    ]
}

fn pattern() -> impl Strategy<Value = Text> {
    prop_oneof![
        3 => select(PATTERNS).prop_map(Text::new),
        1 => "[ab().*+?\\[\\]{}|^$\\\\dwQE1-9,&:!=<>-]{0,12}".prop_map(Text::from),
        1 => text(),
    ]
}

/// A value that is no list, no object and not null.
pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::Text),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => select(&[0, 1, -1, 1_234_567, i64::MAX, i64::MIN][..]).prop_map(Value::I64),
        1 => any::<i64>().prop_map(Value::I64),
        1 => select(&[0.0, -0.0, 1.0, 1e7, 1e21, 5e-324, f64::MAX][..]).prop_map(Value::F64),
        1 => prop::num::f64::NORMAL.prop_map(Value::F64),
    ]
}

/// Any JSON value.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![8 => scalar(), 1 => Just(Value::Null)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 0..4).prop_map(Value::from),
            1 => vec((text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    vec((text(), value()), 0..3).prop_map(Object::from_iter)
}

/// A list of texts, as cohorts and `set` operators have them.
fn texts() -> impl Strategy<Value = Value> {
    vec(text(), 0..4).prop_map(Value::from)
}

fn keys(keys: &[&str]) -> Selector {
    keys.iter().copied().collect()
}

fn selector() -> impl Strategy<Value = Selector> {
    let wholes: &[&[&str]] = &[
        &[],
        &["context"],
        &["context", "user"],
        &["context", "user", "user_properties"],
        &["context", "groups"],
        &["context", "groups", "g0"],
        &["result"],
        &["result", "f0"],
        &["elsewhere", "user"],
    ];
    let nested: &[&[&str]] = &[
        &["context", "user", "cohort_ids"],
        &["context", "user", "user_id", "x"],
        &["context", "user", "user_properties", "p0", "a"],
        &["context", "groups", "g0", "group_name"],
        &["context", "groups", "g0", "group_properties", "p0"],
        &["context", "groups", "g0", "cohort_ids"],
    ];
    let result = (
        select(KEYS),
        select(&["key", "value", "metadata", "payload", "x"][..]),
        option::weighted(0.3, text()),
    );
    prop_oneof![
        6 => select(PROPERTIES).prop_map(|name| keys(&["context", "user", "user_properties", name])),
        3 => select(FIELDS).prop_map(|name| keys(&["context", "user", name])),
        2 => select(nested).prop_map(keys),
        1 => select(wholes).prop_map(keys),
        2 => result.prop_map(|(flag, field, rest)| {
            let keys = [Text::new("result"), Text::new(flag), Text::new(field)];
            Selector(keys.into_iter().chain(rest).collect())
        }),
        1 => vec(text(), 0..5).prop_map(Selector),
    ]
}

fn operator() -> impl Strategy<Value = Operator> {
    prop_oneof![
        20 => select(&Operator::KNOWN[..]),
        1 => select(&["glob match", "", "IS", "is "][..]).prop_map(Operator::from),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    (selector(), operator()).prop_flat_map(|(selector, operator)| {
        let values = match operator {
            Operator::RegexMatch | Operator::RegexDoesNotMatch => vec(pattern(), 0..3).boxed(),
            // More than eight values are looked up in a table.
            _ => prop_oneof![5 => vec(text(), 0..4), 1 => vec(text(), 8..14)].boxed(),
        };
        values.prop_map(move |values| Condition {
            selector: selector.clone(),
            operator: operator.clone(),
            values,
        })
    })
}

/// A range up to `end`, or anything that can stand in its place.
fn range(end: i64) -> impl Strategy<Value = Vec<i64>> {
    let half = end / 2;
    prop_oneof![
        4 => Just(vec![0, end]),
        4 => (0..=end, 0..=end).prop_map(|(a, b)| vec![a.min(b), a.max(b)]),
        2 => select(vec![vec![0, half], vec![half, end], vec![half - 1, end]]),
        1 => vec(any::<i64>(), 0..4),
    ]
}

fn bucket() -> impl Strategy<Value = Bucket> {
    let distribution = (variant_key(), range(42_949_673))
        .prop_map(|(variant, range)| Distribution { variant, range });
    let allocation =
        (range(100), vec(distribution, 0..3)).prop_map(|(range, distributions)| Allocation {
            range,
            distributions,
        });
    let selector = prop_oneof![
        2 => Just(keys(&["context", "user", "user_id"])),
        1 => selector(),
    ];
    (selector, text(), vec(allocation, 0..3)).prop_map(|(selector, salt, allocations)| Bucket {
        selector,
        salt,
        allocations,
    })
}

fn variant_key() -> impl Strategy<Value = Text> {
    prop_oneof![8 => select(VARIANTS).prop_map(Text::new), 1 => Just(Text::new("unknown"))]
}

fn segment() -> impl Strategy<Value = Segment> {
    (
        option::weighted(0.6, vec(vec(condition(), 0..3), 0..4)),
        option::weighted(0.4, bucket()),
        option::weighted(0.8, variant_key()),
        option::weighted(0.3, object()),
    )
        .prop_map(|(conditions, bucket, variant, metadata)| Segment {
            bucket,
            conditions,
            variant,
            metadata,
        })
}

fn variants() -> impl Strategy<Value = Variants> {
    let variant = (
        option::weighted(0.9, text()),
        option::weighted(0.7, value()),
        option::weighted(0.2, value()),
        option::weighted(0.3, object()),
    )
        .prop_map(|(key, value, payload, metadata)| Variant {
            key,
            value,
            payload,
            metadata,
        });
    (subsequence(VARIANTS, 1..=VARIANTS.len()), vec(variant, 3))
        .prop_map(|(keys, variants)| keys.into_iter().zip(variants).collect())
}

fn flag() -> impl Strategy<Value = Flag> {
    let key = prop_oneof![20 => select(KEYS).prop_map(Text::new), 1 => text(), 1 => Just(Text::new("g0"))];
    (
        key,
        variants(),
        vec(segment(), 1..4),
        option::weighted(0.5, vec(select(KEYS).prop_map(Text::new), 0..3)),
        option::weighted(0.3, object()),
    )
        .prop_map(|(key, variants, segments, dependencies, metadata)| Flag {
            key,
            variants,
            segments,
            dependencies,
            metadata,
        })
}

/// Any flags: they repeat keys, depend on each other in circles and read results at random.
pub(crate) fn flags() -> impl Strategy<Value = FlagSet> {
    vec(flag(), 0..5).prop_map(FlagSet::from)
}

/// Flags as a careful team has them: no key twice, no circles, and every result that a flag reads
/// is one of its dependencies.
pub(crate) fn orderly_flags() -> impl Strategy<Value = FlagSet> {
    flags().prop_map(|mut set| {
        for (at, flag) in set.flags.iter_mut().enumerate() {
            flag.key = Text::from(format!("f{at}"));
            let key = flag.key.clone();
            let earlier = |other: &Text| *other < key;
            let dependencies = flag.dependencies.get_or_insert_default();
            dependencies.retain(|other| earlier(other));
            for segment in &mut flag.segments {
                let conditions = segment.conditions.iter_mut().flatten().flatten();
                let selectors = conditions.map(|condition| &mut condition.selector);
                let bucket = segment.bucket.as_mut().map(|bucket| &mut bucket.selector);
                for selector in selectors.chain(bucket) {
                    let Some(read) = result_of(selector) else {
                        continue;
                    };
                    if !earlier(&read) {
                        selector.0.clear();
                    } else if !dependencies.contains(&read) {
                        dependencies.push(read);
                    }
                }
            }
        }
        set
    })
}

/// The flag whose result a selector reads.
fn result_of(selector: &Selector) -> Option<Text> {
    match selector.0.as_slice() {
        [root, flag, ..] if *root == *"result" => Some(flag.clone()),
        _ => None,
    }
}

/// Every selector of a flag.
pub(crate) fn selectors(flag: &Flag) -> impl Iterator<Item = &Selector> {
    flag.segments.iter().flat_map(|segment| {
        let conditions = segment.conditions.iter().flatten().flatten();
        let bucket = segment.bucket.iter().map(|bucket| &bucket.selector);
        conditions
            .map(|condition| &condition.selector)
            .chain(bucket)
    })
}

/// Whether a flag reads an object, or something below it, that `path` leads into: whether it can
/// see what else stands in that object.
pub(crate) fn reads_whole(flag: &Flag, path: &[&str]) -> bool {
    selectors(flag).any(|selector| {
        selector.0.len() <= path.len()
            && selector.0.iter().zip(path).all(|(key, other)| key == other)
    })
}

/// A user whose fields and properties are those that generated flags read.
pub(crate) fn user() -> impl Strategy<Value = User> {
    let group = (text(), option::of(object()), option::of(texts()));
    (
        vec(option::weighted(0.7, text()), FIELDS.len()),
        option::weighted(0.9, vec(option::weighted(0.8, value()), PROPERTIES.len())),
        option::weighted(0.5, texts()),
        option::weighted(0.5, group),
    )
        .prop_map(|(fields, properties, cohorts, group)| {
            let mut user = Object::new();
            for (name, text) in FIELDS.iter().zip(fields) {
                user.extend(text.map(|text| (Text::new(name), Value::Text(text))));
            }
            if let Some(values) = properties {
                let named = PROPERTIES.iter().zip(values);
                let entries = named.filter_map(|(name, value)| Some((*name, value?)));
                user.insert("user_properties", entries.collect::<Object>());
            }
            user.extend(cohorts.map(|ids| (Text::new("cohort_ids"), ids)));
            if let Some((name, properties, cohorts)) = group {
                let of_name = |value: Value| {
                    let by_name = Object::from_iter([(name.clone(), value)]);
                    Value::Object(Object::from_iter([("g0", by_name)]))
                };
                user.insert(
                    "groups",
                    Object::from_iter([("g0", Value::from([name.clone()]))]),
                );
                let properties = properties.map(Value::Object);
                user.extend(properties.map(|it| (Text::new("group_properties"), of_name(it))));
                user.extend(cohorts.map(|it| (Text::new("group_cohort_ids"), of_name(it))));
            }
            let json = Value::Object(user).to_string();
            serde_json::from_str(&json).expect("a user")
        })
}

/// Anything that can be a context: mostly that of a user.
pub(crate) fn context() -> impl Strategy<Value = Value> {
    prop_oneof![6 => user().prop_map(|user| user.to_context()), 1 => value()]
}
