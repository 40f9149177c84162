use alloc::vec::Vec;

/// What the inline flags of a pattern say at one place.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "seven letters that are on or off"
)]
pub(super) struct Flags {
    /// `i`: letters match in both cases, ASCII only.
    pub(super) ignore_case: bool,
    /// `u`: with `i`, all letters match in both cases.
    pub(super) unicode_case: bool,
    /// `m`: `^` and `$` hold at every line.
    pub(super) multi_line: bool,
    /// `s`: `.` matches line terminators.
    pub(super) dot_all: bool,
    /// `d`: only `\n` ends a line.
    pub(super) unix_lines: bool,
    /// `x`: white space and `#` comments are skipped, in classes too.
    pub(super) comments: bool,
    /// `U`: `\d`, `\w`, `\s` and the POSIX classes follow Unicode.
    pub(super) unicode_classes: bool,
}

/// A pattern, character by character, the way Java looks at it: quotations (`\Q…\E`) are resolved
/// into escapes first, and what flag `x` skips is skipped by whoever asks for the next character.
#[derive(Debug)]
pub(super) struct Reader {
    /// Each character with the byte offset it has in the source.
    units: Vec<(usize, char)>,
    source_length: usize,
    position: usize,
    pub(super) flags: Flags,
}

impl Reader {
    pub(super) fn new(source: &str) -> Self {
        Self {
            units: unquote(source),
            source_length: source.len(),
            position: 0,
            flags: Flags::default(),
        }
    }

    /// The next character that counts; the position moves in front of it.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_ignored();
        self.raw(0)
    }

    /// The next character that counts; the position moves behind it.
    pub(super) fn take(&mut self) -> Option<char> {
        self.skip_ignored();
        self.take_raw()
    }

    /// The character at the position, ignored or not; the position moves behind it.
    pub(super) fn take_raw(&mut self) -> Option<char> {
        let symbol = self.raw(0);
        self.advance();
        symbol
    }

    /// The character `distance` behind the position, ignored or not; the position stays.
    pub(super) fn raw(&self, distance: usize) -> Option<char> {
        let at = self.position.checked_add(distance)?;
        self.units.get(at).map(|&(_, symbol)| symbol)
    }

    /// Moves behind the character at the position.
    pub(super) fn advance(&mut self) {
        self.position = self.position.saturating_add(1).min(self.units.len());
    }

    /// Moves behind the next character that counts if it is `expected`.
    pub(super) fn accept(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Goes back to a place that [`Self::position`] named.
    pub(super) fn rewind(&mut self, position: usize) {
        self.position = position.min(self.units.len());
    }

    /// The byte offset of the position in the source.
    pub(super) fn offset(&self) -> usize {
        self.units
            .get(self.position)
            .map_or(self.source_length, |&(offset, _)| offset)
    }

    fn skip_ignored(&mut self) {
        if !self.flags.comments {
            return;
        }
        while let Some(symbol) = self.raw(0) {
            match symbol {
                ' ' | '\t'..='\r' => self.advance(),
                '#' => {
                    while self.raw(0).is_some_and(|symbol| !self.ends_line(symbol)) {
                        self.advance();
                    }
                }
                _ => return,
            }
        }
    }

    fn ends_line(&self, symbol: char) -> bool {
        match symbol {
            '\n' => true,
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => !self.flags.unix_lines,
            _ => false,
        }
    }
}

/// Turns `\Q…\E` into escapes, as Java does before it parses anything: a quotation may therefore
/// stand anywhere, in a class or across a group, and an unclosed one runs to the end.
fn unquote(source: &str) -> Vec<(usize, char)> {
    let mut units = Vec::with_capacity(source.len());
    let mut symbols = source.char_indices().peekable();
    let mut quoted = false;
    let mut quotation_starts = false;
    while let Some((offset, symbol)) = symbols.next() {
        let follower = symbols.peek().map(|&(_, follower)| follower);
        match (quoted, symbol) {
            (false, '\\') if follower == Some('Q') => {
                symbols.next();
                quoted = true;
                quotation_starts = true;
                continue;
            }
            (false, '\\') => {
                units.push((offset, symbol));
                units.extend(symbols.next());
            }
            (true, '\\') if follower == Some('E') => {
                symbols.next();
                quoted = false;
            }
            // A digit could otherwise be read as part of what stands before the quotation.
            (true, '0'..='9') if quotation_starts => {
                units.extend(['\\', 'x', '3', symbol].map(|part| (offset, part)));
            }
            (true, _) if symbol.is_ascii() && !symbol.is_ascii_alphanumeric() => {
                units.extend(['\\', symbol].map(|part| (offset, part)));
            }
            _ => units.push((offset, symbol)),
        }
        quotation_starts = false;
    }
    units
}
