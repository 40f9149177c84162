//! What is made of an answer.

use super::*;

async fn fetched(body: &str) -> Result<Fetched, Error> {
    let once = RetryPolicy::once(Duration::from_secs(1));
    let options = FetchOptions::new().with_retry(once);
    client(&answering(body)).fetch(&ada(), options).await
}

#[tokio::test]
async fn the_recorded_answer_gives_what_the_sdks_make_of_it_or_better() {
    let (golden, ours) = (golden("remote_fetch_responses"), data("remote_fetch_ours"));
    let ours = &ours["responses"];
    let body = &golden["response_body"];
    let fetched = fetched(&body.to_string()).await.expect("variants");
    assert!(fetched.malformed.is_empty());
    let sent = body.as_object().expect("flags");
    assert_eq!(fetched.variants.len(), sent.len());
    for (flag, raw) in sent {
        let variant = fetched.variants.get(flag).expect("the flag");
        let text = variant.value_str();
        assert_eq!(json!(text), ours["value_text"][flag], "{flag}");
        assert_eq!(
            serde_json::to_value(variant).expect("JSON"),
            *raw,
            "{flag}: as sent"
        );
    }

    let differs = |sdk: &str, flag: &str, field: &str| {
        let rows = ours["sdk_differences"].as_array().expect("rows");
        rows.iter().any(|row| {
            row["sdk"] == sdk
                && (row["flag_key"] == "*" || row["flag_key"] == flag)
                && (row["field"] == "" || row["field"] == field)
        })
    };
    let mut compared = 0;
    for (sdk, parsed) in golden["parsed_by"].as_object().expect("SDKs") {
        for flag in sent.keys() {
            let theirs = match parsed.as_array() {
                Some(pairs) => pairs
                    .iter()
                    .find(|pair| pair[0] == **flag)
                    .map(|pair| &pair[1]),
                None => parsed.get(flag),
            };
            let variant = fetched.variants.get(flag).expect("the flag");
            for (field, ours) in [
                ("key", json!(variant.key)),
                ("value", json!(variant.value_str())),
                ("payload", json!(variant.payload)),
                ("metadata", json!(variant.metadata)),
            ] {
                // The SDKs tell absent and null apart or not; their text of a value is a text
                // or the value itself.
                let theirs = theirs.map_or(json!(null), |variant| variant[field].clone());
                let theirs = match (field, &theirs) {
                    ("value", scalar) if !scalar.is_null() && !scalar.is_string() => {
                        json!(scalar.to_string())
                    }
                    _ => theirs,
                };
                if differs(sdk, flag, field) {
                    continue;
                }
                compared += 1;
                assert_eq!(ours, theirs, "{sdk} {flag} {field}");
            }
        }
    }
    // Five SDKs, five flags, four fields, less the named differences.
    assert_eq!(compared, 5 * 5 * 4 - 1 - 4 - 1);
}

#[tokio::test]
async fn the_classified_bodies_are_taken_or_refused_with_a_reason() {
    let (golden, ours) = (golden("remote_fetch_responses"), data("remote_fetch_ours"));
    let rows = ours["responses"]["bodies"].as_array().expect("rows");
    let classified = golden["body_classification"].as_array().expect("rows");
    assert_eq!(rows.len(), classified.len());
    for (row, class) in rows.iter().zip(classified) {
        assert_eq!(row["body"], class["body"]);
        let body = row["body"].as_str().expect("a body");
        let refused = class["class"]
            .as_str()
            .expect("a class")
            .starts_with("error");
        assert_eq!(row.get("error").is_some(), refused, "{body}");
        match fetched(body).await {
            Ok(fetched) => {
                let keys: Vec<&str> = fetched.variants.iter().map(|(key, _)| &**key).collect();
                assert_eq!(json!(keys), row["variants"], "{body}");
                let malformed: Vec<String> =
                    fetched.malformed.iter().map(ToString::to_string).collect();
                let expected = row.get("malformed").cloned().unwrap_or(json!([]));
                assert_eq!(json!(malformed), expected, "{body}");
            }
            Err(Error::Malformed {
                what: "variants",
                reason,
                attempts: 1,
            }) => {
                assert_eq!(json!(reason), row["error"], "{body}");
            }
            Err(other) => panic!("{body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_malformed_variant_is_reported_and_the_rest_is_kept() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let whole = "nested too deeply, or a number out of range";
    for (bad, path, reason) in [
        ("null", "", "expected an object, found null"),
        ("7", "", "expected an object, found a number"),
        (r#""on""#, "", "expected an object, found text"),
        (r#"["on"]"#, "", "expected an object, found a list"),
        (
            r#"{"key": ["canary"]}"#,
            "key",
            "expected text, found a list",
        ),
        (r#"{"key": {}}"#, "key", "expected text, found an object"),
        (
            r#"{"metadata": "canary"}"#,
            "metadata",
            "expected an object, found text",
        ),
        (r#"{"payload": 1e400}"#, "", whole),
        (&format!(r#"{{"payload": {deep}}}"#), "", whole),
    ] {
        let body = format!(r#"{{"a": {{"key": "on"}}, "bad": {bad}, "z": {{"key": "off"}}}}"#);
        let fetched = fetched(&body).await.expect("the others");
        let keys: Vec<&str> = fetched.variants.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["a", "z"], "{bad}");
        let [malformed] = &*fetched.malformed else {
            panic!("{bad}: {:?}", fetched.malformed);
        };
        assert_eq!(malformed.flag_key, "bad");
        assert_eq!(
            (malformed.path, &*malformed.reason),
            (path, reason),
            "{bad}"
        );
        assert!(!malformed.to_string().contains("canary"), "{malformed}");
    }
}

#[tokio::test]
async fn every_payload_and_value_survives() {
    for json in [
        "0",
        "-0.0",
        "false",
        r#""""#,
        "null",
        "[]",
        "{}",
        "1.5",
        r#"{"a":[null,0]}"#,
    ] {
        let body = format!(r#"{{"f": {{"key": "on", "value": {json}, "payload": {json}}}}}"#);
        let fetched = fetched(&body).await.expect("variants");
        let variant = fetched.variants.get("f").expect("the flag");
        let payload = variant.payload.as_ref().map(ToString::to_string);
        assert_eq!(payload.as_deref(), Some(json));
        let text = match json {
            "null" => None,
            r#""""# => Some(""),
            other => Some(other),
        };
        assert_eq!(variant.value_str().as_deref(), text);
    }
    let fetched = fetched(r#"{"f": {"key": "on"}}"#).await.expect("variants");
    let variant = fetched.variants.get("f").expect("the flag");
    assert_eq!((&variant.payload, &variant.value), (&None, &None));
}

#[tokio::test]
async fn of_two_entries_for_a_flag_the_last_stands_and_unknown_fields_are_ignored() {
    let body = r#"{"a": {"key": "1"}, "b": {"key": "x", "new": [1], "key": "y"},
        "a": 7, "a": {"key": "3", "key": "4"}, "c": {}, "c": null}"#;
    let fetched = fetched(body).await.expect("variants");
    assert_eq!(
        fetched.variants.get("a").and_then(|a| a.key.as_deref()),
        Some("4")
    );
    assert_eq!(
        fetched.variants.get("b").and_then(|b| b.key.as_deref()),
        Some("y")
    );
    assert_eq!(fetched.variants.get("c"), None);
    assert_eq!(fetched.malformed.len(), 1);
    assert_eq!(fetched.malformed[0].flag_key, "c");
}

#[tokio::test]
async fn a_refused_answer_is_described_without_its_content() {
    for (body, reason) in [
        ("<html>canary</html>", "not JSON at line 1 column 1"),
        ("\"canary\"", "not an object"),
        ("{\"a\": {\"key\": canary}}", "not JSON at line 1 column 15"),
        ("{} canary", "not JSON at line 1 column 4"),
        ("\u{feff}[]", "not an object"),
    ] {
        let error = fetched(body).await.expect_err(body).to_string();
        assert_eq!(
            error,
            format!("variants malformed after 1 attempt(s): {reason}")
        );
    }
    let fetched = fetched("\u{feff}{\"a\": {\"key\": \"on\"}}")
        .await
        .expect("variants");
    assert_eq!(fetched.variants.len(), 1);
}
