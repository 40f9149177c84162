//! [`Plan`]: flags, compiled.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, ops::Range};

use experiment_model::{FlagSet, ReadError, Text, Variant};

use crate::{
    bucket::SaltedHash,
    compile::Builder,
    context::{Context, Path},
    diagnostic::{CompileError, Diagnostic},
    evaluation::{Evaluation, KeysOptions},
    explain::Explanation,
    limits::Options,
    matching::Matcher,
    table::Table,
    walk::variant_of,
};

/// The version of the semantics: the canonical engine's, and behind the plus a number that rises
/// with our deliberate differences from it (see the crate's design notes).
pub const SPEC_VERSION: &str = "kotlin-2.3.0+1";

/// No index: the variant of a segment without one, and the like.
pub(crate) const NONE: u32 = u32::MAX;

/// Flags, compiled once and evaluated any number of times, from any thread.
///
/// Everything that depends on the flags alone was settled by compiling: results are borrowed from
/// the plan, and evaluating returns no error.
///
/// ```
/// use experiment_evaluation::{Options, Plan};
/// use experiment_model::{User, read_flags};
///
/// let flags = read_flags(br#"[{
///     "key": "new-search",
///     "variants": {"on": {"key": "on", "value": "on"}, "off": {"key": "off", "metadata": {"default": true}}},
///     "segments": [
///         {"conditions": [[{"selector": ["context", "user", "country"], "op": "is", "values": ["Norway"]}]], "variant": "on"},
///         {"variant": "off"}
///     ]
/// }]"#)?;
/// let plan = Plan::compile(&flags, &Options::default());
///
/// let user = User::new().with_user_id("user-1").with_country("Norway");
/// assert!(plan.variant(&user, "new-search").is_some_and(|variant| variant.is("on")));
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub struct Plan {
    /// In evaluation order; behind the first [`runnable`](Self::runnable) those that give no
    /// variant whatever the context.
    pub(crate) flags: Box<[CompiledFlag]>,
    pub(crate) runnable: usize,
    /// Positions of the flags by key.
    pub(crate) index: Table,
    pub(crate) variants: Box<[Variant]>,
    /// How many different paths of the context the flags read.
    pub(crate) paths: usize,
    /// Some condition reads the result of a flag.
    pub(crate) reads_results: bool,
    pub(crate) options: Options,
    pub(crate) diagnostics: Box<[Diagnostic]>,
}

pub(crate) struct CompiledFlag {
    pub(crate) key: Text,
    pub(crate) segments: Box<[CompiledSegment]>,
    /// Positions of the flags to be evaluated before this one.
    pub(crate) dependencies: Box<[u32]>,
    /// Why the flag gives no variant whatever the context.
    pub(crate) blocked: Option<Blocked>,
}

/// Why a flag gives no variant whatever the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Dependencies in a circle.
    Cycle,
    /// Depends on flags in a circle.
    DependsOnCycle,
    /// Beyond `Limits::dependency_depth`.
    Depth,
    /// Beyond `Limits::values`.
    Values,
}

pub(crate) struct CompiledSegment {
    pub(crate) name: Option<Text>,
    /// The alternatives, one behind the other.
    pub(crate) conditions: Box<[CompiledCondition]>,
    /// There are no conditions, or there is an alternative without conditions.
    pub(crate) everyone: bool,
    pub(crate) bucket: Option<Box<CompiledBucket>>,
    /// Position of the variant of users that no distribution takes; [`NONE`] if they get none.
    pub(crate) variant: u32,
}

pub(crate) struct CompiledCondition {
    pub(crate) source: Source,
    /// It is the last of its alternative.
    pub(crate) ends: bool,
    pub(crate) matcher: Matcher,
}

/// Where a property comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the context.
    Context {
        path: Arc<Path>,
        /// The number of the path in the plan.
        slot: u32,
    },
    /// The context as a whole.
    WholeContext,
    /// From the result of a flag.
    Result(Box<ResultPath>),
    /// Nothing: a selector that selects nothing.
    Nothing(Box<[Text]>),
}

/// What a condition reads of the result of another flag.
#[derive(Debug)]
pub(crate) struct ResultPath {
    pub(crate) flag_key: Text,
    /// Position of the flag; [`NONE`] if there is no such flag.
    pub(crate) flag: u32,
    pub(crate) field: ResultField,
    /// The keys behind the field.
    pub(crate) rest: Box<[Text]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultField {
    Key,
    Value,
    Metadata,
}

pub(crate) struct CompiledBucket {
    pub(crate) source: Source,
    pub(crate) salt: Text,
    pub(crate) hash: SaltedHash,
    /// The distributions of all allocations, one behind the other.
    pub(crate) distributions: Box<[CompiledDistribution]>,
}

/// A distribution together with the slots of its allocation.
pub(crate) struct CompiledDistribution {
    pub(crate) slots: Range<u32>,
    pub(crate) points: Range<u32>,
    /// Position of the variant; [`NONE`] if the flag has no such variant.
    pub(crate) variant: u32,
    /// Position of the allocation in the bucket, and of the distribution in that; beyond 65,535 they
    /// are only shown wrong.
    pub(crate) place: (u16, u16),
}

/// A flag of a plan, found once and evaluated without looking its key up.
#[derive(Clone, Copy)]
pub struct FlagHandle<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) at: u32,
    pub(crate) flag: &'p CompiledFlag,
}

/// A variant of a plan, for whoever keeps the plan and a result side by side and so cannot borrow.
///
/// It means nothing to another plan.
///
/// ```
/// use std::sync::Arc;
/// use experiment_evaluation::{Options, Plan};
/// use experiment_model::User;
///
/// let plan = Arc::new(Plan::from_json(br#"[{"key": "f", "segments": [{"variant": "on"}],
///     "variants": {"on": {"key": "on", "value": "on"}}}]"#, &Options::default())?);
/// let result = plan.flag("f").and_then(|flag| flag.variant_id(&User::new()));
/// let kept = (plan.clone(), result);
/// assert!(kept.1.and_then(|id| kept.0.variant_by_id(id)).is_some_and(|variant| variant.is("on")));
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantId(u32);

impl<'p> FlagHandle<'p> {
    /// The key of the flag.
    pub fn key(&self) -> &'p str {
        &self.flag.key
    }

    /// The variant the flag gives, as [`Plan::variant`] answers it.
    #[inline]
    pub fn variant(&self, context: &dyn Context) -> Option<&'p Variant> {
        let at = variant_of(self.plan, context, self.at, self.flag);
        self.plan.variants.get(at as usize)
    }

    /// The same, as an id instead of a reference into the plan.
    #[inline]
    pub fn variant_id(&self, context: &dyn Context) -> Option<VariantId> {
        match variant_of(self.plan, context, self.at, self.flag) {
            NONE => None,
            at => Some(VariantId(at)),
        }
    }

    /// Why, as [`Plan::explain`] answers it.
    pub fn explain(&self, context: &dyn Context) -> Explanation<'p> {
        Explanation::new(self.plan, context, self.at, self.flag)
    }

    /// The flags this one depends on, directly.
    pub fn dependencies(&self) -> impl Iterator<Item = FlagHandle<'p>> {
        let plan = self.plan;
        self.flag
            .dependencies
            .iter()
            .filter_map(|&at| plan.handle(at))
    }
}

impl fmt::Debug for FlagHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlagHandle").field(&self.flag.key).finish()
    }
}

impl Plan {
    /// Compiles flags. What is wrong with one of them is a [diagnostic](Plan::diagnostics) and
    /// changes the answers of no other flag.
    pub fn compile(flags: &FlagSet, options: &Options) -> Self {
        let mut builder = Builder::new(*options);
        for malformed in &flags.malformed {
            builder.malformed(malformed.clone());
        }
        for flag in &flags.flags {
            builder.add(flag);
        }
        builder.finish()
    }

    /// Compiles flags of which nothing may be wrong.
    ///
    /// # Errors
    ///
    /// [`CompileError`] with all findings, if there are any.
    ///
    /// ```
    /// use experiment_evaluation::{Options, Plan};
    /// use experiment_model::read_flags;
    ///
    /// let flags = read_flags(br#"[{"key": "f", "segments": []}]"#)?;
    /// let error = Plan::compile_strict(&flags, &Options::default()).unwrap_err();
    /// assert_eq!(error.diagnostics.len(), 1);
    /// # Ok::<(), experiment_model::ReadError>(())
    /// ```
    pub fn compile_strict(flags: &FlagSet, options: &Options) -> Result<Self, CompileError> {
        let plan = Self::compile(flags, options);
        if plan.diagnostics.is_empty() {
            Ok(plan)
        } else {
            Err(CompileError {
                diagnostics: plan.diagnostics.into_vec(),
            })
        }
    }

    /// Reads and compiles flags one by one: the cheapest way from JSON to a plan, at whose peak
    /// there are the JSON, the plan and one flag.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the text is not a list of flags.
    ///
    /// ```
    /// use experiment_evaluation::{Options, Plan};
    ///
    /// let plan = Plan::from_json(br#"[{"key": "f", "variants": {}, "segments": []}]"#, &Options::default())?;
    /// assert_eq!(plan.len(), 1);
    /// # Ok::<(), experiment_model::ReadError>(())
    /// ```
    pub fn from_json(json: &[u8], options: &Options) -> Result<Self, ReadError> {
        let mut builder = Builder::new(*options);
        experiment_model::for_each_flag(json, |flag| match flag {
            Ok(flag) => builder.add(&flag),
            Err(malformed) => builder.malformed(malformed),
        })?;
        Ok(builder.finish())
    }

    /// What compiling found, malformed flags first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many flags there are, those that can give no variant included.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are no flags.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// The flags, in evaluation order: each behind those it depends on.
    pub fn flags(&self) -> impl Iterator<Item = FlagHandle<'_>> {
        (0_u32..).zip(&self.flags).map(|(at, flag)| FlagHandle {
            plan: self,
            at,
            flag,
        })
    }

    /// The flag with this key.
    #[inline]
    pub fn flag(&self, key: &str) -> Option<FlagHandle<'_>> {
        self.index.find(key, |at| {
            self.handle(at).filter(|handle| handle.flag.key == *key)
        })
    }

    /// The variant that a flag gives: `None` if there is no such flag, or none of its segments
    /// gives one. Evaluates the flag and what it depends on, and allocates nothing for up to 16
    /// dependencies.
    ///
    /// Allocations are needed only where a property has to be rewritten to be compared: for lists
    /// and objects compared as text, text that is a JSON array, and `contains` on text that is not
    /// ASCII or longer than 256 bytes.
    #[inline]
    pub fn variant(&self, context: &dyn Context, key: &str) -> Option<&Variant> {
        self.flag(key)?.variant(context)
    }

    /// The variant that [`FlagHandle::variant_id`] named; `None` if the id is of another plan that
    /// has more variants than this one.
    #[inline]
    pub fn variant_by_id(&self, id: VariantId) -> Option<&Variant> {
        self.variants.get(id.0 as usize)
    }

    /// The variants of all flags, in evaluation order. Use [`Plan::evaluate_into`] to evaluate
    /// many users without allocating.
    pub fn evaluate(&self, context: &dyn Context) -> Evaluation<'_> {
        let mut evaluation = Evaluation::new(self);
        self.evaluate_into(context, &mut evaluation);
        evaluation
    }

    /// As [`Plan::evaluate`], into a result whose memory is used again.
    ///
    /// ```
    /// use experiment_evaluation::{Evaluation, Options, Plan};
    /// use experiment_model::User;
    ///
    /// let plan = Plan::from_json(br#"[{"key": "f", "variants": {"on": {"key": "on", "value": "on"}},
    ///     "segments": [{"variant": "on"}]}]"#, &Options::default())?;
    /// let mut evaluation = Evaluation::new(&plan);
    /// for user in [User::new().with_user_id("a"), User::new().with_user_id("b")] {
    ///     plan.evaluate_into(&user, &mut evaluation);
    ///     assert!(evaluation.get("f").is_some_and(|variant| variant.is("on")));
    /// }
    /// # Ok::<(), experiment_model::ReadError>(())
    /// ```
    pub fn evaluate_into<'p>(&'p self, context: &dyn Context, evaluation: &mut Evaluation<'p>) {
        evaluation.all(self, context);
    }

    /// The variants of some flags, and by option of those they depend on, in evaluation order.
    /// Keys without a flag are skipped.
    ///
    /// ```
    /// use experiment_evaluation::{KeysOptions, Options, Plan};
    /// use experiment_model::User;
    ///
    /// let plan = Plan::from_json(br#"[
    ///     {"key": "a", "variants": {"on": {"key": "on"}}, "segments": [{"variant": "on"}], "dependencies": ["b"]},
    ///     {"key": "b", "variants": {"on": {"key": "on"}}, "segments": [{"variant": "on"}]}
    /// ]"#, &Options::default())?;
    /// let user = User::new().with_user_id("user-1");
    /// assert_eq!(plan.evaluate_keys(&user, ["a"], KeysOptions::new()).len(), 1);
    /// let options = KeysOptions::new().with_dependencies();
    /// let evaluation = plan.evaluate_keys(&user, ["a"], options);
    /// assert!(evaluation.iter().map(|(key, _)| key).eq(["b", "a"]));
    /// # Ok::<(), experiment_model::ReadError>(())
    /// ```
    pub fn evaluate_keys<K: AsRef<str>>(
        &self,
        context: &dyn Context,
        keys: impl IntoIterator<Item = K>,
        options: KeysOptions,
    ) -> Evaluation<'_> {
        let mut evaluation = Evaluation::new(self);
        let starts: Vec<u32> = keys
            .into_iter()
            .filter_map(|key| Some(self.flag(key.as_ref())?.at))
            .collect();
        evaluation.some(self, context, &starts, options);
        evaluation
    }

    /// Why a flag gives the variant it gives; `None` if there is no such flag.
    ///
    /// ```
    /// use experiment_evaluation::{Options, Plan};
    /// use experiment_model::User;
    ///
    /// let plan = Plan::from_json(br#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [
    ///     {"variant": "on", "conditions": [[{"selector": ["context", "user", "os"], "op": "is", "values": ["iOS"]}]]}
    /// ]}]"#, &Options::default())?;
    /// let explanation = plan.explain(&User::new().with_os("Android"), "f").unwrap();
    /// assert_eq!(explanation.variant(), None);
    /// assert!(explanation.to_string().contains(r#"context.user.os is ["iOS"]: no, it is "Android""#));
    /// # Ok::<(), experiment_model::ReadError>(())
    /// ```
    pub fn explain(&self, context: &dyn Context, key: &str) -> Option<Explanation<'_>> {
        Some(self.flag(key)?.explain(context))
    }

    /// The options it was compiled with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    #[inline]
    pub(crate) fn handle(&self, at: u32) -> Option<FlagHandle<'_>> {
        let flag = self.flags.get(at as usize)?;
        Some(FlagHandle {
            plan: self,
            at,
            flag,
        })
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("flags", &self.flags.len())
            .field("diagnostics", &self.diagnostics.len())
            .finish_non_exhaustive()
    }
}
