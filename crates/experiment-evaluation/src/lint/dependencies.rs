//! Dependencies that are read but not declared, and declared but not read.

use alloc::{format, string::String, vec::Vec};

use experiment_model::{Flag, Selector, Text};
use hashbrown::{HashMap, HashSet};

use super::{Findings, selection::read_flag};
use crate::{compile::conditions, diagnostic::Code};

/// So many dependencies of one flag are followed; no real flag has more.
const FOLLOWED: usize = 1_000;

/// The flags by key.
pub(super) struct Dependencies<'f> {
    flags: &'f HashMap<&'f str, &'f Flag>,
}

impl<'f> Dependencies<'f> {
    pub(super) fn new(flags: &'f HashMap<&'f str, &'f Flag>) -> Self {
        Self { flags }
    }

    pub(super) fn check(&self, findings: &mut Findings<'_>) {
        let flag = findings.flag;
        let reads: Vec<(String, &Text)> = selectors(flag)
            .filter_map(|(path, selector)| read_flag(selector).map(|read| (path(), read)))
            .collect();
        let declared = flag.dependencies.as_deref().unwrap_or_default();
        if reads.is_empty() && declared.is_empty() {
            return;
        }
        for (path, read) in &reads {
            let is_own = **read == flag.key;
            if !is_own && (declared.contains(read) || self.reach(declared, &[*read])) {
                continue;
            }
            let message = if is_own {
                String::from("the flag reads its own result, which is absent")
            } else {
                format!("`{read}` is read, but is not a dependency")
            };
            findings.push(Code::UndeclaredDependency, path.clone(), message);
        }
        let wanted: Vec<&Text> = reads.iter().map(|(_, read)| *read).collect();
        for (index, dependency) in declared.iter().enumerate() {
            // A dependency that is missing is a finding of compiling.
            if !self.flags.contains_key(dependency.as_str()) {
                continue;
            }
            // Flags may be read through others.
            let is_read = !wanted.is_empty()
                && (wanted.contains(&dependency)
                    || self.reach(core::slice::from_ref(dependency), &wanted));
            if !is_read {
                let message = format!("no condition reads the result of `{dependency}`");
                let path = format!("dependencies[{index}]");
                findings.push(Code::UnusedDependency, path, message);
            }
        }
    }

    /// Whether one of the `wanted` flags is among `keys` and what they depend on, directly or not.
    /// Beyond [`FOLLOWED`] flags it is taken to be.
    fn reach(&self, keys: &[Text], wanted: &[&Text]) -> bool {
        let wanted: HashSet<&str> = wanted.iter().map(|key| key.as_str()).collect();
        let mut reached: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = keys.iter().map(Text::as_str).collect();
        while let Some(key) = open.pop() {
            if wanted.contains(key) || reached.len() > FOLLOWED {
                return true;
            }
            if let Some(flag) = self.flags.get(key).filter(|_| reached.insert(key)) {
                open.extend(flag.dependencies.iter().flatten().map(Text::as_str));
            }
        }
        false
    }
}

/// All selectors of a flag, each with its path.
fn selectors(flag: &Flag) -> impl Iterator<Item = (impl Fn() -> String, &Selector)> {
    let of_conditions =
        conditions(flag).map(|(place, condition)| (Place::Condition(place), &condition.selector));
    let of_buckets = flag
        .segments
        .iter()
        .enumerate()
        .filter_map(|(index, segment)| {
            Some((Place::Bucket(index), &segment.bucket.as_ref()?.selector))
        });
    of_conditions
        .chain(of_buckets)
        .map(|(place, selector)| (move || place.path(), selector))
}

#[derive(Clone, Copy)]
enum Place {
    Condition(crate::compile::ConditionPlace),
    Bucket(usize),
}

impl Place {
    fn path(self) -> String {
        match self {
            Self::Condition(place) => format!("{place}.selector"),
            Self::Bucket(segment) => format!("segments[{segment}].bucket.selector"),
        }
    }
}
