//! Faults of the services and of the clock, in memory.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use experiment_client::{State, test_kit::Answer};
use serde_json::{Value, json};

use super::{
    Fault, Row,
    services::{BEFORE, Conduct, OLD, Service, but, everywhere, flag_list, flags, stream},
    stage::BODY_LIMIT,
    statuses,
};
use crate::fetch_faults::packed;

pub(super) const PAGE: &str = "<html><body>canary: log in to the network</body></html>";

const NO_STREAM: &str = "malformed: the content type is not text/event-stream";
const ENDED: &str = "malformed: the service has ended it";
const NO_LIST: &str = "malformed: expected an array of flags";
const NOT_JSON: &str = "malformed: not JSON at line 1 column 1";
const CUT_OFF: &str = "malformed: cut off or damaged gzip";

const DAY: i64 = 86_400_000;

pub(super) fn rows() -> Vec<Row> {
    let rows = [
        connections(),
        bodies(),
        shapes(),
        lists(),
        statuses::rows(),
        clocks(),
    ];
    rows.into_iter().flatten().collect()
}

pub(super) fn services(conduct: Conduct) -> Fault {
    Fault::Services(conduct)
}

/// Every service begins to answer as it should, the stream as a stream, and goes on so.
fn shaped(go_on: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Conduct {
    Arc::new(move |_, service, _| {
        Some(go_on(match service {
            Service::Stream => Answer::stream(),
            _ => Answer::status(200).header("content-type", "application/json"),
        }))
    })
}

fn body(bytes: impl Into<Bytes>) -> Conduct {
    let bytes = bytes.into();
    shaped(move |answer| answer.send(bytes.clone()))
}

fn gzip(bytes: Vec<u8>) -> Conduct {
    shaped(move |answer| {
        let answer = answer.header("content-encoding", "gzip");
        answer.send(bytes.clone())
    })
}

pub(super) fn status(status: u16) -> Answer {
    Answer::status(status)
}

fn well() -> Conduct {
    Arc::new(|_, _, _| None)
}

/// What breaks, or does not come.
fn connections() -> Vec<Row> {
    let seconds = Duration::from_secs;
    let half = || Answer::json("[{\"key\": \"canary").stall();
    let half_open = |conduct| {
        but(conduct, Service::Stream, |_, _| {
            Some(Answer::stream().stall())
        })
    };
    vec![
        Row::new(
            "connection refused",
            services(everywhere(Answer::refused())),
            "Connect",
        ),
        Row::new(
            "black-holed connect",
            services(everywhere(Answer::silence())),
            "no head",
        )
        .fetch("no more time"),
        Row::new(
            "slow headers",
            services(everywhere(Answer::json("[]").after(seconds(20)))),
            "no head",
        )
        .fetch("no more time"),
        Row::harmless(
            "slow headers, in time",
            services(Arc::new(|services, service, request| {
                let answer = services.work(service, request);
                Some(answer.after(Duration::from_secs(1)))
            })),
        ),
        Row::new(
            "stall in the body",
            services(shaped(|answer| {
                answer.send("data: [{\"key\": \"canary").stall()
            })),
            "no end",
        )
        .fetch("no more time"),
        Row::new(
            "half-open stream",
            Fault::Silence(half_open(everywhere(half()))),
            "no end",
        )
        .fetch("no more time"),
        Row::harmless("half-open stream alone", Fault::Silence(half_open(well()))).stream("no end"),
        Row::new(
            "connection reset mid-response",
            services(shaped(|answer| {
                answer.send("data: [{\"key\": \"canary").reset()
            })),
            "Closed",
        ),
        Row::new(
            "not HTTP",
            services(everywhere(Answer::raw("canary"))),
            "Protocol",
        ),
        Row::harmless(
            "a stream that ends at once",
            services(but(well(), Service::Stream, |_, _| {
                Some(Answer::stream().send(format!("data: {}\n\n", flags(BEFORE))))
            })),
        )
        .stream(ENDED),
        Row::harmless(
            "no stream here",
            services(but(well(), Service::Stream, |_, _| Some(status(501)))),
        ),
    ]
}

/// What cannot be unpacked or read.
fn bodies() -> Vec<Row> {
    let whole = packed(flags(BEFORE).as_bytes());
    let mut damaged = whole.clone();
    // Within the checksum, which is the first half of the last eight bytes.
    damaged[whole.len() - 6] ^= 0xff;
    let bomb = packed(&vec![b' '; 3 * BODY_LIMIT]);
    vec![
        Row::new(
            "truncated gzip",
            services(gzip(whole[..40].to_vec())),
            CUT_OFF,
        ),
        Row::new("damaged gzip", services(gzip(damaged)), CUT_OFF).stream(ENDED),
        Row::new(
            "no gzip",
            services(gzip(PAGE.into())),
            "malformed: not gzip",
        ),
        Row::new("gzip bomb", services(gzip(bomb)), "too large"),
        Row::new(
            "a large body",
            services(body(vec![b' '; 2 * BODY_LIMIT])),
            "too large",
        ),
        Row::new(
            "unknown content encoding",
            services(shaped(|answer| answer.header("content-encoding", "canary"))),
            "malformed: unknown content encoding",
        ),
        Row::new(
            "200 with HTML",
            services(everywhere(
                status(200).header("content-type", "text/html").send(PAGE),
            )),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch(NOT_JSON),
        Row::new(
            "200 and nothing",
            // The events are in.
            services(but(
                everywhere(Answer::json("")),
                Service::Events,
                |services, request| {
                    services.accept(request);
                    Some(Answer::json(""))
                },
            )),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch("malformed: empty"),
    ]
}

/// JSON that is not what it should be.
fn shapes() -> Vec<Row> {
    let not_events = |conduct| but(conduct, Service::Events, |_, _| Some(Answer::json("[7]")));
    let deep = "[".repeat(100_000);
    let wrong = |text: &'static str| services(not_events(everywhere(Answer::json(text))));
    vec![
        Row::new(
            "valid JSON of the wrong shape: an object",
            wrong("{}"),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch("got "),
        Row::new(
            "valid JSON of the wrong shape: an error",
            wrong(r#"{"code": 500, "error": "canary"}"#),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch("got "),
        Row::new(
            "valid JSON of the wrong shape: null",
            wrong("null"),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
        Row::new(
            "valid JSON of the wrong shape: a text",
            wrong("\"canary\""),
            NO_LIST,
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
        Row::new(
            "valid JSON of the wrong shape: a list of texts",
            wrong(r#"["canary"]"#),
            "malformed: no flag can be read, the first is flag at position 0, ``",
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
        Row::new(
            "JSON cut off",
            services(everywhere(Answer::json(flags(BEFORE)[..100].to_owned()))),
            "malformed: not JSON: EOF while parsing a string at line 1 column 100",
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
        Row::new(
            "JSON too deep",
            services(everywhere(Answer::json(deep))),
            "malformed: not JSON: EOF while parsing a list at line 1 column 100000",
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
        Row::new(
            "no UTF-8",
            services(everywhere(Answer::json(
                &b"[{\"key\": \"canary\xff\"}]"[..],
            ))),
            "malformed: not JSON: invalid UTF-8 at line 1 column 17",
        )
        .stream(NO_STREAM)
        .fetch("malformed: not an object"),
    ]
}

/// Lists of flags that are not quite what they should be. What looks wrong as a whole is taken if it
/// comes twice (`local.rs`); here it does not.
fn lists() -> Vec<Row> {
    let mut poisoned: Vec<Value> = (0..998)
        .map(|number| {
            json!({"key": format!("flag-{number}"), "variants": {"on": {"key": "on"}},
                "segments": [{"variant": "on"}]})
        })
        .collect();
    poisoned[500] = json!({"key": "flag-500", "variants": {"on": 7}, "segments": "canary"});
    poisoned.extend(flag_list(BEFORE));
    let mut twice = flag_list(OLD);
    twice.extend(flag_list(BEFORE));
    let repeated = flags(BEFORE).replacen('[', r#"[{"key": "x", "key": "y", "segments": []},"#, 1);
    vec![
        Row::harmless(
            "one poisoned flag among 1,000",
            services(configured(
                Value::from(poisoned).to_string(),
                r#"{"bad": ["canary"], "checkout": {"key": "a-5"}}"#,
            )),
        ),
        Row::harmless(
            "duplicate keys: a flag twice",
            services(configured(
                Value::from(twice).to_string(),
                r#"{"checkout": {"key": "a-4"}, "checkout": {"key": "a-5"}}"#,
            )),
        ),
        Row::harmless(
            "duplicate keys: a member twice",
            services(configured(
                repeated,
                r#"{"checkout": {"key": "x", "key": "a-5"}}"#,
            )),
        ),
        Row::harmless("empty flag list", services(now_and_then("[]"))).stream(ENDED),
        Row::harmless(
            "flags going back in version",
            services(now_and_then(&flags(OLD))),
        )
        .stream(ENDED),
        Row {
            state: State::Stale,
            ..Row::harmless("two wrong lists in turn", services(wrong_in_turn())).stream(ENDED)
        },
    ]
}

/// These flags and variants, polled or streamed.
fn configured(flags: String, variants: &'static str) -> Conduct {
    Arc::new(move |_, service, _| match service {
        Service::Flags => Some(Answer::json(flags.clone())),
        Service::Stream => Some(stream(&flags)),
        Service::Variants => Some(Answer::json(variants)),
        Service::Cohorts | Service::Events => None,
    })
}

/// Of every two answers with flags the first has these. Streams end soon.
fn now_and_then(other: &str) -> Conduct {
    flags_in_turn([other.to_owned(), flags(BEFORE)])
}

fn wrong_in_turn() -> Conduct {
    flags_in_turn(["[]".to_owned(), flags(OLD)])
}

fn flags_in_turn(lists: [String; 2]) -> Conduct {
    let turn = Mutex::new(0);
    Arc::new(move |_, service, _| {
        let mut turn = turn.lock().expect("no panic");
        let list = &lists[*turn % 2];
        let answer = match service {
            Service::Flags => Answer::json(list.clone()),
            Service::Stream => Answer::stream()
                .send(format!("data: {list}\n\n"))
                .wait(Duration::from_secs(10)),
            _ => return None,
        };
        *turn += 1;
        Some(answer)
    })
}

fn clocks() -> Vec<Row> {
    let jump = |name, millis| Row::harmless(name, Fault::Clock(millis));
    vec![
        jump("the clock jumps ahead by a day", DAY),
        jump("the clock jumps back by a day", -DAY),
        jump("the clock jumps to the end of time", i64::MAX / 2),
    ]
}
