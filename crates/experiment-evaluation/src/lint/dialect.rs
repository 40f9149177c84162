//! What can be said about a pattern without running it: whether it matches the same text in full
//! as in part, and what in it some engines reject or read differently.

use alloc::vec::Vec;

/// Deeper groups are not looked into; the compiler refuses them anyway.
const NESTING: usize = 64;

/// What was found in a pattern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dialect {
    /// A search finds nothing that a full match does not: every alternative begins at the start of
    /// the text, or with `.*`, and ends likewise.
    pub(super) anchored: bool,
    /// Constructs, each with who makes what of it.
    pub(super) constructs: Vec<(&'static str, &'static str)>,
}

/// Looks through a pattern that compiles. Newlines aside, which `.` and `$` see differently
/// everywhere.
pub(super) fn dialect(pattern: &str) -> Dialect {
    let mut scanner = Scanner {
        rest: pattern,
        constructs: Vec::new(),
    };
    if pattern.contains('#') {
        scanner.note("`#`", "PHP takes it for the end of the pattern");
    }
    let ends = scanner.alternatives(0);
    Dialect {
        anchored: ends.start && ends.end && scanner.rest.is_empty(),
        constructs: scanner.constructs,
    }
}

/// Whether a piece of a pattern is bound to reach the start, and the end, of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    start: bool,
    end: bool,
}

impl Ends {
    fn open() -> Self {
        Self {
            start: false,
            end: false,
        }
    }
}

/// One thing that a quantifier may follow.
enum Atom {
    /// `.`
    AnySymbol,
    /// Nothing in itself, such as flags for what follows.
    Nothing,
    Other(Ends),
}

struct Scanner<'p> {
    rest: &'p str,
    constructs: Vec<(&'static str, &'static str)>,
}

impl Scanner<'_> {
    fn note(&mut self, construct: &'static str, reading: &'static str) {
        if !self.constructs.iter().any(|(known, _)| *known == construct) {
            self.constructs.push((construct, reading));
        }
    }

    fn accept(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self) -> Option<char> {
        let symbol = self.rest.chars().next()?;
        self.rest = self.rest.get(symbol.len_utf8()..).unwrap_or_default();
        Some(symbol)
    }

    /// Alternatives up to the bracket that closes them, which stays.
    fn alternatives(&mut self, depth: usize) -> Ends {
        let mut all = self.sequence(depth);
        while self.accept("|") {
            let next = self.sequence(depth);
            all = Ends {
                start: all.start && next.start,
                end: all.end && next.end,
            };
        }
        all
    }

    fn sequence(&mut self, depth: usize) -> Ends {
        let (mut start, mut end) = (None, false);
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom(depth);
            let quantifier = self.quantifier();
            let ends = match (atom, quantifier) {
                (Atom::Nothing, _) => continue,
                (Atom::AnySymbol, Some(Repeats::WithoutEnd)) => Ends {
                    start: true,
                    end: true,
                },
                (Atom::Other(ends), None) => ends,
                _ => Ends::open(),
            };
            start.get_or_insert(ends.start);
            end = ends.end;
        }
        Ends {
            start: start.unwrap_or(false),
            end,
        }
    }

    fn atom(&mut self, depth: usize) -> Atom {
        match self.take() {
            Some('.') => Atom::AnySymbol,
            Some('^') => Atom::Other(Ends {
                start: true,
                end: false,
            }),
            Some('$') => Atom::Other(Ends {
                start: false,
                end: true,
            }),
            Some('[') => {
                self.class();
                Atom::Other(Ends::open())
            }
            Some('(') => self.group(depth),
            Some('\\') => Atom::Other(self.escape()),
            _ => Atom::Other(Ends::open()),
        }
    }

    fn group(&mut self, depth: usize) -> Atom {
        let mut looks = false;
        if self.accept("?") {
            if self.accept(":") {
            } else if self.accept("=") || self.accept("!") {
                self.note("look-ahead", "Go rejects it");
                looks = true;
            } else if self.accept("<=") || self.accept("<!") {
                self.note("look-behind", "Go rejects it");
                looks = true;
            } else if self.accept(">") {
                self.note("`(?>`", "JavaScript and Go reject it");
            } else if self.accept("<") {
                self.note("`(?<name>`", "Python and older Go reject it");
            } else {
                while self
                    .rest
                    .starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
                {
                    self.take();
                }
                self.note(
                    "inline flags",
                    "JavaScript rejects them, Python unless they come first",
                );
                if self.accept(")") {
                    return Atom::Nothing;
                }
                self.accept(":");
            }
        }
        if depth >= NESTING {
            return Atom::Other(Ends::open());
        }
        let ends = self.alternatives(depth.saturating_add(1));
        self.accept(")");
        Atom::Other(if looks { Ends::open() } else { ends })
    }

    /// A class; the bracket that opens it has been taken.
    fn class(&mut self) {
        let mut open = 1_usize;
        self.accept("^");
        while open > 0 {
            if self.accept("&&") {
                self.note("`&&` in a class", "only Java and Ruby intersect");
                continue;
            }
            match self.take() {
                Some('[') => {
                    self.note("`[` in a class", "only Java and Ruby nest classes");
                    open = open.saturating_add(1);
                }
                Some(']') => open = open.saturating_sub(1),
                Some('\\') => {
                    self.escape();
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Ends {
        let symbol = self.take();
        match symbol {
            Some('A' | 'z' | 'Z') => self.note(
                "`\\A`, `\\z`, `\\Z`",
                "JavaScript takes them for letters, Python rejects `\\z`",
            ),
            Some('G' | 'h' | 'H' | 'R' | 'X' | 'V') => self.note(
                "`\\G`, `\\h`, `\\R`, `\\V`, `\\X`",
                "Python and Go reject them, JavaScript takes them for letters",
            ),
            Some('p' | 'P') => self.note(
                "`\\p`",
                "Python rejects it, JavaScript takes it for a letter",
            ),
            Some('Q') => {
                self.note(
                    "`\\Q…\\E`",
                    "Python rejects it, JavaScript and Ruby take it for letters",
                );
                match self.rest.split_once("\\E") {
                    Some((_, rest)) => self.rest = rest,
                    None => self.rest = "",
                }
            }
            Some('1'..='9' | 'k') => self.note("back-references", "Go rejects them"),
            Some('u') => self.note("`\\u`", "Go and PHP reject it"),
            Some('x') if self.rest.starts_with('{') => self.note(
                "`\\x{…}`",
                "Python and Ruby reject it, JavaScript takes it for a repetition",
            ),
            _ => {}
        }
        Ends {
            start: symbol == Some('A'),
            end: matches!(symbol, Some('z' | 'Z')),
        }
    }

    fn quantifier(&mut self) -> Option<Repeats> {
        let repeats = if self.accept("*") || self.accept("+") {
            Repeats::WithoutEnd
        } else if self.accept("?") {
            Repeats::Counted
        } else if self.rest.starts_with('{') {
            let (count, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            if count.ends_with(',') {
                Repeats::WithoutEnd
            } else {
                Repeats::Counted
            }
        } else {
            return None;
        };
        if self.accept("+") {
            self.note(
                "a possessive quantifier",
                "JavaScript, Go and older Python reject it",
            );
            return Some(Repeats::Counted);
        }
        self.accept("?");
        Some(repeats)
    }
}

enum Repeats {
    WithoutEnd,
    Counted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_anchored_if_every_alternative_reaches_both_ends() {
        for pattern in [
            "^a$",
            ".*",
            ".+",
            ".*x.*",
            "^a.*",
            ".*a$",
            "^(a|b)$",
            "(^a$|^b$)",
            "^a$|.*b.*",
            "^(?:pro|free)$",
            "(?i)^a$",
            r"\Aa\z",
            ".*?a.*?",
            ".{0,}a$",
            r"^\$$",
            "^[$^]$",
        ] {
            assert!(dialect(pattern).anchored, "{pattern}");
        }
        for pattern in [
            "",
            "a",
            "^a",
            "a$",
            "^a|b$",
            "^pro|free$",
            "(^a)?b$",
            "^a|b|c$",
            r"^a\$",
            r"^a\.*",
            r"\^a$",
            "^a[$]",
            "^(a$)?",
            "(?=a).*",
            ".*a",
            "a.*",
            "^a$|b",
            ".a$",
            "(^a$)*",
            "^a.?",
        ] {
            assert!(!dialect(pattern).anchored, "{pattern}");
        }
    }

    #[test]
    fn constructs_are_named_once() {
        let named = |pattern| {
            let constructs = dialect(pattern).constructs;
            constructs
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(named("a++b*+c?+d{2}+"), ["a possessive quantifier"]);
        assert_eq!(
            named("(?>a)(?<n>b)(?i)(?i:c)"),
            ["`(?>`", "`(?<name>`", "inline flags"]
        );
        assert_eq!(
            named("(?=a)(?!b)(?<=c)(?<!d)"),
            ["look-ahead", "look-behind"]
        );
        assert_eq!(named(r"[a[b]&&c]"), ["`[` in a class", "`&&` in a class"]);
        assert_eq!(named(r"\Qa(?=b\E#"), ["`#`", r"`\Q…\E`"]);
        assert_eq!(
            named(r"(a)\1\p{L}\x{61}"),
            ["back-references", r"`\p`", r"`\x{…}`"]
        );
        assert_eq!(named(r"^\d+\w*\s?[^/]+\.com(a|b){2,3}$"), [""; 0]);
        assert_eq!(
            named(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
            [""; 0]
        );
    }
}
