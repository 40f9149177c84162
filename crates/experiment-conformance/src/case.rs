//! [`Case`]: one conformance case.

use std::collections::BTreeMap;

use experiment_model::{Text, Value, Variants};
use serde::{Deserialize, Serialize};

/// Flags, a context, and the variants that evaluating them must give
/// (`case.schema.json` describes the JSON form).
///
/// ```
/// use experiment_conformance::Case;
///
/// let case: Case = serde_json::from_str(r#"{"name": "nothing", "flags": [], "context": {}, "expected": {}}"#).unwrap();
/// assert!(case.expected_variants().unwrap().is_empty());
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Case {
    /// Unique within its subject.
    pub name: String,
    /// The flags as they would come from a service, malformed ones included.
    pub flags: Value,
    /// The evaluation context.
    pub context: Value,
    /// What the canonical engine answers: variants by flag key, or `{"error": class}` where it
    /// aborts.
    pub expected: Value,
    /// What is right where that is not the canonical answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Value>,
    /// Why, if the case does not speak for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How to evaluate, if not by default.
    #[serde(default)]
    pub options: CaseOptions,
    /// Official engines that give the expected answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agree: Vec<Text>,
    /// What the other official engines answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub differ: BTreeMap<String, Value>,
}

/// How a case is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CaseOptions {
    /// Regular expressions search in the property instead of matching all of it.
    pub regex_search: bool,
}

impl Case {
    /// A case with nothing but the required fields.
    pub fn new(name: impl Into<String>, flags: Value, context: Value, expected: Value) -> Self {
        Self {
            name: name.into(),
            flags,
            context,
            expected,
            ours: None,
            why: None,
            options: CaseOptions::default(),
            agree: Vec::new(),
            differ: BTreeMap::new(),
        }
    }

    /// The variants that must come out; `None` if the canonical engine aborts and nothing else is
    /// said.
    pub fn expected_variants(&self) -> Option<Variants> {
        let expected = self.ours.as_ref().unwrap_or(&self.expected);
        if expected
            .get("error")
            .is_some_and(|error| error.as_str().is_some())
        {
            return None;
        }
        variants(expected)
    }
}

/// Reads variants by flag key, with absent for null and for empty metadata.
pub(crate) fn variants(value: &Value) -> Option<Variants> {
    serde_json::from_str(&value.to_string()).ok().map(normalize)
}

/// Absent and null, and absent and empty metadata, count as equal.
pub(crate) fn normalize(variants: Variants) -> Variants {
    variants
        .into_iter()
        .map(|(key, mut variant)| {
            variant.value = variant.value.filter(|value| !value.is_null());
            variant.payload = variant.payload.filter(|payload| !payload.is_null());
            variant.metadata = variant.metadata.filter(|metadata| !metadata.is_empty());
            (key, variant)
        })
        .collect()
}
