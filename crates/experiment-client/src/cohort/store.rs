//! [`CohortStore`]: the cohorts that are known.

use std::{collections::BTreeMap, sync::Arc};

use experiment_model::{Text, Timestamp};

use super::set::CohortSet;

/// The cohorts that have been loaded, by id. It does not change; a changed one shares all that is
/// the same.
///
/// ```
/// use experiment_client::{Cohort, CohortStore};
/// use experiment_model::Timestamp;
///
/// let now = Timestamp::from_unix_millis(1_700_000_000_000);
/// let cohort = Cohort::new("User", ["user-1"].into_iter().collect(), now);
/// let store = CohortStore::from_iter([("c1", cohort)]);
/// assert!(store.get("c1").is_some_and(|cohort| cohort.members().contains("user-1")));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CohortStore {
    cohorts: BTreeMap<Text, Cohort>,
    /// The types of all cohorts, each once.
    group_types: Box<[Text]>,
}

impl CohortStore {
    /// The cohort with this id.
    pub fn get(&self, id: &str) -> Option<&Cohort> {
        self.cohorts.get(id)
    }

    /// Ids and cohorts, in order of ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Cohort)> {
        self.cohorts
            .iter()
            .map(|(id, cohort)| (id.as_str(), cohort))
    }

    /// How many cohorts there are.
    pub fn len(&self) -> usize {
        self.cohorts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cohorts.is_empty()
    }

    /// Whether there are cohorts of this group type; `User` is that of users.
    pub fn has_group_type(&self, group_type: &str) -> bool {
        self.group_types.iter().any(|known| known == group_type)
    }

    /// The same cohorts and this one, in place of one with its id.
    #[must_use]
    pub fn with(&self, id: &str, cohort: Cohort) -> Self {
        let others = self.iter().filter(|(known, _)| *known != id);
        let others = others.map(|(id, cohort)| (id, cohort.clone()));
        others.chain([(id, cohort)]).collect()
    }

    /// Whether the member `name` of `group_type` is in the cohort.
    pub(super) fn is_in(&self, id: &str, group_type: &str, name: &str) -> bool {
        self.get(id)
            .is_some_and(|cohort| cohort.group_type == group_type && cohort.members.contains(name))
    }
}

impl<T: Into<Text>> FromIterator<(T, Cohort)> for CohortStore {
    fn from_iter<I: IntoIterator<Item = (T, Cohort)>>(cohorts: I) -> Self {
        let cohorts: BTreeMap<Text, Cohort> = cohorts
            .into_iter()
            .map(|(id, cohort)| (id.into(), cohort))
            .collect();
        let mut group_types: Vec<Text> = Vec::new();
        for cohort in cohorts.values() {
            if !group_types.contains(&cohort.group_type) {
                group_types.push(cohort.group_type.clone());
            }
        }
        Self {
            cohorts,
            group_types: group_types.into_boxed_slice(),
        }
    }
}

/// A cohort as it was loaded. A clone shares the members.
#[derive(Clone, Debug)]
pub struct Cohort {
    members: Arc<CohortSet>,
    group_type: Text,
    last_modified: Option<i64>,
    loaded_at: Timestamp,
    confirmed_at: Timestamp,
}

impl Cohort {
    /// A cohort that is loaded at `now`. The group type `User` says that its members are ids of
    /// users; otherwise they are names of groups of that type.
    pub fn new(group_type: impl Into<Text>, members: CohortSet, now: Timestamp) -> Self {
        Self {
            members: Arc::new(members),
            group_type: group_type.into(),
            last_modified: None,
            loaded_at: now,
            confirmed_at: now,
        }
    }

    /// Sets [`last_modified`](Self::last_modified).
    #[must_use]
    pub fn with_last_modified(mut self, millis: Option<i64>) -> Self {
        self.last_modified = millis;
        self
    }

    /// The same cohort, of which the service said at `now` that it has not changed.
    #[must_use]
    pub fn confirmed(mut self, now: Timestamp) -> Self {
        self.confirmed_at = now;
        self
    }

    /// Who is in it.
    pub fn members(&self) -> &CohortSet {
        &self.members
    }

    /// `User`, or the type of the groups that are its members.
    pub fn group_type(&self) -> &str {
        &self.group_type
    }

    /// When it changed last by the service's own clock, in Unix milliseconds, if the service said.
    pub fn last_modified(&self) -> Option<i64> {
        self.last_modified
    }

    /// When its members were loaded.
    pub fn loaded_at(&self) -> Timestamp {
        self.loaded_at
    }

    /// When the service last said that it is as it is here.
    pub fn confirmed_at(&self) -> Timestamp {
        self.confirmed_at
    }
}
