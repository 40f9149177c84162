//! [`transform`]: what ingestion makes of a client's exposure.

use alloc::string::ToString;

use experiment_model::{Object, Text, Value};

use crate::{event::Event, name};

/// An exposure event cannot be transformed. Values are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// A required event property is missing, `null` or empty.
    #[error("event property `{field}` is missing")]
    #[non_exhaustive]
    Missing {
        /// Name of the property, before transformation.
        field: &'static str,
    },
    /// An event property is a list or an object.
    #[error("event property `{field}`: expected text, found {found}")]
    #[non_exhaustive]
    NotText {
        /// Name of the property, before transformation.
        field: &'static str,
        /// What it is, for example `a list`.
        found: &'static str,
    },
}

impl TransformError {
    /// Name of the event property at fault: `flag_key`, `variant` or `experiment_key`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Missing { field } | Self::NotText { field, .. } => field,
        }
    }
}

/// Turns a `$exposure` into the `[Experiment] Exposure` that analysis reads: its properties are
/// renamed, and the experiment user property of the flag is set, or unset if there is no variant.
///
/// Other events come back as they are, and so does a transformed one. Properties that the document
/// does not name, such as `metadata`, stay; numbers and booleans become text; other operations on user
/// properties stay.
///
/// # Errors
///
/// [`TransformError`] if `flag_key` is missing, or if one of the three properties is a list or an
/// object.
///
/// ```
/// use experiment_events::{Event, transform};
///
/// let json = r#"{"event_type":"$exposure","event_properties":{"flag_key":"checkout","variant":"on"}}"#;
/// let event = transform(serde_json::from_str(json)?)?;
/// assert_eq!(event.event_type, Event::EXPOSURE);
/// assert_eq!(event.user_properties.to_string(), r#"{"$set":{"[Experiment] checkout":"on"}}"#);
///
/// let json = r#"{"event_type":"$exposure","event_properties":{"variant":"on"}}"#;
/// assert_eq!(transform(serde_json::from_str(json)?).unwrap_err().field(), "flag_key");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn transform(event: Event) -> Result<Event, TransformError> {
    if event.event_type != Event::CLIENT_EXPOSURE {
        return Ok(event);
    }
    let properties = &event.event_properties;
    let flag_key = text(properties, name::client::FLAG_KEY)?.ok_or(TransformError::Missing {
        field: name::client::FLAG_KEY,
    })?;
    let variant = text(properties, name::client::VARIANT)?;
    let experiment_key = text(properties, name::client::EXPERIMENT_KEY)?;

    let mut renamed = Object::new();
    for (key, value) in properties {
        match key.as_str() {
            name::client::FLAG_KEY => drop(renamed.insert(name::FLAG_KEY, flag_key.clone())),
            name::client::VARIANT => {
                if let Some(variant) = &variant {
                    renamed.insert(name::VARIANT, variant.clone());
                }
            }
            name::client::EXPERIMENT_KEY => {
                if let Some(experiment_key) = &experiment_key {
                    renamed.insert(name::EXPERIMENT_KEY, experiment_key.clone());
                }
            }
            // What the client form says stands over a property that looks transformed already.
            name::FLAG_KEY | name::VARIANT | name::EXPERIMENT_KEY => {}
            _ => drop(renamed.insert(key.clone(), value.clone())),
        }
    }

    let property = name::user_property(&flag_key);
    let mut user_properties = event.user_properties.clone();
    let (operation, opposite, value) = match variant {
        Some(variant) => (name::SET, name::UNSET, variant),
        None => (name::UNSET, name::SET, Text::new(name::UNSET_VALUE)),
    };
    if let Some(Value::Object(mut others)) = user_properties.get(opposite).cloned() {
        if others.remove(&property).is_some() {
            user_properties.insert(opposite, others);
        }
    }
    let mut changed = match user_properties.get(operation) {
        Some(Value::Object(changed)) => changed.clone(),
        // PHP writes `[]` for an empty object.
        _ => Object::new(),
    };
    changed.insert(property, value);
    user_properties.insert(operation, changed);

    Ok(Event {
        event_type: Text::new(Event::EXPOSURE),
        event_properties: renamed,
        user_properties,
        ..event
    })
}

/// The text of a property; none if it is missing, `null` or empty.
fn text(properties: &Object, field: &'static str) -> Result<Option<Text>, TransformError> {
    let text = match properties.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => Some(text.clone()),
        Some(scalar @ (Value::Bool(_) | Value::I64(_) | Value::F64(_))) => {
            Some(Text::from(scalar.to_string()))
        }
        Some(other) => {
            return Err(TransformError::NotText {
                field,
                found: other.kind(),
            });
        }
    };
    Ok(text.filter(|text| !text.is_empty()))
}
