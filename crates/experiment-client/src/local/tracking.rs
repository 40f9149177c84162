//! From an evaluation to its events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use experiment_events::{Assignment, Decision, DedupeFilter, Event, Exposure, Mark};
use experiment_model::{User, Variant, Variants};

use crate::{
    account::DropCause,
    local::{
        options::Tracking,
        shared::{Running, Shared},
    },
    metrics::Measurement,
};

impl Shared {
    /// Tracks a result as an assignment, unless it has been tracked.
    pub(crate) fn track_assignment(&self, running: &Running, user: &User, variants: &Variants) {
        let Some(assignment) = Assignment::new(user, variants) else {
            return;
        };
        let _ = self.track(
            running,
            "assignment",
            |filter, now| filter.check_assignment(&assignment, now),
            |tracking, mark, now| assignment.to_event(now, mark.transition(), &tracking.events),
        );
    }

    /// Tracks every variant of a result as an exposure, unless it has been tracked.
    pub(crate) fn track_exposures(&self, running: &Running, user: &User, variants: &Variants) {
        for (flag_key, variant) in variants.iter() {
            let _ = self.track_exposure(running, user, flag_key, variant, Some(variants));
        }
    }

    /// Tracks one exposure, unless it has been tracked.
    pub(crate) fn track_exposure(
        &self,
        running: &Running,
        user: &User,
        flag_key: &str,
        variant: &Variant,
        results: Option<&Variants>,
    ) -> Result<(), DropCause> {
        let mut exposure = Exposure::new(user, flag_key, variant);
        if let Some(results) = results {
            exposure = exposure.with_results(results);
        }
        if let Some(tracking) = &self.settings.tracking
            && exposure.is_skipped(&tracking.events)
        {
            return Ok(());
        }
        self.track(
            running,
            "exposure",
            |filter, now| filter.check_exposure(&exposure, now),
            |tracking, mark, now| exposure.to_event(now, mark.transition(), &tracking.events),
        )
    }

    fn track(
        &self,
        running: &Running,
        kind: &'static str,
        check: impl FnOnce(&mut DedupeFilter, experiment_model::Timestamp) -> Decision,
        event: impl FnOnce(&Tracking, &Mark, experiment_model::Timestamp) -> Event,
    ) -> Result<(), DropCause> {
        let (Some(tracking), Some(filter), Some(delivery)) =
            (&self.settings.tracking, &running.filter, &running.delivery)
        else {
            return Ok(());
        };
        let now = self.settings.clock.now();
        let Decision::Track(mark) = check(&mut lock(filter), now) else {
            self.settings
                .meter
                .record(Measurement::EventDeduplicated { kind });
            return Ok(());
        };
        // The filter is not locked while the event is written down, which may mean to a disk. Two
        // threads that track the same at once write the same insert id.
        delivery.record(&event(tracking, &mark, now))?;
        lock(filter).commit(mark);
        self.settings
            .meter
            .record(Measurement::EventRecorded { kind });
        Ok(())
    }
}

fn lock(filter: &Mutex<DedupeFilter>) -> MutexGuard<'_, DedupeFilter> {
    filter.lock().unwrap_or_else(PoisonError::into_inner)
}
