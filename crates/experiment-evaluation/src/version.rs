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

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use experiment_conformance::vectors;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Parsed {
        input: String,
        expected: Option<(u64, u64, u64, Option<String>)>,
    }

    #[derive(serde::Deserialize)]
    struct Compared {
        a: String,
        b: String,
        cmp: i8,
    }

    /// Whether the labels of a row do not hold: they come from 32-bit numbers (decision 5).
    fn is_large(text: &str) -> bool {
        text.split(|character: char| !character.is_ascii_digit())
            .any(|digits| digits.len() > 18 || digits.parse::<u64>().is_ok_and(|it| it >= 1 << 31))
    }

    #[test]
    fn every_vector_is_a_version_or_none() {
        let rows: Vec<Parsed> = serde_json::from_str(vectors::SEMVER_PARSE).unwrap();
        assert_eq!(rows.len(), 96);
        let mut large = 0;
        for row in rows {
            if is_large(&row.input) {
                large += 1;
                continue;
            }
            let version = Version::parse(&row.input);
            let parts = version.map(|it| (it.major, it.minor, it.patch, it.pre.map(String::from)));
            assert_eq!(parts, row.expected, "{:?}", row.input);
        }
        assert!(large > 0);
    }

    #[test]
    fn every_pair_has_its_order() {
        let rows: Vec<Compared> = serde_json::from_str(vectors::SEMVER_COMPARE).unwrap();
        assert_eq!(rows.len(), 142);
        for row in rows
            .iter()
            .filter(|row| !is_large(&row.a) && !is_large(&row.b))
        {
            let (a, b) = (Version::parse(&row.a), Version::parse(&row.b));
            let (a, b) = (a.expect("a version"), b.expect("a version"));
            assert_eq!(a.compare(&b) as i8, row.cmp, "{} and {}", row.a, row.b);
            assert_eq!(b.compare(&a) as i8, -row.cmp, "{} and {}", row.b, row.a);
        }
    }

    #[test]
    fn numbers_have_64_bits() {
        let largest = u64::MAX;
        let text = format!("{largest}.2147483648.{largest}");
        let version = Version::parse(&text).expect("a version");
        assert_eq!(
            (version.major, version.minor, version.patch),
            (largest, 1 << 31, largest)
        );
        assert_eq!(Version::parse("18446744073709551616.0"), None);
        assert_eq!(Version::parse("1.0.18446744073709551616"), None);
    }
}
