//! Explanations for programs: the form that `explanation.schema.json` describes.

use alloc::vec::Vec;

use experiment_model::Variant;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::{BucketStep, ConditionStep, Explanation, SegmentStep};

impl Serialize for Explanation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Segments<'e, 'p>(&'e Explanation<'p>);
        struct Segment<'e, 'p>(&'e Explanation<'p>, &'e SegmentStep<'p>);
        struct Dependency<'e, 'p>(&'e (&'p str, Option<&'p Variant>));

        impl Serialize for Segments<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(Some(self.0.segments.len()))?;
                for segment in &self.0.segments {
                    list.serialize_element(&Segment(self.0, segment))?;
                }
                list.end()
            }
        }

        impl Serialize for Segment<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self(explanation, segment) = self;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("index", &segment.index)?;
                if let Some(name) = segment.name() {
                    map.serialize_entry("name", name)?;
                }
                map.serialize_entry("outcome", segment.outcome.as_str())?;
                map.serialize_entry("conditions", explanation.conditions(segment))?;
                if let Some(bucket) = &segment.bucket {
                    map.serialize_entry("bucket", bucket)?;
                }
                if let Some(variant) = segment.variant {
                    map.serialize_entry("variant", &variant.key)?;
                }
                map.end()
            }
        }

        impl Serialize for Dependency<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let (flag, variant) = self.0;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("flag", flag)?;
                if let Some(variant) = variant {
                    map.serialize_entry("variant", &variant.key)?;
                }
                map.end()
            }
        }

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("flag", &self.flag.key)?;
        map.serialize_entry("reason", self.reason().as_str())?;
        if let Some(variant) = self.variant {
            map.serialize_entry("variant", variant)?;
        }
        map.serialize_entry("segments", &Segments(self))?;
        let dependencies: Vec<_> = self.dependencies.iter().map(Dependency).collect();
        map.serialize_entry("dependencies", &dependencies)?;
        map.end()
    }
}

impl Serialize for ConditionStep<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("alternative", &self.alternative)?;
        map.serialize_entry("selector", &self.selector())?;
        map.serialize_entry("op", self.operator())?;
        map.serialize_entry("values", self.values())?;
        map.serialize_entry("actual", &self.actual)?;
        map.serialize_entry("matched", &self.matched)?;
        map.end()
    }
}

impl Serialize for BucketStep<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("selector", &self.selector())?;
        map.serialize_entry("salt", self.salt())?;
        map.serialize_entry("value", &self.value)?;
        if let (Some(input), Some(slot), Some(point)) = (self.input(), self.slot(), self.point()) {
            map.serialize_entry("input", &input)?;
            map.serialize_entry("hash", &self.hash)?;
            map.serialize_entry("slot", &slot)?;
            map.serialize_entry("point", &point)?;
        }
        if let (Some((allocation, slots)), Some((distribution, points))) =
            (self.allocation(), self.distribution())
        {
            map.serialize_entry("allocation", &allocation)?;
            map.serialize_entry("slots", &[slots.start, slots.end])?;
            map.serialize_entry("distribution", &distribution)?;
            map.serialize_entry("points", &[points.start, points.end])?;
        }
        map.end()
    }
}
