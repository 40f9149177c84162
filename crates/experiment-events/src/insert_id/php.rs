//! The order that PHP's `sort` gives to keys of an array: numbers by their value.

use core::cmp::Ordering;

/// Sorts by insertion, because PHP's comparison is not transitive (`"10" < "9a"`, `"9" < "10"`,
/// `"9a" > "9"`…), with which a library's sort may stop the program.
pub(super) fn sort_by_key<T: Copy>(items: &mut [T], key: impl Fn(&T) -> &str) {
    for end in 1..items.len() {
        let Some((last, sorted)) = items.get_mut(..=end).and_then(<[T]>::split_last_mut) else {
            return;
        };
        let place = sorted.partition_point(|other| compare(key(other), key(last)).is_le());
        if let Some(moved) = items.get_mut(place..=end) {
            moved.rotate_right(1);
        }
    }
}

/// PHP 8's `<=>` of two texts: as numbers if both are numeric, else byte by byte.
fn compare(a: &str, b: &str) -> Ordering {
    let order = match (number(a), number(b)) {
        (Some(Number::Integer(a)), Some(Number::Integer(b))) => Some(a.cmp(&b)),
        (Some(a), Some(b)) => a.to_f64().partial_cmp(&b.to_f64()),
        _ => None,
    };
    order.unwrap_or_else(|| a.cmp(b))
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    #[allow(
        clippy::cast_precision_loss,
        reason = "as PHP compares an integer with a double"
    )]
    fn to_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

/// The number of a numeric string: white space around it, a sign, digits, a fraction, an exponent.
fn number(text: &str) -> Option<Number> {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let starts_as_one = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.');
    // Rust also reads `inf` and `nan`, which PHP does not.
    text.as_bytes()
        .first()
        .filter(|first| starts_as_one(first))?;
    if text
        .bytes()
        .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
    {
        return None;
    }
    let integer = text.parse().map(Number::Integer);
    integer.or_else(|_| text.parse().map(Number::Double)).ok()
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn sorted(keys: &[&'static str]) -> Vec<&'static str> {
        let mut keys = keys.to_vec();
        sort_by_key(&mut keys, |key| key);
        keys
    }

    #[test]
    fn numbers_are_sorted_by_value_and_texts_by_bytes() {
        assert_eq!(
            sorted(&["b", "10", "9", "-1", "a", "1e1", "9.5", "B", "é", "00009"]),
            ["-1", "9", "00009", "9.5", "10", "1e1", "B", "a", "b", "é"]
        );
        assert_eq!(sorted(&["inf", "nan", "1"]), ["1", "inf", "nan"]);
        assert_eq!(sorted(&[]), [""; 0]);
    }

    #[test]
    fn keys_that_contradict_each_other_are_sorted_somehow() {
        let mut keys = sorted(&["9a", "10", "9", "1e1", "1a", "2", "10a", ""]);
        keys.sort_unstable();
        assert_eq!(keys, ["", "10", "10a", "1a", "1e1", "2", "9", "9a"]);
    }
}
