//! [`LocalClient`].

use std::{fmt, sync::Arc, time::Duration};

use experiment_evaluation::{Explanation, KeysOptions};
use experiment_model::{User, Variant, Variants};
use tokio::time::timeout_at;

use crate::{
    account::Account,
    cohort::Enriched,
    delivery::Delivery,
    error::{Error, Phase},
    exchange::deadline as deadline_in,
    local::{
        builder::LocalClientBuilder,
        freshness::{Freshness, State},
        options::{CohortPolicy, EvaluateOptions, Updates},
        shared::Shared,
        snapshot::{Snapshot, VariantRef},
    },
    metrics::Measurement,
    secret::Secret,
};

/// Evaluates users in this process, with flags and cohorts that are kept fresh in the background.
///
/// Clones share everything. Evaluating takes no lock, waits for nothing and needs no runtime;
/// [`start`](Self::start) needs tokio, or makes a thread of its own where there is none. What has
/// not been delivered when the last clone is dropped stays in the spool, if there is one:
/// call [`shutdown`](Self::shutdown) before.
///
/// | when this fails | this happens |
/// |---|---|
/// | the service is down at the start | flags come from the file or the bootstrap, or [`start`](Self::start) says why not; trying goes on |
/// | it goes down later, or answers nonsense | the last good flags stay; [`freshness`](Self::freshness) says since when and why |
/// | one flag is malformed | a warning is logged and the others are used |
/// | all flags are gone, or a flag goes back in version | the flags in use stay until the service says the same again |
/// | the stream breaks | polling takes over at once, and the stream is tried again every 15 s |
/// | a cohort cannot be loaded | the last one stays; if there never was one, nobody is in it and [`freshness`](Self::freshness) names it |
/// | the user has no id | it is evaluated, counted in the metrics and not tracked |
/// | events cannot be delivered | they wait in the queue or spool; [`flush`](Self::flush) gives the account |
/// | the process is forked | the child notices, starts its own tasks and sends none of the parent's events |
///
/// ```
/// use experiment_client::{LocalClient, Updates};
/// use experiment_model::User;
///
/// let client = LocalClient::builder("server-deployment-key")
///     .updates(Updates::Off)
///     .bootstrap(r#"[{"key": "search", "variants": {"on": {"key": "on", "value": "on"}},
///         "segments": [{"variant": "on"}]}]"#)
///     .build()?;
///
/// let user = User::new().with_user_id("user-1");
/// assert!(client.variant(&user, "search").is_some_and(|variant| variant.is("on")));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalClient(Arc<Owner>);

/// Ends the tasks when the last client is gone.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalClient")
            .field("snapshot", &*self.0.0.snapshot.load())
            .finish_non_exhaustive()
    }
}

impl LocalClient {
    /// Builds a client for a server-side deployment.
    pub fn builder(deployment_key: impl Into<Secret>) -> LocalClientBuilder {
        LocalClientBuilder::new(deployment_key.into())
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Owner(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Starts keeping flags fresh and delivering events, and waits until the service has confirmed
    /// the flags, at most `deadline`. Calling it again waits again.
    ///
    /// It succeeds when there are flags to evaluate with: if `deadline` passes and the service has
    /// not answered, those of the file or the bootstrap will do. A refusal that no repetition
    /// can change, such as 401, is not waited for. Whatever it returns, the work in the background goes on,
    /// and late success counts.
    ///
    /// # Errors
    ///
    /// The error of the last attempt, or [`Error::Timeout`] if there was none, while there are no
    /// flags; with [`CohortPolicy::FailStart`] also while a cohort is missing.
    pub async fn start(&self, deadline: Duration) -> Result<(), Error> {
        let shared = self.shared();
        shared.arm().map_err(|source| Error::Storage {
            what: "thread",
            source,
        })?;
        if matches!(shared.settings.updates, Updates::Off) {
            return self.started();
        }
        let until = deadline_in(deadline);
        loop {
            let running = Arc::clone(&shared.running());
            let changed = running.value.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if running.value.is_closed() {
                return Err(Error::Closed);
            }
            let status = running.value.status().clone();
            let complete = shared.settings.cohort_policy == CohortPolicy::StartDegraded
                || self.missing_cohorts().is_empty();
            if status.confirmed.is_some() && complete {
                return Ok(());
            }
            if status.refused {
                return self.started();
            }
            if timeout_at(until, changed).await.is_err() {
                return self.started();
            }
        }
    }

    /// Whether there is enough to begin with.
    fn started(&self) -> Result<(), Error> {
        let shared = self.shared();
        let has_flags = shared.snapshot.load().version > 0;
        let missing = self.missing_cohorts();
        if has_flags
            && (missing.is_empty() || shared.settings.cohort_policy == CohortPolicy::StartDegraded)
        {
            return Ok(());
        }
        let running = shared.running();
        let status = running.value.status();
        if has_flags {
            return Err(Error::Malformed {
                what: "cohorts",
                reason: format!("{} not loaded", missing.join(", ")),
                attempts: status.failures,
            });
        }
        Err(match status.cause.as_deref() {
            Some(cause) => cause.again().with_attempts(status.failures),
            None => Error::Timeout {
                phase: Phase::Head,
                attempts: 0,
            },
        })
    }

    /// The variants that the flags give a user, in evaluation order, tracked as the client was
    /// built or as `options` say. Flags that give none are not in the result.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] if there are no flags yet, [`Error::Config`] if `options` ask for
    /// tracking and the client was built without. Both come before anything is evaluated.
    pub fn evaluate(&self, user: &User, options: EvaluateOptions<'_>) -> Result<Variants, Error> {
        let shared = self.shared();
        let settings = &shared.settings;
        let asked =
            options.tracks_assignment == Some(true) || options.tracks_exposure == Some(true);
        if asked && settings.tracking.is_none() {
            return Err(Error::Config {
                field: "tracking",
                reason: "was not set when the client was built",
            });
        }
        shared.notice_fork();
        let snapshot = shared.snapshot.load();
        if snapshot.version == 0 {
            settings.meter.record(Measurement::EvaluatedNotReady);
            return Err(Error::NotReady);
        }
        let context = Enriched::new(user, &snapshot.cohorts);
        let variants = match options.flag_keys {
            None => snapshot.plan.evaluate(&context),
            Some(keys) => {
                let mut wanted = KeysOptions::new();
                wanted.dependencies = options.include_dependencies;
                snapshot.plan.evaluate_keys(&context, keys, wanted)
            }
        }
        .to_variants();
        settings.meter.record(Measurement::Evaluated {
            flags: variants.len(),
        });
        if !user.has_id() {
            settings.meter.record(Measurement::EvaluatedWithoutId);
        } else if let Some(tracking) = &settings.tracking {
            let assigns = options.tracks_assignment.unwrap_or(tracking.assignments);
            let exposes = options.tracks_exposure.unwrap_or(tracking.exposures);
            if assigns || exposes {
                self.track(user, &variants, assigns, exposes);
            }
        }
        Ok(variants)
    }

    fn track(&self, user: &User, variants: &Variants, assigns: bool, exposes: bool) {
        let shared = self.shared();
        let running = shared.running();
        if assigns {
            shared.track_assignment(&running.value, user, variants);
        }
        if exposes {
            shared.track_exposures(&running.value, user, variants);
        }
    }

    /// The variant that one flag gives a user: `None` if there is no such flag, none of its
    /// segments gives one, or there are no flags yet. It allocates nothing and tracks nothing; see
    /// [`exposure`](Self::exposure).
    #[inline]
    pub fn variant(&self, user: &User, flag_key: &str) -> Option<VariantRef> {
        let shared = self.shared();
        shared.notice_fork();
        let snapshot = shared.snapshot.load();
        let id = snapshot.variant_id(user, flag_key)?;
        Some(VariantRef { snapshot, id })
    }

    /// Tracks that a user was shown a variant of a flag, unless that is what was tracked last.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the client was built without tracking, [`Error::MissingId`] if the user
    /// has no id, [`Error::Dropped`] if the event cannot be kept: it will be tracked when it
    /// happens again.
    ///
    /// ```
    /// # use experiment_client::{DeliveryOptions, LocalClient, Tracking, Updates};
    /// # use experiment_model::User;
    /// # let client = LocalClient::builder("key").updates(Updates::Off)
    /// #     .tracking(Tracking::new(DeliveryOptions::new("analytics-api-key")))
    /// #     .bootstrap(r#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [{"variant": "on"}]}]"#)
    /// #     .build()?;
    /// let user = User::new().with_user_id("user-1");
    /// if let Some(variant) = client.variant(&user, "f") {
    ///     client.exposure(&user, "f", &variant)?;
    /// }
    /// assert_eq!(client.account().queued, 1);
    /// # Ok::<(), experiment_client::Error>(())
    /// ```
    pub fn exposure(&self, user: &User, flag_key: &str, variant: &Variant) -> Result<(), Error> {
        let shared = self.shared();
        if shared.settings.tracking.is_none() {
            return Err(Error::Config {
                field: "tracking",
                reason: "was not set when the client was built",
            });
        }
        if !user.has_id() {
            return Err(Error::MissingId);
        }
        let running = shared.running();
        shared
            .track_exposure(&running.value, user, flag_key, variant, None)
            .map_err(|cause| Error::Dropped { cause })
    }

    /// Why a flag gives a user the variant it gives, in a form that outlives the configuration;
    /// `None` if there is no such flag.
    ///
    /// ```
    /// # use experiment_client::{LocalClient, Updates};
    /// # use experiment_model::User;
    /// # let client = LocalClient::builder("key").updates(Updates::Off)
    /// #     .bootstrap(r#"[{"key": "f", "variants": {"on": {"key": "on"}}, "segments": [{"variant": "on"}]}]"#)
    /// #     .build()?;
    /// let text = client.explain(&User::new().with_user_id("user-1"), "f", |why| why.to_string());
    /// assert!(text.is_some_and(|text| text.contains("on")));
    /// # Ok::<(), experiment_client::Error>(())
    /// ```
    pub fn explain<R>(
        &self,
        user: &User,
        flag_key: &str,
        read: impl FnOnce(&Explanation<'_>) -> R,
    ) -> Option<R> {
        let snapshot = self.shared().snapshot.load();
        let context = Enriched::new(user, &snapshot.cohorts);
        let explanation = snapshot.plan.explain(&context, flag_key)?;
        Some(read(&explanation))
    }

    /// Takes flags into use as if they had been bundled, for tests.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if they cannot be read; those in use stay.
    #[cfg(any(test, feature = "test-kit"))]
    pub fn set_flags(&self, json: &[u8]) -> Result<(), Error> {
        let cohorts = Arc::clone(&self.shared().snapshot.load().cohorts);
        self.shared()
            .take(
                json,
                crate::FlagSource::Bootstrap,
                experiment_model::Timestamp::default(),
                cohorts,
            )
            .map_err(|reason| Error::Malformed {
                what: "flags",
                reason,
                attempts: 0,
            })
    }

    /// The configuration in use. It stays as it is for as long as it is held.
    pub fn flags(&self) -> Arc<Snapshot> {
        self.shared().snapshot.load_full()
    }

    /// How good the flags are right now.
    pub fn freshness(&self) -> Freshness {
        let shared = self.shared();
        let running = shared.running();
        let status = running.value.status().clone();
        let snapshot = shared.snapshot.load();
        let has_flags = snapshot.version > 0;
        let stored_age = || {
            let now = shared.settings.clock.now();
            (snapshot.source > crate::FlagSource::Bootstrap)
                .then(|| now.saturating_since(snapshot.stored_at))
        };
        let age = status.confirmed.map(|at| at.elapsed()).or_else(stored_age);
        let fresh = age.is_some_and(|age| age <= shared.settings.stale_after);
        let state = match (has_flags, &status.cause) {
            (false, None) => State::NotReady,
            (false, Some(_)) => State::Failed,
            (true, _) if fresh || matches!(shared.settings.updates, Updates::Off) => State::Ready,
            (true, _) => State::Stale,
        };
        Freshness {
            state,
            source: has_flags.then_some(snapshot.source),
            age: age.filter(|_| has_flags),
            version: snapshot.version,
            flags: snapshot.flags.len(),
            cause: status.cause,
            missing_cohorts: self.missing_cohorts(),
        }
    }

    fn missing_cohorts(&self) -> Vec<experiment_model::Text> {
        let snapshot = self.shared().snapshot.load();
        let missing = snapshot.wanted.missing(&snapshot.cohorts);
        missing.map(experiment_model::Text::from).collect()
    }

    /// What has become of the events so far.
    pub fn account(&self) -> Account {
        let running = self.shared().running();
        let delivery = running.value.delivery.as_ref();
        delivery.map(Delivery::account).unwrap_or_default()
    }

    /// Delivers what is queued now, for at most `deadline`, and returns the account.
    pub async fn flush(&self, deadline: Duration) -> Account {
        let running = Arc::clone(&self.shared().running());
        match &running.value.delivery {
            Some(delivery) => delivery.flush(deadline).await,
            None => Account::default(),
        }
    }

    /// Ends all work: delivers what is queued, for at most `deadline`, and returns the account.
    /// Evaluating goes on with the flags there are; what would be tracked is counted as dropped.
    /// Calling it again returns the account.
    pub async fn shutdown(&self, deadline: Duration) -> Account {
        let running = Arc::clone(&self.shared().running());
        let account = match &running.value.delivery {
            Some(delivery) => delivery.shutdown(deadline).await,
            None => Account::default(),
        };
        running.value.close();
        account
    }
}
