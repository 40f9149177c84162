//! The workloads of the benchmarks.

use std::{fs, hint::black_box, path::Path};

use experiment_evaluation::{Evaluation, Node, Options, Plan, UserView};
use experiment_model::{User, UserField};
use serde_json::json;

/// A workload, and the most it may cost per operation.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Instructions per operation, or per JSON byte where the operation is a load.
    pub(crate) target: f64,
    pub(crate) per: Per,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Per {
    Operation,
    Byte,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "w1-key",
        about: "T1 one flag by key",
        target: 560.0,
        per: Per::Operation,
    },
    Workload {
        name: "w1-handle",
        about: "T2 one flag by handle",
        target: 450.0,
        per: Per::Operation,
    },
    Workload {
        name: "w2-1000",
        about: "T3 one of 1,000 values",
        target: 616.0,
        per: Per::Operation,
    },
    Workload {
        name: "w2-100000",
        about: "T3 one of 100,000 values",
        target: 840.0,
        per: Per::Operation,
    },
    Workload {
        name: "w3",
        about: "T4 version and regex",
        target: 1_300.0,
        per: Per::Operation,
    },
    Workload {
        name: "w4",
        about: "T5 100 flags, all",
        target: 35_000.0,
        per: Per::Operation,
    },
    Workload {
        name: "w5",
        about: "T6 1,000 flags, all",
        target: 350_000.0,
        per: Per::Operation,
    },
    Workload {
        name: "load-w4",
        about: "T7 load 100 flags, per JSON byte",
        target: 45.0,
        per: Per::Byte,
    },
    Workload {
        name: "load-w5",
        about: "T7 load 1,000 flags, per JSON byte",
        target: 45.0,
        per: Per::Byte,
    },
    Workload {
        name: "view",
        about: "T8 a user of 8 attributes as a view",
        target: 120.0,
        per: Per::Operation,
    },
    Workload {
        name: "explain-w1",
        about: "T11 explain one flag",
        target: f64::INFINITY,
        per: Per::Operation,
    },
];

pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/data")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn flags(name: &str) -> Vec<u8> {
    data(&format!("{name}.flags.json"))
}

pub(crate) fn plan(json: &[u8]) -> Plan {
    let plan = Plan::from_json(json, &Options::default()).expect("the data are flags");
    assert_eq!(plan.diagnostics(), [], "the data are without findings");
    plan
}

fn users() -> Vec<User> {
    let text = String::from_utf8(data("users.ndjson")).expect("the data are UTF-8");
    let users: Vec<User> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is a user"))
        .collect();
    assert_eq!(users.len(), 64);
    users
}

/// w2 with 100,000 values in place of 1,000.
fn many_values() -> Vec<u8> {
    let mut flags: serde_json::Value = serde_json::from_slice(&flags("w2")).expect("JSON");
    let values: Vec<String> = (0..100_000).map(|n| format!("acct-{n:06}")).collect();
    flags[0]["segments"][0]["conditions"][0][0]["values"] = json!(values);
    serde_json::to_vec(&flags).expect("JSON")
}

/// The operation of a workload, once for all users, and how many operations and bytes a pass is.
pub(crate) struct Pass {
    pub(crate) operations: usize,
    pub(crate) bytes: usize,
    pub(crate) run: Box<dyn FnMut()>,
}

/// Plans live until the program ends, so that operations can borrow from them.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub(crate) fn pass(name: &str) -> Pass {
    let users = leak(users());
    let per_user = |mut operation: Box<dyn FnMut(&'static User)>| Pass {
        operations: users.len(),
        bytes: 1,
        run: Box::new(move || users.iter().for_each(&mut operation)),
    };
    let by_key = |json: &[u8]| {
        let plan = leak(plan(json));
        per_user(Box::new(move |user| {
            black_box(black_box(plan).variant(black_box(user), black_box("checkout-experiment")));
        }))
    };
    let all = |json: &[u8]| {
        let plan = leak(plan(json));
        let mut evaluation = Evaluation::new(plan);
        per_user(Box::new(move |user| {
            black_box(plan).evaluate_into(black_box(user), &mut evaluation);
            black_box(&evaluation);
        }))
    };
    let load = |json: Vec<u8>| Pass {
        operations: 1,
        bytes: json.len(),
        run: Box::new(move || {
            // Leaked: what is measured is loading, without taking the plan down.
            black_box(leak(plan(black_box(&json))));
        }),
    };
    match name {
        "w1-key" => by_key(&flags("w1")),
        "w1-handle" => {
            let plan = leak(plan(&flags("w1")));
            let flag = plan.flag("checkout-experiment").expect("the flag is there");
            per_user(Box::new(move |user| {
                black_box(black_box(flag).variant(black_box(user)));
            }))
        }
        "w2-1000" => by_key(&flags("w2")),
        "w2-100000" => by_key(&many_values()),
        "w3" => by_key(&flags("w3")),
        "w4" => all(&flags("w4")),
        "w5" => all(&flags("w5")),
        "load-w4" => load(flags("w4")),
        "load-w5" => load(flags("w5")),
        "view" => {
            let texts: &'static [[&str; 9]] = leak(vec![
                [
                    "u-1",
                    "US",
                    "pro",
                    "3.2.2",
                    "a@b.com",
                    "en_US",
                    "iPhone15,2",
                    "acct-1",
                    "true"
                ];
                64
            ]);
            Pass {
                operations: texts.len(),
                bytes: 1,
                run: Box::new(move || {
                    for text in texts {
                        let text = black_box(text);
                        let properties = [
                            ("country", Node::Text(text[1])),
                            ("plan", Node::Text(text[2])),
                            ("app_version", Node::Text(text[3])),
                            ("email", Node::Text(text[4])),
                            ("locale", Node::Text(text[5])),
                            ("device", Node::Text(text[6])),
                            ("account", Node::Text(text[7])),
                            ("beta", Node::Text(text[8])),
                        ];
                        let fields = [(UserField::UserId, text[0])];
                        let view = UserView {
                            fields: &fields,
                            user_properties: &properties,
                            ..UserView::default()
                        };
                        black_box(&view);
                    }
                }),
            }
        }
        "explain-w1" => {
            let plan = leak(plan(&flags("w1")));
            per_user(Box::new(move |user| {
                black_box(black_box(plan).explain(black_box(user), "checkout-experiment"));
            }))
        }
        _ => panic!("no workload `{name}`"),
    }
}
