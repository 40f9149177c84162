//! `evaluate`: flags for one user, for many, or case by case.

use std::{
    io::{self, IsTerminal},
    num::NonZero,
    thread,
};

use experiment_evaluation::{Context, KeysOptions, Plan};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    arguments::{Evaluate, EvaluateFormat},
    cases::Cases,
    failure::Failure,
    flags::{Flags, warn},
    input::Input,
    page::Page,
    results::Variants,
    stream::{Stopped, Work, stream},
    table,
    users::Users,
};

/// Runs the command.
///
/// # Errors
///
/// [`Failure`] if an input cannot be read, or there is no such flag.
pub(crate) fn evaluate(arguments: Evaluate) -> Result<Page, Failure> {
    let Evaluate {
        flags,
        subject,
        users,
        cases,
        flag: keys,
        format,
        regex,
    } = arguments;
    let options = regex.options();
    if format == Some(EvaluateFormat::Table) && (users.is_some() || cases.is_some()) {
        let message = "--format table is for one user; --users and --cases always give JSON";
        return Err(Failure::Usage(message.to_owned()));
    }
    if let Some(cases) = cases {
        lines(&cases, Cases { options })?;
        return Ok(Page::default());
    }
    let Some(flags) = flags else {
        return Err(Failure::Usage("--flags is missing".to_owned()));
    };
    if let Some(users) = users {
        only_once(&[&flags, &users])?;
        let flags = Flags::load(flags, &options)?;
        for key in &keys {
            flags.find(key)?;
        }
        warn(flags.plan.diagnostics());
        let plan = flags.plan;
        let errors = lines(&users, Users { plan, keys })?;
        return Ok(Page::default().with_findings(errors > 0));
    }
    only_once(
        &[Some(&flags), subject.input()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    )?;
    let flags = Flags::load(flags, &options)?;
    let subject = subject.read()?;
    for key in &keys {
        flags.find(key)?;
    }
    warn(flags.plan.diagnostics());
    Ok(Page::from(match format {
        Some(EvaluateFormat::Json) => json(&flags.plan, &*subject, &keys),
        _ => table::results(&flags, &*subject, &keys),
    }))
}

/// Standard input cannot be read twice.
///
/// # Errors
///
/// [`Failure::StandardInputTwice`] if two of the inputs are standard input.
pub(crate) fn only_once(inputs: &[&Input]) -> Result<(), Failure> {
    let standard = inputs
        .iter()
        .filter(|input| matches!(input, Input::Standard));
    if standard.count() > 1 {
        return Err(Failure::StandardInputTwice);
    }
    Ok(())
}

fn json(plan: &Plan, subject: &dyn Context, keys: &[String]) -> String {
    let evaluation = if keys.is_empty() {
        plan.evaluate(subject)
    } else {
        plan.evaluate_keys(subject, keys, KeysOptions::new())
    };
    let mut json = serde_json::to_string_pretty(&Variants(&evaluation)).unwrap_or_default();
    json.push('\n');
    json
}

/// Answers the lines of a file on standard output; returns how many had errors.
fn lines(input: &Input, work: impl Work) -> Result<u64, Failure> {
    let opened = input.open()?;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let progress = progress(opened.size);
    let mut output = io::stdout().lock();
    let result = stream(opened.reader, work, threads, &mut output, |bytes| {
        progress.inc(bytes);
    });
    progress.finish_and_clear();
    result.map_err(|stopped| match stopped {
        Stopped::Read(source) => input.unreadable(source),
        Stopped::Write(source) => Failure::output(source),
        Stopped::Worker => Failure::Incomplete,
    })
}

/// A bar on standard error, if somebody sees it and the results do not go to the same place.
fn progress(size: Option<u64>) -> ProgressBar {
    if io::stdout().is_terminal() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{bar:40} {bytes} of {total_bytes}, {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes} in {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
