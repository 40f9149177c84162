//! `evaluate --users`.

use std::{fmt::Write as _, fs, io::Read, process::Stdio};

use serde_json::Value;

use crate::command::{FLAGS, ON, USERS, command, file, run, run_with_input, workspace};

#[test]
fn each_user_gives_one_line_with_ids_and_results() {
    let out = run(&["evaluate", "--flags", FLAGS, "--users", USERS]).clean(0);
    let users = fs::read_to_string(workspace().join(USERS)).unwrap();
    assert_eq!(out.lines().count(), 20);
    for (line, user) in out.lines().zip(users.lines()) {
        let (line, user): (Value, Value) = (
            serde_json::from_str(line).unwrap(),
            serde_json::from_str(user).unwrap(),
        );
        for id in ["user_id", "device_id"] {
            assert_eq!(line.get(id), user.get(id));
        }
        let one = run(&[
            "evaluate",
            "--flags",
            FLAGS,
            "--user",
            &user.to_string(),
            "--format",
            "json",
        ]);
        let one: Value = serde_json::from_str(&one.clean(0)).unwrap();
        assert_eq!(line["results"], one);
    }
}

#[test]
fn a_user_of_any_shape_gets_what_its_context_gets() {
    // Whole objects compared and hashed as text show every difference between two readers.
    let flags = r#"[{"key":"all","variants":{"on":{"key":"on"}},"segments":[{"bucket":{"selector":["context","user"],"salt":"s","allocations":[{"range":[0,50],"distributions":[{"variant":"on","range":[0,42949673]}]}]}}]},
        {"key":"properties","variants":{"on":{"key":"on"}},"segments":[{"bucket":{"selector":["context","user","user_properties"],"salt":"s","allocations":[{"range":[0,50],"distributions":[{"variant":"on","range":[0,42949673]}]}]}}]},
        {"key":"present","variants":{"on":{"key":"on"}},"segments":[{"variant":"on","conditions":[[{"selector":["context","user","user_properties"],"op":"is not","values":["(none)"]}]]}]}]"#;
    let shapes = [
        r#""user_properties":{}"#,
        r#""user_properties":null"#,
        r#""user_properties":{"a":N,"b":-0,"c":1.0,"d":true,"e":null,"f":"x"}"#,
        r#""user_properties":{"a":N,"a":[N]}"#,
        r#""user_properties":{"a":{"b":N}},"os":"\u0061"#,
        r#""os":"x","device_id":"N","user_id":"N"#,
        r#""version":N"#,
        r#""cohort_ids":["N"],"groups":{"org":"N"}"#,
        r#""browser":"N","city":null"#,
        r#""user_id":N,"user_id":7"#,
    ];
    let (mut users, mut cases) = (String::new(), String::new());
    for n in 0..400 {
        let mut shape = shapes[n % shapes.len()].replace('N', &n.to_string());
        if shape.matches('"').count() % 2 == 1 {
            shape.push('"');
        }
        writeln!(users, "{{{shape}}}").unwrap();
        writeln!(
            cases,
            r#"{{"flags":{},"user":{{{shape}}}}}"#,
            flags.replace('\n', "")
        )
        .unwrap();
    }
    let flags = file("shapes.flags.json", flags);
    let users = run_with_input(&["evaluate", "--flags", &flags, "--users", "-"], users).clean(0);
    let cases = run_with_input(&["evaluate", "--cases", "-"], cases).clean(0);
    assert_eq!(users.lines().count(), 400);
    for (user, case) in users.lines().zip(cases.lines()) {
        let (user, case): (Value, Value) = (
            serde_json::from_str(user).unwrap(),
            serde_json::from_str(case).unwrap(),
        );
        assert_eq!(user["results"], case["results"]);
    }
}

#[test]
fn ids_are_written_where_they_are_set_and_as_text() {
    let flags = file("ids.flags.json", format!("[{ON}]"));
    let users = "{}\n{\"device_id\":\"d\\\"\\u00e9\"}\n{\"user_id\":7,\"x\":1}\n";
    let out = run_with_input(&["evaluate", "--flags", &flags, "--users", "-"], users).clean(0);
    let results = r#""results":{"f":{"key":"on","value":"on"}}}"#;
    let expected = [
        format!("{{{results}"),
        format!(r#"{{"device_id":"d\"é",{results}"#),
        format!(r#"{{"user_id":"7",{results}"#),
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_bad_line_stands_in_its_place_and_the_code_is_one() {
    let flags = file("bad.flags.json", format!("[{ON}]"));
    let users = b"{\"user_id\":\"a\"}\n\n{\"user_id\":[\"secret\"]}\r\nsecret\n{\"a\":\"\xff\"}\n\"secret\"\n{\"user_id\":\"b\"}";
    let run = run_with_input(&["evaluate", "--flags", &flags, "--users", "-"], users);
    let expected = [
        r#"{"user_id":"a","results":{"f":{"key":"on","value":"on"}}}"#,
        r#"{"line":3,"error":{"kind":"shape","message":"user field `user_id`: expected text or a number, found a list"}}"#,
        r#"{"line":4,"error":{"kind":"json","message":"expected value at column 1"}}"#,
        r#"{"line":5,"error":{"kind":"json","message":"invalid UTF-8 at column 7"}}"#,
        r#"{"line":6,"error":{"kind":"shape","message":"expected a user, found text"}}"#,
        r#"{"user_id":"b","results":{"f":{"key":"on","value":"on"}}}"#,
    ];
    assert_eq!(run.clean(1).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn only_the_flags_that_were_asked_for_are_in_the_results() {
    let out = run(&[
        "evaluate",
        "--flags",
        FLAGS,
        "--users",
        USERS,
        "--flag",
        "onboarding-checklist",
        "--flag",
        "new-navigation",
    ]);
    let all = run(&["evaluate", "--flags", FLAGS, "--users", USERS]).clean(0);
    for (line, all) in out.clean(0).lines().zip(all.lines()) {
        let (line, all): (Value, Value) = (
            serde_json::from_str(line).unwrap(),
            serde_json::from_str(all).unwrap(),
        );
        let results = line["results"].as_object().unwrap();
        assert_eq!(results.len(), 2);
        for (key, variant) in results {
            assert_eq!(*variant, all["results"][key]);
        }
    }
}

#[test]
fn the_order_is_kept_over_many_pieces() {
    let flags = file("order.flags.json", format!("[{ON}]"));
    let mut users = String::new();
    for n in 0..60_000 {
        // Lines of very different cost, so that pieces are not ready in order by chance.
        let filler = "x".repeat(if n % 1000 < 500 { 1 } else { 200 });
        writeln!(
            users,
            r#"{{"user_id":"{n}","user_properties":{{"a":"{filler}"}}}}"#
        )
        .unwrap();
    }
    let users = file("order.ndjson", users);
    let out = run(&["evaluate", "--flags", &flags, "--users", &users]).clean(0);
    let mut lines = out.lines();
    for n in 0..60_000 {
        let line = lines.next().expect("there is a line per user");
        assert!(
            line.starts_with(&format!(r#"{{"user_id":"{n}","#)),
            "{n}: {line}"
        );
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let flags = file("pipe.flags.json", format!("[{ON}]"));
    let users = file("pipe.ndjson", "{\"user_id\":\"u\"}\n".repeat(200_000));
    let mut child = command(&["evaluate", "--flags", &flags, "--users", &users])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_is_wrong_with_the_flags_goes_to_standard_error() {
    let flags = file(
        "warn.flags.json",
        format!(r#"[{ON},7,{{"key":"g","variants":{{}},"segments":[],"dependencies":["x"]}}]"#),
    );
    let run = run_with_input(&["evaluate", "--flags", &flags, "--users", "-"], "{}");
    assert_eq!(run.code, 0);
    assert_eq!(run.out.lines().count(), 1);
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);
    assert!(
        run.err
            .lines()
            .all(|line| line.starts_with("xpmt: warning: flag")),
        "{}",
        run.err
    );
}
