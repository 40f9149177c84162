//! [`Path`]: a selector into the context, understood once.

use alloc::{boxed::Box, vec::Vec};

use experiment_model::{Text, UserField};

/// Where in a [`Context`](super::Context) a property stands: the keys of a selector behind
/// `context`, and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    keys: Box<[Text]>,
    /// The last key.
    name: Box<str>,
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    UserField(UserField),
    UserProperty,
    Elsewhere,
}

impl Path {
    /// The path that follows `keys` from the context's root.
    pub fn new<K: AsRef<str>>(keys: &[K]) -> Self {
        let keys: Box<[Text]> = keys.iter().map(|key| Text::new(key.as_ref())).collect();
        let names: Vec<&str> = keys.iter().map(Text::as_str).collect();
        let target = match names.as_slice() {
            ["user", "user_properties", _] => Target::UserProperty,
            ["user", field] => {
                UserField::from_name(field).map_or(Target::Elsewhere, Target::UserField)
            }
            _ => Target::Elsewhere,
        };
        let name = names.last().copied().unwrap_or_default().into();
        Self { keys, name, target }
    }

    /// The keys from the outside in, without the leading `context`.
    pub fn keys(&self) -> &[Text] {
        &self.keys
    }

    /// The name of the user property, if the path is `user.user_properties.<name>`.
    #[inline]
    pub fn user_property(&self) -> Option<&str> {
        match self.target {
            Target::UserProperty => Some(&self.name),
            _ => None,
        }
    }

    /// The field of the user, if the path is `user.<field>` with a known field.
    #[inline]
    pub fn user_field(&self) -> Option<UserField> {
        match self.target {
            Target::UserField(field) => Some(field),
            _ => None,
        }
    }
}
