use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::fmt::Write;

use super::cost;

/// What one position of a text may be: ranges where they are known, named properties where only
/// the tables of the regex crate know them, and the operations of Java's classes over both.
#[derive(Clone, Debug)]
pub(super) enum Set {
    /// Sorted, without overlaps.
    Ranges(Vec<(char, char)>),
    /// As `Ranges`, in any case of any alphabet (`(?iu)`).
    Folded(Vec<(char, char)>),
    /// What stands between the braces of `\p{…}`.
    Property(Cow<'static, str>),
    Union(Vec<Set>),
    Intersection(Vec<Set>),
    Complement(Box<Set>),
}

impl Set {
    pub(super) fn empty() -> Self {
        Self::Ranges(Vec::new())
    }

    pub(super) fn all() -> Self {
        Self::Ranges([('\0', char::MAX)].into())
    }

    pub(super) fn from_ranges(ranges: &[(char, char)]) -> Self {
        Self::Ranges(merge(ranges.to_vec()))
    }

    pub(super) fn property(name: &'static str) -> Self {
        Self::Property(Cow::Borrowed(name))
    }

    /// Everything that is in one of the members; they are merged once, however many there are.
    pub(super) fn union(members: Vec<Self>) -> Self {
        let mut ranges = Vec::new();
        let mut others = Vec::new();
        for member in members {
            match member {
                Self::Ranges(more) => ranges.extend(more),
                Self::Union(more) => others.extend(more),
                other => others.push(other),
            }
        }
        if !ranges.is_empty() || others.is_empty() {
            others.push(Self::Ranges(merge(ranges)));
        }
        match others.pop() {
            Some(only) if others.is_empty() => only,
            Some(last) => {
                others.push(last);
                Self::Union(others)
            }
            None => Self::empty(),
        }
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ranges(left), Self::Ranges(right)) => Self::Ranges(common(&left, &right)),
            (Self::Intersection(mut members), other) => {
                members.push(other);
                Self::Intersection(members)
            }
            (left, right) => Self::Intersection([left, right].into()),
        }
    }

    pub(super) fn complement(self) -> Self {
        match self {
            Self::Ranges(ranges) => Self::Ranges(gaps(&ranges)),
            Self::Complement(inner) => *inner,
            other => Self::Complement(Box::new(other)),
        }
    }

    /// Appends the set as one atom. Every character that could mean something is written as a
    /// number, so that neither engine reads anything into it.
    pub(super) fn write(&self, out: &mut String) {
        if let Self::Ranges(ranges) = self {
            if let &[(start, end)] = ranges.as_slice() {
                if start == end {
                    return write_symbol(start, out);
                }
            }
        }
        if self.folds() {
            out.push_str("(?i:");
            self.write_bracketed(out);
            out.push(')');
        } else {
            self.write_bracketed(out);
        }
    }

    /// Bytes that the compiled set needs at least.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Ranges(ranges) | Self::Folded(ranges) => cost::ranges(ranges),
            Self::Property(name) => cost::property(name),
            Self::Union(members) => {
                let largest = members.iter().map(Self::cost).max().unwrap_or(cost::STEP);
                cost::union(largest, members.len())
            }
            Self::Intersection(members) => {
                members.iter().map(Self::cost).min().unwrap_or(cost::STEP)
            }
            Self::Complement(inner) => inner.cost(),
        }
    }

    /// Whether the set cannot be written without Unicode tables.
    pub(super) fn needs_tables(&self) -> bool {
        match self {
            Self::Ranges(_) => false,
            Self::Folded(_) | Self::Property(_) => true,
            Self::Union(members) | Self::Intersection(members) => {
                members.iter().any(Self::needs_tables)
            }
            Self::Complement(inner) => inner.needs_tables(),
        }
    }

    fn folds(&self) -> bool {
        match self {
            Self::Folded(_) => true,
            Self::Ranges(_) | Self::Property(_) => false,
            Self::Union(members) | Self::Intersection(members) => members.iter().any(Self::folds),
            Self::Complement(inner) => inner.folds(),
        }
    }

    fn write_bracketed(&self, out: &mut String) {
        match self {
            Self::Complement(inner) => {
                out.push_str("[^");
                inner.write_items(out);
                out.push(']');
            }
            other => {
                out.push('[');
                other.write_items(out);
                out.push(']');
            }
        }
    }

    fn write_items(&self, out: &mut String) {
        match self {
            // A class without items is no class to the regex crate.
            Self::Ranges(ranges) | Self::Folded(ranges) if ranges.is_empty() => {
                out.push_str(r"[^\x{0}-\x{10FFFF}]");
            }
            Self::Ranges(ranges) | Self::Folded(ranges) => {
                for &(start, end) in ranges {
                    write_symbol(start, out);
                    if start != end {
                        out.push('-');
                        write_symbol(end, out);
                    }
                }
            }
            Self::Property(name) => {
                out.push_str(r"\p{");
                out.push_str(name);
                out.push('}');
            }
            Self::Union(members) => {
                for member in members {
                    member.write_items(out);
                }
            }
            Self::Intersection(members) => {
                out.push('[');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str("&&");
                    }
                    member.write_bracketed(out);
                }
                out.push(']');
            }
            complement @ Self::Complement(_) => complement.write_bracketed(out),
        }
    }
}

/// Appends one character so that it stands for itself.
pub(super) fn write_symbol(symbol: char, out: &mut String) {
    if symbol.is_ascii_alphanumeric() || symbol >= '\u{a1}' {
        out.push(symbol);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, r"\x{{{:X}}}", u32::from(symbol));
    }
}

/// Sorts ranges and joins those that touch.
pub(super) fn merge(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut merged: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if after(*last).is_none_or(|next| start <= next) => {
                *last = end.max(*last);
            }
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// What two sorted lists of ranges share.
fn common(left: &[(char, char)], right: &[(char, char)]) -> Vec<(char, char)> {
    let mut shared = Vec::new();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
        let (start, end) = (a.max(c), b.min(d));
        if start <= end {
            shared.push((start, end));
        }
        if b < d {
            left.next();
        } else {
            right.next();
        }
    }
    shared
}

/// What a sorted list of ranges leaves out.
fn gaps(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut gaps = Vec::with_capacity(ranges.len().saturating_add(1));
    let mut open = Some('\0');
    for &(start, end) in ranges {
        if let (Some(from), Some(to)) = (open, before(start)) {
            if from <= to {
                gaps.push((from, to));
            }
        }
        open = after(end);
    }
    if let Some(from) = open {
        gaps.push((from, char::MAX));
    }
    gaps
}

/// The next scalar value; the surrogates are no scalar values.
fn after(symbol: char) -> Option<char> {
    match symbol {
        '\u{D7FF}' => Some('\u{E000}'),
        _ => u32::from(symbol).checked_add(1).and_then(char::from_u32),
    }
}

fn before(symbol: char) -> Option<char> {
    match symbol {
        '\u{E000}' => Some('\u{D7FF}'),
        _ => u32::from(symbol).checked_sub(1).and_then(char::from_u32),
    }
}
