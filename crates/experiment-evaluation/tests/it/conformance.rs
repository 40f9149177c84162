//! The conformance cases, through the public API.

use experiment_conformance::{Build, CaseOptions, Ledger, Report, Subject, run};
use experiment_evaluation::{Options, Plan, RegexMatching};
use experiment_model::{FlagSet, Value, Variants};

fn evaluate(flags: &FlagSet, context: &Value, case: CaseOptions) -> Variants {
    let mut options = Options::default();
    if case.regex_search {
        options.regex_matching = RegexMatching::Search;
    }
    Plan::compile(flags, &options)
        .evaluate(context)
        .to_variants()
}

fn ledger() -> Ledger {
    Ledger::built_in(Build::new(
        cfg!(feature = "lookaround"),
        cfg!(feature = "unicode"),
    ))
}

fn assert_passed(report: &Report) {
    assert!(report.passed(), "{report}");
}

#[test]
fn every_case_is_answered_as_expected_or_stands_in_the_ledger() {
    assert_passed(&run(&Subject::built_in(), &ledger(), evaluate));
}

#[test]
fn eight_thousand_random_configurations_are_answered_to_the_last_field() {
    let report = run(&Subject::large(), &ledger(), evaluate);
    assert_passed(&report);
    // With every feature there is nothing to accept, without hardly anything.
    let complete = cfg!(all(feature = "lookaround", feature = "unicode"));
    let passed = report.total().passed;
    assert!(
        passed == 8_000 || (!complete && passed >= 7_990),
        "{passed}"
    );
}
