//! The evaluation form of a flag (model 2.1.1), field by field as it stands on the wire.
//!
//! Reading ignores unknown fields, takes `null` for absent where a field is optional, and accepts
//! numbers and booleans where text is expected ([`Text`]).

use alloc::vec::Vec;
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use crate::{
    object::Object, objects_only::objects_only, operator::Operator, text::Text, variant::Variants,
};

/// A flag or experiment, ready to be evaluated.
///
/// ```
/// use experiment_model::Flag;
///
/// let flag: Flag = serde_json::from_str(r#"{
///     "key": "new-search",
///     "variants": {"on": {"key": "on", "value": "on"}},
///     "segments": [{"variant": "on"}]
/// }"#).unwrap();
/// assert_eq!(flag.segments.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Flag {
    /// The key by which applications ask for the flag. Required.
    pub key: Text,
    /// What users can get, by variant key. Required, may be empty.
    pub variants: Variants,
    /// Whom the flag targets; the first segment that gives a variant wins. Required, may be empty.
    pub segments: Vec<Segment>,
    /// Keys of the flags whose results conditions of this flag read; they are evaluated first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<Text>>,
    /// Facts about the flag that every variant it gives carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

/// A group of users and what they get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Segment {
    /// How matching users are split. Without it all get [`variant`](Segment::variant).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Whom the segment targets: one of the inner lists must hold in full. Absent: everyone.
    /// An empty outer list is nobody, an empty inner list is everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Vec<Condition>>>,
    /// The variant of users that no distribution of the bucket takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Text>,
    /// Facts about the segment, such as `segmentName`, that the variant it gives carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

/// A comparison of one property with values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Condition {
    /// Which property. Required.
    pub selector: Selector,
    /// How it is compared, `op` on the wire. Required.
    #[serde(rename = "op")]
    pub operator: Operator,
    /// What it is compared with; a set, duplicates do not count. Required, may be empty.
    pub values: Vec<Text>,
}

/// A path to a property: `["context", "user", "user_id"]` or `["result", "flag-key", "key"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(
    /// The keys from the outside in.
    pub Vec<Text>,
);

impl<T: Into<Text>> FromIterator<T> for Selector {
    fn from_iter<I: IntoIterator<Item = T>>(keys: I) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Selector {
    /// Joins the keys with dots: `context.user.user_id`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(key)?;
        }
        Ok(())
    }
}

/// Splits the users of a segment by a hash of one of their properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Bucket {
    /// The property that is hashed. Users without it get the segment's variant. Required.
    pub selector: Selector,
    /// Hashed in front of the property, so that flags split users differently. Required.
    pub salt: Text,
    /// Which users take part. Required.
    pub allocations: Vec<Allocation>,
}

/// A part of all users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Allocation {
    /// `[start, end)` out of 100 slots: `start <= hash % 100 < end`. Required; kept as sent, only
    /// the first two numbers count, and fewer than two never match.
    #[serde(deserialize_with = "range")]
    pub range: Vec<i64>,
    /// Which variants they get. Required.
    pub distributions: Vec<Distribution>,
}

/// A part of the users of an [`Allocation`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Distribution {
    /// Key of the variant. Required.
    pub variant: Text,
    /// `[start, end)` out of 42,949,673 points: `start <= hash / 100 < end`. Required; kept as sent,
    /// only the first two numbers count, and fewer than two never match.
    #[serde(deserialize_with = "range")]
    pub range: Vec<i64>,
}

objects_only! {
    Flag: "a flag",
    Segment: "a segment",
    Condition: "a condition",
    Bucket: "a bucket",
    Allocation: "an allocation",
    Distribution: "a distribution",
}

/// Reads the integers of a range. Integral doubles (`100.0`) are accepted as most engines do.
fn range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    struct RangeVisitor;

    impl<'de> Visitor<'de> for RangeVisitor {
        type Value = Vec<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of integers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<i64>, A::Error> {
            let mut range = Vec::with_capacity(2);
            while let Some(Bound(bound)) = seq.next_element()? {
                range.push(bound);
            }
            Ok(range)
        }
    }

    deserializer.deserialize_seq(RangeVisitor)
}

struct Bound(i64);

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoundVisitor;

        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Bound, E> {
                Ok(Bound(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Bound, E> {
                i64::try_from(value)
                    .map(Bound)
                    .map_err(|_| E::custom("integer out of range"))
            }

            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "both casts are exact for integers up to 2^53, which is what is checked"
            )]
            fn visit_f64<E: Error>(self, value: f64) -> Result<Bound, E> {
                // 2^53: every integer up to here is a double of its own.
                const LARGEST: f64 = 9_007_199_254_740_992.0;
                #[allow(clippy::float_cmp, reason = "an integral double equals its truncation")]
                if (-LARGEST..=LARGEST).contains(&value) && (value as i64) as f64 == value {
                    return Ok(Bound(value as i64));
                }
                Err(E::custom("expected an integer, found a fraction"))
            }
        }

        deserializer.deserialize_any(BoundVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_flag_is_written_as_it_was_read() {
        let json = concat!(
            r#"{"key":"f","variants":{"b":{"key":"b","value":1,"payload":{"z":1,"a":[0.5]}},"a":{"key":"a"}},"#,
            r#""segments":[{"bucket":{"selector":["context","user","user_id"],"salt":"s","allocations":"#,
            r#"[{"range":[-5,100,7],"distributions":[{"variant":"b","range":[0,42949673]}]}]},"#,
            r#""conditions":[[{"selector":[],"op":"is like","values":["x","x"]}],[]],"variant":"a","metadata":{"n":1.0}}],"#,
            r#""dependencies":["g"],"metadata":{}}"#
        );
        let flag: Flag = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&flag).unwrap(), json);
    }

    #[test]
    fn scalars_stand_for_text_and_integral_doubles_for_integers() {
        let condition: Condition =
            serde_json::from_str(r#"{"selector":["a",1],"op":"is","values":[1,true,1.5]}"#)
                .unwrap();
        assert_eq!(condition.values, ["1", "true", "1.5"]);
        let allocation: Allocation =
            serde_json::from_str(r#"{"range":[0.0,100.0],"distributions":[]}"#).unwrap();
        assert_eq!(allocation.range, [0, 100]);
        for range in ["[0.5]", "[1e300]", "[null]", "null", "5", r#"["a"]"#] {
            let json = alloc::format!(r#"{{"range":{range},"distributions":[]}}"#);
            assert!(
                serde_json::from_str::<Allocation>(&json).is_err(),
                "{range}"
            );
        }
    }

    #[test]
    fn a_list_of_values_is_no_object() {
        for json in [
            r#"["f", {}, []]"#,
            r#"{"key":"f","variants":{},"segments":[[null,null,"on",null]]}"#,
            r#"{"key":"f","variants":{},"segments":[{"conditions":[[[["context"],"is",[]]]]}]}"#,
            r#"{"key":"f","variants":{},"segments":[{"bucket":[["context"],"s",[]]}]}"#,
            r#"{"key":"f","variants":{"on":["on",null,null,null]},"segments":[]}"#,
        ] {
            assert!(serde_json::from_str::<Flag>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn null_is_absent_where_a_field_is_optional_and_an_error_where_it_is_not() {
        let segment: Segment = serde_json::from_str(
            r#"{"bucket":null,"conditions":null,"variant":null,"metadata":null}"#,
        )
        .unwrap();
        assert_eq!(segment, Segment::default());
        assert!(
            serde_json::from_str::<Flag>(r#"{"key":"f","variants":{},"segments":null}"#).is_err()
        );
    }
}
