//! [`UserView`]: a user assembled from borrowed parts.

use experiment_model::UserField;

use super::{Context, Fields, Node, Path};

/// A user as borrowed slices: nothing is copied and nothing is allocated to make one.
///
/// For services that have the user in a form of their own and evaluate a few flags per request.
/// Of two entries with one key the first counts.
///
/// ```
/// use experiment_evaluation::{Node, Options, Plan, UserView};
/// use experiment_model::{UserField, read_flags};
///
/// let flags = read_flags(br#"[{"key": "beta", "variants": {"on": {"key": "on", "value": "on"}},
///     "segments": [{"variant": "on", "conditions": [[{"op": "is", "values": ["pro"],
///         "selector": ["context", "user", "user_properties", "plan"]}]]}]}]"#)?;
/// let plan = Plan::compile(&flags, &Options::default());
///
/// let user = UserView {
///     fields: &[(UserField::UserId, "user-1")],
///     user_properties: &[("plan", Node::Text("pro")), ("seats", Node::I64(12))],
///     ..UserView::default()
/// };
/// assert!(plan.variant(&user, "beta").is_some());
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct UserView<'a> {
    /// The user's fields, such as `user_id`.
    pub fields: &'a [(UserField, &'a str)],
    /// The user's properties.
    pub user_properties: &'a [(&'a str, Node<'a>)],
    /// The cohorts that the user is in: a [`Node::List`] or [`Node::Members`].
    pub cohort_ids: Node<'a>,
    /// The `groups` object: by type an object with `group_name`, `group_properties`, `cohort_ids`.
    pub groups: &'a [(&'a str, Node<'a>)],
}

fn find<'a>(entries: &'a [(&'a str, Node<'a>)], key: &str) -> Node<'a> {
    entries
        .iter()
        .find(|(name, _)| *name == key)
        .map_or(Node::Null, |(_, node)| *node)
}

impl Fields for &[(&str, Node<'_>)] {
    fn get(&self, key: &str) -> Node<'_> {
        find(self, key)
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for (key, node) in *self {
            each(key, *node);
        }
    }
}

impl UserView<'_> {
    fn field(&self, field: UserField) -> Node<'_> {
        self.fields
            .iter()
            .find(|(name, _)| *name == field)
            .map_or(Node::Null, |(_, text)| Node::Text(text))
    }
}

impl Context for UserView<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "user" => Node::Object(self),
            "groups" if !self.groups.is_empty() => Node::Object(&self.groups),
            _ => Node::Null,
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        if !self.groups.is_empty() {
            each("groups", Node::Object(&self.groups));
        }
        each("user", Node::Object(self));
    }

    fn select(&self, path: &Path) -> Node<'_> {
        if let Some(key) = path.user_property() {
            return find(self.user_properties, key);
        }
        if let Some(field) = path.user_field() {
            return self.field(field);
        }
        match path.keys() {
            [first, rest @ ..] => Context::get(self, first).descend(rest),
            [] => Node::Null,
        }
    }
}

impl Fields for UserView<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "user_properties" if !self.user_properties.is_empty() => {
                Node::Object(&self.user_properties)
            }
            "cohort_ids" => self.cohort_ids,
            _ => UserField::from_name(key).map_or(Node::Null, |field| self.field(field)),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for (field, text) in self.fields {
            each(field.name(), Node::Text(text));
        }
        if !self.user_properties.is_empty() {
            each("user_properties", Node::Object(&self.user_properties));
        }
        if !self.cohort_ids.is_null() {
            each("cohort_ids", self.cohort_ids);
        }
    }
}
