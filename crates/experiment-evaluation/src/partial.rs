//! [`evaluate_partially`]: what is known of a user is settled, the rest is left.

use alloc::{vec, vec::Vec};

use experiment_model::{Condition, Flag, Operator, Segment, Selector, Text};

use crate::{
    coerce::{TextBuffer, comparison_text},
    compile::Builder,
    context::{Context, Node},
    limits::Options,
    plan::{CompiledBucket, CompiledCondition, CompiledDistribution, CompiledSegment, Plan},
    walk::{Direct, Results, Root, Split, Visitor, Walk},
};

/// Evaluates flags against what is known of a user and leaves the rest, so that they can be
/// finished elsewhere: on a device that knows more, or by a client that may not know everything.
///
/// It is what the canonical engine calls partial evaluation (case file `partial_evaluation.json`).
/// Every segment stands by itself:
///
/// - a bucket whose property is known becomes the variant that it gives this user;
/// - a condition on a known property goes if it holds, and takes its list along if it does not:
///   the list becomes one condition that never holds. A list that is left without conditions
///   becomes one that always holds;
/// - everything else stays, conditions on results of other flags always.
///
/// Evaluating the flags that come out, against the rest of the context, gives the same variants
/// as evaluating the original flags against all of it, as long as no selector names an object of
/// which only a part is known, such as `["context", "user"]`. What is wrong with a flag is treated
/// as [`Plan::compile`] treats it: a pattern that is none never matches, a flag beyond
/// `Limits::values` is left as it is.
///
/// ```
/// use experiment_evaluation::{Options, evaluate_partially};
/// use experiment_model::{User, read_flags};
///
/// let flags = read_flags(br#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [
///     {"variant": "on", "conditions": [[
///         {"selector": ["context", "user", "country"], "op": "is", "values": ["Norway"]},
///         {"selector": ["context", "user", "platform"], "op": "is", "values": ["iOS"]}
///     ]]}
/// ]}]"#)?;
/// let known = User::new().with_country("Norway");
/// let rest = evaluate_partially(&flags.flags, &known, &Options::default());
/// let conditions = rest[0].segments[0].conditions.as_ref().unwrap();
/// assert_eq!(conditions[0].len(), 1);
/// assert_eq!(conditions[0][0].selector.to_string(), "context.user.platform");
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub fn evaluate_partially(flags: &[Flag], context: &dyn Context, options: &Options) -> Vec<Flag> {
    let root = Root(context);
    flags
        .iter()
        .map(|flag| settle(flag.clone(), &root, options))
        .collect()
}

fn settle(mut flag: Flag, root: &Root<'_>, options: &Options) -> Flag {
    // Compiled by itself a flag cannot be on a circle, and the results it reads stay unknown.
    let dependencies = flag.dependencies.take();
    let mut builder = Builder::new(*options);
    builder.add(&flag);
    let plan = builder.finish();
    flag.dependencies = dependencies;
    let compiled = plan.flags.first().map_or(&[][..], |flag| &*flag.segments);
    let mut known = Known {
        plan: &plan,
        walk: Walk {
            plan: &plan,
            root,
            slots: Direct,
            results: Results::None,
        },
    };
    for (segment, compiled) in flag.segments.iter_mut().zip(compiled) {
        known.settle_bucket(segment, compiled);
        known.settle_conditions(segment, compiled);
    }
    flag
}

/// What is known of a user, asked through the plan of one flag.
struct Known<'p, 'c, 'r> {
    plan: &'p Plan,
    walk: Walk<'p, 'c, 'r, Direct>,
}

impl<'p: 'c, 'c> Known<'p, 'c, '_> {
    /// Puts the variant that the bucket gives in place of the bucket. Empty text is known: its
    /// variant is the segment's.
    fn settle_bucket(&mut self, segment: &mut Segment, compiled: &'p CompiledSegment) {
        let Some(split) = &compiled.bucket else {
            return;
        };
        let mut buffer = TextBuffer::new();
        let nesting = self.plan.options.limits.nesting;
        let node = self.walk.node(&split.source);
        if comparison_text(node, &mut buffer, nesting).is_none() {
            return;
        }
        let mut taken = Taken(None);
        self.walk.split(split, compiled.variant, &mut taken);
        let Some(bucket) = segment.bucket.take() else {
            return;
        };
        // Compiled, the distributions of all allocations stand one behind the other.
        let place = split
            .distributions
            .iter()
            .position(|distribution| taken.0.is_some_and(|it| core::ptr::eq(it, distribution)));
        if let Some(place) = place {
            segment.variant = bucket
                .allocations
                .into_iter()
                .flat_map(|allocation| allocation.distributions)
                .nth(place)
                .map(|distribution| distribution.variant);
        }
    }

    fn settle_conditions(&mut self, segment: &mut Segment, compiled: &'p CompiledSegment) {
        // Compiled, the conditions of all alternatives stand one behind the other.
        let mut rest = &*compiled.conditions;
        for conditions in segment.conditions.iter_mut().flatten() {
            let Some((all_of, behind)) = rest.split_at_checked(conditions.len()) else {
                return;
            };
            rest = behind;
            *conditions = self.unsettled(core::mem::take(conditions), all_of);
        }
    }

    /// What is left of a list of conditions.
    fn unsettled(
        &mut self,
        conditions: Vec<Condition>,
        compiled: &'p [CompiledCondition],
    ) -> Vec<Condition> {
        let mut left = Vec::new();
        for (condition, compiled) in conditions.into_iter().zip(compiled) {
            match self.walk.node(&compiled.source) {
                Node::Null => left.push(condition),
                node if compiled.matcher.matches(node, &self.plan.options.limits) => {}
                _ => return vec![constant(Operator::IsNot)],
            }
        }
        if left.is_empty() {
            left.push(constant(Operator::Is));
        }
        left
    }
}

/// The condition by which the canonical engine says always (`is`) or never (`is not`): nothing is
/// selected, and that is compared with what stands for absence.
fn constant(operator: Operator) -> Condition {
    Condition {
        selector: Selector::default(),
        operator,
        values: vec![Text::new("(none)")],
    }
}

/// Notes which distribution took the user.
struct Taken<'p>(Option<&'p CompiledDistribution>);

impl<'p> Visitor<'p> for Taken<'p> {
    fn bucket(&mut self, _bucket: &'p CompiledBucket, split: Split<'p, '_>) {
        self.0 = split.taken;
    }
}
