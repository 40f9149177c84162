//! How records stand in a spool file, and how they are found again in a damaged one.
//!
//! A record begins at a multiple of [`UNIT`] bytes: [`MAGIC`], the length of the payload and a
//! CRC-32 of length and payload (both little-endian), the payload, zeros up to the next multiple.
//! The magic begins with a byte that UTF-8 never has, and payloads are JSON: so nothing that a user
//! can put into an event is taken for a record when the reader looks for the next one behind a
//! damaged place.

/// What records are aligned to, in bytes.
pub(crate) const UNIT: usize = 32;

/// Bytes in front of a payload.
pub(crate) const HEADER: usize = 12;

/// The last byte is the version of the format.
const MAGIC: [u8; 4] = [0xFF, b'x', b's', 1];

/// How many bytes the record of a payload takes.
pub(crate) fn framed(payload: usize) -> usize {
    payload.saturating_add(HEADER).next_multiple_of(UNIT)
}

/// Makes a record of a buffer that has room for the header in front of its payload.
pub(crate) fn seal(buffer: &mut Vec<u8>) {
    let Some((header, payload)) = buffer.split_first_chunk_mut::<HEADER>() else {
        return;
    };
    // Longer payloads than that are refused long before.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let fields = [MAGIC, length.to_le_bytes(), checksum(length, payload)];
    for (byte, value) in header.iter_mut().zip(fields.as_flattened()) {
        *byte = *value;
    }
    buffer.resize(buffer.len().next_multiple_of(UNIT), 0);
}

fn checksum(length: u32, payload: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize().to_le_bytes()
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Where it begins, from the start of what was read.
    pub(crate) offset: usize,
    pub(crate) payload: &'a [u8],
}

/// The whole records in some bytes, in order. Damaged places are passed over and counted; a record
/// that was cut off at the end, as by the death of the process that wrote it, is not damage.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    damaged: u64,
}

enum Found<'a> {
    Record(&'a [u8]),
    /// Not all of it is there.
    CutOff,
    Damage,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            damaged: 0,
        }
    }

    /// Damaged places so far.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    fn look(&self) -> Found<'a> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else {
            return Found::CutOff;
        };
        let ([magic, length, sum], []) = header.as_chunks::<4>() else {
            return Found::Damage;
        };
        if *magic != MAGIC {
            return Found::Damage;
        }
        let length = u32::from_le_bytes(*length);
        match usize::try_from(length).map(|length| rest.get(..length)) {
            Ok(Some(payload)) if checksum(length, payload) == *sum => Found::Record(payload),
            Ok(Some(_)) | Err(_) => Found::Damage,
            Ok(None) => Found::CutOff,
        }
    }

    /// Goes to the next whole record behind a bad one, or to the end.
    fn pass(&mut self, bad: &Found<'_>) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        while self.at < self.bytes.len() {
            self.at = self.at.saturating_add(UNIT);
            if let Found::Record(_) = self.look() {
                self.damaged = self.damaged.saturating_add(1);
                return;
            }
        }
        // A machine that lost its power may leave zeros where nothing was written yet.
        if matches!(bad, Found::Damage) && rest.iter().any(|&byte| byte != 0) {
            self.damaged = self.damaged.saturating_add(1);
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        while self.at < self.bytes.len() {
            match self.look() {
                Found::Record(payload) => {
                    let offset = self.at;
                    self.at = self.at.saturating_add(framed(payload.len()));
                    return Some(Frame { offset, payload });
                }
                bad => self.pass(&bad),
            }
        }
        None
    }
}
