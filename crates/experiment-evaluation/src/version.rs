//! Semantic versions as the canonical engine reads and orders them.

use core::cmp::Ordering;

/// `MAJOR.MINOR[.PATCH[-PRE][+BUILD]]` (case files `semver_parse.json`, `semver_compare.json`).
///
/// The three numbers are u64 and may have leading zeros. `PRE` is a list of identifiers between
/// dots: `0`, a number without a leading zero, or letters, digits and hyphens with at least one that
/// is no digit. `BUILD` has the same form without the rule for zeros and does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version<T> {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: Option<T>,
}

impl<'a> Version<&'a str> {
    /// Reads the whole of `text`, in one pass and without backtracking.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (major, rest) = number(text.as_bytes())?;
        let (minor, rest) = number(rest.strip_prefix(b".")?)?;
        let version = Self {
            major,
            minor,
            patch: 0,
            pre: None,
        };
        if rest.is_empty() {
            return Some(version);
        }
        let (patch, rest) = number(rest.strip_prefix(b".")?)?;
        if rest.is_empty() {
            return Some(Self { patch, ..version });
        }
        let rest = text.get(text.len().checked_sub(rest.len())?..)?;
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (rest, None),
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        if rest.is_empty() {
            return Some(Self { patch, ..version });
        }
        let pre = rest.strip_prefix('-')?;
        let valid = pre
            .split('.')
            .all(|part| is_identifier(part) && !has_leading_zero(part));
        valid.then_some(Self {
            patch,
            pre: Some(pre),
            ..version
        })
    }
}

impl<T: AsRef<str>> Version<T> {
    /// The order: by the numbers, then a pre-release below the release, then pre-releases as text.
    pub(crate) fn compare<U: AsRef<str>>(&self, other: &Version<U>) -> Ordering {
        let numbers =
            (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch));
        numbers.then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            // ASCII only, so bytes order as UTF-16 does.
            (Some(a), Some(b)) => a.as_ref().cmp(b.as_ref()),
        })
    }

    /// The same version with its own text.
    pub(crate) fn map<U>(self, own: impl FnOnce(T) -> U) -> Version<U> {
        Version {
            major: self.major,
            minor: self.minor,
            patch: self.patch,
            pre: self.pre.map(own),
        }
    }
}

/// The ASCII digits at the start as a number, and the rest.
#[inline]
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    /// Numbers of up to this many digits fit into 64 bits.
    const SAFE_DIGITS: usize = 19;

    let mut value = 0_u64;
    let mut digits = 0_usize;
    while let Some(digit @ b'0'..=b'9') = text.get(digits) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit & 15));
        digits = digits.wrapping_add(1);
    }
    let (number, rest) = text.split_at_checked(digits)?;
    match digits {
        0 => None,
        ..=SAFE_DIGITS => Some((value, rest)),
        _ => Some((core::str::from_utf8(number).ok()?.parse().ok()?, rest)),
    }
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A number with a zero in front of further digits.
fn has_leading_zero(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
}
