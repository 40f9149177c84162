//! `check`.

use serde_json::Value;

use crate::command::{FLAGS, ON, file, run};

const BAD: &str = r#"[
    {"key":"cycle","variants":{},"segments":[],"dependencies":["cycle"]},
    {"key":"odd","variants":{"on":{"key":"on"}},"segments":[{"variant":"onn"},{"conditions":[[{"selector":["context","user","os"],"op":"regex match","values":["("]}]]}],"dependencies":["gone"]},
    {"key":"broken","variants":7,"segments":[]}
]"#;

#[test]
fn good_flags_have_no_findings() {
    let flags = file("good.flags.json", format!("[{ON}]"));
    assert_eq!(
        run(&["check", "--flags", &flags]).clean(0),
        "1 flag: 0 errors, 0 warnings, 0 notes\n"
    );
}

#[test]
fn the_example_flags_have_no_findings() {
    let out = run(&["check", "--flags", FLAGS, "--strict"]).clean(0);
    assert_eq!(out, "7 flags: 0 errors, 0 warnings, 0 notes\n");
}

#[test]
fn findings_stand_by_flag_with_path_and_advice_and_errors_end_with_one() {
    let out = run(&["check", "--flags", &file("bad.check.json", BAD)]).clean(1);
    let headings: Vec<&str> = out
        .lines()
        .filter(|line| line.starts_with("flag `"))
        .collect();
    assert_eq!(headings, ["flag `cycle`", "flag `odd`", "flag `broken`"]);
    for text in [
        "  error [malformed-flag] variants",
        "  error [dependency-cycle] dependencies",
        "  error [invalid-pattern] segments[1].conditions[0][0].values[0]",
        "  warning [missing-dependency] dependencies[0]",
        "  warning [unknown-variant] segments[0].variant",
        "    → add the variant or correct the key; its users go to the next segment",
    ] {
        assert!(out.contains(text), "{text}\n{out}");
    }
    let summary = out.lines().last().unwrap();
    assert!(
        summary.starts_with("3 flags: 3 errors, 2 warnings, "),
        "{summary}"
    );
}

#[test]
fn warnings_count_only_when_strict() {
    let flags = r#"[{"key":"f","variants":{},"segments":[],"dependencies":["gone"]}]"#;
    let flags = file("strict.check.json", flags);
    run(&["check", "--flags", &flags]).clean(0);
    run(&["check", "--flags", &flags, "--strict"]).clean(1);
}

#[test]
fn json_is_an_array_of_findings() {
    let out = run(&[
        "check",
        "--flags",
        &file("bad.json.json", BAD),
        "--format",
        "json",
    ])
    .clean(1);
    let findings: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert!(findings.len() >= 5);
    for finding in findings {
        let fields: Vec<&str> = finding
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            fields,
            ["advice", "code", "flag", "message", "path", "severity"]
        );
    }
}
