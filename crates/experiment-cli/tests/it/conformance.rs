//! `conformance`.

use std::{fs, path::Path};

use crate::command::{file, run};

/// A directory with one file of cases.
fn directory(name: &str, cases: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("subject.json"), cases).unwrap();
    directory.into_os_string().into_string().unwrap()
}

const WRONG: &str = r#"[{"name":"wrong","flags":[],"context":{},"expected":{"f":{"key":"on"}}}]"#;

#[test]
fn the_cases_of_the_project_pass_or_stand_in_its_ledger() {
    let out = run(&["conformance", "crates/experiment-conformance/cases"]).clean(0);
    let total = out.lines().last().unwrap();
    let cells: Vec<&str> = total.split_whitespace().collect();
    assert_eq!((cells[0], cells[3]), ("total", "0"));
    assert!(cells[1].parse::<usize>().unwrap() > 1_400, "{out}");
}

#[test]
fn a_case_that_fails_is_shown_and_ends_with_one() {
    let out = run(&["conformance", &directory("wrong", WRONG)]).clean(1);
    assert!(
        out.contains("subject: wrong\n  expected {\"f\":{\"key\":\"on\"}}\n  actual   {}"),
        "{out}"
    );
}

#[test]
fn a_ledger_accepts_differences_and_stale_entries_fail() {
    let entry = r#"[{"subject":"subject","case":"wrong","class":"D1","reason":"for this test only","answer":{}}]"#;
    let ledger = file("ledger.json", entry);
    let wrong = directory("accepted", WRONG);
    run(&["conformance", &wrong, "--ledger", &ledger]).clean(0);
    let right = WRONG.replace(r#"{"f":{"key":"on"}}"#, "{}");
    let out = run(&[
        "conformance",
        &directory("stale", &right),
        "--ledger",
        &ledger,
    ])
    .clean(1);
    assert!(
        out.contains("stale ledger entry: subject: wrong (D1)"),
        "{out}"
    );
}
