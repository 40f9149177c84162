use alloc::vec::Vec;

use super::{
    PatternError,
    escape::Escape,
    java::Translator,
    reader::Flags,
    set::{Set, merge},
};

impl Translator {
    /// Reads a class; the position is behind its `[`.
    pub(super) fn class(&mut self) -> Result<Set, PatternError> {
        // Under flag `x`, white space in front of the `^` makes it a member.
        let negated = self.reader.raw(0) == Some('^');
        if negated {
            self.reader.advance();
        }
        let set = self.class_members()?;
        self.reader.accept(']');
        Ok(if negated { set.complement() } else { set })
    }

    /// Reads members up to the `]` that ends them, which stays.
    fn class_members(&mut self) -> Result<Set, PatternError> {
        self.enter()?;
        let mut operators: usize = 0;
        let mut singles: Vec<(char, char)> = Vec::new();
        let mut members: Vec<Set> = Vec::new();
        loop {
            match self.reader.peek() {
                None => return Err(self.invalid_here("class is not closed")),
                Some(']') if !members.is_empty() || !singles.is_empty() => break,
                Some('[') => {
                    self.reader.advance();
                    members.push(self.class()?);
                }
                Some('&') if self.reader.raw(1) == Some('&') => {
                    self.reader.advance();
                    self.reader.advance();
                    self.check_operand()?;
                    let right = self.right_operand()?;
                    self.gather(&mut singles, &mut members);
                    let left = core::mem::take(&mut members);
                    members.push(match (left.is_empty(), right) {
                        (false, Some(right)) => Set::union(left).intersection(right),
                        (false, None) => {
                            self.note_unsupported("`&&` with nothing right of it");
                            Set::union(left)
                        }
                        (true, Some(right)) => right,
                        (true, None) => return Err(self.invalid_here("`&&` joins nothing")),
                    });
                    // The tree of sets grows by one level for each operator.
                    self.enter()?;
                    operators = operators.saturating_add(1);
                }
                Some(symbol) => {
                    if symbol == '&' && operators > 0 {
                        // Java forgets on which side of the operator it belongs.
                        self.note_unsupported("`&` behind an operand of `&&`");
                    }
                    members.extend(self.class_member(&mut singles)?);
                }
            }
        }
        self.gather(&mut singles, &mut members);
        for _ in 0..=operators {
            self.leave();
        }
        Ok(Set::union(members))
    }

    /// Java stumbles over what flag `x` skips next to an `&`, in a way nobody relies on.
    fn check_operand(&self) -> Result<(), PatternError> {
        let skipped = |symbol: char| symbol == '#' || symbol.is_ascii_whitespace();
        if self.reader.flags.comments && self.reader.raw(0).is_some_and(skipped) {
            return Err(PatternError::Unsupported {
                construct: "white space or comment next to `&` in a class".into(),
            });
        }
        Ok(())
    }

    fn gather(&self, singles: &mut Vec<(char, char)>, members: &mut Vec<Set>) {
        if !singles.is_empty() {
            members.push(leaf(core::mem::take(singles), self.reader.flags));
        }
    }

    /// Reads what stands right of `&&`: everything up to the next operator or the end.
    fn right_operand(&mut self) -> Result<Option<Set>, PatternError> {
        let mut members = Vec::new();
        loop {
            match self.reader.peek() {
                None | Some(']' | '&') if members.is_empty() => return Ok(None),
                None | Some(']' | '&') => return Ok(Some(Set::union(members))),
                Some('[') => {
                    self.reader.advance();
                    members.push(self.class()?);
                }
                // Members without brackets take all that follows, further operators included.
                Some(_) => members.push(self.class_members()?),
            }
        }
    }

    /// Reads a character, a range or a set; the first two go to `singles`.
    fn class_member(
        &mut self,
        singles: &mut Vec<(char, char)>,
    ) -> Result<Option<Set>, PatternError> {
        let at = self.reader.offset();
        let start = match self.reader.peek() {
            Some('\\') => {
                if let Some(kind @ ('p' | 'P')) = self.reader.raw(1) {
                    self.reader.advance();
                    self.reader.advance();
                    return self.property(kind == 'P').map(Some);
                }
                let range_bound = self.reader.raw(2) == Some('-');
                match self.escape(true, range_bound)? {
                    Escape::Symbol(symbol) => symbol,
                    Escape::Set(set) => return Ok(Some(set)),
                    Escape::Place(_) => return Ok(None),
                }
            }
            Some(symbol) => {
                self.reader.advance();
                if symbol == '&' {
                    self.check_operand()?;
                }
                symbol
            }
            None => return Ok(None),
        };
        if self.reader.peek() != Some('-') || matches!(self.reader.raw(1), None | Some('[' | ']')) {
            singles.push((start, start));
            return Ok(None);
        }
        self.reader.advance();
        let end = match self.reader.peek() {
            Some('\\') => match self.escape(true, true)? {
                Escape::Symbol(symbol) => Some(symbol),
                Escape::Set(_) | Escape::Place(_) => None,
            },
            Some(symbol) => {
                self.reader.advance();
                Some(symbol)
            }
            None => None,
        };
        match end {
            Some(end) if start <= end => {
                singles.push((start, end));
                Ok(None)
            }
            _ => Err(PatternError::invalid("range is out of order", at)),
        }
    }
}

/// Set of the characters and ranges of a pattern, with the cases that the flags add. Java folds
/// before it negates or intersects, so this does too.
pub(super) fn leaf(mut ranges: Vec<(char, char)>, flags: Flags) -> Set {
    const DOTTED_I: [(char, char); 4] = [('I', 'I'), ('i', 'i'), ('İ', 'ı'), ('ı', 'ı')];
    if !flags.ignore_case {
        return Set::Ranges(merge(ranges));
    }
    let cased = |&(start, end): &(char, char)| {
        start != end || !start.is_ascii() || start.is_ascii_alphabetic()
    };
    if flags.unicode_case && ranges.iter().any(cased) {
        // Java folds through upper case, where the dotless and the dotted i meet the others.
        if DOTTED_I.iter().any(|&(i, _)| {
            ranges
                .iter()
                .any(|&(start, end)| (start..=end).contains(&i))
        }) {
            ranges.extend(DOTTED_I);
        }
        return Set::Folded(merge(ranges));
    }
    let mut folded = Vec::with_capacity(ranges.len().saturating_mul(2));
    for &(start, end) in &ranges {
        if let (from @ 'a'..='z', to) = (start.max('a'), end.min('z')) {
            if from <= to {
                folded.push((from.to_ascii_uppercase(), to.to_ascii_uppercase()));
            }
        }
        if let (from, to @ 'A'..='Z') = (start.max('A'), end.min('Z')) {
            if from <= to {
                folded.push((from.to_ascii_lowercase(), to.to_ascii_lowercase()));
            }
        }
    }
    ranges.extend(folded);
    Set::Ranges(merge(ranges))
}
