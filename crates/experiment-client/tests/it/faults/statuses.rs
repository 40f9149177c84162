//! Statuses other than 200, in memory.

use experiment_client::{
    DropCause,
    test_kit::{Answer, Received},
};
use serde_json::{Value, json};

use super::{
    Row,
    answers::{PAGE, services, status},
    services::{Service, Services, but, events, everywhere, in_turn, is_doomed},
};

pub(super) fn rows() -> Vec<Row> {
    let rows = [statuses(), busy(), refusals()];
    rows.into_iter().flatten().collect()
}

fn statuses() -> Vec<Row> {
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

/// Asks for time, or does not.
fn busy() -> Vec<Row> {
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
    vec![
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
            "503 with Retry-After",
            busy(503, "60"),
            "status 503 for 60 s",
        ),
        Row::new(
            "503 with Retry-After and a body that stalls",
            services(everywhere(stalling)),
            "status 503 for 60 s",
        ),
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
