//! Counts against the committed baseline.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

/// Counts may rise this much above the baseline before a check fails.
const ALLOWANCE: f64 = 1.03;

/// Counts by workload.
pub(crate) type Counts = BTreeMap<String, f64>;

/// What to do with the counts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Print,
    Check,
    Write,
}

pub(crate) fn mode(arguments: &[&str]) -> Option<Mode> {
    match arguments {
        [] => Some(Mode::Print),
        ["--check"] => Some(Mode::Check),
        ["--write"] => Some(Mode::Write),
        other => {
            eprintln!("unknown arguments {other:?}");
            None
        }
    }
}

/// Compares or writes `benches/<name>.json`.
pub(crate) fn finish(name: &str, counts: &Counts, mode: Mode) -> ExitCode {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join(format!("{name}.json"));
    match mode {
        Mode::Print => ExitCode::SUCCESS,
        Mode::Write => {
            let json = serde_json::to_string_pretty(counts).expect("counts are JSON");
            fs::write(&path, json + "\n").expect("the baseline can be written");
            ExitCode::SUCCESS
        }
        Mode::Check => {
            let json = fs::read(&path).expect("there is a baseline");
            let baseline: Counts = serde_json::from_slice(&json).expect("the baseline are counts");
            let mut failed = false;
            for (workload, &count) in counts {
                match baseline.get(workload) {
                    Some(&known) if count <= known * ALLOWANCE => {}
                    Some(&known) => {
                        println!("{workload}: {count} {name}, the baseline is {known}");
                        failed = true;
                    }
                    None => {
                        println!("{workload}: not in the baseline");
                        failed = true;
                    }
                }
            }
            if failed {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}
