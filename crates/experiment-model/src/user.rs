//! [`User`]: whom flags are evaluated for.

use alloc::{format, string::ToString, vec::Vec};
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::SerializeMap,
};

use crate::{
    group::{Group, Groups},
    object::Object,
    text::Text,
    user_field::UserField,
    value::Value,
};

/// A user, with every field of the seed definition and of the official SDKs; fields that are not
/// known here are kept too, and conditions can use them.
///
/// Reading JSON takes `null` for absent, numbers and booleans as the text of an id, `cohort_ids`
/// (and group cohorts) as a list or as an object whose keys are the ids, and one group name in
/// place of a list.
///
/// ```
/// use experiment_model::User;
///
/// let user: User = serde_json::from_str(
///     r#"{"user_id": 42, "groups": {"org": "Acme"}, "cohort_ids": {"c1": {}}, "browser": "Firefox"}"#,
/// ).unwrap();
/// assert_eq!(user.user_id(), Some("42"));
/// assert_eq!(
///     user.to_context().to_string(),
///     r#"{"groups":{"org":{"group_name":"Acme"}},"user":{"user_id":"42","browser":"Firefox","cohort_ids":["c1"]}}"#,
/// );
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct User {
    fields: [Value; UserField::ALL.len()],
    properties: Option<Object>,
    cohort_ids: Option<Value>,
    groups: Groups,
    extra: Object,
}

/// Declares the builder method of every text field.
macro_rules! with_text {
    ($($(#[$doc:meta])* $method:ident = $field:ident,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $method(self, value: impl Into<Text>) -> Self {
                self.with_field(UserField::$field, value.into())
            }
        )*
    };
}

impl User {
    /// A user of whom nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    with_text! {
        /// Sets `user_id`.
        with_user_id = UserId,
        /// Sets `device_id`.
        with_device_id = DeviceId,
        /// Sets `country`.
        with_country = Country,
        /// Sets `region`.
        with_region = Region,
        /// Sets `dma`, the designated market area.
        with_dma = Dma,
        /// Sets `city`.
        with_city = City,
        /// Sets `language`.
        with_language = Language,
        /// Sets `platform`.
        with_platform = Platform,
        /// Sets `version`, the version of the application.
        with_version = Version,
        /// Sets `os`, the operating system.
        with_os = Os,
        /// Sets `device_manufacturer`.
        with_device_manufacturer = DeviceManufacturer,
        /// Sets `device_brand`.
        with_device_brand = DeviceBrand,
        /// Sets `device_model`.
        with_device_model = DeviceModel,
        /// Sets `carrier`.
        with_carrier = Carrier,
        /// Sets `library`.
        with_library = Library,
        /// Sets `ip_address`.
        with_ip_address = IpAddress,
    }

    /// Sets a field; [`Value::Null`] removes it.
    #[must_use]
    pub fn with_field(mut self, field: UserField, value: impl Into<Value>) -> Self {
        self.set_field(field, value);
        self
    }

    /// Sets one of the user's properties.
    #[must_use]
    pub fn with_user_property(mut self, key: impl Into<Text>, value: impl Into<Value>) -> Self {
        self.properties.get_or_insert_default().insert(key, value);
        self
    }

    /// Replaces all of the user's properties.
    #[must_use]
    pub fn with_user_properties(mut self, properties: Object) -> Self {
        self.properties = Some(properties);
        self
    }

    /// Adds a group; of each type only the first counts in evaluation.
    #[must_use]
    pub fn with_group(mut self, group_type: impl Into<Text>, name: impl Into<Text>) -> Self {
        self.groups
            .entry(&group_type.into())
            .names
            .push(name.into());
        self
    }

    /// Sets the properties of a group.
    #[must_use]
    pub fn with_group_properties(
        mut self,
        group_type: impl Into<Text>,
        name: impl Into<Text>,
        properties: Object,
    ) -> Self {
        self.groups
            .entry(&group_type.into())
            .properties
            .insert(name, properties);
        self
    }

    /// Sets the cohorts that the user is in.
    #[must_use]
    pub fn with_cohort_ids<T: Into<Text>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.cohort_ids = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the cohorts that a group is in.
    #[must_use]
    pub fn with_group_cohort_ids<T: Into<Text>>(
        mut self,
        group_type: impl Into<Text>,
        name: impl Into<Text>,
        ids: impl IntoIterator<Item = T>,
    ) -> Self {
        let ids: Value = ids.into_iter().map(Into::into).collect();
        self.groups
            .entry(&group_type.into())
            .cohort_ids
            .insert(name, ids);
        self
    }

    /// Sets a field that has no method of its own, such as `browser`; [`Value::Null`] removes it.
    ///
    /// # Errors
    ///
    /// [`UserFieldError`] if a known field gets a value of the wrong kind, for instance `groups` a
    /// number; the user is unchanged.
    ///
    /// ```
    /// use experiment_model::User;
    ///
    /// let user = User::new().with("browser", "Firefox").unwrap();
    /// assert_eq!(user.get("browser").unwrap().as_str(), Some("Firefox"));
    /// assert!(User::new().with("groups", 5).is_err());
    /// ```
    pub fn with(
        mut self,
        name: impl Into<Text>,
        value: impl Into<Value>,
    ) -> Result<Self, UserFieldError> {
        self.set(name.into(), value.into())?;
        Ok(self)
    }

    /// Sets a field in place, as [`with_field`](User::with_field) does.
    pub fn set_field(&mut self, field: UserField, value: impl Into<Value>) {
        if let Some(place) = self.fields.get_mut(field as usize) {
            *place = value.into();
        }
    }

    /// Sets any field by its wire name in place, as [`with`](User::with) does.
    ///
    /// # Errors
    ///
    /// [`UserFieldError`] as for [`with`](User::with).
    pub fn set(&mut self, name: Text, value: Value) -> Result<(), UserFieldError> {
        if let Some(field) = UserField::from_name(&name) {
            let value = match field {
                UserField::UserId | UserField::DeviceId => id_value(&name, value)?,
                _ => value,
            };
            self.set_field(field, value);
            return Ok(());
        }
        match name.as_str() {
            "user_properties" => self.properties = object_value(&name, value)?,
            "cohort_ids" => self.cohort_ids = ids_value(&name, &value)?,
            "groups" => {
                let groups = object_value(&name, value)?.unwrap_or_default();
                let names = groups
                    .iter()
                    .map(|(group_type, value)| Ok((group_type, group_names(&name, value)?)))
                    .collect::<Result<Vec<_>, _>>()?;
                for (group_type, names) in names {
                    self.groups.entry(group_type).names = names;
                }
            }
            "group_properties" => {
                let types = object_value(&name, value)?.unwrap_or_default();
                let properties = types
                    .iter()
                    .map(|(group_type, value)| {
                        Ok((group_type, object_value(&name, value.clone())?))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                for (group_type, properties) in properties {
                    self.groups.entry(group_type).properties = properties.unwrap_or_default();
                }
            }
            "group_cohort_ids" => {
                let types = object_value(&name, value)?.unwrap_or_default();
                let cohort_ids = types
                    .iter()
                    .map(|(group_type, value)| {
                        let names = object_value(&name, value.clone())?.unwrap_or_default();
                        let ids: Result<Object, _> = names
                            .iter()
                            .map(|(group, ids)| Ok((group.clone(), ids_value(&name, ids)?)))
                            .collect();
                        Ok((group_type, ids?))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                for (group_type, ids) in cohort_ids {
                    self.groups.entry(group_type).cohort_ids = ids;
                }
            }
            _ if value.is_null() => {
                self.extra.remove(&name);
            }
            _ => {
                self.extra.insert(name, value);
            }
        }
        Ok(())
    }

    /// The user id, if it is set and text.
    pub fn user_id(&self) -> Option<&str> {
        self.field(UserField::UserId)?.as_str()
    }

    /// The device id, if it is set and text.
    pub fn device_id(&self) -> Option<&str> {
        self.field(UserField::DeviceId)?.as_str()
    }

    /// Whether there is a user id or a device id, and not just white space. Services refuse users
    /// without, and nothing can be tracked for them.
    ///
    /// ```
    /// use experiment_model::User;
    ///
    /// assert!(User::new().with_device_id("device-1").has_id());
    /// assert!(!User::new().with_user_id(" ").has_id());
    /// ```
    pub fn has_id(&self) -> bool {
        let is_given = |id: Option<&str>| id.is_some_and(|id| !id.trim().is_empty());
        is_given(self.user_id()) || is_given(self.device_id())
    }

    /// A field, if it is set.
    #[inline]
    pub fn field(&self, field: UserField) -> Option<&Value> {
        self.fields
            .get(field as usize)
            .filter(|value| !value.is_null())
    }

    /// The user's properties, if they are set.
    #[inline]
    pub fn user_properties(&self) -> Option<&Object> {
        self.properties.as_ref()
    }

    /// The list of cohorts that the user is in, if it is set.
    pub fn cohort_ids(&self) -> Option<&Value> {
        self.cohort_ids.as_ref()
    }

    /// The user's groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// A field with a single value by its wire name, known or not.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match UserField::from_name(name) {
            Some(field) => self.field(field),
            None => self.extra.get(name),
        }
    }

    /// The fields with a single value that are set: the known ones, then the others.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        UserField::ALL
            .iter()
            .zip(&self.fields)
            .map(|(field, value)| (field.name(), value))
            .filter(|(_, value)| !value.is_null())
            .chain(self.extra.iter().map(|(key, value)| (key.as_str(), value)))
    }

    /// The evaluation context of this user: `{"groups": {…}, "user": {…}}`.
    ///
    /// This is what the JVM SDK makes of a user, and in addition unknown fields pass through and
    /// one group name may stand in place of a list (decision 10 of the evaluation notes).
    pub fn to_context(&self) -> Value {
        let mut user: Object = self
            .fields()
            .map(|(key, value)| (key, value.clone()))
            .collect();
        if let Some(properties) = &self.properties {
            user.insert("user_properties", properties.clone());
        }
        if let Some(ids) = &self.cohort_ids {
            user.insert("cohort_ids", ids.clone());
        }
        let groups: Object = self
            .groups
            .named()
            .map(|group| (group.group_type.clone(), group_context(group)))
            .collect();
        let mut context = Object::new();
        if !groups.is_empty() {
            context.insert("groups", groups);
        }
        context.insert("user", user);
        Value::Object(context)
    }
}

fn group_context(group: &Group) -> Object {
    let mut context = Object::new();
    if let Some(name) = group.name() {
        context.insert("group_name", name.clone());
    }
    if let Some(properties) = group.name_properties() {
        context.insert("group_properties", properties.clone());
    }
    if let Some(ids) = group.name_cohort_ids() {
        context.insert("cohort_ids", ids.clone());
    }
    context
}

/// A field of a user has a value of the wrong kind. The value itself is not part of the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user field `{field}`: expected {expected}, found {found}")]
#[non_exhaustive]
pub struct UserFieldError {
    /// Wire name of the field.
    pub field: Text,
    /// What the field takes.
    pub expected: &'static str,
    /// What it got.
    pub found: &'static str,
}

fn wrong(field: &Text, expected: &'static str, value: &Value) -> UserFieldError {
    UserFieldError {
        field: field.clone(),
        expected,
        found: value.kind(),
    }
}

/// The text of a scalar.
fn scalar_text(value: &Value) -> Option<Text> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(_) | Value::I64(_) | Value::F64(_) => Some(Text::from(value.to_string())),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

fn id_value(field: &Text, value: Value) -> Result<Value, UserFieldError> {
    if value.is_null() {
        return Ok(value);
    }
    let text = scalar_text(&value).ok_or_else(|| wrong(field, "text or a number", &value))?;
    Ok(Value::Text(text))
}

fn object_value(field: &Text, value: Value) -> Result<Option<Object>, UserFieldError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        other => Err(wrong(field, "an object", &other)),
    }
}

/// Ids as a list of texts, or as the keys of an object.
fn ids_value(field: &Text, value: &Value) -> Result<Option<Value>, UserFieldError> {
    match value {
        Value::Null => Ok(None),
        Value::List(ids) => ids
            .iter()
            .filter(|id| !id.is_null())
            .map(|id| {
                scalar_text(id)
                    .map(Value::Text)
                    .ok_or_else(|| wrong(field, "a list of ids", id))
            })
            .collect::<Result<Vec<Value>, _>>()
            .map(|ids| Some(Value::from(ids))),
        Value::Object(ids) => Ok(Some(ids.keys().cloned().collect())),
        other => Err(wrong(field, "a list of ids", other)),
    }
}

fn group_names(field: &Text, value: &Value) -> Result<Vec<Text>, UserFieldError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::List(names) => names
            .iter()
            .filter(|name| !name.is_null())
            .map(|name| {
                scalar_text(name).ok_or_else(|| wrong(field, "a list of group names", name))
            })
            .collect(),
        other => scalar_text(other)
            .map(|name| Vec::from([name]))
            .ok_or_else(|| wrong(field, "a list of group names", other)),
    }
}

impl fmt::Debug for User {
    /// Shows which fields are set but none of their values: users are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("User")
            .field("fields", &names)
            .field(
                "user_properties",
                &self.properties.as_ref().map_or(0, Object::len),
            )
            .field("groups", &self.groups.iter().len())
            .finish_non_exhaustive()
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields() {
            map.serialize_entry(name, value)?;
        }
        if let Some(properties) = &self.properties {
            map.serialize_entry("user_properties", properties)?;
        }
        if let Some(ids) = &self.cohort_ids {
            map.serialize_entry("cohort_ids", ids)?;
        }
        let groups = &self.groups;
        let names: Object = groups
            .iter()
            .filter(|group| !group.names.is_empty())
            .map(|group| (group.group_type.clone(), group.names.clone()))
            .collect();
        let properties: Object = groups
            .iter()
            .filter(|group| !group.properties.is_empty())
            .map(|group| (group.group_type.clone(), group.properties.clone()))
            .collect();
        let cohort_ids: Object = groups
            .iter()
            .filter(|group| !group.cohort_ids.is_empty())
            .map(|group| (group.group_type.clone(), group.cohort_ids.clone()))
            .collect();
        for (name, object) in [
            ("groups", names),
            ("group_properties", properties),
            ("group_cohort_ids", cohort_ids),
        ] {
            if !object.is_empty() {
                map.serialize_entry(name, &object)?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UserVisitor;

        impl<'de> Visitor<'de> for UserVisitor {
            type Value = User;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<User, A::Error> {
                let mut user = User::new();
                while let Some(name) = map.next_key::<Text>()? {
                    let value: Value = map.next_value().map_err(|error| {
                        A::Error::custom(format!("user field `{name}`: {error}"))
                    })?;
                    user.set(name, value).map_err(A::Error::custom)?;
                }
                Ok(user)
            }
        }

        deserializer.deserialize_map(UserVisitor)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn read(json: &str) -> User {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_user_is_written_as_it_was_read() {
        let json = concat!(
            r#"{"user_id":"u","version":"1.2.3","browser":"b","user_properties":{"a":1,"n":null},"#,
            r#""cohort_ids":["c1"],"groups":{"org":["A","B"]},"#,
            r#""group_properties":{"org":{"A":{"plan":"x"}},"team":{"T":{}}},"#,
            r#""group_cohort_ids":{"org":{"A":["g1"]}}}"#
        );
        assert_eq!(serde_json::to_string(&read(json)).unwrap(), json);
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_named_and_its_value_is_not() {
        for (json, field) in [
            (r#"{"user_id":["secret"]}"#, "user_id"),
            (r#"{"groups":"secret"}"#, "groups"),
            (r#"{"groups":{"org":[["secret"]]}}"#, "groups"),
            (
                r#"{"group_properties":{"org":["secret"]}}"#,
                "group_properties",
            ),
            (r#"{"cohort_ids":"secret"}"#, "cohort_ids"),
            (r#"{"user_properties":"secret"}"#, "user_properties"),
        ] {
            let error = serde_json::from_str::<User>(json).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("user field `{field}`: expected ")),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        let error = serde_json::from_str::<User>(r#"{"os":1e400}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("user field `os`: number out of range"),
            "{error}"
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let user = read(r#"{"user_id":"secret","user_properties":{"secret":"secret"}}"#);
        let shown: String = format!("{user:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn null_is_absent() {
        let user = read(r#"{"user_id":null,"groups":null,"cohort_ids":null,"x":null}"#);
        assert_eq!(user, User::new());
    }
}
