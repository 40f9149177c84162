//! The chi-square distribution.

/// How likely a chi-square value of at least `statistic` is by chance: 0 to 1.
///
/// The regularised upper incomplete gamma function Q(degrees / 2, statistic / 2), to about ten
/// digits.
pub(super) fn survival(statistic: f64, degrees: u32) -> f64 {
    if degrees == 0 || statistic <= 0.0 {
        return 1.0;
    }
    if statistic.is_infinite() {
        return 0.0;
    }
    let (shape, at) = (f64::from(degrees) / 2.0, statistic / 2.0);
    let scale = (shape * at.ln() - at - ln_gamma(shape)).exp();
    let result = if at < shape + 1.0 {
        1.0 - scale * lower_series(shape, at)
    } else {
        scale * upper_fraction(shape, at)
    };
    result.clamp(0.0, 1.0)
}

/// Neither the series nor the fraction needs more steps than this for a usual shape.
const STEPS: u32 = 10_000;

/// Σ at^n / (shape (shape + 1) … (shape + n)).
fn lower_series(shape: f64, at: f64) -> f64 {
    let mut term = 1.0 / shape;
    let mut sum = term;
    for step in 1..STEPS {
        term *= at / (shape + f64::from(step));
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    sum
}

/// The continued fraction of the upper function, by Lentz's method.
fn upper_fraction(shape: f64, at: f64) -> f64 {
    const TINY: f64 = 1e-300;

    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut base = at + 1.0 - shape;
    let mut ratio = 1.0 / TINY;
    let mut inverse = 1.0 / away_from_zero(base);
    let mut result = inverse;
    for step in 1..STEPS {
        let step = f64::from(step);
        let factor = -step * (step - shape);
        base += 2.0;
        inverse = 1.0 / away_from_zero(factor * inverse + base);
        ratio = away_from_zero(base + factor / ratio);
        let change = inverse * ratio;
        result *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function of a positive number, by Lanczos' approximation.
fn ln_gamma(value: f64) -> f64 {
    const G: f64 = 7.0;
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];

    let value = value - 1.0;
    let mut sum = FIRST;
    for (at, coefficient) in (1_u32..).zip(COEFFICIENTS) {
        sum += coefficient / (value + f64::from(at));
    }
    let shifted = value + G + 0.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (value + 0.5) * shifted.ln() - shifted + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_tables_are_met() {
        for (statistic, degrees, expected) in [
            (3.841_458_820_694_124, 1, 0.05),
            (6.634_896_601_021_213, 1, 0.01),
            (5.991_464_547_107_979, 2, 0.05),
            (11.070_497_693_516_35, 5, 0.05),
            (18.307_038_053_275_146, 10, 0.05),
            (124.342_113_404_004, 100, 0.05),
            (0.003_932_140_000_019_52, 1, 0.95),
            (1.386_294_361_119_890_6, 2, 0.5),
            (29.588_298_445_074_42, 10, 0.001),
        ] {
            let p = survival(statistic, degrees);
            assert!((p - expected).abs() < 1e-9, "{statistic} {degrees}: {p}");
        }
    }

    #[test]
    fn the_ends_are_certain() {
        assert!((survival(0.0, 3) - 1.0).abs() < f64::EPSILON);
        assert!((survival(7.0, 0) - 1.0).abs() < f64::EPSILON);
        assert!(survival(f64::INFINITY, 3).abs() < f64::EPSILON);
        assert!(survival(1e6, 3) < 1e-300);
    }
}
