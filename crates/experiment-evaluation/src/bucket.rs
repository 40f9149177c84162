//! Splitting users: the hash, its slot and its point.

/// Allocations divide the hash into this many slots (model 2.1.1, "Allocation").
pub(crate) const SLOTS: u32 = 100;

const BLOCK_1: u32 = 0xcc9e_2d51;
const BLOCK_2: u32 = 0x1b87_3593;

/// MurmurHash3 x86 32-bit with seed 0 of `salt/value`, prepared up to the slash.
///
/// The whole blocks of `salt/` are mixed in advance. The bytes that are left over start the next
/// block, which the first bytes of the value complete, so the value is never copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SaltedHash {
    state: u32,
    /// The bytes of `salt/` behind the last whole block, little-endian.
    carry: u32,
    /// How many bytes those are: 0 to 3.
    carried: u8,
    /// Length of `salt/`, modulo 2^32 as the hash takes it.
    length: u32,
}

impl SaltedHash {
    pub(crate) fn new(salt: &str) -> Self {
        let mut hash = Self {
            state: 0,
            carry: 0,
            carried: 0,
            length: 0,
        };
        for byte in salt.bytes().chain([b'/']) {
            hash.carry |= u32::from(byte) << (8 * u32::from(hash.carried & 3));
            hash.carried = hash.carried.wrapping_add(1);
            hash.length = hash.length.wrapping_add(1);
            if hash.carried == 4 {
                hash.state = mix(hash.state, hash.carry);
                (hash.carry, hash.carried) = (0, 0);
            }
        }
        hash
    }

    /// The hash of `salt/value`.
    #[inline]
    pub(crate) fn of(&self, value: &str) -> u32 {
        let bytes = value.as_bytes();
        // Lengths are taken modulo 2^32 by the 32-bit hash.
        #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 as specified")]
        let length = self.length.wrapping_add(bytes.len() as u32);
        let carried = usize::from(self.carried & 3);
        let shift = 8 * u32::from(self.carried & 3);
        let mut state = self.state;
        let tail = if let Some(first) = bytes.first_chunk() {
            state = mix(state, self.carry | u32::from_le_bytes(*first) << shift);
            let mut rest = bytes
                .get(4_usize.wrapping_sub(carried)..)
                .unwrap_or_default();
            while let Some((block, behind)) = rest.split_first_chunk() {
                state = mix(state, u32::from_le_bytes(*block));
                rest = behind;
            }
            little_endian(rest)
        } else {
            // Up to six bytes: the carry and at most three of the value.
            let whole = u64::from(self.carry) | u64::from(little_endian(bytes)) << shift;
            #[allow(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
            let (low, high) = (whole as u32, (whole >> 32) as u32);
            if carried.wrapping_add(bytes.len()) < 4 {
                low
            } else {
                state = mix(state, low);
                high
            }
        };
        // An empty tail is zero, which scrambles to zero and changes nothing.
        finish(state ^ scramble(tail) ^ length)
    }
}

/// Up to three bytes as a number.
fn little_endian(bytes: &[u8]) -> u32 {
    match *bytes {
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a] => u32::from(a),
        _ => 0,
    }
}

fn scramble(block: u32) -> u32 {
    block
        .wrapping_mul(BLOCK_1)
        .rotate_left(15)
        .wrapping_mul(BLOCK_2)
}

fn mix(state: u32, block: u32) -> u32 {
    (state ^ scramble(block))
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

fn finish(mut state: u32) -> u32 {
    state ^= state >> 16;
    state = state.wrapping_mul(0x85eb_ca6b);
    state ^= state >> 13;
    state = state.wrapping_mul(0xc2b2_ae35);
    state ^ state >> 16
}

/// Where a hash falls: the slot that allocations divide and the point that distributions divide.
pub(crate) fn slot_and_point(hash: u32) -> (u32, u32) {
    (hash % SLOTS, hash / SLOTS)
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use experiment_conformance::vectors;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_hash_equals_the_murmur3_crate(salt in "\\PC{0,40}", value in "\\PC{0,70}") {
            let whole = format!("{salt}/{value}");
            let expected = murmur3::murmur3_32(&mut whole.as_bytes(), 0).unwrap();
            prop_assert_eq!(SaltedHash::new(&salt).of(&value), expected);
        }
    }

    #[test]
    fn every_length_and_every_split_equals_the_murmur3_crate() {
        let text = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ!?";
        for end in 0..=text.len() {
            for split in 0..=end {
                let (salt, value) = (&text[..split], &text[split..end]);
                let whole = format!("{salt}/{value}");
                let expected = murmur3::murmur3_32(&mut whole.as_bytes(), 0).unwrap();
                assert_eq!(SaltedHash::new(salt).of(value), expected, "{salt}/{value}");
            }
        }
    }

    #[test]
    fn slots_and_points_cover_their_ranges() {
        assert_eq!(slot_and_point(0), (0, 0));
        assert_eq!(slot_and_point(u32::MAX), (95, 42_949_672));
    }

    #[derive(serde::Deserialize)]
    struct Row {
        input: String,
        seed: u32,
        hash: u32,
        allocation: Option<u32>,
        distribution: Option<u32>,
    }

    /// The hash of a text with any seed, by way of an empty salt without its slash.
    fn seeded(seed: u32, text: &str) -> u32 {
        let hash = SaltedHash {
            state: seed,
            carry: 0,
            carried: 0,
            length: 0,
        };
        hash.of(text)
    }

    #[test]
    fn every_vector_has_its_hash_slot_and_point() {
        let rows: Vec<Row> = serde_json::from_str(vectors::MURMUR3).unwrap();
        assert_eq!(rows.len(), 168);
        for row in rows {
            assert_eq!(seeded(row.seed, &row.input), row.hash, "{}", row.input);
            if let (Some(slot), Some(point)) = (row.allocation, row.distribution) {
                assert_eq!(slot_and_point(row.hash), (slot, point), "{}", row.input);
            }
            let salts = row.input.match_indices('/').filter(|_| row.seed == 0);
            for (slash, _) in salts {
                let (salt, value) = (&row.input[..slash], &row.input[slash + 1..]);
                assert_eq!(SaltedHash::new(salt).of(value), row.hash, "{salt}/{value}");
            }
        }
    }

    #[test]
    fn every_english_word_has_its_hash() {
        #[derive(serde::Deserialize)]
        struct Words {
            seed: u32,
            words: Vec<(String, u32)>,
        }

        let Words { seed, words } = serde_json::from_str(vectors::MURMUR3_WORDS).unwrap();
        assert_eq!(words.len(), 1_999);
        for (word, hash) in words {
            assert_eq!(seeded(seed, &word), hash, "{word}");
        }
    }
}
