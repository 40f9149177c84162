//! Numbers in text: reading them as the JVM does, writing them as the JVM does.

use core::fmt::{self, Write};

/// Reads a double as `java.lang.Double.parseDouble` does (case file `parse_double.json`).
///
/// Characters up to U+0020 are trimmed. Accepted: an optional sign, then `NaN`, `Infinity`, a
/// decimal number (`1`, `1.`, `.5`, `1e3`) or a hexadecimal one with a binary exponent (`0x1.8p3`);
/// behind either number one of `f F d D`. Beyond the range of doubles the result is infinite.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character: char| character <= ' ');
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let value = match magnitude {
        // One NaN for all: it equals itself and is greater than everything else.
        "NaN" => return Some(f64::NAN),
        "Infinity" => f64::INFINITY,
        number => {
            let number = number.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(number);
            match number.as_bytes() {
                [b'0', b'x' | b'X', hex @ ..] => parse_hexadecimal(hex)?,
                // `f64::from_str` would also take `inf`, `nan` and a second sign.
                [b'0'..=b'9' | b'.', ..] => number.parse().ok()?,
                _ => return None,
            }
        }
    };
    Some(if negative { -value } else { value })
}

/// The digits, point and exponent behind `0x`.
fn parse_hexadecimal(hex: &[u8]) -> Option<f64> {
    let split = hex.iter().position(|byte| matches!(byte, b'p' | b'P'))?;
    let (digits, exponent) = (hex.get(..split)?, hex.get(split.checked_add(1)?..)?);
    let (mut mantissa, mut scale) = (0_u64, 0_i64);
    let (mut seen, mut fraction, mut sticky) = (false, false, false);
    for &digit in digits {
        if digit == b'.' && !fraction {
            fraction = true;
            continue;
        }
        let value = u64::from(char::from(digit).to_digit(16)?);
        seen = true;
        if mantissa >> 59 == 0 {
            mantissa = mantissa << 4 | value;
            scale = scale.saturating_sub(if fraction { 4 } else { 0 });
        } else {
            // 60 bits are kept; what lies beyond only decides the rounding.
            sticky |= value != 0;
            scale = scale.saturating_add(if fraction { 0 } else { 4 });
        }
    }
    if !seen {
        return None;
    }
    let exponent = parse_exponent(exponent)?;
    Some(scale_by_power_of_two(
        mantissa << 1 | u64::from(sticky),
        scale.saturating_add(exponent).saturating_sub(1),
    ))
}

/// An optional sign and decimal digits; large exponents saturate.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut exponent = 0_i64;
    for &digit in digits {
        let value = i64::from(char::from(digit).to_digit(10)?);
        exponent = exponent
            .saturating_mul(10)
            .saturating_add(value)
            .min(1 << 40);
    }
    Some(if negative {
        exponent.saturating_neg()
    } else {
        exponent
    })
}

/// `mantissa * 2^exponent`, rounded once, to even.
fn scale_by_power_of_two(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let bits = i64::from(64_u32.saturating_sub(mantissa.leading_zeros()));
    // Exponent of the leading bit; doubles are normal from -1022 to 1023.
    let leading = exponent.saturating_add(bits).saturating_sub(1);
    if leading > 1023 {
        return f64::INFINITY;
    }
    // Of a subnormal number fewer than 53 bits remain.
    let kept = if leading < -1022 {
        leading.saturating_add(1075)
    } else {
        53
    };
    if kept < 0 {
        return 0.0;
    }
    let drop = u32::try_from(bits.saturating_sub(kept).max(0)).unwrap_or(64);
    let (mut rounded, rest, half) = if drop >= 64 {
        (0, mantissa, 1 << 63)
    } else {
        let kept = mantissa >> drop;
        (kept, mantissa ^ (kept << drop), (1_u64 << drop) >> 1)
    };
    if rest > half || (rest == half && half != 0 && rounded & 1 == 1) {
        rounded = rounded.saturating_add(1);
    }
    let exponent = exponent.saturating_add(i64::from(drop));
    // `rounded` has at most 54 bits and the result fits, so both steps are exact.
    #[allow(clippy::cast_precision_loss, reason = "at most 2^53")]
    let rounded = rounded as f64;
    let exponent = i32::try_from(exponent.clamp(-2200, 2200)).unwrap_or(0);
    multiply_by_power_of_two(rounded, exponent)
}

/// `value * 2^exponent` without an intermediate overflow or underflow.
fn multiply_by_power_of_two(mut value: f64, mut exponent: i32) -> f64 {
    while exponent > 0 {
        let step = exponent.min(1023);
        value *= power_of_two(step);
        exponent = exponent.saturating_sub(step);
    }
    while exponent < 0 {
        let step = exponent.max(-1022);
        value *= power_of_two(step);
        exponent = exponent.saturating_sub(step);
    }
    value
}

/// `2^exponent` for -1022 to 1023.
fn power_of_two(exponent: i32) -> f64 {
    let biased = u64::try_from(exponent.saturating_add(1023)).unwrap_or(0);
    f64::from_bits(biased << 52)
}

/// A total order as in `java.lang.Double.compare`: -0.0 below 0.0, NaN above all and equal to
/// itself. The numbers come from [`parse_double`], which knows only one NaN.
pub(crate) fn compare_doubles(a: f64, b: f64) -> core::cmp::Ordering {
    let one_nan = |value: f64| if value.is_nan() { f64::NAN } else { value };
    one_nan(a).total_cmp(&one_nan(b))
}

/// The longest text of a double: `-2.2250738585072014E-308` has 24 bytes.
pub(crate) const DOUBLE_TEXT: usize = 32;

/// Text of at most `N` bytes on the stack. What does not fit is cut.
pub(crate) struct StackText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> StackText<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes
            .get(..self.len)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

impl<const N: usize> Write for StackText<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Writes a double as `java.lang.Double.toString` of JDK 19 and later does (case file
/// `number_to_string.json`): the shortest digits that read back as the same double, plain from
/// 1e-3 to below 1e7, else as `d.dE±n`; always with a point.
pub(crate) fn write_double(value: f64, out: &mut impl Write) -> fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    if value.is_infinite() {
        return out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value == 0.0 {
        return out.write_str(if value.is_sign_negative() {
            "-0.0"
        } else {
            "0.0"
        });
    }
    if value.is_sign_negative() {
        out.write_char('-')?;
    }
    let magnitude = value.abs();
    // `d.ddde±n` with the shortest digits.
    let mut shortest = StackText::<DOUBLE_TEXT>::new();
    write!(shortest, "{magnitude:e}")?;
    let mut text = shortest.as_str();
    let mut two_digits = StackText::<DOUBLE_TEXT>::new();
    if !text.contains('.') {
        // Java writes at least two digits and takes the two that come closest: 4.9E-324, not 5.
        write!(two_digits, "{magnitude:.1e}")?;
        if two_digits.as_str().parse() == Ok(magnitude) {
            text = two_digits.as_str();
        }
    }
    let (mantissa, exponent) = text.split_once('e').ok_or(fmt::Error)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let power: i32 = exponent.parse().map_err(|_| fmt::Error)?;
    match power {
        0..=6 => {
            out.write_str(whole)?;
            let places = usize::try_from(power).unwrap_or(0);
            let fraction = if fraction == "0" { "" } else { fraction };
            let (before, after) = fraction.split_at_checked(places).unwrap_or((fraction, ""));
            out.write_str(before)?;
            for _ in before.len()..places {
                out.write_char('0')?;
            }
            out.write_char('.')?;
            out.write_str(if after.is_empty() { "0" } else { after })
        }
        -3..=-1 => {
            out.write_str("0.")?;
            for _ in power..-1 {
                out.write_char('0')?;
            }
            out.write_str(whole)?;
            out.write_str(if fraction == "0" { "" } else { fraction })
        }
        _ => write!(out, "{whole}.{fraction}E{power}"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use experiment_conformance::vectors;
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut text = String::new();
        write_double(value, &mut text).unwrap();
        text
    }

    #[test]
    fn every_vector_is_a_number_or_none() {
        #[derive(serde::Deserialize)]
        struct Row {
            input: String,
            expected: Option<String>,
        }

        let rows: Vec<Row> = serde_json::from_str(vectors::PARSE_DOUBLE).unwrap();
        assert_eq!(rows.len(), 52);
        for row in rows {
            let printed = parse_double(&row.input).map(written);
            assert_eq!(printed, row.expected, "{:?}", row.input);
        }
    }

    #[test]
    fn hexadecimal_numbers_are_rounded_once() {
        for (text, expected) in [
            ("0x1p3", 8.0),
            ("0X1.8P1", 3.0),
            ("-0x.8p0", -0.5),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1p1024", f64::INFINITY),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.0000000000001p-1075", 5e-324),
            ("0x3p-1075", 1e-323),
            ("0x1p-1022", f64::MIN_POSITIVE),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000001p0", 1.000_000_000_000_000_2),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("0x0p99999999999999999999", 0.0),
            ("0x1p-99999999999999999999", 0.0),
        ] {
            assert_eq!(parse_double(text), Some(expected), "{text}");
        }
        for text in [
            "0x",
            "0x1",
            "0xp1",
            "0x1p",
            "0x.p1",
            "0x1p+",
            "0x1.1.1p1",
            "0x1g1p1",
        ] {
            assert_eq!(parse_double(text), None, "{text}");
        }
    }

    #[test]
    fn two_digits_are_the_closest_two() {
        assert_eq!(written(5e-324), "4.9E-324");
        assert_eq!(written(1e-323), "9.9E-324");
        assert_eq!(written(2e-323), "2.0E-323");
        assert_eq!(written(1e23), "1.0E23");
    }

    proptest! {
        #[test]
        fn every_double_is_read_back_from_its_text(bits: u64) {
            let value = f64::from_bits(bits);
            let read = parse_double(&written(value)).unwrap();
            prop_assert!(compare_doubles(read, value).is_eq(), "{read} {value}");
        }

        #[test]
        fn any_text_is_a_number_or_is_not(text in "[ +-]{0,2}[0-9xXpPeE.fFdDnaNiI_]{0,12}") {
            let _ = parse_double(&text);
        }
    }
}
