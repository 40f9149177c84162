//! Downloads against a scripted service on a paused clock.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use experiment_model::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    metrics::Metrics,
    test_kit::{Answer, InMemoryTransport, ManualClock, Script},
    transport::{Answering, Transport},
};

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_001_000);

fn path(id: &str) -> String {
    format!("/sdk/v1/cohort/{id}")
}

fn body(id: &str, group_type: &str, members: &[&str]) -> String {
    let modified = 1_700_000_000_123_i64;
    json!({"cohortId": id, "groupType": group_type, "lastModified": modified, "memberIds": members})
        .to_string()
}

fn users(id: &str, members: &[&str]) -> Answer {
    Answer::json(body(id, "User", members))
}

fn references(ids: &[&str]) -> References {
    let flag = json!({"key": "f", "variants": {}, "segments": [{"conditions": [[
        {"selector": ["context", "user", "cohort_ids"], "op": "set contains any", "values": ids}
    ]]}]});
    References::of(&[serde_json::from_value(flag).expect("a flag")])
}

fn options() -> CohortOptions {
    CohortOptions::new("project-api-key", "project-secret-key")
}

/// Keeps the measurements as text, without durations.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<String>>);

impl Metrics for Recorder {
    fn record(&self, measurement: &Measurement<'_>) {
        let text = match measurement {
            Measurement::CohortLoaded {
                cohort, members, ..
            } => format!("loaded {cohort} {members}"),
            Measurement::CohortUnchanged { cohort } => format!("unchanged {cohort}"),
            Measurement::CohortFailed { cohort, reason } => format!("failed {cohort} {reason}"),
            Measurement::CohortAge(age) => format!("age {} s", age.as_secs()),
            other => format!("{other:?}"),
        };
        self.0.lock().expect("no panic").push(text);
    }
}

struct Service {
    script: Script,
    downloader: CohortDownloader,
    clock: Arc<ManualClock>,
    metrics: Arc<Recorder>,
}

impl Service {
    fn new(options: CohortOptions) -> Self {
        let script = Script::new();
        Self::with_transport(options, script.clone(), InMemoryTransport::new(script))
    }

    fn with_transport(options: CohortOptions, script: Script, transport: impl Transport) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let metrics = Arc::new(Recorder::default());
        let downloader = CohortDownloader::new(
            Exchange::new(Arc::new(transport)),
            crate::Endpoints::default().cohorts().clone(),
            options,
            clock.clone(),
            Meter::new(Some(metrics.clone())),
        );
        Self {
            script,
            downloader: downloader.expect("good options"),
            clock,
            metrics,
        }
    }

    async fn sync(&self, ids: &[&str], current: &CohortStore) -> (CohortStore, Vec<(Text, Error)>) {
        let until = deadline(Duration::from_secs(600));
        self.downloader.sync(&references(ids), current, until).await
    }

    /// Loads one cohort, which must succeed.
    async fn loaded(&self, id: &str) -> CohortStore {
        let (store, errors) = self.sync(&[id], &CohortStore::default()).await;
        assert!(errors.is_empty(), "{errors:?}");
        store
    }

    fn targets(&self) -> Vec<String> {
        let requests = self.script.requests();
        requests.into_iter().map(|request| request.target).collect()
    }

    fn measurements(&self) -> Vec<String> {
        std::mem::take(&mut *self.metrics.0.lock().expect("no panic"))
    }
}

/// What a golden trace comes to here.
struct Trace {
    sdk: &'static str,
    case: &'static str,
    /// How often the cohorts are brought up to date.
    rounds: u32,
    /// Fewer than in the trace where the SDK asked for ever, more where it gave up at once.
    requests: usize,
    /// The cohorts that are there in the end.
    there: &'static [&'static str],
    /// The errors of the last round, in order of cohorts.
    failed: &'static [&'static str],
}

const STILL_429: &str = "the service answered with status 429 after 3 attempt(s)";

#[rustfmt::skip]
const TRACES: &[Trace] = &[
    Trace { sdk: "node", case: "cohorts", rounds: 2, requests: 4, there: &["c1aaaaaa", "g1bbbbbb"], failed: &[] },
    Trace { sdk: "node", case: "cohort-413", rounds: 1, requests: 4, there: &[], failed: &["cohort `c1aaaaaa` has more than 1 members", STILL_429] },
    Trace { sdk: "node", case: "cohort-202-then-200", rounds: 1, requests: 4, there: &["c1aaaaaa"], failed: &["the service answered with status 401 after 1 attempt(s)"] },
    Trace { sdk: "python", case: "local-cohorts", rounds: 1, requests: 2, there: &["c1aaaaaa", "g1bbbbbb"], failed: &[] },
    Trace { sdk: "python", case: "local-cohort-202x2", rounds: 1, requests: 4, there: &["c1aaaaaa", "g1bbbbbb"], failed: &[] },
    Trace { sdk: "python", case: "local-cohort-429-infinite", rounds: 1, requests: 4, there: &["g1bbbbbb"], failed: &[STILL_429] },
    Trace { sdk: "python", case: "local-exposures", rounds: 1, requests: 1, there: &["c1aaaaaa"], failed: &[] },
    Trace { sdk: "ruby", case: "local-cohorts", rounds: 2, requests: 4, there: &["c1aaaaaa", "g1bbbbbb"], failed: &[] },
    Trace { sdk: "go", case: "local-cohorts", rounds: 1, requests: 2, there: &["c1aaaaaa", "g1bbbbbb"], failed: &[] },
    Trace { sdk: "go", case: "local-cohort-429", rounds: 1, requests: 4, there: &["g1bbbbbb"], failed: &[STILL_429] },
];

#[tokio::test(start_paused = true)]
async fn every_golden_trace_ends_and_asks_what_the_official_sdks_ask() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/cohorts.json"))
        .expect("the golden file is JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), TRACES.len());
    for (case, trace) in cases.iter().zip(TRACES) {
        let name = format!("{} {}", trace.sdk, trace.case);
        assert_eq!(
            format!("{} {}", text(&case["sdk"]), text(&case["case"])),
            name
        );
        let requests = case["requests"].as_array().expect("requests");
        let (_, size) = requests[0]["target"]
            .as_str()
            .and_then(|target| target.split('&').next()?.split_once("maxCohortSize="))
            .expect("a size");
        let service = Service::new(options().with_max_cohort_size(size.parse().expect("a size")));
        let mut ids: Vec<String> = Vec::new();
        for request in requests {
            let target = text(&request["target"]);
            let (asked, _) = target.split_once('?').expect("a query");
            let id = asked.rsplit('/').next().expect("an id").to_owned();
            let status = request["answered_with"].as_u64().expect("a status");
            let status = u16::try_from(status).expect("a status");
            let mut bodies = golden["response_bodies"].as_array().expect("bodies").iter();
            let answer = match status {
                200 => Answer::json(
                    bodies
                        .find(|it| it["cohortId"] == *id)
                        .expect("a body")
                        .to_string(),
                ),
                other => Answer::status(other),
            };
            service.script.then(asked, [answer]);
            // Behind the end of the trace: what there was last, or no change.
            let standing = if status == 200 { 204 } else { status };
            service.script.on(asked, Answer::status(standing));
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut store = CohortStore::default();
        let mut errors = Vec::new();
        for _ in 0..trace.rounds {
            (store, errors) = service.sync(&ids, &store).await;
        }
        errors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let errors: Vec<String> = errors.iter().map(|(_, error)| error.to_string()).collect();
        assert_eq!(errors, trace.failed, "{name}");
        assert_eq!(
            store.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            trace.there,
            "{name}"
        );
        let sent = service.script.requests();
        assert_eq!(sent.len(), trace.requests, "{name}");
        for request in requests {
            let same = sent.iter().find(|it| it.target == text(&request["target"]));
            let same = same.unwrap_or_else(|| panic!("{name}: {request}"));
            assert_eq!(same.method, "GET");
            let basic = &golden["auth"]["example"];
            assert_eq!(
                same.header("authorization"),
                Some(&*format!("Basic {}", text(basic)))
            );
            assert_eq!(same.header("x-amp-exp-library"), Some(LIBRARY));
        }
    }
}

/// What goes wrong, the error, and how many requests there are. A cohort that is known stays in all
/// cases.
#[rustfmt::skip]
fn failures() -> Vec<(Answer, &'static str, usize)> {
    let stalls = Answer::json("{\"memberIds\":[\"secret").stall();
    vec![
        (Answer::refused(), "no connection after 3 attempt(s): could not connect", 3),
        (Answer::silence(), "timed out after 3 attempt(s), waiting for the answer", 3),
        (stalls, "timed out after 3 attempt(s), reading the answer", 3),
        (Answer::json("{\"memberIds\":[\"secret").reset(), "no connection after 3 attempt(s): the connection was closed", 3),
        (Answer::json("{\"memberIds\":[\"secret"), "cohort malformed after 3 attempt(s): byte 21, `memberIds`: the body ends too soon", 3),
        (Answer::json("<html>secret"), "cohort malformed after 3 attempt(s): byte 0, outside of known fields: expected an object", 3),
        (Answer::json("{\"memberIds\":[]}").header("content-encoding", "gzip"), "cohort malformed after 3 attempt(s): not gzip", 3),
        (users("other", &["secret"]), "cohort malformed after 3 attempt(s): `cohortId` is that of another cohort", 3),
        (users("c", &["secret", &"x".repeat(2000)]), "cohort larger than 1000 bytes", 1),
        (Answer::gzip(body("c", "User", &[&"x".repeat(2000)]).as_bytes()), "cohort larger than 1000 bytes", 1),
        (Answer::status(202), "the service answered with status 202 after 3 attempt(s)", 3),
        (Answer::status(302), "the service answered with status 302 after 3 attempt(s)", 3),
        (Answer::status(400), "the service answered with status 400 after 1 attempt(s)", 1),
        (Answer::status(401), "the service answered with status 401 after 1 attempt(s)", 1),
        (Answer::status(403), "the service answered with status 403 after 1 attempt(s)", 1),
        (Answer::status(404), "the service answered with status 404 after 1 attempt(s)", 1),
        (Answer::status(413), "cohort `c` has more than 2147483647 members", 1),
        (Answer::status(429), "the service answered with status 429 after 3 attempt(s)", 3),
        (Answer::status(500), "the service answered with status 500 after 3 attempt(s)", 3),
        (Answer::status(503), "the service answered with status 503 after 3 attempt(s)", 3),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_last_good_cohort_stays_on_any_failure() {
    for (answer, expected, requests) in failures() {
        let service = Service::new(options().with_max_body_bytes(1000));
        service.script.then(&path("c"), [users("c", &["u"])]);
        let store = service.loaded("c").await;
        service.measurements();
        service.script.on(&path("c"), answer);
        service.clock.advance(Duration::from_secs(90));
        let (kept, errors) = service.sync(&["c"], &store).await;
        let error = &errors.first().expect("a failure").1;
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert_eq!(service.script.requests().len(), 1 + requests, "{expected}");
        let cohort = kept.get("c").expect("the last good one");
        assert!(cohort.members().contains("u"));
        assert_eq!((cohort.loaded_at(), cohort.confirmed_at()), (NOW, NOW));
        let measured = [
            format!("failed c {}", error.reason()),
            "age 90 s".to_owned(),
        ];
        assert_eq!(service.measurements(), measured);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_a_while_is_loaded_all_the_same() {
    for answer in [
        Answer::refused(),
        Answer::status(202),
        Answer::status(503),
        Answer::json("{"),
    ] {
        let service = Service::new(options());
        service.script.then(
            &path("c"),
            [answer.clone(), answer, users("c", &["u", "v", "u"])],
        );
        let store = service.loaded("c").await;
        assert_eq!(store.get("c").expect("loaded").members().len(), 2);
        assert_eq!(service.measurements(), ["loaded c 2", "age 0 s"]);
    }
}

#[tokio::test(start_paused = true)]
async fn unchanged_cohorts_are_confirmed_and_those_of_no_flag_are_left_out() {
    let service = Service::new(options());
    for id in ["a", "b"] {
        service.script.then(&path(id), [users(id, &["u"])]);
    }
    service.script.on(&path("a"), Answer::status(204));
    let (store, _) = service.sync(&["a", "b"], &CohortStore::default()).await;
    service.clock.advance(Duration::from_secs(60));
    let (store, errors) = service.sync(&["a"], &store).await;
    assert!(errors.is_empty());
    assert!(store.get("b").is_none());
    let cohort = store.get("a").expect("unchanged");
    assert_eq!(cohort.loaded_at(), NOW);
    assert_eq!(
        cohort.confirmed_at(),
        NOW.saturating_add(Duration::from_secs(60))
    );
    assert!(cohort.members().contains("u"));
    let asked = service.targets().pop().expect("a request");
    assert_eq!(
        asked,
        "/sdk/v1/cohort/a?maxCohortSize=2147483647&lastModified=1700000000123"
    );
    assert_eq!(service.measurements()[3..], ["unchanged a", "age 0 s"]);
}

#[tokio::test(start_paused = true)]
async fn no_change_is_an_error_for_a_cohort_that_is_not_there() {
    let service = Service::new(options());
    service.script.on(&path("c"), Answer::status(204));
    let (store, errors) = service.sync(&["c"], &CohortStore::default()).await;
    assert!(store.is_empty());
    assert!(matches!(
        errors[0].1,
        Error::Status {
            status: 204,
            attempts: 3,
            ..
        }
    ));
    assert_eq!(service.measurements(), ["failed c status"]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_unless_there_is_no_time() {
    let busy = |seconds: &str| Answer::status(429).header("retry-after", seconds);
    let service = Service::new(options());
    service
        .script
        .then(&path("c"), [busy("7"), users("c", &["u"])]);
    let start = Instant::now();
    service.loaded("c").await;
    assert_eq!(start.elapsed().as_secs(), 7);

    service.script.on(&path("c"), busy("3600"));
    let start = Instant::now();
    let (_, errors) = service.sync(&["c"], &CohortStore::default()).await;
    assert!(matches!(
        errors[0].1,
        Error::Status {
            status: 429,
            attempts: 1,
            ..
        }
    ));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_behind_the_deadline() {
    let ids = ["a", "b", "c", "d", "e", "f"];
    let service = Service::new(options().with_concurrency(2));
    for id in &ids[..4] {
        service.script.on(&path(id), Answer::silence());
    }
    let start = Instant::now();
    let until = start + Duration::from_secs(5);
    let (store, errors) = service
        .downloader
        .sync(&references(&ids), &CohortStore::default(), until)
        .await;
    assert!(store.is_empty());
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let attempts: Vec<u32> = errors.iter().map(|(_, error)| error.attempts()).collect();
    assert!(
        errors
            .iter()
            .all(|(_, error)| matches!(error, Error::Timeout { .. }))
    );
    assert_eq!(attempts, [1, 1, 0, 0, 0, 0]);
    assert_eq!(service.script.requests().len(), 2);
}

/// Counts how many others wait for their answer when a request is sent.
#[derive(Debug)]
struct Counting {
    inner: InMemoryTransport,
    waiting: AtomicUsize,
    most: Arc<AtomicUsize>,
}

impl Transport for Counting {
    fn send(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let others = self.waiting.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(others, Ordering::SeqCst);
            let answer = self.inner.send(request).await;
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_allowed_number_are_downloaded_at_once() {
    let script = Script::new();
    let ids: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    for id in &ids {
        script.on(&path(id), users(id, &["u"]).after(Duration::from_secs(1)));
    }
    let most = Arc::new(AtomicUsize::new(0));
    let transport = Counting {
        inner: InMemoryTransport::new(script.clone()),
        waiting: AtomicUsize::new(0),
        most: most.clone(),
    };
    let service = Service::with_transport(options().with_concurrency(3), script, transport);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (store, errors) = service.sync(&ids, &CohortStore::default()).await;
    assert_eq!((store.len(), errors.len()), (20, 0));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_come_in_pieces_compressed_and_without_a_group_type() {
    let service = Service::new(options());
    let pieces = Answer::status(200)
        .send("{\"memberIds\":[\"us")
        .wait(Duration::from_secs(5))
        .send("er-1\"]}");
    service.script.on(&path("pieces"), pieces);
    service.script.on(
        &path("packed"),
        Answer::gzip(body("packed", "org", &["A"]).as_bytes()),
    );
    let (store, _) = service
        .sync(&["packed", "pieces"], &CohortStore::default())
        .await;
    let (packed, pieces) = (
        store.get("packed").expect("loaded"),
        store.get("pieces").expect("loaded"),
    );
    assert_eq!((packed.group_type(), pieces.group_type()), ("org", "User"));
    assert!(packed.members().contains("A") && pieces.members().contains("user-1"));
    assert_eq!(pieces.last_modified(), None);
    // Without a time of the last change there is nothing to compare with: all is loaded again.
    service.sync(&["pieces"], &store).await;
    assert_eq!(
        service.targets().pop().expect("a request"),
        "/sdk/v1/cohort/pieces?maxCohortSize=2147483647"
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let service = Service::new(options());
    service
        .sync(&["a/../b?x=1&y#é %"], &CohortStore::default())
        .await;
    assert_eq!(
        service.targets(),
        ["/sdk/v1/cohort/a%2F..%2Fb%3Fx%3D1%26y%23%C3%A9%20%25?maxCohortSize=2147483647"]
    );
}

fn can_be_spawned(_: &impl Send) {}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_ends_the_downloads() {
    let service = Service::new(options());
    service.script.on(&path("c"), Answer::status(503));
    let (wanted, none) = (references(&["c"]), CohortStore::default());
    let until = deadline(Duration::from_secs(600));
    let sync = service.downloader.sync(&wanted, &none, until);
    can_be_spawned(&sync);
    let dropped = tokio::time::timeout(Duration::ZERO, sync).await;
    assert!(dropped.is_err());
    let sent = service.targets().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(service.targets().len(), sent);
}

#[test]
fn keys_are_in_no_debug_form_and_wrong_options_are_refused_by_name() {
    let shown = format!("{:?}", options());
    assert!(!shown.contains("project"), "{shown}");
    for (options, field) in [
        (CohortOptions::new(" ", "secret"), "api_key"),
        (CohortOptions::new("a:b", "secret"), "api_key"),
        (CohortOptions::new("key", ""), "secret_key"),
        (options().with_concurrency(0), "concurrency"),
    ] {
        let error = options.check().expect_err(field);
        assert!(matches!(error, Error::Config { field: named, .. } if named == field));
    }
    let hasty = options().with_poll_interval(Duration::from_secs(1));
    assert_eq!(hasty.poll_interval, CohortOptions::MIN_POLL_INTERVAL);
}
