//! [`Part`]: reading back.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::{Files, Frames, Place, Settled};
use crate::delivery::{
    event::{Entry, IdHasher},
    queue::Size,
};

/// A part of a file that is to be read back.
#[derive(Debug)]
pub(in crate::delivery) struct Part {
    pub(super) segment: u32,
    pub(super) files: Files,
    pub(super) from: u32,
    pub(super) to: u32,
    /// Records in it, by the books.
    pub(super) unread: u64,
    pub(super) settled: Settled,
}

/// What was read back of a [`Part`].
#[derive(Debug)]
pub(in crate::delivery) struct Loaded {
    pub(super) segment: u32,
    pub(in crate::delivery) entries: Vec<Entry>,
    /// From where to go on.
    pub(super) next: u32,
    /// Records that the part should have had.
    pub(in crate::delivery) missing: u64,
}

impl Part {
    /// Reads as many events as `room` has for their number and the size of their JSON.
    pub(in crate::delivery) fn read(self, room: Size, hasher: &IdHasher) -> io::Result<Loaded> {
        let mut bytes = Vec::new();
        match File::open(&self.files.records) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.from.into()))?;
                file.take(self.to.saturating_sub(self.from).into())
                    .read_to_end(&mut bytes)?;
            }
            // Somebody has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut loaded = Loaded {
            segment: self.segment,
            entries: Vec::new(),
            next: self.to,
            missing: 0,
        };
        let mut room = room;
        for frame in Frames::new(&bytes) {
            let offset = u32::try_from(frame.offset).unwrap_or(u32::MAX);
            let offset = offset.saturating_add(self.from);
            if self
                .settled
                .contains(usize::try_from(offset).unwrap_or(usize::MAX))
            {
                continue;
            }
            let place = Place {
                segment: self.segment,
                offset,
            };
            let Some(entry) = Entry::read(frame.payload, place, hasher) else {
                continue;
            };
            let size = frame.payload.len();
            // At least one, so that it goes on whatever the room.
            if !loaded.entries.is_empty() && (room.events == 0 || room.bytes < size) {
                loaded.next = offset;
                return Ok(loaded);
            }
            room.events = room.events.saturating_sub(1);
            room.bytes = room.bytes.saturating_sub(size);
            loaded.entries.push(entry);
        }
        loaded.missing = self.unread.saturating_sub(loaded.entries.len() as u64);
        Ok(loaded)
    }
}
