//! The dedupe filter: what is tracked, when, and what commit and rollback leave behind.

use core::time::Duration;

use experiment_events::{
    Assignment, Decision, DedupeFilter, DedupeLimits, DropReason, EventOptions, Exposure, Mark,
};
use experiment_model::{Timestamp, User, Variant, Variants};
use serde_json::json;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Midnight of a day.
const START: i64 = 19_675 * DAY;

/// A filter and the exposures of one user to one flag.
struct Story {
    filter: DedupeFilter,
    user: User,
}

impl Story {
    fn new() -> Self {
        Self {
            filter: DedupeFilter::new(DedupeLimits::default()),
            user: User::new()
                .with_user_id("user-1")
                .with_device_id("device-1"),
        }
    }

    fn check(&mut self, variant: &Variant, at: i64) -> Decision {
        let exposure = Exposure::new(&self.user, "f", variant);
        self.filter
            .check_exposure(&exposure, Timestamp::from_unix_millis(START + at))
    }

    /// Checks and commits; the transition number if it was tracked.
    fn see(&mut self, key: &str, at: i64) -> Option<u32> {
        let mark = self.check(&variant(key), at).mark()?;
        self.filter.commit(mark);
        Some(mark.transition())
    }

    /// Checks, commits and returns the mark.
    fn track(&mut self, key: &str, at: i64) -> Mark {
        let mark = self.check(&variant(key), at).mark().expect("it is tracked");
        self.filter.commit(mark);
        mark
    }

    fn insert_id(&self, key: &str, at: i64, transition: u32) -> String {
        let variant = variant(key);
        let now = Timestamp::from_unix_millis(START + at);
        let exposure = Exposure::new(&self.user, "f", &variant);
        let event = exposure.to_event(now, transition, &EventOptions::default());
        event.insert_id.expect("an id").to_string()
    }
}

/// A variant; `off` is the default one.
fn variant(key: &str) -> Variant {
    let default = key == "off";
    serde_json::from_value(json!({"key": key, "metadata": {"default": default}})).unwrap()
}

#[test]
fn a_repeat_is_dropped_and_a_change_is_tracked() {
    let mut story = Story::new();
    assert_eq!(story.see("A", 0), Some(0));
    assert_eq!(story.see("A", HOUR), None);
    assert_eq!(story.see("B", HOUR), Some(1));
    assert_eq!(story.see("B", HOUR), None);
    assert_eq!(story.see("A", HOUR), Some(2));
}

#[test]
fn a_check_alone_changes_nothing() {
    let mut story = Story::new();
    for _ in 0..3 {
        let mark = story
            .check(&variant("A"), 0)
            .mark()
            .expect("it is not committed");
        assert_eq!(mark.transition(), 0);
    }
    assert!(story.filter.is_empty());
}

#[test]
fn an_experiment_key_is_part_of_what_is_remembered() {
    let mut story = Story::new();
    let run = |key: &str| -> Variant {
        serde_json::from_value(json!({"key": "on", "metadata": {"experimentKey": key}})).unwrap()
    };
    let mark = story.check(&run("exp-1"), 0).mark().unwrap();
    story.filter.commit(mark);
    assert_eq!(story.check(&run("exp-1"), 0), Decision::Drop);
    assert_eq!(
        story.check(&run("exp-2"), 0).mark().unwrap().transition(),
        1
    );
}

#[test]
fn user_device_and_flag_are_told_apart() {
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let now = Timestamp::from_unix_millis(START);
    let on = Variant::new("on");
    let users = [
        User::new(),
        User::new().with_user_id(""),
        User::new().with_user_id("a b").with_device_id("c"),
        User::new().with_user_id("a").with_device_id("b c"),
        User::new().with_device_id("a"),
    ];
    for user in &users {
        for flag in ["f", "g"] {
            let decision = filter.check_exposure(&Exposure::new(user, flag, &on), now);
            filter.commit(decision.mark().expect("nobody was seen before"));
        }
    }
    assert_eq!(filter.len(), 10);
}

#[test]
fn a_default_variant_is_tracked_once_after_another() {
    let mut story = Story::new();
    assert_eq!(story.see("off", 0), None);
    assert_eq!(story.see("on", 0), Some(0));
    assert_eq!(story.see("off", 1), Some(1));
    assert_eq!(story.see("off", 2), None);
    assert_eq!(story.see("off", 5 * DAY), None);
    assert_eq!(story.see("on", 5 * DAY), Some(2));
    // The property still stands after the window.
    assert_eq!(story.see("off", 8 * DAY), Some(3));
}

#[test]
fn a_drop_has_a_reason() {
    let mut story = Story::new();
    let now = Timestamp::from_unix_millis(START);
    let untracked: Variant =
        serde_json::from_value(json!({"key": "on", "metadata": {"trackExposure": false}})).unwrap();
    story.track("A", 0);
    for (flag, variant, reason) in [
        ("f", &variant("A"), DropReason::AlreadyTracked),
        ("f", &untracked, DropReason::Untracked),
        ("g", &variant("off"), DropReason::NothingToUnset),
    ] {
        let exposure = Exposure::new(&story.user, flag, variant);
        assert_eq!(story.filter.try_exposure(&exposure, now), Err(reason));
        assert_eq!(story.filter.check_exposure(&exposure, now), Decision::Drop);
    }
    assert_eq!(DropReason::NothingToUnset.to_string(), "nothing to unset");
}

#[test]
fn the_window_is_fixed_and_does_not_slide() {
    let mut story = Story::new();
    assert_eq!(story.see("A", HOUR), Some(0));
    for at in [2 * HOUR, 20 * HOUR, 25 * HOUR - 1] {
        assert_eq!(story.see("A", at), None);
    }
    assert_eq!(
        story.see("A", 25 * HOUR),
        Some(0),
        "one window after the first"
    );
    assert_eq!(story.see("A", 48 * HOUR), None, "the window begins anew");
    assert_eq!(story.see("A", 49 * HOUR), Some(0));
}

#[test]
fn the_same_fact_on_another_day_has_another_id() {
    let mut story = Story::new();
    let second = 1000;
    let first = story.track("A", second);
    let next = story.track("A", DAY + second);
    assert_eq!((first.transition(), next.transition()), (0, 0));
    assert_ne!(
        story.insert_id("A", second, 0),
        story.insert_id("A", DAY + second, 0)
    );
}

#[test]
fn no_id_is_used_for_two_facts_whatever_the_clock_does() {
    let mut story = Story::new();
    let mut seen: Vec<(String, u32)> = Vec::new();
    // Late in one day, on the next, back again, and far away.
    let clock = [
        23 * HOUR,
        24 * HOUR,
        47 * HOUR,
        23 * HOUR,
        -100 * DAY,
        23 * HOUR,
        48 * HOUR,
    ];
    let mut change = 0;
    for at in clock {
        for key in ["A", "B", "A"] {
            if let Some(transition) = story.see(key, at) {
                let id = story.insert_id(key, at, transition);
                // The same id only for the same standing value, which is one fact.
                if let Some((_, number)) = seen.iter().find(|(known, _)| *known == id) {
                    assert_eq!(*number, transition);
                }
                assert!(transition >= change, "numbers do not go back");
                change = transition;
                seen.push((id, transition));
            }
        }
    }
    let unique: std::collections::HashSet<&String> = seen.iter().map(|(id, _)| id).collect();
    assert!(
        seen.len() - unique.len() <= clock.len(),
        "only repeats of a standing value share"
    );
}

#[test]
fn a_clock_that_goes_back_does_not_suppress_for_ever() {
    let mut story = Story::new();
    story.track("A", 0);
    // A little: threads that read the clock one after another, or a correction.
    assert_eq!(story.see("A", -1), None);
    assert_eq!(story.see("A", -DAY + 1), None);
    // By a window or more: what was remembered is in no sensible relation to now.
    assert_eq!(story.see("A", -DAY), Some(0));
    assert_eq!(story.see("A", -DAY), None);
    assert_eq!(story.see("A", 0), Some(0));
}

#[test]
fn the_ends_of_time_are_times() {
    let mut story = Story::new();
    for at in [i64::MIN, i64::MAX, 0, i64::MIN] {
        let exposure_variant = variant("A");
        let exposure = Exposure::new(&story.user, "f", &exposure_variant);
        let decision = story
            .filter
            .check_exposure(&exposure, Timestamp::from_unix_millis(at));
        story
            .filter
            .commit(decision.mark().expect("far from the last one"));
    }
}

#[test]
fn a_rollback_restores_what_stood_before() {
    let mut story = Story::new();
    let first = story.track("A", 0);
    story.filter.rollback(first);
    assert!(story.filter.is_empty());
    assert_eq!(story.see("A", 0), Some(0));
    let b = story.track("B", 1);
    story.filter.rollback(b);
    assert_eq!(story.see("A", 2), None, "A stands again");
    assert_eq!(story.see("B", 3), Some(1));
}

#[test]
fn the_last_a_of_a_b_a_is_tracked_again_with_a_new_id_after_it_was_dropped() {
    let mut story = Story::new();
    story.track("A", 0);
    story.track("B", 1);
    let dropped = story.track("A", 2);
    story.filter.rollback(dropped);
    assert_eq!(story.see("B", 3), None, "B stands again");
    let again = story.see("A", 4).expect("A was not delivered");
    assert_ne!(story.insert_id("A", 4, again), story.insert_id("A", 0, 0));
}

#[test]
fn a_rollback_under_something_newer_does_nothing() {
    let mut story = Story::new();
    let a = story.track("A", 0);
    story.track("B", 1);
    story.filter.rollback(a);
    assert_eq!(story.see("B", 2), None);
    assert_eq!(story.see("A", 3), Some(2));
}

#[test]
fn a_rollback_tells_two_returns_in_one_millisecond_apart() {
    let mut story = Story::new();
    let first = story.track("A", 0);
    story.track("B", 0);
    story.track("A", 0);
    story.filter.rollback(first);
    assert_eq!(story.see("A", 0), None, "the second A stands");
    assert_eq!(story.see("B", 0), Some(3));
}

#[test]
fn a_queue_that_drops_from_its_front_loses_no_fact() {
    let mut story = Story::new();
    let (a, b) = (story.track("A", 0), story.track("B", 1));
    story.filter.rollback(a);
    story.filter.rollback(b);
    // Neither was delivered: A must not stand again.
    assert!(story.see("A", 2).is_some());

    let mut story = Story::new();
    story.track("X", 0);
    let (a, b, c) = (
        story.track("A", 1),
        story.track("B", 2),
        story.track("C", 3),
    );
    for mark in [a, b, c] {
        story.filter.rollback(mark);
    }
    let next = story.see("B", 4).expect("B was not delivered");
    assert!(next > b.transition());
}

#[test]
fn rolling_back_in_reverse_goes_back_all_the_way() {
    let mut story = Story::new();
    let marks = [
        story.track("A", 0),
        story.track("B", 1),
        story.track("C", 2),
    ];
    for mark in marks.into_iter().rev() {
        story.filter.rollback(mark);
    }
    assert!(story.filter.is_empty());
}

#[test]
fn two_threads_that_check_one_fact_send_one_id() {
    let mut story = Story::new();
    let one = story.check(&variant("A"), 0).mark().unwrap();
    let other = story.check(&variant("A"), 5).mark().unwrap();
    assert_eq!(one.transition(), other.transition());
    story.filter.commit(one);
    story.filter.commit(other);
    assert_eq!(story.filter.len(), 1);
    assert_eq!(
        story.see("A", DAY),
        Some(0),
        "the first commit's time counts"
    );
}

#[test]
fn after_two_threads_with_different_facts_the_next_is_tracked() {
    for next in ["A", "B", "off"] {
        let mut story = Story::new();
        let a = story.check(&variant("A"), 0).mark().unwrap();
        let b = story.check(&variant("B"), 0).mark().unwrap();
        story.filter.commit(a);
        story.filter.commit(b);
        assert_eq!(story.see(next, 1), Some(1), "{next}");
        assert_eq!(story.see(next, 2), None, "{next}");
    }
}

#[test]
fn a_commit_that_comes_late_does_not_suppress_what_ingestion_has_not_counted() {
    let mut story = Story::new();
    let late = story.check(&variant("A"), 0).mark().unwrap();
    story.track("A", 0);
    story.track("B", 0);
    // Its event has the id of the first A, so that B stands in analysis.
    story.filter.commit(late);
    assert_eq!(story.see("A", 0), Some(2));
}

#[test]
fn the_least_recently_seen_is_forgotten_first() {
    let limits = DedupeLimits::default().with_entries(2);
    let mut filter = DedupeFilter::new(limits);
    let on = Variant::new("on");
    let mut see = |id: &str| {
        let user = User::new().with_user_id(id);
        let exposure = Exposure::new(&user, "f", &on);
        let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(START));
        decision.mark().map(|mark| filter.commit(mark)).is_some()
    };
    assert!(see("1") && see("2"));
    assert!(!see("1"), "a repeat is a use");
    assert!(see("3"));
    assert!(!see("1"));
    assert!(see("2"), "it was forgotten");
}

#[test]
fn a_filter_without_room_tracks_everything() {
    for limits in [
        DedupeLimits::default().with_entries(0),
        DedupeLimits::default().with_bytes(50),
    ] {
        let mut filter = DedupeFilter::new(limits);
        let (user, on) = (User::new(), Variant::new("on"));
        let exposure = Exposure::new(&user, "f", &on);
        for _ in 0..2 {
            let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(START));
            let mark = decision.mark().expect("nothing is remembered");
            filter.commit(mark);
            filter.rollback(mark);
        }
        assert_eq!((filter.len(), filter.memory_used()), (0, 0));
    }
}

#[test]
fn a_window_of_nothing_suppresses_nothing() {
    let mut filter = DedupeFilter::new(DedupeLimits::default().with_window(Duration::ZERO));
    let (user, on) = (User::new(), Variant::new("on"));
    let exposure = Exposure::new(&user, "f", &on);
    for _ in 0..2 {
        let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(START));
        filter.commit(decision.mark().expect("no window"));
    }
    let mut filter = DedupeFilter::new(DedupeLimits::default().with_window(Duration::MAX));
    let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(i64::MIN));
    filter.commit(decision.mark().unwrap());
    let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(i64::MAX - 1));
    assert_eq!(decision, Decision::Drop);
}

#[test]
fn an_assignment_is_known_by_its_whole_result() {
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let user = User::new().with_user_id("user-1");
    let now = Timestamp::from_unix_millis(START);
    let mut see = |user: &User, flags: &[(&str, &str)]| {
        let variants: Variants = flags
            .iter()
            .map(|(flag, key)| (*flag, variant(key)))
            .collect();
        let assignment = Assignment::new(user, &variants).unwrap();
        let mark = filter.check_assignment(&assignment, now).mark()?;
        filter.commit(mark);
        Some(mark.transition())
    };
    assert_eq!(see(&user, &[("a", "on"), ("b", "off")]), Some(0));
    assert_eq!(
        see(&user, &[("b", "off"), ("a", "on")]),
        None,
        "the order does not count"
    );
    assert_eq!(see(&user, &[("a", "on")]), Some(1), "a flag less");
    assert_eq!(
        see(&user, &[("a", "off"), ("b", "on")]),
        Some(2),
        "the variants swapped"
    );
    assert_eq!(
        see(&user, &[("a", "on"), ("b", "off")]),
        Some(3),
        "as in the beginning"
    );
    assert_eq!(see(&User::new(), &[("a", "on")]), Some(0), "somebody else");
}

#[test]
fn the_same_assignment_is_tracked_once_a_utc_day() {
    let (user, variants) = (
        User::new().with_user_id("user-1"),
        [("a", variant("on"))].into_iter().collect::<Variants>(),
    );
    let assignment = Assignment::new(&user, &variants).unwrap();
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let minute = 60_000;
    // A minute before midnight.
    let evening = START.div_euclid(86_400_000) * 86_400_000 + 86_400_000 - minute;
    let mut see = |millis| {
        let now = Timestamp::from_unix_millis(millis);
        let mark = filter.check_assignment(&assignment, now).mark()?;
        filter.commit(mark);
        Some(assignment.to_event(now, mark.transition(), &EventOptions::default()))
    };
    let first = see(evening).expect("the first");
    assert!(see(evening + minute / 2).is_none(), "the same day");
    let second = see(evening + minute).expect("the next day");
    assert_ne!(first.insert_id, second.insert_id);
    assert!(see(evening + 2 * minute).is_none(), "once that day");
}

#[test]
fn a_flag_that_becomes_default_changes_the_assignment() {
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let (user, now) = (User::new(), Timestamp::from_unix_millis(START));
    for default in [true, false] {
        let variants: Variants =
            serde_json::from_value(json!({"f": {"key": "off", "metadata": {"default": default}}}))
                .unwrap();
        let assignment = Assignment::new(&user, &variants).unwrap();
        let decision = filter.check_assignment(&assignment, now);
        filter.commit(decision.mark().expect("a change"));
    }
}

#[test]
fn an_exposure_and_an_assignment_do_not_meet() {
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let (user, now) = (User::new(), Timestamp::from_unix_millis(START));
    let variants = Variants::from_iter([("f", Variant::new("on"))]);
    let assignment = Assignment::new(&user, &variants).unwrap();
    let decision = filter.check_assignment(&assignment, now);
    filter.commit(decision.mark().unwrap());
    let exposure = Exposure::new(&user, "f", variants.get("f").unwrap());
    assert!(filter.check_exposure(&exposure, now).mark().is_some());
}

#[test]
fn marks_are_small_and_show_no_key() {
    assert!(size_of::<Mark>() <= 96);
    let mut story = Story::new();
    let mark = story.track("A", 0);
    assert_eq!(
        format!("{mark:?}"),
        "Mark { transition: 0, since: Timestamp(1699920000000), .. }"
    );
}
