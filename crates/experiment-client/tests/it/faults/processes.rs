//! Another process that tracks users, on loopback, until it is killed or stopped.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use experiment_client::{
    Endpoints, HyperTransport, SpoolOptions, TransportOptions, Updates, test_kit::Answer,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{
    Fault, Row, each,
    services::{AFTER, Fact, Service, Services, but, everywhere, user},
    sockets,
    stage::{MOMENT, PATIENCE, Pace, Place, Stage, track},
};

/// What happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is killed when events of it have been accepted and not acknowledged; the next process
    /// takes over its files while the services are down.
    Killed,
    /// It stands still, and goes on later. This process goes on meanwhile.
    Stopped,
}

fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "SIGKILL between track and acknowledgement",
            Fault::Process(Ending::Killed),
            "Closed",
        ),
        Row::harmless("SIGSTOP and SIGCONT", Fault::Process(Ending::Stopped)),
    ]
}

#[cfg(unix)]
#[test]
fn every_end_of_a_process_is_survived() {
    each(&rows(), sockets::run);
}

/// Tells the child where the services are, and its directory.
const CHILD: &str = "XPMT_TEST_FAULTS_CHILD";

/// The number of its first user.
const FIRST_USER: usize = 100_000;

fn place(url: &str, directory: &Path) -> Place {
    let options = TransportOptions::new().without_proxy();
    Place {
        transport: Arc::new(HyperTransport::new(options).expect("options")),
        endpoints: Endpoints::at(url).expect("an address"),
        updates: Updates::Polling {
            interval: Duration::from_millis(30),
        },
        pace: Pace::Real(MOMENT),
        spool: Some(SpoolOptions::new(directory.join("spool"))),
        file: Some(directory.join("flags")),
    }
}

/// Not a test: what the other process does until it is told to end.
#[test]
fn child_process_of_the_rows() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (url, directory) = task.split_once(' ').expect("an address and a directory");
    let ends = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ends);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        told.store(true, Ordering::SeqCst);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::new(Services::new(), place(url, Path::new(directory)));
        let started = stage.client.start(PATIENCE).await;
        started.expect("the services are well");
        for number in FIRST_USER.. {
            for (user, flag, variant) in track(&stage.client, &user(number)) {
                println!("tracked {user} {flag} {variant}");
            }
            if ends.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let account = stage.client.shutdown(PATIENCE).await;
        println!(
            "ended with {} and {}",
            account.pending(),
            account.dropped.total()
        );
    });
}

/// The other process, and its files.
pub(super) struct Others {
    url: String,
    directory: TempDir,
    running: Option<Running>,
}

impl Others {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            directory: tempfile::tempdir().expect("a directory"),
            running: None,
        }
    }

    pub(super) async fn begin(&mut self, ending: Ending, stage: &mut Stage) {
        let mut other = Running::start(&self.url, self.directory.path());
        match ending {
            Ending::Killed => {
                // What this process has tracked is in its own spool.
                stage.client.shutdown(PATIENCE).await;
                stage.services.misbehave(but(
                    Arc::new(|_, _, _| None),
                    Service::Events,
                    |services, request| {
                        services.accept(request);
                        Some(Answer::silence())
                    },
                ));
                let known = stage.services.accepted().len();
                other.listen(40).await;
                while stage.services.accepted().len() <= known {
                    other.listen(2).await;
                }
                other.child.start_kill().expect("it runs");
                stage.facts.extend(other.rest().await);
                stage.services.misbehave(everywhere(Answer::refused()));
                let place = place(&self.url, self.directory.path());
                stage.restart(place, |_| {}).await;
                assert!(stage.client.account().replayed > 0);
            }
            Ending::Stopped => {
                other.listen(40).await;
                other.signal("-STOP");
                self.running = Some(other);
            }
        }
    }

    pub(super) async fn end(&mut self, stage: &mut Stage) {
        let Some(mut other) = self.running.take() else {
            return;
        };
        other.signal("-CONT");
        let newest = format!("-{AFTER}");
        while !other
            .facts
            .iter()
            .any(|(_, _, variant)| variant.ends_with(&newest))
        {
            other.listen(2).await;
        }
        let mut input = other.child.stdin.take().expect("its input");
        input.write_all(b"end\n").await.expect("it listens");
        stage.facts.extend(other.rest().await);
        assert_eq!(other.ended, "ended with 0 and 0");
    }
}

struct Running {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    /// What it has told so far.
    facts: Vec<Fact>,
    ended: String,
}

impl Running {
    fn start(url: &str, directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "faults::processes::child_process_of_the_rows"])
            .args(["--nocapture", "--test-threads=1"])
            .env(CHILD, format!("{url} {}", directory.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a child");
        let output = child.stdout.take().expect("its output");
        Self {
            child,
            output: BufReader::new(output).lines(),
            facts: Vec::new(),
            ended: String::new(),
        }
    }

    /// Reads until it has told of so many more events.
    async fn listen(&mut self, events: usize) {
        let enough = self.facts.len() + events;
        while self.facts.len() < enough {
            assert!(self.hear().await, "it ended after {}", self.facts.len());
        }
    }

    /// Reads a line; whether there is one.
    async fn hear(&mut self) -> bool {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
        let Some(line) = line.expect("it goes on").expect("a text") else {
            return false;
        };
        if line.starts_with("ended") {
            self.ended = line;
        } else if let Some(fact) = line.strip_prefix("tracked ") {
            let mut words = fact.split(' ').map(str::to_owned);
            let [user, flag, variant] = std::array::from_fn(|_| words.next().unwrap_or_default());
            // The last line of a process that is killed may be cut off.
            if variant.ends_with(|end: char| end.is_ascii_digit()) {
                self.facts.push((user, flag, variant));
            }
        }
        true
    }

    /// Everything that it told, when it has ended.
    async fn rest(&mut self) -> Vec<Fact> {
        while self.hear().await {}
        self.child.wait().await.expect("it ends");
        std::mem::take(&mut self.facts)
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let status = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(status.expect("the command `kill`").success());
    }
}
