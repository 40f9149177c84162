//! Reading, writing and showing events.

use experiment_events::{
    Assignment, ClientExposure, DedupeFilter, DedupeLimits, Event, EventOptions, Exposure,
};
use experiment_model::{Timestamp, User, Value, Variant, Variants};

const SECRETS: [&str; 4] = ["ann@example.com", "device-77", "Acme", "pro-plan"];

fn read(json: &str) -> Event {
    serde_json::from_str(json).unwrap()
}

#[test]
fn reading_is_tolerant() {
    let event = read(
        r#"{"event_type":"checkout","user_id":42,"device_id":null,"insert_id":1.5,"time":"1700000000000",
            "event_properties":[],"user_properties":null,"groups":{},"price":9.99}"#,
    );
    assert_eq!(event.user_id.as_deref(), Some("42"));
    assert_eq!(event.device_id, None);
    assert_eq!(event.insert_id.as_deref(), Some("1.5"));
    assert_eq!(
        event.time.map(Timestamp::unix_millis),
        Some(1_700_000_000_000)
    );
    assert!(event.event_properties.is_empty());
    assert_eq!(event.extra.get("price"), Some(&Value::F64(9.99)));
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"event_type":"checkout","user_id":"42","time":1700000000000,"insert_id":"1.5","price":9.99}"#
    );
    let fraction = read(r#"{"event_type":"a","time":1700000000000.9}"#);
    assert_eq!(
        fraction.time.map(Timestamp::unix_millis),
        Some(1_700_000_000_000)
    );
    let empty_ids = read(r#"{"event_type":"a","user_id":""}"#);
    assert_eq!(empty_ids.user_id.as_deref(), Some(""));
}

#[test]
fn errors_name_the_field_and_not_the_value() {
    for (json, message) in [
        (
            r#"{"user_id":"ann@example.com"}"#,
            "missing field `event_type`",
        ),
        (r#"{"event_type":""}"#, "missing field `event_type`"),
        (
            r#"{"event_type":"a","user_id":["ann@example.com"]}"#,
            "event field `user_id`: expected text or a number, found a list",
        ),
        (
            r#"{"event_type":"a","user_properties":"ann@example.com"}"#,
            "event field `user_properties`: expected an object, found text",
        ),
        (
            r#"{"event_type":"a","groups":["Acme"]}"#,
            "event field `groups`: expected an object, found a list",
        ),
        (
            r#"{"event_type":"a","time":"ann@example.com"}"#,
            "event field `time`: expected milliseconds, found text",
        ),
        (r#""ann@example.com""#, "expected an event, found text"),
        (r#"["ann@example.com"]"#, "expected an event, found a list"),
    ] {
        let error = serde_json::from_str::<Event>(json).unwrap_err().to_string();
        assert!(error.starts_with(message), "{json}: {error}");
        assert!(
            SECRETS.iter().all(|secret| !error.contains(secret)),
            "{error}"
        );
    }
}

#[test]
fn nothing_shows_ids_or_properties_of_users() {
    let user = User::new()
        .with_user_id("ann@example.com")
        .with_device_id("device-77")
        .with_group("org", "Acme")
        .with_user_property("plan", "pro-plan");
    let now = Timestamp::from_unix_millis(1_700_000_000_000);
    let (on, options) = (Variant::new("on"), EventOptions::default());
    let variants = Variants::from_iter([("f", on.clone())]);
    let exposure = Exposure::new(&user, "f", &on);
    let assignment = Assignment::new(&user, &variants).unwrap();
    let client = ClientExposure::new("f", &on);
    let mut filter = DedupeFilter::new(DedupeLimits::default());
    let decision = filter.check_exposure(&exposure, now);
    let mut ingested = client.to_event(&user, now, 0, &options);
    ingested.user_properties.insert("plan", "pro-plan");
    ingested.extra.insert("ip", "pro-plan");
    let texts = [
        format!("{exposure:?} {assignment:?} {filter:?} {decision:?} {options:?}"),
        format!("{:?}", exposure.to_event(now, 0, &options)),
        format!("{:?}", assignment.to_event(now, 0, &options)),
        format!("{ingested:?}"),
    ];
    for text in texts {
        assert!(
            SECRETS.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
    }
}
