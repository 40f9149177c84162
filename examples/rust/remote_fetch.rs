//! Lets the service evaluate, and survives that it is down.
//!
//! It runs offline, against a fake service on loopback: `cargo run -p experiment-client --example
//! remote_fetch`. To use it with Amplitude, leave out `endpoints`.

use std::error::Error;

use experiment_client::{
    Endpoints, FetchOptions, RemoteClient,
    test_kit::{Answer, Script, Service},
};
use experiment_model::User;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let script = Script::new();
    script.on(
        "/sdk/v2/vardata",
        Answer::json(r##"{"checkout": {"key": "treatment", "value": "treatment", "payload": {"color": "#0057e7"}}}"##),
    );
    script.then("/sdk/v2/vardata", [Answer::status(503)]);
    let fake = Service::start(script).await?;

    let client = RemoteClient::builder("client-deployment-key")
        .endpoints(Endpoints::at(&fake.url())?)
        .build()?;
    let user = User::new()
        .with_user_id("user-1")
        .with_device_id("device-1");
    // The first answer is 503: it is repeated after a moment.
    let options = FetchOptions::new().with_flag_keys(["checkout"]);
    let fetched = client.fetch(&user, options).await?;
    for (flag, variant) in fetched.variants.iter() {
        println!(
            "{flag}: {} {}",
            variant.key.as_deref().unwrap_or("-"),
            variant
                .payload
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        );
    }
    println!("after {} requests", fake.script().requests().len());

    // Without an id nobody can be evaluated: that is said before anything is sent.
    let nobody = client.fetch(&User::new(), FetchOptions::new()).await;
    println!(
        "{}",
        nobody.map_or_else(|error| error.to_string(), |_| "fetched".to_owned())
    );
    Ok(())
}
