//! The body of a cohort, in pieces: it reads as serde_json reads it as a whole.

use std::{collections::HashSet, fmt::Write};

use experiment_client::fuzzing::{CohortBody, CohortReader};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

fn read(pieces: &[&[u8]]) -> Result<CohortBody, String> {
    let mut reader = CohortReader::new();
    for piece in pieces {
        reader.push(piece)?;
    }
    reader.finish()
}

/// What a body says to serde_json, with the ids written out.
#[derive(Debug, PartialEq)]
struct Expected {
    id: Option<String>,
    group_type: String,
    last_modified: Option<i64>,
    members: HashSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow)]
    cohort_id: Option<&'a RawValue>,
    group_type: Option<String>,
    last_modified: Option<i64>,
    #[serde(borrow)]
    member_ids: Option<Vec<Option<&'a RawValue>>>,
}

/// An id: the text of a string, a number as it is written.
fn id(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).ok(),
        Some(b'-' | b'0'..=b'9') => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// What serde_json makes of the whole; `None` if it is malformed.
fn whole(body: &[u8]) -> Option<Expected> {
    // Skipped fields are not looked at closely below, values are.
    serde_json::from_slice::<Value>(body).ok()?.as_object()?;
    let whole: Whole = serde_json::from_slice(body).ok()?;
    Some(Expected {
        id: match whole.cohort_id {
            Some(raw) => Some(id(raw)?),
            None => None,
        },
        group_type: whole.group_type.unwrap_or_else(|| "User".to_owned()),
        last_modified: whole.last_modified,
        members: whole
            .member_ids
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .map(id)
            .collect::<Option<_>>()?,
    })
}

fn assert_reads_as(body: &CohortBody, expected: &Expected) {
    let (id, group_type, last_modified, members) = body;
    assert_eq!(id, &expected.id);
    assert_eq!(group_type, &expected.group_type);
    assert_eq!(last_modified, &expected.last_modified);
    assert_eq!(members.len(), expected.members.len());
    for member in &expected.members {
        assert!(members.contains(member), "{member:?}");
    }
}

/// Bodies that are as they should be.
const BODIES: &[&str] = &[
    "{}",
    " {\t}\r\n",
    r#"{"memberIds":null,"groupType":null,"lastModified":null,"cohortId":null}"#,
    r#"{"memberIds":[],"cohortId":7,"lastModified":-1}"#,
    r#"{"memberIds":["a","b","a",null,"",1,-2.50e+10,0.0]}"#,
    r#"{"memberIds":["\"\\\/\b\f\n\r\t","\u0041","\ud83d\ude00","é😀日本","\u00e9","\uD83D\uDE00x"]}"#,
    r#"{"groupType":"org name","memberIds":["x"],"lastModified":1700000000123,"cohortId":"c"}"#,
    r#"{"other":{"memberIds":["no"],"a":[[[{"b":null}]],true,false,-0.1E-2,"\ud83d\ude00"]},"memberIds":["yes"]}"#,
    r#"{"\u006demberIds":["escaped key"],"memberids":["other key"]}"#,
    r#"{"a":1,"a":2,"memberIds":["a"]}"#,
    "{ \"memberIds\" : [ \"a\" , 5 , \"b\" ] , \"size\" : 2 }",
];

#[test]
fn a_body_reads_the_same_however_it_is_cut() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/cohorts.json"))
        .expect("the golden file is JSON");
    let golden = golden["response_bodies"].as_array().expect("bodies");
    let golden = golden.iter().map(Value::to_string);
    for body in golden.chain(BODIES.iter().map(ToString::to_string)) {
        let bytes = body.as_bytes();
        let expected = whole(bytes).expect("a good body");
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_reads_as(&read(&[head, tail]).expect("a good body"), &expected);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_reads_as(&read(&single).expect("a good body"), &expected);
    }
}

#[test]
fn a_body_that_is_cut_off_is_an_error_at_every_byte() {
    for body in BODIES {
        let body = body.trim_end();
        for end in 0..body.len() {
            let error = read(&[&body.as_bytes()[..end]]).expect_err(body);
            assert!(error.ends_with("the body ends too soon"), "{error}");
            assert!(error.starts_with(&format!("byte {end}, ")), "{error}");
        }
    }
}

/// What is malformed, and what the error says. It never shows a part of the body.
const MALFORMED: &[(&str, &str)] = &[
    ("[]", "byte 0, outside of known fields: expected an object"),
    (
        "<html>",
        "byte 0, outside of known fields: expected an object",
    ),
    (
        "\u{feff}{}",
        "byte 0, outside of known fields: expected an object",
    ),
    (
        "{} {}",
        "byte 3, outside of known fields: expected nothing more",
    ),
    (
        "{\"a\"=1}",
        "byte 4, outside of known fields: expected a colon",
    ),
    (
        "{\"a\":1,}",
        "byte 7, outside of known fields: expected a key",
    ),
    ("{a:1}", "byte 1, outside of known fields: expected a key"),
    (
        "{\"a\":[1 2]}",
        "byte 8, outside of known fields: expected a comma or an end",
    ),
    (
        "{\"a\":[1}",
        "byte 7, outside of known fields: expected a comma or an end",
    ),
    (
        "{\"a\":tru}",
        "byte 8, outside of known fields: expected a value",
    ),
    (
        "{\"a\":NaN}",
        "byte 5, outside of known fields: expected a value",
    ),
    (
        "{\"a\":01}",
        "byte 6, outside of known fields: expected a comma or an end",
    ),
    (
        "{\"a\":-}",
        "byte 6, outside of known fields: expected a digit",
    ),
    (
        "{\"a\":1.}",
        "byte 7, outside of known fields: expected a digit",
    ),
    (
        "{\"a\":1e+}",
        "byte 8, outside of known fields: expected a digit",
    ),
    (
        "{\"a\":\"\n\"}",
        "byte 6, outside of known fields: a control character in a string",
    ),
    (
        "{\"a\":\"\\x\"}",
        "byte 7, outside of known fields: not an escape",
    ),
    (
        "{\"a\":\"\\u00g0\"}",
        "byte 10, outside of known fields: expected a hex digit",
    ),
    (
        "{\"memberIds\":[\"\\ud800\"]}",
        "byte 21, `memberIds`: half of a surrogate pair",
    ),
    (
        "{\"memberIds\":[\"\\ud800\\n\"]}",
        "byte 22, `memberIds`: half of a surrogate pair",
    ),
    (
        "{\"memberIds\":[\"\\ud800\\u0041\"]}",
        "byte 26, `memberIds`: half of a surrogate pair",
    ),
    (
        "{\"memberIds\":[\"\\udc00\"]}",
        "byte 20, `memberIds`: half of a surrogate pair",
    ),
    (
        "{\"memberIds\":{}}",
        "byte 13, `memberIds`: expected a list",
    ),
    (
        "{\"memberIds\":\"a\"}",
        "byte 13, `memberIds`: expected a list",
    ),
    (
        "{\"memberIds\":[\"a\",true]}",
        "byte 18, `memberIds`: expected ids",
    ),
    (
        "{\"memberIds\":[[\"a\"]]}",
        "byte 14, `memberIds`: expected ids",
    ),
    ("{\"memberIds\":[{}]}", "byte 14, `memberIds`: expected ids"),
    (
        "{\"groupType\":5}",
        "byte 13, `groupType`: expected a string",
    ),
    (
        "{\"cohortId\":[]}",
        "byte 12, `cohortId`: expected a string",
    ),
    (
        "{\"lastModified\":\"5\"}",
        "byte 16, `lastModified`: expected an integer",
    ),
    (
        "{\"lastModified\":1.5}",
        "byte 19, `lastModified`: expected an integer",
    ),
    (
        "{\"lastModified\":9999999999999999999}",
        "byte 35, `lastModified`: expected an integer",
    ),
    (
        "{\"memberIds\":[],\"memberIds\":[]}",
        "byte 26, `memberIds`: the field stands there twice",
    ),
];

#[test]
fn what_is_malformed_is_named_by_place_and_field() {
    for (body, expected) in MALFORMED {
        assert!(whole(body.as_bytes()).is_none(), "{body}");
        assert_eq!(read(&[body.as_bytes()]).expect_err(body), *expected);
    }
    for (bytes, expected) in [
        (
            &b"{\"memberIds\":[\"\xFF\"]}"[..],
            "byte 15, `memberIds`: not UTF-8",
        ),
        (
            b"{\"memberIds\":[\"\xC3\"]}",
            "byte 16, `memberIds`: not UTF-8",
        ),
        (
            b"{\"memberIds\":[\"\xED\xA0\x80\"]}",
            "byte 16, `memberIds`: not UTF-8",
        ),
    ] {
        assert_eq!(read(&[bytes]).expect_err("not UTF-8"), expected);
    }
}

#[test]
fn nesting_and_ids_have_a_limit() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&[nested(126).as_bytes()]).is_ok());
    assert!(whole(nested(126).as_bytes()).is_some());
    let error = read(&[nested(127).as_bytes()]).expect_err("deep");
    assert!(error.ends_with("nested too deep"), "{error}");
    let long = format!("{{\"memberIds\":[\"{}\"]}}", "x".repeat(70_000));
    let error = read(&[long.as_bytes()]).expect_err("long");
    assert!(
        error.ends_with("`memberIds`: longer than 64 KiB"),
        "{error}"
    );
    let skipped = format!("{{\"description\":\"{}\"}}", "x".repeat(70_000));
    assert!(read(&[skipped.as_bytes()]).is_ok());
}

/// Any JSON, written with white space and escapes as chance has it.
fn json() -> impl Strategy<Value = String> {
    let text = prop::collection::vec((any::<char>(), 0..4_u8), 0..6).prop_map(|characters| {
        let mut text = String::from("\"");
        for (character, style) in characters {
            match (style, character) {
                (0, _) | (_, '"' | '\\' | '\0'..='\u{1f}') => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(text, "\\u{unit:04x}").expect("room");
                    }
                }
                _ => text.push(character),
            }
        }
        text + "\""
    });
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        (any::<i32>(), any::<u16>(), -20..20_i32)
            .prop_map(|(whole, part, power)| format!("{whole}.{part}E{power}")),
        text.clone(),
    ];
    let key = prop_oneof![
        text,
        prop::sample::select(vec![
            "memberIds",
            "groupType",
            "cohortId",
            "lastModified",
            "size"
        ])
        .prop_map(|key| format!("\"{key}\"")),
    ];
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6);
        let object = prop::collection::vec((key.clone(), inner), 0..6);
        prop_oneof![
            (list, space.clone())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(","))),
            (object, space.clone()).prop_map(|(entries, space)| {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}{space}:{value}{space}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// The body of a cohort with other fields among its own.
fn body() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        "\"[a-z]{0,4}\"",
        "[0-9]",
        "-?[1-9][0-9]{0,5}(\\.[0-9]{1,3})?",
        Just("null".to_owned())
    ];
    let fields = (
        prop::collection::vec(id, 0..20)
            .prop_map(|ids| format!("\"memberIds\":[{}]", ids.join(","))),
        any::<i64>().prop_map(|it| format!("\"lastModified\":{it}")),
        "\"groupType\":\"[a-zA-Z ]{1,5}\"",
        json().prop_map(|it| format!("\"size\":{it}")),
        json().prop_map(|it| format!("\"x\":{it}")),
    );
    fields
        .prop_map(|(a, b, c, d, e)| vec![a, b, c, d, e])
        .prop_shuffle()
        .prop_flat_map(|fields| (Just(fields), 0..6_usize))
        .prop_map(|(fields, many)| format!("{{{}}}", fields[..many.min(fields.len())].join(",")))
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut start = 0;
    cuts.push(bytes.len());
    cuts.into_iter()
        .map(|end| &bytes[std::mem::replace(&mut start, end)..end])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_json_in_any_pieces_reads_as_the_whole(
        body in prop_oneof![json(), body()],
        // Most documents are spoiled in one place.
        spoiled in prop::option::of((any::<usize>(), any::<u8>(), any::<bool>())),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut bytes = body.into_bytes();
        if let Some((at, byte, insert)) = spoiled {
            let at = at % bytes.len();
            let byte = *b"{}[],:\"\\0-.eE a\x80\xC3n".get(usize::from(byte) % 20).unwrap_or(&byte);
            if insert {
                bytes.insert(at, byte);
            } else {
                bytes[at] = byte;
            }
        }
        // It reads no number beyond the range of doubles.
        if let Err(error) = serde_json::from_slice::<Value>(&bytes) {
            prop_assume!(!error.to_string().starts_with("number out of range"));
        }
        match (read(&cut(&bytes, &cuts)), whole(&bytes)) {
            (Ok(body), Some(expected)) => assert_reads_as(&body, &expected),
            (Err(_), None) => {}
            (read, whole) => prop_assert!(false, "{read:?} but {whole:?}"),
        }
    }
}
