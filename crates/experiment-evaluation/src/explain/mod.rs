//! [`Explanation`]: why a flag gives the variant it gives.

mod json;
mod text;

use alloc::{format, string::String, vec::Vec};
use core::{fmt, ops::Range};

use experiment_model::{Object, Operator, Selector, Text, Value, Variant};

use crate::{
    bucket::slot_and_point,
    context::{Context, Node},
    plan::{
        Blocked, CompiledBucket, CompiledCondition, CompiledDistribution, CompiledFlag,
        CompiledSegment, Plan, ResultField, Source,
    },
    walk::{Direct, Outcome, Root, Split, Visitor, Walk, with_results},
};

/// Why a flag gives the variant it gives: segment by segment and condition by condition what was
/// compared with what, and how the user was hashed. The segments behind the one that gave the
/// variant were not looked at and are not in it.
///
/// `Display` writes it for people. As JSON (`explanation.schema.json` beside the conformance cases)
/// it is for programs. It shows properties of the user: treat it as personal data.
///
/// ```
/// use experiment_evaluation::{Options, Plan, Reason};
/// use experiment_model::User;
///
/// let plan = Plan::from_json(br#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [
///     {"variant": "on", "metadata": {"segmentName": "All"}, "bucket": {"selector": ["context", "user", "user_id"],
///      "salt": "s4lt", "allocations": [{"range": [0, 100], "distributions": [{"variant": "on", "range": [0, 42949673]}]}]}}
/// ]}]"#, &Options::default())?;
/// let explanation = plan.explain(&User::new().with_user_id("user-1"), "f").unwrap();
/// assert_eq!(explanation.reason(), Reason::Match);
/// let bucket = explanation.segments()[0].bucket().unwrap();
/// assert_eq!(bucket.input().as_deref(), Some("s4lt/user-1"));
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub struct Explanation<'p> {
    plan: &'p Plan,
    flag: &'p CompiledFlag,
    variant: Option<&'p Variant>,
    segments: Vec<SegmentStep<'p>>,
    conditions: Vec<ConditionStep<'p>>,
    dependencies: Vec<(&'p str, Option<&'p Variant>)>,
}

/// Why a flag gave a variant or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The last segment looked at gave the variant.
    Match,
    /// No segment gave one.
    NoMatch,
    /// The flag depends on itself.
    DependencyCycle,
    /// The flag depends on flags that depend on themselves.
    DependsOnCycle,
    /// More flags depend on each other in a row than `Limits::dependency_depth` allows.
    DependencyDepth,
    /// A condition has more values than `Limits::values` allows.
    TooManyValues,
}

impl Reason {
    /// The stable text in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::NoMatch => "no-match",
            Self::DependencyCycle => "dependency-cycle",
            Self::DependsOnCycle => "depends-on-cycle",
            Self::DependencyDepth => "dependency-depth",
            Self::TooManyValues => "too-many-values",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened at one segment.
pub struct SegmentStep<'p> {
    index: usize,
    segment: &'p CompiledSegment,
    outcome: SegmentOutcome,
    conditions: Range<usize>,
    bucket: Option<BucketStep<'p>>,
    variant: Option<&'p Variant>,
}

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SegmentOutcome {
    /// Its conditions do not hold for the user.
    NotTargeted,
    /// They hold, but the segment has no variant for the user.
    NoVariant,
    /// It gave the variant.
    Match,
}

impl SegmentOutcome {
    /// The stable text in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTargeted => "not-targeted",
            Self::NoVariant => "no-variant",
            Self::Match => "match",
        }
    }
}

/// One comparison.
pub struct ConditionStep<'p> {
    condition: &'p CompiledCondition,
    alternative: usize,
    matched: bool,
    actual: Value,
}

/// How a user was hashed and what took them.
pub struct BucketStep<'p> {
    bucket: &'p CompiledBucket,
    value: Option<Text>,
    hash: u32,
    taken: Option<&'p CompiledDistribution>,
}

impl<'p> Explanation<'p> {
    pub(crate) fn new(
        plan: &'p Plan,
        context: &dyn Context,
        at: u32,
        flag: &'p CompiledFlag,
    ) -> Self {
        let mut explanation = Self {
            plan,
            flag,
            variant: None,
            segments: Vec::new(),
            conditions: Vec::new(),
            dependencies: Vec::new(),
        };
        if flag.blocked.is_some() {
            return explanation;
        }
        let root = Root(context);
        let variant = with_results(plan, &root, at, |results| {
            for &dependency in &flag.dependencies {
                let variant = plan.variants.get(results.variant(dependency) as usize);
                if let Some(flag) = plan.flags.get(dependency as usize) {
                    explanation.dependencies.push((flag.key.as_str(), variant));
                }
            }
            let mut walk = Walk {
                plan,
                root: &root,
                slots: Direct,
                results,
            };
            walk.flag(flag, &mut explanation)
        });
        explanation.variant = plan.variants.get(variant as usize);
        explanation
    }

    /// The key of the flag.
    pub fn flag_key(&self) -> &'p str {
        &self.flag.key
    }

    /// The variant: always the one that [`Plan::variant`] answers.
    pub fn variant(&self) -> Option<&'p Variant> {
        self.variant
    }

    /// Why the flag gave a variant or none.
    pub fn reason(&self) -> Reason {
        match (self.flag.blocked, self.variant) {
            (Some(Blocked::Cycle), _) => Reason::DependencyCycle,
            (Some(Blocked::DependsOnCycle), _) => Reason::DependsOnCycle,
            (Some(Blocked::Depth), _) => Reason::DependencyDepth,
            (Some(Blocked::Values), _) => Reason::TooManyValues,
            (None, Some(_)) => Reason::Match,
            (None, None) => Reason::NoMatch,
        }
    }

    /// The segments that were looked at, in order.
    pub fn segments(&self) -> &[SegmentStep<'p>] {
        &self.segments
    }

    /// The comparisons that were made at a segment, in order. Of an alternative whose last
    /// comparison did not match, that one is the first that fails; those behind it were not made.
    pub fn conditions(&self, segment: &SegmentStep<'p>) -> &[ConditionStep<'p>] {
        self.conditions
            .get(segment.conditions.clone())
            .unwrap_or_default()
    }

    /// The comparison because of which a segment does not target the user, if there is one: the
    /// first that fails.
    pub fn first_failing(&self, segment: &SegmentStep<'p>) -> Option<&ConditionStep<'p>> {
        if segment.outcome != SegmentOutcome::NotTargeted {
            return None;
        }
        self.conditions(segment)
            .iter()
            .find(|condition| !condition.matched)
    }

    /// The flags that this one depends on directly, and the variants they gave.
    pub fn dependencies(&self) -> &[(&'p str, Option<&'p Variant>)] {
        &self.dependencies
    }
}

impl<'p> Visitor<'p> for Explanation<'p> {
    fn segment(&mut self, index: usize, segment: &'p CompiledSegment) {
        self.segments.push(SegmentStep {
            index,
            segment,
            outcome: SegmentOutcome::NotTargeted,
            conditions: self.conditions.len()..self.conditions.len(),
            bucket: None,
            variant: None,
        });
    }

    fn condition(
        &mut self,
        alternative: usize,
        condition: &'p CompiledCondition,
        node: Node<'_>,
        matched: bool,
    ) {
        let actual = value_of(node, self.plan.options.limits.nesting);
        self.conditions.push(ConditionStep {
            condition,
            alternative,
            matched,
            actual,
        });
        if let Some(segment) = self.segments.last_mut() {
            segment.conditions.end = self.conditions.len();
        }
    }

    fn bucket(&mut self, bucket: &'p CompiledBucket, split: Split<'p, '_>) {
        if let Some(segment) = self.segments.last_mut() {
            segment.bucket = Some(BucketStep {
                bucket,
                value: split.value.map(Text::new),
                hash: split.hash,
                taken: split.taken,
            });
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        (segment.outcome, segment.variant) = match outcome {
            Outcome::NotTargeted => (SegmentOutcome::NotTargeted, None),
            Outcome::NoVariant => (SegmentOutcome::NoVariant, None),
            Outcome::Variant(variant) => (
                SegmentOutcome::Match,
                self.plan.variants.get(variant as usize),
            ),
        };
    }
}

/// A copy of what stood in the context. Sets that cannot be listed become their size.
fn value_of(node: Node<'_>, nesting: usize) -> Value {
    let Some(inner) = nesting.checked_sub(1) else {
        return Value::Null;
    };
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(value),
        Node::I64(value) => Value::I64(value),
        Node::F64(value) => Value::F64(value),
        Node::Text(text) => Value::from(text),
        Node::List(list) => (0..list.len())
            .map(|index| value_of(list.get(index), inner))
            .collect(),
        Node::Object(fields) => {
            let mut object = Object::new();
            fields.for_each(&mut |key, node| {
                object.insert(key, value_of(node, inner));
            });
            Value::Object(object)
        }
        Node::Members(members) => {
            let size = i64::try_from(members.len()).unwrap_or(i64::MAX);
            Value::Object(Object::from_iter([("members", size)]))
        }
    }
}

impl<'p> SegmentStep<'p> {
    /// Its position in the flag, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its `segmentName`.
    pub fn name(&self) -> Option<&'p str> {
        self.segment.name.as_deref()
    }

    /// How it ended.
    pub fn outcome(&self) -> SegmentOutcome {
        self.outcome
    }

    /// How the user was hashed; `None` if the segment does not target or does not split them.
    pub fn bucket(&self) -> Option<&BucketStep<'p>> {
        self.bucket.as_ref()
    }

    /// The variant it gave.
    pub fn variant(&self) -> Option<&'p Variant> {
        self.variant
    }
}

impl<'p> ConditionStep<'p> {
    /// In which of the segment's lists of conditions it stands, from 0; one must hold in full.
    pub fn alternative(&self) -> usize {
        self.alternative
    }

    /// Which property was compared.
    pub fn selector(&self) -> Selector {
        selector(&self.condition.source)
    }

    /// How.
    pub fn operator(&self) -> &'p Operator {
        &self.condition.matcher.operator
    }

    /// With what.
    pub fn values(&self) -> &'p [Text] {
        self.condition.matcher.values.values()
    }

    /// What the property was; `null` if it was absent. A set that cannot be listed is shown as
    /// `{"members": <size>}`.
    pub fn actual(&self) -> &Value {
        &self.actual
    }

    /// Whether the condition holds.
    pub fn matched(&self) -> bool {
        self.matched
    }
}

impl<'p> BucketStep<'p> {
    /// Which property was hashed.
    pub fn selector(&self) -> Selector {
        selector(&self.bucket.source)
    }

    /// What is hashed in front of it.
    pub fn salt(&self) -> &'p str {
        &self.bucket.salt
    }

    /// The text of the property; `None` if it was absent, and then nothing was hashed. Empty text
    /// is not hashed either.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The text that was hashed: salt, slash, value.
    pub fn input(&self) -> Option<String> {
        let value = self.value.as_deref().filter(|value| !value.is_empty())?;
        Some(format!("{}/{value}", self.bucket.salt))
    }

    /// Its hash: `MurmurHash3` x86 32-bit with seed 0.
    pub fn hash(&self) -> Option<u32> {
        self.input().map(|_| self.hash)
    }

    /// The slot that allocations divide: `hash % 100`.
    pub fn slot(&self) -> Option<u32> {
        self.hash().map(|hash| slot_and_point(hash).0)
    }

    /// The point that distributions divide: `hash / 100`.
    pub fn point(&self) -> Option<u32> {
        self.hash().map(|hash| slot_and_point(hash).1)
    }

    /// Position of the allocation that took the user, and the slots it covers.
    pub fn allocation(&self) -> Option<(usize, Range<u32>)> {
        self.taken
            .map(|taken| (usize::from(taken.place.0), taken.slots.clone()))
    }

    /// Position of the distribution that took the user, and the points it covers.
    pub fn distribution(&self) -> Option<(usize, Range<u32>)> {
        self.taken
            .map(|taken| (usize::from(taken.place.1), taken.points.clone()))
    }
}

/// The selector that a source was compiled from.
fn selector(source: &Source) -> Selector {
    let context = || Text::new("context");
    match source {
        Source::Context { path, .. } => Selector(
            [context()]
                .into_iter()
                .chain(path.keys().iter().cloned())
                .collect(),
        ),
        Source::WholeContext => Selector(Vec::from([context()])),
        Source::Result(path) => {
            let field = match path.field {
                ResultField::Key => "key",
                ResultField::Value => "value",
                ResultField::Metadata => "metadata",
            };
            let keys = [Text::new("result"), path.flag_key.clone(), Text::new(field)];
            Selector(keys.into_iter().chain(path.rest.iter().cloned()).collect())
        }
        Source::Nothing(keys) => Selector(keys.to_vec()),
    }
}

impl fmt::Debug for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("flag", &self.flag.key)
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SegmentStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentStep")
            .field("index", &self.index)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConditionStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionStep")
            .field("matched", &self.matched)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BucketStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketStep")
            .field("taken", &self.taken.is_some())
            .finish_non_exhaustive()
    }
}
