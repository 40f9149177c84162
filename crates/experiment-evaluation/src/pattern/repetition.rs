use alloc::vec::Vec;
use core::fmt::Write;

use super::{PatternError, cost, java::Translator, piece::Piece};

impl Translator {
    /// Reads the quantifier behind an atom, if there is one; the atom's text begins at `start`.
    pub(super) fn quantified(&mut self, atom: Piece, start: usize) -> Result<Piece, PatternError> {
        let (least, most) = match self.reader.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => self.counts()?,
            _ => return Ok(atom),
        };
        self.reader.advance();
        let suffix = match self.reader.peek() {
            Some('?') => "?",
            Some('+') => "+",
            _ => "",
        };
        if !suffix.is_empty() {
            self.reader.advance();
        }
        if atom.is_place {
            // A place once is a place many times. Neither engine repeats all that Java repeats.
            if least == 0 {
                self.text.truncate(start);
                return Ok(Piece::place());
            }
            return Ok(atom);
        }
        // Writing to a string cannot fail.
        let _ = match (least, most) {
            (0, Some(1)) => self.text.write_char('?'),
            (0, None) => self.text.write_char('*'),
            (1, None) => self.text.write_char('+'),
            (_, None) => write!(self.text, "{{{least},}}"),
            (_, Some(most)) if most == least => write!(self.text, "{{{least}}}"),
            (_, Some(most)) => write!(self.text, "{{{least},{most}}}"),
        };
        if suffix == "+" {
            self.needs_backtracking("possessive quantifier");
        }
        self.text.push_str(suffix);
        let once = atom.cost.saturating_add(cost::STEP);
        let copies = u64::from(most.unwrap_or(least).max(1));
        let longest = match (atom.longest, most) {
            // A group with several ways to match becomes a loop, whose end Java does not look for.
            _ if !atom.is_deterministic && most != Some(1) => None,
            (Some(longest @ 0..=1), None) => Some(longest.saturating_mul(u64::from(u32::MAX))),
            (Some(longest), Some(most)) => Some(longest.saturating_mul(u64::from(most))),
            _ => None,
        };
        Ok(Piece {
            cost: self.charge(once.saturating_mul(copies))?,
            is_place: false,
            open_ends: if most == Some(1) {
                atom.open_ends
            } else {
                Vec::new()
            },
            longest,
            is_deterministic: atom.is_deterministic && most == Some(least),
        })
    }

    /// Reads `{n}`, `{n,}` or `{n,m}` up to the closing brace, which stays.
    fn counts(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        let start = self.reader.offset();
        let out_of_range = || PatternError::invalid("repetition out of range", start);
        self.reader.advance();
        if !self
            .reader
            .raw(0)
            .is_some_and(|symbol| symbol.is_ascii_digit())
        {
            return Err(PatternError::invalid(
                "`{` is not followed by a count",
                start,
            ));
        }
        let least = self.count().ok_or_else(out_of_range)?;
        let most = if self.reader.accept(',') {
            if self.reader.peek() == Some('}') {
                None
            } else {
                Some(self.count().ok_or_else(out_of_range)?)
            }
        } else {
            Some(least)
        };
        if self.reader.peek() != Some('}') {
            return Err(PatternError::invalid(
                "counted repetition is not closed",
                start,
            ));
        }
        if most.is_some_and(|most| most < least) {
            return Err(out_of_range());
        }
        Ok((least, most))
    }

    /// Reads digits; `None` beyond what Java counts with.
    fn count(&mut self) -> Option<u32> {
        let mut value: i32 = 0;
        while let Some(digit) = self.reader.peek().and_then(|symbol| symbol.to_digit(10)) {
            value = value
                .checked_mul(10)?
                .checked_add(i32::try_from(digit).ok()?)?;
            self.reader.advance();
        }
        u32::try_from(value).ok()
    }
}
