//! Every kind of mistake, with its line and exit code 2.

use crate::command::{FLAGS, ON, file, run, run_with_input};

#[track_caller]
fn assert_complaint(arguments: &[&str], line: &str) {
    assert_eq!(run(arguments).complaint(), line);
}

#[test]
fn files_that_cannot_be_read() {
    for command in ["evaluate", "check"] {
        assert_complaint(
            &[command, "--flags", "no/such.json"],
            "xpmt: cannot read `no/such.json`: No such file or directory (os error 2)",
        );
    }
    assert_complaint(
        &["evaluate", "--flags", FLAGS, "--users", "no/such.ndjson"],
        "xpmt: cannot read `no/such.ndjson`: No such file or directory (os error 2)",
    );
    assert_complaint(
        &["evaluate", "--cases", "crates"],
        "xpmt: cannot read `crates`: Is a directory (os error 21)",
    );
    assert_complaint(
        &["evaluate", "--flags", FLAGS, "--user-file", "crates"],
        "xpmt: cannot read `crates`: Is a directory (os error 21)",
    );
    assert_complaint(
        &["conformance", "no/such"],
        "xpmt: cannot read `no/such`: No such file or directory (os error 2)",
    );
}

#[test]
fn flags_that_are_none() {
    let broken = file("broken.json", "[\n  {\"key\": }]");
    assert_complaint(
        &["check", "--flags", &broken],
        &format!("xpmt: `{broken}`: not JSON: expected value at line 2 column 11"),
    );
    let shape = file("shape.json", "7");
    let complaint = run(&["check", "--flags", &shape]).complaint();
    assert!(
        complaint.starts_with(&format!("xpmt: `{shape}`: expected an array of flags, ")),
        "{complaint}"
    );
    let complaint = run_with_input(&["check", "--flags", "-"], "\"x").complaint();
    assert!(
        complaint.starts_with("xpmt: standard input: "),
        "{complaint}"
    );
}

#[test]
fn users_that_are_none() {
    assert_complaint(
        &[
            "evaluate",
            "--flags",
            FLAGS,
            "--user",
            "{\n \"user_id\": secret}",
        ],
        "xpmt: --user line 2 column 13: expected value",
    );
    assert_complaint(
        &["evaluate", "--flags", FLAGS, "--user", r#""secret""#],
        "xpmt: --user line 1 column 1: expected a user, found text",
    );
    assert_complaint(
        &[
            "evaluate",
            "--flags",
            FLAGS,
            "--user",
            r#"{"groups":"secret"}"#,
        ],
        "xpmt: --user line 1 column 19: user field `groups`: expected an object, found text",
    );
    assert_complaint(
        &[
            "explain",
            "--flags",
            FLAGS,
            "--context",
            "[]",
            "--flag",
            "new-navigation",
        ],
        "xpmt: --context line 1 column 1: expected a context, found a list",
    );
    let user = file("user.json", "{\n\"os\": 1e400\n}");
    assert_complaint(
        &["evaluate", "--flags", FLAGS, "--user-file", &user],
        &format!("xpmt: `{user}` line 2 column 11: user field `os`: number out of range"),
    );
    let users = file("users.ndjson", "{}\n\n{\"user_id\":[]}\n");
    assert_complaint(
        &[
            "simulate",
            "--flags",
            FLAGS,
            "--flag",
            "new-navigation",
            "--users",
            &users,
        ],
        &format!(
            "xpmt: `{users}` line 3 column 14: user field `user_id`: expected text or a number, found a list"
        ),
    );
}

#[test]
fn flags_that_do_not_exist() {
    let line = "xpmt: no flag `gone` in `examples/data/flags.json`, which has 7 flags";
    for arguments in [
        &["evaluate", "--flags", FLAGS, "--flag", "gone"][..],
        &[
            "evaluate",
            "--flags",
            FLAGS,
            "--flag",
            "gone",
            "--users",
            "examples/data/users.ndjson",
        ],
        &[
            "explain", "--flags", FLAGS, "--user", "{}", "--flag", "gone",
        ],
        &[
            "simulate", "--flags", FLAGS, "--flag", "gone", "--users", "10",
        ],
    ] {
        assert_complaint(arguments, line);
    }
}

#[test]
fn arguments_that_go_with_no_others() {
    let flags = file("usage.flags.json", format!("[{ON}]"));
    for (arguments, line) in [
        (
            &[][..],
            "xpmt: a command is missing; `xpmt --help` lists them",
        ),
        (
            &["evaluat"],
            "xpmt: unrecognized subcommand 'evaluat'; tip: a similar subcommand exists: 'evaluate'",
        ),
        (
            &["evaluate"],
            "xpmt: the following required arguments were not provided: --flags <FILE>",
        ),
        (
            &["check", "--flags", "a", "--format", "xml"],
            "xpmt: invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]",
        ),
        (
            &[
                "evaluate",
                "--flags",
                "a",
                "--user",
                "{}",
                "--context",
                "{}",
            ],
            "xpmt: the argument '--user <JSON>' cannot be used with '--context <JSON>'",
        ),
        (
            &["evaluate", "--flags", "a", "--cases", "b"],
            "xpmt: the argument '--flags <FILE>' cannot be used with '--cases <FILE>'",
        ),
        (
            &[
                "evaluate", "--flags", "a", "--users", "b", "--format", "table",
            ],
            "xpmt: --format table is for one user; --users and --cases always give JSON",
        ),
        (
            &["evaluate", "--flags", "-", "--user-file", "-"],
            "xpmt: standard input can be read only once, but two inputs are `-`",
        ),
        (
            &["evaluate", "--flags", "-", "--users", "-"],
            "xpmt: standard input can be read only once, but two inputs are `-`",
        ),
        (
            &["explain", "--flags", "-", "--user", "-", "--flag", "f"],
            "xpmt: standard input can be read only once, but two inputs are `-`",
        ),
        (
            &["simulate", "--flags", "-", "--users", "-", "--flag", "f"],
            "xpmt: standard input can be read only once, but two inputs are `-`",
        ),
        (
            &["simulate", "--flags", &flags, "--users", "0", "--flag", "f"],
            "xpmt: --users: at least 1 user is needed",
        ),
        (
            &[
                "simulate", "--flags", &flags, "--users", "1", "--flag", "f", "--by", "groups",
            ],
            "xpmt: --by: user field `groups`: expected an object, found text",
        ),
        (
            &[
                "simulate", "--flags", &flags, "--users", "1", "--flag", "f", "--seed", "x",
            ],
            "xpmt: invalid value 'x' for '--seed <N>': invalid digit found in string",
        ),
        (&["man", "gone"], "xpmt: no command `gone`"),
    ] {
        assert_complaint(arguments, line);
    }
    let complaint = run(&["explain", "--flags", "a", "--flag", "f"]).complaint();
    assert!(
        complaint.contains("--user <JSON>|--user-file <FILE>|--context <JSON>"),
        "{complaint}"
    );
}

#[test]
fn a_page_that_cannot_be_written() {
    assert_complaint(
        &[
            "simulate",
            "--flags",
            FLAGS,
            "--flag",
            "new-navigation",
            "--users",
            "5",
            "--html",
            "no/such.html",
        ],
        "xpmt: cannot write `no/such.html`: No such file or directory (os error 2)",
    );
}

#[test]
fn a_ledger_or_a_case_that_is_none() {
    let ledger = file("none.ledger.json", "[\n7]");
    assert_complaint(
        &[
            "conformance",
            "crates/experiment-conformance/cases",
            "--ledger",
            &ledger,
        ],
        &format!(
            "xpmt: `{ledger}` line 2 column 1: not a ledger: invalid type: integer `7`, expected struct LedgerEntry at line 2 column 1"
        ),
    );
}
