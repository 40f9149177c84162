//! [`Evaluation`]: the variants of many flags.

use alloc::vec::Vec;
use core::fmt;

use experiment_model::{Variant, Variants};
use serde::{Serialize, Serializer};

use crate::{
    context::Context,
    plan::{NONE, Plan},
    walk::evaluate_in_order,
};

/// The variants that flags gave a user, in evaluation order; flags that gave none are not in it.
///
/// It borrows from the plan. [`Plan::evaluate_into`] fills it again without allocating.
///
/// ```
/// use experiment_evaluation::{Options, Plan};
/// use experiment_model::User;
///
/// let plan = Plan::from_json(br#"[{"key": "f", "variants": {"on": {"key": "on", "value": "on"}},
///     "segments": [{"variant": "on"}]}]"#, &Options::default())?;
/// let evaluation = plan.evaluate(&User::new().with_user_id("user-1"));
/// for (flag_key, variant) in &evaluation {
///     assert_eq!((flag_key, variant.value_str().as_deref()), ("f", Some("on")));
/// }
/// assert_eq!(serde_json::to_string(&evaluation).unwrap(), r#"{"f":{"key":"on","value":"on"}}"#);
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub struct Evaluation<'p> {
    plan: &'p Plan,
    /// Flag and variant, as positions in the plan.
    entries: Vec<(u32, u32)>,
    /// Room for the variants by flag, used while evaluating.
    results: Vec<u32>,
}

/// What [`Plan::evaluate_keys`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysOptions {
    /// Whether the flags that the requested ones depend on are in the result too, as the official
    /// SDKs return them. Default: they are not.
    pub dependencies: bool,
}

impl KeysOptions {
    /// The requested flags only.
    pub fn new() -> Self {
        Self::default()
    }

    /// And the flags they depend on.
    #[must_use]
    pub fn with_dependencies(mut self) -> Self {
        self.dependencies = true;
        self
    }
}

impl<'p> Evaluation<'p> {
    /// An empty result with room for every flag of the plan.
    pub fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            entries: Vec::with_capacity(plan.runnable),
            results: Vec::new(),
        }
    }

    /// How many flags gave a variant.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none did.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The variant of a flag.
    pub fn get(&self, flag_key: &str) -> Option<&'p Variant> {
        self.iter()
            .find(|(key, _)| *key == flag_key)
            .map(|(_, variant)| variant)
    }

    /// Flag keys and variants, in evaluation order.
    pub fn iter(&self) -> Iter<'_, 'p> {
        Iter {
            plan: self.plan,
            entries: self.entries.iter(),
        }
    }

    /// The result as a value of its own, independent of the plan.
    pub fn to_variants(&self) -> Variants {
        self.iter()
            .map(|(key, variant)| (key, variant.clone()))
            .collect()
    }

    pub(crate) fn all(&mut self, plan: &'p Plan, context: &dyn Context) {
        self.plan = plan;
        self.entries.clear();
        let order = (0_u32..).zip(plan.flags.get(..plan.runnable).unwrap_or_default());
        let entries = &mut self.entries;
        evaluate_in_order(plan, context, order, &mut self.results, |flag, variant| {
            if variant != NONE {
                entries.push((flag, variant));
            }
        });
    }

    pub(crate) fn some(
        &mut self,
        plan: &'p Plan,
        context: &dyn Context,
        starts: &[u32],
        options: KeysOptions,
    ) {
        self.plan = plan;
        self.entries.clear();
        let order = plan.order(starts);
        let flags = order
            .into_iter()
            .filter_map(|at| Some((at, plan.flags.get(at as usize)?)));
        let mut wanted = starts.to_vec();
        wanted.sort_unstable();
        let entries = &mut self.entries;
        evaluate_in_order(plan, context, flags, &mut self.results, |flag, variant| {
            if variant != NONE && (options.dependencies || wanted.binary_search(&flag).is_ok()) {
                entries.push((flag, variant));
            }
        });
    }
}

impl<'e, 'p> IntoIterator for &'e Evaluation<'p> {
    type Item = (&'p str, &'p Variant);
    type IntoIter = Iter<'e, 'p>;

    fn into_iter(self) -> Iter<'e, 'p> {
        self.iter()
    }
}

/// Flag keys and variants of an [`Evaluation`].
pub struct Iter<'e, 'p> {
    plan: &'p Plan,
    entries: core::slice::Iter<'e, (u32, u32)>,
}

impl<'p> Iterator for Iter<'_, 'p> {
    type Item = (&'p str, &'p Variant);

    fn next(&mut self) -> Option<Self::Item> {
        let plan = self.plan;
        let &(flag, variant) = self.entries.next()?;
        let key = plan.flags.get(flag as usize)?.key.as_str();
        Some((key, plan.variants.get(variant as usize)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_, '_> {}

impl fmt::Debug for Evaluation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Iter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("left", &self.entries.len())
            .finish()
    }
}

impl PartialEq for Evaluation<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(a, b)| a == b)
    }
}

impl Serialize for Evaluation<'_> {
    /// A map from flag keys to variants.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
