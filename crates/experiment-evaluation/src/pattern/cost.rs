//! What compiled pieces cost at least, so that a hostile pattern is refused before the regex crate
//! sees it. Measured with regex 1.13 as the growth of the smallest size limit that compiles one
//! more copy of a piece, and taken low: the exact check is the regex crate's own.

/// Bytes of one step of a compiled pattern.
pub(super) const STEP: u64 = 32;

/// Bytes of one range of a class.
const RANGE: u64 = 8;

/// Bytes of a range over most of Unicode, which takes several lengths of UTF-8, as in `.`.
const WIDE_RANGE: u64 = 600;

/// Bytes of one more member in a class. Members may overlap and compile to nothing, but the regex
/// crate has to merge them.
const MEMBER: u64 = 256;

/// Bytes of one instruction of fancy-regex.
#[cfg(feature = "lookaround")]
pub(super) const INSTRUCTION: usize = 64;

pub(super) fn ranges(ranges: &[(char, char)]) -> u64 {
    ranges.iter().fold(STEP, |cost, &(start, end)| {
        let is_wide = start <= '\u{FFFF}' && end > '\u{FFFF}';
        cost.saturating_add(if is_wide { WIDE_RANGE } else { RANGE })
    })
}

pub(super) fn property(name: &str) -> u64 {
    match name {
        "L" | "Alphabetic" | "C" | "Cn" => 40_000,
        "Ll" | "Lo" | "Lu" | "Lowercase" | "Uppercase" => 26_000,
        "M" | "Mc" | "Mn" | "N" | "P" | "Po" | "S" | "So" => 9_000,
        "Lm" | "Nd" | "No" => 4_800,
        _ => 150,
    }
}

/// A union of members of which the largest costs `largest`.
pub(super) fn union(largest: u64, members: usize) -> u64 {
    largest.saturating_add(MEMBER.saturating_mul(members as u64))
}
