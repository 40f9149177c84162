//! Insert ids as the official SDKs make them ([`InsertIdFormat::Compat`](super::InsertIdFormat::Compat)).
//!
//! Each rule was checked against events of the real SDKs (`tests/golden`).

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use experiment_model::{Text, User, Variant};

use super::{Fact, Sdk, php};
use crate::text_builder::TextBuilder;

pub(super) fn insert_id(sdk: Sdk, user: &User, fact: Fact<'_>, day: i64) -> Text {
    let mut canonical = String::new();
    match fact {
        Fact::Assignment(variants) => {
            push_user(sdk, user, &mut canonical);
            push_flags(
                sdk,
                variants.iter().map(|(key, it)| (key.as_str(), it)),
                &mut canonical,
            );
        }
        Fact::Exposure {
            flag_key,
            variant,
            results,
        } => {
            canonical.push_str(flag_key);
            canonical.push(' ');
            push_user(sdk, user, &mut canonical);
            match results {
                Some(all) => {
                    push_flags(
                        sdk,
                        all.iter().map(|(key, it)| (key.as_str(), it)),
                        &mut canonical,
                    );
                }
                None => push_flags(sdk, core::iter::once((flag_key, variant)), &mut canonical),
            }
        }
        Fact::ClientExposure(_) => {}
    }
    let missing = match sdk {
        Sdk::Node => "undefined",
        Sdk::Jvm => "null",
        Sdk::Python => "None",
        Sdk::Go | Sdk::Ruby | Sdk::Php => "",
    };
    let mut id = TextBuilder::new();
    // The ids stand untrimmed here.
    id.push(user.user_id().unwrap_or(missing));
    id.push(" ");
    id.push(user.device_id().unwrap_or(missing));
    // Writing to the builder does not fail.
    let _ = write!(id, " {} {day}", hash(sdk, &canonical));
    id.finish()
}

/// The user's part of the text that is hashed, with a space behind it.
fn push_user(sdk: Sdk, user: &User, canonical: &mut String) {
    let ids = [user.user_id(), user.device_id()];
    if sdk == Sdk::Php {
        // Trimmed as one text, so that a missing id takes its space along.
        let [user_id, device_id] = ids.map(Option::unwrap_or_default);
        let mut both = TextBuilder::new();
        both.push(user_id);
        both.push(" ");
        both.push(device_id);
        canonical.push_str(trim(sdk, &both.finish()));
        canonical.push(' ');
        return;
    }
    for id in ids {
        canonical.push_str(match (sdk, id) {
            (Sdk::Jvm, None) => "null",
            (Sdk::Python, None | Some("")) => "None",
            (_, id) => trim(sdk, id.unwrap_or_default()),
        });
        canonical.push(' ');
    }
}

/// The flags' part of the text that is hashed: each with its variant's key, a space behind both.
fn push_flags<'a>(
    sdk: Sdk,
    results: impl Iterator<Item = (&'a str, &'a Variant)>,
    canonical: &mut String,
) {
    let mut flags: Vec<(&str, Option<&str>)> = results
        .map(|(flag_key, variant)| (flag_key, variant.key.as_deref()))
        .collect();
    match sdk {
        // The order of code points is the order of the bytes of UTF-8.
        Sdk::Go | Sdk::Python | Sdk::Ruby => flags.sort_by_key(|(flag_key, _)| *flag_key),
        Sdk::Node | Sdk::Jvm => {
            flags.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        }
        Sdk::Php => php::sort_by_key(&mut flags, |(flag_key, _)| flag_key),
    }
    for (flag_key, variant_key) in flags {
        let variant_key = match (sdk, variant_key) {
            (Sdk::Go, None) => "",
            (Sdk::Jvm, None) => "null",
            // What the language takes for false is no key.
            (Sdk::Node, None | Some(""))
            | (Sdk::Php, None | Some("" | "0"))
            | (Sdk::Python | Sdk::Ruby, None) => continue,
            (_, Some(variant_key)) => variant_key,
        };
        for text in [flag_key, variant_key] {
            canonical.push_str(trim(sdk, text));
            canonical.push(' ');
        }
    }
}

/// `text` without what the SDK's language takes for white space at its ends.
fn trim(sdk: Sdk, text: &str) -> &str {
    match sdk {
        Sdk::Go => text,
        Sdk::Node => {
            text.trim_matches(|c: char| c == '\u{feff}' || c != '\u{85}' && c.is_whitespace())
        }
        Sdk::Jvm => text.trim_matches(|c: char| {
            matches!(c, '\u{1c}'..='\u{1f}') || c != '\u{85}' && c.is_whitespace()
        }),
        Sdk::Python => {
            text.trim_matches(|c: char| matches!(c, '\u{1c}'..='\u{1f}') || c.is_whitespace())
        }
        Sdk::Ruby => text.trim_matches(|c| matches!(c, '\0' | '\t'..='\r' | ' ')),
        Sdk::Php => text.trim_matches(|c| matches!(c, '\0' | '\t' | '\n' | '\u{b}' | '\r' | ' ')),
    }
}

/// Java's `String.hashCode`, `h = 31 * h + unit`, over the units and in the range of each language.
fn hash(sdk: Sdk, text: &str) -> i64 {
    let step = |hash: u32, unit: u32| hash.wrapping_mul(31).wrapping_add(unit);
    let bytes = text.bytes().map(u32::from);
    match sdk {
        Sdk::Node | Sdk::Jvm => {
            let hash = text.encode_utf16().map(u32::from).fold(0, step);
            i64::from(i32::from_le_bytes(hash.to_le_bytes()))
        }
        Sdk::Python | Sdk::Ruby => i64::from(text.chars().map(u32::from).fold(0, step)),
        Sdk::Go => i64::from(bytes.fold(0, step)),
        // 31 bits at every step are 31 bits at the end: nothing flows down from above.
        Sdk::Php => i64::from(bytes.fold(0, step) & 0x7fff_ffff),
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use experiment_model::Variants;
    use serde_json::Value;

    use super::*;

    const SDKS: [(&str, Sdk); 6] = [
        ("go", Sdk::Go),
        ("node", Sdk::Node),
        ("jvm", Sdk::Jvm),
        ("python", Sdk::Python),
        ("ruby", Sdk::Ruby),
        ("php", Sdk::Php),
    ];

    #[test]
    fn hashes_are_those_of_the_sdks() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/insert_id_hash.json")).unwrap();
        let mut compared = 0;
        for list in ["cases", "random_cases"] {
            for case in golden[list].as_array().unwrap() {
                let text = if let Some(text) = case["text"].as_str() {
                    text.to_string()
                } else {
                    assert_eq!(case["text_rule"], "\"A\" repeated 1000");
                    "A".repeat(1000)
                };
                for (name, sdk) in SDKS {
                    // The random ones were not given to a JVM.
                    let Some(expected) = case["hash"].get(name) else {
                        assert_eq!((list, name), ("random_cases", "jvm"));
                        continue;
                    };
                    assert_eq!(
                        hash(sdk, &text),
                        expected.as_i64().unwrap(),
                        "{name} {text:?}"
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 8 * 6 + 200 * 5);
    }

    #[test]
    fn an_assignment_of_nothing_has_the_ids_of_the_sdks() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/assignment_events.json"))
                .unwrap();
        let cases = golden["cases"].as_array().unwrap();
        let case = cases
            .iter()
            .find(|case| case["name"] == "empty-results")
            .unwrap();
        let user: User = serde_json::from_value(case["user"].clone()).unwrap();
        for (name, sdk) in SDKS {
            let id = insert_id(sdk, &user, Fact::Assignment(&Variants::new()), 19_675);
            let theirs = &case["per_sdk"][name];
            assert_eq!(theirs["event"]["insert_id"], id.as_str(), "{name}");
            assert_eq!(theirs["canonical"], "user-00001 device-00001 ", "{name}");
        }
    }

    #[test]
    fn each_language_has_white_space_of_its_own() {
        let trimmed = |sdk| {
            let kept: String = "\0\t\u{b}\u{c}\u{1c} \u{85}\u{a0}\u{feff}\u{2003}"
                .chars()
                .filter(|c| !trim(sdk, &c.to_string()).is_empty())
                .collect();
            kept
        };
        assert_eq!(
            trimmed(Sdk::Go),
            "\0\t\u{b}\u{c}\u{1c} \u{85}\u{a0}\u{feff}\u{2003}"
        );
        assert_eq!(trimmed(Sdk::Node), "\0\u{1c}\u{85}");
        assert_eq!(trimmed(Sdk::Jvm), "\0\u{85}\u{feff}");
        assert_eq!(trimmed(Sdk::Python), "\0\u{feff}");
        assert_eq!(trimmed(Sdk::Ruby), "\u{1c}\u{85}\u{a0}\u{feff}\u{2003}");
        assert_eq!(trimmed(Sdk::Php), "\u{c}\u{1c}\u{85}\u{a0}\u{feff}\u{2003}");
    }

    #[test]
    fn utf16_order_differs_from_byte_order_beyond_the_basic_plane() {
        let key = |sdk| {
            let (a, b) = (Variant::new("on"), Variant::new("on"));
            let mut text = String::new();
            push_flags(sdk, [("\u{ffe6}", &a), ("😀", &b)].into_iter(), &mut text);
            text
        };
        assert_eq!(key(Sdk::Node), "😀 on \u{ffe6} on ");
        assert_eq!(key(Sdk::Python), "\u{ffe6} on 😀 on ");
    }
}
