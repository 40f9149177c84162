//! The one walk from a flag to its variant, watched by a visitor that usually does nothing.

use alloc::{vec, vec::Vec};

use experiment_model::{Value, Variant};
use smallvec::SmallVec;

use crate::{
    bucket::slot_and_point,
    coerce::{TextBuffer, comparison_text},
    context::{Context, Fields, Node, Path},
    plan::{
        CompiledBucket, CompiledCondition, CompiledDistribution, CompiledFlag, CompiledSegment,
        NONE, Plan, ResultField, ResultPath, Source,
    },
    short::Short,
};

/// Watches a walk. The default is to do nothing, which costs nothing.
pub(crate) trait Visitor<'p> {
    /// The walk comes to a segment.
    fn segment(&mut self, _index: usize, _segment: &'p CompiledSegment) {}

    /// A condition was compared.
    fn condition(
        &mut self,
        _alternative: usize,
        _condition: &'p CompiledCondition,
        _node: Node<'_>,
        _matched: bool,
    ) {
    }

    /// The users of a segment were split.
    fn bucket(&mut self, _bucket: &'p CompiledBucket, _split: Split<'p, '_>) {}

    /// The walk is through with a segment.
    fn outcome(&mut self, _outcome: Outcome) {}
}

impl Visitor<'_> for () {}

/// What became of a user at a bucket.
pub(crate) struct Split<'p, 'v> {
    /// The text that is hashed; `None` if the user has none.
    pub(crate) value: Option<&'v str>,
    pub(crate) hash: u32,
    /// The distribution that took the user.
    pub(crate) taken: Option<&'p CompiledDistribution>,
}

/// What became of a user at a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The conditions do not hold.
    NotTargeted,
    /// They hold, but there is no variant for the user.
    NoVariant,
    /// The user gets this variant.
    Variant(u32),
}

/// Where the walk reads the context.
pub(crate) trait Slots<'c> {
    /// What stands at a path, which has this number in the plan.
    fn node(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Node<'c>;

    /// The same, and as short text if it is one.
    fn property(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Property<'c>;
}

/// A node, and as short text if it is one.
#[derive(Clone, Copy)]
pub(crate) struct Property<'c> {
    node: Node<'c>,
    short: Option<Short>,
}

impl<'c> Property<'c> {
    #[inline]
    fn new(node: Node<'c>) -> Self {
        let short = match node {
            Node::Text(text) => Short::new(text),
            _ => None,
        };
        Self { node, short }
    }
}

/// A context together with itself as an object.
pub(crate) struct Root<'c>(pub(crate) &'c dyn Context);

impl Fields for Root<'_> {
    fn get(&self, key: &str) -> Node<'_> {
        self.0.get(key)
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        self.0.for_each(each);
    }
}

/// Looks every path up when it is read: best for a flag or two.
pub(crate) struct Direct;

impl<'c> Slots<'c> for Direct {
    #[inline]
    fn node(&mut self, context: &'c dyn Context, path: &Path, _slot: u32) -> Node<'c> {
        context.select(path)
    }

    #[inline]
    fn property(&mut self, context: &'c dyn Context, path: &Path, _slot: u32) -> Property<'c> {
        Property::new(context.select(path))
    }
}

impl<'c, S: Slots<'c>> Slots<'c> for &mut S {
    #[inline]
    fn node(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Node<'c> {
        (**self).node(context, path, slot)
    }

    #[inline]
    fn property(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Property<'c> {
        (**self).property(context, path, slot)
    }
}

/// Looks each of the plan's first `N` paths up once: best for many flags.
pub(crate) struct Cached<'c, const N: usize>([Option<Property<'c>>; N]);

impl<'c, const N: usize> Cached<'c, N> {
    pub(crate) const fn new() -> Self {
        Self([None; N])
    }

    #[inline(never)]
    fn look_up(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Property<'c> {
        let property = Property::new(context.select(path));
        if let Some(place) = self.0.get_mut(slot as usize) {
            *place = Some(property);
        }
        property
    }
}

impl<'c, const N: usize> Slots<'c> for Cached<'c, N> {
    #[inline]
    fn node(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Node<'c> {
        match self.0.get(slot as usize) {
            Some(Some(property)) => property.node,
            _ => self.look_up(context, path, slot).node,
        }
    }

    #[inline]
    fn property(&mut self, context: &'c dyn Context, path: &Path, slot: u32) -> Property<'c> {
        match self.0.get(slot as usize) {
            Some(Some(property)) => *property,
            _ => self.look_up(context, path, slot),
        }
    }
}

/// The variants that flags evaluated earlier in the same call have given.
pub(crate) enum Results<'r> {
    /// No flag was evaluated before.
    None,
    /// Flags and their variants, few.
    Few(&'r [(u32, u32)]),
    /// The variant of every flag, [`NONE`] where there is none.
    All(&'r [u32]),
}

impl Results<'_> {
    pub(crate) fn variant(&self, flag: u32) -> u32 {
        match self {
            Self::None => NONE,
            Self::Few(results) => results
                .iter()
                .find(|(known, _)| *known == flag)
                .map_or(NONE, |(_, variant)| *variant),
            Self::All(results) => results.get(flag as usize).copied().unwrap_or(NONE),
        }
    }
}

/// One walk: a plan, a context and what was found so far.
pub(crate) struct Walk<'p, 'c, 'r, S> {
    pub(crate) plan: &'p Plan,
    pub(crate) root: &'c Root<'c>,
    pub(crate) slots: S,
    pub(crate) results: Results<'r>,
}

impl<'p: 'c, 'c, S: Slots<'c>> Walk<'p, 'c, '_, S> {
    /// The position of the variant that a flag gives, or [`NONE`].
    #[inline]
    pub(crate) fn flag<V: Visitor<'p>>(&mut self, flag: &'p CompiledFlag, visitor: &mut V) -> u32 {
        for (index, segment) in flag.segments.iter().enumerate() {
            visitor.segment(index, segment);
            if !self.targets(segment, visitor) {
                visitor.outcome(Outcome::NotTargeted);
                continue;
            }
            let variant = match &segment.bucket {
                Some(bucket) => self.split(bucket, segment.variant, visitor),
                None => segment.variant,
            };
            if variant != NONE {
                visitor.outcome(Outcome::Variant(variant));
                return variant;
            }
            visitor.outcome(Outcome::NoVariant);
        }
        NONE
    }

    /// Whether one of the segment's lists of conditions holds in full.
    #[inline]
    fn targets<V: Visitor<'p>>(&mut self, segment: &'p CompiledSegment, visitor: &mut V) -> bool {
        if segment.everyone {
            return true;
        }
        let (mut alternative, mut holds) = (0_usize, true);
        for condition in &segment.conditions {
            if holds {
                let node;
                (node, holds) = self.compare(condition);
                visitor.condition(alternative, condition, node, holds);
            }
            if condition.ends {
                if holds {
                    return true;
                }
                holds = true;
                alternative = alternative.wrapping_add(1);
            }
        }
        false
    }

    /// What a condition reads, and whether it holds.
    #[inline]
    fn compare(&mut self, condition: &'p CompiledCondition) -> (Node<'c>, bool) {
        let matcher = &condition.matcher;
        let limits = &self.plan.options.limits;
        match &condition.source {
            Source::Context { path, slot } if matcher.takes_short() => {
                match self.slots.property(self.root.0, path, *slot) {
                    Property {
                        node,
                        short: Some(short),
                    } => (node, matcher.matches_short(short)),
                    Property { node, short: None } => (node, matcher.matches(node, limits)),
                }
            }
            source => {
                let node = self.node(source);
                (node, matcher.matches(node, limits))
            }
        }
    }

    #[inline]
    pub(crate) fn split<V: Visitor<'p>>(
        &mut self,
        bucket: &'p CompiledBucket,
        otherwise: u32,
        visitor: &mut V,
    ) -> u32 {
        match self.node(&bucket.source) {
            Node::Text(text) => Self::split_text(bucket, Some(text), otherwise, visitor),
            node => self.split_other(bucket, node, otherwise, visitor),
        }
    }

    #[inline(never)]
    fn split_other<V: Visitor<'p>>(
        &self,
        bucket: &'p CompiledBucket,
        node: Node<'c>,
        otherwise: u32,
        visitor: &mut V,
    ) -> u32 {
        let mut buffer = TextBuffer::new();
        let text = comparison_text(node, &mut buffer, self.plan.options.limits.nesting);
        Self::split_text(bucket, text, otherwise, visitor)
    }

    #[inline]
    fn split_text<V: Visitor<'p>>(
        bucket: &'p CompiledBucket,
        value: Option<&str>,
        otherwise: u32,
        visitor: &mut V,
    ) -> u32 {
        let Some(text) = value.filter(|text| !text.is_empty()) else {
            visitor.bucket(
                bucket,
                Split {
                    value,
                    hash: 0,
                    taken: None,
                },
            );
            return otherwise;
        };
        let hash = bucket.hash.of(text);
        let (slot, point) = slot_and_point(hash);
        // A user whom no distribution of an allocation takes goes on to the next allocation.
        let taken = bucket
            .distributions
            .iter()
            .find(|taken| taken.slots.contains(&slot) && taken.points.contains(&point));
        visitor.bucket(bucket, Split { value, hash, taken });
        taken.map_or(otherwise, |taken| taken.variant)
    }

    /// What a source of the plan stands for.
    #[inline]
    pub(crate) fn node(&mut self, source: &'p Source) -> Node<'c> {
        match source {
            Source::Context { path, slot } => self.slots.node(self.root.0, path, *slot),
            other => self.node_elsewhere(other),
        }
    }

    /// Outlined, like everything below that most evaluations do not need: it keeps the walk small.
    #[inline(never)]
    fn node_elsewhere(&self, source: &'p Source) -> Node<'c> {
        match source {
            Source::WholeContext => Node::Object(self.root),
            Source::Result(path) => {
                let plan: &'p Plan = self.plan;
                let variant = plan.variants.get(self.results.variant(path.flag) as usize);
                variant.map_or(Node::Null, |variant| field(variant, path))
            }
            Source::Context { .. } | Source::Nothing(_) => Node::Null,
        }
    }
}

/// What a condition reads of a variant: its key, value or metadata. The payload cannot be selected.
fn field<'p>(variant: &'p Variant, path: &'p ResultPath) -> Node<'p> {
    let node = match path.field {
        ResultField::Key => Node::from(variant.key.as_ref()),
        ResultField::Value => Node::from(
            variant
                .value
                .as_ref()
                .filter(|value| *value != &Value::Null),
        ),
        ResultField::Metadata => variant
            .metadata
            .as_ref()
            .map_or(Node::Null, |metadata| Node::Object(metadata)),
    };
    node.descend(&path.rest)
}

/// The position of the variant that one flag gives when it is asked alone, or [`NONE`].
#[inline]
pub(crate) fn variant_of(plan: &Plan, context: &dyn Context, at: u32, flag: &CompiledFlag) -> u32 {
    let root = Root(context);
    if flag.dependencies.is_empty() {
        Walk {
            plan,
            root: &root,
            slots: Direct,
            results: Results::None,
        }
        .flag(flag, &mut ())
    } else {
        dependent_variant(plan, &root, at, flag)
    }
}

#[inline(never)]
fn dependent_variant(plan: &Plan, root: &Root<'_>, at: u32, flag: &CompiledFlag) -> u32 {
    with_results(plan, root, at, |results| {
        Walk {
            plan,
            root,
            slots: Direct,
            results,
        }
        .flag(flag, &mut ())
    })
}

/// Evaluates what a flag depends on and hands the results to `then`.
pub(crate) fn with_results<R>(
    plan: &Plan,
    root: &Root<'_>,
    at: u32,
    then: impl FnOnce(Results<'_>) -> R,
) -> R {
    /// Up to this many results are kept on the stack.
    const FEW: usize = 16;

    let order = plan.order(&[at]);
    let Some((_, before)) = order.split_last() else {
        return then(Results::None);
    };
    if before.len() > FEW {
        let mut results = vec![NONE; plan.flags.len()];
        for &dependency in before {
            let walk = Walk {
                plan,
                root,
                slots: Direct,
                results: Results::All(&results),
            };
            let variant = walk.variant(dependency);
            if let Some(place) = results.get_mut(dependency as usize) {
                *place = variant;
            }
        }
        return then(Results::All(&results));
    }
    let mut results: SmallVec<[(u32, u32); FEW]> = SmallVec::new();
    for &dependency in before {
        let walk = Walk {
            plan,
            root,
            slots: Direct,
            results: Results::Few(&results),
        };
        let variant = walk.variant(dependency);
        results.push((dependency, variant));
    }
    then(Results::Few(&results))
}

impl<'p: 'c, 'c, S: Slots<'c>> Walk<'p, 'c, '_, S> {
    /// The variant of the flag at a position, or [`NONE`].
    fn variant(mut self, at: u32) -> u32 {
        let plan: &'p Plan = self.plan;
        plan.flags
            .get(at as usize)
            .map_or(NONE, |flag| self.flag(flag, &mut ()))
    }
}

/// Which flags have been placed: a bit per flag, on the stack for up to 512 flags.
struct Placed(SmallVec<[u64; 8]>);

impl Placed {
    fn none_of(flags: usize) -> Self {
        Self(SmallVec::from_elem(0, flags.div_ceil(64)))
    }

    /// Marks a flag and answers whether it was marked before.
    fn mark(&mut self, flag: u32) -> bool {
        match self.0.get_mut(flag as usize / 64) {
            Some(bits) => {
                let bit = 1 << (flag % 64);
                let was = *bits & bit != 0;
                *bits |= bit;
                was
            }
            None => true,
        }
    }
}

impl Plan {
    /// The flags to evaluate for `starts`, each behind those it depends on: depth first, in the
    /// order of the starts and of the dependencies, as the canonical engine sorts them.
    pub(crate) fn order(&self, starts: &[u32]) -> SmallVec<[u32; 17]> {
        let mut order = SmallVec::new();
        let mut placed = Placed::none_of(self.flags.len());
        // A flag on the way, and how many of its dependencies were looked at. There are no cycles
        // among runnable flags, so a flag that is marked but not yet in the order is never met.
        let mut way: SmallVec<[(u32, usize); 16]> = SmallVec::new();
        for &start in starts {
            if self.is_runnable(start) && !placed.mark(start) {
                way.push((start, 0));
            }
            while let Some((flag, looked_at)) = way.last_mut() {
                let dependencies = self
                    .flags
                    .get(*flag as usize)
                    .map_or(&[][..], |flag| &*flag.dependencies);
                if let Some(&dependency) = dependencies.get(*looked_at) {
                    *looked_at = looked_at.saturating_add(1);
                    if !placed.mark(dependency) {
                        way.push((dependency, 0));
                    }
                } else {
                    order.push(*flag);
                    way.pop();
                }
            }
        }
        order
    }

    fn is_runnable(&self, flag: u32) -> bool {
        (flag as usize) < self.runnable
    }
}

/// Evaluates flags one after the other and hands over the position of each one's variant. `results`
/// is room for the results that flags read of each other.
pub(crate) fn evaluate_in_order<'p>(
    plan: &'p Plan,
    context: &dyn Context,
    order: impl Iterator<Item = (u32, &'p CompiledFlag)>,
    results: &mut Vec<u32>,
    each: impl FnMut(u32, u32),
) {
    results.clear();
    if plan.reads_results {
        results.resize(plan.flags.len(), NONE);
    }
    let root = Root(context);
    // Room for the paths has to be cleared each time, so it is no larger than it has to be.
    match (plan.runnable, plan.paths) {
        (0..=1, _) => evaluate_with(plan, &root, Direct, order, results, each),
        (_, 0..=8) => evaluate_with(plan, &root, Cached::<8>::new(), order, results, each),
        (_, 9..=24) => evaluate_with(plan, &root, Cached::<24>::new(), order, results, each),
        _ => evaluate_with(plan, &root, Cached::<64>::new(), order, results, each),
    }
}

fn evaluate_with<'p: 'c, 'c, S: Slots<'c>>(
    plan: &'p Plan,
    root: &'c Root<'c>,
    mut slots: S,
    order: impl Iterator<Item = (u32, &'p CompiledFlag)>,
    results: &mut [u32],
    mut each: impl FnMut(u32, u32),
) {
    for (at, flag) in order {
        let mut walk = Walk {
            plan,
            root,
            slots: &mut slots,
            results: Results::All(results),
        };
        let variant = walk.flag(flag, &mut ());
        if let Some(place) = results.get_mut(at as usize) {
            *place = variant;
        }
        each(at, variant);
    }
}
