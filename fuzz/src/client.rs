//! Targets that read what services send.

use experiment_client::fuzzing::{CohortReader, EventReader};
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
