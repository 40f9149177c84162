//! [`UserProvider`]: what the device knows of the user by itself.

use std::{fmt, sync::Arc};

use experiment_model::{Group, Object, Text, User, Value};

/// Tells what the device knows of the user: language, version, device id, …
///
/// It is asked whenever a user is evaluated or sent, for what is known now: nothing ever waits for
/// it to know more. It must return soon and must not call the client.
///
/// ```
/// use experiment_client::UserProvider;
/// use experiment_model::User;
///
/// #[derive(Debug)]
/// struct Device;
///
/// impl UserProvider for Device {
///     fn user(&self) -> User {
///         User::new().with_platform("Linux").with_version("2.1.0")
///     }
/// }
/// # let _ = Device.user();
/// ```
pub trait UserProvider: Send + Sync + fmt::Debug + 'static {
    /// What is known now.
    fn user(&self) -> User;
}

/// `explicit` with what only `provided` has. What the program set wins field by field; of the user
/// properties it wins property by property; groups, with their properties and cohorts, are one
/// field.
pub(crate) fn merged(explicit: &Arc<User>, provided: &User) -> Arc<User> {
    let mut user = User::clone(explicit);
    let mut fill = |name: &str, value: Value| {
        // Each value comes from the same field of a user, which takes it back.
        let _ = user.set(Text::new(name), value);
    };
    for (name, value) in provided.fields() {
        if explicit.get(name).is_none() {
            fill(name, value.clone());
        }
    }
    if let (None, Some(ids)) = (explicit.cohort_ids(), provided.cohort_ids()) {
        fill("cohort_ids", ids.clone());
    }
    if explicit.groups().is_empty() {
        fill(
            "groups",
            group_field(provided, |group| group.names.clone().into()),
        );
        fill(
            "group_properties",
            group_field(provided, |group| group.properties.clone().into()),
        );
        fill(
            "group_cohort_ids",
            group_field(provided, |group| group.cohort_ids.clone().into()),
        );
    }
    if let Some(properties) = provided.user_properties() {
        let mut all = properties.clone();
        for (key, value) in explicit
            .user_properties()
            .into_iter()
            .flat_map(Object::iter)
        {
            all.insert(key.clone(), value.clone());
        }
        user = user.with_user_properties(all);
    }
    Arc::new(user)
}

fn group_field(user: &User, field: impl Fn(&Group) -> Value) -> Value {
    user.groups()
        .iter()
        .map(|group| (group.group_type.clone(), field(group)))
        .collect::<Object>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> User {
        serde_json::from_str(json).expect("a user")
    }

    #[test]
    fn what_the_program_set_wins_and_the_rest_is_filled_in() {
        for (explicit, provided, expected) in [
            ("{}", "{}", "{}"),
            (
                r#"{"user_id":"u","os":"iOS"}"#,
                r#"{"device_id":"d","os":"Android","browser":"b"}"#,
                r#"{"user_id":"u","os":"iOS","device_id":"d","browser":"b"}"#,
            ),
            (
                r#"{"user_properties":{"a":1,"n":null}}"#,
                r#"{"user_properties":{"a":2,"b":3,"n":4}}"#,
                r#"{"user_properties":{"a":1,"b":3,"n":null}}"#,
            ),
            (
                r#"{"cohort_ids":["c1"],"groups":{"org":["A"]}}"#,
                r#"{"cohort_ids":["c2"],"groups":{"team":["B"]},"group_properties":{"org":{"A":{"x":1}}}}"#,
                r#"{"cohort_ids":["c1"],"groups":{"org":["A"]}}"#,
            ),
            (
                "{}",
                r#"{"cohort_ids":["c2"],"groups":{"team":["B"]},"group_properties":{"team":{"B":{"x":1}}},"group_cohort_ids":{"team":{"B":["g"]}}}"#,
                r#"{"cohort_ids":["c2"],"groups":{"team":["B"]},"group_properties":{"team":{"B":{"x":1}}},"group_cohort_ids":{"team":{"B":["g"]}}}"#,
            ),
        ] {
            let before = Arc::new(read(explicit));
            assert_eq!(
                *merged(&before, &read(provided)),
                read(expected),
                "{explicit}"
            );
            assert_eq!(*before, read(explicit));
        }
    }
}
