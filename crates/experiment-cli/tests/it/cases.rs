//! `evaluate --cases`: the interface of outside harnesses, sentence by sentence.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use experiment_conformance::Subject;
use experiment_model::Variants;
use serde_json::{Value, json};

use crate::command::{ON, command, file, run, run_with_input};

/// Answers lines given on standard input; there must be as many answers.
fn answers(lines: &[&str]) -> Vec<String> {
    let input = lines.join("\n");
    let out = run_with_input(&["evaluate", "--cases", "-"], input).clean(0);
    let answers: Vec<String> = out.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), lines.len(), "{out}");
    answers
}

fn answer(line: &str) -> String {
    answers(&[line]).remove(0)
}

fn error(line: &str) -> (String, String) {
    let answer: Value = serde_json::from_str(&answer(line)).unwrap();
    let error = &answer["error"];
    assert_eq!(
        answer,
        json!({"error": {"kind": error["kind"], "message": error["message"]}})
    );
    (
        error["kind"].as_str().unwrap().to_owned(),
        error["message"].as_str().unwrap().to_owned(),
    )
}

const F_ON: &str = r#"{"results":{"f":{"key":"on","value":"on"}}}"#;

#[test]
fn each_line_gives_one_line_in_order() {
    let lines: Vec<String> = (0..5_000)
        .map(|n| format!(r#"{{"flags":[{{"key":"f{n}","variants":{{"on":{{"key":"on"}}}},"segments":[{{"variant":"on"}}]}}],"context":{{}}}}"#))
        .collect();
    let answers = answers(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(
            *answer,
            format!(r#"{{"results":{{"f{n}":{{"key":"on"}}}}}}"#)
        );
    }
}

#[test]
fn unknown_fields_of_a_line_are_ignored() {
    let line = format!(
        r#"{{"name":"n","x":[1e400,{{"y":null}}],"flags":[{ON}],"context":{{}},"expected":7}}"#
    );
    assert_eq!(answer(&line), F_ON);
}

#[test]
fn a_user_may_stand_for_the_context() {
    let flag = r#"{"key":"f","variants":{"on":{"key":"on","value":"on"}},"segments":[{"variant":"on","conditions":[[{"selector":["context","groups","org","group_name"],"op":"is","values":["A"]},{"selector":["context","user","user_id"],"op":"is","values":["7"]}]]}]}"#;
    let user = format!(r#"{{"flags":[{flag}],"user":{{"user_id":7,"groups":{{"org":["A"]}}}}}}"#);
    let context = format!(
        r#"{{"flags":[{flag}],"context":{{"user":{{"user_id":"7"}},"groups":{{"org":{{"group_name":"A"}}}}}}}}"#
    );
    let null = format!(
        r#"{{"flags":[{flag}],"context":null,"user":{{"user_id":7,"groups":{{"org":["A"]}}}}}}"#
    );
    let both = format!(
        r#"{{"flags":[{flag}],"context":{{}},"user":{{"user_id":7,"groups":{{"org":["A"]}}}}}}"#
    );
    assert_eq!(
        answers(&[&user, &context, &null, &both]),
        [F_ON, F_ON, F_ON, r#"{"results":{}}"#]
    );
}

#[test]
fn results_hold_every_flag_with_a_variant_in_evaluation_order_and_default_ones_too() {
    let line = r#"{"flags":[
        {"key":"a","dependencies":["b"],"variants":{"off":{"key":"off","metadata":{"default":true}}},"segments":[{"variant":"off"}]},
        {"key":"none","variants":{},"segments":[]},
        {"key":"b","variants":{"on":{"key":"on"}},"segments":[{"variant":"on"}]}],"context":{}}"#
        .replace('\n', " ");
    assert_eq!(
        answer(&line),
        r#"{"results":{"b":{"key":"on"},"a":{"key":"off","metadata":{"default":true}}}}"#
    );
}

#[test]
fn what_is_null_or_empty_is_left_out_of_a_variant() {
    let line = r#"{"flags":[{"key":"f","metadata":{},"variants":{"on":{"key":null,"value":null,"payload":null,"metadata":{}}},"segments":[{"variant":"on"}]},
        {"key":"g","variants":{"on":{"key":"on","value":0,"payload":[],"metadata":{"x":null}}},"segments":[{"variant":"on"}]}],"context":{}}"#
        .replace('\n', " ");
    assert_eq!(
        answer(&line),
        r#"{"results":{"f":{},"g":{"key":"on","value":0,"payload":[],"metadata":{"x":null}}}}"#
    );
}

#[test]
fn flags_may_be_an_object_by_key() {
    assert_eq!(
        answer(&format!(r#"{{"flags":{{"f":{ON}}},"context":{{}}}}"#)),
        F_ON
    );
}

#[test]
fn bad_flags_are_isolated() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_flag =
        format!(r#"{{"key":"bad","variants":{{}},"segments":[],"metadata":{{"d":{deep}}}}}"#);
    for bad in [
        "7",
        "null",
        r#"{"key":"bad"}"#,
        r#"{"key":"bad","variants":{"x":{"payload":1e400}},"segments":[]}"#,
        r#"{"key":"bad","variants":{},"segments":[{"bucket":{"salt":1e400}}]}"#,
        r#"{"key":"bad","variants":{"x":{"key":"\ud800"}},"segments":[]}"#,
        &deep_flag,
    ] {
        assert_eq!(
            answer(&format!(r#"{{"flags":[{bad},{ON}],"context":{{}}}}"#)),
            F_ON
        );
        assert_eq!(
            answer(&format!(r#"{{"flags":[{ON},{bad}],"context":{{}}}}"#)),
            F_ON
        );
    }
}

#[test]
fn a_line_that_is_not_json_has_an_error_of_kind_json() {
    for line in [
        "x",
        "{",
        r#"{"flags":[],"context":{}"#,
        r#"{"flags":[],"context":{}} x"#,
        r#"{"flags":[,],"context":{}}"#,
        r#"{"flags":[],"context":{"a":}}"#,
        r#"{"flags":[],"context":{},}"#,
        r#"{"flags":[],"context":{},"other":[}"#,
    ] {
        assert_eq!(error(line).0, "json", "{line}");
    }
    assert_eq!(error(r#"{"flags":[,]}"#).1, "expected value at column 11");
}

#[test]
fn a_line_that_is_not_utf8_has_an_error_of_kind_json() {
    let mut input = format!(r#"{{"flags":[{ON}],"context":{{}}}}"#).into_bytes();
    input.extend(b"\n{\"flags\":[],\"context\":{\"a\":\"\xff\"}}\n");
    let out = run_with_input(&["evaluate", "--cases", "-"], input).clean(0);
    let expected = r#"{"error":{"kind":"json","message":"invalid UTF-8 at column 29"}}"#;
    assert_eq!(out, format!("{F_ON}\n{expected}\n"));
}

#[test]
fn a_line_without_flags_or_context_has_an_error_of_kind_shape() {
    for (line, message) in [
        (
            "7",
            "expected an object with `flags` and `context`, found a number",
        ),
        (
            "[[],{}]",
            "expected an object with `flags` and `context`, found a list",
        ),
        (
            r#""x""#,
            "expected an object with `flags` and `context`, found text",
        ),
        (
            "null",
            "expected an object with `flags` and `context`, found null",
        ),
        ("{}", "`flags` is missing"),
        (r#"{"context":{}}"#, "`flags` is missing"),
        (r#"{"flags":null,"context":{}}"#, "`flags` is missing"),
        (
            r#"{"flags":7,"context":{}}"#,
            "`flags`: expected a list of flags, found a number",
        ),
        (
            r#"{"flags":"x","context":{}}"#,
            "`flags`: expected a list of flags, found text",
        ),
        (r#"{"flags":[]}"#, "`context` is missing, and so is `user`"),
        (
            r#"{"flags":[],"context":null}"#,
            "`context` is missing, and so is `user`",
        ),
        (
            r#"{"flags":[],"context":[]}"#,
            "`context`: expected a context, found a list",
        ),
        (
            r#"{"flags":[],"context":"x"}"#,
            "`context`: expected a context, found text",
        ),
        (
            r#"{"flags":[],"user":7}"#,
            "`user`: expected a user, found a number",
        ),
        (
            r#"{"flags":[],"user":{"groups":7}}"#,
            "`user`: user field `groups`: expected an object, found a number",
        ),
    ] {
        assert_eq!(
            error(line),
            ("shape".to_owned(), message.to_owned()),
            "{line}"
        );
    }
}

#[test]
fn a_number_beyond_doubles_in_the_context_is_a_shape_and_says_so() {
    let (kind, message) = error(r#"{"flags":[],"context":{"a":[1e400]}}"#);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("shape", "`context`: number out of range")
    );
    let (kind, message) = error(r#"{"flags":[],"user":{"os":1e400}}"#);
    assert_eq!(kind, "shape");
    assert_eq!(message, "`user`: user field `os`: number out of range");
}

#[test]
fn a_context_nested_too_deep_is_a_shape() {
    let deep = format!(
        r#"{{"flags":[],"context":{{"a":{}{}}}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(
        error(&deep),
        (
            "shape".to_owned(),
            "`context`: recursion limit exceeded".to_owned()
        )
    );
}

#[test]
fn no_error_shows_a_property() {
    for line in [
        r#"{"flags":[],"context":"secret"}"#,
        r#"{"flags":[],"user":{"groups":"secret"}}"#,
        r#"{"flags":[],"user":"secret"}"#,
        r#"{"flags":[],"context":{"a":"secret"}x}"#,
        r#""secret""#,
    ] {
        assert!(!answer(line).contains("secret"), "{line}");
    }
}

#[test]
fn blank_lines_windows_ends_a_byte_order_mark_and_a_missing_last_end_are_fine() {
    let line = format!(r#"{{"flags":[{ON}],"context":{{}}}}"#);
    let input = format!("\u{feff}{line}\r\n\r\n  \t\n\n{line}\r\n x\n{line}");
    let out = run_with_input(&["evaluate", "--cases", "-"], input).clean(0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!([lines[0], lines[1], lines[3]], [F_ON; 3]);
    assert!(lines[2].contains(r#""kind":"json""#), "{}", lines[2]);
    assert_eq!(
        run_with_input(&["evaluate", "--cases", "-"], "").clean(0),
        ""
    );
    assert_eq!(
        run_with_input(&["evaluate", "--cases", "-"], "\u{feff}").clean(0),
        ""
    );
    assert_eq!(
        run_with_input(&["evaluate", "--cases", "-"], "\u{feff}\n\n").clean(0),
        ""
    );
}

#[test]
fn of_a_repeated_field_the_last_counts() {
    assert_eq!(
        answer(&format!(
            r#"{{"flags":7,"context":7,"flags":[{ON}],"context":{{}}}}"#
        )),
        F_ON
    );
}

#[test]
fn regular_expressions_match_in_full_or_search() {
    let line = r#"{"flags":[{"key":"f","variants":{"on":{"key":"on","value":"on"}},"segments":[{"variant":"on","conditions":[[{"selector":["context","user","os"],"op":"regex match","values":["O"]}]]}]}],"context":{"user":{"os":"iOS"}}}"#;
    let answer = |regex: &[&str]| {
        let arguments = [&["evaluate", "--cases", "-"], regex].concat();
        run_with_input(&arguments, line).clean(0)
    };
    assert_eq!(answer(&[]), "{\"results\":{}}\n");
    assert_eq!(answer(&["--regex", "full"]), "{\"results\":{}}\n");
    assert_eq!(answer(&["--regex", "search"]), format!("{F_ON}\n"));
}

#[test]
fn a_line_of_many_megabytes_is_answered() {
    let mut line = r#"{"other":""#.to_owned();
    line.push_str(&"x".repeat(40 << 20));
    write!(line, r#"","flags":[{ON}],"context":{{}}}}"#).unwrap();
    let small = format!(r#"{{"flags":[{ON}],"context":{{}}}}"#);
    assert_eq!(answers(&[&small, &line, &small]), [F_ON; 3]);
}

#[test]
fn a_harness_that_waits_for_each_answer_gets_it() {
    let mut child = command(&["evaluate", "--cases", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..20 {
        writeln!(input, r#"{{"flags":[{ON}],"context":{{}}}}"#).unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), F_ON);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_ends_quietly_even_while_input_is_awaited() {
    let mut child = command(&["evaluate", "--cases", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().unwrap();
    drop(child.stdout.take());
    writeln!(input, r#"{{"flags":[{ON}],"context":{{}}}}"#).unwrap();
    // Standard input stays open: nothing but the closed pipe can end the command.
    let status = child.wait().expect("the command ends");
    let mut complaint = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut complaint).unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
    drop(input);
}

#[test]
fn eight_thousand_random_configurations_are_answered_as_expected() {
    let cases: Vec<_> = Subject::large()
        .into_iter()
        .flat_map(|subject| subject.cases)
        .collect();
    assert_eq!(cases.len(), 8_000);
    let mut lines = String::new();
    for case in &cases {
        assert!(!case.options.regex_search, "{}", case.name);
        writeln!(
            lines,
            r#"{{"flags":{},"context":{}}}"#,
            case.flags, case.context
        )
        .unwrap();
    }
    let out = run(&["evaluate", "--cases", &file("large.ndjson", lines)]).clean(0);
    let mut answers = out.lines();
    for case in &cases {
        let answer = answers.next().expect("there is an answer per case");
        let answer: Value = serde_json::from_str(answer).unwrap();
        let actual: Variants = serde_json::from_str(&answer["results"].to_string())
            .unwrap_or_else(|_| panic!("{}: {answer}", case.name));
        assert_eq!(Some(actual), case.expected_variants(), "{}", case.name);
    }
    assert_eq!(answers.next(), None);
}
