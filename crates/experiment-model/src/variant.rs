//! [`Variant`] and [`Variants`].

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::{object::Object, objects_only::objects_only, text::Text, value::Value};

/// One of the experiences a flag can give a user.
///
/// In a [`Flag`](crate::Flag) it stands as it was configured; as the result of an evaluation its
/// metadata are merged from flag, segment and variant. What is absent is left out of the JSON.
///
/// ```
/// use experiment_model::Variant;
///
/// let variant: Variant =
///     serde_json::from_str(r#"{"key": "on", "value": "on", "payload": {"color": "blue"}}"#).unwrap();
/// assert!(variant.is("on"));
/// assert_eq!(variant.payload.unwrap().get("color").unwrap().as_str(), Some("blue"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Variant {
    /// The key of the variant, unique within its flag. Required by the format, but engines in use
    /// answer without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Text>,
    /// What the application compares, nearly always text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Data of any shape for the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Facts about flag, segment and variant, such as `segmentName` or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

objects_only! {
    Variant: "a variant",
}

impl Variant {
    /// A variant whose key and value are `key`.
    pub fn new(key: impl Into<Text>) -> Self {
        let key = key.into();
        Self {
            value: Some(Value::Text(key.clone())),
            key: Some(key),
            ..Self::default()
        }
    }

    /// The text of the value: a string as it is, anything else as compact JSON.
    ///
    /// ```
    /// use experiment_model::{Value, Variant};
    ///
    /// let variant = Variant { value: Some(Value::from(5)), ..Variant::default() };
    /// assert_eq!(variant.value_str().as_deref(), Some("5"));
    /// ```
    pub fn value_str(&self) -> Option<Cow<'_, str>> {
        match self.value.as_ref()? {
            Value::Null => None,
            Value::Text(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    /// Whether the text of the value is `value`.
    pub fn is(&self, value: &str) -> bool {
        self.value_str().is_some_and(|text| text == value)
    }

    /// Whether this is the default variant of its flag (`metadata.default` is `true`): the user got
    /// nothing in particular.
    pub fn is_default(&self) -> bool {
        self.metadata_value("default").and_then(Value::as_bool) == Some(true)
    }

    /// An entry of the metadata.
    pub fn metadata_value(&self, key: &str) -> Option<&Value> {
        self.metadata.as_ref()?.get(key)
    }
}

/// From this many variants on, look-ups use a sorted index instead of comparing one by one.
const INDEXED_FROM: usize = 17;

/// Variants by key, in the order in which they were first inserted.
///
/// It is the `variants` of a flag (keyed by variant) and the result of fetching or evaluating
/// (keyed by flag).
///
/// ```
/// use experiment_model::{Variant, Variants};
///
/// let mut variants = Variants::new();
/// variants.insert("checkout", Variant::new("treatment"));
/// assert!(variants.get("checkout").unwrap().is("treatment"));
/// ```
#[derive(Clone, Default)]
pub struct Variants {
    entries: Vec<(Text, Variant)>,
    /// Positions sorted by key; empty while there are few.
    sorted: Vec<u32>,
}

impl Variants {
    /// No variants.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// How many variants there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The variant of `key`.
    pub fn get(&self, key: &str) -> Option<&Variant> {
        self.entries
            .get(self.position(key)?)
            .map(|(_, variant)| variant)
    }

    /// Sets `key` to `variant` and returns the one it had. A new key goes to the end.
    pub fn insert(&mut self, key: impl Into<Text>, variant: Variant) -> Option<Variant> {
        let key = key.into();
        if let Some((_, old)) = self.position(&key).and_then(|at| self.entries.get_mut(at)) {
            return Some(core::mem::replace(old, variant));
        }
        self.entries.push((key, variant));
        // Positions are 32 bits wide; 2^32 variants do not fit into memory.
        let last = u32::try_from(self.entries.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if self.entries.len() == INDEXED_FROM {
            self.sorted = (0..=last).collect();
            let entries = &self.entries;
            self.sorted
                .sort_by(|&a, &b| key_at(entries, a).cmp(key_at(entries, b)));
        } else if self.entries.len() > INDEXED_FROM {
            let key = key_at(&self.entries, last);
            let place = self
                .sorted
                .partition_point(|&at| key_at(&self.entries, at) < key);
            self.sorted.insert(place, last);
        }
        None
    }

    fn position(&self, key: &str) -> Option<usize> {
        if self.sorted.is_empty() {
            return self.entries.iter().position(|(known, _)| *known == *key);
        }
        let found = self
            .sorted
            .binary_search_by(|&at| key_at(&self.entries, at).cmp(key))
            .ok()?;
        self.sorted.get(found).map(|&at| at as usize)
    }

    /// The variants with their keys, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Variant)> {
        self.entries.iter().map(|(key, variant)| (key, variant))
    }
}

fn key_at(entries: &[(Text, Variant)], at: u32) -> &str {
    entries.get(at as usize).map_or("", |(key, _)| key.as_str())
}

impl<K: Into<Text>> FromIterator<(K, Variant)> for Variants {
    fn from_iter<I: IntoIterator<Item = (K, Variant)>>(entries: I) -> Self {
        let mut variants = Self::new();
        variants.extend(entries);
        variants
    }
}

impl<K: Into<Text>> Extend<(K, Variant)> for Variants {
    fn extend<I: IntoIterator<Item = (K, Variant)>>(&mut self, entries: I) {
        for (key, variant) in entries {
            self.insert(key, variant);
        }
    }
}

impl IntoIterator for Variants {
    type Item = (Text, Variant);
    type IntoIter = alloc::vec::IntoIter<(Text, Variant)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl PartialEq for Variants {
    /// The order does not count.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl fmt::Debug for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for Variants {
    /// Writes compact JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json: String = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl Serialize for Variants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Variants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct VariantsVisitor;

        impl<'de> Visitor<'de> for VariantsVisitor {
            type Value = Variants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of variants")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variants, A::Error> {
                let mut variants = Variants::new();
                while let Some((key, variant)) = map.next_entry::<Text, Variant>()? {
                    variants.insert(key, variant);
                }
                Ok(variants)
            }
        }

        deserializer.deserialize_map(VariantsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn many_variants_are_found_as_few_are() {
        let mut variants = Variants::new();
        for n in 0..100 {
            let key = format!("flag-{}", (n * 37) % 100);
            assert_eq!(variants.insert(key.as_str(), Variant::new("a")), None);
            assert_eq!(
                variants.insert(key.as_str(), Variant::new(key.as_str())),
                Some(Variant::new("a"))
            );
            assert_eq!(variants.len(), n + 1);
            for m in 0..=n {
                let key = format!("flag-{}", (m * 37) % 100);
                assert!(
                    variants.get(&key).is_some_and(|variant| variant.is(&key)),
                    "{n} {m}"
                );
            }
        }
        assert_eq!(variants.get("flag-100"), None);
        assert!(
            variants
                .iter()
                .next()
                .is_some_and(|(key, _)| *key == "flag-0")
        );
    }
}
