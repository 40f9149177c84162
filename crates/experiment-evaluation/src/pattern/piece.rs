use alloc::{string::String, vec::Vec};

use super::cost;

/// What a translated piece of a pattern is to the pieces around it.
#[derive(Debug)]
pub(super) struct Piece {
    /// Bytes of the compiled form, at least.
    pub(super) cost: u64,
    /// Whether it can only match the empty text, and captures nothing.
    pub(super) is_place: bool,
    /// The `$`s in it that nothing in it follows.
    pub(super) open_ends: Vec<OpenEnd>,
    /// Characters it matches at most, if Java sees an end; only look-behind asks.
    pub(super) longest: Option<u64>,
    /// Whether Java sees one way to match it only; decides what Java makes of a repetition.
    pub(super) is_deterministic: bool,
}

impl Piece {
    pub(super) fn place() -> Self {
        Self {
            cost: cost::STEP,
            is_place: true,
            open_ends: Vec::new(),
            longest: Some(0),
            is_deterministic: true,
        }
    }

    pub(super) fn symbol(cost: u64) -> Self {
        Self {
            cost,
            is_place: false,
            longest: Some(1),
            ..Self::place()
        }
    }
}

/// `\z` as the translation of `$` and `\Z`.
pub(super) const TEXT_END: &str = r"\z";

/// An optional last line terminator, which a search may as well consume where `$` ends the
/// pattern: nothing that follows can miss it.
const LAST_LINE_END: &str = r"(?:(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)";
const LAST_UNIX_LINE_END: &str = r"(?:\n?\z)";

/// A `$` that nothing follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenEnd {
    /// Where its [`TEXT_END`] stands in the text.
    pub(super) position: usize,
    pub(super) unix_lines: bool,
}

/// Lets a search take the last line terminator at every end that stayed open.
pub(super) fn with_open_ends(text: &str, open_ends: &[OpenEnd]) -> String {
    let mut widened = String::with_capacity(text.len());
    let mut copied = 0;
    for end in open_ends {
        let after = end.position.saturating_add(TEXT_END.len());
        widened.push_str(text.get(copied..end.position).unwrap_or_default());
        widened.push_str(if end.unix_lines {
            LAST_UNIX_LINE_END
        } else {
            LAST_LINE_END
        });
        copied = after;
    }
    widened.push_str(text.get(copied..).unwrap_or_default());
    widened
}
