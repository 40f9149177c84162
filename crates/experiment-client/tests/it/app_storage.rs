//! What an app client keeps from run to run.

use std::{io, sync::Arc};

use experiment_client::{
    AppClient, FetchOptions, FileStorage, MemoryStorage, Piece, Storage, StorageProblem,
    VariantSource,
    test_kit::{Answer, InMemoryTransport, Script},
};
use experiment_model::{User, Variant};
use serde_json::{Map, Value, json};

use crate::{app::no_service, app_files::files};

const GOLDEN: &str = include_str!("../golden/client_storage.json");
const VARDATA: &str = "/sdk/v2/vardata";
const FLAGS: &str = "/sdk/v2/flags";
const NAMES: [&str; 3] = [
    "amp-exp-$default_instance-nt-key",
    "amp-exp-$default_instance-nt-key-flags",
    "amp-exp-$default_instance-nt-key-variants-options",
];

fn golden() -> Value {
    serde_json::from_str(GOLDEN).expect("golden data")
}

fn contents(storage: &MemoryStorage) -> Value {
    let mut all = Map::new();
    for name in NAMES {
        if let Some(content) = storage.get(name).expect("in memory") {
            let json = serde_json::from_slice(&content).expect("JSON");
            all.insert(name.to_owned(), json);
        }
    }
    Value::Object(all)
}

/// The service that the recorded clients talked to.
fn service(recorded: &Value) -> Script {
    let stored = &recorded["cases"][0]["local_storage"];
    let flags: Vec<Value> = stored[NAMES[1]]
        .as_object()
        .expect("flags")
        .values()
        .cloned()
        .collect();
    let mut variants = stored[NAMES[0]].clone();
    for variant in variants.as_object_mut().expect("variants").values_mut() {
        variant.as_object_mut().expect("a variant").remove("expKey");
    }
    let script = Script::new();
    script.on(FLAGS, Answer::json(Value::Array(flags).to_string()));
    script.on(VARDATA, Answer::json(variants.to_string()));
    script
}

fn client(storage: impl Storage, script: &Script) -> AppClient {
    AppClient::builder("client-deployment-key")
        .transport(InMemoryTransport::new(script.clone()))
        .storage(storage)
        .build()
        .expect("a client")
}

fn user() -> User {
    User::new()
        .with_user_id("user-00001")
        .with_device_id("device-00001")
}

#[tokio::test(start_paused = true)]
async fn the_storage_holds_what_the_official_client_writes() {
    let recorded = golden();
    for case in recorded["cases"].as_array().expect("cases") {
        let (storage, script) = (MemoryStorage::new(), service(&recorded));
        let client = client(storage.clone(), &script);
        let fetch = |options| client.fetch(Some(user()), options);
        match case["case"].as_str().expect("a name") {
            "start-fetch-and-flags" => {
                client
                    .start(Some(user()))
                    .await
                    .into_result()
                    .expect("started");
            }
            "fetch-flag-keys-removes-missing" => {
                fetch(FetchOptions::default()).await.expect("fetched");
                let some = r#"{"exp-remote": {"key": "control", "value": "control"}}"#;
                script.then(VARDATA, [Answer::json(some)]);
                let keys = FetchOptions::default().with_flag_keys(["exp-remote", "bool-value"]);
                fetch(keys).await.expect("fetched");
            }
            "set-tracks-assignment-false" => {
                client.set_tracks_assignment(false);
                fetch(FetchOptions::default()).await.expect("fetched");
                let request = &script.requests_to(VARDATA)[0];
                assert_eq!(request.header("x-amp-exp-track"), Some("no-track"));
            }
            other => panic!("unknown case {other}"),
        }
        assert_eq!(
            contents(&storage),
            case["local_storage"],
            "{}",
            case["case"]
        );
        assert_eq!(client.storage_findings(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_run_starts_with_what_was_kept() {
    let (storage, script) = (MemoryStorage::new(), service(&golden()));
    let first = client(storage.clone(), &script);
    first.set_tracks_assignment(true);
    first
        .start(Some(user()))
        .await
        .into_result()
        .expect("started");
    let all = first.all();
    drop(first);

    let offline = Script::new();
    let second = client(storage, &offline);
    second.set_user(user());
    assert_eq!(second.all(), all);
    let stored = second.variant("exp-remote", None);
    assert!(stored.is("treatment"));
    assert_eq!(stored.source, Some(VariantSource::Storage));
    let evaluated = second.variant("release-flag", None);
    assert_eq!(evaluated.source, Some(VariantSource::LocalEvaluation));

    second
        .fetch(None, FetchOptions::default())
        .await
        .expect_err("404");
    let request = &offline.requests_to(VARDATA)[0];
    assert_eq!(request.header("x-amp-exp-track"), Some("track"));
}

#[test]
fn what_older_sdks_wrote_is_read() {
    let on = || Some(json!({"key": "on", "value": "on"}));
    for (stored, read) in [
        (json!("on"), on()),
        (json!({"value": "on"}), on()),
        (
            json!({"value": "on", "payload": null, "metadata": null, "expKey": null}),
            Some(json!({"key": "on", "value": "on", "payload": null})),
        ),
        (
            json!({"value": "on", "payload": 0}),
            Some(json!({"key": "on", "value": "on", "payload": 0})),
        ),
        (
            json!({"key": "k", "value": "on", "payload": false, "expKey": "exp-1"}),
            Some(
                json!({"key": "k", "value": "on", "payload": false, "metadata": {"experimentKey": "exp-1"}}),
            ),
        ),
        (
            json!({"key": "k", "expKey": "old", "metadata": {"experimentKey": "new", "default": false}}),
            Some(json!({"key": "k", "metadata": {"experimentKey": "new", "default": false}})),
        ),
        (json!({"value": 5}), Some(json!({"key": "5", "value": 5}))),
        (json!({"key": 5}), Some(json!({"key": "5"}))),
        (json!({}), Some(json!({}))),
        (json!(5), None),
        (json!(null), None),
        (json!(["on"]), None),
        (json!({"key": {}}), None),
        (json!({"key": "on", "metadata": "secret"}), None),
    ] {
        let storage = MemoryStorage::new();
        let piece = json!({"f": stored, "good": "good"}).to_string();
        storage.set(NAMES[0], piece.as_bytes()).expect("in memory");
        let client = client(storage, &Script::new());

        let variant = client.variant("f", None);
        assert_eq!(variant.source.is_some(), read.is_some(), "{stored}");
        let variant = serde_json::to_value(&variant.variant).expect("JSON");
        assert_eq!(
            variant,
            read.clone().unwrap_or_else(|| json!({})),
            "{stored}"
        );
        assert!(client.variant("good", None).is("good"));

        let findings = client.storage_findings();
        if read.is_some() {
            assert_eq!(findings, []);
        } else {
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].piece, Piece::Variants);
            assert_eq!(
                findings[0].problem,
                StorageProblem::DamagedEntry("f".to_owned())
            );
            assert!(!findings[0].to_string().contains("secret"));
        }
    }
}

#[test]
fn damaged_pieces_count_as_absent_and_are_reported_without_their_content() {
    let flags = r#"{"good": {"key": "good", "variants": {"on": {"key": "on", "value": "on"}}, "segments": [{"variant": "on"}]}, "bad": 5}"#;
    let cases: [(&str, &[u8], Piece); 10] = [
        (NAMES[0], b"", Piece::Variants),
        (NAMES[0], b"secret", Piece::Variants),
        (NAMES[0], b"[\"secret\"]", Piece::Variants),
        (NAMES[0], b"{\"f\": {\"key\": \"secret", Piece::Variants),
        (NAMES[0], b"\xff\xfe", Piece::Variants),
        (NAMES[1], b"\0\0\0\0", Piece::Flags),
        (NAMES[1], b"5", Piece::Flags),
        (NAMES[1], flags.as_bytes(), Piece::Flags),
        (
            NAMES[2],
            b"{\"trackingOption\": \"secret\"}",
            Piece::TrackingOption,
        ),
        (NAMES[2], b"true", Piece::TrackingOption),
    ];
    for (name, content, piece) in cases {
        let storage = MemoryStorage::new();
        storage.set(name, content).expect("in memory");
        let client = client(storage, &Script::new());
        let findings = client.storage_findings();
        assert_eq!(findings.len(), 1, "{name} {content:?}");
        assert_eq!(findings[0].piece, piece);
        assert!(
            !findings[0].to_string().contains("secret"),
            "{}",
            findings[0]
        );
        let fallback = Variant::new("fallback");
        assert!(client.variant("f", Some(&fallback)).is("fallback"));
        assert_eq!(
            client.variant("good", None).is("on"),
            content == flags.as_bytes()
        );
    }
}

proptest::proptest! {
    #[test]
    fn whatever_bytes_are_stored_a_client_answers(
        content in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200),
        at in 0..3_usize,
        cut in 0..400_usize,
    ) {
        let good = &golden()["cases"][0]["local_storage"];
        let mut cut_and_damaged = good[NAMES[at]].to_string().into_bytes();
        cut_and_damaged.truncate(cut);
        cut_and_damaged.extend(content.iter().take(3));
        for content in [content, cut_and_damaged] {
            let storage = MemoryStorage::new();
            storage.set(NAMES[at], &content).expect("in memory");
            let client = client(storage, &Script::new());
            client.variant("exp-remote", None);
            client.all();
        }
    }
}

#[test]
fn deeply_nested_or_huge_pieces_do_no_harm() {
    let storage = MemoryStorage::new();
    let deep = format!("{{\"f\": {}", "[".repeat(1_000_000));
    storage.set(NAMES[0], deep.as_bytes()).expect("in memory");
    let huge = vec![b' '; 17 * 1024 * 1024];
    storage.set(NAMES[1], &huge).expect("in memory");
    let findings = client(storage, &Script::new()).storage_findings();
    assert!(matches!(findings[0].problem, StorageProblem::Damaged(_)));
    assert_eq!(
        findings[1].problem,
        StorageProblem::TooLarge(16 * 1024 * 1024)
    );
}

/// A storage on a broken disk.
#[derive(Debug)]
struct Broken;

impl Storage for Broken {
    fn get(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_storage_stops_nothing_and_is_reported_once() {
    let client = client(Broken, &service(&golden()));
    let unreadable = StorageProblem::Unreadable(io::ErrorKind::PermissionDenied);
    assert_eq!(client.storage_findings().len(), 3);
    assert!(
        client
            .storage_findings()
            .iter()
            .all(|f| f.problem == unreadable)
    );
    for _ in 0..5 {
        client
            .start(Some(user()))
            .await
            .into_result()
            .expect("started");
        client.set_tracks_assignment(true);
        client.clear();
        client
            .fetch(None, FetchOptions::default())
            .await
            .expect("fetched");
    }
    assert!(client.variant("exp-remote", None).is("treatment"));
    let findings = client.storage_findings();
    assert_eq!(findings.len(), 6);
    assert_eq!(
        findings[5].problem,
        StorageProblem::Unwritable(io::ErrorKind::StorageFull)
    );
}

#[tokio::test(start_paused = true)]
async fn clearing_is_kept_too() {
    let (storage, script) = (MemoryStorage::new(), service(&golden()));
    let first = client(storage.clone(), &script);
    first
        .start(Some(user()))
        .await
        .into_result()
        .expect("started");
    first.clear();
    assert_eq!(first.variant("exp-remote", None).source, None);
    assert_eq!(first.user(), Some(user()));
    let second = client(storage, &script);
    assert_eq!(second.variant("exp-remote", None).source, None);
    assert!(second.variant("release-flag", None).is("on"), "flags stay");
}

#[test]
fn instances_and_deployments_keep_apart() {
    let storage = MemoryStorage::new();
    for (key, instance, name) in [
        ("client-deployment-key", "$default_instance", NAMES[0]),
        ("client-deployment-key", "other", "amp-exp-other-nt-key"),
        ("abc", "$default_instance", "amp-exp-$default_instance-abc"),
        (
            "client-ÄÖÜß",
            "$default_instance",
            "amp-exp-$default_instance-t-ÄÖÜß",
        ),
    ] {
        storage
            .set(name, json!({"f": name}).to_string().as_bytes())
            .expect("in memory");
        let client = AppClient::builder(key)
            .transport(no_service())
            .storage(storage.clone())
            .instance_name(instance)
            .build()
            .expect("a client");
        assert!(client.variant("f", None).is(name), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_its_pieces_in_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Arc::new(FileStorage::new(directory.path()).expect("made"));
    let script = service(&golden());
    let first = client(storage.clone(), &script);
    first.set_tracks_assignment(false);
    first
        .start(Some(user()))
        .await
        .into_result()
        .expect("started");
    let mut names = NAMES.map(str::to_owned);
    names.sort();
    assert_eq!(files(directory.path()), names);
    assert!(
        client(storage, &Script::new())
            .variant("exp-remote", None)
            .is("treatment")
    );
}
