//! [`Report`]: what a run found.

use std::fmt;

use crate::ledger::LedgerEntry;

/// What a run found. `Display` prints the counts per subject and every difference.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Counts per subject.
    pub subjects: Vec<SubjectReport>,
    /// Cases that failed.
    pub differences: Vec<Difference>,
    /// Ledger entries whose case passes, or is answered in yet another way, or does not exist.
    pub stale: Vec<LedgerEntry>,
}

/// Counts of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectReport {
    /// The subject.
    pub name: String,
    /// Cases with the expected answer.
    pub passed: usize,
    /// Cases with another answer that the ledger accepts.
    pub accepted: usize,
    /// Cases with another answer.
    pub failed: usize,
}

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The subject of the case.
    pub subject: String,
    /// The name of the case.
    pub case: String,
    /// What was expected, as JSON.
    pub expected: String,
    /// What came out, as JSON.
    pub actual: String,
}

impl Report {
    /// Whether no case failed and no ledger entry is stale.
    pub fn passed(&self) -> bool {
        self.differences.is_empty() && self.stale.is_empty()
    }

    /// The counts of all subjects together.
    pub fn total(&self) -> SubjectReport {
        let mut total = SubjectReport {
            name: "total".to_owned(),
            ..SubjectReport::default()
        };
        for subject in &self.subjects {
            total.passed = total.passed.saturating_add(subject.passed);
            total.accepted = total.accepted.saturating_add(subject.accepted);
            total.failed = total.failed.saturating_add(subject.failed);
        }
        total
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>8} {:>9} {:>7}",
            "subject", "passed", "accepted", "failed"
        )?;
        for subject in self.subjects.iter().chain([&self.total()]) {
            let SubjectReport {
                name,
                passed,
                accepted,
                failed,
            } = subject;
            writeln!(f, "{name:<32} {passed:>8} {accepted:>9} {failed:>7}")?;
        }
        for difference in &self.differences {
            let Difference {
                subject,
                case,
                expected,
                actual,
            } = difference;
            writeln!(
                f,
                "\n{subject}: {case}\n  expected {expected}\n  actual   {actual}"
            )?;
        }
        for entry in &self.stale {
            writeln!(
                f,
                "\nstale ledger entry: {}: {} ({})",
                entry.subject, entry.case, entry.class
            )?;
        }
        Ok(())
    }
}
