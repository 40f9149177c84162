//! [`Flags`]: the flags that can be evaluated here.

use std::collections::HashSet;

use experiment_evaluation::{KeysOptions, Options, Plan};
use experiment_model::{Flag, FlagSet, Text, User, Value, Variant, Variants};

use super::resolution::Configuration;

/// Flags, compiled, and which of them are always evaluated here.
#[derive(Debug)]
pub(crate) struct Flags {
    plan: Plan,
    local: HashSet<Text>,
}

impl Flags {
    /// The fetched (or stored) flags, and those of the initial ones that are not among them.
    pub(crate) fn new(fetched: &FlagSet, initial: &FlagSet) -> Self {
        let known: HashSet<&Text> = fetched.flags.iter().map(|flag| &flag.key).collect();
        let missing = initial
            .flags
            .iter()
            .filter(|flag| !known.contains(&flag.key));
        let all = FlagSet {
            flags: fetched.flags.iter().chain(missing).cloned().collect(),
            malformed: fetched.malformed.clone(),
        };
        let mut local = HashSet::new();
        for flag in &all.flags {
            // Of two flags with one key the last counts.
            if is_local(flag) {
                local.insert(flag.key.clone());
            } else {
                local.remove(&flag.key);
            }
        }
        let plan = Plan::compile(&all, &Options::default());
        for diagnostic in plan.diagnostics() {
            tracing::warn!(
                flag = diagnostic.flag.as_deref(),
                code = ?diagnostic.code,
                "a flag is not as it should be"
            );
        }
        Self { plan, local }
    }

    pub(crate) fn len(&self) -> usize {
        self.plan.len()
    }

    pub(crate) fn configuration(&self, flag_key: &str) -> Configuration {
        if self.local.contains(flag_key) {
            Configuration::Local
        } else if self.plan.flag(flag_key).is_some() {
            Configuration::Remote
        } else {
            Configuration::Unknown
        }
    }

    pub(crate) fn evaluate(&self, user: &User, flag_key: &str) -> Option<&Variant> {
        self.plan.variant(user, flag_key)
    }

    /// The variants of the flags that are always evaluated here, by flag key.
    pub(crate) fn evaluate_local(&self, user: &User) -> Variants {
        self.plan
            .evaluate_keys(user, &self.local, KeysOptions::new())
            .to_variants()
    }
}

fn is_local(flag: &Flag) -> bool {
    let metadata = flag.metadata.as_ref();
    metadata
        .and_then(|metadata| metadata.get("evaluationMode"))
        .and_then(Value::as_str)
        == Some("local")
}
