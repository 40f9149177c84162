//! The conformance cases, through the public API.

use experiment_conformance::{CaseOptions, Ledger, Report, Subject, run};
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

fn assert_passed(report: &Report) {
    assert!(report.passed(), "{report}");
}

#[test]
fn every_case_is_answered_as_expected_or_stands_in_the_ledger() {
    assert_passed(&run(&Subject::built_in(), &Ledger::built_in(), evaluate));
}

#[test]
fn eight_thousand_random_configurations_are_answered_to_the_last_field() {
    let report = run(&Subject::large(), &Ledger::empty(), evaluate);
    assert_passed(&report);
    assert_eq!(report.total().passed, 8_000);
}
