//! How values are written: what all engines read alike, and what only some do.

use crate::{number::write_double, version::Version};
use alloc::string::String;

/// The largest number that every engine reads in a version (D6).
const LARGEST_VERSION_NUMBER: u64 = 2_147_483_647;

/// From here on Go writes a number that is no integer in JSON terms with an exponent (D11).
const GO_EXPONENT: u64 = 1_000_000;

/// Beyond this, neighbouring integers are the same double (D12).
const LARGEST_SAFE_INTEGER: u64 = 9_007_199_254_740_992;

/// Why engines read a version differently, if they do.
pub(super) fn version_problem(value: &str) -> Option<&'static str> {
    let Some(version) = Version::parse(value) else {
        return Some("is not MAJOR.MINOR.PATCH");
    };
    let largest = version.major.max(version.minor).max(version.patch);
    if largest > LARGEST_VERSION_NUMBER {
        Some("has a number of 2147483648 or more, which Kotlin and Android do not read")
    } else if value.contains('+') {
        Some("has a build, which only Kotlin reads")
    } else {
        None
    }
}

/// Why engines read a number differently, if they do.
pub(super) fn number_problem(value: &str) -> Option<&'static str> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return Some("is not a plain decimal number");
    }
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    (is_zero && value.starts_with('-')).then_some("is below 0 in Kotlin and Android only")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a value is if it is the text of something that is no text and that engines write
/// differently.
pub(super) fn typed(value: &str) -> Option<&'static str> {
    match value.as_bytes() {
        [b'[', .., b']'] => return Some("a list, which engines write differently as text"),
        [b'{', .., b'}'] => return Some("an object, which engines write differently as text"),
        _ => {}
    }
    match value {
        "false" => Some("false, which Python and Ruby take for an absent property"),
        "0" | "0.0" | "-0.0" => Some("zero, which Python takes for an absent property"),
        _ => typed_number(value),
    }
}

fn typed_number(value: &str) -> Option<&'static str> {
    let magnitude = value.strip_prefix('-').unwrap_or(value);
    // An account number with leading zeros is not the text of a number.
    if magnitude.len() > 1 && magnitude.starts_with('0') && !magnitude.starts_with("0.") {
        return None;
    }
    if is_digits(magnitude) {
        return match magnitude.parse::<u64>() {
            Ok(number) if number < GO_EXPONENT => None,
            Ok(number) if number <= LARGEST_SAFE_INTEGER => {
                Some("a number of a million or more, which Go writes with an exponent")
            }
            _ => Some("an integer beyond 2^53, which not all engines keep exactly"),
        };
    }
    let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (magnitude, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if let Some(exponent) = exponent {
        return is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
            .then_some("a number with an exponent, which engines write differently");
    }
    let number: f64 = value.parse().ok()?;
    let mut canonical = String::new();
    write_double(number, &mut canonical).ok()?;
    // `1.50` is the text of no number: only text equals it.
    if canonical != value {
        return None;
    }
    if fraction == "0" {
        return Some(
            "a number without a fraction, which JavaScript, Go and PHP write without `.0`",
        );
    }
    (number.abs() >= 1_000_000.0)
        .then_some("a number of a million or more, which Go writes with an exponent")
}

/// A letter that engines lower-case differently: beyond ASCII, with a lower and an upper case.
pub(super) fn cased_letter(value: &str) -> Option<char> {
    value.chars().find(|letter| {
        !letter.is_ascii()
            && (!letter.to_lowercase().eq([*letter]) || !letter.to_uppercase().eq([*letter]))
    })
}
