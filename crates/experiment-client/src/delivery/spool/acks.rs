//! Which records of a spool file are settled, in memory and in the file beside it.
//!
//! That file is a journal of entries of 12 bytes: start and end of a range of settled records, as
//! offsets, and a CRC-32 of the two, all little-endian. What is damaged in it is passed over: the
//! records are then sent once more, with the insert ids they had.

use super::frame::UNIT;

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 12;

const UNITS_PER_WORD: usize = 64;

/// The settled records of one file: a bit for each place where a record can begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled(Vec<u64>);

impl Settled {
    /// What a journal says.
    pub(crate) fn read(journal: &[u8], file_bytes: usize) -> Self {
        let mut this = Self::default();
        for entry in journal.as_chunks::<ENTRY>().0 {
            let ([start, end, sum], []) = entry.as_chunks::<4>() else {
                continue;
            };
            if checksum(*start, *end) != *sum {
                continue;
            }
            let [start, end] =
                [*start, *end].map(|at| usize::try_from(u32::from_le_bytes(at)).unwrap_or(0));
            let mut at = start;
            while at < end.min(file_bytes) {
                this.set(at);
                at = at.saturating_add(UNIT);
            }
        }
        this
    }

    pub(crate) fn set(&mut self, offset: usize) {
        let (word, bit) = place(offset);
        if self.0.len() <= word {
            self.0.resize(word.saturating_add(1), 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn contains(&self, offset: usize) -> bool {
        let (word, bit) = place(offset);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(offset: usize) -> (usize, u64) {
    let unit = offset / UNIT;
    let bit = u32::try_from(unit % UNITS_PER_WORD).unwrap_or(0);
    (unit / UNITS_PER_WORD, 1_u64.wrapping_shl(bit))
}

/// Adds entries for these ranges to a journal, neighbours joined.
pub(crate) fn write(ranges: &mut [(u32, u32)], journal: &mut Vec<u8>) {
    ranges.sort_unstable();
    let mut joined: Option<(u32, u32)> = None;
    for &(start, end) in &*ranges {
        joined = match joined {
            Some((first, last)) if last == start => Some((first, end)),
            Some(range) => {
                write_entry(range, journal);
                Some((start, end))
            }
            None => Some((start, end)),
        };
    }
    if let Some(range) = joined {
        write_entry(range, journal);
    }
}

fn write_entry((start, end): (u32, u32), journal: &mut Vec<u8>) {
    let (start, end) = (start.to_le_bytes(), end.to_le_bytes());
    journal.extend_from_slice([start, end, checksum(start, end)].as_flattened());
}

fn checksum(start: [u8; 4], end: [u8; 4]) -> [u8; 4] {
    crc32fast::hash([start, end].as_flattened()).to_le_bytes()
}
