//! [`Stage`]: a process with its clients, and what must be true of it at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use experiment_client::{
    Account, Clock, CohortOptions, DeliveryOptions, Endpoints, Error, EvaluateOptions,
    FetchOptions, Fetched, LocalClient, Measurement, Metrics, Phase, RemoteClient, RetryPolicy,
    SpoolOptions, SystemClock, Tracking, Transport, Updates, test_kit::ManualClock,
};
use experiment_model::{Timestamp, User, Variants};
use tokio::time::{Instant, sleep};

use super::services::{AFTER, BEFORE, Expected, FLAG_KEYS, Fact, Services, user};
use crate::secrets::{clean, clean_debug, shown};

/// Long enough for any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// On real sockets: how long an attempt waits where nothing comes.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

const READERS: usize = 50;

/// The largest answer that the clients take.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As the paused clock says, with the defaults of the clients.
    Virtual,
    /// For real, with clients that hurry. An attempt takes this long at most.
    Real(Duration),
}

/// Where a process runs, and what it keeps.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) endpoints: Endpoints,
    pub(crate) updates: Updates,
    pub(crate) pace: Pace,
    pub(crate) spool: Option<SpoolOptions>,
    /// With the last good flags.
    pub(crate) file: Option<PathBuf>,
}

/// Whatever the clients measure.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeMap<String, usize>>);

impl Metrics for Told {
    fn record(&self, measurement: &Measurement<'_>) {
        let shown = format!("{measurement:?}");
        clean("metrics", &shown);
        let name = shown
            .split([' ', '('])
            .next()
            .unwrap_or_default()
            .to_owned();
        *self.0.lock().expect("no panic").entry(name).or_default() += 1;
    }
}

impl Told {
    pub(crate) fn count(&self, name: &str) -> usize {
        let told = self.0.lock().expect("no panic");
        told.get(name).copied().unwrap_or_default()
    }
}

pub(crate) struct Stage {
    pub(crate) services: Services,
    pub(crate) place: Place,
    pub(crate) client: LocalClient,
    remote: RemoteClient,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: Arc<Told>,
    readers: Arc<Readers>,
    /// What was tracked, in order, by this process or those before it.
    pub(crate) facts: Vec<Fact>,
    /// How many of these this process has recorded.
    recorded: u64,
    next_user: usize,
}

impl Stage {
    pub(crate) fn new(services: Services, place: Place) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(
            1_700_000_000_000,
        )));
        let told = Arc::new(Told::default());
        let (client, remote) = place.clients(&clock, &told);
        Self {
            services,
            place,
            client,
            remote,
            clock,
            told,
            readers: Arc::new(Readers::new()),
            facts: Vec::new(),
            recorded: 0,
            next_user: 1_000,
        }
    }

    /// The process is gone, and after a while another is in its place, without the services.
    pub(crate) async fn restart(&mut self, place: Place, meanwhile: impl FnOnce(&mut Vec<Fact>)) {
        let idle = Place {
            updates: Updates::Off,
            spool: None,
            file: None,
            ..place.clone()
        };
        // The old one lets go of its files.
        self.client = idle.clients(&self.clock, &self.told).0;
        sleep(MOMENT).await;
        meanwhile(&mut self.facts);
        self.place = place;
        (self.client, self.remote) = self.place.clients(&self.clock, &self.told);
        self.recorded = 0;
        let started = self.client.start(MOMENT).await;
        started.expect("flags of the file will do");
    }

    /// Evaluates fresh users, which are tracked.
    pub(crate) fn track(&mut self, users: usize) {
        for _ in 0..users {
            let user = user(self.next_user);
            self.next_user += 1;
            let facts = track(&self.client, &user);
            self.recorded += facts.len() as u64;
            self.facts.extend(facts);
        }
        self.check_account();
    }

    /// Every reader gets what the version gives it, at once.
    pub(crate) fn look(&self, version: u32) {
        let start = Instant::now();
        assert!(
            self.serves(version),
            "other answers than those of {version}"
        );
        if self.place.pace == Pace::Virtual {
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }

    pub(crate) fn serves(&self, version: u32) -> bool {
        self.readers.serves(&self.client, version)
    }

    /// The same from a thread that knows nothing of the runtime, while the runtime stands still and
    /// all tasks are where the fault left them.
    pub(crate) fn look_from_a_thread(&mut self, version: u32) {
        let user = user(self.next_user);
        self.next_user += 1;
        let (client, readers) = (self.client.clone(), Arc::clone(&self.readers));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let facts = track(&client, &user);
            let _ = sender.send((readers.serves(&client, version), facts));
        });
        let looked = receiver.recv_timeout(PATIENCE);
        let (serves, facts) = looked.expect("evaluating waits for nothing");
        assert!(serves, "other answers than those of {version} in a thread");
        self.recorded += facts.len() as u64;
        self.facts.extend(facts);
        self.check_account();
    }

    pub(crate) fn check_account(&self) -> Account {
        let account = self.client.account();
        let sum = account.delivered + account.queued + account.spooled + account.dropped.total();
        assert_eq!(account.recorded, sum, "{account:?}");
        assert_eq!(
            account.recorded,
            self.recorded + account.replayed,
            "{account:?}"
        );
        account
    }

    /// Time passes: five seconds, or a moment.
    pub(crate) async fn pass(&self) {
        match self.place.pace {
            Pace::Virtual => {
                let step = Duration::from_secs(5);
                self.clock.advance(step);
                sleep(step).await;
            }
            Pace::Real(_) => sleep(Duration::from_millis(3)).await,
        }
        self.check_account();
    }

    /// Waits until something is true, as long as can be expected.
    pub(crate) async fn until(&self, what: &str, mut is_true: impl FnMut(&Self) -> bool) {
        let patience = match self.place.pace {
            Pace::Virtual => Duration::from_secs(2 * 3_600),
            Pace::Real(_) => PATIENCE,
        };
        let start = Instant::now();
        while !is_true(self) {
            assert!(
                start.elapsed() < patience,
                "never {what}: {:?} {:?}",
                self.client.freshness(),
                self.client.account()
            );
            self.pass().await;
        }
    }

    /// What a fetch of variants comes to: the variants it has, or an error.
    pub(crate) async fn fetch(&self) -> String {
        let fetched = self.remote.fetch(&user(1), FetchOptions::new()).await;
        clean_debug(&fetched.as_ref().ok());
        match fetched {
            Ok(fetched) => keys(&fetched),
            Err(error) => kind(&error),
        }
    }

    /// Nothing that can be printed shows a key or a user.
    pub(crate) fn check_debug(&self) {
        clean_debug(&self.client);
        clean_debug(&self.client.freshness());
        clean_debug(&self.client.account());
        clean_debug(&self.client.flags());
        clean_debug(&self.remote);
        clean_debug(&self.place.transport);
    }

    /// Compares what was tracked with what the services accepted: each thing under one insert id.
    /// Returns what is missing.
    pub(crate) fn missing(&self, most_unknown: usize) -> BTreeSet<Fact> {
        let accepted = self.services.accepted();
        let facts: BTreeSet<Fact> = accepted.values().cloned().collect();
        assert_eq!(accepted.len(), facts.len(), "one thing has two insert ids");
        let tracked: BTreeSet<Fact> = self.facts.iter().cloned().collect();
        assert_eq!(tracked.len(), self.facts.len(), "every user is a new one");
        let unknown = facts.difference(&tracked).count();
        assert!(
            unknown <= most_unknown,
            "{unknown} events that nobody tracked"
        );
        tracked.difference(&facts).cloned().collect()
    }
}

impl Place {
    fn clients(&self, clock: &Arc<ManualClock>, told: &Arc<Told>) -> (LocalClient, RemoteClient) {
        let mut delivery = DeliveryOptions::new("canary-api-key");
        let mut cohorts = CohortOptions::new("canary-api-key", "canary-secret-key")
            .with_max_body_bytes(BODY_LIMIT);
        let mut retry = RetryPolicy::default();
        let mut stale_after = Duration::from_secs(90);
        let mut time: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        if let Pace::Real(attempt) = self.pace {
            let (min, max) = (Duration::from_millis(1), Duration::from_millis(20));
            retry = retry
                .with_retries(1)
                .with_backoff(min, max, 1.5)
                .with_attempt_timeout(attempt)
                .with_total_timeout(PATIENCE * 2);
            cohorts = cohorts.with_retry(retry);
            delivery = delivery
                .with_flush_interval(max)
                .with_backoff(min, max, 2.0)
                .with_upload_timeout(attempt);
            stale_after = MOMENT / 2;
            time = Arc::new(SystemClock);
        }
        if let Some(spool) = &self.spool {
            delivery = delivery.with_spool(spool.clone());
        }
        let tracking = Tracking::new(delivery);
        clean_debug(&tracking);
        clean_debug(&cohorts);
        let mut local = LocalClient::builder("canary-deployment-key")
            .endpoints(self.endpoints.clone())
            .transport(Arc::clone(&self.transport))
            .updates(self.updates)
            .retry(retry)
            .body_limit(BODY_LIMIT)
            .stale_after(stale_after)
            .cohorts(cohorts)
            .tracking(tracking)
            .clock(time)
            .metrics(Arc::clone(told) as Arc<dyn Metrics>);
        if let Some(file) = &self.file {
            local = local.last_good_file(file);
        }
        clean_debug(&local);
        let remote = RemoteClient::builder("canary-deployment-key")
            .endpoints(self.endpoints.clone())
            .transport(Arc::clone(&self.transport))
            .retry(retry)
            .body_limit(BODY_LIMIT)
            .metrics(Arc::clone(told) as Arc<dyn Metrics>);
        clean_debug(&remote);
        (
            local.build().expect("the options are good"),
            remote.build().expect("the options are good"),
        )
    }
}

/// The users that evaluate all the time, and what each version gives them.
struct Readers(BTreeMap<u32, Vec<(User, Vec<Fact>)>>);

impl Readers {
    fn new() -> Self {
        let of = |version| {
            let expected = Expected::of(version);
            let users = (0..READERS).map(user);
            users
                .map(|user| (user.clone(), expected.facts(&user)))
                .collect()
        };
        Self([BEFORE, AFTER].map(|version| (version, of(version))).into())
    }

    fn serves(&self, client: &LocalClient, version: u32) -> bool {
        let readers = &self.0[&version];
        readers.iter().all(|(user, expected)| {
            let options = EvaluateOptions::new().with_flag_keys(FLAG_KEYS);
            let variants = client.evaluate(user, options).expect("there are flags");
            let one_by_one = expected.iter().all(|(_, flag, key)| {
                let variant = client.variant(user, flag);
                variant.is_some_and(|variant| variant.key.as_deref() == Some(key))
            });
            one_by_one && facts(user, &variants) == *expected
        })
    }
}

/// Evaluates a user with tracking, and returns what it tracked.
pub(crate) fn track(client: &LocalClient, user: &User) -> Vec<Fact> {
    let options = EvaluateOptions::new()
        .with_flag_keys(FLAG_KEYS)
        .with_tracks_exposure(true);
    let variants = client.evaluate(user, options).expect("there are flags");
    facts(user, &variants)
}

fn facts(user: &User, variants: &Variants) -> Vec<Fact> {
    let id = user.user_id().expect("an id");
    let fact = |flag: &str, key: Option<&str>| {
        let key = key.unwrap_or_default();
        (id.to_owned(), flag.to_owned(), key.to_owned())
    };
    variants
        .iter()
        .map(|(flag, variant)| fact(flag, variant.key.as_deref()))
        .collect()
}

fn keys(fetched: &Fetched) -> String {
    let keys = fetched.variants.iter();
    let keys: Vec<&str> = keys.filter_map(|(_, it)| it.key.as_deref()).collect();
    format!("got {}", keys.join(" "))
}

/// What went wrong, in a few words.
pub(crate) fn kind(error: &Error) -> String {
    clean("error", &shown(error));
    match error {
        Error::Status {
            status,
            retry_after: None,
            ..
        } => format!("status {status}"),
        Error::Status {
            status,
            retry_after: Some(time),
            ..
        } => format!("status {status} for {} s", time.as_secs()),
        Error::Transport { kind, .. } => format!("{kind:?}"),
        Error::Timeout { phase, .. } => match phase {
            Phase::Head => "no head",
            Phase::Body => "no end",
            _ => "no more time",
        }
        .to_owned(),
        Error::Malformed { reason, .. } => format!("malformed: {reason}"),
        Error::TooLarge { .. } => "too large".to_owned(),
        other => format!("{other:?}"),
    }
}
