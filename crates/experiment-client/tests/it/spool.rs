//! What is in the spool survives the process, damage to its files, and a disk that cannot be
//! written; memory stays bounded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use experiment_client::{
    Delivery, DeliveryOptions, DropCause, Fsync, SpoolOptions,
    test_kit::{Answer, InMemoryTransport, Received, Script},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::ingestion::{
    ACCEPTED, LONG, accepting, delivery, event, event_of, number_of, numbers, options, record,
    sent, spooling, start, times_sent,
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The files of a directory whose name ends so, in order.
pub(crate) fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    files
}

/// Leaves the first `events` events in a directory, as a process does that dies.
fn leave(directory: &Path, events: usize) {
    record(&delivery(spooling(directory), &Script::new()), 0..events);
}

#[tokio::test(start_paused = true)]
async fn the_next_process_delivers_what_the_last_one_left() {
    let directory = directory();
    leave(directory.path(), 5);
    let script = accepting();
    let next = delivery(spooling(directory.path()), &script);
    let account = next.account();
    assert_eq!((account.recorded, account.replayed), (5, 5));
    assert_eq!((account.spooled, account.queued), (5, 0));
    record(&next, 5..7);
    let account = next.shutdown(LONG).await;
    assert_eq!((account.recorded, account.delivered), (7, 7));
    assert_eq!(sent(&script), [[0, 1, 2, 3, 4, 5, 6]]);
    // Nothing is left.
    let left: Vec<_> = fs::read_dir(&directory).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_what_it_could_not_deliver() {
    let directory = directory();
    let script = Script::new();
    script.on("/batch", Answer::refused());
    let first = delivery(spooling(directory.path()), &script);
    record(&first, 0..3);
    let account = first.shutdown(Duration::from_secs(1)).await;
    assert_eq!((account.spooled, account.queued), (3, 0));
    // It is still there, but no longer uses the files.
    let next = delivery(spooling(directory.path()), &accepting());
    assert_eq!(next.account().replayed, 3);
    assert_eq!(first.record(&event(3)), Err(DropCause::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_not_sent_by_the_next_process() {
    let directory = directory();
    let script = Script::new();
    // Users 1 and 4 wait, so that what is acknowledged has gaps.
    script.respond("/batch", |request: &Received| {
        let numbers = numbers(request);
        if numbers.contains(&1) || numbers.contains(&4) {
            Answer::status(429).send(r#"{"throttled_users":{"user-1":1,"user-4":1}}"#)
        } else {
            Answer::json(ACCEPTED)
        }
    });
    let first = delivery(spooling(directory.path()), &script);
    record(&first, 0..6);
    let account = first.flush(Duration::from_secs(1)).await;
    assert_eq!((account.delivered, account.spooled), (4, 2));
    drop(first);

    let script = accepting();
    let next = delivery(spooling(directory.path()), &script);
    assert_eq!(next.account().replayed, 2);
    next.shutdown(LONG).await;
    assert_eq!(sent(&script), [[1, 4]]);
}

#[tokio::test(start_paused = true)]
async fn memory_holds_what_fits_and_the_rest_is_read_back_in_order() {
    let directory = directory();
    let script = accepting();
    let options = spooling(directory.path())
        .with_queue_events(10)
        .with_batch_events(7);
    let delivery = delivery(options, &script);
    record(&delivery, 0..1_000);
    let account = delivery.account();
    assert_eq!((account.spooled, account.queued), (1_000, 0));
    let account = delivery.flush(LONG).await;
    assert_eq!((account.delivered, account.pending()), (1_000, 0));
    let order: Vec<_> = sent(&script).into_iter().flatten().collect();
    assert_eq!(order, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_quota_is_used_up_does_not_fill_memory() {
    let directory = directory();
    let script = Script::new();
    script.respond("/batch", |request: &Received| {
        if numbers(request).iter().any(|number| number % 2 == 0) {
            Answer::status(429).send(r#"{"exceeded_daily_quota_users":{"robot":500001}}"#)
        } else {
            Answer::json(ACCEPTED)
        }
    });
    let options = spooling(directory.path())
        .with_queue_events(10)
        .with_batch_events(5);
    let delivery = delivery(options, &script);
    for number in 0..200 {
        let event = if number % 2 == 0 {
            event_of("robot", "device-of-robot", number)
        } else {
            event(number)
        };
        delivery.record(&event).expect("room");
    }
    let account = delivery.flush(Duration::from_secs(60)).await;
    assert_eq!((account.delivered, account.spooled), (100, 100));

    let before = script.requests().len();
    script.on("/batch", Answer::json(ACCEPTED));
    record(&delivery, 201..202);
    let account = delivery.flush(Duration::from_secs(4_000)).await;
    assert_eq!((account.delivered, account.pending()), (201, 0));
    let order: Vec<_> = sent(&script)
        .drain(before..)
        .flatten()
        .filter(|number| number % 2 == 0)
        .collect();
    assert_eq!(order, (0..200).step_by(2).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_full_spool_does_not_take_is_kept_in_memory_then_refused() {
    let directory = directory();
    let script = accepting();
    let spool = SpoolOptions::new(directory.path()).with_max_bytes(2_000);
    let delivery = delivery(options().with_spool(spool).with_queue_events(20), &script);
    let mut taken = Vec::new();
    for number in 0..100 {
        match delivery.record(&event(number)) {
            Ok(()) => taken.push(number),
            Err(cause) => assert_eq!(cause, DropCause::SpoolFull),
        }
    }
    let account = delivery.account();
    assert!(account.spooled > 5, "{account:?}");
    assert_eq!(
        (account.queued, account.pending()),
        (10, taken.len() as u64)
    );
    assert_eq!(
        account.dropped.get(DropCause::SpoolFull),
        100 - account.pending()
    );
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, taken.len() as u64);
    assert_eq!(sent(&script), [taken]);
    // There is room again.
    record(&delivery, 100..105);
    assert_eq!(delivery.account().spooled, 5);
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_written_leaves_events_in_memory_until_it_can() {
    let directory = directory();
    // Below a file there is no directory, whoever asks.
    let blocked = directory.path().join("spool");
    fs::write(&blocked, "").expect("a file");
    let script = Script::new();
    script.on("/batch", Answer::status(503));
    let first = delivery(spooling(&blocked), &script);
    tokio::spawn(first.worker());
    record(&first, 0..3);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(first.account().queued, 3);

    fs::remove_file(&blocked).expect("the file");
    sleep(Duration::from_secs(120)).await;
    let account = first.account();
    assert_eq!((account.queued, account.spooled), (0, 3));
    record(&first, 3..4);
    drop(first);
    sleep(Duration::from_secs(1)).await;
    let next = delivery(spooling(&blocked), &accepting());
    assert_eq!(next.account().replayed, 4);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_more_is_still_read() {
    let directory = directory();
    let script = accepting();
    let spool = SpoolOptions::new(directory.path()).with_max_bytes(16_000);
    let delivery = delivery(options().with_spool(spool).with_queue_events(4), &script);
    // No file can be made where there is one.
    let lock = files(directory.path(), "lock").remove(0);
    let lane = lock.file_stem().expect("a name").to_string_lossy();
    record(&delivery, 0..20);
    for number in 0..1_000 {
        let next = directory.path().join(format!("{lane}.{number:08}.spool"));
        if !next.exists() {
            fs::create_dir(next).expect("a directory in its place");
        }
    }
    let mut taken = 20;
    while delivery.record(&event(taken)).is_ok() {
        taken += 1;
    }
    let account = delivery.account();
    assert!(account.spooled >= 20 && account.queued > 0, "{account:?}");
    let account = delivery.flush(LONG).await;
    assert_eq!((account.delivered, account.pending()), (taken as u64, 0));
    let order: Vec<_> = sent(&script).into_iter().flatten().collect();
    assert_eq!(order, (0..taken).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn events_whose_file_is_gone_are_counted() {
    let directory = directory();
    let script = accepting();
    let options = spooling(directory.path()).with_queue_events(4);
    let delivery = delivery(options, &script);
    record(&delivery, 0..10);
    for file in files(directory.path(), "spool") {
        fs::remove_file(file).expect("a file");
    }
    let account = delivery.flush(LONG).await;
    assert_eq!(account.delivered, 2);
    assert_eq!(account.dropped.get(DropCause::Damaged), 8);
    assert_eq!(account.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn processes_that_share_a_directory_leave_each_other_alone() {
    let directory = directory();
    let script = accepting();
    let first = delivery(spooling(directory.path()), &script);
    record(&first, 0..3);
    let second = delivery(spooling(directory.path()), &script);
    assert_eq!(second.account().recorded, 0);
    record(&second, 3..6);
    drop(first);
    // Only what the first one left is free.
    let third = delivery(spooling(directory.path()), &script);
    assert_eq!(third.account().replayed, 3);
    third.shutdown(LONG).await;
    second.shutdown(LONG).await;
    assert_eq!(sent(&script), [[0, 1, 2], [3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn a_child_after_a_fork_writes_files_of_its_own() {
    let directory = directory();
    let script = accepting();
    let parent = delivery(spooling(directory.path()), &script);
    record(&parent, 0..3);
    let child = parent.after_fork(Arc::new(InMemoryTransport::new(script.clone())));
    assert_eq!(child.account().recorded, 0);
    record(&child, 3..4);
    assert_eq!(files(directory.path(), "lock").len(), 2);
    child.shutdown(LONG).await;
    assert_eq!(sent(&script), [[3]]);
    assert_eq!(parent.account().spooled, 3);
}

#[tokio::test]
async fn every_fsync_policy_keeps_events() {
    for fsync in [
        Fsync::Never,
        Fsync::Every(Duration::from_millis(1)),
        Fsync::EachEvent,
    ] {
        let directory = directory();
        let spool = SpoolOptions::new(directory.path()).with_fsync(fsync);
        let first = delivery(options().with_spool(spool), &Script::new());
        let worker = tokio::spawn(first.worker());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let first = first.clone();
                std::thread::spawn(move || record(&first, thread * 20..thread * 20 + 20))
            })
            .collect();
        for thread in threads {
            thread.join().expect("the thread records");
        }
        sleep(Duration::from_millis(10)).await;
        worker.abort();
        let _ = worker.await;
        drop(first);
        let next = delivery(spooling(directory.path()), &accepting());
        assert_eq!(next.account().replayed, 80, "{fsync:?}");
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn files_are_for_their_owner_and_their_names_say_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let directory = directory();
    let spool = directory.path().join("made/by/us");
    let delivery = delivery(spooling(&spool).with_batch_events(2), &{
        let script = Script::new();
        script.then("/batch", [Answer::json(ACCEPTED)]);
        script
    });
    record(&delivery, 0..4);
    delivery.flush(Duration::from_secs(1)).await;
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&spool), 0o700);
    let mut kinds = BTreeSet::new();
    for file in fs::read_dir(&spool).expect("a directory") {
        let path = file.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(!name.contains("user") && !name.contains("device"), "{name}");
        kinds.insert(name.rsplit('.').next().expect("a kind").to_owned());
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["acks", "lock", "spool"]
    );
}

/// A spool of six events of which the second and the fourth are acknowledged: the name of its lane
/// and the content of its two files.
async fn example() -> (String, Vec<u8>, Vec<u8>) {
    let directory = directory();
    let script = Script::new();
    let hopeless = r#"{"error":"x","silenced_events":[1,3]}"#;
    script.then("/batch", [Answer::status(400).send(hopeless)]);
    script.on("/batch", Answer::refused());
    let delivery = delivery(spooling(directory.path()), &script);
    record(&delivery, 0..6);
    let account = delivery.flush(Duration::from_millis(1)).await;
    assert_eq!(account.spooled, 4);
    let [records, acks] = ["spool", "acks"].map(|kind| files(directory.path(), kind).remove(0));
    let name = records.file_stem().expect("a name").to_string_lossy();
    (
        name.into_owned(),
        fs::read(records).expect("records"),
        fs::read(acks).expect("acks"),
    )
}

/// The events that a process finds in such files, by number.
async fn found(name: &str, records: &[u8], acks: &[u8]) -> BTreeMap<usize, Value> {
    let directory = directory();
    let path = |kind| directory.path().join(format!("{name}.{kind}"));
    fs::write(path("spool"), records).expect("records");
    fs::write(path("acks"), acks).expect("acks");
    let script = accepting();
    let delivery = delivery(spooling(directory.path()), &script);
    let account = delivery.shutdown(LONG).await;
    assert_eq!(account.recorded, account.delivered);
    let mut found = BTreeMap::new();
    for request in script.requests() {
        let body = request.json().expect("JSON");
        for event in body["events"].as_array().expect("events") {
            let twice = found.insert(number_of(event), event.clone());
            assert!(twice.is_none());
        }
    }
    assert_eq!(found.len() as u64, account.replayed);
    found
}

/// Where each record of the example begins, and where the last one ends.
pub(crate) fn boundaries(records: &[u8]) -> Vec<usize> {
    let mut boundaries: Vec<_> = (0..records.len())
        .step_by(32)
        .filter(|&at| records[at] == 0xFF)
        .collect();
    boundaries.push(records.len());
    boundaries
}

#[tokio::test(start_paused = true)]
async fn of_a_file_cut_anywhere_every_whole_record_is_found() {
    let (name, records, acks) = example().await;
    let boundaries = boundaries(&records);
    assert_eq!(boundaries.len(), 7);
    let whole = found(&name, &records, &[]).await;
    assert_eq!(whole.len(), 6);
    for cut in 0..=records.len() {
        let found = found(&name, &records[..cut], &acks).await;
        for (number, &end) in boundaries[1..].iter().enumerate() {
            // Behind the payload there are up to 31 zeros, which nobody misses.
            let payload_end = end
                - records[..end]
                    .iter()
                    .rev()
                    .take_while(|&&it| it == 0)
                    .count();
            let expected = cut >= payload_end && ![1, 3].contains(&number);
            assert_eq!(found.contains_key(&number), expected, "{number} of {cut}");
        }
        for (number, event) in found {
            assert_eq!(event, whole[&number]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_bit_costs_one_record_and_changes_none() {
    let (name, records, _) = example().await;
    let boundaries = boundaries(&records);
    let whole = found(&name, &records, &[]).await;
    for at in 0..records.len() {
        let mut damaged = records.clone();
        damaged[at] ^= 1 << (at % 8);
        let found = found(&name, &damaged, &[]).await;
        for (number, range) in boundaries.windows(2).enumerate() {
            if !(range[0]..range[1]).contains(&at) {
                assert_eq!(found.get(&number), whole.get(&number), "{number}, {at}");
            }
        }
        for (number, event) in found {
            assert_eq!(event, whole[&number], "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_acknowledgements_send_events_again_and_lose_none() {
    let (name, records, acks) = example().await;
    for at in 0..acks.len() {
        let mut damaged = acks.clone();
        damaged[at] ^= 1 << (at % 8);
        for acks in [&acks[..at], &damaged] {
            let found = found(&name, &records, acks).await;
            for number in [0, 2, 4, 5] {
                assert!(found.contains_key(&number), "{number}, {at}");
            }
            // One of the two entries is whole.
            assert!(found.len() < 6 || acks.len() < 12, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn damage_is_counted_and_a_cut_off_end_is_not() {
    let (name, mut records, _) = example().await;
    let boundaries = boundaries(&records);
    records[boundaries[1] + 20] ^= 1;
    records[boundaries[3] + 20] ^= 1;
    records.truncate(boundaries[5] + 50);
    let directory = directory();
    fs::write(directory.path().join(format!("{name}.spool")), &records).expect("records");
    let delivery = delivery(spooling(directory.path()), &accepting());
    let account = delivery.account();
    assert_eq!((account.replayed, account.damaged), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_user_cannot_forge_a_record() {
    let directory = directory();
    let (_, records, _) = example().await;
    // An id that carries a record, at every alignment, in the only way in which JSON can.
    let forged: String = records[..200]
        .iter()
        .map(|&byte| char::from(byte))
        .collect();
    let first = delivery(spooling(directory.path()), &Script::new());
    for padding in 0..32 {
        let id = format!("{}{forged}", "x".repeat(padding));
        first
            .record(&event_of(&id, "device", 100 + padding))
            .expect("room");
    }
    drop(first);
    let file = files(directory.path(), "spool").remove(0);
    let mut records = fs::read(&file).expect("records");
    for start in boundaries(&records) {
        if let Some(byte) = records.get_mut(start + 5) {
            *byte ^= 0x40;
        }
    }
    fs::write(&file, records).expect("records");
    let next = delivery(spooling(directory.path()), &accepting());
    assert_eq!(next.account().replayed, 0);
}

/// Tells the child what to do: `record` or `deliver`, and the directory.
const CHILD: &str = "XPMT_TEST_SPOOL_CHILD";

/// Not a test: what a child process runs until it is killed.
#[test]
fn child_process_of_the_tests_below() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (task, directory) = task.split_once(' ').expect("a task and a directory");
    let script = Script::new();
    script.respond("/batch", |request: &Received| {
        for number in numbers(request) {
            println!("accepted {number}");
        }
        Answer::json(ACCEPTED)
    });
    let options = spooling(Path::new(directory))
        .with_flush_threshold(10)
        .with_queue_events(50);
    let delivery = delivery(options, &script);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    if task == "deliver" {
        runtime.spawn(delivery.worker());
    }
    for number in 0.. {
        delivery.record(&event(number)).expect("room");
        println!("recorded {number}");
        if task == "deliver" {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    said: Vec<String>,
}

impl Running {
    fn start(task: &str, directory: &Path) -> Self {
        let mut child = start(
            Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "spool::child_process_of_the_tests_below"])
                .args(["--nocapture", "--test-threads=1"])
                .env(CHILD, format!("{task} {}", directory.display()))
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self {
            child,
            output,
            said: Vec::new(),
        }
    }

    /// Reads until it has said as much.
    fn listen(&mut self, lines: usize) {
        while self.said.len() < lines {
            assert!(self.hear(), "the child ended: {:?}", self.said);
        }
    }

    fn hear(&mut self) -> bool {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("output");
        if line.ends_with('\n') {
            self.said.push(line.trim().to_owned());
        }
        read > 0
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let status = start(kill.args([signal, &self.child.id().to_string()]))
            .wait()
            .expect("the command `kill` ends");
        assert!(status.success());
    }

    /// Kills it, and returns the events that it recorded and those that the service accepted.
    fn kill(mut self) -> (BTreeSet<usize>, BTreeSet<usize>) {
        self.child.kill().expect("it runs");
        while self.hear() {}
        self.child.wait().expect("it ends");
        let said = |what: &str| {
            self.said
                .iter()
                .filter_map(|line| line.strip_prefix(what)?.trim().parse().ok())
                .collect()
        };
        (said("recorded"), said("accepted"))
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_recorded_is_lost_when_the_process_is_killed() {
    for round in 0..5 {
        let directory = directory();
        let mut child = Running::start("record", directory.path());
        child.listen(10 + round * 97);
        let (recorded, _) = child.kill();
        let script = accepting();
        let next = delivery(spooling(directory.path()), &script);
        let account = next.shutdown(LONG).await;
        assert_eq!(account.delivered, account.replayed);
        let times = times_sent(&script);
        assert!(recorded.iter().all(|number| times.contains_key(number)));
        assert!(times.values().all(|&times| times == 1));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_lost_when_the_process_is_killed_while_it_delivers() {
    for round in 0..5 {
        let directory = directory();
        let mut child = Running::start("deliver", directory.path());
        child.listen(100 + round * 131);
        let (recorded, accepted) = child.kill();
        let script = accepting();
        let next = delivery(spooling(directory.path()), &script);
        next.shutdown(LONG).await;
        let times = times_sent(&script);
        assert!(times.values().all(|&times| times == 1));
        for number in recorded {
            assert!(times.contains_key(&number) || accepted.contains(&number));
        }
        assert!(!accepted.is_empty());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_stands_still_keeps_its_files() {
    let directory = directory();
    let mut child = Running::start("record", directory.path());
    child.listen(50);
    child.signal("-STOP");
    let script = accepting();
    let other = delivery(spooling(directory.path()), &script);
    assert_eq!(other.account().recorded, 0);
    other.shutdown(LONG).await;
    child.signal("-CONT");
    let said = child.said.len();
    child.listen(said + 2_000);
    let (recorded, _) = child.kill();
    let next = delivery(spooling(directory.path()), &script);
    next.shutdown(LONG).await;
    let times = times_sent(&script);
    assert!(recorded.iter().all(|number| times.get(number) == Some(&1)));
}

#[test]
fn options_and_handles_can_be_sent_to_other_threads() {
    fn send<T: Send + Sync>() {}
    send::<Delivery>();
    send::<DeliveryOptions>();
}
