//! The cookie of Amplitude's browser SDKs, as the official Node.js server SDK reads it.

use experiment_client::AmplitudeCookie::{self, Browser2, Legacy};
use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../golden/amplitude_cookie.json");

fn parsed(cookie: AmplitudeCookie, value: &str) -> Value {
    serde_json::to_value(cookie.parse(value)).expect("JSON")
}

#[test]
fn names_and_values_are_those_of_the_official_sdk() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("golden data");
    let input = |name: &str| golden["inputs"][name].as_str().expect("an input");
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 11);
    for case in cases {
        let result = match case["name"].as_str().expect("a name") {
            "cookieName old" => json!(Legacy.name("1234567890").expect("long enough")),
            "cookieName new" => json!(Browser2.name("1234567890").expect("long enough")),
            "cookieName short key" => {
                Legacy.name("12345").expect_err("too short");
                Browser2.name("123456789").expect_err("too short");
                Value::Null
            }
            "parse device only" => {
                parsed(Legacy, "jzwzBCFwX2D3UwF0yV0Ymp...1fh3s8pbl.1fh3s8sh9.0.0.0")
            }
            "parse device+user" => parsed(
                Legacy,
                "jzwzBCFwX2D3UwF0yV0Ymp.dGVzdEBhbXBsaXR1ZGUuY29t..1fh3s8pbl.0.0.0",
            ),
            "parse device+unicode user" => {
                parsed(Legacy, "jzwzBCFwX2D3UwF0yV0Ymp.w6l0w6k=..1fh3s8pbl")
            }
            "parse new" => parsed(Browser2, input("new")),
            "parse new no user" => parsed(Browser2, input("new_no_user")),
            "parse new garbage" => parsed(Browser2, "garbage"),
            "generate old" => json!(Legacy.generate("device-00001")),
            "generate new" => json!(Browser2.generate("device-00001")),
            other => panic!("unknown case {other}"),
        };
        assert_eq!(result, case["result"], "{}", case["name"]);
    }
}

#[test]
fn what_cannot_be_read_is_absent() {
    for (cookie, value, expected) in [
        (Legacy, "", json!({})),
        (Legacy, ".", json!({})),
        (Legacy, "d.%%%.x", json!({"device_id": "d"})),
        (Legacy, "d./w==", json!({"device_id": "d"})),
        (Legacy, "d.dQ", json!({"device_id": "d", "user_id": "u"})),
        (Browser2, "", json!({})),
        (Browser2, "JQ==", json!({})),
        (Browser2, "JXg=", json!({})),
        (Browser2, "NQ==", json!({})),
        (Browser2, "eyJkZXZpY2VJZCI6NX0=", json!({})),
    ] {
        assert_eq!(parsed(cookie, value), expected, "{cookie:?} {value}");
    }
}

#[test]
fn any_device_id_comes_back() {
    for id in ["d", "a b", "ä\"\\%+=", "日本😀", "a.b"] {
        let user = Browser2.parse(&Browser2.generate(id));
        assert_eq!(user.device_id(), Some(id));
    }
}
