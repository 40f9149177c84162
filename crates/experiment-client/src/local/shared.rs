//! What the clones of a [`LocalClient`](crate::LocalClient) and its tasks share.

use std::{
    cell::Cell,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use experiment_evaluation::Options;
use experiment_events::{DedupeFilter, DedupeLimits};
use http::HeaderValue;
use tokio::{sync::Notify, time::Instant};

use crate::{
    clock::Clock,
    cohort::download::CohortDownloader,
    delivery::Delivery,
    endpoints::Endpoints,
    error::Error,
    exchange::Exchange,
    executor::Executor,
    flags::cache_file::CacheFile,
    local::{
        options::{CohortPolicy, Tracking, Updates},
        snapshot::Snapshot,
    },
    metrics::{Measurement, Meter},
    process::{Owned, PerProcess},
    retry::RetryPolicy,
    secret::Secret,
};

/// How many evaluations of a thread pass between two looks at the process id, which costs as much
/// as several evaluations.
const EVALUATIONS_PER_FORK_CHECK: u32 = 1024;

thread_local! {
    static EVALUATIONS: Cell<u32> = const { Cell::new(0) };
}

/// Settled when the client is built.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) deployment_key: Secret,
    pub(crate) authorization: HeaderValue,
    pub(crate) endpoints: Endpoints,
    pub(crate) exchange: Exchange,
    pub(crate) updates: Updates,
    pub(crate) retry: RetryPolicy,
    /// Of a flag configuration, in bytes.
    pub(crate) body_limit: usize,
    pub(crate) stale_after: std::time::Duration,
    pub(crate) cohorts: Option<CohortDownloader>,
    /// From one refresh of the cohorts to the next.
    pub(crate) cohort_interval: std::time::Duration,
    pub(crate) cohort_policy: CohortPolicy,
    pub(crate) tracking: Option<Tracking>,
    pub(crate) cache_file: Option<CacheFile>,
    pub(crate) plan: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meter: Meter,
    #[cfg(any(test, feature = "test-kit"))]
    pub(crate) overrides: Option<crate::test_kit::Overrides>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    running: PerProcess<Running>,
}

/// What belongs to one process: in the child of a fork all of it is new.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) filter: Option<Mutex<DedupeFilter>>,
    pub(crate) delivery: Option<Delivery>,
    status: Mutex<Status>,
    /// The status has changed.
    pub(crate) changed: Notify,
    /// One change of the snapshot at a time.
    pub(crate) update: tokio::sync::Mutex<Held>,
    executor: OnceLock<Executor>,
    /// Made in a child whose parent's tasks had been started, and not started yet itself.
    rearm: AtomicBool,
    closed: AtomicBool,
    closing: Notify,
}

/// A configuration that looked wrong and is taken only if it comes again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held(pub(crate) Option<u128>);

/// What was last heard of the services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// When the service last confirmed the flags in use.
    pub(crate) confirmed: Option<Instant>,
    /// Why the last attempt failed.
    pub(crate) cause: Option<Arc<Error>>,
    /// The service has refused for a reason that no repetition changes.
    pub(crate) refused: bool,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    /// Cohorts are being or have been asked for, and this many could not be loaded.
    pub(crate) cohorts_failed: usize,
}

impl Running {
    fn new(settings: &Settings, delivery: Option<Delivery>, rearm: bool) -> Self {
        let limits = settings.tracking.as_ref().map(|tracking| tracking.dedupe);
        Self {
            filter: limits.map(|limits: DedupeLimits| Mutex::new(DedupeFilter::new(limits))),
            delivery,
            status: Mutex::default(),
            changed: Notify::new(),
            update: tokio::sync::Mutex::default(),
            executor: OnceLock::new(),
            rearm: AtomicBool::new(rearm),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends the tasks.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
        self.changed.notify_waiters();
    }

    /// Returns when the client is closed.
    pub(crate) async fn closed(&self) {
        loop {
            let closing = self.closing.notified();
            tokio::pin!(closing);
            closing.as_mut().enable();
            if self.is_closed() {
                return;
            }
            closing.await;
        }
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings, snapshot: Snapshot, delivery: Option<Delivery>) -> Self {
        Self {
            running: PerProcess::new(Running::new(&settings, delivery, false)),
            snapshot: ArcSwap::from_pointee(snapshot),
            settings,
        }
    }

    /// What belongs to this process. After a fork the child gets its own here, and its tasks are
    /// started again if the parent's were.
    pub(crate) fn running(self: &Arc<Self>) -> Guard<Arc<Owned<Running>>> {
        let running = self.running.get(|parents| {
            self.settings.meter.record(Measurement::Forked);
            let delivery = parents.delivery.as_ref();
            let delivery =
                delivery.map(|parents| parents.after_fork(self.settings.exchange.transport()));
            let rearm = parents.executor.get().is_some() && !parents.is_closed();
            Running::new(&self.settings, delivery, rearm)
        });
        if running.value.rearm.load(Ordering::Relaxed)
            && running.value.rearm.swap(false, Ordering::SeqCst)
        {
            match Executor::thread() {
                Ok(executor) => self.start_tasks(&running, executor),
                Err(error) => tracing::error!(%error, "no thread for the child process"),
            }
        }
        running
    }

    /// Looks whether the process was forked, now and then.
    #[inline]
    pub(crate) fn notice_fork(self: &Arc<Self>) {
        let evaluations = EVALUATIONS.get();
        EVALUATIONS.set(evaluations.wrapping_add(1));
        if evaluations.is_multiple_of(EVALUATIONS_PER_FORK_CHECK) {
            drop(self.running());
        }
    }

    /// Starts the tasks unless they have been.
    ///
    /// # Errors
    ///
    /// There is no runtime and the operating system gives no thread.
    pub(crate) fn arm(self: &Arc<Self>) -> io::Result<()> {
        let running = self.running();
        if running.value.executor.get().is_none() {
            self.start_tasks(&running, Executor::current_or_thread()?);
        }
        Ok(())
    }

    fn start_tasks(self: &Arc<Self>, running: &Guard<Arc<Owned<Running>>>, executor: Executor) {
        let running = Arc::clone(running);
        if running.value.executor.set(executor).is_err() {
            return;
        }
        let Some(executor) = running.value.executor.get() else {
            return;
        };
        if let Some(delivery) = &running.value.delivery {
            executor.spawn(Box::pin(delivery.worker()));
        }
        let shared = Arc::clone(self);
        let updating = Arc::clone(&running);
        executor.spawn(Box::pin(async move {
            tokio::select! {
                () = updating.value.closed() => {}
                () = shared.keep_fresh(&updating.value) => {}
            }
        }));
    }

    /// Ends the tasks of this process; does nothing in a child that never used the client.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.running.peek() {
            running.value.close();
        }
    }
}
