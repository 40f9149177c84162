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
        // MAJOR.MINOR.PATCH in one pass; `rest` is where that ends.
        let (mut finished, mut number, mut digits) = ([0; 2], 0_u64, 0_usize);
        let (mut dots, mut rest) = (0_usize, "");
        for (at, byte) in text.bytes().enumerate() {
            if byte.is_ascii_digit() {
                let digit = u64::from(byte & 0xf);
                number = number.checked_mul(10)?.checked_add(digit)?;
                digits = digits.wrapping_add(1);
            } else if byte == b'.' && digits > 0 && dots < 2 {
                *finished.get_mut(dots)? = number;
                (number, digits) = (0, 0);
                dots = dots.wrapping_add(1);
            } else {
                rest = text.get(at..)?;
                break;
            }
        }
        let [major, minor] = finished;
        let version = match dots {
            _ if digits == 0 => return None,
            1 => Self {
                major,
                minor: number,
                patch: 0,
                pre: None,
            },
            2 => Self {
                major,
                minor,
                patch: number,
                pre: None,
            },
            _ => return None,
        };
        if rest.is_empty() {
            return Some(version);
        }
        // Only a version with a patch has more behind it.
        if dots != 2 {
            return None;
        }
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (rest, None),
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        if rest.is_empty() {
            return Some(version);
        }
        let pre = rest.strip_prefix('-')?;
        let valid = pre
            .split('.')
            .all(|part| is_identifier(part) && !has_leading_zero(part));
        valid.then_some(Self {
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
