//! [`Event`]: an analytics event.

use alloc::{format, string::ToString};
use core::fmt;

use experiment_model::{Object, Text, Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeMap};

/// An analytics event, as the event upload takes it.
///
/// Writing leaves out what is absent or empty. Reading takes `null` for absent, numbers and booleans
/// as the text of an id, and `[]` for an empty object, which PHP writes; errors name the field and the
/// kind of value found, never the value.
///
/// ```
/// use experiment_events::Event;
///
/// let json = r#"{"event_type":"checkout","user_id":"42","event_properties":{"total":9.5},"city":"Bonn"}"#;
/// let event: Event = serde_json::from_str(json)?;
/// assert_eq!(event.user_id.as_deref(), Some("42"));
/// assert_eq!(serde_json::to_string(&event)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Event {
    /// What happened, for example [`Event::EXPOSURE`].
    pub event_type: Text,
    /// Who did it.
    pub user_id: Option<Text>,
    /// On which device.
    pub device_id: Option<Text>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// Events of one device with the same insert id are counted once within 7 days.
    pub insert_id: Option<Text>,
    /// Properties of the event.
    pub event_properties: Object,
    /// Properties of the user, or the operations `$set` and `$unset` on them.
    pub user_properties: Object,
    /// Group names by group type.
    pub groups: Object,
    /// Every other field, such as `library` or `ip`, in order.
    pub extra: Object,
}

impl Event {
    /// Type of an assignment event.
    pub const ASSIGNMENT: &'static str = "[Experiment] Assignment";
    /// Type of an exposure event of the server form, and of every exposure after ingestion.
    pub const EXPOSURE: &'static str = "[Experiment] Exposure";
    /// Type of an exposure event of the client form.
    pub const CLIENT_EXPOSURE: &'static str = "$exposure";
    /// Type of an exposure to a web experiment; each one counts.
    pub const IMPRESSION: &'static str = "$impression";

    fn set(&mut self, name: Text, value: Value) -> Result<(), WrongKind> {
        match name.as_str() {
            "event_type" => self.event_type = scalar(&name, value)?.unwrap_or_default(),
            "user_id" => self.user_id = scalar(&name, value)?,
            "device_id" => self.device_id = scalar(&name, value)?,
            "insert_id" => self.insert_id = scalar(&name, value)?,
            "time" => self.time = time(&name, &value)?,
            "event_properties" => self.event_properties = object(&name, value)?,
            "user_properties" => self.user_properties = object(&name, value)?,
            "groups" => self.groups = object(&name, value)?,
            _ => drop(self.extra.insert(name, value)),
        }
        Ok(())
    }
}

/// A field of an event has a value of the wrong kind. The value is not part of it.
struct WrongKind {
    field: Text,
    expected: &'static str,
    found: &'static str,
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected,
            found,
        } = self;
        write!(
            f,
            "event field `{field}`: expected {expected}, found {found}"
        )
    }
}

fn wrong(field: &Text, expected: &'static str, value: &Value) -> WrongKind {
    WrongKind {
        field: field.clone(),
        expected,
        found: value.kind(),
    }
}

fn scalar(field: &Text, value: Value) -> Result<Option<Text>, WrongKind> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Bool(_) | Value::I64(_) | Value::F64(_) => Ok(Some(Text::from(value.to_string()))),
        Value::List(_) | Value::Object(_) => Err(wrong(field, "text or a number", &value)),
    }
}

fn time(field: &Text, value: &Value) -> Result<Option<Timestamp>, WrongKind> {
    let millis = match value {
        Value::Null => return Ok(None),
        Value::I64(millis) => Some(*millis),
        // Some SDKs send milliseconds with a fraction. The cast saturates.
        #[allow(clippy::cast_possible_truncation, reason = "fractions are cut off")]
        Value::F64(millis) if millis.is_finite() => Some(*millis as i64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let millis = millis.ok_or_else(|| wrong(field, "milliseconds", value))?;
    Ok(Some(Timestamp::from_unix_millis(millis)))
}

fn object(field: &Text, value: Value) -> Result<Object, WrongKind> {
    match value {
        Value::Null => Ok(Object::new()),
        Value::Object(object) => Ok(object),
        Value::List(list) if list.is_empty() => Ok(Object::new()),
        other => Err(wrong(field, "an object", &other)),
    }
}

impl fmt::Debug for Event {
    /// Shows the type, the time and what there is, but no ids (the insert id has them too) and no
    /// properties: events are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_type", &self.event_type)
            .field("time", &self.time)
            .field("has_user_id", &self.user_id.is_some())
            .field("has_device_id", &self.device_id.is_some())
            .field("has_insert_id", &self.insert_id.is_some())
            .field("event_properties", &self.event_properties.len())
            .field("user_properties", &self.user_properties.len())
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event_type", &self.event_type)?;
        for (name, id) in [("user_id", &self.user_id), ("device_id", &self.device_id)] {
            if let Some(id) = id {
                map.serialize_entry(name, id)?;
            }
        }
        if let Some(time) = self.time {
            map.serialize_entry("time", &time)?;
        }
        if let Some(id) = &self.insert_id {
            map.serialize_entry("insert_id", id)?;
        }
        for (name, object) in [
            ("event_properties", &self.event_properties),
            ("user_properties", &self.user_properties),
            ("groups", &self.groups),
        ] {
            if !object.is_empty() {
                map.serialize_entry(name, object)?;
            }
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Any kind is read first: serde's own message about a wrong one would quote the text.
        match Value::deserialize(deserializer)? {
            Value::Object(fields) => {
                let mut event = Event::default();
                for (name, value) in &fields {
                    event
                        .set(name.clone(), value.clone())
                        .map_err(D::Error::custom)?;
                }
                if event.event_type.is_empty() {
                    return Err(D::Error::missing_field("event_type"));
                }
                Ok(event)
            }
            other => Err(D::Error::custom(format!(
                "expected an event, found {}",
                other.kind()
            ))),
        }
    }
}
