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

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex, atomic::AtomicU64},
        time::Duration,
    };

    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use super::*;

    /// What was recorded, by name and labels; gauges and histograms as the bits of the double.
    #[derive(Default)]
    struct Seen(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    struct Last(Arc<AtomicU64>);

    impl HistogramFn for Last {
        fn record(&self, value: f64) {
            self.0
                .store(value.to_bits(), std::sync::atomic::Ordering::Relaxed);
        }
    }

    impl Seen {
        fn slot(&self, key: &Key) -> Arc<AtomicU64> {
            let labels = key
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            let name = format!("{}{}", key.name(), labels.collect::<String>());
            let mut seen = self.0.lock().expect("no panic");
            Arc::clone(seen.entry(name).or_default())
        }
    }

    impl Recorder for Seen {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.slot(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.slot(key))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(Last(self.slot(key))))
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table with a row for each")]
    fn every_measurement_has_its_number() {
        let second = Duration::from_secs(1);
        let two = 2.0_f64.to_bits();
        let one = 1.0_f64.to_bits();
        let cohort = "c1";
        let rows: Vec<(Measurement<'_>, Vec<(&str, u64)>)> = vec![
            (
                Measurement::Evaluated { flags: 2 },
                vec![("experiment_evaluations", 1)],
            ),
            (
                Measurement::EvaluatedWithoutId,
                vec![("experiment_evaluations_without_id", 1)],
            ),
            (
                Measurement::EvaluatedNotReady,
                vec![("experiment_evaluations_not_ready", 1)],
            ),
            (
                Measurement::Fetched {
                    attempts: 3,
                    duration: second,
                },
                vec![
                    ("experiment_fetches", 1),
                    ("experiment_fetch_attempts", 3),
                    ("experiment_fetch_seconds", one),
                ],
            ),
            (
                Measurement::FetchFailed {
                    attempts: 3,
                    reason: "timeout",
                },
                vec![
                    ("experiment_fetch_failures reason=timeout", 1),
                    ("experiment_fetch_attempts", 3),
                ],
            ),
            (
                Measurement::FlagsLoaded {
                    source: "poll",
                    flags: 2,
                    changed: true,
                },
                vec![
                    ("experiment_flags_loads source=poll", 1),
                    ("experiment_flags", two),
                ],
            ),
            (
                Measurement::FlagsFailed {
                    source: "stream",
                    reason: "status",
                },
                vec![("experiment_flags_failures source=stream reason=status", 1)],
            ),
            (
                Measurement::StreamOpened,
                vec![("experiment_streams_opened", 1)],
            ),
            (
                Measurement::StreamFallback,
                vec![("experiment_stream_fallbacks", 1)],
            ),
            (
                Measurement::FlagsAge(second),
                vec![("experiment_flags_age_seconds", one)],
            ),
            (
                Measurement::CohortLoaded {
                    cohort,
                    members: 5,
                    duration: second,
                },
                vec![
                    ("experiment_cohort_loads", 1),
                    ("experiment_cohort_load_seconds", one),
                ],
            ),
            (
                Measurement::CohortUnchanged { cohort },
                vec![("experiment_cohorts_unchanged", 1)],
            ),
            (
                Measurement::CohortFailed {
                    cohort,
                    reason: "status",
                },
                vec![("experiment_cohort_failures reason=status", 1)],
            ),
            (
                Measurement::CohortAge(second),
                vec![("experiment_cohort_age_seconds", one)],
            ),
            (
                Measurement::EventRecorded { kind: "exposure" },
                vec![("experiment_events_recorded kind=exposure", 1)],
            ),
            (
                Measurement::EventDeduplicated { kind: "exposure" },
                vec![("experiment_events_deduplicated kind=exposure", 1)],
            ),
            (
                Measurement::EventsDelivered { events: 7 },
                vec![("experiment_events_delivered", 7)],
            ),
            (
                Measurement::EventsDropped {
                    events: 7,
                    cause: "queue_full",
                },
                vec![("experiment_events_dropped cause=queue_full", 7)],
            ),
            (
                Measurement::UploadFailed { status: None },
                vec![("experiment_upload_failures", 1)],
            ),
            (
                Measurement::QueueDepth {
                    events: 1,
                    bytes: 2,
                },
                vec![
                    ("experiment_queue_events", one),
                    ("experiment_queue_bytes", two),
                ],
            ),
            (
                Measurement::SpoolFailed,
                vec![("experiment_spool_failures", 1)],
            ),
            (Measurement::Forked, vec![("experiment_forks", 1)]),
        ];
        for (measurement, expected) in rows {
            let seen = Seen::default();
            metrics::with_local_recorder(&seen, || MetricsFacade.record(&measurement));
            let seen = seen.0.into_inner().expect("no panic");
            let seen: BTreeMap<&str, u64> = seen
                .iter()
                .map(|(name, slot)| {
                    let value = slot.load(std::sync::atomic::Ordering::Relaxed);
                    (name.as_str(), value)
                })
                .collect();
            assert_eq!(seen, expected.into_iter().collect(), "{measurement:?}");
        }
    }
}
