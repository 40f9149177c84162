//! Ten thousand random schedules of faults: after each step every event is accounted for, and in
//! the end every event was accepted by the service or dropped for a reason that was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    Account, Delivery, DeliveryOptions, DropCause, Fsync, Measurement, Metrics, SpoolOptions,
    test_kit::{Answer, Received, Script},
};
use fastrand::Rng;
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::ingestion::{
    ACCEPTED, delivery_while_none_starts, event_of, no_process_starts, numbers, options,
};

const SCHEDULES: u64 = 10_000;
const STEPS: usize = 14;
const USERS: usize = 4;

/// What a schedule consists of.
#[derive(Clone, Copy, Debug)]
enum Op {
    Record(usize),
    /// The next answers are such.
    Answers(Mood, usize),
    /// The standing answer is such.
    Weather(Mood),
    Pass(Duration),
    Flush(Duration),
    /// A flush whose future is dropped.
    GiveUp(Duration),
    /// The directory of the spool is gone.
    LoseDisk,
    FindDisk,
    /// The process dies and another starts.
    Crash,
    /// The process ends as it should and another starts.
    Restart,
}

/// How the service feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Accepts,
    /// It accepts the events and fails to say so.
    AcceptsInSilence,
    FindsInvalid,
    FindsRequestInvalid,
    RejectsWithoutReason,
    FindsTooLarge,
    Throttles,
    ThrottlesAndWaits,
    Exhausted,
    Busy(u16),
    RefusesKey,
    Refuses(u16),
    Html,
    Refused,
    Silent,
    Truncates,
}

const MOODS: [Mood; 22] = [
    Mood::Accepts,
    Mood::Accepts,
    Mood::Accepts,
    Mood::AcceptsInSilence,
    Mood::FindsInvalid,
    Mood::FindsInvalid,
    Mood::FindsRequestInvalid,
    Mood::RejectsWithoutReason,
    Mood::FindsTooLarge,
    Mood::Throttles,
    Mood::Throttles,
    Mood::ThrottlesAndWaits,
    Mood::Exhausted,
    Mood::Busy(429),
    Mood::Busy(500),
    Mood::Busy(503),
    Mood::RefusesKey,
    Mood::Refuses(403),
    Mood::Html,
    Mood::Refused,
    Mood::Silent,
    Mood::Truncates,
];

fn mood(rng: &mut Rng) -> Mood {
    MOODS[rng.usize(..MOODS.len())]
}

fn op(rng: &mut Rng, spool: bool) -> Op {
    let millis = |rng: &mut Rng, most| Duration::from_millis(rng.u64(..most));
    match rng.u32(..if spool { 20 } else { 16 }) {
        0..=4 => Op::Record(rng.usize(1..8)),
        5..=7 => Op::Answers(mood(rng), rng.usize(1..4)),
        8 | 9 => Op::Weather(mood(rng)),
        10 => Op::Pass(millis(rng, 400_000)),
        11 | 12 => Op::Pass(millis(rng, 20_000)),
        13 | 14 => Op::Flush(millis(rng, 40_000)),
        15 => Op::GiveUp(millis(rng, 10)),
        16 => Op::LoseDisk,
        17 => Op::FindDisk,
        18 => Op::Crash,
        _ => Op::Restart,
    }
}

/// What the service did with the events it was sent.
#[derive(Debug, Default)]
struct Service {
    /// In the order in which they were accepted first.
    accepted: Vec<usize>,
    /// Those for which the client was told so.
    acknowledged: BTreeSet<usize>,
    /// Those it named, or rejected alone.
    rejected: BTreeSet<usize>,
    /// Sent although they had been acknowledged.
    sent_again: BTreeSet<usize>,
}

impl Service {
    fn accept(&mut self, events: &[usize]) {
        for event in events {
            if !self.accepted.contains(event) {
                self.accepted.push(*event);
            }
        }
    }

    fn answer(&mut self, mood: Mood, events: &[usize]) -> Answer {
        let acknowledged = |event: &&usize| self.acknowledged.contains(event);
        self.sent_again
            .extend(events.iter().filter(acknowledged).copied());
        let every_other = || (0..events.len()).step_by(2);
        let user_of = |at: usize| format!("user-{}", events[at] % USERS);
        let bad = |body: serde_json::Value| Answer::status(400).send(body.to_string());
        match mood {
            Mood::Accepts => {
                self.accept(events);
                self.acknowledged.extend(events);
                Answer::json(ACCEPTED)
            }
            Mood::AcceptsInSilence => {
                self.accept(events);
                Answer::status(504)
            }
            Mood::FindsInvalid => {
                self.rejected.extend(every_other().map(|at| events[at]));
                let named: Vec<_> = every_other().collect();
                bad(json!({"error": "x", "events_with_invalid_fields": {"time": named}}))
            }
            Mood::FindsRequestInvalid => {
                self.rejected.extend(events);
                bad(json!({"error": "x", "missing_field": "events"}))
            }
            Mood::RejectsWithoutReason => {
                if let [event] = events {
                    self.rejected.insert(*event);
                }
                bad(json!({"error": "x"}))
            }
            Mood::FindsTooLarge => {
                if let [event] = events {
                    self.rejected.insert(*event);
                }
                Answer::status(413)
            }
            Mood::Throttles => {
                let named: Vec<_> = every_other().collect();
                Answer::status(429).send(json!({"throttled_events": named}).to_string())
            }
            Mood::ThrottlesAndWaits => Answer::status(429)
                .header("retry-after", "20")
                .send(json!({"throttled_users": {user_of(0): 31}}).to_string()),
            Mood::Exhausted => Answer::status(429)
                .send(json!({"exceeded_daily_quota_users": {user_of(0): 500_001}}).to_string()),
            Mood::Busy(status) | Mood::Refuses(status) => Answer::status(status),
            Mood::RefusesKey => bad(json!({"error": "Invalid API key: k"})),
            Mood::Html => Answer::json("<html>"),
            Mood::Refused => Answer::refused(),
            Mood::Silent => Answer::silence(),
            Mood::Truncates => Answer::json("{\"code\": 2").reset(),
        }
    }
}

/// The sums of what metrics were told.
#[derive(Debug, Default)]
struct Told(Mutex<BTreeMap<&'static str, u64>>);

impl Metrics for Told {
    fn record(&self, measurement: &Measurement<'_>) {
        let (what, events) = match measurement {
            Measurement::EventsDelivered { events } => ("delivered", *events),
            Measurement::EventsDropped { events, cause } => (*cause, *events),
            _ => return,
        };
        *self.0.lock().expect("no panic").entry(what).or_default() += events as u64;
    }
}

/// One process after the other, with one service and one spool.
struct World {
    rng: Rng,
    script: Script,
    service: Arc<Mutex<Service>>,
    moods: Arc<Mutex<(Vec<Mood>, Mood)>>,
    directory: Option<PathBuf>,
    options: DeliveryOptions,
    told: Arc<Told>,
    delivery: Delivery,
    worker: JoinHandle<()>,
    next: usize,
    /// Calls of `record` of the process that runs.
    calls: u64,
    /// Events that were taken.
    taken: BTreeSet<usize>,
    /// Events that were in memory only when their process ended.
    lost: u64,
    /// Whether an upload was interrupted, so that its events may be sent again.
    interrupted: bool,
    /// Whether the disk was lost, so that what is on it may be out of order or sent again.
    disk_failed: bool,
    crashed: bool,
}

impl World {
    fn new(seed: u64, directory: Option<&Path>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let service = Arc::new(Mutex::new(Service::default()));
        let moods = Arc::new(Mutex::new((Vec::new(), Mood::Accepts)));
        let script = Script::new();
        let (asked, feels) = (Arc::clone(&service), Arc::clone(&moods));
        script.respond("/batch", move |request: &Received| {
            let mut moods = feels.lock().expect("no panic");
            let mood = moods.0.pop().unwrap_or(moods.1);
            let events = numbers(request);
            asked.lock().expect("no panic").answer(mood, &events)
        });
        let mut options = options()
            .with_batch_events(rng.usize(1..8))
            .with_flush_threshold(rng.usize(1..10))
            .with_queue_events(rng.usize(2..40));
        if let Some(directory) = directory {
            let spool = SpoolOptions::new(directory)
                .with_max_bytes(rng.u64(1_000..40_000))
                .with_fsync(Fsync::Never);
            options = options.with_spool(spool);
        }
        let (told, delivery, worker) = start(&options, &script);
        Self {
            rng,
            script,
            service,
            moods,
            directory: directory.map(Path::to_owned),
            options,
            told,
            delivery,
            worker,
            next: 0,
            calls: 0,
            taken: BTreeSet::new(),
            lost: 0,
            interrupted: false,
            disk_failed: false,
            crashed: false,
        }
    }

    async fn perform(&mut self, op: Op) {
        match op {
            Op::Record(events) => {
                for _ in 0..events {
                    let number = self.next;
                    self.next += 1;
                    self.calls += 1;
                    let user = format!("user-{}", number % USERS);
                    if self
                        .delivery
                        .record(&event_of(&user, &user, number))
                        .is_ok()
                    {
                        self.taken.insert(number);
                    }
                }
            }
            Op::Answers(mood, times) => {
                let mut moods = self.moods.lock().expect("no panic");
                moods.0.splice(0..0, vec![mood; times]);
            }
            Op::Weather(mood) => self.moods.lock().expect("no panic").1 = mood,
            Op::Pass(time) => sleep(time).await,
            Op::Flush(deadline) => {
                // Its deadline may cut an upload off.
                self.interrupted = true;
                self.delivery.flush(deadline).await;
            }
            Op::GiveUp(time) => {
                self.interrupted = true;
                let _ = timeout(time, self.delivery.flush(Duration::from_secs(60))).await;
            }
            Op::LoseDisk => self.move_disk(false),
            Op::FindDisk => self.move_disk(true),
            Op::Crash => {
                self.interrupted = true;
                self.crashed = true;
                self.worker.abort();
                let _ = (&mut self.worker).await;
                self.restart();
            }
            Op::Restart => {
                self.interrupted = true;
                let deadline = Duration::from_millis(self.rng.u64(..30_000));
                self.delivery.shutdown(deadline).await;
                (&mut self.worker).await.expect("the worker ends");
                self.restart();
            }
        }
    }

    fn move_disk(&mut self, back: bool) {
        let Some(directory) = &self.directory else {
            return;
        };
        let away = directory.with_extension("away");
        if back && away.exists() {
            fs::remove_file(directory).expect("the file in its place");
            fs::rename(&away, directory).expect("a directory");
        } else if !back && !away.exists() {
            self.disk_failed = true;
            if directory.exists() {
                fs::rename(directory, &away).expect("a directory");
            } else {
                fs::create_dir(&away).expect("a directory");
            }
            fs::write(directory, "").expect("a file in its place");
        }
    }

    fn restart(&mut self) {
        let before = self.delivery.account();
        self.check(&before);
        self.lost += before.queued;
        // The old one lets go of its files.
        self.delivery = delivery_while_none_starts(options(), &Script::new());
        let (told, delivery, worker) = start(&self.options, &self.script);
        let account = delivery.account();
        if !self.disk_failed {
            assert_eq!(account.replayed, before.spooled);
        }
        assert_eq!(account.damaged, 0);
        self.told = told;
        self.delivery = delivery;
        self.worker = worker;
        self.calls = 0;
    }

    fn check(&self, account: &Account) {
        let sum = account.delivered + account.queued + account.spooled + account.dropped.total();
        assert_eq!(account.recorded, sum, "{account:?}");
        assert_eq!(account.recorded, self.calls + account.replayed);
        if self.directory.is_none() {
            assert_eq!((account.spooled, account.replayed), (0, 0));
        }
        let told = self.told.0.lock().expect("no panic");
        let told = |what| told.get(what).copied().unwrap_or(0);
        assert_eq!(told("delivered"), account.delivered);
        for (cause, events) in account.dropped.iter() {
            assert_eq!(told(cause.as_str()), events, "{cause:?}");
        }
        assert_eq!(account.dropped.get(DropCause::Damaged), 0);
        let service = self.service.lock().expect("no panic");
        assert!(
            self.interrupted || self.disk_failed || service.sent_again.is_empty(),
            "sent again: {:?}",
            service.sent_again
        );
    }

    /// The service is well and there is time enough.
    async fn end(&mut self) {
        self.move_disk(true);
        *self.moods.lock().expect("no panic") = (Vec::new(), Mood::Accepts);
        sleep(Duration::from_secs(2 * 3_600)).await;
        let account = self.delivery.account();
        self.check(&account);
        assert_eq!(account.pending(), 0, "{account:?}");

        let service = self.service.lock().expect("no panic");
        let accepted: BTreeSet<_> = service.accepted.iter().copied().collect();
        let missing: Vec<_> = self
            .taken
            .iter()
            .filter(|event| !accepted.contains(event) && !service.rejected.contains(event))
            .collect();
        assert!(missing.len() as u64 <= self.lost, "{missing:?}");
        assert!(accepted.is_subset(&self.taken));
        if !self.disk_failed {
            for user in 0..USERS {
                let of_user = |event: &&usize| **event % USERS == user;
                let order: Vec<_> = service.accepted.iter().filter(of_user).collect();
                assert!(order.is_sorted(), "{order:?}");
            }
        }
    }
}

fn start(options: &DeliveryOptions, script: &Script) -> (Arc<Told>, Delivery, JoinHandle<()>) {
    let told = Arc::new(Told::default());
    let options = options.clone().with_metrics(told.clone());
    let delivery = delivery_while_none_starts(options, script);
    let worker = tokio::spawn(delivery.worker());
    (told, delivery, worker)
}

fn run(seed: u64) {
    let _quiet = no_process_starts();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let with_spool = seed.is_multiple_of(2);
        let place = with_spool.then(|| tempfile::tempdir().expect("a directory"));
        let directory = place.as_ref().map(|place| place.path().join("spool"));
        let mut world = World::new(seed, directory.as_deref());
        for step in 0..STEPS {
            let op = op(&mut world.rng, with_spool);
            if std::env::var_os("XPMT_TEST_SCHEDULE").is_some() {
                eprintln!("{step}: {op:?}\n   {:?}", world.delivery.account());
            }
            world.perform(op).await;
            world.check(&world.delivery.account());
        }
        world.end().await;
    });
}

#[test]
fn no_schedule_of_faults_loses_an_event() {
    // One schedule, step by step.
    if let Ok(seed) = std::env::var("XPMT_TEST_SCHEDULE") {
        return run(seed.parse().expect("a number"));
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (0..SCHEDULES).skip(thread).step_by(threads) {
                    let result = std::panic::catch_unwind(|| run(seed));
                    assert!(result.is_ok(), "see XPMT_TEST_SCHEDULE={seed}");
                }
            });
        }
    });
}
