//! What the stored pieces are called and look like: as the official client-side SDKs write them.

use experiment_model::{Flag, FlagSet, Object, Text, Value, Variant, Variants, read_flags};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::storage::{Piece, StorageProblem};
use crate::{flags::problem, secret::Secret};

/// Bytes of a piece, whatever the storage: some thousand flags.
pub(crate) const MAX_PIECE: usize = 16 * 1024 * 1024;

/// How many characters of the deployment key's end tell deployments apart.
const KEY_END: usize = 6;

/// Names of the pieces of one instance of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    base: String,
}

impl Names {
    pub(crate) fn new(instance: &str, deployment_key: &Secret) -> Self {
        let key = deployment_key.expose();
        let start = key
            .char_indices()
            .rev()
            .nth(KEY_END.saturating_sub(1))
            .map_or(0, |(at, _)| at);
        let end = key.get(start..).unwrap_or_default();
        Self {
            base: format!("amp-exp-{instance}-{end}"),
        }
    }

    pub(crate) fn of(&self, piece: Piece) -> String {
        let base = &self.base;
        match piece {
            Piece::Variants => base.clone(),
            Piece::Flags => format!("{base}-flags"),
            Piece::TrackingOption => format!("{base}-variants-options"),
        }
    }
}

/// Reads variants by flag key. What SDKs wrote in the past is read too: a mere text, a variant
/// without a key, and an experiment key beside the metadata.
///
/// Flag keys of damaged entries go to `damaged`.
pub(crate) fn read_variants(
    json: &[u8],
    damaged: &mut Vec<String>,
) -> Result<Variants, StorageProblem> {
    let stored: Object = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    let mut variants = Variants::new();
    for (flag_key, value) in &stored {
        match variant(value) {
            Some(variant) => drop(variants.insert(flag_key.clone(), variant)),
            None => damaged.push(flag_key.to_string()),
        }
    }
    Ok(variants)
}

fn variant(stored: &Value) -> Option<Variant> {
    if let Value::Text(text) = stored {
        return Some(Variant::new(text.clone()));
    }
    let field = |name| stored.get(name).filter(|value| !value.is_null());
    stored.as_object()?;
    let mut variant = Variant {
        value: field("value").cloned(),
        payload: stored.get("payload").cloned(),
        ..Variant::default()
    };
    variant.key = match field("key") {
        Some(key) => Some(scalar(key)?),
        None => variant.value_str().map(Text::from),
    };
    variant.metadata = match field("metadata") {
        Some(metadata) => Some(metadata.as_object()?.clone()),
        None => None,
    };
    if let Some(experiment_key) = field("expKey") {
        let metadata = variant.metadata.get_or_insert_default();
        if !metadata.contains_key("experimentKey") {
            metadata.insert("experimentKey", experiment_key.clone());
        }
    }
    Some(variant)
}

fn scalar(value: &Value) -> Option<Text> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(_) | Value::I64(_) | Value::F64(_) => Some(Text::from(value.to_string())),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

pub(crate) fn write_variants(variants: &Variants) -> Vec<u8> {
    write(&Stored(variants))
}

struct Stored<'a>(&'a Variants);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, variant)| {
            let stored = StoredVariant {
                key: variant.key.as_ref(),
                value: variant.value.as_ref(),
                payload: variant.payload.as_ref(),
                experiment_key: variant.metadata_value("experimentKey"),
                metadata: variant.metadata.as_ref(),
            };
            (key, stored)
        }))
    }
}

#[derive(Serialize)]
struct StoredVariant<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Value>,
    #[serde(rename = "expKey", skip_serializing_if = "Option::is_none")]
    experiment_key: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Object>,
}

pub(crate) fn read_stored_flags(
    json: &[u8],
    damaged: &mut Vec<String>,
) -> Result<FlagSet, StorageProblem> {
    let set = read_flags(json).map_err(|error| StorageProblem::Damaged(problem(&error)))?;
    damaged.extend(set.malformed.iter().map(|malformed| match &malformed.key {
        Some(key) => key.to_string(),
        None => format!("#{}", malformed.index),
    }));
    Ok(set)
}

pub(crate) fn write_flags(flags: &[Flag]) -> Vec<u8> {
    struct ByKey<'a>(&'a [Flag]);

    impl Serialize for ByKey<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for flag in self.0 {
                map.serialize_entry(&flag.key, flag)?;
            }
            map.end()
        }
    }

    write(&ByKey(flags))
}

#[derive(Serialize, Deserialize)]
struct Tracking {
    #[serde(rename = "trackingOption")]
    option: TrackingOption,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TrackingOption {
    Track,
    NoTrack,
}

pub(crate) fn read_tracks_assignment(json: &[u8]) -> Result<bool, StorageProblem> {
    let tracking: Tracking = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    Ok(matches!(tracking.option, TrackingOption::Track))
}

pub(crate) fn write_tracks_assignment(tracks: bool) -> Vec<u8> {
    let option = if tracks {
        TrackingOption::Track
    } else {
        TrackingOption::NoTrack
    };
    write(&Tracking { option })
}

fn write(piece: &impl Serialize) -> Vec<u8> {
    // Maps with text keys and finite or null numbers are always JSON.
    serde_json::to_vec(piece).unwrap_or_default()
}

/// What serde_json says can quote the content; where it is cannot.
fn not_json(error: &serde_json::Error) -> StorageProblem {
    let what = if error.is_data() {
        "not the expected JSON"
    } else {
        "not JSON"
    };
    StorageProblem::Damaged(format!(
        "{what} at line {} column {}",
        error.line(),
        error.column()
    ))
}
