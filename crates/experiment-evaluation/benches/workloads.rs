#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a program for developers, which may stop"
)]
//! What evaluation and loading cost: instructions, allocations and time per operation.
//!
//! `cargo bench -p experiment-evaluation` prints the table. Instructions are counted by callgrind
//! (valgrind must be installed) and allocations by the allocator; both are the same on every run,
//! times are not. Behind `--`:
//!
//! - `--check` compares the counts with `benches/baseline.json` and fails if one is more than 3 %
//!   above it, or above its target;
//! - `--write` writes them there;
//! - `--throughput` prints whole calls per second on `benches/data/bench_sets.jsonl` as JSON;
//! - `--run NAME PASSES` only runs a workload, for callgrind.
//!
//! An instruction count is (instructions of 20 passes - of 10 passes) / (10 x operations per pass):
//! with 64 users per pass, built before, and `black_box` around what goes in and comes out.

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use allocation_counter::measure;
use experiment_evaluation::{Evaluation, Node, Options, Plan, UserView};
use experiment_model::{User, UserField, Value};
use serde_json::json;

/// Counts may rise this much above the baseline before the check fails.
const ALLOWANCE: f64 = 1.03;

/// A workload, and the most it may cost per operation.
struct Workload {
    name: &'static str,
    about: &'static str,
    /// Instructions per operation, or per JSON byte where the operation is a load.
    target: f64,
    per: Per,
}

#[derive(Clone, Copy, PartialEq)]
enum Per {
    Operation,
    Byte,
}

const WORKLOADS: &[Workload] = &[
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

fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/data")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn flags(name: &str) -> Vec<u8> {
    data(&format!("{name}.flags.json"))
}

fn plan(json: &[u8]) -> Plan {
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
struct Pass {
    operations: usize,
    bytes: usize,
    run: Box<dyn FnMut()>,
}

/// Plans live until the program ends, so that operations can borrow from them.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn pass(name: &str) -> Pass {
    let users = leak(users());
    let per_user = |mut operation: Box<dyn FnMut(&'static User)>| Pass {
        operations: users.len(),
        bytes: 1,
        run: Box::new(move || users.iter().for_each(|user| operation(user))),
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
            black_box(plan(black_box(&json)));
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

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--run", name, passes] => {
            let passes: usize = passes.parse().expect("a number of passes");
            let mut pass = pass(name);
            for _ in 0..passes {
                (pass.run)();
            }
            ExitCode::SUCCESS
        }
        ["--throughput"] => {
            println!("{}", throughput());
            ExitCode::SUCCESS
        }
        [] => table(None),
        ["--check"] => table(Some(Mode::Check)),
        ["--write"] => table(Some(Mode::Write)),
        other => {
            eprintln!("unknown arguments {other:?}");
            ExitCode::from(2)
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Check,
    Write,
}

/// Counts by name, as they are kept in `baseline.json`.
type Counts = BTreeMap<String, f64>;

fn table(mode: Option<Mode>) -> ExitCode {
    let baseline_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.json");
    let baseline: Counts = fs::read(&baseline_path)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    let mut counts = Counts::new();
    let mut failures = Vec::new();

    println!(
        "{:<40} {:>12} {:>12} {:>12} {:>10}",
        "workload", "instructions", "target", "allocations", "time"
    );
    for workload in WORKLOADS {
        let Some(instructions) = instructions(workload) else {
            eprintln!("valgrind is not installed or failed: no instruction counts");
            return ExitCode::FAILURE;
        };
        let mut once = pass(workload.name);
        (once.run)();
        let allocations = measure(|| (once.run)()).count_total as f64 / once.operations as f64;
        let time = time(&mut once);
        println!(
            "{:<40} {instructions:>12.1} {:>12} {allocations:>12.1} {:>10}",
            workload.about,
            if workload.target.is_finite() {
                workload.target.to_string()
            } else {
                "-".to_owned()
            },
            format!("{time:.1?}"),
        );
        if instructions > workload.target {
            failures.push(format!(
                "{}: {instructions:.1} instructions, the target is {}",
                workload.about, workload.target
            ));
        }
        counts.insert(
            format!("{} instructions", workload.name),
            (instructions * 10.0).round() / 10.0,
        );
        counts.insert(format!("{} allocations", workload.name), allocations);
    }
    for (name, most_live) in [("w4", 1.0), ("w5", 1.0)] {
        let json = flags(name);
        let (mut live, mut peak) = (0.0, 0.0);
        let info = measure(|| {
            let plan = plan(&json);
            black_box(&plan);
            std::mem::forget(plan);
        });
        live += info.bytes_current as f64 / json.len() as f64;
        peak += info.bytes_max as f64 / json.len() as f64;
        println!(
            "T7 heap of {name} per JSON byte: live {live:.2} (target {most_live}), peak beside the JSON {peak:.2}"
        );
        if live > most_live {
            failures.push(format!(
                "{name}: live heap {live:.2} x the JSON, the target is {most_live}"
            ));
        }
        counts.insert(
            format!("{name} live heap"),
            (live * 1000.0).round() / 1000.0,
        );
        counts.insert(
            format!("{name} peak heap"),
            (peak * 1000.0).round() / 1000.0,
        );
    }

    match mode {
        Some(Mode::Write) => {
            let json = serde_json::to_string_pretty(&counts).expect("JSON");
            fs::write(&baseline_path, json + "\n").expect("the baseline can be written");
        }
        Some(Mode::Check) => {
            for (name, &count) in &counts {
                match baseline.get(name) {
                    Some(&known) if count <= known * ALLOWANCE => {}
                    Some(&known) => {
                        failures.push(format!("{name}: {count}, the baseline is {known}"))
                    }
                    None => failures.push(format!("{name}: not in the baseline")),
                }
            }
        }
        None => {}
    }
    for failure in &failures {
        println!("above: {failure}");
    }
    if failures.is_empty() || mode != Some(Mode::Check) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Instructions per operation (or byte) by callgrind; `None` without valgrind.
fn instructions(workload: &Workload) -> Option<f64> {
    let (many, few) = (collected(workload.name, 20)?, collected(workload.name, 10)?);
    let pass = pass(workload.name);
    let units = if workload.per == Per::Byte {
        pass.bytes
    } else {
        pass.operations
    };
    Some((many - few) as f64 / (10 * units) as f64)
}

fn collected(name: &str, passes: usize) -> Option<u64> {
    let program: PathBuf = env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", name, &passes.to_string()])
        .env("RUST_BACKTRACE", "0")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// The shortest time per operation among some rounds.
fn time(pass: &mut Pass) -> Duration {
    (0..20)
        .map(|_| {
            let start = Instant::now();
            (pass.run)();
            start.elapsed() / u32::try_from(pass.operations).expect("few operations")
        })
        .min()
        .expect("there are rounds")
}

/// Whole calls (all flags of the set for one context) per second on one core, as
/// `{"1-flags": calls, …}`.
fn throughput() -> String {
    let text = String::from_utf8(data("bench_sets.jsonl")).expect("the data are UTF-8");
    let mut rates = serde_json::Map::new();
    for line in text.lines() {
        let set: serde_json::Value = serde_json::from_str(line).expect("each line is a set");
        let plan = plan(set["flags"].to_string().as_bytes());
        let contexts: Vec<Value> = set["contexts"]
            .as_array()
            .expect("contexts are a list")
            .iter()
            .map(|context| Value::from(context.clone()))
            .collect();
        let mut evaluation = Evaluation::new(&plan);
        let mut best = 0.0_f64;
        for _ in 0..5 {
            let (start, mut calls) = (Instant::now(), 0_u32);
            while start.elapsed() < Duration::from_millis(200) {
                for context in &contexts {
                    plan.evaluate_into(black_box(context), &mut evaluation);
                    black_box(&evaluation);
                    calls += 1;
                }
            }
            best = best.max(f64::from(calls) / start.elapsed().as_secs_f64());
        }
        let name = set["name"].as_str().expect("a set has a name").to_owned();
        rates.insert(name, json!(best.round()));
    }
    serde_json::Value::from(rates).to_string()
}
