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
//! What evaluation and loading allocate.
//!
//! `cargo bench -p experiment-evaluation --bench allocations` prints the table. Counts are the same
//! on every run. Behind `--`: `--check` compares them with `benches/allocations.json` and fails if one
//! is more than 3 % above it, `--write` writes them there.

mod baseline;
#[allow(dead_code, reason = "the targets are for the other benchmark")]
mod workload;

use std::{env, hint::black_box, process::ExitCode};

use allocation_counter::measure;
use baseline::{Counts, finish, mode};
use workload::{WORKLOADS, flags, pass, plan};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(mode) = mode(&arguments) else {
        return ExitCode::from(2);
    };
    let mut counts = Counts::new();
    println!("{:<40} {:>12}", "workload", "allocations");
    for workload in WORKLOADS {
        let mut pass = pass(workload.name);
        // The first pass lets buffers grow.
        (pass.run)();
        let allocations = measure(|| (pass.run)()).count_total as f64 / pass.operations as f64;
        println!("{:<40} {allocations:>12.2}", workload.about);
        counts.insert(workload.name.to_owned(), allocations);
    }
    for name in ["w4", "w5"] {
        let json = flags(name);
        let info = measure(|| {
            let plan = plan(&json);
            black_box(&plan);
            std::mem::forget(plan);
        });
        let live = info.bytes_current as f64 / json.len() as f64;
        let peak = info.bytes_max as f64 / json.len() as f64;
        println!(
            "T7 heap per JSON byte of {name}: live {live:.3}, at the peak {peak:.3} beside the JSON"
        );
        counts.insert(format!("{name} live"), (live * 1000.0).round() / 1000.0);
        counts.insert(format!("{name} peak"), (peak * 1000.0).round() / 1000.0);
    }
    finish("allocations", &counts, mode)
}
