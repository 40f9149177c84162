//! Inner parts in the open: for the fuzz targets, benchmarks and integration tests of this project.
//! Nothing here is promised to anybody else.

use crate::{
    cohort::{CohortSet, parse},
    error::Error,
    flags::sse,
};

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
