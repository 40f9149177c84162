use super::{
    PatternError,
    java::Translator,
    property::{self, Missing},
    set::Set,
};

/// What a backslash makes of the characters behind it.
#[derive(Debug)]
pub(super) enum Escape {
    Symbol(char),
    Set(Set),
    Place(Place),
}

/// The escapes that are neither a character nor a set of characters; a class cannot hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    WordBoundary,
    NoWordBoundary,
    TextStart,
    TextEnd,
    LastLineEnd,
    LineBreak,
    /// Something that was noted as unsupported.
    Nowhere,
    /// Number of the group.
    Backreference(usize),
}

impl Translator {
    /// Reads an escape; the position is at the backslash. In a class, `\v` in front of a hyphen is
    /// one character instead of a set.
    pub(super) fn escape(
        &mut self,
        in_class: bool,
        range_bound: bool,
    ) -> Result<Escape, PatternError> {
        let start = self.reader.offset();
        self.reader.advance();
        let Some(symbol) = self.reader.take_raw() else {
            return Err(PatternError::invalid("nothing is escaped", start));
        };
        let flags = self.reader.flags;
        let place = match symbol {
            '0' => return self.octal(),
            'd' => return Ok(Escape::Set(property::digit(flags))),
            'D' => return Ok(Escape::Set(property::digit(flags).complement())),
            'w' => return Ok(Escape::Set(property::word(flags))),
            'W' => return Ok(Escape::Set(property::word(flags).complement())),
            's' => return Ok(Escape::Set(property::space(flags))),
            'S' => return Ok(Escape::Set(property::space(flags).complement())),
            'h' => return Ok(Escape::Set(property::horizontal_space())),
            'H' => return Ok(Escape::Set(property::horizontal_space().complement())),
            'v' if range_bound => return Ok(Escape::Symbol('\x0b')),
            'v' => return Ok(Escape::Set(property::vertical_space())),
            'V' => return Ok(Escape::Set(property::vertical_space().complement())),
            'a' => return Ok(Escape::Symbol('\x07')),
            'e' => return Ok(Escape::Symbol('\x1b')),
            'f' => return Ok(Escape::Symbol('\x0c')),
            'n' => return Ok(Escape::Symbol('\n')),
            'r' => return Ok(Escape::Symbol('\r')),
            't' => return Ok(Escape::Symbol('\t')),
            'c' => return self.control(),
            'x' => return self.hexadecimal(),
            'u' => return self.utf16(),
            'N' => return self.character_name(),
            'A' | 'G' if !in_class => Place::TextStart,
            'z' if !in_class => Place::TextEnd,
            'Z' if !in_class => Place::LastLineEnd,
            'R' if !in_class => Place::LineBreak,
            'B' if !in_class => self.word_boundary(Place::NoWordBoundary),
            'b' if !in_class => {
                if self.reader.peek() == Some('{') && self.reader.raw(1) == Some('g') {
                    self.reader.advance();
                    self.reader.advance();
                    if !self.reader.accept('}') {
                        return Err(self.invalid_here("`\\b{g` is not closed"));
                    }
                    self.note_unsupported("`\\b{g}`");
                    Place::Nowhere
                } else {
                    self.word_boundary(Place::WordBoundary)
                }
            }
            'X' if !in_class => {
                self.note_unsupported("`\\X`");
                Place::Nowhere
            }
            'k' if !in_class => self.named_reference()?,
            '1'..='9' if !in_class => self.numbered_reference(symbol),
            '0'..='9' | 'a'..='z' | 'A'..='Z' => {
                return Err(PatternError::invalid("no such escape", start));
            }
            literal => return Ok(Escape::Symbol(literal)),
        };
        Ok(Escape::Place(place))
    }

    /// Reads `{Name}` or `L` behind `\p` or `\P`; the position is behind the `p`.
    pub(super) fn property(&mut self, negated: bool) -> Result<Set, PatternError> {
        let start = self.reader.offset();
        let name = if self.reader.peek() == Some('{') {
            self.reader.advance();
            self.reader.peek();
            let mut name = alloc::string::String::new();
            loop {
                match self.reader.take_raw() {
                    Some('}') => break,
                    Some(symbol) => name.push(symbol),
                    None => {
                        return Err(PatternError::invalid("property name is not closed", start));
                    }
                }
            }
            name
        } else {
            self.reader.take().map_or_else(Default::default, Into::into)
        };
        match property::property(&name, self.reader.flags) {
            Ok(set) if negated => Ok(set.complement()),
            Ok(set) => Ok(set),
            Err(Missing::Unknown) => Err(PatternError::invalid("no such property", start)),
            Err(Missing::Unsupported) => {
                self.note_unsupported(alloc::format!("property `{name}`"));
                Ok(Set::empty())
            }
        }
    }

    fn word_boundary(&mut self, place: Place) -> Place {
        if self.reader.flags.unicode_classes {
            self.note_unsupported("word boundary under flag `U`");
        }
        place
    }

    /// Up to three digits, the first of three at most 3.
    fn octal(&mut self) -> Result<Escape, PatternError> {
        let mut value: u32 = 0;
        let mut count = 0_u8;
        while count < 3 {
            let before = self.reader.position();
            let Some(digit) = self.reader.take().and_then(|symbol| symbol.to_digit(8)) else {
                self.reader.rewind(before);
                break;
            };
            if count == 2 && value > 0o37 {
                self.reader.rewind(before);
                break;
            }
            value = value.saturating_mul(8).saturating_add(digit);
            count = count.saturating_add(1);
        }
        if count == 0 {
            return Err(self.invalid_here("`\\0` wants an octal digit"));
        }
        Ok(self.code_point(value))
    }

    fn control(&mut self) -> Result<Escape, PatternError> {
        match self.reader.take() {
            Some(symbol) => Ok(self.code_point(u32::from(symbol) ^ 0x40)),
            None => Err(self.invalid_here("`\\c` wants a character")),
        }
    }

    /// `\xhh` or `\x{h…}`.
    fn hexadecimal(&mut self) -> Result<Escape, PatternError> {
        if !self.reader.accept('{') {
            return match self.hexadecimal_digits(2) {
                Some(value) => Ok(self.code_point(value)),
                None => Err(self.invalid_here("`\\x` wants two hexadecimal digits")),
            };
        }
        let mut value: Option<u32> = None;
        loop {
            let at = self.reader.offset();
            match self.reader.take() {
                Some('}') => break,
                Some(symbol) => {
                    let Some(digit) = symbol.to_digit(16) else {
                        return Err(PatternError::invalid("not a hexadecimal digit", at));
                    };
                    let next = value.unwrap_or(0).saturating_mul(16).saturating_add(digit);
                    if next > u32::from(char::MAX) {
                        return Err(PatternError::invalid("no such code point", at));
                    }
                    value = Some(next);
                }
                None => return Err(PatternError::invalid("`\\x{` is not closed", at)),
            }
        }
        match value {
            Some(value) => Ok(self.code_point(value)),
            None => Err(self.invalid_here("`\\x{}` wants a hexadecimal digit")),
        }
    }

    /// `\uhhhh`, or two of them that make a surrogate pair.
    fn utf16(&mut self) -> Result<Escape, PatternError> {
        let wrong = "`\\u` wants four hexadecimal digits";
        let Some(first) = self.hexadecimal_digits(4) else {
            return Err(self.invalid_here(wrong));
        };
        if !(0xD800..0xDC00).contains(&first) {
            return Ok(self.code_point(first));
        }
        let before = self.reader.position();
        if self.reader.take() == Some('\\') && self.reader.take() == Some('u') {
            let Some(second) = self.hexadecimal_digits(4) else {
                return Err(self.invalid_here(wrong));
            };
            if let Some(low @ 0..0x400) = second.checked_sub(0xDC00) {
                let high = (first & 0x3FF) << 10;
                return Ok(self.code_point((high | low).saturating_add(0x1_0000)));
            }
        }
        self.reader.rewind(before);
        Ok(self.code_point(first))
    }

    fn hexadecimal_digits(&mut self, count: usize) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..count {
            let digit = self.reader.take()?.to_digit(16)?;
            value = value.checked_mul(16)?.checked_add(digit)?;
        }
        Some(value)
    }

    fn character_name(&mut self) -> Result<Escape, PatternError> {
        let start = self.reader.offset();
        if !self.reader.accept('{') {
            return Err(PatternError::invalid("`\\N` wants a name in braces", start));
        }
        loop {
            match self.reader.take() {
                Some('}') => break,
                Some(_) => {}
                None => return Err(PatternError::invalid("`\\N{` is not closed", start)),
            }
        }
        self.note_unsupported("`\\N{…}`");
        Ok(Escape::Symbol(char::REPLACEMENT_CHARACTER))
    }

    /// A character by its number. Java accepts half a surrogate pair, which no text here contains.
    fn code_point(&mut self, value: u32) -> Escape {
        Escape::Symbol(char::from_u32(value).unwrap_or_else(|| {
            self.note_unsupported("half of a surrogate pair");
            char::REPLACEMENT_CHARACTER
        }))
    }

    fn named_reference(&mut self) -> Result<Place, PatternError> {
        if !self.reader.accept('<') {
            return Err(self.invalid_here("`\\k` wants a group name in angle brackets"));
        }
        let start = self.reader.offset();
        let name = self.group_name()?;
        match self.names.get(&name).copied() {
            Some(number) => Ok(Place::Backreference(number)),
            None => Err(PatternError::invalid(
                "no group of this name stands before",
                start,
            )),
        }
    }

    /// Digits belong to the number as long as such a group was opened before.
    fn numbered_reference(&mut self, first: char) -> Place {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.reader.peek().and_then(|symbol| symbol.to_digit(10)) {
            let longer = number.saturating_mul(10).saturating_add(digit as usize);
            if longer > self.groups {
                break;
            }
            number = longer;
            self.reader.advance();
        }
        Place::Backreference(number)
    }
}
