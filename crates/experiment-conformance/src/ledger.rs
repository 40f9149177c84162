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

impl Ledger {
    /// No accepted differences.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The ledger of this project's engine in its default build.
    pub fn built_in() -> Self {
        serde_json::from_str(include_str!("../ledger.json")).unwrap_or_default()
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
        let ledger: Ledger = serde_json::from_str(include_str!("../ledger.json")).unwrap();
        for entry in &ledger.entries {
            let known = entry.class.starts_with('D') || entry.class.starts_with("decision ");
            assert!(known && entry.reason.len() > 20, "{entry:?}");
        }
    }
}
