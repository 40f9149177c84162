//! [`Ledger`]: the differences that are accepted, each with its reason.

use experiment_model::Value;
use serde::{Deserialize, Serialize};

/// Accepted differences. An entry that no longer applies fails a run, so that the list stays true.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ledger {
    /// The entries.
    pub entries: Vec<LedgerEntry>,
}

/// A case that is answered differently from what it expects, on purpose.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// The subject of the case.
    pub subject: String,
    /// The name of the case.
    pub case: String,
    /// The class of the difference: `D1` to `D33`, or `decision N`.
    pub class: String,
    /// Why the difference is accepted.
    pub reason: String,
    /// The variants that are given instead.
    pub answer: Value,
}

/// What a build of an engine has, of what not every build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Build {
    /// Look-around, back-references, atomic groups and possessive quantifiers in patterns.
    pub lookaround: bool,
    /// Pattern classes that need tables.
    pub unicode: bool,
}

impl Build {
    /// A build with these features.
    pub fn new(lookaround: bool, unicode: bool) -> Self {
        Self {
            lookaround,
            unicode,
        }
    }
}

const EVERY_BUILD: &str = include_str!("../ledger/every-build.json");
const WITHOUT_LOOKAROUND: &str = include_str!("../ledger/without-lookaround.json");
const WITHOUT_UNICODE: &str = include_str!("../ledger/without-unicode.json");
/// Stands over the others.
const WITHOUT_BOTH: &str = include_str!("../ledger/without-both.json");

impl Ledger {
    /// No accepted differences.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The ledger of this project's engine.
    ///
    /// ```
    /// use experiment_conformance::{Build, Ledger};
    ///
    /// let everything = Ledger::built_in(Build::new(true, true));
    /// let linear = Ledger::built_in(Build::new(false, true));
    /// assert!(everything.entries.len() < linear.entries.len());
    /// ```
    pub fn built_in(build: Build) -> Self {
        let mut files = Vec::new();
        if !build.lookaround && !build.unicode {
            files.push(WITHOUT_BOTH);
        }
        if !build.lookaround {
            files.push(WITHOUT_LOOKAROUND);
        }
        if !build.unicode {
            files.push(WITHOUT_UNICODE);
        }
        files.push(EVERY_BUILD);
        let mut ledger = Self::empty();
        for json in files {
            let entries: Vec<LedgerEntry> = serde_json::from_str(json).unwrap_or_default();
            for entry in entries {
                if ledger.entry(&entry.subject, &entry.case).is_none() {
                    ledger.entries.push(entry);
                }
            }
        }
        ledger
    }

    pub(crate) fn entry(&self, subject: &str, case: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.subject == subject && entry.case == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_read_in_full_and_every_entry_names_a_class_and_a_reason() {
        for json in [
            EVERY_BUILD,
            WITHOUT_LOOKAROUND,
            WITHOUT_UNICODE,
            WITHOUT_BOTH,
        ] {
            let entries: Vec<LedgerEntry> = serde_json::from_str(json).unwrap();
            assert!(!entries.is_empty());
            for entry in &entries {
                let known = entry.class.starts_with('D') || entry.class.starts_with("decision ");
                assert!(known && entry.reason.len() > 20, "{entry:?}");
            }
        }
    }
}
