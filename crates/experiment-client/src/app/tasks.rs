//! The background tasks of an app client: polling flags, and repeating a fetch that failed.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle, time::sleep};

use super::{inner::Inner, state::Ticket};
use crate::{
    error::Error,
    process::PerProcess,
    remote::FetchOptions,
    retry::{RetryPolicy, jittered},
};

/// The first wait after flags could not be loaded; it doubles up to the interval of polling.
const FIRST_RELOAD: Duration = Duration::from_secs(5);

/// The tasks that run. They end when this is dropped. The child of a fork begins without any.
#[derive(Debug)]
pub(crate) struct Tasks(PerProcess<Mutex<Running>>);

impl Default for Tasks {
    fn default() -> Self {
        Self(PerProcess::new(Mutex::default()))
    }
}

#[derive(Debug, Default)]
struct Running {
    poll: Option<JoinHandle<()>>,
    retry: Option<JoinHandle<()>>,
}

impl Tasks {
    /// Polls flags every `interval`, from now on, and tells how the first time went; `None` if they
    /// are polled already.
    pub(crate) fn poll(
        &self,
        inner: &Arc<Inner>,
        interval: Duration,
    ) -> Option<oneshot::Receiver<Result<(), Error>>> {
        self.with(|running| {
            if running
                .poll
                .as_ref()
                .is_some_and(|task| !task.is_finished())
            {
                return None;
            }
            let (first, told) = oneshot::channel();
            running.poll = spawn(poll(inner.clone(), interval, first));
            Some(told)
        })
    }

    /// Repeats a fetch that failed with `error`, unless something newer has begun.
    pub(crate) fn retry(
        &self,
        inner: &Arc<Inner>,
        ticket: Ticket,
        options: FetchOptions,
        error: &Error,
    ) {
        self.with(|running| {
            // Asked while locked: whatever begins later comes to `stop_retry` after this.
            if inner.state.is_latest(&ticket) {
                abort(&mut running.retry);
                let policy = inner.retry_of(&options);
                let wait = wait_before(&policy, 1, error);
                running.retry = spawn(retry(inner.clone(), ticket, options, policy, wait));
            }
        });
    }

    pub(crate) fn stop_retry(&self) {
        self.with(|running| abort(&mut running.retry));
    }

    pub(crate) fn stop(&self) {
        self.with(|running| {
            abort(&mut running.poll);
            abort(&mut running.retry);
        });
    }

    fn with<R>(&self, work: impl FnOnce(&mut Running) -> R) -> R {
        let running = self.0.get(|_parents| Mutex::default());
        work(&mut running.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<JoinHandle<()>> {
    Some(Handle::try_current().ok()?.spawn(task))
}

fn abort(task: &mut Option<JoinHandle<()>>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}

async fn poll(inner: Arc<Inner>, interval: Duration, first: oneshot::Sender<Result<(), Error>>) {
    let mut first = Some(first);
    let mut failures = 0;
    loop {
        let loaded = inner.load_flags().await;
        let wait = match &loaded {
            Ok(()) => {
                failures = 0;
                jittered(interval)
            }
            Err(error) => {
                let wait = reload_wait(failures, interval, error);
                failures = failures.saturating_add(1);
                wait
            }
        };
        if let Some(first) = first.take() {
            // Nobody listens if the start was given up.
            let _ = first.send(loaded);
        }
        sleep(wait).await;
    }
}

async fn retry(
    inner: Arc<Inner>,
    ticket: Ticket,
    options: FetchOptions,
    policy: RetryPolicy,
    mut wait: Duration,
) {
    for number in 1..=policy.retries {
        sleep(wait).await;
        match inner.fetch_once(&ticket, &options).await {
            Ok(_) => return,
            Err(error) if !error.is_retryable() => return,
            Err(error) => wait = wait_before(&policy, number.saturating_add(1), &error),
        }
    }
}

fn wait_before(policy: &RetryPolicy, number: u32, error: &Error) -> Duration {
    policy.wait(number, error.retry_after())
}

/// The wait after `failures` and one more failure.
fn reload_wait(failures: u32, interval: Duration, error: &Error) -> Duration {
    let bound = FIRST_RELOAD
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(interval);
    bound
        .mul_f64(0.5 + fastrand::f64() / 2.0)
        .max(error.retry_after().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_interval_and_are_at_least_what_the_service_asked_for() {
        let interval = Duration::from_secs(300);
        let failed = Error::NotReady;
        for (failures, most) in [(0, 5), (1, 10), (5, 160), (6, 300), (60, 300)] {
            let most = Duration::from_secs(most);
            let wait = reload_wait(failures, interval, &failed);
            assert!((most / 2..=most).contains(&wait), "{failures}: {wait:?}");
        }
        for (asked, least) in [(7, 7), (7200, 3600)] {
            let busy = Error::Status {
                status: 429,
                retry_after: Some(Duration::from_secs(asked)),
                attempts: 1,
            };
            let wait = reload_wait(0, interval, &busy);
            assert!((Duration::from_secs(least)..=Duration::from_secs(3600)).contains(&wait));
        }
        let wait = jittered(interval);
        assert!((Duration::from_secs(270)..=Duration::from_secs(330)).contains(&wait));
    }
}
