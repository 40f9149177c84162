//! Server-sent events: transcripts, the rules of the standard, and a plain reading of whole texts.

use experiment_client::{
    Error,
    fuzzing::{Event, EventReader},
};
use proptest::prelude::*;
use serde_json::Value;

const LIMIT: usize = 1 << 20;

fn read(pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    let mut reader = EventReader::new(LIMIT);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(reader.push(piece)?);
    }
    Ok(events)
}

/// The events of `bytes`, which must be the same however they are cut in pieces.
fn read_every_way(bytes: &[u8]) -> Vec<Event> {
    let whole = read(&[bytes]).expect("events");
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(read(&[head, tail]).expect("events"), whole, "cut at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single).expect("events"), whole);
    whole
}

fn event(data: &str) -> Event {
    (String::new(), String::new(), data.to_owned())
}

/// What the transcripts of `flags_stream.json` say as events. What follows from them (flags, fallback,
/// reconnecting) is decided above the reader.
fn transcripts() -> Vec<(&'static str, Vec<Event>)> {
    let flag = |key: &str| {
        event(&format!(
            r#"[{{"key":"{key}","variants":{{}},"segments":[]}}]"#
        ))
    };
    vec![
        ("two-updates", vec![flag("a"), event(" "), flag("b")]),
        ("keepalive-is-one-space", vec![event(" ")]),
        (
            "multi-line-data",
            vec![event("[{\"key\":\"a\",\n\"variants\":{},\"segments\":[]}]")],
        ),
        (
            "crlf-and-comments",
            vec![("message".to_owned(), "7".to_owned(), "[]".to_owned())],
        ),
        ("split-utf8", vec![flag("é")]),
        ("corrupt-first", vec![event("{not json")]),
        ("corrupt-later", vec![event("[]"), event("{not json")]),
        ("silence", vec![event("[]")]),
        ("close-after-headers", vec![]),
        ("501", vec![]),
    ]
}

#[test]
fn every_transcript_gives_its_events() {
    let golden: Value = serde_json::from_str(include_str!("../golden/flags_stream.json"))
        .expect("the golden file is JSON");
    let rows = golden["transcripts"].as_array().expect("transcripts");
    let expected = transcripts();
    assert_eq!(rows.len(), expected.len());
    for (row, (name, events)) in rows.iter().zip(expected) {
        assert_eq!(row["name"], name);
        let bytes = match (row["bytes"].as_str(), row["bytes_hex"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(hex)) => {
                let pieces: Vec<Vec<u8>> = hex.split('|').map(unhex).collect();
                let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
                assert_eq!(read(&pieces).expect("events"), events, "{name}");
                pieces.concat()
            }
            (None, None) => Vec::new(),
        };
        assert_eq!(read_every_way(&bytes), events, "{name}");
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

/// An event: kind, id, data.
type Row = (&'static str, &'static str, &'static str);

/// What a stream says, and the events of it.
const RULES: &[(&str, &[Row])] = &[
    ("data:a\n\n", &[("", "", "a")]),
    ("data: a\r\rdata: b\r\r", &[("", "", "a"), ("", "", "b")]),
    ("data: a\r\ndata: b\r\n\r\n", &[("", "", "a\nb")]),
    // A carriage return ends a line, and the line feed behind it does not end another.
    (
        "data: a\r\n\ndata: b\n\r\n",
        &[("", "", "a"), ("", "", "b")],
    ),
    ("\u{feff}data: a\n\n", &[("", "", "a")]),
    ("\ndata: a\n\n\u{feff}data: b\n\n", &[("", "", "a")]),
    (": comment\ndata: a\n:\n\n", &[("", "", "a")]),
    ("data\n\n", &[("", "", "")]),
    ("data\ndata\n\n", &[("", "", "\n")]),
    ("data:  a:b \n\n", &[("", "", " a:b ")]),
    ("data : a\n\n", &[]),
    ("Data: a\n\n", &[]),
    (
        "event: e\ndata: a\n\ndata: b\n\n",
        &[("e", "", "a"), ("", "", "b")],
    ),
    ("event: e\n\ndata: a\n\n", &[("", "", "a")]),
    (
        "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        &[("", "1", "a"), ("", "1", "b"), ("", "", "c")],
    ),
    ("id: 1\nid: 2\0\ndata: a\n\n", &[("", "1", "a")]),
    ("retry: 10\ndata: a\n\n", &[("", "", "a")]),
    ("data: a\n", &[]),
    ("data: a", &[]),
    ("\n\n\r\n\r", &[]),
];

#[test]
fn the_rules_of_the_standard_hold() {
    for (stream, events) in RULES {
        let events: Vec<Event> = events
            .iter()
            .map(|(kind, id, data)| (kind.to_string(), id.to_string(), data.to_string()))
            .collect();
        assert_eq!(read_every_way(stream.as_bytes()), events, "{stream:?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_an_error_and_not_repaired() {
    for (stream, field) in [
        (&b"data: [\"\xFF\"]\n\n"[..], "data"),
        // Half a character, although the other half follows on the next line.
        (b"data: \xC3\ndata: \xA9\n\n", "data"),
        (b"event: \xFF\n", "event"),
        (b"id: \xFF\n", "id"),
    ] {
        let error = read(&[stream]).expect_err("not UTF-8");
        let Error::Malformed { reason, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(reason, &format!("`{field}` is not UTF-8"));
    }
    let ignored = read(&[b": \xFF\nother: \xFF\ndata: a\n\n"]).expect("events");
    assert_eq!(ignored, [event("a")]);
}

#[test]
fn an_event_beyond_the_limit_is_an_error_however_it_arrives() {
    // 4 bytes for each of these lines, of which one stays; the last may be read but not kept.
    let endless_lines = "data\n".repeat(100);
    let endless_line = format!(": {}", "x".repeat(100));
    for stream in [endless_line, endless_lines] {
        for size in [1, 7, 1000] {
            let mut reader = EventReader::new(64);
            let result = stream
                .as_bytes()
                .chunks(size)
                .try_for_each(|piece| reader.push(piece).map(drop));
            assert!(
                matches!(result, Err(Error::TooLarge { limit: 64, .. })),
                "{result:?}"
            );
        }
    }
    let mut reader = EventReader::new(64);
    let many = "data: twenty bytes long...\n\n".repeat(1000);
    let events = reader.push(many.as_bytes()).expect("small events");
    assert_eq!(events.len(), 1000);
}

/// The same by reading the text as a whole, line by line.
fn plain_reading(stream: &str) -> Vec<Event> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = stream.split('\n').collect();
    lines.pop();
    let (mut events, mut id, mut kind, mut data) = (vec![], String::new(), String::new(), vec![]);
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                events.push((kind.clone(), id.clone(), data.join("\n")));
            }
            kind.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push(value.to_owned()),
            "event" => value.clone_into(&mut kind),
            "id" if !value.contains('\0') => value.clone_into(&mut id),
            _ => {}
        }
    }
    events
}

proptest! {
    #[test]
    fn any_stream_in_any_pieces_reads_as_its_whole_text(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "data", "event", "id", "retry", ":", " ", "\n", "\r", "\r\n", "\n\n", "a", "é", "😀",
                "\u{feff}", "\0", "[]", "data: x\n\n",
            ]),
            0..40,
        ),
        cuts in prop::collection::vec(0_usize..200, 0..8),
    ) {
        let stream = parts.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([stream.len()]) {
            pieces.push(&stream.as_bytes()[start..cut]);
            start = cut;
        }
        prop_assert_eq!(read(&pieces).expect("events"), plain_reading(&stream));
    }
}
