//! `evaluate` for one user.

use serde_json::{Value, json};

use crate::command::{FLAGS, ON, USER, command, file, run, run_with_input};

#[test]
fn the_table_says_what_the_example_user_gets_and_why() {
    let out = run(&["evaluate", "--flags", FLAGS, "--user-file", USER]).clean(0);
    let rows: Vec<Vec<&str>> = out
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows[0],
        ["flag", "variant", "value", "payload", "segment", "reason"]
    );
    assert_eq!(
        rows[1],
        [
            "new-navigation",
            "on",
            "on",
            "All Other Users",
            "slot 30 of 100"
        ]
    );
    assert_eq!(
        rows[2][..3],
        ["checkout-redesign", "treatment", "treatment"]
    );
    assert_eq!(rows[5][..2], ["onboarding-checklist", "treatment"]);
    assert_eq!(
        rows[6],
        [
            "trial-reminder",
            "off",
            "flag-dependencies",
            "conditions hold"
        ]
    );
    assert_eq!(rows.len(), 8);
    assert!(!out.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn the_table_fits_the_terminal_and_cuts_with_an_ellipsis() {
    for width in [60, 80, 100] {
        let output = command(&["evaluate", "--flags", FLAGS, "--user-file", USER])
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let longest = out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width, "{longest} columns of {width}\n{out}");
        assert!(out.contains('…'));
    }
}

#[test]
fn colours_can_be_forced_and_forbidden() {
    let coloured = |forbidden: bool| {
        let mut command = command(&["evaluate", "--flags", FLAGS, "--user-file", USER]);
        if forbidden {
            command.env("NO_COLOR", "1");
        } else {
            command.env("CLICOLOR_FORCE", "1");
        }
        let out = command.output().unwrap().stdout;
        String::from_utf8(out).unwrap().contains("\u{1b}[32m")
    };
    assert!(coloured(false));
    assert!(!coloured(true));
}

#[test]
fn flags_without_a_variant_are_listed_with_the_reason() {
    let flags = file(
        "reasons.flags.json",
        r#"[{"key":"empty","variants":{},"segments":[]},
        {"key":"a","variants":{},"segments":[],"dependencies":["b"]},
        {"key":"b","variants":{},"segments":[],"dependencies":["a"]},
        {"key":"after","variants":{},"segments":[],"dependencies":["a"]},
        {"key":"nobody","variants":{"on":{"key":"on"}},"segments":[{"variant":"on","conditions":[]}]},
        {"key":"no-id","variants":{"on":{"key":"on"},"off":{"key":"off"}},"segments":[{"variant":"off","bucket":{"selector":["context","user","device_id"],"salt":"s","allocations":[]}}]},
        {"key":"out","variants":{"on":{"key":"on"},"off":{"key":"off"}},"segments":[{"variant":"off","bucket":{"selector":["context","user","user_id"],"salt":"s","allocations":[]}}]},
        {"key":"broken","variants":7,"segments":[]}]"#,
    );
    let run = run(&[
        "evaluate",
        "--flags",
        &flags,
        "--user",
        r#"{"user_id":"u"}"#,
    ]);
    for (key, reason) in [
        ("empty", "no segments"),
        ("a", "dependency cycle"),
        ("b", "dependency cycle"),
        ("after", "depends on cycle"),
        ("nobody", "no segment matches"),
        ("no-id", "no device_id to split by"),
        ("out", ": not allocated"),
        ("broken", "malformed flag"),
    ] {
        let row = run
            .out
            .lines()
            .find(|line| line.starts_with(&format!("{key} ")));
        let row = row.unwrap_or_else(|| panic!("{key} is missing\n{}", run.out));
        assert!(row.contains(reason), "{key}: {row}");
    }
    assert!(
        run.err
            .lines()
            .all(|line| line.starts_with("xpmt: warning: flag `")),
        "{}",
        run.err
    );
    assert_eq!(run.code, 0);
}

#[test]
fn json_is_an_object_of_variants_by_flag_key() {
    let flags = file("json.flags.json", format!("[{ON}]"));
    let out = run(&[
        "evaluate", "--flags", &flags, "--user", "{}", "--format", "json",
    ])
    .clean(0);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json, json!({"f": {"key": "on", "value": "on"}}));
}

#[test]
fn only_the_flags_that_were_asked_for_are_evaluated() {
    let arguments = [
        "evaluate",
        "--flags",
        FLAGS,
        "--user-file",
        USER,
        "--flag",
        "trial-reminder",
    ];
    let out = run(&arguments).clean(0);
    assert_eq!(out.lines().count(), 2);
    let out = run(&[&arguments[..], &["--format", "json"]].concat()).clean(0);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        json.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["trial-reminder"]
    );
}

#[test]
fn a_hyphen_is_standard_input_everywhere() {
    let flags = file("stdin.flags.json", format!("[{ON}]"));
    let json = ["--format", "json"];
    let expected = run(&[&["evaluate", "--flags", &flags, "--user", "{}"], &json[..]].concat()).out;
    for (arguments, input) in [
        (
            ["evaluate", "--flags", "-", "--user", "{}"],
            format!("[{ON}]"),
        ),
        (
            ["evaluate", "--flags", &flags, "--user", "-"],
            "{}".to_owned(),
        ),
        (
            ["evaluate", "--flags", &flags, "--user-file", "-"],
            "{}".to_owned(),
        ),
        (
            ["evaluate", "--flags", &flags, "--context", "-"],
            "{}".to_owned(),
        ),
    ] {
        let out = run_with_input(&[&arguments, &json[..]].concat(), input).clean(0);
        assert_eq!(out, expected);
    }
}

#[test]
fn a_context_is_evaluated_as_it_stands() {
    let flags = file(
        "context.flags.json",
        r#"[{"key":"f","variants":{"on":{"key":"on"}},"segments":[{"variant":"on","conditions":[[{"selector":["context","a","b"],"op":"is","values":["1"]}]]}]}]"#,
    );
    let out = run(&[
        "evaluate",
        "--flags",
        &flags,
        "--context",
        r#"{"a":{"b":1}}"#,
        "--format",
        "json",
    ]);
    assert!(out.clean(0).contains(r#""f""#));
}

#[test]
fn regular_expressions_match_in_full_or_search() {
    let flags = file(
        "regex.flags.json",
        r#"[{"key":"f","variants":{"on":{"key":"on"}},"segments":[{"variant":"on","conditions":[[{"selector":["context","user","os"],"op":"regex match","values":["O(?=S)"]}]]}]}]"#,
    );
    let user = ["--user", r#"{"os":"iOS"}"#, "--format", "json"];
    let evaluate = ["evaluate", "--flags", &flags, "--regex"];
    assert_eq!(run(&[&evaluate[..], &["full"], &user].concat()).out, "{}\n");
    assert!(
        run(&[&evaluate[..], &["search"], &user].concat())
            .out
            .contains("on")
    );
}

#[test]
fn control_characters_of_a_configuration_do_not_reach_the_terminal() {
    let flags = file(
        "control.flags.json",
        r#"[{"key":"f\u001b[31m","variants":{"on":{"key":"on","payload":"\u0007\u009b"}},"segments":[{"variant":"on"}],"dependencies":["\u001b[2J"]}]"#,
    );
    let run = run(&["evaluate", "--flags", &flags]);
    let control = |text: &str| text.contains(|char: char| char.is_control() && char != '\n');
    assert!(
        !control(&run.out) && !control(&run.err),
        "{:?} {:?}",
        run.out,
        run.err
    );
}
