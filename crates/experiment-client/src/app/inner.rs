//! [`Inner`]: what an app client and its background tasks share.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use experiment_model::{FlagSet, User, Variant, Variants, read_flags};
use http::HeaderValue;

use super::{
    exposure::{ExposureTracker, Tracked, exposure_of},
    flags::Flags,
    outcome::{FetchOutcome, ResolvedVariant},
    pieces::{Names, write_flags, write_tracks_assignment, write_variants},
    resolution::{Known, Resolution, Source, resolve},
    state::{Snapshot, State, Ticket},
    storage::{Piece, Storage, StorageFinding, StorageProblem},
    user::{UserProvider, merged},
};
use crate::{
    endpoints::{Endpoint, paths},
    error::Error,
    exchange::{Exchange, Limits},
    flags::{self, place, problem},
    metrics::{Measurement, Meter},
    remote::{FetchOptions, RemoteClient},
    retry::RetryPolicy,
};

/// Bytes of the flags of a deployment, unpacked: some ten thousand flags.
const MAX_FLAGS_BODY: usize = 32 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) source: Source,
    pub(crate) initial_variants: Variants,
    pub(crate) fallback: Option<Variant>,
    pub(crate) initial_flags: FlagSet,
    pub(crate) state: State,
    pub(crate) user_provider: Option<Arc<dyn UserProvider>>,
    pub(crate) tracker: Option<ExposureTracker>,
    pub(crate) automatic_exposures: bool,
    pub(crate) tracks_assignment: Mutex<Option<bool>>,
    pub(crate) kept: Kept,
    pub(crate) remote: RemoteClient,
    pub(crate) flag_service: FlagService,
    pub(crate) retry: RetryPolicy,
    pub(crate) meter: Meter,
}

impl Inner {
    pub(crate) fn variant(
        &self,
        flag_key: &str,
        inline: Option<&Variant>,
        expose: bool,
    ) -> ResolvedVariant {
        let snapshot = self.state.load();
        let resolution = self.resolve(&snapshot, flag_key, inline);
        if expose {
            self.expose(&snapshot, flag_key, resolution);
        }
        ResolvedVariant::new(resolution)
    }

    fn resolve<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        flag_key: &str,
        inline: Option<&'a Variant>,
    ) -> Resolution<'a> {
        let known = Known {
            stored: snapshot.stored.get(flag_key),
            initial: self.initial_variants.get(flag_key),
            inline,
            configured: self.fallback.as_ref(),
        };
        let flags = &snapshot.flags;
        let configuration = flags.configuration(flag_key);
        resolve(self.source, known, configuration, || {
            flags.evaluate(&self.user_of(snapshot), flag_key)
        })
    }

    fn expose(&self, snapshot: &Snapshot, flag_key: &str, resolution: Resolution<'_>) {
        let Some(tracker) = &self.tracker else {
            return;
        };
        let Some(exposure) = exposure_of(flag_key, resolution) else {
            return;
        };
        match tracker.track(&exposure, &self.user_of(snapshot)) {
            Tracked::Taken => {}
            Tracked::Known => self
                .meter
                .record(Measurement::EventDeduplicated { kind: "exposure" }),
            Tracked::Refused => tracing::warn!(flag = flag_key, "an exposure was not tracked"),
        }
    }

    pub(crate) fn all(&self) -> Variants {
        let snapshot = self.state.load();
        let (mut all, first) = match self.source {
            Source::LocalStorage => (self.initial_variants.clone(), &*snapshot.stored),
            Source::InitialVariants => (Variants::clone(&snapshot.stored), &self.initial_variants),
        };
        all.extend(
            first
                .iter()
                .map(|(key, variant)| (key.clone(), variant.clone())),
        );
        all.extend(snapshot.flags.evaluate_local(&self.user_of(&snapshot)));
        all
    }

    /// The user that is evaluated: as the program set it, with what the provider adds.
    fn user_of(&self, snapshot: &Snapshot) -> Arc<User> {
        self.completed(snapshot.user.clone().unwrap_or_default())
    }

    fn completed(&self, explicit: Arc<User>) -> Arc<User> {
        match &self.user_provider {
            Some(provider) => merged(&explicit, &provider.user()),
            None => explicit,
        }
    }

    pub(crate) fn clear(&self) {
        self.state.clear(|| self.kept.remove(Piece::Variants));
    }

    pub(crate) fn set_tracks_assignment(&self, tracks: bool) {
        let mut option = self.lock_tracks_assignment();
        *option = Some(tracks);
        self.kept
            .write(Piece::TrackingOption, &write_tracks_assignment(tracks));
    }

    fn lock_tracks_assignment(&self) -> MutexGuard<'_, Option<bool>> {
        self.tracks_assignment
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt of a fetch that has begun.
    pub(crate) async fn fetch_once(
        &self,
        ticket: &Ticket,
        options: &FetchOptions,
    ) -> Result<FetchOutcome, Error> {
        let once = RetryPolicy::once(self.retry_of(options).attempt_timeout);
        let tracks_assignment = *self.lock_tracks_assignment();
        let options = options
            .clone()
            .with_retry(once)
            .with_tracks_assignment(options.tracks_assignment.or(tracks_assignment));
        let user = self.completed(Arc::clone(&ticket.user));
        let fetched = self.remote.fetch(&user, options).await?;
        for malformed in &fetched.malformed {
            tracing::warn!(%malformed, "a fetched variant is left out");
        }
        let variants = fetched.variants.len();
        let stored = self.state.store(ticket, fetched.variants, |variants| {
            self.kept.write(Piece::Variants, &write_variants(variants));
        });
        Ok(if stored {
            FetchOutcome::Stored {
                variants,
                malformed: fetched.malformed,
            }
        } else {
            FetchOutcome::Superseded
        })
    }

    /// How a fetch with these options is repeated.
    pub(crate) fn retry_of(&self, options: &FetchOptions) -> RetryPolicy {
        options.retry.unwrap_or(self.retry)
    }

    /// Loads the flags once. Whatever fails, those that were there stay.
    pub(crate) async fn load_flags(&self) -> Result<(), Error> {
        let source = "poll";
        let loaded = self.try_load_flags().await;
        match &loaded {
            Ok((flags, changed)) => self.meter.record(Measurement::FlagsLoaded {
                source,
                flags: *flags,
                changed: *changed,
            }),
            Err(error) => {
                tracing::debug!(%error, "flags could not be loaded");
                self.meter.record(Measurement::FlagsFailed {
                    source,
                    reason: error.reason(),
                });
            }
        }
        loaded.map(|_| ())
    }

    /// Returns how many flags there are now, and whether they have changed.
    async fn try_load_flags(&self) -> Result<(usize, bool), Error> {
        let ticket = self.state.begin_load();
        let body = self.flag_service.load().await?;
        if self.flag_service.is_current(&body) {
            return Ok((self.state.load().flags.len(), false));
        }
        let fetched = usable_flags(&body)?;
        let flags = Flags::new(&fetched, &self.initial_flags);
        let count = flags.len();
        let changed = self.state.put_flags(ticket, flags, || {
            self.flag_service.set_current(body);
            self.kept.write(Piece::Flags, &write_flags(&fetched.flags));
        });
        Ok((count, changed))
    }
}

/// Reads flags, of which there must be a good one unless there are none at all.
fn usable_flags(body: &[u8]) -> Result<FlagSet, Error> {
    let malformed = |reason| Error::Malformed {
        what: "flags",
        reason,
        attempts: 1,
    };
    let set = read_flags(body).map_err(|error| malformed(problem(&error)))?;
    match set.malformed.first() {
        Some(first) if set.flags.is_empty() => Err(malformed(place(first))),
        _ => Ok(set),
    }
}

/// Where flag configurations come from.
#[derive(Debug)]
pub(crate) struct FlagService {
    pub(crate) exchange: Exchange,
    pub(crate) endpoint: Endpoint,
    /// `Api-Key …`, marked as sensitive.
    pub(crate) authorization: HeaderValue,
    pub(crate) timeout: Duration,
    /// What the flags in use were read from.
    pub(crate) current: Mutex<Option<Bytes>>,
}

impl FlagService {
    async fn load(&self) -> Result<Bytes, Error> {
        let request = flags::request(&self.endpoint, paths::FLAGS, &self.authorization)?;
        let limits = Limits {
            time: self.timeout,
            bytes: MAX_FLAGS_BODY,
        };
        flags::load(&self.exchange, request, limits).await
    }

    fn is_current(&self, body: &Bytes) -> bool {
        self.lock().as_ref() == Some(body)
    }

    fn set_current(&self, body: Bytes) {
        *self.lock() = Some(body);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept from run to run.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) names: Names,
    pub(crate) findings: Mutex<Vec<StorageFinding>>,
}

impl Kept {
    /// The content of a piece; `None` if there is none, or it cannot be read, which is noted.
    pub(crate) fn read(&self, piece: Piece) -> Option<Vec<u8>> {
        match self.storage.get(&self.names.of(piece)) {
            Ok(Some(content)) if content.len() > super::pieces::MAX_PIECE => {
                self.note(piece, StorageProblem::TooLarge(super::pieces::MAX_PIECE));
                None
            }
            Ok(content) => content,
            Err(error) => {
                self.note(piece, StorageProblem::Unreadable(error.kind()));
                None
            }
        }
    }

    fn write(&self, piece: Piece, content: &[u8]) {
        self.changed(piece, self.storage.set(&self.names.of(piece), content));
    }

    fn remove(&self, piece: Piece) {
        self.changed(piece, self.storage.remove(&self.names.of(piece)));
    }

    /// Notes whether what is kept is what should be.
    fn changed(&self, piece: Piece, changed: io::Result<()>) {
        self.lock().retain(|finding| {
            finding.piece != piece || !matches!(finding.problem, StorageProblem::Unwritable(_))
        });
        if let Err(error) = changed {
            self.note(piece, StorageProblem::Unwritable(error.kind()));
        }
    }

    pub(crate) fn note(&self, piece: Piece, problem: StorageProblem) {
        let finding = StorageFinding { piece, problem };
        tracing::warn!(%finding, "the storage of the app client");
        self.lock().push(finding);
    }

    pub(crate) fn findings(&self) -> Vec<StorageFinding> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<StorageFinding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
