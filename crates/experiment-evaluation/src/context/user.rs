//! The model's [`User`] as a context, read in place.

use experiment_model::{Group, Groups, User};

use super::{Context, Fields, Node, Path};

/// `{"groups": {…}, "user": {…}}`, exactly what [`User::to_context`] builds.
impl Context for User {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "user" => Node::Object(self),
            "groups" if self.groups().named().next().is_some() => Node::Object(self.groups()),
            _ => Node::Null,
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for key in ["groups", "user"] {
            match Context::get(self, key) {
                Node::Null => {}
                node => each(key, node),
            }
        }
    }

    #[inline]
    fn select(&self, path: &Path) -> Node<'_> {
        if let Some(key) = path.user_property() {
            return Node::from(
                self.user_properties()
                    .and_then(|properties| properties.get(key)),
            );
        }
        if let Some(field) = path.user_field() {
            return Node::from(self.field(field));
        }
        match path.keys() {
            [first, rest @ ..] => Context::get(self, first).descend(rest),
            [] => Node::Null,
        }
    }
}

/// The `user` object.
impl Fields for User {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "user_properties" => self
                .user_properties()
                .map_or(Node::Null, |object| Node::Object(object)),
            "cohort_ids" => Node::from(self.cohort_ids()),
            _ => Node::from(User::get(self, key)),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for (key, value) in self.fields() {
            each(key, Node::from(value));
        }
        for key in ["user_properties", "cohort_ids"] {
            match Fields::get(self, key) {
                Node::Null => {}
                node => each(key, node),
            }
        }
    }
}

/// The `groups` object: the groups that have a name.
impl Fields for Groups {
    fn get(&self, key: &str) -> Node<'_> {
        match Groups::get(self, key) {
            Some(group) if group.name().is_some() => Node::Object(group),
            _ => Node::Null,
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for group in self.named() {
            each(&group.group_type, Node::Object(group));
        }
    }
}

/// One of the `groups`: `group_name`, `group_properties`, `cohort_ids`.
impl Fields for Group {
    fn get(&self, key: &str) -> Node<'_> {
        match key {
            "group_name" => Node::from(self.name()),
            "group_properties" => self
                .name_properties()
                .map_or(Node::Null, |object| Node::Object(object)),
            "cohort_ids" => Node::from(self.name_cohort_ids()),
            _ => Node::Null,
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for key in ["group_name", "group_properties", "cohort_ids"] {
            match Fields::get(self, key) {
                Node::Null => {}
                node => each(key, node),
            }
        }
    }
}
