//! The table of results of one user.

use std::{collections::BTreeSet, env, fmt::Write};

use anstyle::Style;
use experiment_evaluation::{Code, Context, Explanation, Reason, SegmentOutcome};
use experiment_model::Variant;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    flags::Flags,
    page::{BOLD, DIM, GREEN, printable},
};

/// Columns of output that does not go to a terminal, where `COLUMNS` says nothing either.
const WIDTH: usize = 120;

/// No column is cut to less than this.
const NARROWEST: usize = 7;

const GAP: &str = "  ";

const HEADINGS: [&str; 6] = ["flag", "variant", "value", "payload", "segment", "reason"];

struct Row {
    cells: [String; HEADINGS.len()],
    variant_style: Style,
}

/// The table of what flags give and why: those with these keys, or all.
pub(crate) fn results(flags: &Flags, subject: &dyn Context, keys: &[String]) -> String {
    let wanted = |key: &str| keys.is_empty() || keys.iter().any(|wanted| wanted == key);
    let mut rows: Vec<Row> = flags
        .plan
        .flags()
        .filter(|flag| wanted(flag.key()))
        .map(|flag| row(&flag.explain(subject)))
        .collect();
    let malformed: BTreeSet<&str> = flags
        .plan
        .diagnostics()
        .iter()
        .filter(|diagnostic| diagnostic.code == Code::MalformedFlag)
        .filter_map(|diagnostic| diagnostic.flag.as_deref())
        .filter(|key| flags.plan.flag(key).is_none() && wanted(key))
        .collect();
    rows.extend(malformed.into_iter().map(|key| Row {
        cells: [key, "", "", "", "", "malformed flag"].map(|cell| printable(cell).into_owned()),
        variant_style: DIM,
    }));
    render(&rows, terminal_width())
}

fn row(explanation: &Explanation<'_>) -> Row {
    let json = |value: &experiment_model::Value| value.to_string();
    let last = explanation.segments().last();
    let matched = last.filter(|segment| segment.outcome() == SegmentOutcome::Match);
    let segment = matched.map_or_else(String::new, |segment| {
        segment
            .name()
            .map_or_else(|| format!("segment {}", segment.index()), str::to_owned)
    });
    let variant = explanation.variant();
    let payload = variant.and_then(|variant| variant.payload.as_ref());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let cells = [
        explanation.flag_key().to_owned(),
        text(variant.and_then(|variant| variant.key.as_deref())),
        text(variant.and_then(Variant::value_str).as_deref()),
        payload.map_or_else(String::new, json),
        segment,
        reason(explanation),
    ];
    Row {
        cells: cells.map(|cell| printable(&cell).into_owned()),
        variant_style: match variant {
            Some(variant) if !variant.is_default() => GREEN,
            _ => DIM,
        },
    }
}

/// Why, in a few words.
fn reason(explanation: &Explanation<'_>) -> String {
    let Some(segment) = explanation.segments().last() else {
        return match explanation.reason() {
            Reason::NoMatch => "no segments".to_owned(),
            reason => reason.to_string().replace('-', " "),
        };
    };
    if segment.outcome() != SegmentOutcome::Match {
        return "no segment matches".to_owned();
    }
    let Some(bucket) = segment.bucket() else {
        let conditions = explanation.conditions(segment);
        let reason = if conditions.is_empty() {
            "everyone"
        } else {
            "conditions hold"
        };
        return reason.to_owned();
    };
    match (bucket.slot(), bucket.distribution()) {
        (Some(slot), Some(_)) => format!("slot {slot} of 100"),
        (Some(slot), None) => format!("slot {slot}: not allocated"),
        (None, _) => {
            let selector = bucket.selector();
            let property = selector.0.last().map_or("property", |key| key.as_str());
            format!("no {property} to split by")
        }
    }
}

/// How many columns there are to write in.
pub(crate) fn terminal_width() -> usize {
    if let Some((terminal_size::Width(width), _)) =
        terminal_size::terminal_size_of(std::io::stdout())
    {
        return usize::from(width);
    }
    let columns = env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    columns.filter(|&columns| columns > 0).unwrap_or(WIDTH)
}

fn render(rows: &[Row], width: usize) -> String {
    let mut widths = HEADINGS.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.width());
        }
    }
    let gaps = GAP.len().saturating_mul(HEADINGS.len().saturating_sub(1));
    fit(&mut widths, width.saturating_sub(gaps));
    let mut text = String::new();
    line(&mut text, &HEADINGS, &widths, |_| BOLD);
    for row in rows {
        line(&mut text, &row.cells, &widths, |column| match column {
            1 => row.variant_style,
            3..=5 => DIM,
            _ => Style::new(),
        });
    }
    text
}

/// Makes columns narrower until all fit: first the payload, then whichever of the others is the
/// widest, and flag and variant, by which people find their way, last.
fn fit(widths: &mut [usize; HEADINGS.len()], available: usize) {
    for (columns, narrowest) in [(3..4, 2 * NARROWEST), (2..6, NARROWEST), (0..6, NARROWEST)] {
        while widths.iter().sum::<usize>() > available {
            let widest = widths
                .get_mut(columns.clone())
                .and_then(|some| some.iter_mut().max());
            match widest {
                Some(widest) if *widest > narrowest => *widest = widest.saturating_sub(1),
                _ => break,
            }
        }
    }
}

fn line<T: AsRef<str>>(
    text: &mut String,
    cells: &[T],
    widths: &[usize],
    style: impl Fn(usize) -> Style,
) {
    let last = cells
        .iter()
        .rposition(|cell| !cell.as_ref().is_empty())
        .unwrap_or_default();
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if column > last {
            break;
        }
        if column > 0 {
            text.push_str(GAP);
        }
        let cell = cut(cell.as_ref(), width);
        let style = style(column);
        // A string can always be written.
        let _ = write!(text, "{style}{cell}{style:#}");
        if column < last {
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
        }
    }
    text.push('\n');
}

/// The text, cut to a width, with … where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut short: String = text
        .chars()
        .take_while(|char| {
            let taken = char.width().unwrap_or_default();
            let fits = taken <= left;
            left = left.saturating_sub(taken);
            fits
        })
        .collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_cut_first_and_the_flag_last() {
        let mut widths = [20, 9, 9, 70, 33, 23];
        fit(&mut widths, 124);
        assert_eq!(widths, [20, 9, 9, 30, 33, 23]);
        fit(&mut widths, 90);
        assert_eq!(widths, [20, 9, 9, 14, 19, 19]);
        fit(&mut widths, 57);
        assert_eq!(widths, [20, 9, 7, 7, 7, 7]);
        fit(&mut widths, 3);
        assert_eq!(widths, [NARROWEST; 6]);
    }

    #[test]
    fn a_text_is_cut_where_a_wide_character_would_not_fit() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
