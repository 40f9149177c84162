//! [`Groups`]: the groups a user belongs to.

use alloc::vec::Vec;

use crate::{object::Object, text::Text, value::Value};

/// The groups of a [`User`](crate::User), one [`Group`] per group type.
///
/// On the wire these are three objects of the user: `groups` (type to names), `group_properties`
/// (type to name to properties) and `group_cohort_ids` (type to name to cohorts).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups(Vec<Group>);

impl Groups {
    /// The groups in the order of their types' first appearance.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The groups of `group_type`.
    pub fn get(&self, group_type: &str) -> Option<&Group> {
        self.0.iter().find(|group| group.group_type == group_type)
    }

    /// The groups that evaluation sees: those with a name.
    pub fn named(&self) -> impl Iterator<Item = &Group> {
        self.0.iter().filter(|group| group.name().is_some())
    }

    pub(crate) fn entry(&mut self, group_type: &Text) -> &mut Group {
        let at = self
            .0
            .iter()
            .position(|group| group.group_type == *group_type);
        let at = at.unwrap_or_else(|| {
            self.0.push(Group::new(group_type.clone()));
            self.0.len().saturating_sub(1)
        });
        // The position was found or made above.
        #[allow(clippy::indexing_slicing, reason = "in range by construction")]
        &mut self.0[at]
    }
}

/// The groups of one type that a user belongs to.
///
/// Evaluation sees the first name only (all official SDKs do), as `groups.<type>` with the keys
/// `group_name`, `group_properties` and `cohort_ids`; empty properties and cohorts are absent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// The type, for example `org name`.
    pub group_type: Text,
    /// The names, for example `Amplitude`; the first one counts.
    pub names: Vec<Text>,
    /// Properties by name.
    pub properties: Object,
    /// Lists of cohort ids by name.
    pub cohort_ids: Object,
}

impl Group {
    fn new(group_type: Text) -> Self {
        Self {
            group_type,
            names: Vec::new(),
            properties: Object::new(),
            cohort_ids: Object::new(),
        }
    }

    /// The name that counts.
    pub fn name(&self) -> Option<&Text> {
        self.names.first()
    }

    /// The properties of the group that counts, if it has any.
    pub fn name_properties(&self) -> Option<&Object> {
        self.properties
            .get(self.name()?)?
            .as_object()
            .filter(|object| !object.is_empty())
    }

    /// The cohorts of the group that counts, if it is in any.
    pub fn name_cohort_ids(&self) -> Option<&Value> {
        let ids = self.cohort_ids.get(self.name()?)?;
        ids.as_list()
            .is_some_and(|ids| !ids.is_empty())
            .then_some(ids)
    }
}
