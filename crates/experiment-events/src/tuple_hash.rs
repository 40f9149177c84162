//! [`TupleHash`]: the hash of a tuple of texts and numbers.

use twox_hash::xxhash3_128::{DEFAULT_SECRET_LENGTH, RawHasher, SecretBuffer};

/// Which kind of fact a tuple is about; its first byte.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    Assignment = b'a',
    /// Both forms of an exposure: the same fact has the same insert id.
    Exposure = b'e',
    /// Keys of the dedupe filter only: the client form counts by rules of its own.
    ClientExposure = b'c',
    /// One flag of an assignment's result, remembered by the dedupe filter only.
    AssignedFlag = b'f',
}

/// The length that stands for an absent text.
const ABSENT: u32 = u32::MAX;

/// Hashes a tuple with XXH3-128 (seed 0) without putting it together.
///
/// The bytes: the kind, then texts as their length (u32, little-endian) and UTF-8, absent texts as
/// the length 0xFFFFFFFF, numbers as 8 bytes, little-endian. Two different tuples of one shape
/// therefore never have the same bytes.
pub(crate) struct TupleHash(RawHasher<&'static [u8; DEFAULT_SECRET_LENGTH]>);

impl TupleHash {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut hasher = RawHasher::new(SecretBuffer::default());
        hasher.write(&[kind as u8]);
        Self(hasher)
    }

    pub(crate) fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.0.write(&ABSENT.to_le_bytes());
            return;
        };
        // A text of 4 GiB shares its length with longer ones; the bytes differ.
        let length = u32::try_from(text.len()).unwrap_or(ABSENT).min(ABSENT - 1);
        self.0.write(&length.to_le_bytes());
        self.0.write(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0.finish_128()
    }
}
