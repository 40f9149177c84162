//! [`ExposureTrackingProvider`], and which exposures it is told.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use experiment_events::{ClientExposure, EventOptions};
use experiment_model::{Text, User, UserField, Value};

use super::resolution::Resolution;
use crate::delivery::Delivery;

/// Takes the exposures of an app, for instance to an analytics library.
///
/// It is told an exposure once: again only when the variant of the flag changes (to the default
/// variant too: that exposure has no variant and unsets the user property), when the user id or the
/// device id changes, or when it refused. A `$impression` is told each time.
///
/// It is called from the thread that asked for the variant and must return soon; it may call the
/// client.
///
/// ```
/// use std::sync::Mutex;
/// use experiment_client::{ClientExposure, ExposureTrackingProvider, NotTracked};
/// use experiment_model::User;
///
/// #[derive(Debug, Default)]
/// struct Analytics(Mutex<Vec<String>>);
///
/// impl ExposureTrackingProvider for Analytics {
///     fn track(&self, exposure: &ClientExposure, _: &User, _: u32) -> Result<(), NotTracked> {
///         let mut events = self.0.lock().map_err(|_| NotTracked)?;
///         events.push(format!("{} {}", exposure.event_type(), exposure.flag_key));
///         Ok(())
///     }
/// }
/// # let _ = Analytics::default();
/// ```
pub trait ExposureTrackingProvider: Send + Sync + fmt::Debug + 'static {
    /// Takes an exposure of `user`.
    ///
    /// `transition` counts the changes of this flag's variant that were told before for this user
    /// and device; [`ClientExposure::to_event`] needs it so that of A, B, A on one day the second A
    /// counts too.
    ///
    /// # Errors
    ///
    /// [`NotTracked`] if the exposure was not taken: it is told again when the variant is asked for
    /// again.
    fn track(
        &self,
        exposure: &ClientExposure,
        user: &User,
        transition: u32,
    ) -> Result<(), NotTracked>;
}

/// A provider did not take an exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exposure was not tracked")]
pub struct NotTracked;

/// Sends exposures as `$exposure` events, which become `[Experiment] Exposure` at ingestion. The
/// exposure of a user without ids is not taken, since no service would. Somebody must run the
/// [worker](Delivery::worker).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// # use experiment_client::test_kit::{Answer, CapturedEvents, InMemoryTransport, Script};
/// # let script = Script::new();
/// # script.on("/sdk/v2/vardata", Answer::json(r#"{"checkout": {"key": "on", "value": "on"}}"#));
/// # script.on("/sdk/v2/flags", Answer::json("[]"));
/// # let events = CapturedEvents::of(&script);
/// # let transport = InMemoryTransport::new(script);
/// use std::{sync::Arc, time::Duration};
/// use experiment_client::{AppClient, Delivery, DeliveryOptions};
/// use experiment_model::User;
///
/// let delivery = Delivery::new(DeliveryOptions::new("analytics-api-key"), Arc::new(transport.clone()))?;
/// tokio::spawn(delivery.worker());
/// let client = AppClient::builder("client-deployment-key")
///     .transport(transport)
///     .exposure_tracking_provider(delivery.clone())
///     .build()?;
/// client.start(Some(User::new().with_user_id("user-1"))).await.into_result()?;
/// assert!(client.variant("checkout", None).is("on"));
/// let account = delivery.shutdown(Duration::from_secs(5)).await;
/// assert_eq!(account.delivered, 1);
/// # assert_eq!(events.all()[0]["event_type"], "$exposure");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl ExposureTrackingProvider for Delivery {
    fn track(
        &self,
        exposure: &ClientExposure,
        user: &User,
        transition: u32,
    ) -> Result<(), NotTracked> {
        if !user.has_id() {
            return Err(NotTracked);
        }
        let event = exposure.to_event(user, self.now(), transition, &EventOptions::default());
        self.record(&event).map_err(|_| NotTracked)
    }
}

/// The exposure that showing this answer is; `None` if nobody assigned it, or the flag does not want
/// any (`metadata.trackExposure` is `false`).
pub(crate) fn exposure_of(flag_key: &str, resolution: Resolution<'_>) -> Option<ClientExposure> {
    let (variant, source) = resolution.found?;
    let exposure = if !source.is_fallback() {
        ClientExposure::new(flag_key, variant)
    } else if resolution.assigned_default {
        ClientExposure::fallback(flag_key, variant)
    } else {
        return None;
    };
    exposure.is_tracked().then_some(exposure)
}

/// What became of an exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracked {
    /// The provider took it.
    Taken,
    /// It has been told before.
    Known,
    /// The provider refused it.
    Refused,
}

/// Tells a provider what it was not told before.
#[derive(Debug)]
pub(crate) struct ExposureTracker {
    provider: Arc<dyn ExposureTrackingProvider>,
    told: Mutex<Told>,
}

/// What the provider was told of one user: one entry for each flag, so there are not more than the
/// deployment has flags.
#[derive(Default)]
struct Told {
    user_id: Option<Value>,
    device_id: Option<Value>,
    flags: HashMap<Text, Last>,
}

#[derive(Clone, PartialEq)]
struct Last {
    variant: Option<Text>,
    experiment_key: Option<Text>,
    transition: u32,
}

impl ExposureTracker {
    pub(crate) fn new(provider: Arc<dyn ExposureTrackingProvider>) -> Self {
        Self {
            provider,
            told: Mutex::new(Told::default()),
        }
    }

    pub(crate) fn track(&self, exposure: &ClientExposure, user: &User) -> Tracked {
        let (before, now) = {
            let mut told = self.lock();
            told.reset_for_others(user);
            let before = told.flags.get(&exposure.flag_key).cloned();
            let now = Last::after(before.as_ref(), exposure);
            if before.as_ref() == Some(&now) && !exposure.is_impression() {
                return Tracked::Known;
            }
            // Marked before it is told, so that of two threads only one tells it, and without the
            // lock, so that the provider may ask for variants.
            told.flags.insert(exposure.flag_key.clone(), now.clone());
            (before, now)
        };
        if self.provider.track(exposure, user, now.transition).is_ok() {
            return Tracked::Taken;
        }
        self.lock().take_back(exposure, user, before, &now);
        Tracked::Refused
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn is_of(&self, user: &User) -> bool {
        self.user_id.as_ref() == user.field(UserField::UserId)
            && self.device_id.as_ref() == user.field(UserField::DeviceId)
    }

    fn reset_for_others(&mut self, user: &User) {
        if !self.is_of(user) {
            *self = Self {
                user_id: user.field(UserField::UserId).cloned(),
                device_id: user.field(UserField::DeviceId).cloned(),
                flags: HashMap::new(),
            };
        }
    }

    /// Forgets the mark `now`, unless another user or another exposure has taken its place.
    fn take_back(
        &mut self,
        exposure: &ClientExposure,
        user: &User,
        before: Option<Last>,
        now: &Last,
    ) {
        if self.is_of(user) && self.flags.get(&exposure.flag_key) == Some(now) {
            match before {
                Some(before) => self.flags.insert(exposure.flag_key.clone(), before),
                None => self.flags.remove(&exposure.flag_key),
            };
        }
    }
}

impl Last {
    /// The entry of `exposure` behind `before`, equal to it if nothing has changed.
    fn after(before: Option<&Self>, exposure: &ClientExposure) -> Self {
        let transition = match before {
            None => 0,
            Some(last)
                if last.variant == exposure.variant
                    && last.experiment_key == exposure.experiment_key =>
            {
                last.transition
            }
            Some(last) => last.transition.saturating_add(1),
        };
        Self {
            variant: exposure.variant.clone(),
            experiment_key: exposure.experiment_key.clone(),
            transition,
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("flags", &self.flags.len())
            .finish_non_exhaustive()
    }
}
