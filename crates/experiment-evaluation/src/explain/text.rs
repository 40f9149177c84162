//! Explanations for people.

use core::fmt;

use experiment_model::Variant;

use super::{BucketStep, ConditionStep, Explanation, SegmentOutcome};

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flag `{}`: ", self.flag.key)?;
        match self.variant {
            Some(variant) => writeln!(f, "variant `{}`", key_of(variant))?,
            None => writeln!(f, "no variant ({})", self.reason())?,
        }
        for (flag, variant) in &self.dependencies {
            match variant {
                Some(variant) => {
                    writeln!(f, "  depends on `{flag}`: variant `{}`", key_of(variant))?;
                }
                None => writeln!(f, "  depends on `{flag}`: no variant")?,
            }
        }
        for segment in &self.segments {
            write!(f, "  segment {}", segment.index)?;
            if let Some(name) = segment.name() {
                write!(f, " \"{name}\"")?;
            }
            match (segment.outcome, segment.variant) {
                (SegmentOutcome::Match, Some(variant)) => {
                    writeln!(f, ": gives variant `{}`", key_of(variant))?;
                }
                (SegmentOutcome::NotTargeted, _) => writeln!(f, ": does not target the user")?,
                _ => writeln!(f, ": targets the user, but has no variant for them")?,
            }
            let conditions = self.conditions(segment);
            if segment.segment.everyone {
                writeln!(f, "    no conditions: everyone")?;
            } else if conditions.is_empty() {
                let who = if segment.outcome == SegmentOutcome::NotTargeted {
                    "nobody"
                } else {
                    "everyone"
                };
                writeln!(f, "    empty conditions: {who}")?;
            }
            let mut alternative = 0;
            for condition in conditions {
                if condition.alternative != alternative {
                    alternative = condition.alternative;
                    writeln!(f, "    or")?;
                }
                writeln!(f, "    {condition}")?;
            }
            if let Some(bucket) = &segment.bucket {
                writeln!(f, "    {bucket}")?;
            }
        }
        Ok(())
    }
}

fn key_of(variant: &Variant) -> &str {
    variant.key.as_deref().unwrap_or_default()
}

impl fmt::Display for ConditionStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More values than this are counted and not shown.
        const SHOWN: usize = 8;

        write!(f, "{} {} [", self.selector(), self.operator())?;
        for (at, value) in self.values().iter().take(SHOWN).enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{:?}", value.as_str())?;
        }
        match self.values().len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, ", … {more} more]")?,
            _ => f.write_str("]")?,
        }
        f.write_str(if self.matched {
            ": yes, it is "
        } else {
            ": no, it is "
        })?;
        if self.actual.is_null() {
            f.write_str("absent")
        } else {
            write!(f, "{}", self.actual)
        }
    }
}

impl fmt::Display for BucketStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(input), Some(slot), Some(point)) = (self.input(), self.slot(), self.point())
        else {
            let what = if self.value.is_some() {
                "empty"
            } else {
                "absent"
            };
            return write!(
                f,
                "bucket by {}: it is {what}, nothing to hash",
                self.selector()
            );
        };
        write!(
            f,
            "bucket by {}: murmur3({input:?}) = {}, slot {slot} of 100, point {point} of 42949673",
            self.selector(),
            self.hash,
        )?;
        match (self.allocation(), self.distribution()) {
            (Some((allocation, slots)), Some((distribution, points))) => write!(
                f,
                ": allocation {allocation} [{}, {}), distribution {distribution} [{}, {})",
                slots.start, slots.end, points.start, points.end,
            ),
            _ => f.write_str(": not allocated"),
        }
    }
}
