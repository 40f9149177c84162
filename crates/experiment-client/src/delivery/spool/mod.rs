//! [`Spool`]: events on disk until they are settled.

mod acks;
mod file;
mod frame;
mod part;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use self::{
    acks::Settled,
    file::{Files, Lane},
    frame::{Frames, UNIT},
};
pub(super) use self::{
    frame::{HEADER, framed, seal},
    part::{Loaded, Part},
};
use super::options::{Fsync, SpoolOptions};

/// A file is closed when it has reached this size, or a sixteenth of the bound of all. It is read
/// back as a whole, and removed when all of it is settled.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The least share of [`FILE_BYTES`] at which a file that is settled is removed, not continued.
const REMOVED_FROM: u64 = 4;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    segment: u32,
    offset: u32,
}

/// Why a record is not in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no room for it.
    Full,
    /// The disk cannot be written, for now.
    Failed,
}

/// What a process left behind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) damaged: u64,
}

/// The files of this process and those it took over, oldest first.
#[derive(Debug)]
pub(super) struct Spool {
    options: SpoolOptions,
    nonce: u64,
    /// The lane that is written; `None` until the directory could be used.
    own: Option<Lane>,
    adopted: Vec<Lane>,
    segments: VecDeque<Segment>,
    writer: Option<Arc<File>>,
    next_segment: u32,
    /// Of all files, those of the acks excepted.
    bytes: u64,
    /// Where the records begin that are still to be read back, if there are any.
    cursor: Place,
    /// How many there are.
    unread: u64,
    /// Records written so far, to tell what has been forced to the disk.
    written: u64,
}

/// A file of records.
#[derive(Debug)]
struct Segment {
    number: u32,
    lane: String,
    files: Files,
    /// Up to here it is well-formed, or was when it was taken over.
    bytes: u32,
    /// Records that are not settled.
    live: u64,
    /// Those of them that are still to be read back.
    unread: u64,
    settled: Settled,
}

/// What is to be done in the file system for records that were settled.
#[derive(Debug)]
pub(super) enum Chore {
    Acks(Files, Vec<(u32, u32)>),
    Remove(Files),
    RemoveLane(Lane),
}

impl Spool {
    pub(super) fn new(options: SpoolOptions, nonce: u64) -> Self {
        Self {
            options,
            nonce,
            own: None,
            adopted: Vec::new(),
            segments: VecDeque::new(),
            writer: None,
            next_segment: 0,
            bytes: 0,
            cursor: Place {
                segment: 0,
                offset: 0,
            },
            unread: 0,
            written: 0,
        }
    }

    /// Makes the spool ready for writing and takes over what processes left that are gone, which it
    /// adds to `found`. It can be called again after it failed, and when writing failed.
    pub(super) fn open(&mut self, found: &mut Found) -> io::Result<()> {
        if self.own.is_none() {
            let own = Lane::create(&self.options.directory, self.nonce)?;
            match file::adopt_all(&self.options.directory, &own.name) {
                Ok(lanes) => {
                    for lane in lanes {
                        self.adopt(lane, found);
                    }
                }
                Err(error) => {
                    let _ = own.remove();
                    return Err(error);
                }
            }
            self.own = Some(own);
            self.rewind();
        }
        self.new_segment()
    }

    fn adopt(&mut self, lane: Lane, found: &mut Found) {
        let numbers = lane.numbers(&self.options.directory).unwrap_or_default();
        let mut kept = false;
        for number in numbers {
            let files = Files::new(&self.options.directory, &lane.name, number);
            // What cannot be read now is left for a later process.
            kept |= self.adopt_file(&lane.name, files, found).unwrap_or(true);
        }
        if kept {
            self.adopted.push(lane);
        } else {
            let _ = lane.remove();
        }
    }

    /// Whether there is something in it.
    fn adopt_file(&mut self, lane: &str, files: Files, found: &mut Found) -> io::Result<bool> {
        let records = file::read_if_present(&files.records)?;
        let journal = file::read_if_present(&files.acks).unwrap_or_default();
        let settled = Settled::read(&journal, records.len());
        let mut live = 0_u64;
        let mut bytes = 0_u64;
        let mut frames = Frames::new(&records);
        for frame in frames
            .by_ref()
            .filter(|frame| !settled.contains(frame.offset))
        {
            live = live.saturating_add(1);
            bytes = bytes.saturating_add(frame.payload.len() as u64);
        }
        found.damaged = found.damaged.saturating_add(frames.damaged());
        if live == 0 {
            files.remove()?;
            return Ok(false);
        }
        found.events = found.events.saturating_add(live);
        found.bytes = found.bytes.saturating_add(bytes);
        let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(length.into());
        let number = self.number();
        self.segments.push_back(Segment {
            number,
            lane: lane.to_owned(),
            files,
            bytes: length,
            live,
            unread: 0,
            settled,
        });
        Ok(true)
    }

    fn number(&mut self) -> u32 {
        self.next_segment = self.next_segment.wrapping_add(1);
        self.next_segment
    }

    fn new_segment(&mut self) -> io::Result<()> {
        let number = self.number();
        let Some(own) = &self.own else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let files = Files::new(&self.options.directory, &own.name, number);
        let lane = own.name.clone();
        let file = files.create()?;
        if self.options.fsync != Fsync::Never {
            if let Some(last) = self.writer.take() {
                last.sync_data()?;
            }
            file::sync_directory(&self.options.directory)?;
        }
        self.writer = Some(Arc::new(file));
        self.segments.push_back(Segment {
            number,
            lane,
            files,
            bytes: 0,
            live: 0,
            unread: 0,
            settled: Settled::default(),
        });
        Ok(())
    }

    /// Whether records can be written.
    pub(super) fn is_open(&self) -> bool {
        self.writer.is_some()
    }

    fn file_bytes(&self) -> u64 {
        FILE_BYTES.min(self.options.max_bytes / 16)
    }

    /// Whether a record of this size can be written, as far as is known.
    pub(super) fn has_room(&self, record: usize) -> bool {
        self.is_open() && self.bytes.saturating_add(record as u64) <= self.options.max_bytes
    }

    /// Writes a sealed record.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<Place, Refusal> {
        if !self.is_open() {
            return Err(Refusal::Failed);
        }
        if !self.has_room(record.len()) {
            return Err(Refusal::Full);
        }
        let size = record.len() as u64;
        let current = self.segments.back().map_or(0, |last| u64::from(last.bytes));
        if current > 0
            && current.saturating_add(size) > self.file_bytes()
            && self.new_segment().is_err()
        {
            self.writer = None;
            return Err(Refusal::Failed);
        }
        let (Some(writer), Some(last), Ok(length)) = (
            &self.writer,
            self.segments.back_mut(),
            u32::try_from(record.len()),
        ) else {
            return Err(Refusal::Failed);
        };
        let offset = last.bytes;
        if (&**writer).write_all(record).is_err() {
            // Half a record is passed over by readers, but need not stay.
            let _ = writer.set_len(offset.into());
            self.writer = None;
            return Err(Refusal::Failed);
        }
        last.bytes = offset.saturating_add(length);
        last.live = last.live.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.written = self.written.saturating_add(1);
        Ok(Place {
            segment: last.number,
            offset,
        })
    }

    /// The file that is written, and how many records have been written until now.
    pub(super) fn to_sync(&self) -> Option<(Arc<File>, u64)> {
        Some((Arc::clone(self.writer.as_ref()?), self.written))
    }

    /// How many records are on disk that are still to be read back.
    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    /// Notes that the record at `place`, the last one, is not in memory.
    pub(super) fn leave_unread(&mut self, place: Place) {
        if self.unread == 0 {
            self.cursor = place;
        }
        self.unread = self.unread.saturating_add(1);
        if let Some(segment) = self.segment(place.segment) {
            segment.unread = segment.unread.saturating_add(1);
        }
    }

    fn segment(&mut self, number: u32) -> Option<&mut Segment> {
        // Of a few: as many as files fit the bound.
        self.segments
            .iter_mut()
            .find(|segment| segment.number == number)
    }

    /// Reads everything again that is not settled. Nothing of it must be in memory.
    pub(super) fn rewind(&mut self) {
        self.unread = 0;
        for segment in &mut self.segments {
            segment.unread = segment.live;
            self.unread = self.unread.saturating_add(segment.live);
        }
        self.cursor = Place {
            segment: self.segments.front().map_or(0, |first| first.number),
            offset: 0,
        };
    }

    /// What is to be read back next.
    pub(super) fn next_part(&mut self) -> Option<Part> {
        if self.unread == 0 {
            return None;
        }
        loop {
            let cursor = self.cursor;
            let at = self
                .segments
                .iter()
                .position(|segment| segment.number == cursor.segment);
            // A file that was removed meanwhile had nothing to be read.
            let at = at.unwrap_or(0);
            let segment = self.segments.get(at)?;
            if segment.unread > 0 {
                let from = if segment.number == cursor.segment {
                    cursor.offset
                } else {
                    0
                };
                return Some(Part {
                    segment: segment.number,
                    files: segment.files.clone(),
                    from,
                    to: segment.bytes,
                    unread: segment.unread,
                    settled: segment.settled.clone(),
                });
            }
            let next = self.segments.get(at.saturating_add(1))?;
            self.cursor = Place {
                segment: next.number,
                offset: 0,
            };
        }
    }

    /// Notes what was read back.
    pub(super) fn note_loaded(&mut self, loaded: &Loaded) {
        let gone = (loaded.entries.len() as u64).saturating_add(loaded.missing);
        self.unread = self.unread.saturating_sub(gone);
        let Some(segment) = self.segment(loaded.segment) else {
            return;
        };
        segment.unread = segment.unread.saturating_sub(gone);
        segment.live = segment.live.saturating_sub(loaded.missing);
        self.cursor = Place {
            segment: loaded.segment,
            offset: loaded.next,
        };
    }

    /// Notes that these events, each with the size of its JSON, are settled, and tells what is to
    /// be done about it in the file system.
    pub(super) fn settle(&mut self, mut events: Vec<(Place, usize)>) -> Vec<Chore> {
        events.sort_unstable_by_key(|(place, _)| (place.segment, place.offset));
        let mut chores = Vec::new();
        for events in events.chunk_by(|(one, _), (other, _)| one.segment == other.segment) {
            let segment = events.first().map(|(place, _)| place.segment);
            let Some(segment) = segment.and_then(|number| self.segment(number)) else {
                continue;
            };
            let mut ranges = Vec::with_capacity(events.len());
            for (Place { offset, .. }, json) in events {
                segment
                    .settled
                    .set(usize::try_from(*offset).unwrap_or(usize::MAX));
                let length = u32::try_from(framed(*json)).unwrap_or(u32::MAX);
                ranges.push((*offset, offset.saturating_add(length)));
            }
            segment.live = segment.live.saturating_sub(events.len() as u64);
            chores.push(Chore::Acks(segment.files.clone(), ranges));
        }
        // The acks come first in any case: they stay if a file cannot be removed.
        self.sweep(&mut chores);
        chores
    }

    /// Gives up files of which all is settled, and lanes without files.
    fn sweep(&mut self, chores: &mut Vec<Chore>) {
        let worth = self.file_bytes() / REMOVED_FROM;
        if self.writer.is_some()
            && self
                .segments
                .back()
                .is_some_and(|last| last.live == 0 && u64::from(last.bytes) >= worth)
            && self.new_segment().is_err()
        {
            self.writer = None;
        }
        let last = self.writer.is_some().then_some(self.next_segment);
        let mut freed = 0_u64;
        self.segments.retain(|segment| {
            let keep = segment.live > 0 || Some(segment.number) == last;
            if !keep {
                freed = freed.saturating_add(segment.bytes.into());
                chores.push(Chore::Remove(segment.files.clone()));
            }
            keep
        });
        self.bytes = self.bytes.saturating_sub(freed);
        for lane in std::mem::take(&mut self.adopted) {
            if self.segments.iter().any(|one| one.lane == lane.name) {
                self.adopted.push(lane);
            } else {
                chores.push(Chore::RemoveLane(lane));
            }
        }
    }

    /// Ends the writing, and gives the files to whoever comes next.
    pub(super) fn close(&mut self) -> Vec<Chore> {
        let mut chores = Vec::new();
        self.writer = None;
        self.sweep(&mut chores);
        self.adopted.clear();
        if let Some(own) = self.own.take()
            && self.segments.is_empty()
        {
            chores.push(Chore::RemoveLane(own));
        }
        chores
    }
}

impl Chore {
    /// Does it. What fails costs nothing but events that are sent twice after a restart.
    pub(super) fn perform(self) -> io::Result<()> {
        match self {
            Self::Acks(files, mut ranges) => {
                let mut entries = Vec::new();
                acks::write(&mut ranges, &mut entries);
                files.add_acks(&entries)
            }
            Self::Remove(files) => files.remove(),
            Self::RemoveLane(lane) => lane.remove(),
        }
    }
}

/// The most memory that a spool takes, in bytes, besides the events that are read back.
pub(super) fn memory_limit(options: &SpoolOptions, largest_event: usize) -> usize {
    let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    // The files take a bit for each place where a record can begin, twice while it grows, and once
    // more for the file that is read back, which is in memory as a whole.
    let marks = bytes(options.max_bytes) / UNIT / 8;
    let file = bytes(FILE_BYTES).max(framed(largest_event).min(bytes(options.max_bytes)));
    marks
        .saturating_mul(3)
        .saturating_add(file.saturating_mul(2))
}

/// The payloads in a file of records that the file of acks beside it does not settle.
#[cfg(feature = "test-kit")]
pub(crate) fn unsettled(records: &[u8], acks: &[u8]) -> Vec<Vec<u8>> {
    let settled = Settled::read(acks, records.len());
    Frames::new(records)
        .filter(|frame| !settled.contains(frame.offset))
        .map(|frame| frame.payload.to_vec())
        .collect()
}

/// A file with a record of each payload, and what settles those that `settle` says.
#[cfg(feature = "test-kit")]
pub(crate) fn written(payloads: &[Vec<u8>], settle: impl Fn(usize) -> bool) -> (Vec<u8>, Vec<u8>) {
    let (mut records, mut ranges) = (Vec::new(), Vec::new());
    for (number, payload) in payloads.iter().enumerate() {
        let start = records.len();
        let mut record = vec![0; HEADER];
        record.extend_from_slice(payload);
        seal(&mut record);
        records.extend_from_slice(&record);
        if settle(number) {
            let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
            ranges.push((at(start), at(records.len())));
        }
    }
    let mut journal = Vec::new();
    acks::write(&mut ranges, &mut journal);
    (records, journal)
}

#[cfg(test)]
mod tests;
