//! [`Snapshot`]: everything one evaluation reads, of one moment.

use std::{fmt, ops::Deref, sync::Arc};

use arc_swap::Guard;
use experiment_evaluation::{Plan, VariantId};
use experiment_model::{Object, Text, Timestamp, User, Value, Variant};

use crate::{
    cohort::{CohortStore, Enriched, References},
    local::freshness::FlagSource,
};

/// A configuration in use: flags compiled, cohorts, and where they came from.
///
/// All evaluations of one request that use one snapshot agree with each other, whatever arrives in
/// between.
pub struct Snapshot {
    pub(crate) plan: Arc<Plan>,
    pub(crate) cohorts: Arc<CohortStore>,
    pub(crate) flags: Arc<[FlagInfo]>,
    /// The cohorts that the flags refer to.
    pub(crate) wanted: Arc<References>,
    /// Of the JSON the flags were read from.
    pub(crate) hash: u128,
    /// 0: nothing has been loaded.
    pub(crate) version: u64,
    pub(crate) source: FlagSource,
    /// When the service, or the file, was read.
    pub(crate) stored_at: Timestamp,
}

/// What is known of a flag without evaluating it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FlagInfo {
    /// The key of the flag.
    pub key: Text,
    /// Its metadata, such as `flagVersion`, `flagType`, `experimentKey`, `deployed`.
    pub metadata: Object,
    /// The keys of the flags it depends on, directly.
    pub dependencies: Vec<Text>,
}

impl FlagInfo {
    /// The version of the flag, which rises with every change of its configuration.
    pub fn version(&self) -> Option<i64> {
        self.metadata.get("flagVersion").and_then(Value::as_i64)
    }
}

impl Snapshot {
    /// The variant that one flag gives a user: [`LocalClient::variant`](crate::LocalClient::variant)
    /// for many flags of one request, all from this configuration, each at the cost of the engine
    /// alone.
    ///
    /// ```
    /// # use experiment_client::{LocalClient, Updates};
    /// # use experiment_model::User;
    /// # let client = LocalClient::builder("key").updates(Updates::Off)
    /// #     .bootstrap(r#"[{"key": "f", "variants": {"on": {"key": "on", "value": "on"}}, "segments": [{"variant": "on"}]}]"#)
    /// #     .build()?;
    /// let user = User::new().with_user_id("user-1");
    /// let flags = client.flags();
    /// assert!(flags.variant(&user, "f").is_some_and(|variant| variant.is("on")));
    /// # Ok::<(), experiment_client::Error>(())
    /// ```
    #[inline]
    pub fn variant(&self, user: &User, flag_key: &str) -> Option<&Variant> {
        self.plan.variant_by_id(self.variant_id(user, flag_key)?)
    }

    #[inline]
    pub(crate) fn variant_id(&self, user: &User, flag_key: &str) -> Option<VariantId> {
        let flag = self.plan.flag(flag_key)?;
        if self.cohorts.is_empty() {
            return flag.variant_id(user);
        }
        flag.variant_id(&Enriched::new(user, &self.cohorts))
    }

    /// The flags, compiled. They do not know the cohorts: evaluate with
    /// [`variant`](Self::variant).
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is known of each flag, in the order of the configuration.
    pub fn flags(&self) -> &[FlagInfo] {
        &self.flags
    }

    /// How many configurations the client had taken into use with this one; 0 if there were none
    /// yet.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the flags came from.
    pub fn source(&self) -> FlagSource {
        self.source
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("source", &self.source)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// A variant together with the snapshot it is part of: nothing was copied or allocated to return
/// it. It reads as a [`Variant`].
///
/// Let it go soon; to keep a variant, clone it: `(*variant).clone()`.
pub struct VariantRef {
    pub(crate) snapshot: Guard<Arc<Snapshot>>,
    pub(crate) id: VariantId,
}

/// What an id that is not of the plan would give; [`VariantRef`] is only made with its own.
static NO_VARIANT: Variant = Variant {
    key: None,
    value: None,
    payload: None,
    metadata: None,
};

impl Deref for VariantRef {
    type Target = Variant;

    fn deref(&self) -> &Variant {
        self.snapshot
            .plan
            .variant_by_id(self.id)
            .unwrap_or(&NO_VARIANT)
    }
}

impl fmt::Debug for VariantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
