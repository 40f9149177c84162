//! `explain`: why a flag gives a user the variant it gives.

use std::fmt::Write;

use experiment_evaluation::{Explanation, SegmentOutcome, SegmentStep};

use crate::{
    arguments::{Explain, Format},
    evaluate::only_once,
    failure::Failure,
    flags::{Flags, warn},
    page::{BOLD, DIM, GREEN, Page, RED, printable},
};

/// Runs the command.
///
/// # Errors
///
/// [`Failure`] if an input cannot be read, or there is no such flag.
pub(crate) fn explain(arguments: Explain) -> Result<Page, Failure> {
    let Explain {
        flags,
        subject,
        flag,
        format,
    } = arguments;
    only_once(
        &[Some(&flags.flags), subject.input()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    )?;
    let flags = Flags::load(flags.flags, &flags.regex.options())?;
    let subject = subject.read()?;
    let flag = flags.find(&flag)?;
    warn(&flags.about(flag.key()));
    let explanation = flag.explain(&*subject);
    Ok(Page::from(match format {
        Format::Text => text(&explanation),
        Format::Json => {
            let mut json = serde_json::to_string_pretty(&explanation).unwrap_or_default();
            json.push('\n');
            json
        }
    }))
}

/// The explanation with colours: what holds, and what does not.
fn text(explanation: &Explanation<'_>) -> String {
    let segments = explanation.segments();
    let mut conditions = segments
        .iter()
        .flat_map(|segment| explanation.conditions(segment))
        .map(|condition| (format!("    {condition}"), condition.matched()))
        .peekable();
    let mut outcomes = segments.iter().map(SegmentStep::outcome);
    let mut text = String::new();
    for (at, line) in explanation.to_string().lines().enumerate() {
        let style = if at == 0 {
            BOLD
        } else if let Some((_, matched)) = conditions.next_if(|(condition, _)| condition == line) {
            if matched { GREEN } else { RED }
        } else if line.starts_with("  segment ") {
            match outcomes.next() {
                Some(SegmentOutcome::Match) => BOLD.fg_color(GREEN.get_fg_color()),
                _ => BOLD,
            }
        } else {
            DIM
        };
        // A string can always be written.
        let _ = writeln!(text, "{style}{}{style:#}", printable(line));
    }
    text
}
