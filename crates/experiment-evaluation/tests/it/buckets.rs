//! The shares of a bucket are those of its ranges.

use experiment_evaluation::{Options, Plan};
use experiment_model::{
    Allocation, Bucket, Distribution, Flag, FlagSet, Segment, Selector, Text, User, Variant,
    Variants,
};

const USERS: u32 = 20_000;

/// Points that distributions divide.
const POINTS: f64 = 42_949_673.0;

/// The chi-square value that a fair split exceeds once in a thousand times, by degrees of freedom.
/// Users and salts are fixed, so that a split is fair or not once and for all.
const CRITICAL: [f64; 11] = [
    0.0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88, 29.59,
];

/// A share of the slots, divided by parts of the points. Users whom none takes get `rest`.
struct Split {
    name: &'static str,
    slots: (i64, i64),
    /// Where each distribution ends, in hundredths of the points; they start where the one before
    /// ends.
    ends: &'static [i64],
}

const SPLITS: &[Split] = &[
    Split {
        name: "halves",
        slots: (0, 100),
        ends: &[50, 100],
    },
    Split {
        name: "thirds",
        slots: (0, 100),
        ends: &[33, 66, 100],
    },
    Split {
        name: "one in a hundred",
        slots: (0, 1),
        ends: &[100],
    },
    Split {
        name: "ninety-nine in a hundred",
        slots: (0, 99),
        ends: &[100],
    },
    Split {
        name: "the upper half, uneven",
        slots: (50, 100),
        ends: &[90, 100],
    },
    Split {
        name: "tenths",
        slots: (0, 100),
        ends: &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
    },
    Split {
        name: "a fifth in the middle",
        slots: (40, 60),
        ends: &[1, 50, 100],
    },
    Split {
        name: "with a gap",
        slots: (10, 90),
        ends: &[25, 75],
    },
];

#[allow(clippy::cast_possible_truncation, reason = "points are 32 bits wide")]
fn point(hundredth: i64) -> i64 {
    (f64::from(hundredth as i32) / 100.0 * POINTS).round() as i64
}

fn plan(split: &Split, salt: &str) -> Plan {
    let mut start = 0;
    let distributions = split.ends.iter().enumerate().map(|(at, &end)| {
        let range = vec![point(start), point(end)];
        start = end;
        let variant = Text::from(at.to_string());
        Distribution { variant, range }
    });
    let bucket = Bucket {
        selector: Selector::from_iter(["context", "user", "user_id"]),
        salt: Text::new(salt),
        allocations: vec![Allocation {
            range: vec![split.slots.0, split.slots.1],
            distributions: distributions.collect(),
        }],
    };
    let keys = (0..split.ends.len()).map(|at| at.to_string());
    let keys = keys.chain(["rest".to_owned()]);
    let flag = Flag {
        key: Text::new("f"),
        variants: keys
            .map(|key| (key.clone(), Variant::new(key)))
            .collect::<Variants>(),
        segments: vec![Segment {
            bucket: Some(bucket),
            variant: Some(Text::new("rest")),
            ..Segment::default()
        }],
        ..Flag::default()
    };
    let plan = Plan::compile(&FlagSet::from(vec![flag]), &Options::default());
    assert_eq!(plan.diagnostics(), []);
    plan
}

/// Shares that the ranges promise, the rest last.
fn expected(split: &Split) -> Vec<f64> {
    #[allow(clippy::cast_precision_loss, reason = "at most 100")]
    let part = |from: i64, to: i64| (to - from) as f64 / 100.0;
    let slots = part(split.slots.0, split.slots.1);
    let mut start = 0;
    let mut shares: Vec<f64> = split
        .ends
        .iter()
        .map(|&end| {
            let share = slots * part(start, end);
            start = end;
            share
        })
        .collect();
    shares.push(1.0 - shares.iter().sum::<f64>());
    shares
}

#[test]
fn shares_of_users_match_the_ranges() {
    for split in SPLITS {
        for salt in ["", "salt", "a1b2c3d4"] {
            let plan = plan(split, salt);
            let flag = plan.flag("f").expect("the flag");
            let mut observed = vec![0_u32; split.ends.len() + 1];
            for at in 0..USERS {
                let user = User::new().with_user_id(format!("user-{at}"));
                let variant = flag.variant(&user).and_then(|it| it.key.as_deref());
                let key = variant.expect("a variant");
                let place = key.parse().unwrap_or(split.ends.len());
                observed[place] += 1;
            }
            let mut chi_square = 0.0;
            let mut kinds = 0_usize;
            for (share, &count) in expected(split).into_iter().zip(&observed) {
                let promised = share * f64::from(USERS);
                if promised < 0.5 {
                    assert_eq!(count, 0, "{}: {observed:?}", split.name);
                    continue;
                }
                kinds += 1;
                chi_square += (f64::from(count) - promised).powi(2) / promised;
            }
            let critical = CRITICAL[kinds - 1];
            assert!(
                chi_square < critical,
                "{}, salt {salt:?}: {chi_square} {observed:?}",
                split.name
            );
        }
    }
}

#[test]
fn salts_split_users_independently() {
    let halves = &SPLITS[0];
    let plans = ["one", "other"].map(|salt| plan(halves, salt));
    let mut observed = [0_u32; 4];
    for at in 0..USERS {
        let user = User::new().with_user_id(format!("user-{at}"));
        let [a, b] = plans.each_ref().map(|plan| {
            let variant = plan.variant(&user, "f").expect("a variant");
            usize::from(variant.is("1"))
        });
        observed[2 * a + b] += 1;
    }
    let promised = f64::from(USERS) / 4.0;
    let terms = observed
        .iter()
        .map(|&count| (f64::from(count) - promised).powi(2) / promised);
    let chi_square: f64 = terms.sum();
    assert!(chi_square < CRITICAL[3], "{chi_square} {observed:?}");
}

#[test]
fn a_wider_range_keeps_the_users_it_had() {
    let users: Vec<User> = (0..2_000)
        .map(|at| User::new().with_user_id(format!("user-{at}")))
        .collect();
    let mut had = vec![false; users.len()];
    for end in [0, 1, 10, 50, 99, 100] {
        let split = Split {
            name: "rollout",
            slots: (0, end),
            ends: &[100],
        };
        let plan = plan(&split, "rollout");
        for (user, had) in users.iter().zip(&mut had) {
            let takes = plan
                .variant(user, "f")
                .is_some_and(|variant| variant.is("0"));
            assert!(takes || !*had, "{end}");
            *had = takes;
        }
    }
    assert!(had.iter().all(|had| *had));
}
