//! [`References`]: which cohorts flags ask for.

use std::collections::{BTreeMap, BTreeSet};

use experiment_model::{Condition, Flag, Operator, Text};

use super::{parse::USER, store::CohortStore};

/// The cohorts that flags refer to, by group type.
///
/// A condition refers to its values if its operator is `set contains any` or `set does not contain
/// any` and its selector is exactly `context.user.cohort_ids` (cohorts of users, group type `User`)
/// or `context.groups.<type>.cohort_ids`. These are the operators of the official SDKs. They take
/// any selector that ends in `cohort_ids`, such as a user property of that name; this does not.
/// Other set operators work on the cohorts that are loaded, but have none loaded.
///
/// ```
/// use experiment_client::{CohortStore, References};
/// use experiment_model::read_flags;
///
/// let flags = read_flags(br#"[{"key": "beta", "variants": {}, "segments": [{"conditions":
///     [[{"selector": ["context", "user", "cohort_ids"], "op": "set contains any", "values": ["c1"]}]]}]}]"#)?;
/// let references = References::of(&flags.flags);
/// assert_eq!(references.ids().collect::<Vec<_>>(), ["c1"]);
/// assert_eq!(references.missing(&CohortStore::default()).count(), 1);
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(BTreeMap<Text, BTreeSet<Text>>);

impl References {
    /// What these flags refer to themselves. What the flags that they depend on refer to is not in
    /// it, unless those are among them.
    pub fn of<'f>(flags: impl IntoIterator<Item = &'f Flag>) -> Self {
        let mut references = Self::default();
        let segments = flags.into_iter().flat_map(|flag| &flag.segments);
        let conditions = segments.flat_map(|segment| segment.conditions.iter().flatten().flatten());
        for condition in conditions {
            if let Some(group_type) = group_type(condition) {
                let ids = references.0.entry(group_type).or_default();
                ids.extend(condition.values.iter().cloned());
            }
        }
        references
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Group type and cohort id of every reference, both in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(group_type, ids)| ids.iter().map(|id| (group_type.as_str(), id.as_str())))
    }

    /// Every cohort id once, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let ids: BTreeSet<&str> = self.iter().map(|(_, id)| id).collect();
        ids.into_iter()
    }

    /// The cohorts among them that `store` does not have, or has with another group type:
    /// conditions take everybody for a stranger to them.
    pub fn missing<'a>(&'a self, store: &'a CohortStore) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(|(group_type, id)| {
                store
                    .get(id)
                    .is_none_or(|cohort| cohort.group_type() != *group_type)
            })
            .map(|(_, id)| id)
    }
}

/// The group type of the cohorts that a condition refers to.
fn group_type(condition: &Condition) -> Option<Text> {
    if !matches!(
        condition.operator,
        Operator::SetContainsAny | Operator::SetDoesNotContainAny
    ) {
        return None;
    }
    let keys: Vec<&str> = condition.selector.0.iter().map(Text::as_str).collect();
    match keys.as_slice() {
        ["context", "user", "cohort_ids"] => Some(Text::new(USER)),
        ["context", "groups", group_type, "cohort_ids"] => Some(Text::new(group_type)),
        _ => None,
    }
}
