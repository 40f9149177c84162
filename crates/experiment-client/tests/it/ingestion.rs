//! A fake ingestion service in memory, and events to send to it.

use std::{
    collections::BTreeMap,
    process::{Child, Command},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use experiment_client::{
    Delivery, DeliveryOptions, Secret, SpoolOptions,
    test_kit::{Answer, InMemoryTransport, Received, Script},
};
use experiment_events::Event;
use experiment_model::Timestamp;
use serde_json::Value;

/// Held for reading while a spool is opened in this process, and for writing while a process is
/// started: between its fork and its exec a new process holds what is locked here, so that files
/// would not be taken over that nobody uses.
static STARTING: RwLock<()> = RwLock::new(());

/// Keeps processes from being started.
pub(crate) fn no_process_starts() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process.
pub(crate) fn start(command: &mut Command) -> Child {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().expect("a process")
}

/// When all test events happen: 2023-11-14.
pub(crate) const TIME: i64 = 1_700_000_000_000;

/// Long enough for everything but a quota of the day.
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) const ACCEPTED: &str = r#"{"code":200,"events_ingested":1}"#;

/// An event of a user and a device of its own.
pub(crate) fn event(number: usize) -> Event {
    event_of(
        &format!("user-{number}"),
        &format!("device-{number}"),
        number,
    )
}

pub(crate) fn event_of(user: &str, device: &str, number: usize) -> Event {
    Event {
        event_type: Event::EXPOSURE.into(),
        user_id: Some(user.into()),
        device_id: Some(device.into()),
        time: Some(Timestamp::from_unix_millis(TIME)),
        insert_id: Some(format!("insert-{number}").into()),
        ..Event::default()
    }
}

/// The number that [`event_of`] put into an event.
pub(crate) fn number_of(event: &Value) -> usize {
    let insert_id = event["insert_id"].as_str().expect("an insert id");
    insert_id
        .trim_start_matches("insert-")
        .parse()
        .expect("a number")
}

/// The numbers of the events of a request.
pub(crate) fn numbers(request: &Received) -> Vec<usize> {
    let body = request.json().expect("a JSON body");
    let events = body["events"].as_array().expect("events");
    events.iter().map(number_of).collect()
}

/// The numbers of the events of all requests.
pub(crate) fn sent(script: &Script) -> Vec<Vec<usize>> {
    script.requests().iter().map(numbers).collect()
}

/// How often each event was sent.
pub(crate) fn times_sent(script: &Script) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for number in sent(script).into_iter().flatten() {
        *times.entry(number).or_default() += 1;
    }
    times
}

/// A service that accepts everything, after what is told to come [`then`](Script::then).
pub(crate) fn accepting() -> Script {
    let script = Script::new();
    script.on("/batch", Answer::json(ACCEPTED));
    script
}

pub(crate) fn options() -> DeliveryOptions {
    DeliveryOptions::new(Secret::from("analytics-api-key"))
}

pub(crate) fn spooling(directory: &std::path::Path) -> DeliveryOptions {
    options().with_spool(SpoolOptions::new(directory))
}

pub(crate) fn delivery(options: DeliveryOptions, script: &Script) -> Delivery {
    let _quiet = no_process_starts();
    delivery_while_none_starts(options, script)
}

/// As [`delivery`], for who holds [`no_process_starts`].
pub(crate) fn delivery_while_none_starts(options: DeliveryOptions, script: &Script) -> Delivery {
    let transport = Arc::new(InMemoryTransport::new(script.clone()));
    Delivery::new(options, transport).expect("the options can be used")
}

pub(crate) fn record(delivery: &Delivery, numbers: std::ops::Range<usize>) {
    for number in numbers {
        delivery
            .record(&event(number))
            .expect("there is room for the event");
    }
}
