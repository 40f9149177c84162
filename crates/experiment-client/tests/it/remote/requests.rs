//! What is sent.

use super::*;

fn header<'a>(case: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    let headers = case["request"]["headers"].as_array().expect("headers");
    headers
        .iter()
        .find(|header| {
            header[0]
                .as_str()
                .expect("a name")
                .eq_ignore_ascii_case(name)
        })
        .map(|header| header[1].as_str().expect("a value"))
}

fn tracks(case: &serde_json::Value, name: &str) -> Option<bool> {
    header(case, name).map(|value| value == "track")
}

/// Whichever alphabet the SDK used.
fn flag_keys(case: &serde_json::Value) -> Option<Vec<String>> {
    let text = header(case, "x-amp-exp-flag-keys")?;
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .expect("base64");
    Some(serde_json::from_slice(&json).expect("keys"))
}

/// The user as this crate writes it: absent instead of null, cohorts as a list, our library.
fn ours(recorded: &serde_json::Value) -> serde_json::Value {
    let mut user = recorded.clone();
    let fields = user.as_object_mut().expect("a user");
    fields.retain(|_, value| !value.is_null());
    if let Some(serde_json::Value::Object(ids)) = fields.get("cohort_ids") {
        let ids = ids.keys().cloned().collect::<Vec<_>>();
        fields.insert("cohort_ids".to_owned(), json!(ids));
    }
    let library = fields.get("library").and_then(|library| library.as_str());
    if library.is_none_or(|library| library.starts_with("experiment-")) {
        let library = concat!("experiment-rust/", env!("CARGO_PKG_VERSION"));
        fields.insert("library".to_owned(), json!(library));
    }
    user
}

#[tokio::test]
async fn what_57_requests_of_official_sdks_say_ours_say_too() {
    let (golden, ours_differ) = (golden("remote_fetch_requests"), data("remote_fetch_ours"));
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 57);
    let mut differing = 0;
    for case in cases {
        let name = format!("{} {}", case["sdk"], case["case"]);
        let difference = row(&ours_differ["requests"], case);
        differing += usize::from(difference.is_some());
        let sent = match &case["decoded_headers"]["x-amp-exp-user"]["json"] {
            serde_json::Value::Null => &case["request"]["json_body"],
            user => user,
        };
        let expected = ours(difference.and_then(|row| row.get("user")).unwrap_or(sent));
        // What the caller gave, where it is recorded; otherwise what was made of it.
        let mut given = case.get("user").unwrap_or(&expected).clone();
        if case.get("user").is_none() {
            given.as_object_mut().expect("a user").remove("library");
        }
        let user: User = serde_json::from_value(given).expect(&name);
        let mut options = FetchOptions::new()
            .with_tracks_assignment(tracks(case, "x-amp-exp-track"))
            .with_tracks_exposure(tracks(case, "x-amp-exp-exposure-track"));
        if let Some(keys) = flag_keys(case) {
            options = options.with_flag_keys(keys);
        }

        let script = answering("{}");
        let key = header(case, "authorization").and_then(|text| text.strip_prefix("Api-Key "));
        let client = RemoteClient::builder(key.expect("a key"))
            .transport(InMemoryTransport::new(script.clone()))
            .build()
            .expect("a client");
        let result = client.fetch(&user, options).await;
        if let Some(error) = difference.and_then(|row| row.get("error")) {
            assert_eq!(error, "missing_id", "{name}");
            assert!(matches!(result, Err(Error::MissingId)), "{name}");
            assert!(script.requests().is_empty(), "{name}");
            continue;
        }
        result.expect(&name);
        let request = &script.requests()[0];
        assert_eq!(request.method, "GET", "{name}");
        assert_eq!(request.target, "/sdk/v2/vardata?v=0", "{name}");
        assert_eq!(
            request.header("authorization"),
            header(case, "authorization"),
            "{name}"
        );
        assert_eq!(decoded(request, "x-amp-exp-user"), Some(expected), "{name}");
        let mut keys = flag_keys(case);
        if let Some(keys) = &mut keys {
            keys.sort();
        }
        assert_eq!(
            decoded(request, "x-amp-exp-flag-keys"),
            keys.map(|keys| json!(keys)),
            "{name}"
        );
        for track in ["x-amp-exp-track", "x-amp-exp-exposure-track"] {
            assert_eq!(
                request.header(track),
                header(case, track),
                "{name}: {track}"
            );
        }
    }
    assert_eq!(
        differing,
        ours_differ["requests"].as_array().expect("rows").len()
    );
}

#[tokio::test]
async fn flag_keys_are_sent_sorted_and_once_and_an_empty_list_is_one() {
    let header = async |options| {
        let request = request_for(&ada(), options).await;
        request.header("x-amp-exp-flag-keys").map(ToOwned::to_owned)
    };
    let options = FetchOptions::new();
    assert_eq!(header(options.clone()).await, None);
    let empty = options.clone().with_flag_keys::<&str>([]);
    assert_eq!(header(empty).await.as_deref(), Some("W10"));
    let one = header(options.clone().with_flag_keys(["b", "ü", "a", "b"])).await;
    let other = header(options.with_flag_keys(["ü", "a", "b"])).await;
    assert_eq!(one, other);
    let expected = URL_SAFE_NO_PAD.encode(r#"["a","b","ü"]"#);
    assert_eq!(one.as_deref(), Some(expected.as_str()));
}

#[tokio::test]
async fn a_user_too_long_for_a_header_goes_into_the_body() {
    let longest = 8191;
    let user = |bytes: usize| ada().with_user_property("x", "y".repeat(bytes));
    let request = request_for(&user(0), FetchOptions::new()).await;
    let rest = URL_SAFE_NO_PAD
        .decode(request.header("x-amp-exp-user").expect("a header"))
        .expect("base64url")
        .len();
    // 6143 bytes make 8191 characters, one more makes 8192.
    let room = longest * 3 / 4 - rest;

    let short = request_for(&user(room), FetchOptions::new()).await;
    assert_eq!(short.method, "GET");
    assert_eq!(short.header("x-amp-exp-user").map(str::len), Some(longest));
    assert!(short.body.is_empty());
    assert_eq!(short.header("content-type"), None);

    let keys = FetchOptions::new().with_flag_keys(["a"]);
    let long = request_for(&user(room + 1), keys).await;
    assert_eq!(long.method, "POST");
    assert_eq!(long.target, "/sdk/v2/vardata?v=0");
    assert_eq!(long.header("x-amp-exp-user"), None);
    assert_eq!(long.header("content-type"), Some("application/json"));
    assert_eq!(decoded(&long, "x-amp-exp-flag-keys"), Some(json!(["a"])));
    let body = long.json().expect("JSON");
    assert_eq!(body["user_properties"]["x"], "y".repeat(room + 1));
    assert_eq!(body["user_id"], "ada");
}

#[tokio::test]
async fn a_user_without_an_id_is_not_sent() {
    let script = answering("{}");
    let client = client(&script);
    for user in [
        User::new(),
        User::new().with_user_id(""),
        User::new().with_user_id(" \t").with_device_id(""),
        User::new().with_country("France"),
    ] {
        let error = client.fetch(&user, FetchOptions::new()).await;
        assert!(matches!(error, Err(Error::MissingId)), "{user:?}");
    }
    assert!(script.requests().is_empty());
    for user in [ada(), User::new().with_device_id("d").with_user_id("")] {
        client
            .fetch(&user, FetchOptions::new())
            .await
            .expect("an id is enough");
    }
}

#[tokio::test]
async fn the_user_of_the_caller_and_its_library_stay_as_they_are() {
    let user = ada().with_library("my-lib/1.0");
    let before = user.clone();
    let request = request_for(&user, FetchOptions::new()).await;
    assert_eq!(user, before);
    let sent = decoded(&request, "x-amp-exp-user").expect("a user");
    assert_eq!(sent["library"], "my-lib/1.0");
}

#[tokio::test]
async fn the_zone_or_the_endpoints_say_where_to() {
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<String>>);

    impl experiment_client::Transport for Asked {
        fn send(&self, request: experiment_client::Request) -> experiment_client::Answering<'_> {
            self.0
                .lock()
                .expect("no panic")
                .push(request.uri().to_string());
            Box::pin(std::future::pending())
        }
    }

    let asked = Arc::new(Asked::default());
    let make = || RemoteClient::builder("key").transport(Arc::clone(&asked));
    let behind = Endpoints::at("http://gateway.example:8080/behind/").expect("an address");
    for client in [
        make(),
        make().server_zone(ServerZone::Eu),
        make().endpoints(behind),
    ] {
        let client = client.build().expect("a client");
        let user = ada();
        tokio::select! {
            biased;
            _ = client.fetch(&user, FetchOptions::new()) => {}
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(
        *asked.0.lock().expect("no panic"),
        [
            "https://api.lab.amplitude.com/sdk/v2/vardata?v=0",
            "https://api.lab.eu.amplitude.com/sdk/v2/vardata?v=0",
            "http://gateway.example:8080/behind/sdk/v2/vardata?v=0",
        ]
    );
}

/// JSON values a few levels deep.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            entries(inner).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn entries(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::btree_map("[a-c]{1,2}", values, 0..5)
        .prop_map(|entries| entries.into_iter().collect())
}

/// The same value with every object written in the opposite order.
fn backwards(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(object_backwards(object)),
        Value::List(values) => values.iter().map(backwards).collect(),
        other => other.clone(),
    }
}

fn object_backwards(object: &Object) -> Object {
    let mut entries: Vec<_> = object.iter().collect();
    entries.reverse();
    entries
        .into_iter()
        .map(|(key, value)| (key.clone(), backwards(value)))
        .collect()
}

proptest! {
    #[test]
    fn one_user_is_one_request_in_whatever_order_it_was_built(
        properties in entries(values()),
        cohorts in prop::collection::vec("[a-d]", 0..5),
        groups in prop::collection::btree_map("[a-c]{1,2}", "[a-z]{1,3}", 0..4),
    ) {
        let properties: Object = properties.into_iter().collect();
        let mut one = ada()
            .with_device_id("d")
            .with_user_properties(properties.clone())
            .with_cohort_ids(cohorts.clone())
            .with("browser", "b").expect("a field")
            .with("agent", "a").expect("a field");
        let mut other = User::new()
            .with("agent", "a").expect("a field")
            .with("browser", "b").expect("a field");
        for (kind, name) in &groups {
            one = one
                .with_group(kind.as_str(), name.as_str())
                .with_group_properties(kind.as_str(), name.as_str(), properties.clone());
        }
        for (kind, name) in groups.iter().rev() {
            other = other
                .with_group_properties(
                    kind.as_str(),
                    name.as_str(),
                    object_backwards(&properties),
                )
                .with_group(kind.as_str(), name.as_str());
        }
        let other = other
            .with_cohort_ids(cohorts.iter().rev().chain(&cohorts).cloned())
            .with_user_properties(object_backwards(&properties))
            .with_device_id("d")
            .with_user_id("ada");

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let sent = |user: &User| {
            let request = runtime.block_on(request_for(user, FetchOptions::new()));
            (request.header("x-amp-exp-user").map(ToOwned::to_owned), request.body)
        };
        let bytes = sent(&one);
        assert_eq!(bytes, sent(&other));
        let user = URL_SAFE_NO_PAD.decode(bytes.0.expect("short")).expect("base64url");
        let user: User = serde_json::from_slice(&user).expect("a user");
        assert_eq!(user.groups(), one.groups());
        assert_eq!(
            user.user_properties().map(ToString::to_string).map(|json| json.len()),
            one.user_properties().map(ToString::to_string).map(|json| json.len())
        );
    }
}

#[tokio::test]
async fn a_user_nested_without_end_is_an_error_and_nothing_is_sent() {
    let deep = (0..200).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    let script = answering("{}");
    let user = ada().with_user_property("deep", deep);
    let error = client(&script).fetch(&user, FetchOptions::new()).await;
    let error = error.expect_err("too deep");
    assert!(
        matches!(error, Error::Config { field: "user", .. }),
        "{error}"
    );
    assert!(script.requests().is_empty());
}
