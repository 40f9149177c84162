//! [`AppClient`].

use std::{fmt, sync::Arc};

use experiment_model::{User, Variant, Variants};

use super::{
    builder::AppClientBuilder,
    inner::Inner,
    outcome::{FetchOutcome, ResolvedVariant, Started},
    storage::StorageFinding,
    tasks::Tasks,
};
use crate::{error::Error, remote::FetchOptions, secret::Secret};

/// Flags and experiments for an app with one user at a time: mobile, desktop, command line. The
/// counterpart of the official client-side SDKs.
///
/// [`variant`](Self::variant) answers at once, from what is known: the variants that were fetched
/// last, in this run or an earlier one, flags in local mode, which are evaluated here, and the
/// fallbacks. It waits for no network, needs no tokio context, and takes no lock but a short one of
/// its own where exposures are tracked. [`start`](Self::start) and [`fetch`](Self::fetch) bring what
/// is known up to date; they run inside tokio.
///
/// Clones are one client. Its background tasks end with the last clone.
///
/// ```
/// use experiment_client::{
///     AppClient, VariantSource,
///     test_kit::{Answer, InMemoryTransport, Script},
/// };
/// use experiment_model::{User, Variant};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), experiment_client::Error> {
/// let service = Script::new();
/// service.on("/sdk/v2/flags", Answer::json("[]"));
/// service.on(
///     "/sdk/v2/vardata",
///     Answer::json(r#"{"checkout": {"key": "treatment", "value": "treatment"}}"#),
/// );
///
/// let client = AppClient::builder("client-3cFg7a")
///     .transport(InMemoryTransport::new(service))
///     .build()?;
/// let control = Variant::new("control");
/// assert!(client.variant("checkout", Some(&control)).is("control"));
///
/// client.start(Some(User::new().with_device_id("device-1"))).await.into_result()?;
/// let checkout = client.variant("checkout", Some(&control));
/// assert!(checkout.is("treatment"));
/// assert_eq!(checkout.source, Some(VariantSource::Storage));
/// # Ok(())
/// # }
/// ```
///
/// # When something fails
///
/// | what | what the app sees |
/// |---|---|
/// | variants cannot be fetched: no network, timeout, status, malformed | `fetch` and `start` return a typed error; the stored variants of the last good fetch stay; if the error can pass, it is tried again in the background (8 times, 500 ms to 10 s apart) until something newer is asked for |
/// | the service refuses for good (401, 403, 400) | the same, and it is not tried again until the next `fetch` |
/// | the user has neither user id nor device id | [`Error::MissingId`], nothing is sent; flags in local mode are evaluated |
/// | flags cannot be loaded | the last good flags stay; polling tries again after 5 s, 10 s, … up to the interval, and not before the service's `Retry-After` (at most an hour) |
/// | one variant is malformed | the others are stored; the flag has no fetched variant, so fallbacks answer; [`FetchOutcome::Stored`] tells |
/// | one flag is malformed | the other flags are evaluated; the flag is evaluated as the initial flags have it, if they do |
/// | an answer comes after the user was changed or everything was cleared | it is not stored: [`FetchOutcome::Superseded`] |
/// | an older fetch answers after a newer one | it replaces nothing that the newer one brought |
/// | the stored pieces are damaged, too large or cannot be read | they count as absent: initial variants, initial flags and fallbacks answer; [`storage_findings`](Self::storage_findings) tells |
/// | the disk is full or read-only | everything works until the process ends; the next run starts with what was kept before; [`storage_findings`](Self::storage_findings) tells |
/// | nobody knows a variant | [`ResolvedVariant::source`] is `None` and the variant is empty |
/// | the tracking provider refuses an exposure | it is told again when the variant is asked for again |
/// | the process is forked | variants answer in the child as in the parent; it polls flags after a [`start`](Self::start) of its own |
/// | the process ends | the stored variants, the flags and the tracking option are there in the next run, if the [`Storage`](super::Storage) is a file; what was told to the provider is not, so each flag's exposure is told once more |
#[derive(Clone)]
pub struct AppClient(Arc<Parts>);

struct Parts {
    inner: Arc<Inner>,
    tasks: Tasks,
    start: StartOptions,
}

/// What a start does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOptions {
    pub(crate) fetch: bool,
    /// `None`: flags are loaded once.
    pub(crate) poll: Option<std::time::Duration>,
}

impl AppClient {
    /// The options of a client for a deployment; `deployment_key` is a client-side key.
    pub fn builder(deployment_key: impl Into<Secret>) -> AppClientBuilder {
        AppClientBuilder::new(deployment_key.into())
    }

    pub(crate) fn new(inner: Inner, start: StartOptions) -> Self {
        Self(Arc::new(Parts {
            inner: Arc::new(inner),
            tasks: Tasks::default(),
            start,
        }))
    }

    /// Loads flags and fetches variants, both at once, and from then on polls flags. With a user,
    /// it is the user from now on; without, the one that was set stays.
    ///
    /// It returns when both are done, and the client is running whatever they came to. A second
    /// start does the same and polls once all the same. If the future is dropped, polling goes on.
    pub async fn start(&self, user: Option<User>) -> Started {
        if let Some(user) = user {
            self.set_user(user);
        }
        let first_poll = self
            .0
            .start
            .poll
            .and_then(|interval| self.0.tasks.poll(&self.0.inner, interval));
        let flags = async {
            match first_poll {
                // The task is gone if the client was stopped meanwhile.
                Some(told) => told.await.unwrap_or(Err(Error::Closed)),
                None => self.0.inner.load_flags().await,
            }
        };
        let variants = async {
            if self.0.start.fetch {
                Some(self.fetch(None, FetchOptions::default()).await)
            } else {
                None
            }
        };
        let (flags, variants) = tokio::join!(flags, variants);
        Started { flags, variants }
    }

    /// Fetches the variants of the user and stores them. With a user, it is the user from now on.
    ///
    /// Without flag keys in the options what was stored is replaced as a whole. With them only the
    /// flags they name change: those that did not come are removed. An empty list names none and removes
    /// none. [`FetchOptions::retry`] says how this fetch is repeated in the background, if it
    /// is not to be as the client was built.
    ///
    /// The answer is not stored if another user was set, everything was cleared or, for the same
    /// user, a later fetch was stored meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::MissingId`] if the user has no id; all other kinds after one attempt. If the error
    /// [can pass](Error::is_retryable), the fetch is repeated in the background, until one succeeds,
    /// the retries are used up, or the next fetch, change of the user, `clear` or `stop`.
    pub async fn fetch(
        &self,
        user: Option<User>,
        options: FetchOptions,
    ) -> Result<FetchOutcome, Error> {
        let Parts { inner, tasks, .. } = &*self.0;
        let ticket = inner.state.begin_fetch(user, options.flag_keys.clone());
        tasks.stop_retry();
        let fetched = inner.fetch_once(&ticket, &options).await;
        if let Err(error) = &fetched
            && error.is_retryable()
        {
            tasks.retry(inner, ticket, options, error);
        }
        fetched
    }

    /// The variant of a flag for the user; `fallback` takes the place of a default variant and of
    /// one that nobody knows. The order is described at [`Source`](super::Source).
    ///
    /// If exposures are tracked automatically, this is an exposure.
    pub fn variant(&self, flag_key: &str, fallback: Option<&Variant>) -> ResolvedVariant {
        let inner = &self.0.inner;
        inner.variant(flag_key, fallback, inner.automatic_exposures)
    }

    /// Everything known: fetched variants, initial variants and flags in local mode, without
    /// fallbacks. This is no exposure.
    pub fn all(&self) -> Variants {
        self.0.inner.all()
    }

    /// Tells the tracking provider that the user was exposed to the variant of a flag, for apps in
    /// which exposures are not tracked automatically. It does nothing without a provider, and for
    /// what was told before.
    pub fn exposure(&self, flag_key: &str) {
        self.0.inner.variant(flag_key, None, true);
    }

    /// Forgets the stored variants, here and in the storage, and those on their way. Flags, user
    /// and initial variants stay.
    pub fn clear(&self) {
        self.0.inner.clear();
        self.0.tasks.stop_retry();
    }

    /// Sets the user for evaluations and fetches from now on. Stored variants stay until the next
    /// fetch, as in the official SDKs; [`clear`](Self::clear) them if the next user must not see
    /// them.
    pub fn set_user(&self, user: User) {
        if self.0.inner.state.set_user(user) {
            self.0.tasks.stop_retry();
        }
    }

    /// The user that was set last, without what the provider adds.
    pub fn user(&self) -> Option<User> {
        self.0.inner.state.load().user.as_deref().cloned()
    }

    /// Sets whether fetches ask the service to track assignments, now and in later runs; fetches
    /// whose options say something else do as those say. Until it is set the service decides.
    pub fn set_tracks_assignment(&self, tracks: bool) {
        self.0.inner.set_tracks_assignment(tracks);
    }

    /// What is or was wrong with the stored pieces: found when they were read, or since the last
    /// write.
    pub fn storage_findings(&self) -> Vec<StorageFinding> {
        self.0.inner.kept.findings()
    }

    /// Ends polling and repeating in the background. Everything else goes on; so does polling after
    /// another [`start`](Self::start).
    pub fn stop(&self) {
        self.0.tasks.stop();
    }
}

impl fmt::Debug for AppClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.0.inner.state.load();
        f.debug_struct("AppClient")
            .field("stored", &snapshot.stored.len())
            .field("flags", &snapshot.flags.len())
            .finish_non_exhaustive()
    }
}
