//! [`run`]: cases against an evaluator.

use experiment_model::{FlagSet, Value, Variants, read_flags};

use crate::{
    case::{CaseOptions, normalize, variants},
    ledger::Ledger,
    report::{Difference, Report, SubjectReport},
    subject::Subject,
};

/// Runs cases against an evaluator and reports where they differ.
///
/// The evaluator gets the flags as they were read, the context as JSON and the options of the case,
/// and returns the variants of all flags.
///
/// ```
/// use experiment_conformance::{Ledger, Subject, run};
/// use experiment_model::Variants;
///
/// // An evaluator that never gives a variant is right only where none is expected.
/// let report = run(&Subject::built_in(), &Ledger::empty(), |_, _, _| Variants::new());
/// assert!(!report.passed());
/// println!("{report}");
/// ```
pub fn run(
    subjects: &[Subject],
    ledger: &Ledger,
    mut evaluate: impl FnMut(&FlagSet, &Value, CaseOptions) -> Variants,
) -> Report {
    let mut used = vec![false; ledger.entries.len()];
    let mut report = Report::default();
    for subject in subjects {
        let mut counts = SubjectReport {
            name: subject.name.clone(),
            ..SubjectReport::default()
        };
        for case in &subject.cases {
            // A text that is no list of flags has no flags.
            let flags = read_flags(case.flags.to_string().as_bytes()).unwrap_or_default();
            let actual = normalize(evaluate(&flags, &case.context, case.options));
            let expected = case.expected_variants();
            if expected.as_ref() == Some(&actual) {
                counts.passed = counts.passed.saturating_add(1);
                continue;
            }
            let entry = ledger.entry(&subject.name, &case.name);
            let accepted = entry.filter(|&at| {
                ledger
                    .entries
                    .get(at)
                    .and_then(|entry| variants(&entry.answer))
                    .as_ref()
                    == Some(&actual)
            });
            if let Some(used) = accepted.and_then(|at| used.get_mut(at)) {
                *used = true;
                counts.accepted = counts.accepted.saturating_add(1);
                continue;
            }
            counts.failed = counts.failed.saturating_add(1);
            report.differences.push(Difference {
                subject: subject.name.clone(),
                case: case.name.clone(),
                expected: expected.map_or_else(
                    || case.expected.to_string(),
                    |expected| expected.to_string(),
                ),
                actual: actual.to_string(),
            });
        }
        report.subjects.push(counts);
    }
    // Entries about subjects that were not run are not stale.
    report.stale = used
        .iter()
        .zip(&ledger.entries)
        .filter(|(used, entry)| {
            !**used && subjects.iter().any(|subject| subject.name == entry.subject)
        })
        .map(|(_, entry)| entry.clone())
        .collect();
    report
}
