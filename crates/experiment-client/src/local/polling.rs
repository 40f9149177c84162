//! Asking for flags and cohorts again and again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};

use crate::{
    endpoints::paths,
    error::Error,
    exchange::{Limits, deadline},
    flags,
    local::{
        freshness::FlagSource,
        loading::Applied,
        options::Updates,
        shared::{Running, Shared},
    },
    metrics::Measurement,
    retry::jittered,
};

/// How soon flags that were held back are asked for again.
const HELD_AGAIN: Duration = Duration::from_secs(1);

/// How soon cohorts that could not be loaded are asked for again.
const COHORTS_AGAIN: Duration = Duration::from_secs(10);

impl Shared {
    /// Keeps flags and cohorts fresh, for ever.
    pub(crate) async fn keep_fresh(self: &Arc<Self>, running: &Running) {
        let flags = async {
            match self.settings.updates {
                Updates::Polling { interval } => self.poll(running, interval).await,
                Updates::Streaming { fallback } => self.stream(running, fallback).await,
                Updates::Off => {}
            }
        };
        tokio::join!(flags, self.poll_cohorts(running));
    }

    async fn poll(self: &Arc<Self>, running: &Running, interval: Duration) {
        loop {
            let wait = self.poll_once(running, interval).await;
            sleep(wait).await;
        }
    }

    /// Polls while `wanted` says so, at once when it begins to.
    pub(crate) async fn poll_while(
        self: &Arc<Self>,
        running: &Running,
        interval: Duration,
        mut wanted: watch::Receiver<bool>,
    ) {
        // Ends with the sender, which is dropped together with this.
        while wanted.wait_for(|wanted| *wanted).await.is_ok() {
            self.settings.meter.record(Measurement::StreamFallback);
            loop {
                let wait = self.poll_once(running, interval).await;
                tokio::select! {
                    () = sleep(wait) => {}
                    ended = wanted.wait_for(|wanted| !*wanted) => {
                        drop(ended);
                        break;
                    }
                }
            }
        }
    }

    /// Asks for the flags once; returns how long to wait before the next time.
    pub(crate) async fn poll_once(
        self: &Arc<Self>,
        running: &Running,
        interval: Duration,
    ) -> Duration {
        self.record_age(running);
        let error = match self.load_flags(running).await {
            Ok(Applied::Held) => return HELD_AGAIN.min(interval),
            // Asking soon did not help.
            Ok(Applied::HeldInstead | Applied::Changed | Applied::Unchanged) => {
                return jittered(interval);
            }
            Err(error) => error,
        };
        let asked = error.retry_after().unwrap_or_default();
        let is_first = running.status().confirmed.is_none();
        let failures = running.status().failures;
        let wait = if is_first && error.is_retryable() {
            // Until there are flags, as fast as the service allows.
            self.settings
                .retry
                .wait(failures.saturating_add(1), None)
                .min(interval)
        } else {
            jittered(interval)
        };
        self.failed(running, FlagSource::Poll, error);
        wait.max(asked)
    }

    async fn load_flags(self: &Arc<Self>, running: &Running) -> Result<Applied, Error> {
        let settings = &self.settings;
        let target = format!("{}?v=0", paths::FLAGS);
        let request = flags::request(settings.endpoints.flags(), &target, &settings.authorization)?;
        let limits = Limits {
            time: settings.retry.attempt_timeout,
            bytes: settings.body_limit,
        };
        let body = flags::load(&settings.exchange, request, limits).await?;
        self.apply(running, body, FlagSource::Poll).await
    }

    async fn poll_cohorts(self: &Arc<Self>, running: &Running) {
        if self.settings.cohorts.is_none() {
            return;
        }
        let later = |running: &Running| {
            let failed = running.status().cohorts_failed > 0;
            let interval = self.settings.cohort_interval;
            deadline(jittered(if failed {
                COHORTS_AGAIN.min(interval)
            } else {
                interval
            }))
        };
        let mut due = later(running);
        loop {
            tokio::select! {
                () = sleep_until(due) => {
                    self.refresh_cohorts(running).await;
                    due = later(running);
                }
                // Some that new flags need may be missing.
                () = running.changed.notified() => due = due.min(later(running)),
            }
        }
    }

    fn record_age(&self, running: &Running) {
        if let Some(confirmed) = running.status().confirmed {
            let age = confirmed.elapsed();
            self.settings.meter.record(Measurement::FlagsAge(age));
        }
    }
}
