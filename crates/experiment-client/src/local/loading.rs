//! From the JSON of a flag configuration to the snapshot in use.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use experiment_evaluation::{Options, Plan};
use experiment_model::{FlagSet, read_flags};
use tokio::time::Instant;
use twox_hash::XxHash3_128;

use crate::{
    cohort::{Cohort, CohortStore, References},
    error::Error,
    exchange::deadline,
    flags::{
        cache_file::{CacheFile, FlagsRecord},
        place, problem,
    },
    local::{
        freshness::FlagSource,
        shared::{Running, Shared},
        snapshot::{FlagInfo, Snapshot},
    },
    metrics::Measurement,
};

/// How long new flags wait for their cohorts.
const COHORTS_WITHIN: Duration = Duration::from_secs(30);

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is in use now.
    Changed,
    /// It was in use already.
    Unchanged,
    /// It looks wrong: it is taken if it comes again.
    Held,
    /// So does this, and it is another one than that which was held back before.
    HeldInstead,
}

/// A configuration that was read and compiled.
pub(crate) struct Loaded {
    pub(crate) plan: Arc<Plan>,
    pub(crate) flags: Arc<[FlagInfo]>,
    pub(crate) wanted: Arc<References>,
}

impl Loaded {
    /// Reads and compiles. What comes from the service must be an array with at least one good flag
    /// in it, or an empty one: anything else is an answer that something in between has given.
    pub(crate) fn read(
        json: &[u8],
        from_service: bool,
        options: &Options,
        change: impl FnOnce(&mut FlagSet),
    ) -> Result<Self, String> {
        let is_array = json.trim_ascii_start().first() == Some(&b'[');
        if from_service && !is_array {
            return Err("expected an array of flags".to_owned());
        }
        let mut set = read_flags(json).map_err(|error| problem(&error))?;
        if let ([], [first, ..]) = (set.flags.as_slice(), set.malformed.as_slice()) {
            return Err(format!(
                "no flag can be read, the first is {}",
                place(first)
            ));
        }
        change(&mut set);
        let flags = set
            .flags
            .iter()
            .map(|flag| FlagInfo {
                key: flag.key.clone(),
                metadata: flag.metadata.clone().unwrap_or_default(),
                dependencies: flag.dependencies.clone().unwrap_or_default(),
            })
            .collect();
        Ok(Self {
            wanted: Arc::new(References::of(&set.flags)),
            plan: Arc::new(Plan::compile(&set, options)),
            flags,
        })
    }
}

/// Why a configuration may be that of a server that is behind, or damaged.
fn looks_wrong(old: &Snapshot, new: &[FlagInfo]) -> Option<&'static str> {
    if new.is_empty() && !old.flags.is_empty() {
        return Some("all flags are gone");
    }
    let versions: HashMap<&str, i64> = old
        .flags
        .iter()
        .filter_map(|flag| Some((flag.key.as_str(), flag.version()?)))
        .collect();
    let older = |flag: &FlagInfo| {
        let known = versions.get(flag.key.as_str());
        known
            .zip(flag.version())
            .is_some_and(|(known, new)| new < *known)
    };
    new.iter()
        .any(older)
        .then_some("a flag has gone back in version")
}

impl Shared {
    /// Takes a configuration of the service into use, with the cohorts it refers to.
    pub(crate) async fn apply(
        self: &Arc<Self>,
        running: &Running,
        json: Bytes,
        source: FlagSource,
    ) -> Result<Applied, Error> {
        let mut held = running.update.lock().await;
        let hash = XxHash3_128::oneshot(&json);
        let old = self.snapshot.load_full();
        let is_known = old.version > 0 && old.hash == hash;
        if is_known && old.source >= FlagSource::Poll {
            held.0 = None;
            self.settings.meter.record(Measurement::FlagsLoaded {
                source: source.as_str(),
                flags: old.flags.len(),
                changed: false,
            });
            Self::confirmed(running);
            return Ok(Applied::Unchanged);
        }
        let loaded = if is_known {
            // What was bundled, or in the file, is what the service has.
            Loaded {
                plan: Arc::clone(&old.plan),
                flags: Arc::clone(&old.flags),
                wanted: Arc::clone(&old.wanted),
            }
        } else {
            self.read_apart(json.clone()).await?
        };
        if let Some(reason) = looks_wrong(&old, &loaded.flags)
            && held.0 != Some(hash)
        {
            tracing::warn!(
                source = source.as_str(),
                reason,
                "holding flags back until they come again"
            );
            return Ok(match held.0.replace(hash) {
                None => Applied::Held,
                Some(_) => Applied::HeldInstead,
            });
        }
        held.0 = None;
        let wanted = loaded.wanted;
        let (cohorts, failed) = self.cohorts_for(&wanted, &old.cohorts).await;
        running.status().cohorts_failed = failed;
        for diagnostic in loaded.plan.diagnostics() {
            // The message has values in it, which may be of users.
            tracing::warn!(
                flag = diagnostic.flag.as_deref(),
                path = diagnostic.path,
                code = diagnostic.code.as_str(),
                "a flag is not as it should be"
            );
        }
        let new = Snapshot {
            plan: loaded.plan,
            cohorts,
            flags: loaded.flags,
            wanted,
            hash,
            version: old.version.saturating_add(1),
            source,
            stored_at: self.settings.clock.now(),
        };
        self.settings.meter.record(Measurement::FlagsLoaded {
            source: source.as_str(),
            flags: new.flags.len(),
            changed: true,
        });
        let new = Arc::new(new);
        self.snapshot.store(Arc::clone(&new));
        Self::confirmed(running);
        self.write_file(json, &new).await;
        Ok(Applied::Changed)
    }

    /// Refreshes the cohorts of the flags in use.
    pub(crate) async fn refresh_cohorts(self: &Arc<Self>, running: &Running) {
        let _one_at_a_time = running.update.lock().await;
        let old = self.snapshot.load_full();
        let (cohorts, failed) = self.cohorts_for(&old.wanted, &old.cohorts).await;
        running.status().cohorts_failed = failed;
        running.changed.notify_waiters();
        self.snapshot.store(Arc::new(Snapshot {
            plan: Arc::clone(&old.plan),
            cohorts: Arc::clone(&cohorts),
            flags: Arc::clone(&old.flags),
            wanted: Arc::clone(&old.wanted),
            ..*old
        }));
        let is_loaded_before = |(id, new): (&str, &Cohort)| {
            old.cohorts
                .get(id)
                .is_some_and(|old| old.loaded_at() == new.loaded_at())
        };
        if cohorts.len() != old.cohorts.len() || !cohorts.iter().all(is_loaded_before) {
            self.write_cohorts(&cohorts).await;
        }
    }

    async fn cohorts_for(
        &self,
        wanted: &References,
        old: &Arc<CohortStore>,
    ) -> (Arc<CohortStore>, usize) {
        let Some(cohorts) = &self.settings.cohorts else {
            return (Arc::clone(old), 0);
        };
        if wanted.is_empty() && old.is_empty() {
            return (Arc::clone(old), 0);
        }
        let (new, failed) = cohorts.sync(wanted, old, deadline(COHORTS_WITHIN)).await;
        (Arc::new(new), failed.len())
    }

    /// Compiling takes long enough to stand in the way of other tasks.
    async fn read_apart(self: &Arc<Self>, json: Bytes) -> Result<Loaded, Error> {
        let shared = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || shared.read(&json, true));
        let read = read
            .await
            .unwrap_or_else(|_| Err("reading was cut off".to_owned()));
        read.map_err(|reason| Error::Malformed {
            what: "flags",
            reason,
            attempts: 1,
        })
    }

    pub(crate) fn read(&self, json: &[u8], from_service: bool) -> Result<Loaded, String> {
        Loaded::read(json, from_service, &self.settings.plan, |set| {
            #[cfg(any(test, feature = "test-kit"))]
            if let Some(overrides) = &self.settings.overrides {
                overrides.apply(set);
            }
            #[cfg(not(any(test, feature = "test-kit")))]
            let _ = set;
        })
    }

    /// Notes that the flags in use are those of the service.
    pub(crate) fn confirmed(running: &Running) {
        let mut status = running.status();
        status.confirmed = Some(Instant::now());
        status.cause = None;
        status.refused = false;
        status.failures = 0;
        drop(status);
        running.changed.notify_waiters();
    }

    /// Notes that the flags could not be refreshed.
    pub(crate) fn failed(&self, running: &Running, source: FlagSource, error: Error) {
        tracing::warn!(source = source.as_str(), %error, "flags not refreshed");
        self.settings.meter.record(Measurement::FlagsFailed {
            source: source.as_str(),
            reason: error.reason(),
        });
        let mut status = running.status();
        status.failures = status.failures.saturating_add(1);
        // Polling comes after the stream and may still succeed.
        status.refused = source == FlagSource::Poll && !error.is_retryable();
        status.cause = Some(Arc::new(error));
        drop(status);
        running.changed.notify_waiters();
    }

    /// Whose flags those of the file are, without the key itself.
    pub(crate) fn origin(&self) -> String {
        let key = self.settings.deployment_key.expose();
        format!("{:032x}", XxHash3_128::oneshot(key.as_bytes()))
    }

    async fn write_file(&self, json: Bytes, snapshot: &Arc<Snapshot>) {
        let record = FlagsRecord {
            stored_at: snapshot.stored_at,
            origin: self.origin(),
            etag: None,
            flags: json,
        };
        let snapshot = Arc::clone(snapshot);
        self.with_file(move |file| file.store(&record, &snapshot.cohorts))
            .await;
    }

    /// Stores new cohorts beside the flags that are in the file.
    async fn write_cohorts(&self, cohorts: &Arc<CohortStore>) {
        let cohorts = Arc::clone(cohorts);
        self.with_file(move |file| match file.load()? {
            Some(found) => file.store(&found.record, &cohorts),
            None => Ok(()),
        })
        .await;
    }

    async fn with_file(&self, work: impl FnOnce(&CacheFile) -> Result<(), Error> + Send + 'static) {
        let Some(file) = self.settings.cache_file.clone() else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || work(&file)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the file with the last good flags is not written");
        }
    }
}
