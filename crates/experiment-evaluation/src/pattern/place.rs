use core::fmt::Write;

use super::{
    RegexMatching, cost,
    escape::Place,
    java::{Engine, Translator},
    piece::{OpenEnd, Piece, TEXT_END},
    property,
    set::Set,
};

impl Translator {
    pub(super) fn place(&mut self, place: Place) -> Piece {
        match place {
            Place::WordBoundary => self.text.push_str(match self.engine {
                Engine::Linear => r"(?-u:\b)",
                // The word boundary of this engine always follows Unicode.
                Engine::Backtracking => {
                    "(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))"
                }
            }),
            Place::NoWordBoundary => self.text.push_str(match self.engine {
                Engine::Linear => r"(?-u:\B)",
                Engine::Backtracking => {
                    "(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))"
                }
            }),
            Place::TextStart => self.text.push_str(r"\A"),
            Place::TextEnd => self.text.push_str(TEXT_END),
            Place::Nowhere => {}
            Place::LastLineEnd => return self.last_line_end(),
            Place::LineBreak => {
                self.text.push_str(r"(?:\r\n|");
                let set = property::vertical_space();
                set.write(&mut self.text);
                self.text.push(')');
                return Piece {
                    longest: Some(2),
                    ..Piece::symbol(set.cost())
                };
            }
            Place::Backreference(number) => {
                self.needs_backtracking("back-reference");
                if self.open_groups.contains(&number) {
                    // Java sees the last round of the group, fancy-regex half of this one.
                    self.note_unsupported("back-reference to the group it stands in");
                }
                if number > self.groups {
                    // A group that is not there never took part in the match.
                    Set::empty().write(&mut self.text);
                } else {
                    let flag = if self.reader.flags.ignore_case {
                        "i"
                    } else {
                        ""
                    };
                    // Writing to a string cannot fail.
                    let _ = write!(self.text, r"(?{flag}:\{number})");
                }
                return Piece {
                    longest: None,
                    ..Piece::symbol(cost::STEP)
                };
            }
        }
        Piece::place()
    }

    pub(super) fn line_end(&mut self) -> Piece {
        let flags = self.reader.flags;
        if !flags.multi_line {
            return self.last_line_end();
        }
        self.text.push_str(match (flags.unix_lines, self.engine) {
            (true, _) => "(?m-R:$)",
            (false, Engine::Linear) => "(?mR:$)",
            (false, Engine::Backtracking) => r"(?:\z|(?<!\r)(?=\n)|(?=[\r\x{85}\x{2028}\x{2029}]))",
        });
        Piece::place()
    }

    /// The end of the text, or the place in front of a line terminator that ends it. The linear
    /// engine knows the first only; where nothing follows, a search gets the second as well.
    fn last_line_end(&mut self) -> Piece {
        let unix_lines = self.reader.flags.unix_lines;
        let position = self.text.len();
        self.text.push_str(match (self.engine, unix_lines) {
            (Engine::Linear, _) => TEXT_END,
            (Engine::Backtracking, true) => r"(?=\n?\z)",
            (Engine::Backtracking, false) => {
                r"(?:\z|(?=\r\n\z)|(?<!\r)(?=\n\z)|(?=[\r\x{85}\x{2028}\x{2029}]\z))"
            }
        });
        let mut piece = Piece::place();
        if self.engine == Engine::Linear && self.matching == RegexMatching::Search {
            piece.open_ends.push(OpenEnd {
                position,
                unix_lines,
            });
        }
        piece
    }
}
