//! [`Services`]: all services in one script, what they have while they are well, and the events
//! that they accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use experiment_client::{
    Cohort, CohortStore, Enriched, paths,
    test_kit::{Answer, Received, Script},
};
use experiment_evaluation::{Options, Plan};
use experiment_model::{Timestamp, User};
use serde_json::{Value, json};

/// Versions of the configuration: what a server has that is behind, what all have before and
/// during the fault, and what they have after it.
pub(crate) const OLD: u32 = 4;
pub(crate) const BEFORE: u32 = 5;
pub(crate) const AFTER: u32 = 6;

pub(crate) const FLAG_KEYS: &[&str] = &["checkout", "search"];
const COHORT: &str = "c1";

/// User id, flag, variant: what an exposure says.
pub(crate) type Fact = (String, String, String);

/// A user of this number, of whom nothing must be seen anywhere but in requests.
pub(crate) fn user(number: usize) -> User {
    User::new()
        .with_user_id(format!("canary-user-{number}"))
        .with_device_id(format!("canary-device-{number}"))
        .with_user_property("canary-property", "canary-value")
        .with_group("canary-type", "canary-group")
}

fn number_of(user_id: &str) -> usize {
    let number = user_id.rsplit('-').next().unwrap_or_default();
    number.parse().expect("a number")
}

/// Whose events some services refuse for good.
pub(crate) fn is_doomed(user_id: &str) -> bool {
    number_of(user_id).is_multiple_of(7)
}

/// Two flags whose variants all carry the version: one buckets users, one asks for a cohort.
pub(crate) fn flags(version: u32) -> String {
    Value::from(flag_list(version)).to_string()
}

pub(crate) fn flag_list(version: u32) -> Vec<Value> {
    let variants = |keys: [&str; 2]| -> Value {
        let variant = |key: &str| json!({"key": format!("{key}-{version}"), "value": key});
        keys.into_iter()
            .map(|key| (key.to_owned(), variant(key)))
            .collect()
    };
    let half = 42_949_673 / 2;
    let bucket = json!({
        "selector": ["context", "user", "user_id"],
        "salt": "checkout",
        "allocations": [{"range": [0, 100], "distributions": [
            {"variant": "a", "range": [0, half]},
            {"variant": "b", "range": [half, 42_949_673]},
        ]}],
    });
    let member = json!([[{
        "selector": ["context", "user", "cohort_ids"],
        "op": "set contains any",
        "values": [COHORT],
    }]]);
    vec![
        json!({"key": "checkout", "metadata": {"flagVersion": version},
            "variants": variants(["a", "b"]), "segments": [{"bucket": bucket}]}),
        json!({"key": "search", "metadata": {"flagVersion": version},
            "variants": variants(["in", "out"]),
            "segments": [{"conditions": member, "variant": "in"}, {"variant": "out"}]}),
    ]
}

/// Every third user, later every fourth.
fn members(version: u32) -> BTreeSet<String> {
    let step = if version == AFTER { 4 } else { 3 };
    (0..3_000)
        .step_by(step)
        .map(|number| format!("canary-user-{number}"))
        .collect()
}

fn cohort(version: u32) -> String {
    json!({"cohortId": COHORT, "groupType": "User", "lastModified": version, "memberIds": members(version)})
        .to_string()
}

pub(crate) fn variants(version: u32) -> String {
    json!({"checkout": {"key": format!("a-{version}"), "value": "a"}}).to_string()
}

/// A stream that sends flags and then keeps alive.
pub(crate) fn stream(flags: &str) -> Answer {
    let first = Answer::stream().send(format!("data: {flags}\n\n"));
    (0..40).fold(first, |answer, _| {
        answer.wait(Duration::from_secs(15)).send("data:  \n\n")
    })
}

/// What a version gives a user.
pub(crate) struct Expected {
    plan: Plan,
    cohorts: CohortStore,
}

impl Expected {
    pub(crate) fn of(version: u32) -> Self {
        let plan = Plan::from_json(flags(version).as_bytes(), &Options::default());
        let members = members(version).into_iter().collect();
        let cohort = Cohort::new("User", members, Timestamp::default());
        Self {
            plan: plan.expect("good flags"),
            cohorts: [(COHORT, cohort)].into_iter().collect(),
        }
    }

    pub(crate) fn facts(&self, user: &User) -> Vec<Fact> {
        let id = user.user_id().expect("an id");
        let context = Enriched::new(user, &self.cohorts);
        FLAG_KEYS
            .iter()
            .map(|key| {
                let variant = self.plan.variant(&context, key).expect("a variant");
                let variant = variant.key.as_deref().expect("a key");
                (id.to_owned(), (*key).to_owned(), variant.to_owned())
            })
            .collect()
    }
}

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Flags,
    Stream,
    Cohorts,
    Variants,
    Events,
}

/// What services do instead of their work; nothing where they do it.
pub(crate) type Conduct =
    Arc<dyn Fn(&Services, Service, &Received) -> Option<Answer> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) script: Script,
    state: Arc<Mutex<State>>,
}

struct State {
    version: u32,
    conduct: Option<Conduct>,
    /// By insert id.
    accepted: BTreeMap<String, Fact>,
}

impl Services {
    pub(crate) fn new() -> Self {
        let state = State {
            version: BEFORE,
            conduct: None,
            accepted: BTreeMap::new(),
        };
        let services = Self {
            script: Script::new(),
            state: Arc::new(Mutex::new(state)),
        };
        for (path, service) in [
            (paths::FLAGS.to_owned(), Service::Flags),
            (paths::FLAG_STREAM.to_owned(), Service::Stream),
            (format!("{}{COHORT}", paths::COHORT), Service::Cohorts),
            (paths::VARDATA.to_owned(), Service::Variants),
            (paths::BATCH.to_owned(), Service::Events),
        ] {
            let this = services.clone();
            services
                .script
                .respond(&path, move |request| this.answer(service, request));
        }
        services
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on they behave so.
    pub(crate) fn misbehave(&self, conduct: Conduct) {
        self.lock().conduct = Some(conduct);
    }

    /// They are well again, and have something new.
    pub(crate) fn recover(&self) {
        let mut state = self.lock();
        state.conduct = None;
        state.version = AFTER;
    }

    fn answer(&self, service: Service, request: &Received) -> Answer {
        let conduct = self.lock().conduct.clone();
        conduct
            .and_then(|conduct| conduct(self, service, request))
            .unwrap_or_else(|| self.work(service, request))
    }

    /// The answer of a service that is well.
    pub(crate) fn work(&self, service: Service, request: &Received) -> Answer {
        let version = self.lock().version;
        match service {
            Service::Flags => Answer::json(flags(version)),
            Service::Stream => stream(&flags(version)),
            Service::Variants => Answer::json(variants(version)),
            Service::Cohorts => {
                let known = format!("lastModified={version}");
                if request.target.ends_with(&known) {
                    Answer::status(204)
                } else {
                    Answer::json(cohort(version))
                }
            }
            Service::Events => {
                self.accept(request);
                Answer::json(r#"{"code":200}"#)
            }
        }
    }

    /// Takes the events of a request.
    pub(crate) fn accept(&self, request: &Received) {
        for event in events(request) {
            let insert_id = event["insert_id"].as_str().expect("an insert id");
            let fact = fact(&event);
            let earlier = self
                .lock()
                .accepted
                .insert(insert_id.to_owned(), fact.clone());
            assert!(
                earlier.is_none_or(|earlier| earlier == fact),
                "an insert id for two things"
            );
        }
    }

    /// Everything that was accepted, by insert id.
    pub(crate) fn accepted(&self) -> BTreeMap<String, Fact> {
        self.lock().accepted.clone()
    }
}

/// The events of a request.
pub(crate) fn events(request: &Received) -> Vec<Value> {
    let body = request.json().expect("a JSON body");
    body["events"].as_array().expect("events").clone()
}

fn fact(event: &Value) -> Fact {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let properties = &event["event_properties"];
    (
        text(&event["user_id"]),
        text(&properties["[Experiment] Flag Key"]),
        text(&properties["[Experiment] Variant"]),
    )
}

/// Every service answers so.
pub(crate) fn everywhere(answer: Answer) -> Conduct {
    Arc::new(move |_, _, _| Some(answer.clone()))
}

/// One of them answers so, and the others as before.
pub(crate) fn but(
    conduct: Conduct,
    one: Service,
    answer: impl Fn(&Services, &Received) -> Option<Answer> + Send + Sync + 'static,
) -> Conduct {
    Arc::new(move |services, service, request| {
        if service == one {
            answer(services, request)
        } else {
            conduct(services, service, request)
        }
    })
}

/// Each service goes through these answers, again and again; `None` is its work.
pub(crate) fn in_turn(answers: Vec<Option<Answer>>) -> Conduct {
    let turns = Mutex::new(BTreeMap::<u8, usize>::new());
    Arc::new(move |_, service, _| {
        let mut turns = turns.lock().expect("no panic");
        let turn = turns.entry(service as u8).or_default();
        *turn += 1;
        answers[(*turn - 1) % answers.len()].clone()
    })
}
