//! Inner parts in the open: for the fuzz targets, benchmarks and integration tests of this project.
//! Nothing here is promised to anybody else.

use experiment_evaluation::Options;
use experiment_model::User;

use crate::{
    cohort::{CohortSet, parse},
    error::Error,
    flags::sse,
    local::Loaded,
    remote::{self, Fetched},
};

/// How many flags the body of an answer has, how many of them give `user` a variant, and which
/// cohorts they refer to.
///
/// # Errors
///
/// Why the body would not be taken.
pub fn read_flags_body(body: &[u8], user: &User) -> Result<(usize, usize, Vec<String>), String> {
    let loaded = Loaded::read(body, true, &Options::default(), |_| {})?;
    let cohorts = loaded.wanted.ids().map(str::to_owned).collect();
    let variants = loaded.plan.evaluate(user).len();
    Ok((loaded.flags.len(), variants, cohorts))
}

/// What a remote fetch makes of the body of an answer.
///
/// # Errors
///
/// Why it would fail.
pub fn read_variants_body(body: &[u8]) -> Result<Fetched, String> {
    remote::read(body)
}

/// A server-sent event: its kind, id and data.
pub type Event = (String, String, String);

/// Reads server-sent events, as the flag stream does.
#[derive(Debug)]
pub struct EventReader(sse::EventReader);

impl EventReader {
    /// A reader of events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(sse::EventReader::new(limit))
    }

    /// The events that end within `piece`.
    ///
    /// # Errors
    ///
    /// Those of the flag stream.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        while let Some(event) = self.0.next(&mut piece)? {
            events.push((event.kind, event.id, event.data));
        }
        Ok(events)
    }
}

/// Reads the body of a cohort, as a download does.
#[derive(Debug)]
pub struct CohortReader(parse::CohortReader);

/// What the body of a cohort says: its id, group type, time of the last change and members.
pub type CohortBody = (Option<String>, String, Option<i64>, CohortSet);

impl CohortReader {
    /// A reader at the start of a body.
    #[expect(clippy::new_without_default, reason = "it is used here only")]
    pub fn new() -> Self {
        Self(parse::CohortReader::new())
    }

    /// Reads the next piece.
    ///
    /// # Errors
    ///
    /// Where the body is malformed, and why.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        self.0.push(piece).map_err(|error| error.to_string())
    }

    /// What the body says.
    ///
    /// # Errors
    ///
    /// Where it is cut off.
    pub fn finish(self) -> Result<CohortBody, String> {
        let body = self.0.finish().map_err(|error| error.to_string())?;
        let members = body.members.finish();
        Ok((body.id, body.group_type, body.last_modified, members))
    }
}

/// The payloads in a spool file that the file of acks beside it does not settle.
pub fn read_spool(records: &[u8], acks: &[u8]) -> Vec<Vec<u8>> {
    crate::delivery::unsettled(records, acks)
}

/// A spool file with a record of each payload, and what settles those that `settle` says.
pub fn write_spool(payloads: &[Vec<u8>], settle: impl Fn(usize) -> bool) -> (Vec<u8>, Vec<u8>) {
    crate::delivery::written(payloads, settle)
}
