//! [`Builder`]: from flags to a plan, one flag at a time.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::ops::Range;

use experiment_model::{
    Allocation, Bucket, Condition, Flag, Malformed, Object, Operator, Segment, Selector, Text,
    Value, Variant,
};
use hashbrown::HashMap;

use crate::{
    bucket::SaltedHash,
    context::Path,
    diagnostic::{Code, Diagnostic},
    intern::{Interned, hash_keys, hash_object, hash_variant, same_object, same_variant},
    limits::Options,
    matching::Matcher,
    order::{Blocks, Graph},
    pattern::{Pattern, PatternError},
    plan::{
        Blocked, CompiledBucket, CompiledCondition, CompiledDistribution, CompiledFlag,
        CompiledSegment, NONE, Plan, ResultField, ResultPath, Source,
    },
    table::Table,
};

/// For this many flags on cycles the circle is spelled out; finding it takes time.
const CIRCLES_SHOWN: usize = 100;

/// A plan in the making.
pub(crate) struct Builder {
    options: Options,
    flags: Vec<Pending>,
    by_key: HashMap<Text, u32>,
    variants: Interned<Variant>,
    metadata: Interned<Object>,
    paths: Interned<Arc<Path>>,
    /// The patterns by their text, and what they take together.
    patterns: HashMap<Text, Arc<Pattern>>,
    patterns_size: usize,
    malformed: Vec<Diagnostic>,
    diagnostics: Vec<Diagnostic>,
}

/// A flag whose dependencies are not known to exist yet.
struct Pending {
    key: Text,
    segments: Box<[CompiledSegment]>,
    dependencies: Vec<Text>,
    blocked: Option<Blocked>,
}

impl Builder {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            flags: Vec::new(),
            by_key: HashMap::new(),
            variants: Interned::new(),
            metadata: Interned::new(),
            paths: Interned::new(),
            patterns: HashMap::new(),
            patterns_size: 0,
            malformed: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    pub(crate) fn malformed(&mut self, malformed: Malformed) {
        self.malformed.push(malformed.into());
    }

    /// Compiles a flag behind those that were added before. Of flags with one key the last stands,
    /// at the position of the first.
    pub(crate) fn add(&mut self, flag: &Flag) {
        let pending = match self.too_many_values(flag) {
            Some(diagnostic) => {
                self.diagnostics.push(diagnostic);
                let blocked = Some(Blocked::Values);
                Pending {
                    key: flag.key.clone(),
                    segments: Box::default(),
                    dependencies: Vec::new(),
                    blocked,
                }
            }
            None => Pending {
                key: flag.key.clone(),
                segments: self.segments(flag),
                dependencies: flag.dependencies.clone().unwrap_or_default(),
                blocked: None,
            },
        };
        let next = position(self.flags.len());
        let at = *self.by_key.entry(flag.key.clone()).or_insert(next);
        match self.flags.get_mut(at as usize) {
            Some(first) => {
                *first = pending;
                self.diagnostics.push(Diagnostic::new(
                    Code::DuplicateFlagKey,
                    &flag.key,
                    String::from("key"),
                    String::from("the key is used by more than one flag"),
                ));
            }
            None => self.flags.push(pending),
        }
    }

    fn too_many_values(&self, flag: &Flag) -> Option<Diagnostic> {
        let limit = self.options.limits.values;
        conditions(flag)
            .find(|(_, condition)| condition.values.len() > limit)
            .map(|(at, condition)| {
                let message = format!("{} values, allowed are {limit}", condition.values.len());
                Diagnostic::new(
                    Code::TooManyValues,
                    &flag.key,
                    format!("{at}.values"),
                    message,
                )
            })
    }

    fn segments(&mut self, flag: &Flag) -> Box<[CompiledSegment]> {
        let segments = flag.segments.iter().enumerate();
        segments
            .map(|(index, segment)| self.segment(flag, index, segment))
            .collect()
    }

    fn segment(&mut self, flag: &Flag, index: usize, segment: &Segment) -> CompiledSegment {
        let alternatives = segment.conditions.iter().flatten();
        let mut conditions = Vec::with_capacity(alternatives.clone().map(Vec::len).sum());
        for (alternative, all_of) in alternatives.enumerate() {
            for (at, condition) in all_of.iter().enumerate() {
                let place = ConditionPlace {
                    segment: index,
                    alternative,
                    condition: at,
                };
                let ends = at.checked_add(1) == Some(all_of.len());
                conditions.push(self.condition(flag, place, condition, ends));
            }
        }
        let everyone = segment
            .conditions
            .as_ref()
            .is_none_or(|alternatives| alternatives.iter().any(Vec::is_empty));

        let merged = self.metadata(merge(flag.metadata.as_ref(), segment.metadata.as_ref()));
        let variant = segment.variant.as_ref().map_or(NONE, |key| {
            self.variant(flag, key, &merged, || format!("segments[{index}].variant"))
        });
        let bucket = segment.bucket.as_ref();
        let bucket = bucket.map(|bucket| Box::new(self.bucket(flag, index, bucket, &merged)));
        let name = segment
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get("segmentName"));
        let name = match name {
            Some(Value::Text(name)) => Some(name.clone()),
            _ => None,
        };
        CompiledSegment {
            name,
            conditions: conditions.into(),
            everyone,
            bucket,
            variant,
        }
    }

    /// The variant with this key and its merged metadata, as a position; [`NONE`] and a diagnostic
    /// if the flag has none.
    fn variant(
        &mut self,
        flag: &Flag,
        key: &Text,
        merged: &Object,
        path: impl FnOnce() -> String,
    ) -> u32 {
        let Some(variant) = flag.variants.get(key) else {
            let message = format!("the flag has no variant `{key}`");
            self.diagnostics.push(Diagnostic::new(
                Code::UnknownVariant,
                &flag.key,
                path(),
                message,
            ));
            return NONE;
        };
        let metadata = match &variant.metadata {
            Some(own) => self.metadata(merge(Some(merged), Some(own))),
            None => merged.clone(),
        };
        let present = |value: &Option<Value>| value.clone().filter(|value| !value.is_null());
        let variant = Variant {
            key: variant.key.clone(),
            value: present(&variant.value),
            payload: present(&variant.payload),
            metadata: Some(metadata).filter(|metadata| !metadata.is_empty()),
        };
        let hash = hash_variant(&variant);
        let variants = &mut self.variants;
        variants.intern(hash, variant, same_variant).0
    }

    /// The same metadata, sharing their entries with equal ones.
    fn metadata(&mut self, metadata: Object) -> Object {
        let hash = hash_object(&metadata);
        self.metadata.intern(hash, metadata, same_object).1.clone()
    }

    fn bucket(
        &mut self,
        flag: &Flag,
        index: usize,
        bucket: &Bucket,
        merged: &Object,
    ) -> CompiledBucket {
        let count = bucket
            .allocations
            .iter()
            .map(|allocation| allocation.distributions.len())
            .sum();
        let mut distributions = Vec::with_capacity(count);
        for (at, allocation) in bucket.allocations.iter().enumerate() {
            self.allocation(flag, index, at, allocation, merged, &mut distributions);
        }
        CompiledBucket {
            source: self.source(&bucket.selector),
            salt: bucket.salt.clone(),
            hash: SaltedHash::new(&bucket.salt),
            distributions: distributions.into(),
        }
    }

    fn allocation(
        &mut self,
        flag: &Flag,
        index: usize,
        at: usize,
        allocation: &Allocation,
        merged: &Object,
        distributions: &mut Vec<CompiledDistribution>,
    ) {
        let path = |rest: &str| format!("segments[{index}].bucket.allocations[{at}]{rest}");
        let place = |position: usize| u16::try_from(position).unwrap_or(u16::MAX);
        let slots = self.range(flag, &allocation.range, || path(".range"));
        for (n, distribution) in allocation.distributions.iter().enumerate() {
            let path = |field: &str| path(&format!(".distributions[{n}].{field}"));
            let points = self.range(flag, &distribution.range, || path("range"));
            let variant = self.variant(flag, &distribution.variant, merged, || path("variant"));
            let place = (place(at), place(n));
            let slots = slots.clone();
            distributions.push(CompiledDistribution {
                slots,
                points,
                variant,
                place,
            });
        }
    }

    /// The range that a pair means, cut to what a hash can be; an empty one if it is no pair.
    fn range(&mut self, flag: &Flag, pair: &[i64], path: impl FnOnce() -> String) -> Range<u32> {
        let &[start, end, ..] = pair else {
            let message = format!("expected a pair of integers, found {}", pair.len());
            self.diagnostics.push(Diagnostic::new(
                Code::MalformedRange,
                &flag.key,
                path(),
                message,
            ));
            return 0..0;
        };
        let bound = |bound: i64| u32::try_from(bound.max(0)).unwrap_or(u32::MAX);
        bound(start)..bound(end)
    }

    fn condition(
        &mut self,
        flag: &Flag,
        place: ConditionPlace,
        condition: &Condition,
        ends: bool,
    ) -> CompiledCondition {
        if let Operator::Unknown(text) = &condition.operator {
            let message = format!("unknown operator `{text}`");
            let path = format!("{place}.op");
            self.diagnostics.push(Diagnostic::new(
                Code::UnknownOperator,
                &flag.key,
                path,
                message,
            ));
        }
        let patterns = match condition.operator {
            Operator::RegexMatch | Operator::RegexDoesNotMatch => {
                self.patterns(flag, place, condition)
            }
            _ => Vec::new(),
        };
        CompiledCondition {
            source: self.source(&condition.selector),
            ends,
            matcher: Matcher::new(&condition.operator, &condition.values, patterns),
        }
    }

    /// The values of a condition that are patterns; a diagnostic for each that is not.
    fn patterns(
        &mut self,
        flag: &Flag,
        place: ConditionPlace,
        condition: &Condition,
    ) -> Vec<Arc<Pattern>> {
        let mut patterns = Vec::with_capacity(condition.values.len());
        for (index, value) in condition.values.iter().enumerate() {
            match self.pattern(value) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let code = match error {
                        PatternError::Invalid { .. } => Code::InvalidPattern,
                        PatternError::Unsupported { .. } => Code::UnsupportedPattern,
                        PatternError::TooLarge { .. } | PatternError::TooMany { .. } => {
                            Code::PatternTooLarge
                        }
                    };
                    let path = format!("{place}.values[{index}]");
                    let message = format!("{error}");
                    self.diagnostics
                        .push(Diagnostic::new(code, &flag.key, path, message));
                }
            }
        }
        patterns
    }

    /// Compiles a pattern, or takes the one that was compiled from the same text.
    fn pattern(&mut self, source: &Text) -> Result<Arc<Pattern>, PatternError> {
        if let Some(known) = self.patterns.get(source) {
            return Ok(known.clone());
        }
        let (matching, limits) = (self.options.regex_matching, self.options.limits);
        // What can only be too much is not compiled first.
        if self.patterns_size >= limits.patterns_size {
            return Err(PatternError::TooMany {
                limit: limits.patterns_size,
            });
        }
        let pattern =
            Pattern::compile(source, matching, limits.pattern_size, limits.pattern_steps)?;
        let size = self.patterns_size.saturating_add(pattern.size());
        if size > limits.patterns_size {
            return Err(PatternError::TooMany {
                limit: limits.patterns_size,
            });
        }
        self.patterns_size = size;
        let pattern = Arc::new(pattern);
        self.patterns.insert(source.clone(), pattern.clone());
        Ok(pattern)
    }

    fn source(&mut self, selector: &Selector) -> Source {
        match selector.0.as_slice() {
            [root] if root == "context" => Source::WholeContext,
            [root, path @ ..] if root == "context" => {
                let same = |known: &Arc<Path>| known.keys() == path;
                let make = || Arc::new(Path::new(path));
                let (slot, path) = self.paths.find_or_make(hash_keys(path), same, make);
                Source::Context {
                    path: path.clone(),
                    slot,
                }
            }
            [root, flag_key, name, rest @ ..] if root == "result" => {
                let field = match (name.as_str(), rest) {
                    ("key", []) => ResultField::Key,
                    ("value", _) => ResultField::Value,
                    ("metadata", _) => ResultField::Metadata,
                    _ => return Source::Nothing(selector.0.as_slice().into()),
                };
                let flag_key = flag_key.clone();
                Source::Result(Box::new(ResultPath {
                    flag_key,
                    flag: NONE,
                    field,
                    rest: rest.into(),
                }))
            }
            keys => Source::Nothing(keys.into()),
        }
    }

    /// Sorts the flags and ties the ends that lead from one to another.
    pub(crate) fn finish(mut self) -> Plan {
        let graph = self.graph();
        let blocks = graph.blocks(self.options.limits.dependency_depth);
        self.block(&graph, &blocks);

        // New positions: the flags that can run in evaluation order, then the others.
        let mut order: Vec<u32> = graph.order(&blocks);
        order.retain(|&at| {
            self.flags
                .get(at as usize)
                .is_some_and(|flag| flag.blocked.is_none())
        });
        let runnable = order.len();
        order.extend(
            (0_u32..)
                .zip(&self.flags)
                .filter(|(_, flag)| flag.blocked.is_some())
                .map(|(at, _)| at),
        );
        let mut moved = alloc::vec![NONE; self.flags.len()];
        for (new, &old) in (0_u32..).zip(&order) {
            if let Some(place) = moved.get_mut(old as usize) {
                *place = new;
            }
        }
        let moved = |old: u32| moved.get(old as usize).copied().unwrap_or(NONE);

        let mut reads_results = false;
        let mut flags: Vec<CompiledFlag> = Vec::with_capacity(order.len());
        let mut pending: Vec<Option<Pending>> = self.flags.into_iter().map(Some).collect();
        for &old in &order {
            let Some(flag) = pending.get_mut(old as usize).and_then(Option::take) else {
                continue;
            };
            let mut segments = flag.segments;
            for path in segments.iter_mut().flat_map(results) {
                reads_results = true;
                path.flag = self
                    .by_key
                    .get(&path.flag_key)
                    .map_or(NONE, |&old| moved(old));
            }
            let dependencies = graph.dependencies.get(old as usize).into_iter().flatten();
            flags.push(CompiledFlag {
                key: flag.key,
                segments: if flag.blocked.is_some() {
                    Box::default()
                } else {
                    segments
                },
                // What cannot run is as good as absent.
                dependencies: dependencies
                    .map(|&old| moved(old))
                    .filter(|&new| (new as usize) < runnable && flag.blocked.is_none())
                    .collect(),
                blocked: flag.blocked,
            });
        }
        let index = Table::new(flags.iter().map(|flag| flag.key.as_str()));
        self.malformed.append(&mut self.diagnostics);
        Plan {
            runnable,
            index,
            flags: flags.into(),
            reads_results,
            paths: self.paths.into_items().len(),
            variants: self.variants.into_items().into(),
            options: self.options,
            diagnostics: self.malformed.into(),
        }
    }

    /// Marks the flags that cannot run because of their dependencies; a diagnostic for each.
    fn block(&mut self, graph: &Graph, blocks: &Blocks) {
        let mut circles = 0_usize;
        for (at, blocked) in (0_u32..).zip(&blocks.blocked) {
            let (Some(blocked), Some(flag)) = (blocked, self.flags.get_mut(at as usize)) else {
                continue;
            };
            flag.blocked = flag.blocked.or(Some(*blocked));
            let key = flag.key.clone();
            let (code, message) = match blocked {
                Blocked::Cycle if circles < CIRCLES_SHOWN => {
                    circles = circles.saturating_add(1);
                    let flags = &self.flags;
                    let key_at = |at: u32| {
                        flags
                            .get(at as usize)
                            .map_or_else(Text::default, |flag| flag.key.clone())
                    };
                    let circle = graph.circle(blocks, at, key_at);
                    (
                        Code::DependencyCycle,
                        format!("flags depend on each other in a circle: {circle}"),
                    )
                }
                Blocked::Cycle => (
                    Code::DependencyCycle,
                    String::from("flags depend on each other in a circle"),
                ),
                Blocked::DependsOnCycle => (
                    Code::DependsOnCycle,
                    String::from("the flag depends on flags that depend on each other in a circle"),
                ),
                Blocked::Depth | Blocked::Values => (
                    Code::DependencyDepth,
                    format!(
                        "more than {} flags depend on each other in a row",
                        self.options.limits.dependency_depth
                    ),
                ),
            };
            self.diagnostics.push(Diagnostic::new(
                code,
                &key,
                String::from("dependencies"),
                message,
            ));
        }
    }

    /// Which flags depend on which; a diagnostic for dependencies that are not flags.
    fn graph(&mut self) -> Graph {
        let mut graph = Graph {
            dependencies: Vec::with_capacity(self.flags.len()),
        };
        for flag in &self.flags {
            let mut dependencies: Vec<u32> = Vec::with_capacity(flag.dependencies.len());
            for (index, key) in flag.dependencies.iter().enumerate() {
                match self.by_key.get(key) {
                    Some(&at) => dependencies.push(at),
                    None => self.diagnostics.push(Diagnostic::new(
                        Code::MissingDependency,
                        &flag.key,
                        format!("dependencies[{index}]"),
                        format!("there is no flag `{key}`"),
                    )),
                }
            }
            graph.dependencies.push(dependencies);
        }
        graph
    }
}

/// What a segment reads of the results of other flags.
fn results(segment: &mut CompiledSegment) -> impl Iterator<Item = &mut ResultPath> {
    let conditions = segment
        .conditions
        .iter_mut()
        .map(|condition| &mut condition.source);
    let bucket = segment.bucket.as_mut().map(|bucket| &mut bucket.source);
    conditions.chain(bucket).filter_map(|source| match source {
        Source::Result(path) => Some(&mut **path),
        _ => None,
    })
}

/// Where in a flag a condition stands.
#[derive(Clone, Copy)]
pub(crate) struct ConditionPlace {
    pub(crate) segment: usize,
    pub(crate) alternative: usize,
    pub(crate) condition: usize,
}

impl core::fmt::Display for ConditionPlace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "segments[{}].conditions[{}][{}]",
            self.segment, self.alternative, self.condition
        )
    }
}

/// All conditions of a flag.
pub(crate) fn conditions(flag: &Flag) -> impl Iterator<Item = (ConditionPlace, &Condition)> {
    flag.segments
        .iter()
        .enumerate()
        .flat_map(|(segment, compiled)| {
            compiled.conditions.iter().flatten().enumerate().flat_map(
                move |(alternative, all_of)| {
                    all_of.iter().enumerate().map(move |(condition, it)| {
                        (
                            ConditionPlace {
                                segment,
                                alternative,
                                condition,
                            },
                            it,
                        )
                    })
                },
            )
        })
}

/// The entries of both objects; of equal keys those of `over` stand.
fn merge(under: Option<&Object>, over: Option<&Object>) -> Object {
    match (under, over) {
        (Some(under), Some(over)) if !over.is_empty() => {
            let mut merged = under.clone();
            merged.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            merged
        }
        (Some(object), _) | (None, Some(object)) => object.clone(),
        (None, None) => Object::new(),
    }
}

/// Positions in a plan are 32 bits wide. Lists that long do not fit into memory; should one come
/// close, its last position stands for all that follow, which no look-up finds.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}
