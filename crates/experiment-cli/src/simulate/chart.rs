//! The bar chart in the terminal.

use std::fmt::Write;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{Place, SIGNIFICANT, Split, grouped};
use crate::{
    page::{BOLD, CYAN, DIM, RED, YELLOW},
    table::cut,
};

/// Labels longer than this are cut.
const LABEL: usize = 24;

/// A bar is never longer, however wide the terminal is.
const LONGEST_BAR: usize = 60;

/// And never shorter.
const SHORTEST_BAR: usize = 8;

/// A chart of a split, as wide as the terminal at most.
pub(super) fn text(split: &Split, width: usize) -> String {
    let mut text = String::new();
    // A string can always be written, here and below.
    let _ = writeln!(
        text,
        "{BOLD}flag `{}`{BOLD:#}, {}\n",
        split.flag, split.users
    );
    let labels: Vec<String> = split
        .rows
        .iter()
        .map(|row| cut(&row.label, LABEL))
        .collect();
    let label_width = labels
        .iter()
        .map(|label| label.width())
        .max()
        .unwrap_or_default();
    let observed: Vec<String> = split.rows.iter().map(|row| grouped(row.observed)).collect();
    let expected: Vec<String> = split.rows.iter().map(|row| rounded(row.expected)).collect();
    let numbers = observed
        .iter()
        .chain(&expected)
        .map(String::len)
        .max()
        .unwrap_or_default();
    // "  label  observed  123  12.34 %  bar"
    let taken = label_width.saturating_add(numbers).saturating_add(25);
    let bar_width = width.saturating_sub(taken).clamp(SHORTEST_BAR, LONGEST_BAR);
    let largest = split
        .rows
        .iter()
        .flat_map(|row| [row.observed_share, row.expected_share])
        .fold(f64::MIN_POSITIVE, f64::max);
    for (((row, label), observed), expected) in
        split.rows.iter().zip(&labels).zip(&observed).zip(&expected)
    {
        let gap = " ".repeat(label_width.saturating_sub(label.width()));
        let share = row.observed_share * 100.0;
        let bar = solid_bar(row.observed_share / largest, bar_width);
        let _ = writeln!(
            text,
            "  {BOLD}{label}{BOLD:#}{gap}  observed  {observed:>numbers$} {share:6.2} %  {CYAN}{bar}{CYAN:#}"
        );
        let gap = " ".repeat(label_width);
        let share = row.expected_share * 100.0;
        let bar = light_bar(row.expected_share / largest, bar_width);
        let _ = writeln!(
            text,
            "  {gap}  {DIM}expected  {expected:>numbers$} {share:6.2} %  {bar}{DIM:#}"
        );
    }
    text.push('\n');
    for note in places(split) {
        let _ = writeln!(text, "{note}");
    }
    let style = match &split.test {
        Some(found) if found.too_few => YELLOW,
        Some(found) if found.p < SIGNIFICANT => RED,
        _ => Style::new(),
    };
    let _ = writeln!(text, "{style}{}{style:#}", verdict(split));
    text
}

/// Where users were split, place by place.
pub(super) fn places(split: &Split) -> impl Iterator<Item = String> {
    split.places.iter().map(place)
}

/// What the test says.
pub(super) fn verdict(split: &Split) -> String {
    match &split.test {
        Some(test) => test.verdict(),
        None => "no segment splits these users, so there is nothing to test".to_owned(),
    }
}

fn place(place: &Place) -> String {
    let Place {
        segment,
        property,
        arrived,
        distinct,
    } = place;
    let users = if *arrived == 1 { "user" } else { "users" };
    let mut text = format!(
        "{segment} splits {} {users} by {property}",
        grouped(*arrived)
    );
    if distinct < arrived {
        let _ = write!(
            text,
            ", of which there are {} in the test: users with the same one are split together",
            grouped(*distinct)
        );
    }
    text
}

/// A number of users that need not be whole.
pub(super) fn rounded(users: f64) -> String {
    // Counts of users are far below 2^53.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of users"
    )]
    grouped(users.max(0.0).round() as u64)
}

/// A bar of full blocks and one that ends in eighths.
fn solid_bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

    let eighths = scaled(share, width.saturating_mul(8));
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(EIGHTHS.get(eighths % 8).unwrap_or(&""));
    bar
}

fn light_bar(share: f64, width: usize) -> String {
    "░".repeat(scaled(share, width))
}

/// `share` of `whole`, rounded.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a few hundred columns"
)]
fn scaled(share: f64, whole: usize) -> usize {
    (share.clamp(0.0, 1.0) * whole as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_drawn_in_eighths() {
        assert_eq!(solid_bar(1.0, 4), "████");
        assert_eq!(solid_bar(0.5, 3), "█▌");
        assert_eq!(solid_bar(0.0, 4), "");
        assert_eq!(light_bar(0.5, 4), "░░");
    }
}
