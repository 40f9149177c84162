//! Faults of the services and of the clock, in memory.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use experiment_client::{
    DropCause, State,
    test_kit::{Answer, Received},
};
use serde_json::{Value, json};

use super::{
    Fault, Row,
    services::{
        BEFORE, Conduct, OLD, Service, Services, but, events, everywhere, flag_list, flags,
        in_turn, is_doomed, stream,
    },
    stage::BODY_LIMIT,
};
use crate::fetch_faults::packed;

const PAGE: &str = "<html><body>canary: log in to the network</body></html>";

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
        contents(),
        statuses(),
        refusals(),
        clocks(),
    ];
    rows.into_iter().flatten().collect()
}

fn services(conduct: Conduct) -> Fault {
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

fn status(status: u16) -> Answer {
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
#[expect(clippy::too_many_lines, reason = "a table with a row for each")]
fn contents() -> Vec<Row> {
    let not_events = |conduct| but(conduct, Service::Events, |_, _| Some(Answer::json("[7]")));
    let deep = "[".repeat(100_000);
    let wrong = |text: &'static str| services(not_events(everywhere(Answer::json(text))));
    let mut poisoned: Vec<Value> = (0..997)
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

/// What is no 200.
#[expect(clippy::too_many_lines, reason = "a table with a row for each")]
fn statuses() -> Vec<Row> {
    let busy = |status: u16, time: &str| {
        let answer = Answer::status(status).header("retry-after", time);
        services(everywhere(answer.send("canary")))
    };
    let stalling = status(503)
        .header("retry-after", "60")
        .send("canary")
        .stall();
    let damaged = status(429)
        .header("retry-after", "60")
        .header("content-encoding", "gzip")
        .send("canary");
    let burst = [500, 502, 503, 504].map(|it| Some(status(it).send(PAGE)));
    vec![
        Row::new(
            "204",
            services(but(
                everywhere(status(204)),
                Service::Events,
                |services, request| {
                    services.accept(request);
                    Some(status(204))
                },
            )),
            "status 204",
        ),
        Row::new("304", services(everywhere(status(304))), "status 304"),
        Row::new(
            "400 with HTML",
            services(everywhere(status(400).send(PAGE))),
            "status 400",
        ),
        Row::new(
            "401 then recovery",
            services(everywhere(status(401))),
            "status 401",
        ),
        Row::new(
            "403",
            services(everywhere(status(403).send(PAGE))),
            "status 403",
        ),
        Row::new("404", services(everywhere(status(404))), "status 404"),
        Row::new("408", services(everywhere(status(408))), "status 408"),
        Row::new(
            "429 without Retry-After",
            services(everywhere(status(429))),
            "status 429",
        ),
        Row::new(
            "429 with Retry-After",
            busy(429, "60"),
            "status 429 for 60 s",
        ),
        Row::new(
            "429 with Retry-After in the past",
            busy(429, "Thu, 01 Jan 1970 00:00:00 GMT"),
            "status 429 for 0 s",
        ),
        Row::new(
            "429 with Retry-After for ever",
            busy(429, "99999999999"),
            "status 429 for 99999999999 s",
        ),
        Row::new(
            "429 with Retry-After that is none",
            busy(429, "canary"),
            "status 429",
        ),
        Row::new(
            "429 with Retry-After and an unknown content encoding",
            services(everywhere(
                status(429)
                    .header("retry-after", "60")
                    .header("content-encoding", "canary"),
            )),
            "status 429 for 60 s",
        ),
        Row::new(
            "429 with Retry-After and a damaged body",
            services(everywhere(damaged)),
            "status 429 for 60 s",
        ),
        Row::new(
            "500 with an empty list",
            services(everywhere(status(500).send("[]"))),
            "status 500",
        ),
        Row::new(
            "502 with HTML",
            services(everywhere(status(502).send(PAGE))),
            "status 502",
        ),
        Row::new(
            "503 with Retry-After",
            busy(503, "60"),
            "status 503 for 60 s",
        ),
        Row::new(
            "503 with Retry-After and a body that stalls",
            services(everywhere(stalling)),
            "status 503 for 60 s",
        ),
        Row::new(
            "504 behind which the events were accepted",
            services(but(
                everywhere(status(504)),
                Service::Events,
                |services, request| {
                    services.accept(request);
                    Some(status(504))
                },
            )),
            "status 504",
        ),
        Row::new(
            "500/502/503/504 bursts",
            services(in_turn(burst.to_vec())),
            "status 500|status 502|status 503|status 504",
        )
        .fetch("status 500|status 502|status 503|status 504"),
    ]
}

/// What is said about events in particular.
fn refusals() -> Vec<Row> {
    let bad = |body: Value| Answer::status(400).send(body.to_string());
    let service = |answer: Answer, events: fn(&Received) -> Option<Answer>| {
        services(but(
            everywhere(answer),
            Service::Events,
            move |services: &Services, request: &Received| {
                let work = || services.work(Service::Events, request);
                Some(events(request).unwrap_or_else(work))
            },
        ))
    };
    vec![
        Row::new(
            "400 that names events",
            service(status(400), |request| {
                let doomed = doomed(request);
                (!doomed.is_empty()).then(|| {
                    let named = json!({"code": 400, "error": "canary", "events_with_invalid_fields": {"x": doomed}});
                    Answer::status(400).send(named.to_string())
                })
            }),
            "status 400",
        )
        .loses(DropCause::Invalid),
        Row::new(
            "400 that names nothing",
            service(status(400), |request| {
                let body = r#"{"code": 400, "error": "canary"}"#;
                (!doomed(request).is_empty()).then(|| Answer::status(400).send(body))
            }),
            "status 400",
        )
        .loses(DropCause::Invalid),
        Row::new(
            "400 for the API key",
            services(everywhere(bad(json!({"code": 400, "error": "Invalid API key: canary-api-key"})))),
            "status 400",
        ),
        Row::new(
            "413 for single events",
            service(status(413), |request| {
                (!doomed(request).is_empty()).then(|| Answer::status(413))
            }),
            "status 413",
        )
        .loses(DropCause::TooLarge),
        Row::new(
            "413 for more than three events",
            service(status(413), |request| {
                (events(request).len() > 3).then(|| Answer::status(413))
            }),
            "status 413",
        ),
        Row::new(
            "429 that names users",
            service(status(429), |request| throttled("throttled_users", request)),
            "status 429",
        ),
        Row::new(
            "429 for the quota of users",
            service(status(429), |request| throttled("exceeded_daily_quota_users", request)),
            "status 429",
        ),
    ]
}

/// Which events of a request are of users that are doomed.
fn doomed(request: &Received) -> Vec<usize> {
    let events = events(request);
    let is_doomed = |event: &Value| is_doomed(event["user_id"].as_str().expect("an id"));
    let doomed = events
        .iter()
        .enumerate()
        .filter(|(_, event)| is_doomed(event));
    doomed.map(|(index, _)| index).collect()
}

fn throttled(list: &str, request: &Received) -> Option<Answer> {
    let events = events(request);
    let named: serde_json::Map<String, Value> = doomed(request)
        .into_iter()
        .map(|index| {
            (
                events[index]["user_id"].as_str().expect("an id").to_owned(),
                31.into(),
            )
        })
        .collect();
    (!named.is_empty()).then(|| Answer::status(429).send(json!({list: named}).to_string()))
}

fn clocks() -> Vec<Row> {
    let jump = |name, millis| Row::harmless(name, Fault::Clock(millis));
    vec![
        jump("the clock jumps ahead by a day", DAY),
        jump("the clock jumps back by a day", -DAY),
        jump("the clock jumps to the end of time", i64::MAX / 2),
    ]
}
