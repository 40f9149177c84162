use alloc::string::String;

use super::{
    PatternError,
    java::{Engine, Translator},
    piece::Piece,
};

impl Translator {
    /// Reads what an opening parenthesis opens, up to the closing one.
    pub(super) fn group(&mut self) -> Result<Option<Piece>, PatternError> {
        let flags = self.reader.flags;
        self.enter()?;
        self.reader.advance();
        let mut look_behind = false;
        let mut look_around = false;
        let mut captures = false;
        let start = self.reader.offset();
        if self.reader.peek() == Some('?') {
            self.reader.advance();
            match self.reader.raw(0) {
                Some(':') => {
                    self.reader.advance();
                    self.text.push_str("(?:");
                }
                Some(kind @ ('=' | '!' | '>')) => {
                    self.reader.advance();
                    look_around = kind != '>';
                    self.needs_backtracking(if look_around {
                        "look-ahead"
                    } else {
                        "atomic group"
                    });
                    self.text.push_str("(?");
                    self.text.push(kind);
                }
                Some('<') => {
                    self.reader.advance();
                    if let Some(kind @ ('=' | '!')) = self.reader.peek() {
                        self.reader.advance();
                        look_around = true;
                        look_behind = true;
                        self.needs_backtracking("look-behind");
                        self.text.push_str("(?<");
                        self.text.push(kind);
                    } else {
                        let name = self.group_name()?;
                        let number = self.groups.saturating_add(1);
                        if self.names.insert(name, number).is_some() {
                            return Err(PatternError::invalid("group name is taken", start));
                        }
                        captures = true;
                    }
                }
                _ => {
                    self.flags()?;
                    match self.reader.take() {
                        Some(')') => {
                            self.leave();
                            return Ok(None);
                        }
                        Some(':') => self.text.push_str("(?:"),
                        _ => return Err(PatternError::invalid("no such group or flag", start)),
                    }
                }
            }
        } else {
            captures = true;
        }
        if captures {
            self.groups = self.groups.saturating_add(1);
            self.open_groups.push(self.groups);
            // Captures cost memory and time, and only a back-reference asks for them.
            self.text.push_str(if self.engine == Engine::Linear {
                "(?:"
            } else {
                "("
            });
        }
        let mut piece = self.alternation()?;
        if !self.reader.accept(')') {
            return Err(self.invalid_here("group is not closed"));
        }
        self.text.push(')');
        self.reader.flags = flags;
        self.leave();
        if captures {
            self.open_groups.pop();
        }
        if look_behind && piece.longest.is_none() {
            return Err(PatternError::invalid(
                "look-behind without an obvious end",
                start,
            ));
        }
        if look_around {
            return Ok(Some(Piece {
                cost: piece.cost,
                ..Piece::place()
            }));
        }
        piece.is_place &= !captures;
        Ok(Some(piece))
    }

    /// Reads inline flags; the position is behind the question mark.
    fn flags(&mut self) -> Result<(), PatternError> {
        let mut on = true;
        loop {
            let symbol = self.reader.peek();
            let flags = &mut self.reader.flags;
            match symbol {
                Some('i') => flags.ignore_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('d') => flags.unix_lines = on,
                Some('u') => flags.unicode_case = on,
                Some('x') => flags.comments = on,
                Some('U') => {
                    flags.unicode_classes = on;
                    flags.unicode_case = on;
                }
                Some('c') => self.note_unsupported("flag `c`"),
                Some('-') if on => on = false,
                _ => return Ok(()),
            }
            self.reader.advance();
        }
    }

    /// Reads letters and digits up to `>`, the first a letter.
    pub(super) fn group_name(&mut self) -> Result<String, PatternError> {
        let mut name = String::new();
        loop {
            let at = self.reader.offset();
            match self.reader.take() {
                Some('>') if !name.is_empty() => return Ok(name),
                Some(symbol)
                    if symbol.is_ascii_alphabetic()
                        || (symbol.is_ascii_digit() && !name.is_empty()) =>
                {
                    name.push(symbol);
                }
                _ => return Err(PatternError::invalid("not a group name", at)),
            }
        }
    }
}
