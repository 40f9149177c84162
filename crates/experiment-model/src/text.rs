//! [`Text`]: the string of the model.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
};
use core::{borrow::Borrow, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use smol_str::SmolStr;

/// Immutable UTF-8 text: up to 23 bytes inside the value itself, longer text shared between clones.
///
/// It reads like a `&str` and is cheap to clone, which is what keys, property values and variant
/// values need: they are short, repeated, and copied from plans into results.
///
/// Reading it through serde accepts numbers and booleans as their JSON text, because the official
/// engines do (model 2.1.1 is decoded leniently: `"values": [1, true]` is `["1", "true"]`).
/// `null`, lists and objects are errors.
///
/// ```
/// use experiment_model::Text;
///
/// let plan = Text::from("enterprise");
/// assert_eq!(plan, "enterprise");
/// assert_eq!(serde_json::from_str::<Text>("42").unwrap(), "42");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(SmolStr);

impl Text {
    /// Copies `text`.
    pub fn new(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// The text itself.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// How many bytes this text keeps on the heap: 0 up to 23 bytes of text.
    pub fn heap_size(&self) -> usize {
        if self.0.is_heap_allocated() {
            self.0.len()
        } else {
            0
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Text {
    #[inline]
    fn eq(&self, other: &str) -> bool {
        same(self.as_str().as_bytes(), other.as_bytes())
    }
}

/// Whether two texts are equal. Keys and values are short, and comparing up to 32 bytes as a few
/// numbers costs half of a call of the library's comparison.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    /// Whether the first and the last `N` bytes, which may overlap, are equal.
    #[inline]
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }

    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        33.. => a == b,
        16.. => ends::<16>(a, b),
        8.. => ends::<8>(a, b),
        4.. => ends::<4>(a, b),
        2.. => ends::<2>(a, b),
        _ => a.first() == b.first(),
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(SmolStr::from(text))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self::new(&text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_string()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::new(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text::from(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text::new(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text::from(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text::from(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
        // Debug keeps the `.0` that the token had: `1.0` stays "1.0".
        Ok(Text::from(format!("{value:?}")))
    }
}
