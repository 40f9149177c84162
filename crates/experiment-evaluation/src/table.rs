//! [`Table`]: positions by text.

/// Finds the position of a text in a list of the plan, without holding the texts.
///
/// Open addressing with linear probing, at most three quarters full. A library's table is made to
/// grow and shrink; this one is filled once, and a look-up costs half as many instructions.
///
/// Texts come from configurations and are only looked up with texts of users, so nobody who sends
/// users can choose collisions, and a fixed hash is safe.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// A part of the hash, and the position or [`FREE`]. A power of two of them.
    places: alloc::boxed::Box<[(u32, u32)]>,
}

/// No position.
const FREE: u32 = u32::MAX;

impl Table {
    /// A table of the texts in order. Of equal texts the first is found.
    pub(crate) fn new<'t>(texts: impl ExactSizeIterator<Item = &'t str>) -> Self {
        if texts.len() == 0 {
            return Self::default();
        }
        let size = texts
            .len()
            .saturating_mul(4)
            .div_ceil(3)
            .saturating_add(1)
            .next_power_of_two();
        let mut places = alloc::vec![(0, FREE); size].into_boxed_slice();
        for (position, text) in (0_u32..).zip(texts) {
            let (mut at, part) = start(text, size);
            while let Some(place) = places.get_mut(at) {
                if place.1 == FREE {
                    *place = (part, position);
                    break;
                }
                at = next(at, size);
            }
        }
        Self { places }
    }

    /// What `same` makes of the position of `text`; it answers `None` if another text stands there.
    #[inline]
    pub(crate) fn find<R>(&self, text: &str, same: impl Fn(u32) -> Option<R>) -> Option<R> {
        let (mut at, part) = start(text, self.places.len());
        // There is always a free place, so the search ends.
        while let Some(&(known, position)) = self.places.get(at) {
            if position == FREE {
                return None;
            }
            if known == part {
                if let Some(found) = same(position) {
                    return Some(found);
                }
            }
            at = next(at, self.places.len());
        }
        None
    }
}

/// Where the search for a text starts, and the part of its hash that is kept.
#[inline]
fn start(text: &str, size: usize) -> (usize, u32) {
    let hash = hash(text.as_bytes());
    #[allow(
        clippy::cast_possible_truncation,
        reason = "any bits of the hash will do"
    )]
    let (at, part) = (hash as usize, (hash >> 32) as u32);
    (at & size.wrapping_sub(1), part)
}

#[inline]
fn next(at: usize, size: usize) -> usize {
    at.wrapping_add(1) & size.wrapping_sub(1)
}

/// Multiplies the bytes, eight by eight, into one number, in the manner of wyhash.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    /// Digits of pi.
    const SEEDS: [u64; 3] = [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
    ];

    let length = bytes.len() as u64;
    let word = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let half =
        |chunk: Option<&[u8; 4]>| chunk.map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
    let mut state = SEEDS[2] ^ length;
    let mut rest = bytes;
    while let (Some((block, behind)), true) = (rest.split_first_chunk::<16>(), rest.len() > 16) {
        let (low, high) = block.split_at(8);
        state = fold(
            word(low.first_chunk()) ^ SEEDS[0],
            word(high.first_chunk()) ^ state,
        );
        rest = behind;
    }
    let (low, high) = match rest.len() {
        8.. => (word(rest.first_chunk()), word(rest.last_chunk())),
        4..=7 => (half(rest.first_chunk()), half(rest.last_chunk())),
        _ => {
            let at = |index: usize| rest.get(index).map_or(0, |&byte| u64::from(byte));
            (at(0) | at(1) << 8 | at(2) << 16, 0)
        }
    };
    fold(low ^ SEEDS[1], high ^ state)
}

/// The two halves of a product, mixed.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the two halves of 128 bits"
    )]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use super::*;

    #[test]
    fn every_text_is_found_at_its_position_and_no_other_is_found() {
        for count in [0, 1, 2, 3, 7, 100, 5_000] {
            let texts: Vec<String> = (0..count)
                .map(|n| format!("{n:0>width$}", width = n % 50))
                .collect();
            let table = Table::new(texts.iter().map(String::as_str));
            for (position, text) in texts.iter().enumerate() {
                let first = texts.iter().position(|other| other == text);
                let same = |at: u32| (texts[at as usize] == *text).then_some(at as usize);
                assert_eq!(table.find(text, same), first, "{position}");
            }
            let same = |at: u32| (texts[at as usize] == "x").then_some(at);
            assert_eq!(table.find("x", same), None);
        }
    }

    #[test]
    fn places_are_spread_evenly() {
        let size = 1 << 12;
        let mut counts = alloc::vec![0_u32; size];
        for n in 0..size {
            counts[start(&format!("team-{:02}-experiment-{n:04}", n % 20), size).0] += 1;
        }
        // Of random placement 37 % stay free and hardly any place gets more than 8.
        let free = counts.iter().filter(|&&count| count == 0).count();
        assert!((size * 30 / 100..size * 45 / 100).contains(&free), "{free}");
        assert!(counts.iter().all(|&count| count <= 10));
    }
}
