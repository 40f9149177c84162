//! [`Short`]: short text as two numbers, so that comparing it costs two comparisons.

/// Text of up to 15 bytes that is not the start of a JSON array.
///
/// Nearly every value that a condition compares is such a text, and so are the properties that can
/// be equal to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// The first bytes.
    low: u64,
    /// The last seven bytes from 8 bytes on; the length in the highest byte.
    high: u64,
}

impl Short {
    /// `None` for text that is longer, or that starts with `[` and may have to be read as a list.
    #[inline]
    pub(crate) fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.first() == Some(&b'[') {
            return None;
        }
        let (low, high) = match bytes.len() {
            0 => (0, 0),
            1..=3 => {
                let at = |index: usize| bytes.get(index).map_or(0, |&byte| u64::from(byte));
                (at(0) | at(1) << 8 | at(2) << 16, 0)
            }
            4..=7 => {
                let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
                (
                    u64::from(u32::from_le_bytes(*first))
                        | u64::from(u32::from_le_bytes(*last)) << 32,
                    0,
                )
            }
            8..=15 => {
                let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> 8)
            }
            _ => return None,
        };
        Some(Self {
            low,
            high: high | (bytes.len() as u64) << 56,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_texts_are_equal_where_the_texts_are(a in "[ab\\x00]{0,16}", b in "[ab\\x00]{0,16}") {
            if let (Some(x), Some(y)) = (Short::new(&a), Short::new(&b)) {
                prop_assert_eq!(x == y, a == b);
            }
            prop_assert_eq!(Short::new(&a).is_some(), a.len() <= 15);
        }
    }
}
