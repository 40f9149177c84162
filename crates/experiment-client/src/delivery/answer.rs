//! [`Verdict`]: what an answer of the service means for the batch it answers.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};

use crate::exchange::{Failure, Reply, retry_after};

/// Members of a 400 that list events which can never be accepted, by index.
const HOPELESS: [&str; 4] = [
    "events_with_invalid_fields",
    "events_with_missing_fields",
    "events_with_invalid_id_lengths",
    "silenced_events",
];

/// What an answer means for the batch it answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All events are acknowledged.
    Accepted,
    /// These events can never be accepted; the others can, at once.
    Hopeless(Named),
    /// The request as a whole can never be accepted.
    HopelessRequest,
    /// Something in it can never be accepted, and nobody says what.
    Unexplained,
    /// The body is larger than the service takes.
    TooLarge,
    /// These events come too fast; the others can be sent at once, unless the service asks for
    /// silence.
    Throttled {
        throttled: Named,
        /// Whose quota of the day is used up.
        exhausted: Named,
        retry_after: Option<Duration>,
    },
    /// Nothing is wrong with the events, and later may be better.
    Busy {
        status: Option<u16>,
        retry_after: Option<Duration>,
    },
    /// Nothing is wrong with the events, and only people can change the answer.
    Refused {
        status: u16,
        invalid_key: bool,
        retry_after: Option<Duration>,
    },
}

/// Events that an answer names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) events: Vec<usize>,
    pub(super) users: Vec<String>,
    pub(super) devices: Vec<String>,
}

impl Named {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.users.is_empty() && self.devices.is_empty()
    }
}

impl Verdict {
    pub(super) fn of(outcome: &Result<Reply, Failure>) -> Self {
        match outcome {
            Ok(reply) => Self::of_reply(reply),
            Err(_) => Self::Busy {
                status: None,
                retry_after: None,
            },
        }
    }

    fn of_reply(reply: &Reply) -> Self {
        let status = reply.status.as_u16();
        let retry_after = retry_after(&reply.headers);
        match reply.status {
            // Whoever stands between may answer 200 with a page to log in to.
            _ if reply.status.is_success() && acknowledges(&reply.body) => Self::Accepted,
            StatusCode::BAD_REQUEST => match serde_json::from_slice(&reply.body) {
                Ok(Value::Object(body)) => Self::of_bad_request(&body, retry_after),
                _ => Self::Refused {
                    status,
                    invalid_key: false,
                    retry_after,
                },
            },
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::TOO_MANY_REQUESTS => {
                let body = serde_json::from_slice(&reply.body).unwrap_or_default();
                Self::of_too_many(&body, retry_after)
            }
            StatusCode::REQUEST_TIMEOUT => Self::Busy {
                status: Some(status),
                retry_after,
            },
            _ if reply.status.is_redirection() || reply.status.is_client_error() => Self::Refused {
                status,
                invalid_key: false,
                retry_after,
            },
            _ => Self::Busy {
                status: Some(status),
                retry_after,
            },
        }
    }

    fn of_bad_request(body: &Map<String, Value>, retry_after: Option<Duration>) -> Self {
        let error = body.get("error").and_then(Value::as_str).unwrap_or("");
        if error.to_ascii_lowercase().contains("invalid api key") {
            return Self::Refused {
                status: 400,
                invalid_key: true,
                retry_after,
            };
        }
        let hopeless = Named {
            events: HOPELESS
                .iter()
                .flat_map(|name| indexes(body.get(*name)))
                .collect(),
            users: Vec::new(),
            devices: names(body.get("silenced_devices")),
        };
        if !hopeless.is_empty() {
            return Self::Hopeless(hopeless);
        }
        match body.get("missing_field") {
            Some(Value::String(_)) => Self::HopelessRequest,
            _ => Self::Unexplained,
        }
    }

    fn of_too_many(body: &Map<String, Value>, retry_after: Option<Duration>) -> Self {
        let throttled = Named {
            events: indexes(body.get("throttled_events")),
            users: names(body.get("throttled_users")),
            devices: names(body.get("throttled_devices")),
        };
        let exhausted = Named {
            events: Vec::new(),
            users: names(body.get("exceeded_daily_quota_users")),
            devices: names(body.get("exceeded_daily_quota_devices")),
        };
        if throttled.is_empty() && exhausted.is_empty() {
            return Self::Busy {
                status: Some(429),
                retry_after,
            };
        }
        Self::Throttled {
            throttled,
            exhausted,
            retry_after,
        }
    }
}

/// Whether the body of a successful answer is one of the service: JSON, the word of its oldest
/// version, or nothing.
fn acknowledges(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    if body.is_empty() || body.eq_ignore_ascii_case(b"success") {
        return true;
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => body
            .get("code")
            .and_then(Value::as_u64)
            .is_none_or(|code| (200..300).contains(&code)),
        _ => false,
    }
}

/// Indexes in a list, or in the lists of an object by field name.
fn indexes(value: Option<&Value>) -> Vec<usize> {
    match value {
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|index| usize::try_from(index.as_u64()?).ok())
            .collect(),
        Some(Value::Object(by_field)) => by_field
            .values()
            .flat_map(|list| match list {
                Value::Array(_) => indexes(Some(list)),
                _ => Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The names of an object of counts, or a list of names.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Object(counts)) => counts.keys().cloned().collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
