//! [`Error`].

use std::{io, time::Duration};

use crate::{
    account::DropCause,
    transport::{TransportError, TransportErrorKind},
};

/// The longest that work in the background waits because the service says so. A wrong number in an
/// answer must not end it.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

/// What can go wrong. Keys, ids and properties of users are in none of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user has neither a user id nor a device id; nothing was sent.
    #[error("the user has neither `user_id` nor `device_id`")]
    MissingId,
    /// An option cannot be used.
    #[error("`{field}` {reason}")]
    Config {
        /// The option.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No answer in time.
    #[error("timed out after {attempts} attempt(s), {phase}")]
    Timeout {
        /// What was waited for when the last attempt ended.
        phase: Phase,
        /// How many requests were sent.
        attempts: u32,
    },
    /// The service refused.
    #[error("the service answered with status {status} after {attempts} attempt(s)")]
    Status {
        /// The status of the last answer.
        status: u16,
        /// How long the service asked to be left alone.
        retry_after: Option<Duration>,
        /// How many requests were sent.
        attempts: u32,
    },
    /// The service could not be reached, or the connection broke.
    #[error("no connection after {attempts} attempt(s): {kind}")]
    Transport {
        /// What broke.
        kind: TransportErrorKind,
        /// How many requests were sent.
        attempts: u32,
        /// The error of the last attempt.
        source: TransportError,
    },
    /// The answer is not what the service is there for.
    #[error("{what} malformed after {attempts} attempt(s): {reason}")]
    Malformed {
        /// Which answer, such as `flags`.
        what: &'static str,
        /// Where and how; no content.
        reason: String,
        /// How many requests were sent.
        attempts: u32,
    },
    /// The answer is larger than the limit.
    #[error("{what} larger than {limit} bytes")]
    TooLarge {
        /// Which answer, such as `flags`.
        what: &'static str,
        /// The limit it exceeded.
        limit: usize,
    },
    /// The service has more members in a cohort than the client asks for at most.
    #[error("cohort `{cohort}` has more than {limit} members")]
    CohortTooLarge {
        /// The id of the cohort.
        cohort: String,
        /// The limit that the service was told.
        limit: u32,
    },
    /// There are no flags to evaluate yet.
    #[error("no flags have been loaded yet")]
    NotReady,
    /// The operating system refused: a file could not be read or written, or there is no thread.
    #[error("{what}: {}", source.kind())]
    Storage {
        /// What for, such as `spool`.
        what: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An event could not be kept.
    #[error("{cause}")]
    Dropped {
        /// Why.
        cause: DropCause,
    },
    /// The client has been shut down.
    #[error("the client has been shut down")]
    Closed,
}

/// What an attempt was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// A connection, or the head of the answer.
    Head,
    /// The body of the answer.
    Body,
    /// The next attempt.
    Backoff,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Head => "waiting for the answer",
            Self::Body => "reading the answer",
            Self::Backoff => "waiting for the next attempt",
        })
    }
}

impl Error {
    /// How many requests were sent; 0 if the error came before the first.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Timeout { attempts, .. }
            | Self::Status { attempts, .. }
            | Self::Transport { attempts, .. }
            | Self::Malformed { attempts, .. } => *attempts,
            Self::TooLarge { .. } | Self::CohortTooLarge { .. } => 1,
            _ => 0,
        }
    }

    /// Which error it is, in snake case, for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::MissingId => "missing_id",
            Self::Config { .. } => "config",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::Transport { .. } => "transport",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::CohortTooLarge { .. } => "cohort_too_large",
            Self::NotReady => "not_ready",
            Self::Storage { .. } => "storage",
            Self::Dropped { .. } => "dropped",
            Self::Closed => "closed",
        }
    }

    /// The same error, for another caller; without the cause that the library below gave.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::MissingId => Self::MissingId,
            Self::Config { field, reason } => Self::Config { field, reason },
            Self::Timeout { phase, attempts } => Self::Timeout {
                phase: *phase,
                attempts: *attempts,
            },
            Self::Status {
                status,
                retry_after,
                attempts,
            } => Self::Status {
                status: *status,
                retry_after: *retry_after,
                attempts: *attempts,
            },
            Self::Transport { kind, attempts, .. } => Self::Transport {
                kind: *kind,
                attempts: *attempts,
                source: TransportError::new(*kind),
            },
            Self::Malformed {
                what,
                reason,
                attempts,
            } => Self::Malformed {
                what,
                reason: reason.clone(),
                attempts: *attempts,
            },
            Self::TooLarge { what, limit } => Self::TooLarge {
                what,
                limit: *limit,
            },
            Self::CohortTooLarge { cohort, limit } => Self::CohortTooLarge {
                cohort: cohort.clone(),
                limit: *limit,
            },
            Self::NotReady => Self::NotReady,
            Self::Storage { what, source } => Self::Storage {
                what,
                source: source.kind().into(),
            },
            Self::Dropped { cause } => Self::Dropped { cause: *cause },
            Self::Closed => Self::Closed,
        }
    }

    /// With the number of requests that all attempts together took.
    pub(crate) fn with_attempts(mut self, sent: u32) -> Self {
        if let Self::Timeout { attempts, .. }
        | Self::Status { attempts, .. }
        | Self::Transport { attempts, .. }
        | Self::Malformed { attempts, .. } = &mut self
        {
            *attempts = sent;
        }
        self
    }

    /// How long the service asked to be left alone; at most an hour, so that no answer stops a loop
    /// for ever.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after.map(|time| time.min(LONGEST_SILENCE)),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    ///
    /// Status below 400, 429 and from 500 on, broken connections, timeouts and malformed answers
    /// are; all other statuses and errors of the caller are not.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Transport { .. }
            | Self::Malformed { .. }
            | Self::NotReady => true,
            Self::Status { status, .. } => is_retryable_status(*status),
            _ => false,
        }
    }
}

/// The rule of the official SDKs: everything but 4xx other than 429.
pub(crate) fn is_retryable_status(status: u16) -> bool {
    status < 400 || status == 429 || status >= 500
}
