//! Inner parts in the open: for the fuzz targets, benchmarks and integration tests of this project.
//! Nothing here is promised to anybody else.

use crate::{error::Error, flags::sse};

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
