//! [`MetricsFacade`].

use metrics::{counter, gauge, histogram};

use crate::metrics::{Measurement, Metrics};

/// Feeds the `metrics` crate: whatever recorder the program has installed.
///
/// All names begin with `experiment_`; counters count since the start, ages and durations are in
/// seconds. Cohort ids are not labels, since there can be any number of them.
///
/// ```
/// use std::sync::Arc;
/// use experiment_client::{LocalClient, MetricsFacade};
///
/// let client = LocalClient::builder("server-deployment-key")
///     .metrics(Arc::new(MetricsFacade))
///     .build()?;
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsFacade;

impl Metrics for MetricsFacade {
    fn record(&self, measurement: &Measurement<'_>) {
        match *measurement {
            Measurement::Evaluated { .. } => counter!("experiment_evaluations").increment(1),
            Measurement::EvaluatedWithoutId => {
                counter!("experiment_evaluations_without_id").increment(1);
            }
            Measurement::EvaluatedNotReady => {
                counter!("experiment_evaluations_not_ready").increment(1);
            }
            Measurement::Fetched { attempts, duration } => {
                counter!("experiment_fetches").increment(1);
                counter!("experiment_fetch_attempts").increment(attempts.into());
                histogram!("experiment_fetch_seconds").record(duration.as_secs_f64());
            }
            Measurement::FetchFailed { attempts, reason } => {
                counter!("experiment_fetch_failures", "reason" => reason).increment(1);
                counter!("experiment_fetch_attempts").increment(attempts.into());
            }
            Measurement::FlagsLoaded { source, flags, .. } => {
                counter!("experiment_flags_loads", "source" => source).increment(1);
                gauge!("experiment_flags").set(as_number(flags));
            }
            Measurement::FlagsFailed { source, reason } => {
                counter!("experiment_flags_failures", "source" => source, "reason" => reason)
                    .increment(1);
            }
            Measurement::StreamOpened => counter!("experiment_streams_opened").increment(1),
            Measurement::StreamFallback => counter!("experiment_stream_fallbacks").increment(1),
            Measurement::FlagsAge(age) => {
                gauge!("experiment_flags_age_seconds").set(age.as_secs_f64());
            }
            Measurement::CohortLoaded { duration, .. } => {
                counter!("experiment_cohort_loads").increment(1);
                histogram!("experiment_cohort_load_seconds").record(duration.as_secs_f64());
            }
            Measurement::CohortUnchanged { .. } => {
                counter!("experiment_cohorts_unchanged").increment(1);
            }
            Measurement::CohortFailed { reason, .. } => {
                counter!("experiment_cohort_failures", "reason" => reason).increment(1);
            }
            Measurement::CohortAge(age) => {
                gauge!("experiment_cohort_age_seconds").set(age.as_secs_f64());
            }
            Measurement::EventRecorded { kind } => {
                counter!("experiment_events_recorded", "kind" => kind).increment(1);
            }
            Measurement::EventDeduplicated { kind } => {
                counter!("experiment_events_deduplicated", "kind" => kind).increment(1);
            }
            Measurement::EventsDelivered { events } => {
                counter!("experiment_events_delivered").increment(count(events));
            }
            Measurement::EventsDropped { events, cause } => {
                counter!("experiment_events_dropped", "cause" => cause).increment(count(events));
            }
            Measurement::UploadFailed { .. } => {
                counter!("experiment_upload_failures").increment(1);
            }
            Measurement::QueueDepth { events, bytes } => {
                gauge!("experiment_queue_events").set(as_number(events));
                gauge!("experiment_queue_bytes").set(as_number(bytes));
            }
            Measurement::SpoolFailed => counter!("experiment_spool_failures").increment(1),
            Measurement::Forked => counter!("experiment_forks").increment(1),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "gauges are doubles")]
fn as_number(number: usize) -> f64 {
    number as f64
}
