use alloc::{borrow::Cow, collections::BTreeMap, string::String, vec::Vec};

use super::{
    PatternError, RegexMatching,
    class::leaf,
    cost,
    escape::Escape,
    piece::{Piece, with_open_ends},
    property,
    reader::Reader,
    set::Set,
};

/// How deep groups, classes and the operators in classes may nest. Java has no such limit,
/// but this parser recurses, and must not run out of stack on any pattern.
pub(super) const NESTING_LIMIT: usize = 64;

/// What will run the translated pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// The regex crate: linear time, no look-around, no back-references.
    Linear,
    /// fancy-regex: everything, within a step bound.
    #[cfg_attr(
        not(feature = "lookaround"),
        allow(dead_code, reason = "needs the feature")
    )]
    Backtracking,
}

/// A pattern of `java.util.regex` in the syntax of the engine it was translated for.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) text: String,
    /// The first construct, if any, that only [`Engine::Backtracking`] runs. The text is of no use
    /// to the other engine then.
    pub(super) backtracking: Option<&'static str>,
    /// Bytes that the compiled form takes at least, estimated.
    pub(super) cost: u64,
}

/// Translates a pattern of `java.util.regex`, in time linear in its length.
///
/// # Errors
///
/// What [`PatternError`] names; a pattern that Java rejects is invalid even if something
/// unsupported stands in front of the mistake.
pub(super) fn translate(
    source: &str,
    matching: RegexMatching,
    engine: Engine,
    size_limit: usize,
) -> Result<Translation, PatternError> {
    // Every character costs more than a byte, but for comments, which nobody writes by the page.
    if source.len() > size_limit {
        return Err(PatternError::TooLarge { limit: size_limit });
    }
    let mut translator = Translator {
        reader: Reader::new(source),
        matching,
        engine,
        size_limit,
        text: String::with_capacity(source.len().saturating_add(16)),
        depth: 0,
        groups: 0,
        open_groups: Vec::new(),
        names: BTreeMap::new(),
        unsupported: None,
        backtracking: None,
    };
    translator.text.push_str(match matching {
        RegexMatching::Full => r"\A(?:",
        RegexMatching::Search => "(?:",
    });
    let root = translator.alternation()?;
    if translator.reader.peek().is_some() {
        return Err(translator.invalid_here("`)` closes nothing"));
    }
    translator.text.push_str(match matching {
        RegexMatching::Full => r")\z",
        RegexMatching::Search => ")",
    });
    if let Some(construct) = translator.unsupported {
        return Err(PatternError::Unsupported {
            construct: construct.into_owned(),
        });
    }
    let mut text = translator.text;
    if matching == RegexMatching::Search && engine == Engine::Linear {
        text = with_open_ends(&text, &root.open_ends);
    }
    Ok(Translation {
        text,
        backtracking: translator.backtracking,
        cost: root.cost,
    })
}

/// Reads a pattern of `java.util.regex` and writes what it means to the regex crates.
#[derive(Debug)]
pub(super) struct Translator {
    pub(super) reader: Reader,
    pub(super) matching: RegexMatching,
    pub(super) engine: Engine,
    size_limit: usize,
    pub(super) text: String,
    depth: usize,
    pub(super) groups: usize,
    /// Numbers of the capturing groups around the position.
    pub(super) open_groups: Vec<usize>,
    pub(super) names: BTreeMap<String, usize>,
    /// The first construct that no engine here runs.
    unsupported: Option<Cow<'static, str>>,
    backtracking: Option<&'static str>,
}

impl Translator {
    pub(super) fn invalid_here(&self, reason: &'static str) -> PatternError {
        PatternError::invalid(reason, self.reader.offset())
    }

    /// Remembers the first construct that cannot be run; reading goes on, because an invalid
    /// pattern is to be reported as such.
    pub(super) fn note_unsupported(&mut self, construct: impl Into<Cow<'static, str>>) {
        if self.unsupported.is_none() {
            self.unsupported = Some(construct.into());
        }
    }

    /// Goes one level down; the recursion of the parser ends at [`NESTING_LIMIT`].
    pub(super) fn enter(&mut self) -> Result<(), PatternError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > NESTING_LIMIT {
            return Err(PatternError::Unsupported {
                construct: alloc::format!("nesting deeper than {NESTING_LIMIT} levels"),
            });
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn needs_backtracking(&mut self, construct: &'static str) {
        if self.backtracking.is_none() {
            self.backtracking = Some(construct);
        }
    }

    pub(super) fn charge(&self, cost: u64) -> Result<u64, PatternError> {
        if usize::try_from(cost).is_ok_and(|cost| cost <= self.size_limit) {
            Ok(cost)
        } else {
            Err(PatternError::TooLarge {
                limit: self.size_limit,
            })
        }
    }

    pub(super) fn alternation(&mut self) -> Result<Piece, PatternError> {
        let mut all = self.sequence()?;
        while self.reader.accept('|') {
            self.text.push('|');
            let branch = self.sequence()?;
            all = Piece {
                cost: self.charge(
                    all.cost
                        .saturating_add(branch.cost)
                        .saturating_add(cost::STEP),
                )?,
                is_place: all.is_place && branch.is_place,
                open_ends: {
                    all.open_ends.extend(branch.open_ends);
                    all.open_ends
                },
                longest: all
                    .longest
                    .zip(branch.longest)
                    .map(|(one, other)| one.max(other)),
                is_deterministic: false,
            };
        }
        Ok(all)
    }

    fn sequence(&mut self) -> Result<Piece, PatternError> {
        let mut all = Piece {
            cost: 0,
            ..Piece::place()
        };
        while let Some(symbol) = self.reader.peek() {
            if matches!(symbol, '|' | ')') {
                break;
            }
            let start = self.text.len();
            let Some(atom) = self.atom(symbol)? else {
                continue;
            };
            let next = self.quantified(atom, start)?;
            // Another `$` behind a `$` leaves both open; whatever else follows closes them.
            if next.open_ends.is_empty() || !next.is_place {
                all.open_ends.clear();
            }
            all.cost = self.charge(all.cost.saturating_add(next.cost))?;
            all.is_place &= next.is_place;
            all.open_ends.extend(next.open_ends);
            all.longest = all
                .longest
                .zip(next.longest)
                .map(|(one, other)| one.saturating_add(other));
            all.is_deterministic &= next.is_deterministic;
        }
        Ok(all)
    }

    /// Reads one thing that a quantifier may follow; `None` for flags, which are no thing.
    fn atom(&mut self, symbol: char) -> Result<Option<Piece>, PatternError> {
        let flags = self.reader.flags;
        let piece = match symbol {
            '(' => return self.group(),
            '[' => {
                self.reader.advance();
                let set = self.class()?;
                self.write_set(&set)
            }
            '\\' => self.escaped()?,
            '^' => {
                self.reader.advance();
                self.text
                    .push_str(match (flags.multi_line, flags.unix_lines, self.engine) {
                        (false, _, _) => r"\A",
                        (true, true, Engine::Linear) => "(?m-R:^)",
                        (true, false, Engine::Linear) => "(?mR:^)",
                        // Not at the end of the text, which the other engine has no words for.
                        (true, true, Engine::Backtracking) => r"(?:(?m-R:^)(?!\z))",
                        (true, false, Engine::Backtracking) => {
                            r"(?:(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n))(?!\z))"
                        }
                    });
                Piece::place()
            }
            '$' => {
                self.reader.advance();
                self.line_end()
            }
            '.' => {
                self.reader.advance();
                let set = if flags.dot_all {
                    Set::all()
                } else {
                    property::line_terminator(flags).complement()
                };
                self.write_set(&set)
            }
            '*' | '+' | '?' => {
                return Err(self.invalid_here("quantifier without anything to repeat"));
            }
            // Java reads a second counted quantifier as one of nothing at all.
            '{' => Piece::place(),
            literal => {
                self.reader.advance();
                self.literal(literal)
            }
        };
        Ok(Some(piece))
    }

    fn literal(&mut self, symbol: char) -> Piece {
        let set = leaf([(symbol, symbol)].into(), self.reader.flags);
        self.write_set(&set)
    }

    fn write_set(&mut self, set: &Set) -> Piece {
        if set.needs_tables() && !cfg!(feature = "unicode") {
            self.note_unsupported("class of Unicode without feature `unicode`");
        }
        set.write(&mut self.text);
        Piece::symbol(set.cost())
    }

    fn escaped(&mut self) -> Result<Piece, PatternError> {
        if let Some(kind @ ('p' | 'P')) = self.reader.raw(1) {
            self.reader.advance();
            self.reader.advance();
            let set = self.property(kind == 'P')?;
            return Ok(self.write_set(&set));
        }
        match self.escape(false, false)? {
            Escape::Symbol(symbol) => Ok(self.literal(symbol)),
            Escape::Set(set) => Ok(self.write_set(&set)),
            Escape::Place(place) => Ok(self.place(place)),
        }
    }
}
