//! [`Delivery`]: events on their way to the service.

mod answer;
mod event;
mod options;
mod pauses;
mod queue;
mod request;
mod spool;
mod upload;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use experiment_events::Event;
use experiment_model::Timestamp;
use http::Uri;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};

pub use self::options::{DeliveryOptions, Fsync, Ingestion, SpoolOptions};
#[cfg(feature = "test-kit")]
pub(crate) use self::spool::{unsettled, written};
use self::{
    event::{IdHasher, InsertIds, Written},
    queue::{Queue, Stage},
    spool::Spool,
    upload::Step,
};
use crate::{
    account::{Account, DropCause},
    error::Error,
    exchange::{Exchange, deadline},
    metrics::{Measurement, Meter},
    transport::Transport,
};

/// Takes events from any thread and brings them to the service in batches.
///
/// [`record`](Self::record) needs no runtime and never waits for the network.
/// [`worker`](Self::worker) is the task that uploads; without it, [`flush`](Self::flush) does.
///
/// # What is guaranteed
///
/// - Every event is accounted for at any time: see [`Account`].
/// - An event leaves the queue only when the service acknowledged it or says that it never will
///   take it. It may arrive twice, with the same insert id: an event that has none gets one.
/// - While the service does not take events, the oldest are kept: an event that finds no room is
///   refused, and [`record`](Self::record) says so, so that its caller can try again when the same
///   thing happens again.
/// - There is one upload at a time, and events of the same user and device are sent in the order in
///   which they were recorded. Those of one user on several devices are, too, except that while the
///   service throttles one of the devices the others may overtake it.
/// - With a spool, an event is in a file when `record` returns: it survives the death of the
///   process, and of the machine as [`Fsync`] says. Memory stays bounded: what does not fit is read
///   back when there is room.
/// - Dropping the last handle never waits. The worker tries once more to send what there is, then
///   ends; call [`shutdown`](Self::shutdown) to know.
///
/// # What the answers of the service mean
///
/// | Answer | What happens |
/// |---|---|
/// | 2xx, JSON or empty | the batch is delivered |
/// | 2xx, anything else | repeated with back-off: it is not from the service |
/// | 400 that names events | those are dropped as [`Invalid`](DropCause::Invalid), the others sent at once |
/// | 400, `missing_field` of the request | the batch is dropped as `Invalid` |
/// | 400, "Invalid API key" | all is kept and tried again every 5 minutes or so; an error is logged |
/// | 400 with another JSON body | halved until the event that causes it is alone, which is dropped as `Invalid` |
/// | 413 | halved; a single event is dropped as [`TooLarge`](DropCause::TooLarge) |
/// | 429 that names events, users or devices | their events wait 15 s (`/2/httpapi`: 30 s), 1 h if a daily quota is used up; the others are sent at once |
/// | 429 otherwise, 408, 5xx, no answer | repeated with back-off, for ever |
/// | any other status | all is kept and tried again every 5 minutes or so |
///
/// `Retry-After` is honoured with any of those that are repeated, up to an hour.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use experiment_client::{Delivery, DeliveryOptions, Secret};
/// use experiment_client::test_kit::{Answer, InMemoryTransport, Script};
/// use experiment_events::Event;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let script = Script::new();
/// script.on("/batch", Answer::json(r#"{"code":200}"#));
/// let transport = Arc::new(InMemoryTransport::new(script));
///
/// let delivery = Delivery::new(DeliveryOptions::new(Secret::from("api-key")), transport)?;
/// tokio::spawn(delivery.worker());
/// delivery.record(&Event {
///     event_type: "checkout".into(),
///     user_id: Some("42".into()),
///     ..Event::default()
/// })?;
/// let account = delivery.shutdown(Duration::from_secs(5)).await;
/// assert_eq!((account.recorded, account.delivered), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Delivery(Arc<Handle>);

/// What all clones share and the worker does not, so that the worker notices when they are gone.
struct Handle(Arc<Inner>);

struct Inner {
    options: Arc<DeliveryOptions>,
    exchange: Exchange,
    target: Uri,
    meter: Meter,
    hasher: IdHasher,
    insert_ids: InsertIds,
    queue: Mutex<Queue>,
    /// Held by who uploads.
    pump: tokio::sync::Mutex<()>,
    /// Tells the worker that something was recorded, or that it is over.
    wake: Notify,
    abandoned: AtomicBool,
    /// Whether the last event found no room.
    refused: AtomicBool,
    /// How many records of the spool have been forced to the disk.
    synced: Mutex<u64>,
    /// The process that made it.
    process: u32,
}

impl Delivery {
    /// A delivery with an empty queue; with a spool, with what processes left in it that are gone.
    /// Files are read here, so that this takes as long as reading them does.
    ///
    /// A spool that cannot be used is no error: events are kept in memory, which
    /// [`Measurement::SpoolFailed`] tells, and the spool is tried again.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the API key is blank, the queue has no room, or the address cannot be
    /// used.
    pub fn new(options: DeliveryOptions, transport: Arc<dyn Transport>) -> Result<Self, Error> {
        Self::with_exchange(Arc::new(options), Exchange::new(transport))
    }

    pub(crate) fn with_exchange(
        options: Arc<DeliveryOptions>,
        exchange: Exchange,
    ) -> Result<Self, Error> {
        options.check()?;
        let target = options.endpoints.events().join(options.ingestion.path())?;
        Ok(Self::start(options, exchange, target))
    }

    fn start(options: Arc<DeliveryOptions>, exchange: Exchange, target: Uri) -> Self {
        let insert_ids = InsertIds::new();
        let spool = options
            .spool
            .clone()
            .map(|spool| Spool::new(spool, insert_ids.nonce()));
        let mut queue = Queue::new(&options, spool);
        queue.open_spool();
        let inner = Inner {
            meter: Meter::new(options.metrics.clone()),
            options,
            exchange,
            target,
            hasher: IdHasher::default(),
            insert_ids,
            queue: Mutex::new(queue),
            pump: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            abandoned: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            synced: Mutex::new(0),
            process: std::process::id(),
        };
        inner.tell_spool_alarm();
        Self(Arc::new(Handle(Arc::new(inner))))
    }

    /// A delivery with the same options and nothing else of this one, for the child of a fork: an
    /// empty queue, spool files of its own, connections of its own. It takes no lock of this one,
    /// which a thread of the parent may have held while it forked.
    pub fn after_fork(&self, transport: Arc<dyn Transport>) -> Self {
        let inner = self.inner();
        Self::start(
            Arc::clone(&inner.options),
            Exchange::new(transport),
            inner.target.clone(),
        )
    }

    /// Takes an event, or counts it as dropped and says why. From any thread, without a runtime.
    ///
    /// Time, insert id and library are added if the event has none.
    ///
    /// # Errors
    ///
    /// The cause for which the event was dropped: [`QueueFull`](DropCause::QueueFull),
    /// [`SpoolFull`](DropCause::SpoolFull), [`TooLarge`](DropCause::TooLarge),
    /// [`Invalid`](DropCause::Invalid) if it has no JSON form, or [`Closed`](DropCause::Closed).
    pub fn record(&self, event: &Event) -> Result<(), DropCause> {
        self.inner().record(event)
    }

    /// What became of all events so far.
    pub fn account(&self) -> Account {
        self.inner().lock().account
    }

    /// The most memory that waiting events can take, in bytes, with everything around them: the
    /// batch that is sent, the file that is read back. What one thread needs to write an event
    /// comes on top, up to 16 KiB each.
    pub fn memory_limit(&self) -> usize {
        upload::memory_limit(&self.inner().options)
    }

    /// Uploads what was recorded, and returns when it is settled, when nothing can be sent before
    /// the deadline, or at the deadline.
    ///
    /// It does not wait for the interval, nor for the end of a wait after a failure, unless the
    /// service asked for that.
    pub async fn flush(&self, deadline: Duration) -> Account {
        self.inner().flush(deadline).await
    }

    /// Takes no more events, [flushes](Self::flush), and closes the spool, so that another process
    /// can take over what is in it. What is `queued` in the account afterwards is lost with this
    /// process. A second call does nothing.
    pub async fn shutdown(&self, deadline: Duration) -> Account {
        self.inner().shutdown(deadline).await
    }

    /// The task that uploads when there is enough, or after a while. It ends after
    /// [`shutdown`](Self::shutdown), or when the last handle is dropped. One is enough.
    pub fn worker(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = Arc::clone(self.inner());
        upload::work(inner)
    }
}

impl Delivery {
    /// What time it is for its events.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner().options.clock.now()
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In the child of a fork the worker is not there, and its locks may be held for ever.
        if self.0.process == std::process::id() {
            self.0.abandoned.store(true, Ordering::Release);
            self.0.wake.notify_one();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: &Event) -> Result<(), DropCause> {
        // While the service is away for long, events that find no room cost next to nothing.
        if self.refused.load(Ordering::Relaxed)
            && let Some(cause) = self.refused_at_once()
        {
            return Err(cause);
        }
        let clock = &*self.options.clock;
        let Some(mut written) = Written::new(event, &self.hasher, &self.insert_ids, clock) else {
            return Err(self.refuse(DropCause::Invalid));
        };
        if written.json().len() > upload::largest_event(&self.options) {
            return Err(self.refuse(DropCause::TooLarge));
        }
        if self.options.spool.is_some() {
            written.seal();
        }
        let mut queue = self.lock();
        let result = queue.record(&written);
        let depth = queue.depth();
        let alarm = queue.take_spool_alarm();
        let to_sync = match &self.options.spool {
            Some(spool) if spool.fsync == Fsync::EachEvent => queue.written(),
            _ => None,
        };
        drop(queue);
        if alarm {
            self.tell_spool_failed();
        }
        self.refused.store(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(true) => self.wake.notify_one(),
            Ok(false) => {}
            Err(cause) => {
                self.tell_dropped(cause, 1);
                return Err(cause);
            }
        }
        self.tell_depth(depth);
        if let Some(records) = to_sync {
            self.sync(records);
        }
        Ok(())
    }

    fn refused_at_once(&self) -> Option<DropCause> {
        let mut queue = self.lock();
        let cause = queue.refuses_all()?;
        queue.refuse(cause);
        drop(queue);
        self.tell_dropped(cause, 1);
        Some(cause)
    }

    fn refuse(&self, cause: DropCause) -> DropCause {
        self.lock().refuse(cause);
        self.tell_dropped(cause, 1);
        cause
    }

    /// Forces the first `records` records to the disk, unless another thread has done so meanwhile.
    fn sync(&self, records: u64) {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= records {
            return;
        }
        // With them go those that were written while this thread waited for its turn. Files that
        // are no longer written were forced to the disk when they were closed.
        let Some((file, written)) = self.lock().spool.as_ref().and_then(Spool::to_sync) else {
            return;
        };
        if file.sync_data().is_ok() {
            *synced = written;
        } else {
            drop(synced);
            self.tell_spool_failed();
        }
    }

    async fn flush(self: &Arc<Self>, time: Duration) -> Account {
        let until = deadline(time);
        let recorded = {
            let mut queue = self.lock();
            if queue.silence.is_some_and(|silence| !silence.asked) {
                queue.silence = None;
            }
            queue.account.recorded
        };
        while !self.is_flushed(recorded) {
            let Ok(pump) = timeout_at(until, self.pump.lock()).await else {
                break;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let wait = match self.step(left).await {
                Step::Sent => continue,
                Step::Waiting(wait) => wait,
            };
            drop(pump);
            match wait {
                Some(at) if at < until => sleep_until(at).await,
                _ => break,
            }
        }
        self.sync_all().await;
        self.lock().account
    }

    fn is_flushed(&self, recorded: u64) -> bool {
        let queue = self.lock();
        queue.stage == Stage::Finished || queue.is_flushed(recorded)
    }

    async fn shutdown(self: &Arc<Self>, time: Duration) -> Account {
        self.lock().close();
        self.wake.notify_one();
        self.flush(time).await;
        let mut queue = self.lock();
        if queue.stage != Stage::Finished {
            let chores = queue.finish();
            drop(queue);
            self.perform(chores);
            queue = self.lock();
        }
        let account = queue.account;
        drop(queue);
        if account.queued > 0 {
            tracing::warn!(
                events = account.queued,
                "events were not delivered before the shutdown"
            );
        }
        account
    }

    fn tell_dropped(&self, cause: DropCause, events: usize) {
        if events > 0 {
            let cause = cause.as_str();
            self.meter
                .record(Measurement::EventsDropped { events, cause });
        }
    }

    fn tell_depth(&self, (events, bytes): (u64, u64)) {
        self.meter.record(Measurement::QueueDepth {
            events: usize::try_from(events).unwrap_or(usize::MAX),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        });
    }

    fn tell_spool_alarm(&self) {
        let alarm = self.lock().take_spool_alarm();
        if alarm {
            self.tell_spool_failed();
        }
    }

    fn tell_spool_failed(&self) {
        tracing::warn!("the spool of events cannot be used; events are kept in memory");
        self.meter.record(Measurement::SpoolFailed);
    }
}
