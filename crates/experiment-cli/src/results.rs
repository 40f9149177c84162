//! Results as JSON.

use experiment_evaluation::Evaluation;
use experiment_model::{Object, Value, Variant};
use serde::{Serialize, Serializer};

/// The variants of an evaluation by flag key, without what is null or empty.
pub(crate) struct Variants<'e, 'p>(pub(crate) &'e Evaluation<'p>);

/// A variant without what is null or empty.
#[derive(Serialize)]
pub(crate) struct Sparse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Object>,
}

impl<'a> From<&'a Variant> for Sparse<'a> {
    fn from(variant: &'a Variant) -> Self {
        Self {
            key: variant.key.as_deref(),
            value: variant.value.as_ref().filter(|value| !value.is_null()),
            payload: variant.payload.as_ref().filter(|value| !value.is_null()),
            metadata: variant.metadata.as_ref().filter(|map| !map.is_empty()),
        }
    }
}

impl Serialize for Variants<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(key, variant)| (key, Sparse::from(variant))),
        )
    }
}

/// Appends a value as a line of JSON.
pub(crate) fn write_line<T: Serialize>(output: &mut Vec<u8>, value: &T) {
    // Neither the values nor a vector can fail to be written.
    let _ = serde_json::to_writer(&mut *output, value);
    output.push(b'\n');
}
