//! `explain`.

use serde_json::Value;

use crate::command::{FLAGS, USER, command, run};

const EXPLAIN: [&str; 7] = [
    "explain",
    "--flags",
    FLAGS,
    "--user-file",
    USER,
    "--flag",
    "checkout-redesign",
];

#[test]
fn the_trace_names_segments_conditions_and_the_bucket() {
    let out = run(&EXPLAIN).clean(0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "flag `checkout-redesign`: variant `treatment`");
    assert_eq!(
        lines[1],
        r#"  segment 0 "Beta testers": does not target the user"#
    );
    assert_eq!(
        lines[2],
        r#"    context.user.cohort_ids set contains any ["c-beta-testers"]: no, it is ["c-power-users"]"#
    );
    assert!(
        lines[6]
            .starts_with(r#"    bucket by context.user.user_id: murmur3("s9KfR2mZ/user-0041") = "#),
        "{out}"
    );
    assert_eq!(lines.len(), 7);
}

#[test]
fn what_holds_is_green_and_what_does_not_is_red() {
    let output = command(&EXPLAIN)
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[2].starts_with("\u{1b}[31m"), "{:?}", lines[2]);
    assert!(lines[4].starts_with("\u{1b}[32m"), "{:?}", lines[4]);
}

#[test]
fn json_is_the_explanation_for_programs() {
    let out = run(&[&EXPLAIN[..], &["--format", "json"]].concat()).clean(0);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["flag"], "checkout-redesign");
    assert_eq!(json["reason"], "match");
    assert_eq!(json["segments"][0]["outcome"], "not-targeted");
    assert_eq!(json["segments"][1]["bucket"]["input"], "s9KfR2mZ/user-0041");
}

#[test]
fn a_user_or_a_context_is_taken_too() {
    for (option, text) in [
        ("--user", r#"{"user_id":"u"}"#),
        ("--context", r#"{"user":{"user_id":"u"}}"#),
    ] {
        let out = run(&[
            "explain",
            "--flags",
            FLAGS,
            option,
            text,
            "--flag",
            "new-navigation",
        ]);
        assert!(out.clean(0).contains("murmur3(\"b4Xw8pTq/u\")"));
    }
}
