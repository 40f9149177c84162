//! `completions`, `man` and help.

use crate::command::run;

const COMMANDS: [&str; 7] = [
    "evaluate",
    "explain",
    "check",
    "simulate",
    "conformance",
    "completions",
    "man",
];

#[test]
fn every_shell_has_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let out = run(&["completions", shell]).clean(0);
        for command in COMMANDS {
            assert!(out.contains(command), "{shell} {command}");
        }
    }
}

#[test]
fn every_command_has_a_man_page_and_help_with_an_example() {
    assert!(run(&["man"]).clean(0).contains(".TH xpmt 1"));
    for command in COMMANDS {
        let page = run(&["man", command]).clean(0);
        assert!(
            page.contains(&format!(".TH xpmt\\-{command} 1"))
                || page.contains(&format!(".TH xpmt-{command} 1")),
            "{page}"
        );
        for help in ["-h", "--help"] {
            let help = run(&[command, help]).clean(0);
            assert!(
                help.contains("Usage: xpmt ") && help.contains("Examples:\n  xpmt "),
                "{help}"
            );
        }
    }
}

#[test]
fn help_and_version_are_no_mistake() {
    assert!(
        run(&["--help"])
            .clean(0)
            .contains("Exit codes: 0 fine, 1 findings")
    );
    assert_eq!(
        run(&["--version"]).clean(0),
        format!("xpmt {}\n", env!("CARGO_PKG_VERSION"))
    );
}
