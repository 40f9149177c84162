//! A process that forks: its children evaluate, refresh and deliver by themselves, and send nothing
//! of their parent's.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio, exit},
    time::Duration,
};

use experiment_client::{
    DeliveryOptions, Endpoints, LocalClient, SpoolOptions, Tracking, Updates, blocking,
    test_kit::{Answer, CapturedEvents, Script, Service},
};
use experiment_model::User;
use fork::{Fork, fork, waitpid};

use crate::ingestion;

const CHILDREN: usize = 8;
/// Events that the parent has queued when it forks.
const QUEUED: usize = 20;
const LONG: Duration = Duration::from_secs(60);

fn flags(version: u32) -> String {
    format!(
        r#"[{{"key": "f", "metadata": {{"flagVersion": {version}}},
            "variants": {{"v{version}": {{"key": "v{version}", "value": "v{version}"}}}},
            "segments": [{{"variant": "v{version}"}}]}}]"#
    )
}

#[test]
fn eight_children_evaluate_refresh_and_deliver_each_event_once() {
    run(None);
}

#[test]
fn eight_children_of_a_process_with_a_spool_leave_its_spool_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    run(directory.path().to_str());
    let left = std::fs::read_dir(directory.path()).expect("a directory");
    let left: Vec<_> = left.map(|entry| entry.expect("readable").path()).collect();
    let bytes: u64 = left.iter().map(|path| size(path)).sum();
    assert!(
        bytes < 1000,
        "what was delivered is not kept: {bytes} bytes in {left:?}"
    );
}

fn size(path: &std::path::Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| size(&entry.expect("readable").path()))
            .sum(),
        Err(_) => path.metadata().map_or(0, |metadata| metadata.len()),
    }
}

fn run(spool: Option<&str>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let script = Script::new();
    script.on("/sdk/v2/flags", Answer::json(flags(1)));
    let events = CapturedEvents::of(&script);
    let service = runtime
        .block_on(Service::start(script.clone()))
        .expect("a port");

    // A process of its own: this one has threads of other tests.
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "--ignored",
            "--exact",
            "forked::process_that_forks",
            "--nocapture",
        ])
        .env("FORKED_URL", service.url())
        .env("FORKED_SPOOL", spool.unwrap_or_default());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = ingestion::start(&mut command)
        .wait_with_output()
        .expect("it runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");

    let polls = script.requests_to("/sdk/v2/flags").len();
    assert!(polls > CHILDREN, "each process asks for itself: {polls}");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (user, _, _) in events.exposures() {
        *seen.entry(user).or_default() += 1;
    }
    let parents = (0..QUEUED).map(|at| format!("parent-{at}"));
    let children = (0..CHILDREN).map(|at| format!("child-{at}"));
    let expected: BTreeMap<String, usize> = parents.chain(children).map(|user| (user, 1)).collect();
    assert_eq!(seen, expected);
}

#[test]
#[ignore = "run by the tests above, in a process of its own"]
fn process_that_forks() {
    let Ok(url) = std::env::var("FORKED_URL") else {
        return;
    };
    let client = client(&url);
    client.start(LONG).expect("flags");
    for at in 0..QUEUED {
        track(&client, &format!("parent-{at}"));
    }
    assert_eq!(client.account().recorded, QUEUED as u64);

    let children: Vec<_> = (0..CHILDREN)
        .map(|at| match fork().expect("a child") {
            // What panics here ends the child with a status that says so.
            Fork::Child => exit(child(&client, at)),
            Fork::Parent(process) => process,
        })
        .collect();
    for process in children {
        let status = waitpid(process).expect("my child");
        assert_eq!(status, 0, "the status of a child");
    }

    let account = client.shutdown(LONG).expect("a thread");
    assert_eq!(
        (account.recorded, account.delivered),
        (QUEUED as u64, QUEUED as u64)
    );
}

/// 0 if all is well, else the number of what is not.
fn child(client: &blocking::LocalClient, number: usize) -> i32 {
    let user = User::new().with_user_id("anybody");
    if !client
        .variant(&user, "f")
        .is_some_and(|variant| variant.is("v1"))
    {
        return 1;
    }
    if client.account().recorded != 0 {
        return 2;
    }
    track(client, &format!("child-{number}"));
    // Returns when this process has asked for the flags: nobody of the parent does it.
    if client.start(LONG).is_err() {
        return 3;
    }
    let Ok(account) = client.shutdown(LONG) else {
        return 4;
    };
    if (account.recorded, account.delivered) != (1, 1) {
        return 5;
    }
    0
}

fn track(client: &blocking::LocalClient, user_id: &str) {
    let user = User::new().with_user_id(user_id);
    let variant = client.variant(&user, "f").expect("flags").clone();
    client.exposure(&user, "f", &variant).expect("room");
}

fn client(url: &str) -> blocking::LocalClient {
    // Nothing is uploaded before it is asked for.
    let mut delivery = DeliveryOptions::new("api-key").with_flush_interval(LONG * 60);
    if let Ok(directory) = std::env::var("FORKED_SPOOL")
        && !directory.is_empty()
    {
        delivery = delivery.with_spool(SpoolOptions::new(directory));
    }
    let client = LocalClient::builder("server-key")
        .endpoints(Endpoints::at(url).expect("an address"))
        .updates(Updates::polling())
        .tracking(Tracking::new(delivery))
        .build()
        .expect("good options");
    blocking::LocalClient::new(client).expect("a thread")
}
