//! An app: variants are fetched for the user who is signed in, kept for the next run, and shown ones
//! are tracked.
//!
//! It runs offline, against a fake service on loopback: `cargo run -p experiment-client --example
//! app`. To use it with Amplitude, leave out `endpoints`.

use std::{error::Error, sync::Arc, time::Duration};

use experiment_client::{
    AppClient, Delivery, DeliveryOptions, Endpoints, FetchOptions, FileStorage, HyperTransport,
    TransportOptions,
    test_kit::{Answer, CapturedEvents, Script, Service},
};
use experiment_model::{User, Variant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let script = Script::new();
    script.on("/sdk/v2/flags", Answer::json("[]"));
    script.on(
        "/sdk/v2/vardata",
        Answer::json(
            r#"{"onboarding": {"key": "short", "value": "short", "payload": {"steps": 3}}}"#,
        ),
    );
    let events = CapturedEvents::of(&script);
    let fake = Service::start(script).await?;
    let endpoints = Endpoints::at(&fake.url())?;
    let transport: Arc<HyperTransport> = Arc::new(HyperTransport::new(TransportOptions::new())?);

    let options = DeliveryOptions::new("analytics-api-key").with_endpoints(endpoints.clone());
    let delivery = Delivery::new(options, transport.clone())?;
    tokio::spawn(delivery.worker());

    let directory = std::env::temp_dir().join("experiment-app-example");
    let app = AppClient::builder("client-deployment-key")
        .endpoints(endpoints)
        .transport(transport)
        .storage(FileStorage::new(&directory)?)
        .exposure_tracking_provider(delivery.clone())
        .build()?;

    // What an earlier run has stored answers at once, and so do fallbacks.
    let before = app.variant("onboarding", Some(&Variant::new("long")));
    println!(
        "before the start: {:?} from {:?}",
        before.variant.key, before.source
    );

    app.start(Some(User::new().with_device_id("device-1")))
        .await
        .into_result()?;
    let onboarding = app.variant("onboarding", None);
    println!(
        "onboarding: {:?} from {:?}",
        onboarding.variant.key, onboarding.source
    );

    // Somebody signs in: their variants replace those of the device, however late they come.
    let user = User::new()
        .with_user_id("user-1")
        .with_device_id("device-1");
    app.fetch(Some(user), FetchOptions::new()).await?;
    println!(
        "signed in: {:?}",
        app.variant("onboarding", None).variant.key
    );

    let account = delivery.shutdown(Duration::from_secs(5)).await;
    println!(
        "{} exposures delivered; the service got {}",
        account.delivered,
        events.all().len()
    );
    Ok(())
}
