//! [`Value`]: any JSON value.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use crate::{
    object::{Object, read_entries},
    text::Text,
};

/// Any JSON value, with ordered objects and with integers and doubles told apart.
///
/// `serde_json::Value` keeps the order of objects only with std, so this crate has its own.
///
/// Numbers: an integer token within `i64` is an [`I64`](Value::I64), every other number a double:
/// `1e3`, `1.0`, `-0` and integers beyond `i64`. Clones share lists, objects and long texts.
///
/// ```
/// use experiment_model::Value;
///
/// let value: Value = serde_json::from_str(r#"{"size": 12, "ratio": 0.5}"#).unwrap();
/// assert_eq!(value.get("size"), Some(&Value::I64(12)));
/// assert_eq!(value.to_string(), r#"{"size":12,"ratio":0.5}"#);
/// ```
#[derive(Clone, Default, PartialEq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// Any other number. JSON has no NaN and no infinities: they are written as `null`.
    F64(f64),
    /// A string.
    Text(Text),
    /// An array.
    List(Arc<Vec<Value>>),
    /// An object.
    Object(Object),
}

impl Value {
    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if this is `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is an integer within `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I64(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// The entries, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The value of `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// What kind of JSON value this is, as a word for messages: `a list`, `a number`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::I64(_) | Self::F64(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Text(value) => fmt::Debug::fmt(value, f),
            Self::List(values) => f.debug_list().entries(values.iter()).finish(),
            Self::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Display for Value {
    /// Writes compact JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::I64(i64::from(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::I64(i64::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<u64> for Value {
    /// Beyond `i64::MAX` the nearest double, as when it is read from JSON.
    #[allow(clippy::cast_precision_loss, reason = "documented: the nearest double")]
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::F64(value as f64), Self::I64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::F64(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Text::new(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Text::from(text))
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    /// `None` is `null`.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(Arc::new(values.into_iter().map(Into::into).collect()))
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Self::I64(value),
                (None, Some(value)) => Self::F64(value),
                (None, None) => Self::Null,
            },
            serde_json::Value::String(text) => Self::from(text),
            serde_json::Value::Array(values) => values.into_iter().collect(),
            serde_json::Value::Object(map) => Self::Object(map.into_iter().collect()),
        }
    }
}

impl From<&Value> for serde_json::Value {
    /// NaN and infinities become `null`; without serde_json's `preserve_order` objects are sorted.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::from(*value),
            Value::I64(value) => Self::from(*value),
            Value::F64(value) => Self::from(*value),
            Value::Text(text) => Self::from(text.as_str()),
            Value::List(values) => values.iter().map(Self::from).collect(),
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| (key.as_str().to_string(), Self::from(value)))
                .collect(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::Text(text) => text.serialize(serializer),
            Self::List(values) => serializer.collect_seq(values.iter()),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// The key under which serde_json hands over a number when some crate of the build has switched on
/// its `arbitrary_precision`.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::I64(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::F64(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(Arc::new(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(key) = map.next_key::<Text>()? else {
            return Ok(Value::Object(Object::new()));
        };
        let first: Value = map.next_value()?;
        if let (NUMBER_TOKEN, Some(token)) = (key.as_str(), first.as_str()) {
            let number = token.parse::<i64>().map(Value::I64);
            return number
                .or_else(|_| token.parse::<f64>().map(Value::F64))
                .map_err(|_| Error::custom("number out of range"));
        }
        read_entries(&mut map, Some((key, first))).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_integer_tokens_within_i64_are_integers() {
        assert_eq!(read("9223372036854775807"), Value::I64(i64::MAX));
        assert_eq!(
            read("9223372036854775808"),
            Value::F64(9_223_372_036_854_775_808.0)
        );
        assert_eq!(read("1e3"), Value::F64(1000.0));
        assert_eq!(read("1.0"), Value::F64(1.0));
        assert!(matches!(read("-0"), Value::F64(zero) if zero == 0.0 && zero.is_sign_negative()));
        assert!(serde_json::from_str::<Value>("1e400").is_err());
    }

    #[test]
    fn a_double_is_read_to_the_last_bit() {
        for token in [
            "0.1",
            "5e-324",
            "1.7976931348623157e308",
            "123456789.12345679",
        ] {
            assert_eq!(read(token), Value::F64(token.parse().unwrap()));
        }
    }

    #[test]
    fn json_is_written_as_it_was_read() {
        for json in [
            r#"{"b":1,"a":[null,true,-0.0,1.5,"x\ny"],"":{}}"#,
            "[]",
            "1000.0",
            "12",
        ] {
            assert_eq!(read(json).to_string(), json);
        }
    }

    #[test]
    fn conversion_to_serde_json_and_back_keeps_the_value() {
        let value = read(r#"{"a":[null,true,1,1.5,"x",{"b":{}}]}"#);
        assert_eq!(Value::from(serde_json::Value::from(&value)), value);
    }
}
