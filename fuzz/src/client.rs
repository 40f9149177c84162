//! Targets that read what services send.

use experiment_client::fuzzing::{
    CohortReader, EventReader, read_flags_body, read_spool, read_variants_body, write_spool,
};
use experiment_model::User;
use serde_json::Value;

/// Far below what inputs can have, so that the limit is met.
const EVENT_LIMIT: usize = 256;

/// How long the pieces are and, behind the first byte, a stream of server-sent events: the same
/// events come of it in pieces as of the whole, or the same error.
pub fn sse(data: &[u8]) {
    let Some((length, stream)) = data.split_first() else {
        return;
    };
    let read = |length: usize| {
        let mut reader = EventReader::new(EVENT_LIMIT);
        let mut events = Vec::new();
        for piece in stream.chunks(length) {
            match reader.push(piece) {
                Ok(some) => events.extend(some),
                Err(error) => return Err(error.to_string()),
            }
        }
        for (kind, id, data) in &events {
            assert!(kind.len() <= EVENT_LIMIT && id.len() <= EVENT_LIMIT);
            assert!(data.len() <= EVENT_LIMIT);
        }
        Ok(events)
    };
    assert_eq!(read(usize::from(*length).max(1)), read(usize::MAX));
}

/// How long the pieces are and, behind the first byte, the body of a cohort: it reads the same in
/// pieces as as a whole, and what reads well is JSON whose ids are members.
pub fn cohort(data: &[u8]) {
    let Some((length, body)) = data.split_first() else {
        return;
    };
    let read = |length: usize| {
        let mut reader = CohortReader::new();
        for piece in body.chunks(length) {
            reader.push(piece)?;
        }
        reader.finish()
    };
    match (read(usize::from(*length).max(1)), read(usize::MAX)) {
        (Err(one), Err(other)) => assert_eq!(one, other),
        (Ok(one), Ok(other)) => {
            let (id, group_type, last_modified, members) = &one;
            assert_eq!(
                (id, group_type, last_modified, members.len()),
                (&other.0, &other.1, &other.2, other.3.len())
            );
            match serde_json::from_slice::<Value>(body) {
                Ok(value) => {
                    let ids = value["memberIds"].as_array().into_iter().flatten();
                    for id in ids.filter_map(Value::as_str) {
                        assert!(members.contains(id) && other.3.contains(id));
                    }
                }
                // Numbers beyond the range of doubles are skipped by one and refused by the other.
                Err(error) => assert!(error.to_string().starts_with("number out of range")),
            }
        }
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

/// The body of an answer with flags: it is taken or not, and what is taken can be evaluated.
pub fn flags(data: &[u8]) {
    let user = User::new()
        .with_user_id("user-1")
        .with_device_id("device-1")
        .with_country("Norway")
        .with_cohort_ids(["c1"]);
    if let Ok((flags, variants, _)) = read_flags_body(data, &user) {
        assert!(variants <= flags, "{variants} variants of {flags} flags");
        assert!(
            flags > 0 || data.iter().all(|byte| b"[] \t\r\n".contains(byte)),
            "nothing but an empty list empties the flags"
        );
    }
}

/// The body of an answer with variants: what was read of it reads the same when it is written.
pub fn variants(data: &[u8]) {
    let Ok(fetched) = read_variants_body(data) else {
        return;
    };
    let json = serde_json::to_vec(&fetched.variants).expect("variants are JSON");
    let again = read_variants_body(&json).expect("what is written can be read");
    assert_eq!(again.variants, fetched.variants);
    assert!(again.malformed.is_empty());
}

/// A spool file and, in front of it, behind a byte with their number, entries of its acks: whatever
/// is in them, what is read can be written and is then read again, and what is settled is not.
pub fn spool(data: &[u8]) {
    let Some((&entries, data)) = data.split_first() else {
        return;
    };
    let (acks, records) = data.split_at(data.len().min(usize::from(entries) * 12));
    let payloads = read_spool(records, acks);
    let all = read_spool(records, &[]);
    assert!(payloads.len() <= all.len());
    let (written, none) = write_spool(&payloads, |_| false);
    assert!(none.is_empty());
    assert_eq!(read_spool(&written, &none), payloads);
    let (written, settled) = write_spool(&all, |number| number % 3 != 0);
    let rest: Vec<_> = all.into_iter().step_by(3).collect();
    assert_eq!(read_spool(&written, &settled), rest);
}
