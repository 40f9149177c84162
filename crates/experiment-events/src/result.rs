//! What events read from a user and from one flag's result.

use alloc::borrow::Cow;

use experiment_model::{Object, Text, User, UserField, Value, Variant};

/// Groups of users that only exist so that experiments exclude each other.
const MUTUAL_EXCLUSION_GROUP: &str = "mutual-exclusion-group";

/// What the user got: the variant's key, else the text of its value. Empty text is none.
pub(crate) fn variant_name(variant: &Variant) -> Option<Cow<'_, str>> {
    match &variant.key {
        Some(key) if !key.is_empty() => Some(Cow::Borrowed(key)),
        _ => variant.value_str().filter(|text| !text.is_empty()),
    }
}

/// [`variant_name`] as a text of its own; most are short, or shared with the variant.
pub(crate) fn variant_text(variant: &Variant) -> Option<Text> {
    match (&variant.key, &variant.value) {
        (Some(key), _) if !key.is_empty() => Some(key.clone()),
        (_, Some(Value::Text(value))) if !value.is_empty() => Some(value.clone()),
        _ => variant_name(variant).map(Text::from),
    }
}

/// The key of the experiment, if the flag is one that runs.
pub(crate) fn experiment_key(variant: &Variant) -> Option<&Text> {
    match variant.metadata_value("experimentKey")? {
        Value::Text(key) if !key.is_empty() => Some(key),
        _ => None,
    }
}

/// Whether the flag has an experiment user property: all but mutual-exclusion groups have one.
pub(crate) fn has_user_property(variant: &Variant) -> bool {
    variant.metadata_value("flagType").and_then(Value::as_str) != Some(MUTUAL_EXCLUSION_GROUP)
}

/// Whether exposures to the flag are wanted.
pub(crate) fn is_tracked(metadata: Option<&Object>) -> bool {
    let wanted = metadata.and_then(|metadata| metadata.get("trackExposure"));
    wanted.and_then(Value::as_bool) != Some(false)
}

/// The user id as a text of its own.
pub(crate) fn user_id(user: &User) -> Option<Text> {
    id(user, UserField::UserId)
}

/// The device id as a text of its own.
pub(crate) fn device_id(user: &User) -> Option<Text> {
    id(user, UserField::DeviceId)
}

fn id(user: &User, field: UserField) -> Option<Text> {
    match user.field(field)? {
        Value::Text(id) => Some(id.clone()),
        _ => None,
    }
}

/// The groups with all their names, by type.
pub(crate) fn groups(user: &User) -> Object {
    let groups = user.groups().iter();
    groups
        .filter(|group| !group.names.is_empty())
        .map(|group| {
            let names: Value = group.names.iter().cloned().collect();
            (group.group_type.clone(), names)
        })
        .collect()
}
