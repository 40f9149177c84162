//! [`lint`]: what flags that compile may get wrong, and what official SDKs answer differently.

mod constant;
mod dependencies;
mod dialect;
mod portability;
mod ranges;
mod selection;
mod spelling;

use alloc::{string::String, vec::Vec};
use core::cmp::Ordering;

use experiment_model::{Flag, FlagSet};
use hashbrown::{HashMap, HashSet};

use crate::{
    diagnostic::{Code, Diagnostic},
    limits::Options,
    plan::Plan,
};

use dependencies::Dependencies;

/// Everything there is to say about flags, in their order and by path: what [`Plan::compile`]
/// finds, what works but is probably not meant so, and what the official SDKs answer differently
/// (codes that start with `portability-`), which a team that runs several of them wants to know.
///
/// Nothing is evaluated: a finding holds whatever the users are like. A note about a property's
/// type says what happens if the property has that type. Of definitions with one key the last is
/// looked at, which is the one that stands; flags that exceed `Limits::values` are left alone.
///
/// What an ordinary flag has is no finding: ranges that overlap or miss each other by two points,
/// as rounding leaves them; allocations that do not cover everyone; variants that no segment
/// gives; a bucket without a variant for users who cannot be hashed.
///
/// ```
/// use experiment_evaluation::{Code, Options, lint};
/// use experiment_model::read_flags;
///
/// let flags = read_flags(br#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [
///     {"variant": "on", "conditions": [[{"op": "regex match", "values": ["@example\\.com"],
///         "selector": ["context", "user", "user_properties", "email"]}]]}
/// ]}]"#)?;
/// let findings = lint(&flags, &Options::default());
/// assert_eq!(findings.len(), 1);
/// assert_eq!(findings[0].code, Code::UnanchoredPattern);
/// assert_eq!(findings[0].path, "segments[0].conditions[0][0].values[0]");
/// assert!(findings[0].advice().contains("JVM and Android match the whole property"));
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
pub fn lint(flags: &FlagSet, options: &Options) -> Vec<Diagnostic> {
    let plan = Plan::compile(flags, options);
    let positions = positions(flags);
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut standing: HashMap<&str, &Flag> = HashMap::new();
    for (flag, &position) in flags.flags.iter().zip(&positions) {
        first.entry(&flag.key).or_insert(position);
        standing.insert(&flag.key, flag);
    }

    // Malformed flags come first in the plan, one finding each.
    let malformed = flags.malformed.iter().map(|malformed| malformed.index);
    let others = plan.diagnostics().iter().skip(flags.malformed.len());
    let position_of = |diagnostic: &Diagnostic| {
        let key = diagnostic.flag.as_deref().unwrap_or_default();
        first.get(key).copied().unwrap_or_default()
    };
    let mut found: Vec<(usize, Diagnostic)> = malformed
        .zip(plan.diagnostics().iter().cloned())
        .chain(others.map(|diagnostic| (position_of(diagnostic), diagnostic.clone())))
        .collect();

    let refused: HashSet<(&str, &str)> = plan
        .diagnostics()
        .iter()
        .filter_map(|finding| Some((finding.flag.as_deref()?, finding.path.as_str())))
        .collect();
    let dependencies = Dependencies::new(&standing);
    for (flag, &position) in flags.flags.iter().zip(&positions) {
        let stands = standing
            .get(flag.key.as_str())
            .is_some_and(|last| core::ptr::eq(*last, flag));
        if !stands || exceeds_values(flag, options) {
            continue;
        }
        let mut findings = Findings {
            flag,
            list: Vec::new(),
        };
        constant::check(&mut findings);
        ranges::check(&mut findings);
        dependencies.check(&mut findings);
        portability::check(&mut findings, |path| {
            refused.contains(&(flag.key.as_str(), path))
        });
        let position = first.get(flag.key.as_str()).copied().unwrap_or(position);
        found.extend(findings.list.into_iter().map(|finding| (position, finding)));
    }
    found.sort_by(|(a, one), (b, other)| {
        a.cmp(b).then_with(|| compare_paths(&one.path, &other.path))
    });
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// Findings about one flag.
struct Findings<'f> {
    flag: &'f Flag,
    list: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn push(&mut self, code: Code, path: String, message: String) {
        self.list
            .push(Diagnostic::new(code, &self.flag.key, path, message));
    }
}

fn exceeds_values(flag: &Flag, options: &Options) -> bool {
    crate::compile::conditions(flag)
        .any(|(_, condition)| condition.values.len() > options.limits.values)
}

/// Where the good flags stood among all flags: the places that the malformed ones leave.
fn positions(flags: &FlagSet) -> Vec<usize> {
    let mut taken = flags
        .malformed
        .iter()
        .map(|malformed| malformed.index)
        .peekable();
    let mut next = 0_usize;
    flags
        .flags
        .iter()
        .map(|_| {
            while taken.next_if_eq(&next).is_some() {
                next = next.saturating_add(1);
            }
            let position = next;
            next = next.saturating_add(1);
            position
        })
        .collect()
}

/// The order of paths, with indices as numbers: `segments[2]` stands in front of `segments[10]`.
fn compare_paths(a: &str, b: &str) -> Ordering {
    // An index starts behind `[` and none has a leading zero, so the longer one is the larger.
    let parts =
        |path| str::split(path, '[').map(|part: &str| part.split_once(']').unwrap_or(("", part)));
    let keys =
        |(index, rest): (&'_ str, &'_ str)| (index.len(), String::from(index), String::from(rest));
    parts(a).map(keys).cmp(parts(b).map(keys))
}
