//! What a selector can select, as far as its keys tell.

use alloc::vec::Vec;

use experiment_model::{Selector, Text, UserField};

/// What stands at the end of a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// Nothing, whatever the context.
    Nothing,
    /// Text, or nothing: a field of the user, the name of a group, the key of a result.
    Text,
    /// The cohorts of a user or group, a list of texts that the SDKs fill in.
    Cohorts,
    /// An object as a whole.
    Object,
    /// Anything: a property, the value of a result.
    Anything,
}

pub(super) fn selected(selector: &Selector) -> Selected {
    let keys: Vec<&str> = selector.0.iter().map(Text::as_str).collect();
    match *keys.as_slice() {
        ["context"]
        | ["context", "user" | "groups"]
        | ["context", "user", "user_properties"]
        | ["context", "groups", _]
        | ["context", "groups", _, "group_properties"]
        | ["result", _, "metadata"] => Selected::Object,
        ["context", "user", "cohort_ids"] | ["context", "groups", _, "cohort_ids"] => {
            Selected::Cohorts
        }
        ["context", "groups", _, "group_name"] | ["result", _, "key"] => Selected::Text,
        ["context", "user", field] if UserField::from_name(field).is_some() => Selected::Text,
        ["context", ..] | ["result", _, "value" | "metadata", ..] => Selected::Anything,
        _ => Selected::Nothing,
    }
}

/// The flag whose result a selector reads.
pub(super) fn read_flag(selector: &Selector) -> Option<&Text> {
    match selector.0.as_slice() {
        [root, flag, ..] if root == "result" && selected(selector) != Selected::Nothing => {
            Some(flag)
        }
        _ => None,
    }
}
