//! A service that evaluates on every request, tracks what it showed, and shuts down without losing
//! an event.
//!
//! It runs offline, against a fake service on loopback: `cargo run -p experiment-client --example
//! service`. To use it with Amplitude, leave out `endpoints` and give the keys of your project.

use std::{error::Error, time::Duration};

use experiment_client::{
    DeliveryOptions, Endpoints, EvaluateOptions, LocalClient, Tracking,
    test_kit::{Answer, CapturedEvents, Script, Service},
};
use experiment_model::User;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let script = Script::new();
    script.on(
        "/sdk/v2/flags",
        Answer::json(include_str!("../data/flags.json")),
    );
    let events = CapturedEvents::of(&script);
    let fake = Service::start(script).await?;

    let client = LocalClient::builder("server-deployment-key")
        .endpoints(Endpoints::at(&fake.url())?)
        .tracking(Tracking::new(DeliveryOptions::new("analytics-api-key")).with_exposures(true))
        .build()?;
    client.start(Duration::from_secs(5)).await?;
    println!(
        "{} flags, {:?}",
        client.freshness().flags,
        client.freshness().state
    );

    for number in 1..=3 {
        let user = User::new()
            .with_user_id(format!("user-{number}"))
            .with_country("Germany")
            .with_version("4.12.0")
            .with_user_property("plan", "pro");
        handle_request(&client, &user)?;
    }

    let account = client.shutdown(Duration::from_secs(5)).await;
    println!(
        "{} events recorded, {} delivered, {} dropped; the service got {}",
        account.recorded,
        account.delivered,
        account.dropped.total(),
        events.all().len()
    );
    Ok(())
}

/// Answers one request. Nothing here waits or needs the runtime.
fn handle_request(client: &LocalClient, user: &User) -> Result<(), experiment_client::Error> {
    // One flag, not tracked: nothing is allocated.
    let navigation = client.variant(user, "new-navigation");
    let navigation = navigation.is_some_and(|variant| variant.is("on"));

    // What the page shows is tracked as an exposure, once per user, flag and variant.
    let options = EvaluateOptions::new().with_flag_keys(&["checkout-redesign", "regional-pricing"]);
    let variants = client.evaluate(user, options)?;
    let shown = variants
        .iter()
        .map(|(flag, variant)| format!("{flag}={}", variant.key.as_deref().unwrap_or("-")));
    let shown: Vec<String> = shown.collect();
    println!(
        "{}: new navigation {navigation}, {}",
        user.user_id().unwrap_or_default(),
        shown.join(", ")
    );
    Ok(())
}
