//! Keys and users are in nothing that is logged while faults last.
//!
//! Every row uses keys, users, groups and members of cohorts with a canary in them, and answers echo
//! it. Errors, what is behind them, `Debug` forms and metrics are looked at by every row; what is
//! logged is looked at here, in a process of its own, since threads other than that of a test log to
//! the subscriber of the process.

use std::{panic::catch_unwind, process::Command};

use experiment_client::{AppClient, FetchOptions, FileStorage, Updates};

use super::{
    Fault, Row, answers, disks, each, memory,
    services::{Services, user},
    sockets,
    wire::Wire,
};
use crate::secrets::{Log, clean, clean_debug, shown};

#[test]
fn nothing_that_is_logged_shows_a_key_or_a_user() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "faults::canaries::with_a_log_of_the_process",
            "--ignored",
        ])
        .output()
        .expect("a child process");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

#[test]
#[ignore = "the process that the test above starts"]
fn with_a_log_of_the_process() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("there is no other");
    each(&answers::rows(), |row| memory::run(row, Updates::polling()));
    each(&some(answers::rows()), |row| {
        memory::run(row, Updates::streaming());
    });
    each(&disks::rows(), |row| memory::run(row, Updates::polling()));
    each(&some(sockets::rows()), sockets::run);
    memory::paused().block_on(ask_for_an_app());

    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let own: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("experiment_client"))
        .collect();
    for told in [
        "flags not refreshed",
        "holding flags back",
        "cohort not loaded",
        "events could not be uploaded",
        "events are lost",
        "does not know the API key",
        "the spool of events cannot be used",
        "attempt failed",
        "a flag is not as it should be",
    ] {
        assert!(
            own.iter().any(|line| line.contains(told)),
            "nobody logged {told:?}"
        );
    }
    // Those of the libraries below, too.
    let lines = log.lines();
    let shown: Vec<&str> = lines
        .filter(|line| catch_unwind(|| clean("log", line)).is_err())
        .collect();
    assert!(shown.is_empty(), "{} lines show too much", shown.len());
}

/// Every third row: the others log the same.
fn some(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().step_by(3).collect()
}

/// The client for apps, against every answer.
async fn ask_for_an_app() {
    for row in answers::rows() {
        let Fault::Services(conduct) = row.fault else {
            continue;
        };
        let services = Services::new();
        services.misbehave(conduct);
        let directory = tempfile::tempdir().expect("a directory");
        let builder = AppClient::builder("canary-deployment-key")
            .transport(Wire::new(&services.script))
            .storage(FileStorage::new(directory.path()).expect("a directory"));
        clean_debug(&builder);
        let client = builder.build().expect("the options are good");
        let started = client.start(Some(user(1))).await;
        clean_debug(&started);
        let fetched = client.fetch(Some(user(2)), FetchOptions::new()).await;
        clean_debug(&fetched.as_ref().ok());
        for error in [started.into_result().err(), fetched.err()]
            .into_iter()
            .flatten()
        {
            clean("error", &shown(&error));
        }
        clean_debug(&client);
    }
}
