//! `simulate`: how users are split between the variants of a flag, expected against observed.

mod chart;
mod chi_square;
mod html;
mod population;
mod shares;
mod tally;

use std::fs;

use experiment_model::{Flag, Variant};

use self::{population::for_each_user, tally::Tally};
use crate::{
    arguments::{Population, Simulate},
    evaluate::only_once,
    failure::Failure,
    flags::{Flags, warn},
    input::Input,
    page::{Page, printable},
    table::terminal_width,
};

/// What a simulation found.
struct Split {
    /// Key of the flag.
    flag: String,
    /// Who took part: `100000 synthetic users (seed 1)`.
    users: String,
    /// The variants in the order of the flag, then no variant.
    rows: Vec<Row>,
    /// Where users were split.
    places: Vec<Place>,
    /// Whether the difference is more than chance; `None` if nobody was split.
    test: Option<Test>,
}

/// One variant, or none.
struct Row {
    label: String,
    observed: u64,
    expected: f64,
    /// Of all users.
    observed_share: f64,
    /// Of all users.
    expected_share: f64,
}

/// A segment that splits users.
struct Place {
    segment: String,
    /// The property that is hashed: `context.user.user_id`.
    property: String,
    arrived: u64,
    /// How many different values the property had: users with one value are split together.
    distinct: u64,
}

/// A chi-square test.
struct Test {
    statistic: f64,
    degrees: u32,
    /// How likely a difference of this size is by chance.
    p: f64,
    /// Too few users are expected somewhere for the test to mean anything.
    too_few: bool,
}

/// Below this many expected users per outcome a chi-square test says nothing.
const FEWEST_EXPECTED: f64 = 5.0;

/// A smaller `p` is called more than chance.
const SIGNIFICANT: f64 = 0.01;

/// The users that no segment gives a variant.
const NO_VARIANT: &str = "(no variant)";

/// Runs the command.
///
/// # Errors
///
/// [`Failure`] if an input cannot be read, there is no such flag, or the page cannot be written.
pub(crate) fn simulate(arguments: &Simulate) -> Result<Page, Failure> {
    let mut inputs = vec![&arguments.flags.flags];
    inputs.extend(&arguments.user);
    if let Population::File(input) = &arguments.users {
        inputs.push(input);
    }
    only_once(&inputs)?;
    let options = arguments.flags.regex.options();
    let flags = Flags::load(arguments.flags.flags.clone(), &options)?;
    let handle = flags.find(&arguments.flag)?;
    warn(&flags.about(handle.key()));
    // Of two definitions of a key the last one stands.
    let definitions = &flags.set.flags;
    let Some(flag) = definitions.iter().rfind(|flag| flag.key == *handle.key()) else {
        return Err(flags.unknown(&arguments.flag));
    };
    let mut tally = Tally::new(flag);
    for_each_user(arguments, |user| tally.add(&handle.explain(user)))?;
    let split = tally.finish(&described(arguments, tally.users()));
    if let Some(path) = &arguments.html {
        fs::write(path, html::page(&split)).map_err(|source| Failure::Write {
            output: Input::File(path.clone()).to_string(),
            source,
        })?;
    }
    Ok(Page::from(chart::text(&split, terminal_width())))
}

fn described(arguments: &Simulate, users: u64) -> String {
    let users = grouped(users);
    match &arguments.users {
        Population::Synthetic(_) => format!("{users} synthetic users (seed {})", arguments.seed),
        Population::File(input) => format!("{users} users of {input}"),
    }
}

/// The name under which a variant is counted.
fn label_of(variant: &Variant) -> String {
    let key = variant.key.as_deref().unwrap_or("(variant without a key)");
    printable(key).into_owned()
}

/// The variant of a flag with this key in its `variants`, as a label.
fn label(flag: &Flag, key: &str) -> Option<String> {
    flag.variants.get(key).map(label_of)
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of users as a double.
#[allow(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53 users, and shares need no more"
)]
fn count(users: u64) -> f64 {
    users as f64
}

impl Test {
    /// What the test says, in a sentence.
    fn verdict(&self) -> String {
        let Self {
            statistic,
            degrees,
            p,
            too_few,
        } = self;
        let noun = if *degrees == 1 { "degree" } else { "degrees" };
        let figures = format!("chi-square {statistic:.3}, {degrees} {noun} of freedom, p = {p:.4}");
        let meaning = if *too_few {
            "but the test is meaningless: fewer than 5 users are expected for an outcome"
        } else if *p < SIGNIFICANT {
            "the split differs from the configured one by more than chance explains"
        } else {
            "the split is as configured, within chance"
        };
        format!("{figures}: {meaning}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
