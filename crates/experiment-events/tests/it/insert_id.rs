//! Insert ids of the format V2: committed vectors, and bytes put together by hand.

use std::collections::HashSet;

use experiment_events::{Assignment, EventOptions, Exposure};
use experiment_model::{Timestamp, User, Variant, Variants};
use serde_json::Value;
use twox_hash::XxHash3_128;

const VECTORS: &str = include_str!("../vectors/insert_id_v2.json");
const DAY_MILLIS: i64 = 86_400_000;

fn insert_id(user: &User, flag: &str, variant: &Variant, now: i64, transition: u32) -> String {
    let now = Timestamp::from_unix_millis(now);
    let event =
        Exposure::new(user, flag, variant).to_event(now, transition, &EventOptions::default());
    event.insert_id.expect("an id").to_string()
}

fn text(bytes: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => bytes.extend(0xffff_ffff_u32.to_le_bytes()),
        Some(text) => {
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
    }
}

/// The id of a vector, from the documented bytes, hashed at once.
fn by_hand(vector: &Value) -> String {
    let (user, device) = (vector["user_id"].as_str(), vector["device_id"].as_str());
    let day = vector["now_ms"].as_i64().unwrap().div_euclid(DAY_MILLIS);
    let kind = vector["kind"].as_str().unwrap();
    let mut bytes = vec![match kind {
        "assignment" => b'a',
        "exposure" => b'e',
        other => panic!("{other} is no kind"),
    }];
    text(&mut bytes, user);
    text(&mut bytes, device);
    bytes.extend(day.to_le_bytes());
    bytes.extend(vector["transition"].as_u64().unwrap().to_le_bytes());
    // serde_json sorts the keys by their bytes.
    for (flag, variant) in vector["variants"].as_object().unwrap() {
        let metadata = &variant["metadata"];
        let unsets = kind == "exposure" && metadata["default"] == true;
        let name = variant["key"].as_str().or(variant["value"].as_str());
        text(&mut bytes, Some(flag));
        text(&mut bytes, name.filter(|_| !unsets));
        text(&mut bytes, metadata["experimentKey"].as_str());
    }
    let hash = XxHash3_128::oneshot(&bytes);
    format!(
        "{} {} {hash:032x} {day}",
        user.unwrap_or(""),
        device.unwrap_or("")
    )
}

fn made(vector: &Value) -> String {
    let mut user = User::new();
    if let Some(id) = vector["user_id"].as_str() {
        user = user.with_user_id(id);
    }
    if let Some(id) = vector["device_id"].as_str() {
        user = user.with_device_id(id);
    }
    let variants: Variants = serde_json::from_value(vector["variants"].clone()).unwrap();
    let now = Timestamp::from_unix_millis(vector["now_ms"].as_i64().unwrap());
    let transition = u32::try_from(vector["transition"].as_u64().unwrap()).unwrap();
    let options = EventOptions::default();
    let event = if vector["kind"] == "assignment" {
        // The other way round, because the order must not matter.
        let reversed: Vec<_> = variants.into_iter().collect();
        let reversed: Variants = reversed.into_iter().rev().collect();
        let assignment = Assignment::new(&user, &reversed).unwrap();
        assignment.to_event(now, transition, &options)
    } else {
        let (flag, variant) = variants.iter().next().unwrap();
        Exposure::new(&user, flag, variant).to_event(now, transition, &options)
    };
    event.insert_id.unwrap().to_string()
}

#[test]
fn vectors() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut ids = HashSet::new();
    for vector in vectors["vectors"].as_array().unwrap() {
        let expected = vector["insert_id"].as_str().unwrap();
        assert_eq!(by_hand(vector), expected, "by hand: {}", vector["name"]);
        assert_eq!(made(vector), expected, "made: {}", vector["name"]);
        assert!(
            ids.insert(expected.to_owned()),
            "{} has the id of another",
            vector["name"]
        );
    }
    assert!(ids.len() >= 24);
}

#[test]
fn a_variant_that_comes_back_has_an_id_of_its_own() {
    let user = User::new()
        .with_user_id("user-00001")
        .with_device_id("device-00001");
    let (a, b) = (Variant::new("A"), Variant::new("B"));
    let noon = 1_700_049_600_000;
    let ids: HashSet<String> = [(&a, 0), (&b, 1), (&a, 2)]
        .into_iter()
        .map(|(variant, transition)| insert_id(&user, "f", variant, noon, transition))
        .collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn flags_that_collide_in_the_official_sdks_do_not() {
    let user = User::new()
        .with_user_id("user-00001")
        .with_device_id("device-00001");
    let on = Variant::new("on");
    for (a, b) in [("test-an", "test-c0"), ("checkout-Aa", "checkout-BB")] {
        assert_ne!(
            insert_id(&user, a, &on, 0, 0),
            insert_id(&user, b, &on, 0, 0)
        );
    }
}

#[test]
fn ids_with_spaces_are_told_apart() {
    let on = Variant::new("on");
    let one = User::new().with_user_id("a b").with_device_id("c");
    let other = User::new().with_user_id("a").with_device_id("b c");
    let (one, other) = (
        insert_id(&one, "f", &on, 0, 0),
        insert_id(&other, "f", &on, 0, 0),
    );
    assert!(one.starts_with("a b c ") && other.starts_with("a b c "));
    assert_ne!(one, other);
}

#[test]
fn an_absent_id_is_not_an_empty_one() {
    let on = Variant::new("on");
    let (absent, empty) = (User::new(), User::new().with_user_id("").with_device_id(""));
    let (absent, empty) = (
        insert_id(&absent, "f", &on, 0, 0),
        insert_id(&empty, "f", &on, 0, 0),
    );
    assert!(absent.starts_with("  ") && empty.starts_with("  "));
    assert_ne!(absent, empty);
}

#[test]
fn days_are_utc_and_begin_at_midnight() {
    let (user, on) = (User::new().with_user_id("u"), Variant::new("on"));
    let id = |now| insert_id(&user, "f", &on, now, 0);
    assert_eq!(id(0), id(DAY_MILLIS - 1));
    assert_ne!(id(DAY_MILLIS - 1), id(DAY_MILLIS));
    assert!(id(-1).ends_with(" -1"));
    assert!(id(i64::MIN).ends_with(" -106751991168"));
    assert!(id(i64::MAX).ends_with(" 106751991167"));
}
