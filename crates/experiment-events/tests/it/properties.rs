//! Laws that hold for any users, flags and orders of events.

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use experiment_events::{
    Assignment, Decision, DedupeFilter, DedupeLimits, Event, EventOptions, Exposure, Mark,
    transform,
};
use experiment_model::{Object, Timestamp, User, Value, Variant, Variants};
use proptest::{collection::vec, prelude::*};

const DAY: i64 = 86_400_000;

/// Short texts that are easily taken for one another.
fn text() -> impl Strategy<Value = String> {
    "[ab ]{0,3}|[é日😀]{1,2}"
}

fn ids() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    (proptest::option::of(text()), proptest::option::of(text()))
}

fn user((user_id, device_id): &(Option<String>, Option<String>)) -> User {
    let mut user = User::new();
    if let Some(id) = user_id {
        user = user.with_user_id(id);
    }
    if let Some(id) = device_id {
        user = user.with_device_id(id);
    }
    user
}

type Tuple = (
    (Option<String>, Option<String>),
    i64,
    u32,
    Vec<(String, Option<String>, Option<String>)>,
);

fn tuple() -> impl Strategy<Value = Tuple> {
    let flag = (
        text(),
        proptest::option::of("[ab ]{1,2}"),
        proptest::option::of("[ab ]{1,2}"),
    );
    (ids(), -1_i64..2, 0_u32..3, vec(flag, 1..3))
}

fn variant(key: Option<&String>, experiment_key: Option<&String>) -> Variant {
    let mut variant = key.map_or_else(Variant::default, Variant::new);
    if let Some(experiment_key) = experiment_key {
        variant.metadata = Some(Object::from_iter([(
            "experimentKey",
            experiment_key.as_str(),
        )]));
    }
    variant
}

/// What the id of a tuple is about, and the id, as an exposure (of its first flag) or assignment.
fn identified((ids, day, transition, flags): &Tuple, as_exposure: bool) -> (String, String) {
    let (user, now) = (user(ids), Timestamp::from_unix_millis(day * DAY));
    let options = EventOptions::default();
    let variants: Variants = flags
        .iter()
        .map(|(flag, key, run)| (flag.as_str(), variant(key.as_ref(), run.as_ref())))
        .collect();
    if as_exposure {
        let (flag, shown) = variants.iter().next().unwrap();
        let about = format!("e {ids:?} {day} {transition} {flag:?} {shown:?}");
        let event = Exposure::new(&user, flag, shown).to_event(now, *transition, &options);
        return (about, event.insert_id.unwrap().to_string());
    }
    let mut sorted: Vec<_> = variants.iter().collect();
    sorted.sort_by_key(|(flag, _)| flag.as_str());
    let about = format!("a {ids:?} {day} {transition} {sorted:?}");
    let event = Assignment::new(&user, &variants)
        .unwrap()
        .to_event(now, *transition, &options);
    (about, event.insert_id.unwrap().to_string())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((text(), inner), 0..3).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let property = prop_oneof![
        Just("flag_key".to_owned()),
        Just("variant".to_owned()),
        Just("experiment_key".to_owned()),
        Just("[Experiment] Flag Key".to_owned()),
        text(),
    ];
    let operation = prop_oneof![Just("$set".to_owned()), Just("$unset".to_owned()), text()];
    let event_type = prop_oneof![
        4 => Just(Event::CLIENT_EXPOSURE.to_owned()),
        1 => Just(Event::EXPOSURE.to_owned()),
        1 => text(),
    ];
    (
        event_type,
        vec((property, json()), 0..5),
        vec((operation, json()), 0..3),
    )
        .prop_map(|(event_type, properties, operations)| Event {
            event_type: event_type.into(),
            event_properties: properties.into_iter().collect(),
            user_properties: operations.into_iter().collect(),
            ..Event::default()
        })
}

/// One thing that happens to a filter.
#[derive(Clone, Debug)]
enum Step {
    /// A user sees a variant (0 is the default one) of a flag; committed or not.
    See {
        user: u8,
        flag: u8,
        variant: u8,
        commits: bool,
    },
    /// A thread that has checked before commits.
    Commit(prop::sample::Index),
    /// One of the committed marks is rolled back.
    Rollback(prop::sample::Index),
    /// Time goes by, or back.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4, 0_u8..3, 0_u8..3, prop::bool::weighted(0.8))
            .prop_map(|(user, flag, variant, commits)| Step::See { user, flag, variant, commits }),
        1 => any::<prop::sample::Index>().prop_map(Step::Commit),
        1 => any::<prop::sample::Index>().prop_map(Step::Rollback),
        1 => (-DAY..2 * DAY).prop_map(Step::Wait),
    ]
}

/// An event in the queue.
struct Queued {
    user: u8,
    flag: u8,
    variant: u8,
    mark: Mark,
    id: String,
}

/// The variant that analysis knows of a user and flag: ingestion counts each id once.
fn analysed(queue: &[Queued], user: u8, flag: u8) -> Option<u8> {
    let mut ids = HashSet::new();
    let counted = queue.iter().filter(|event| ids.insert(&event.id));
    counted
        .filter(|it| (it.user, it.flag) == (user, flag))
        .last()
        .map(|it| it.variant)
}

/// The variants that steps are about; the first one is a default variant.
fn seen_variants() -> [Variant; 3] {
    let mut off = Variant::new("off");
    off.metadata = Some(Object::from_iter([("default", true)]));
    [off, Variant::new("a"), Variant::new("b")]
}

fn seen_user(user: u8) -> User {
    User::new().with_user_id(format!("user-{user}"))
}

proptest! {
    #[test]
    fn different_facts_have_different_ids(tuples in vec((tuple(), any::<bool>()), 2..40)) {
        let mut by_id: HashMap<String, String> = HashMap::new();
        for (tuple, as_exposure) in &tuples {
            let (about, id) = identified(tuple, *as_exposure);
            let known = by_id.entry(id).or_insert_with(|| about.clone());
            prop_assert_eq!(&*known, &about);
        }
        let facts: HashSet<&String> = by_id.values().collect();
        prop_assert_eq!(facts.len(), by_id.len());
    }

    #[test]
    fn transforming_twice_is_transforming_once(event in event()) {
        if let Ok(once) = transform(event) {
            prop_assert_ne!(once.event_type.as_str(), Event::CLIENT_EXPOSURE);
            prop_assert_eq!(transform(once.clone()), Ok(once));
        }
    }

    #[test]
    fn events_are_read_as_they_were_written(event in event()) {
        let json = serde_json::to_string(&event).unwrap();
        match serde_json::from_str::<Event>(&json) {
            Ok(read) => prop_assert_eq!(read, event),
            Err(_) => prop_assert!(event.event_type.is_empty()),
        }
    }

    #[test]
    fn an_unchanged_fact_is_tracked_once_per_window(steps in vec(step(), 0..120)) {
        let variants = seen_variants();
        let mut filter = DedupeFilter::new(DedupeLimits::default());
        let mut now = 20_000 * DAY;
        // What was committed last for a user and flag, and when.
        let mut last: HashMap<(u8, u8), (u8, i64)> = HashMap::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Commit(_) | Step::Rollback(_) => {}
                Step::See { user, flag, variant, commits } => {
                    let (seen, flag_key) = (seen_user(user), format!("flag-{flag}"));
                    let exposure = Exposure::new(&seen, &flag_key, &variants[usize::from(variant)]);
                    let decision = filter.check_exposure(&exposure, Timestamp::from_unix_millis(now));
                    let tracks = match last.get(&(user, flag)) {
                        None => variant != 0,
                        Some((known, _)) if *known != variant => true,
                        Some((known, at)) => *known != 0 && at.abs_diff(now) >= DAY.unsigned_abs(),
                    };
                    prop_assert_eq!(decision.mark().is_some(), tracks);
                    if let (Decision::Track(mark), true) = (decision, commits) {
                        filter.commit(mark);
                        last.insert((user, flag), (variant, now));
                    }
                }
            }
        }
    }

    #[test]
    fn a_rollback_right_after_the_commit_is_as_if_it_had_not_been(steps in vec(step(), 0..120)) {
        let variants = seen_variants();
        let [mut one, mut other] = [(); 2].map(|()| DedupeFilter::new(DedupeLimits::default()));
        let mut now = 20_000 * DAY;
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Commit(_) | Step::Rollback(_) => {}
                Step::See { user, flag, variant, commits } => {
                    let (seen, flag_key) = (seen_user(user), format!("flag-{flag}"));
                    let exposure = Exposure::new(&seen, &flag_key, &variants[usize::from(variant)]);
                    let at = Timestamp::from_unix_millis(now);
                    let decision = one.check_exposure(&exposure, at);
                    prop_assert_eq!(decision, other.check_exposure(&exposure, at));
                    if let Decision::Track(mark) = decision {
                        one.commit(mark);
                        if commits {
                            other.commit(mark);
                        } else {
                            one.rollback(mark);
                        }
                    }
                    prop_assert_eq!(one.len(), other.len());
                }
            }
        }
    }

    #[test]
    fn only_what_analysis_knows_is_dropped(steps in vec(step(), 0..150)) {
        let variants = seen_variants();
        let mut filter = DedupeFilter::new(DedupeLimits::default());
        let mut now = 20_000 * DAY;
        // Decisions of threads that have not committed yet, and the queue of events.
        let (mut pending, mut queue): (Vec<Queued>, Vec<Queued>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Commit(at) if !pending.is_empty() => {
                    let event = pending.remove(at.index(pending.len()));
                    filter.commit(event.mark);
                    queue.push(event);
                }
                Step::Rollback(at) if !queue.is_empty() => {
                    let event = queue.remove(at.index(queue.len()));
                    filter.rollback(event.mark);
                }
                Step::Commit(_) | Step::Rollback(_) => {}
                Step::See { user, flag, variant, commits } => {
                    let (seen, flag_key) = (seen_user(user), format!("flag-{flag}"));
                    let exposure = Exposure::new(&seen, &flag_key, &variants[usize::from(variant)]);
                    let at = Timestamp::from_unix_millis(now);
                    if let Decision::Track(mark) = filter.check_exposure(&exposure, at) {
                        let event = exposure.to_event(at, mark.transition(), &EventOptions::default());
                        let event = Queued { user, flag, variant, mark, id: event.insert_id.unwrap().to_string() };
                        if commits {
                            filter.commit(mark);
                            queue.push(event);
                        } else {
                            pending.push(event);
                        }
                    } else {
                        prop_assert_eq!(analysed(&queue, user, flag).unwrap_or(0), variant);
                    }
                }
            }
        }
    }

    #[test]
    fn memory_and_entries_stay_within_their_limits(
        (entries, bytes) in (0_usize..40, 0_usize..3000),
        window in 0_u64..100_000_000,
        steps in vec(step(), 0..150),
    ) {
        let variants = seen_variants();
        let limits = DedupeLimits::default().with_entries(entries).with_bytes(bytes);
        let mut filter = DedupeFilter::new(limits.with_window(Duration::from_millis(window)));
        let (mut now, mut marks) = (0, Vec::new());
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Rollback(at) if !marks.is_empty() => filter.rollback(*at.get(&marks)),
                Step::Commit(_) | Step::Rollback(_) => {}
                Step::See { user, variant, .. } => {
                    let (seen, flag_key) = (seen_user(user), format!("flag-{}", n % 50));
                    let exposure = Exposure::new(&seen, &flag_key, &variants[usize::from(variant)]);
                    if let Decision::Track(mark) = filter.check_exposure(&exposure, Timestamp::from_unix_millis(now)) {
                        filter.commit(mark);
                        marks.push(mark);
                    }
                }
            }
            prop_assert!(filter.len() <= entries);
            prop_assert!(filter.memory_used() <= bytes);
        }
    }
}
