//! `simulate`.

use std::{fmt::Write, fs};

use crate::command::{FLAGS, USERS, file, run, run_with_input};

fn simulate(flag: &str, rest: &[&str]) -> String {
    run(&[&["simulate", "--flags", FLAGS, "--flag", flag], rest].concat()).clean(0)
}

/// The cells of the lines about a variant: observed, then expected.
fn figures<'a>(out: &'a str, label: &str) -> [Vec<&'a str>; 2] {
    let mut lines = out
        .lines()
        .skip_while(|line| !line.starts_with(&format!("  {label} ")));
    [(); 2].map(|()| {
        let line = lines.next().unwrap_or_else(|| panic!("no {label}\n{out}"));
        let (_, figures) = line
            .split_once("served")
            .or(line.split_once("pected"))
            .unwrap();
        figures.split_whitespace().take(2).collect()
    })
}

#[test]
fn a_rollout_splits_as_configured() {
    let out = simulate("new-navigation", &["--users", "20000"]);
    assert!(out.starts_with("flag `new-navigation`, 20,000 synthetic users (seed 1)\n"));
    assert_eq!(figures(&out, "on")[1], ["8,000", "40.00"]);
    assert_eq!(figures(&out, "off")[1], ["12,000", "60.00"]);
    assert!(
        out.ends_with(": the split is as configured, within chance\n"),
        "{out}"
    );
    assert!(out.contains("1 degree of freedom"));
    assert!(out.contains('█') && out.contains('░'));
}

#[test]
fn the_same_seed_gives_the_same_users_and_another_seed_others() {
    let of = |seed| simulate("new-navigation", &["--users", "500", "--seed", seed]);
    assert_eq!(of("7"), of("7"));
    assert_ne!(figures(&of("7"), "on")[0], figures(&of("8"), "on")[0]);
}

#[test]
fn what_is_expected_follows_from_who_arrives_at_a_split() {
    let out = simulate("onboarding-checklist", &["--users", "20000"]);
    let [observed, expected] = figures(&out, "off");
    assert_eq!(
        observed, expected,
        "dependencies decide about `off`, not chance"
    );
    let [_, control] = figures(&out, "control");
    assert_eq!(control[1], figures(&out, "treatment")[1][1]);
}

#[test]
fn users_of_a_file_take_part_and_few_of_them_prove_nothing() {
    let out = simulate("checkout-redesign", &["--users", USERS]);
    assert!(
        out.starts_with("flag `checkout-redesign`, 20 users of `examples/data/users.ndjson`\n")
    );
    assert!(
        out.contains("the test is meaningless: fewer than 5 users are expected"),
        "{out}"
    );
}

#[test]
fn synthetic_users_can_have_properties_and_other_ids() {
    let user = r#"{"version":"3.4.0","user_properties":{"plan":"pro"}}"#;
    let out = simulate("checkout-redesign", &["--users", "1000", "--user", user]);
    assert_eq!(figures(&out, "control")[1], ["500", "50.00"]);
    let out = simulate("new-navigation", &["--users", "1000", "--by", "device_id"]);
    assert_eq!(figures(&out, "off")[0], ["1,000", "100.00"]);
    assert!(out.contains("no segment splits these users, so there is nothing to test"));
    let flags = file(
        "groups.simulate.json",
        r#"[{"key":"g","variants":{"on":{"key":"on"}},"segments":[{"bucket":{"selector":["context","groups","org","group_name"],"salt":"s","allocations":[{"range":[0,50],"distributions":[{"variant":"on","range":[0,42949673]}]}]}}]}]"#,
    );
    let out = run(&[
        "simulate",
        "--flags",
        &flags,
        "--flag",
        "g",
        "--users",
        "1000",
        "--by",
        "groups.org",
    ]);
    assert_eq!(figures(&out.clean(0), "(no variant)")[1], ["500", "50.00"]);
}

#[test]
fn users_with_one_bucketing_value_count_once_in_the_test() {
    let users = "{\"user_id\":\"a\"}\n{\"user_id\":\"b\"}\n".repeat(500);
    let out = run_with_input(
        &[
            "simulate",
            "--flags",
            FLAGS,
            "--flag",
            "new-navigation",
            "--users",
            "-",
        ],
        users,
    )
    .clean(0);
    assert!(out.contains("of which there are 2 in the test"), "{out}");
    assert!(out.contains("meaningless"), "{out}");
}

#[test]
fn the_chi_square_value_follows_from_the_counts() {
    let out = simulate("new-navigation", &["--users", "1000"]);
    let number = |text: &str| text.replace(',', "").parse::<f64>().unwrap();
    let (on, off) = (
        number(figures(&out, "on")[0][0]),
        number(figures(&out, "off")[0][0]),
    );
    let expected = (on - 400.0).powi(2) / 400.0 + (off - 600.0).powi(2) / 600.0;
    let (_, shown) = out.split_once("chi-square ").unwrap();
    let shown: f64 = shown.split(',').next().unwrap().parse().unwrap();
    assert!(
        (shown - expected).abs() < 0.001,
        "{shown} is not {expected}"
    );
}

#[test]
fn ids_that_are_split_already_differ_by_more_than_chance() {
    // Only users who are in the rollout: as if their ids had been hashed for it before.
    let mut all = String::new();
    for n in 0..2000 {
        writeln!(all, "{{\"user_id\":\"{n}\"}}").unwrap();
    }
    let results = run_with_input(
        &[
            "evaluate",
            "--flags",
            FLAGS,
            "--users",
            "-",
            "--flag",
            "new-navigation",
        ],
        all.clone(),
    );
    let on: String = all
        .lines()
        .zip(results.out.lines())
        .filter(|(_, result)| result.contains(r#""key":"on""#))
        .flat_map(|(user, _)| [user, "\n"])
        .collect();
    let out = run_with_input(
        &[
            "simulate",
            "--flags",
            FLAGS,
            "--flag",
            "new-navigation",
            "--users",
            "-",
        ],
        on,
    )
    .clean(0);
    assert!(
        out.contains("p = 0.0000: the split differs from the configured one"),
        "{out}"
    );
}

#[test]
fn users_left_over_by_one_split_go_to_the_next() {
    let flags = file(
        "chain.simulate.json",
        r#"[{"key":"c","variants":{"a":{"key":"a"},"b":{"key":"b"},"c":{"key":"c"}},"segments":[
            {"bucket":{"selector":["context","user","user_id"],"salt":"same","allocations":[{"range":[0,50],"distributions":[{"variant":"a","range":[0,42949673]}]}]}},
            {"bucket":{"selector":["context","user","user_id"],"salt":"same","allocations":[{"range":[0,75],"distributions":[{"variant":"b","range":[0,42949673]}]}]}},
            {"variant":"c"}]}]"#,
    );
    let out = run(&[
        "simulate", "--flags", &flags, "--flag", "c", "--users", "40000",
    ])
    .clean(0);
    assert_eq!(figures(&out, "a")[1], ["20,000", "50.00"]);
    assert_eq!(figures(&out, "b")[1], ["10,000", "25.00"]);
    assert_eq!(figures(&out, "c")[1], ["10,000", "25.00"]);
    assert!(out.contains("2 degrees of freedom"), "{out}");
    assert!(out.contains("within chance"), "{out}");
}

#[test]
fn the_page_is_self_contained() {
    let page = file("split.html", "");
    let users = ["--users", "5000", "--html", &page];
    simulate("new-navigation", &users);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    for part in [
        "<svg ",
        "</svg>",
        "prefers-color-scheme:dark",
        "<td>3,000</td><td>60.00 %</td>",
        "chi-square",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in [
        "http://", "https://", "src=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn names_are_escaped_in_the_page() {
    let flags = file(
        "escape.simulate.json",
        r#"[{"key":"<b>&\"","variants":{"on":{"key":"<script>"}},"segments":[{"variant":"on"}]}]"#,
    );
    let page = file("escape.html", "");
    run(&[
        "simulate", "--flags", &flags, "--flag", "<b>&\"", "--users", "10", "--html", &page,
    ])
    .clean(0);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("&lt;b&gt;&amp;&quot;") && page.contains("&lt;script&gt;"));
    assert!(!page.contains("<script") && !page.contains("<b>"));
}
