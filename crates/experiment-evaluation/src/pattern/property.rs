use alloc::{borrow::Cow, format};

use super::{reader::Flags, script::is_script, set::Set};

/// Why a property has no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Java does not know it either.
    Unknown,
    /// Java knows it, or some version of it does.
    Unsupported,
}

/// Set of the property whose name stands in `\p{…}`, in the order in which Java looks it up.
pub(super) fn property(name: &str, flags: Flags) -> Result<Set, Missing> {
    if let Some((key, value)) = name.split_once('=') {
        return match key.to_ascii_lowercase().as_str() {
            "sc" | "script" => script(value),
            "blk" | "block" => Err(Missing::Unsupported),
            "gc" | "general_category" => category(value, flags),
            _ => Err(Missing::Unknown),
        };
    }
    if name.starts_with("In") {
        return Err(Missing::Unsupported);
    }
    if let Some(rest) = name.strip_prefix("Is") {
        return binary(rest, flags).or_else(|missing| match missing {
            Missing::Unknown => category(rest, flags).or_else(|missing| match missing {
                Missing::Unknown => script(rest),
                Missing::Unsupported => Err(missing),
            }),
            Missing::Unsupported => Err(missing),
        });
    }
    if flags.unicode_classes {
        if let Some(set) = posix(name, flags) {
            return Ok(set);
        }
    }
    category(name, flags)
}

/// `[a-zA-Z0-9_]`.
pub(super) fn word(flags: Flags) -> Set {
    if !flags.unicode_classes {
        return Set::from_ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    }
    union_of(&["Alphabetic", "M", "Nd", "Pc", "Join_Control"])
}

/// `[0-9]`.
pub(super) fn digit(flags: Flags) -> Set {
    if flags.unicode_classes {
        Set::property("Nd")
    } else {
        Set::from_ranges(&[('0', '9')])
    }
}

/// `[ \t\n\x0B\f\r]`.
pub(super) fn space(flags: Flags) -> Set {
    if flags.unicode_classes {
        Set::property("White_Space")
    } else {
        Set::from_ranges(&[('\t', '\r'), (' ', ' ')])
    }
}

/// `\h`, which knows Unicode without a flag.
pub(super) fn horizontal_space() -> Set {
    Set::from_ranges(&[
        ('\t', '\t'),
        (' ', ' '),
        ('\u{a0}', '\u{a0}'),
        ('\u{1680}', '\u{1680}'),
        ('\u{180e}', '\u{180e}'),
        ('\u{2000}', '\u{200a}'),
        ('\u{202f}', '\u{202f}'),
        ('\u{205f}', '\u{205f}'),
        ('\u{3000}', '\u{3000}'),
    ])
}

/// `\v`, and what `\R` matches besides `\r\n`.
pub(super) fn vertical_space() -> Set {
    Set::from_ranges(&[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')])
}

/// What ends a line and `.` leaves out.
pub(super) fn line_terminator(flags: Flags) -> Set {
    if flags.unix_lines {
        Set::from_ranges(&[('\n', '\n')])
    } else {
        Set::from_ranges(&[
            ('\n', '\n'),
            ('\r', '\r'),
            ('\u{85}', '\u{85}'),
            ('\u{2028}', '\u{2029}'),
        ])
    }
}

fn union_of(names: &[&'static str]) -> Set {
    Set::Union(names.iter().copied().map(Set::property).collect())
}

fn script(name: &str) -> Result<Set, Missing> {
    if is_script(name) {
        Ok(Set::Property(Cow::Owned(format!("sc={name}"))))
    } else {
        Err(Missing::Unknown)
    }
}

/// General categories and the ASCII classes of POSIX, which Java keeps in one table.
fn category(name: &str, flags: Flags) -> Result<Set, Missing> {
    const CATEGORIES: [&str; 36] = [
        "C", "Cc", "Cf", "Cn", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
        "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm",
        "So", "Z", "Zl", "Zp", "Zs",
    ];
    let ranges: &[(char, char)] = match name {
        "all" => return Ok(Set::all()),
        // Surrogates are in no text.
        "Cs" => return Ok(Set::empty()),
        "LD" => return Ok(union_of(&["L", "Nd"])),
        "LC" => return Ok(union_of(&["Lu", "Ll", "Lt"])),
        "Lu" | "Ll" | "Lt" if flags.ignore_case => return Ok(union_of(&["Lu", "Ll", "Lt"])),
        "Lower" | "Upper" if flags.ignore_case => &[('A', 'Z'), ('a', 'z')],
        "L1" => &[('\0', '\u{ff}')],
        "ASCII" => &[('\0', '\x7f')],
        "Lower" => &[('a', 'z')],
        "Upper" => &[('A', 'Z')],
        "Alpha" => &[('A', 'Z'), ('a', 'z')],
        "Digit" => &[('0', '9')],
        "Alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "Punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "Graph" => &[('!', '~')],
        "Print" => &[(' ', '~')],
        "Blank" => &[('\t', '\t'), (' ', ' ')],
        "Cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "XDigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "Space" => &[('\t', '\r'), (' ', ' ')],
        _ if name.starts_with("java") => return Err(Missing::Unsupported),
        _ => {
            return CATEGORIES
                .into_iter()
                .find(|&known| known == name)
                .map(Set::property)
                .ok_or(Missing::Unknown);
        }
    };
    Ok(Set::from_ranges(ranges))
}

/// The POSIX classes under flag `U`, in any case.
fn posix(name: &str, flags: Flags) -> Option<Set> {
    let unicode = match name.to_ascii_uppercase().as_str() {
        "ALPHA" => "Alphabetic",
        "LOWER" => "Lowercase",
        "UPPER" => "Uppercase",
        "SPACE" => "White_Space",
        "PUNCT" => "Punctuation",
        "XDIGIT" => "Hex_Digit",
        "ALNUM" => "Alnum",
        "CNTRL" => "Control",
        "DIGIT" => "Digit",
        "BLANK" => "Blank",
        "GRAPH" => "Graph",
        "PRINT" => "Print",
        _ => return None,
    };
    binary(unicode, flags).ok()
}

/// The properties that Java knows after `Is`, in any case.
fn binary(name: &str, flags: Flags) -> Result<Set, Missing> {
    let name = name.to_ascii_uppercase();
    let set = match name.as_str() {
        "LOWERCASE" | "UPPERCASE" | "TITLECASE" if flags.ignore_case => {
            union_of(&["Lowercase", "Uppercase", "Lt"])
        }
        "ALPHABETIC" => Set::property("Alphabetic"),
        "LETTER" => Set::property("L"),
        "IDEOGRAPHIC" => Set::property("Ideographic"),
        "LOWERCASE" => Set::property("Lowercase"),
        "UPPERCASE" => Set::property("Uppercase"),
        "TITLECASE" => Set::property("Lt"),
        "WHITE_SPACE" | "WHITESPACE" => Set::property("White_Space"),
        "CONTROL" => Set::property("Cc"),
        "PUNCTUATION" => Set::property("P"),
        "HEX_DIGIT" | "HEXDIGIT" => Set::union(
            [
                Set::property("Nd"),
                Set::from_ranges(&[
                    ('A', 'F'),
                    ('a', 'f'),
                    ('\u{ff21}', '\u{ff26}'),
                    ('\u{ff41}', '\u{ff46}'),
                ]),
            ]
            .into(),
        ),
        "ASSIGNED" => Set::property("Cn").complement(),
        "NONCHARACTER_CODE_POINT" | "NONCHARACTERCODEPOINT" => {
            Set::property("Noncharacter_Code_Point")
        }
        "DIGIT" => Set::property("Nd"),
        "ALNUM" => union_of(&["Alphabetic", "Nd"]),
        "BLANK" => blank(),
        "GRAPH" => graph(),
        "PRINT" => {
            Set::union([graph(), blank()].into()).intersection(Set::property("Cc").complement())
        }
        "WORD" => word(Flags {
            unicode_classes: true,
            ..flags
        }),
        "JOIN_CONTROL" | "JOINCONTROL" => Set::property("Join_Control"),
        // Known from Java 21 on.
        "EMOJI"
        | "EMOJI_PRESENTATION"
        | "EMOJI_MODIFIER"
        | "EMOJI_MODIFIER_BASE"
        | "EMOJI_COMPONENT"
        | "EXTENDED_PICTOGRAPHIC" => return Err(Missing::Unsupported),
        _ => return Err(Missing::Unknown),
    };
    Ok(set)
}

fn blank() -> Set {
    Set::union([Set::property("Zs"), Set::from_ranges(&[('\t', '\t')])].into())
}

fn graph() -> Set {
    union_of(&["Z", "Cc", "Cn"]).complement()
}
