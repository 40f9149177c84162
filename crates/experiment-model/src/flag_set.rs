//! Reading a list of flags, of which each stands by itself.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::{
    Deserialize, Serialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{flag::Flag, text::Text};

/// Flags that could be read, and those that could not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlagSet {
    /// The good flags, in order.
    pub flags: Vec<Flag>,
    /// The others, in order.
    pub malformed: Vec<Malformed>,
}

impl From<Vec<Flag>> for FlagSet {
    fn from(flags: Vec<Flag>) -> Self {
        Self {
            flags,
            malformed: Vec::new(),
        }
    }
}

impl Serialize for FlagSet {
    /// Writes the good flags as an array.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.flags.serialize(serializer)
    }
}

/// A flag that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Its position among all flags, from 0.
    pub index: usize,
    /// Its key, where that could be read.
    pub key: Option<Text>,
    /// Where in the flag the problem is: `segments[0].bucket.salt`; empty for the flag as a whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "flag `{key}`")?,
            None => write!(f, "flag at position {}", self.index)?,
        }
        if !self.path.is_empty() {
            write!(f, ", `{}`", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The text is not a list of flags at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The text is not JSON.
    #[error("not JSON: {message} at line {line} column {column}")]
    Json {
        /// What is wrong.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// The text is JSON, but neither an array of flags nor an object of them.
    #[error("expected an array of flags, {message} at line {line} column {column}")]
    Shape {
        /// What was found.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
}

impl ReadError {
    fn new(error: &serde_json::Error) -> Self {
        let (message, line, column) = (message_of(error), error.line(), error.column());
        if error.is_data() {
            Self::Shape {
                message,
                line,
                column,
            }
        } else {
            Self::Json {
                message,
                line,
                column,
            }
        }
    }
}

/// What a serde_json error says, without the position behind it.
pub(crate) fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_string(),
        None => text,
    }
}

/// Reads flags from JSON: an array of flags, or an object of flags by key.
///
/// A malformed flag goes to [`FlagSet::malformed`] and takes no other flag with it. In an object a
/// flag without a `key` of its own takes the one it stands under. A byte order mark is skipped.
///
/// # Errors
///
/// [`ReadError`] if the text is not JSON or not a list of flags; then there are no flags at all.
///
/// ```
/// use experiment_model::read_flags;
///
/// let set = read_flags(br#"[{"key": "f", "variants": {}, "segments": []}, 7]"#).unwrap();
/// assert_eq!(set.flags.len(), 1);
/// assert_eq!(set.malformed[0].index, 1);
/// assert!(read_flags(b"<html>").is_err());
/// ```
pub fn read_flags(json: &[u8]) -> Result<FlagSet, ReadError> {
    let mut set = FlagSet::default();
    for_each_flag(json, |flag| match flag {
        Ok(flag) => set.flags.push(flag),
        Err(malformed) => set.malformed.push(malformed),
    })?;
    Ok(set)
}

/// Reads flags one by one, as [`read_flags`] does, without keeping them.
///
/// # Errors
///
/// [`ReadError`] as soon as the text turns out not to be a list of flags; flags before that place
/// have been handed over already, and the caller should drop what it made of them.
///
/// ```
/// use experiment_model::for_each_flag;
///
/// let mut keys = Vec::new();
/// for_each_flag(br#"{"f": {"variants": {}, "segments": []}}"#, |flag| {
///     keys.extend(flag.map(|flag| flag.key));
/// }).unwrap();
/// assert_eq!(keys, ["f"]);
/// ```
pub fn for_each_flag(
    json: &[u8],
    mut each: impl FnMut(Result<Flag, Malformed>),
) -> Result<(), ReadError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let text = core::str::from_utf8(json).map_err(|error| not_utf8(json, error.valid_up_to()))?;
    let mut handed_over = 0;
    let straight = Straight {
        each: |flag| each(Ok(flag)),
        handed_over: &mut handed_over,
    };
    if read(text, straight).is_ok() {
        return Ok(());
    }
    // Something is wrong with a flag, or with the text as a whole. Flags are now cut out first, which
    // takes longer, and read one by one.
    read(
        text,
        OneByOne {
            each,
            index: 0,
            skip: handed_over,
        },
    )
    .map_err(|error| ReadError::new(&error))
}

fn read<'de>(text: &'de str, seed: impl DeserializeSeed<'de>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut deserializer)?;
    deserializer.end()
}

fn not_utf8(json: &[u8], valid: usize) -> ReadError {
    let before = json.get(..valid).unwrap_or_default();
    let lines = before.split(|&byte| byte == b'\n').count();
    let column = before
        .iter()
        .rev()
        .take_while(|&&byte| byte != b'\n')
        .count();
    ReadError::Json {
        message: "invalid UTF-8".to_string(),
        line: lines,
        column: column.saturating_add(1),
    }
}

/// Hands every flag of an array to `each`, up to the first that cannot be read.
struct Straight<'a, F> {
    each: F,
    handed_over: &'a mut usize,
}

impl<'de, F: FnMut(Flag)> DeserializeSeed<'de> for Straight<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Flag)> Visitor<'de> for Straight<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of flags")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(flag) = seq.next_element()? {
            (self.each)(flag);
            *self.handed_over = self.handed_over.saturating_add(1);
        }
        Ok(())
    }
}

/// Cuts every flag of an array or object out, reads it by itself and hands it to `each`.
struct OneByOne<F> {
    each: F,
    index: usize,
    /// How many flags have been handed over already.
    skip: usize,
}

impl<F: FnMut(Result<Flag, Malformed>)> OneByOne<F> {
    fn flag(&mut self, json: &str, outer_key: Option<&str>) {
        if self.index < self.skip {
            self.index = self.index.saturating_add(1);
            return;
        }
        let flag = read_flag(json, outer_key).map_err(|(path, message)| Malformed {
            index: self.index,
            key: outer_key.map(Text::new).or_else(|| key_of(json)),
            path,
            message,
        });
        self.index = self.index.saturating_add(1);
        (self.each)(flag);
    }
}

fn read_flag(json: &str, outer_key: Option<&str>) -> Result<Flag, (String, String)> {
    match serde_json::from_str::<Flag>(json) {
        Ok(flag) => Ok(flag),
        Err(_) => read_flag_slowly(json, outer_key),
    }
}

/// Reads a flag that could not be read at once: with the key it stands under, or to say where it is
/// malformed.
#[cold]
fn read_flag_slowly(json: &str, outer_key: Option<&str>) -> Result<Flag, (String, String)> {
    if let Some(key) = outer_key.filter(|_| key_of(json).is_none()) {
        if let Ok(crate::Value::Object(mut flag)) = serde_json::from_str(json) {
            flag.insert("key", key);
            return read_flag(&flag.to_string(), None);
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            whole if whole == "." => String::new(),
            path => path,
        };
        (path, message_of(error.inner()))
    })
}

fn key_of(json: &str) -> Option<Text> {
    #[derive(Deserialize)]
    struct Key {
        key: Text,
    }

    serde_json::from_str::<Key>(json).ok().map(|flag| flag.key)
}

impl<'de, F: FnMut(Result<Flag, Malformed>)> DeserializeSeed<'de> for OneByOne<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Result<Flag, Malformed>)> Visitor<'de> for OneByOne<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of flags")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(flag) = seq.next_element::<&RawValue>()? {
            self.flag(flag.get(), None);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, flag)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            self.flag(flag.get(), Some(&key));
        }
        // Reads to the end of the object, so that what follows it is found by the caller.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const GOOD: &str = r#"{"key":"good","variants":{},"segments":[]}"#;

    #[test]
    fn a_malformed_flag_is_named_and_takes_no_other_with_it() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for (bad, key, path) in [
            ("7".to_string(), None, ""),
            ("null".to_string(), None, ""),
            (r#"{"variants":{},"segments":[]}"#.to_string(), None, ""),
            (r#"{"key":"b","variants":{}}"#.to_string(), Some("b"), ""),
            (r#"{"key":"b","variants":[],"segments":[]}"#.to_string(), Some("b"), "variants"),
            (
                r#"{"key":"b","variants":{},"segments":[{"conditions":[[{"selector":[],"op":"is"}]]}]}"#
                    .to_string(),
                Some("b"),
                "segments[0].conditions[0][0]",
            ),
            (
                r#"{"key":"b","variants":{"x":{"key":"x","payload":1e400}},"segments":[]}"#.to_string(),
                Some("b"),
                "variants.x.payload",
            ),
            (
                format!(r#"{{"key":"b","variants":{{}},"segments":[],"metadata":{{"d":{deep}}}}}"#),
                Some("b"),
                "metadata.d",
            ),
        ] {
            let set = read_flags(format!("[{GOOD},{bad},{GOOD}]").as_bytes()).unwrap();
            assert_eq!(set.flags.len(), 2, "{bad}");
            assert_eq!(set.malformed.len(), 1, "{bad}");
            assert_eq!(set.malformed[0].index, 1, "{bad}");
            assert_eq!(set.malformed[0].key.as_deref(), key, "{bad}");
            assert!(set.malformed[0].path.starts_with(path), "{}", set.malformed[0]);
        }
    }

    #[test]
    fn a_text_that_is_no_list_is_an_error_with_its_place() {
        assert!(matches!(
            read_flags(b"").unwrap_err(),
            ReadError::Json { line: 1, .. }
        ));
        assert!(matches!(
            read_flags(b"[\n {\"key\": }]").unwrap_err(),
            ReadError::Json {
                line: 2,
                column: 10,
                ..
            }
        ));
        assert!(matches!(
            read_flags(b"[] x").unwrap_err(),
            ReadError::Json { .. }
        ));
        assert!(matches!(
            read_flags(b"7").unwrap_err(),
            ReadError::Shape { line: 1, .. }
        ));
        assert!(matches!(
            read_flags(b"[\n\n \"\xff\"]").unwrap_err(),
            ReadError::Json {
                line: 3,
                column: 3,
                ..
            }
        ));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read_flags(b"\xef\xbb\xbf[]").unwrap(), FlagSet::default());
    }
}
