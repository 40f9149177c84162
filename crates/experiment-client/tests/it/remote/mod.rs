//! Remote evaluation, in memory and on a paused clock.

mod answers;
mod requests;
mod retries;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use experiment_client::{
    Endpoints, Error, FetchOptions, Fetched, Measurement, Metrics, Phase, RemoteClient,
    RemoteClientBuilder, RetryPolicy, ServerZone,
    test_kit::{Answer, InMemoryTransport, Received, Script},
};
use experiment_model::{Object, User, Value, Variant};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde_json::json;
use tokio::time::Instant;

use crate::golden::{data, golden, row};

const VARDATA: &str = "/sdk/v2/vardata";

fn builder(script: &Script) -> RemoteClientBuilder {
    RemoteClient::builder("server-deployment-key").transport(InMemoryTransport::new(script.clone()))
}

fn client(script: &Script) -> RemoteClient {
    builder(script).build().expect("a client")
}

fn ada() -> User {
    User::new().with_user_id("ada")
}

fn answering(body: &str) -> Script {
    let script = Script::new();
    script.on(VARDATA, Answer::json(body.to_owned()));
    script
}

/// What a header in base64url says.
fn decoded(received: &Received, header: &str) -> Option<serde_json::Value> {
    let text = received.header(header)?;
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .expect("base64url without padding");
    Some(serde_json::from_slice(&json).expect("JSON"))
}

/// The one request that was sent for this user.
async fn request_for(user: &User, options: FetchOptions) -> Received {
    let script = answering("{}");
    client(&script)
        .fetch(user, options)
        .await
        .expect("variants");
    let requests = script.requests();
    assert_eq!(requests.len(), 1);
    requests[0].clone()
}

#[test]
fn a_key_that_cannot_be_sent_is_a_mistake_of_configuration() {
    for key in ["", "  \t", "two\nlines", "nul\0"] {
        let error = builder_error(key);
        assert!(
            matches!(
                error,
                Error::Config {
                    field: "deployment_key",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.to_string().contains("lines"), "{error}");
    }
}

fn builder_error(key: &str) -> Error {
    RemoteClient::builder(key)
        .transport(InMemoryTransport::new(Script::new()))
        .build()
        .expect_err("no key")
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Metrics for Told {
    fn record(&self, measurement: &Measurement<'_>) {
        let told = match measurement {
            Measurement::Fetched { attempts, .. } => format!("fetched {attempts}"),
            Measurement::FetchFailed { attempts, reason } => format!("{reason} {attempts}"),
            other => format!("{other:?}"),
        };
        self.0.lock().expect("no panic").push(told);
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_told_how_a_fetch_ended() {
    let script = answering("{}");
    let answers = [
        Answer::json("{}"),
        Answer::status(500),
        Answer::json("{}"),
        Answer::status(400),
        Answer::json("x"),
        Answer::json("x"),
        Answer::json("{}").send(" ".repeat(200)),
    ];
    script.then(VARDATA, answers);
    let told = Arc::new(Told::default());
    let client = builder(&script)
        .metrics(told.clone())
        .retry(RetryPolicy::default().with_retries(1))
        .body_limit(100)
        .build()
        .expect("a client");
    for _ in 0..5 {
        let _ = client.fetch(&ada(), FetchOptions::new()).await;
    }
    let _ = client.fetch(&User::new(), FetchOptions::new()).await;
    assert_eq!(
        *told.0.lock().expect("no panic"),
        [
            "fetched 1",
            "fetched 2",
            "status 1",
            "malformed 2",
            "too_large 1",
            "missing_id 0"
        ]
    );
}

#[tokio::test]
async fn a_client_is_shared_by_cloning_and_used_from_any_thread() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}

    let script = answering(r#"{"f": {"key": "on", "value": "on"}}"#);
    let client = client(&script);
    shared(&client);
    let other = client.clone();
    let fetched = tokio::spawn(async move { other.fetch(&ada(), FetchOptions::new()).await });
    let fetched = fetched.await.expect("no panic").expect("variants");
    assert_eq!(fetched.variants.get("f"), Some(&Variant::new("on")));
}
