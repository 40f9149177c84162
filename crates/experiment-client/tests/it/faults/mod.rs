//! Faults that the clients survive: one table, and one order of events for each row.
//!
//! Before the fault the flags are good and events arrive. While it lasts, evaluation goes on with
//! the last good flags, waits for nothing, and every event is in the account. After it, new flags
//! come, and every event that was tracked has been accepted under one insert id.
//!
//! | rows | what is at fault |
//! |---|---|
//! | [`answers`], [`statuses`] | the answers of the services, and the clock; in memory on a paused clock, with polling and with streaming |
//! | [`disks`] | the disk of the spool; in memory, too |
//! | [`sockets`] | what is below HTTP: connections, TLS, proxies, lengths; on loopback |
//! | [`processes`] | the process, which is killed or stopped; on loopback |
//! | `forked.rs` | the process, which forks eight children: a test of its own |
//!
//! Nothing that the clients show, tell or log has a key or a user in it; every row looks
//! ([`canaries`]).

mod answers;
mod canaries;
mod disks;
mod memory;
mod processes;
mod readers;
mod schedules;
mod services;
mod sockets;
mod stage;
mod statuses;
mod wire;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use experiment_client::{DropCause, State, paths};

use self::{
    services::{AFTER, BEFORE, Conduct, is_doomed},
    stage::{Pace, Stage, kind},
};

/// One fault, and what the user sees of it.
struct Row {
    name: &'static str,
    fault: Fault,
    /// The state of the flags in the end.
    state: State,
    /// The causes in `freshness()`, separated by `|`; empty if there is none.
    cause: &'static str,
    /// Those that streaming has besides.
    stream: &'static str,
    /// What a fetch of variants comes to.
    fetch: &'static str,
    /// Why events are lost, if they must be: those of users that are doomed.
    loses: Option<DropCause>,
}

/// What goes wrong.
enum Fault {
    /// The services do something else.
    Services(Conduct),
    /// They do, and connections that are open go silent rather than break.
    Silence(Conduct),
    /// The clock jumps by so many milliseconds.
    Clock(i64),
    Disk(disks::Disk),
    Network(sockets::Network),
    Process(processes::Ending),
}

impl Row {
    /// Flags become stale for this cause, and nothing is lost.
    fn new(name: &'static str, fault: Fault, cause: &'static str) -> Self {
        Self {
            name,
            fault,
            state: State::Stale,
            cause,
            stream: cause,
            fetch: cause,
            loses: None,
        }
    }

    /// Flags stay fresh.
    fn harmless(name: &'static str, fault: Fault) -> Self {
        Self {
            state: State::Ready,
            ..Self::new(name, fault, "").fetch("got a-5")
        }
    }

    /// Streaming has other causes.
    fn stream(self, stream: &'static str) -> Self {
        Self { stream, ..self }
    }

    /// A fetch of variants comes to something else.
    fn fetch(self, fetch: &'static str) -> Self {
        Self { fetch, ..self }
    }

    fn loses(self, cause: DropCause) -> Self {
        Self {
            loses: Some(cause),
            ..self
        }
    }
}

/// How often a service with flags is asked at most, on an average of some minutes: by polls every
/// 30 s ± 10 %, or streams every 15 s ± 1 s, and a second opinion now and then.
const POLLS_PER_MINUTE: u64 = 6;

/// The same for a process that has never had an answer: waits of up to 10 s, half of that on an
/// average.
const FIRST_POLLS_PER_MINUTE: u64 = 20;

/// The order of events.
async fn survive(row: &Row, stage: &mut Stage, world: &mut impl World) {
    begin_well(stage).await;
    world.begin(&row.fault, stage).await;
    endure(row, stage).await;
    world.end(&row.fault, stage).await;
    recover(row, stage).await;
}

/// Where faults are made and unmade.
trait World {
    async fn begin(&mut self, fault: &Fault, stage: &mut Stage);

    async fn end(&mut self, fault: &Fault, stage: &mut Stage);
}

async fn begin_well(stage: &mut Stage) {
    let started = stage.client.start(stage::PATIENCE).await;
    started.expect("the services are well");
    stage.track(5);
    for _ in 0..40 {
        stage.pass().await;
    }
    if stage.place.pace == Pace::Virtual {
        let freshness = stage.client.freshness();
        assert_eq!(
            freshness.state,
            State::Ready,
            "while all is well: {freshness:?}"
        );
    }
    stage
        .until("well", |stage| {
            let freshness = stage.client.freshness();
            freshness.state == State::Ready
                && freshness.cause.is_none()
                && freshness.missing_cohorts.is_empty()
                && stage.client.account().pending() == 0
        })
        .await;
    stage.look(BEFORE);
    assert_eq!(stage.client.account().dropped.total(), 0);
    assert!(stage.missing(0).is_empty());
    stage.track(3);
}

async fn endure(row: &Row, stage: &mut Stage) {
    let streams = stage.place.updates == experiment_client::Updates::streaming();
    let mut seen = BTreeSet::new();
    let mut round = 0;
    let start = tokio::time::Instant::now();
    let asked = |stage: &Stage| {
        [paths::FLAGS, paths::FLAG_STREAM].map(|it| stage.services.script.requests_to(it).len())
    };
    let before = asked(stage);
    stage.look_from_a_thread(BEFORE);
    loop {
        stage.track(1);
        stage.look(BEFORE);
        stage.pass().await;
        round += 1;
        let freshness = stage.client.freshness();
        let is_as_expected =
            freshness.state == row.state && (row.cause.is_empty() || freshness.cause.is_some());
        let cause = freshness.cause.map(|cause| kind(&cause));
        seen.extend(cause);
        let account = stage.check_account();
        if row.loses.is_none() {
            assert_eq!(account.dropped.total(), 0, "{:?}", account.dropped);
        }
        match stage.place.pace {
            Pace::Virtual if round < 36 => {}
            Pace::Real(_) if round < 10 => {}
            _ if is_as_expected => break,
            Pace::Virtual => assert!(round < 72, "{:?}", stage.client.freshness()),
            Pace::Real(_) => assert!(round < 20_000, "{:?}", stage.client.freshness()),
        }
    }
    if stage.place.pace == Pace::Virtual {
        let per_minute = match row.fault {
            Fault::Disk(disks::Disk::Cut(_)) => FIRST_POLLS_PER_MINUTE,
            _ => POLLS_PER_MINUTE,
        };
        let minutes = start.elapsed().as_secs() / 60 + 1;
        let most = per_minute * minutes;
        for (before, after) in before.iter().zip(asked(stage)) {
            let requests = (after - before) as u64;
            assert!(requests <= most, "{requests} requests in {minutes} minutes");
        }
    }
    let expected: BTreeSet<&str> = row.cause.split('|').filter(|it| !it.is_empty()).collect();
    let possible: BTreeSet<&str> = expected
        .iter()
        .copied()
        .chain(row.stream.split('|'))
        .chain(["Closed"])
        .collect();
    let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    if streams {
        assert!(seen.is_subset(&possible), "causes: {seen:?}");
        assert!(!seen.is_empty() || expected.is_empty(), "no cause");
    } else if stage.place.pace == Pace::Virtual {
        assert_eq!(seen, expected, "causes");
    } else {
        // What was under way when the fault began may have ended otherwise.
        assert!(
            seen.is_subset(&possible) && !seen.is_disjoint(&expected) || expected.is_empty(),
            "causes: {seen:?}"
        );
    }
    let fetched = stage.fetch().await;
    let expected: Vec<&str> = row.fetch.split('|').collect();
    assert!(expected.contains(&&*fetched), "a fetch: {fetched}");
    stage.look_from_a_thread(BEFORE);
    stage.check_debug();
}

async fn recover(row: &Row, stage: &mut Stage) {
    stage
        .until("well again", |stage| {
            let freshness = stage.client.freshness();
            stage.serves(AFTER) && freshness.state == State::Ready && freshness.cause.is_none()
        })
        .await;
    stage.look_from_a_thread(AFTER);
    stage.track(3);
    if stage.place.pace != Pace::Virtual {
        // What only people can change is tried again after minutes, or now.
        stage.client.flush(stage::PATIENCE).await;
    }
    stage
        .until("delivered", |stage| stage.client.account().pending() == 0)
        .await;
    let mut tries = 0;
    while stage.fetch().await != "got a-6" {
        tries += 1;
        assert!(
            stage.place.pace != Pace::Virtual && tries < 100,
            "a fetch afterwards"
        );
    }
    let account = stage.client.shutdown(stage::PATIENCE).await;
    assert_eq!(account.pending(), 0, "{account:?}");
    stage.look(AFTER);

    // A process that is killed may have tracked one user that it did not tell of.
    let untold = if matches!(row.fault, Fault::Process(_)) {
        2
    } else {
        0
    };
    let missing = stage.missing(untold);
    let dropped = account.dropped.total();
    assert_eq!(missing.len() as u64, dropped, "{missing:?}");
    match row.loses {
        None => assert_eq!(dropped, 0, "{:?}", account.dropped),
        Some(cause) => {
            assert_eq!(account.dropped.get(cause), dropped);
            assert!(dropped > 0 && missing.iter().all(|(user, _, _)| is_doomed(user)));
        }
    }
}

/// How many rows run side by side: most of the time those on sockets wait.
const SIDE_BY_SIDE: usize = 4;

/// Runs every row, and says which failed.
fn each(rows: &[Row], run: impl Fn(&Row) + Sync) {
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for start in 0..SIDE_BY_SIDE {
            let (failed, run) = (&failed, &run);
            scope.spawn(move || {
                for row in rows.iter().skip(start).step_by(SIDE_BY_SIDE) {
                    if catch_unwind(AssertUnwindSafe(|| run(row))).is_err() {
                        eprintln!("in the row above: {}", row.name);
                        failed.lock().expect("no panic").push(row.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "{} rows: {failed:#?}", failed.len());
}
