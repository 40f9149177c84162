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
//! What evaluation and loading cost: instructions and time per operation.
//!
//! `cargo bench -p experiment-evaluation --bench workloads` prints the table. Instructions are
//! counted by callgrind (valgrind must be installed) and are the same on every run; times are not.
//! Behind `--`:
//!
//! - `--check` compares the counts with `benches/instructions.json` and fails if one is more than 3 %
//!   above it;
//! - `--write` writes them there;
//! - `--throughput` prints whole calls per second on `benches/data/bench_sets.jsonl` as JSON;
//! - `--run NAME PASSES` only runs a workload, for callgrind.
//!
//! A count is (instructions of 20 passes - of 10 passes) / (10 x operations per pass): with 64 users
//! per pass, built before, and `black_box` around what goes in and comes out. Allocations are
//! counted by the benchmark `allocations`, because the allocator that counts has a cost of its own.

mod baseline;
mod workload;

use std::{
    env,
    hint::black_box,
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use baseline::{Counts, Mode, finish, mode};
use experiment_evaluation::Evaluation;
use experiment_model::{User, Value};
use serde_json::json;
use workload::{Pass, Per, WORKLOADS, Workload, data, pass, plan};

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
        other => match mode(other) {
            Some(mode) => table(mode),
            None => ExitCode::from(2),
        },
    }
}

fn table(mode: Mode) -> ExitCode {
    let mut counts = Counts::new();
    println!(
        "{:<40} {:>12} {:>12} {:>10}",
        "workload", "instructions", "target", "time"
    );
    for workload in WORKLOADS {
        let Some(instructions) = instructions(workload) else {
            eprintln!("valgrind is not installed or failed: no instruction counts");
            return ExitCode::FAILURE;
        };
        let target = if workload.target.is_finite() {
            workload.target.to_string()
        } else {
            "-".to_owned()
        };
        let time = format!("{:.1?}", time(&mut pass(workload.name)));
        println!(
            "{:<40} {instructions:>12.1} {target:>12} {time:>10}",
            workload.about
        );
        counts.insert(
            workload.name.to_owned(),
            (instructions * 10.0).round() / 10.0,
        );
    }
    finish("instructions", &counts, mode)
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

/// What this thread has spent on a processor, where Linux tells; a busy machine counts for less.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// Whole calls (all flags of the set for one context) per second on one core, as
/// `{"1-flags": calls, …}`.
fn throughput() -> String {
    let text = String::from_utf8(data("bench_sets.jsonl")).expect("the data are UTF-8");
    let mut rates = serde_json::Map::new();
    for line in text.lines() {
        let set: serde_json::Value = serde_json::from_str(line).expect("each line is a set");
        let plan = plan(set["flags"].to_string().as_bytes());
        // The contexts hold users only; a Rust program has them as such.
        let users: Vec<User> = set["contexts"]
            .as_array()
            .expect("contexts are a list")
            .iter()
            .map(|context| {
                let user: User = serde_json::from_value(context["user"].clone()).expect("a user");
                let same = plan.evaluate(&user) == plan.evaluate(&Value::from(context.clone()));
                assert!(same, "a user gets what its context gets");
                user
            })
            .collect();
        let mut evaluation = Evaluation::new(&plan);
        let mut best = 0.0_f64;
        // Short rounds, so that some of them are not disturbed.
        for _ in 0..50 {
            let (start, mut calls) = (Instant::now(), 0_u32);
            let cpu_start = cpu_seconds();
            while start.elapsed() < Duration::from_millis(20) {
                for user in &users {
                    plan.evaluate_into(black_box(user), &mut evaluation);
                    black_box(&evaluation);
                    calls += 1;
                }
            }
            let spent = match (cpu_start, cpu_seconds()) {
                (Some(start), Some(end)) => end - start,
                _ => start.elapsed().as_secs_f64(),
            };
            best = best.max(f64::from(calls) / spent);
        }
        let name = set["name"].as_str().expect("a set has a name").to_owned();
        rates.insert(name, json!(best.round()));
    }
    serde_json::Value::from(rates).to_string()
}
