//! [`Fetched`]: what the service answered.

use std::{collections::HashMap, fmt};

use experiment_model::{Object, Text, Value, Variant, Variants};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The variants of a user.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Fetched {
    /// The variants by flag key, as the service sent them: with default variants and undeployed
    /// flags, `value` of any type, and payloads such as `0`, `false`, `""` and `null` kept. A
    /// variant that came without a `value` has none; its `key` says which it is.
    pub variants: Variants,
    /// What was sent in place of a variant and is none. The other flags are not affected.
    pub malformed: Vec<MalformedVariant>,
    /// How many requests it took.
    pub attempts: u32,
}

/// Something that was sent in place of a variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("variant of flag `{flag_key}`: {path}{}{reason}", if path.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct MalformedVariant {
    /// The flag.
    pub flag_key: String,
    /// The field that is wrong; empty if it is the variant as a whole.
    pub path: &'static str,
    /// What is wrong with it, without its content.
    pub reason: String,
}

/// Reads the body of an answer.
///
/// An error if it is no object of variants, as a sentence without content.
pub(crate) fn read(body: &[u8]) -> Result<Fetched, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Entries(entries) =
        serde_json::from_slice(body).map_err(|error| not_variants(body, &error))?;
    // Of two entries with one key the last stands, as in every JSON reader of the other SDKs.
    let last: HashMap<&str, usize> = entries
        .iter()
        .enumerate()
        .map(|(at, (key, _))| (key.as_str(), at))
        .collect();
    let mut fetched = Fetched::default();
    for (at, (key, json)) in entries.iter().enumerate() {
        if last.get(key.as_str()) != Some(&at) {
            continue;
        }
        match variant(json.get()) {
            Ok(variant) => {
                fetched.variants.insert(key.clone(), variant);
            }
            Err((path, reason)) => fetched.malformed.push(MalformedVariant {
                flag_key: key.to_string(),
                path,
                reason,
            }),
        }
    }
    Ok(fetched)
}

fn not_variants(body: &[u8], error: &serde_json::Error) -> String {
    // The text of the error may quote what it found, and so is not used.
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof if body.is_empty() => "empty".to_owned(),
        serde_json::error::Category::Eof => "ends too early".to_owned(),
        serde_json::error::Category::Data => "not an object".to_owned(),
        _ => format!("not JSON at line {line} column {column}"),
    }
}

/// Each value is cut out and read by itself, so that one that cannot be read takes no other along.
struct Entries<'a>(Vec<(Text, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of variants")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

type Wrong = (&'static str, String);

fn variant(json: &str) -> Result<Variant, Wrong> {
    let value: Value = serde_json::from_str(json)
        .map_err(|_| ("", "nested too deeply, or a number out of range".to_owned()))?;
    let fields = value
        .as_object()
        .ok_or_else(|| expected("", "an object", &value))?;
    Ok(Variant {
        key: key(fields)?,
        value: fields
            .get("value")
            .filter(|value| !value.is_null())
            .cloned(),
        payload: fields.get("payload").cloned(),
        metadata: metadata(fields)?,
    })
}

fn key(fields: &Object) -> Result<Option<Text>, Wrong> {
    match fields.get("key") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(key)) => Ok(Some(key.clone())),
        Some(scalar @ (Value::Bool(_) | Value::I64(_) | Value::F64(_))) => {
            Ok(Some(scalar.to_string().into()))
        }
        Some(other) => Err(expected("key", "text", other)),
    }
}

fn metadata(fields: &Object) -> Result<Option<Object>, Wrong> {
    match fields.get("metadata") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(metadata)) => Ok(Some(metadata.clone())),
        Some(other) => Err(expected("metadata", "an object", other)),
    }
}

fn expected(path: &'static str, what: &str, found: &Value) -> Wrong {
    (path, format!("expected {what}, found {}", found.kind()))
}
