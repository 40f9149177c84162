//! `conformance`: a directory of cases.

use std::fs;

use experiment_conformance::{Build, CaseOptions, Ledger, Subject, run};
use experiment_evaluation::Plan;

use crate::{
    arguments::{Conformance, Regex},
    failure::Failure,
    input::Input,
    page::{Page, printable},
};

/// The command is built with look-around …
const LOOKAROUND: bool = true;
/// … and with the tables of Unicode.
const UNICODE: bool = true;

/// Runs the command.
///
/// # Errors
///
/// [`Failure`] if the directory or the ledger cannot be read.
pub(crate) fn conformance(arguments: &Conformance) -> Result<Page, Failure> {
    let ledger = match &arguments.ledger {
        None => Ledger::built_in(Build::new(LOOKAROUND, UNICODE)),
        Some(path) => {
            let input = Input::File(path.clone());
            let json = fs::read(path).map_err(|source| input.unreadable(source))?;
            serde_json::from_slice(&json).map_err(|source| Failure::Ledger {
                path: path.clone(),
                source,
            })?
        }
    };
    let subjects = Subject::load(&arguments.directory)?;
    let report = run(
        &subjects,
        &ledger,
        |flags, context, options: CaseOptions| {
            let regex = if options.regex_search {
                Regex::Search
            } else {
                Regex::Full
            };
            Plan::compile(flags, &regex.options())
                .evaluate(context)
                .to_variants()
        },
    );
    let text = report.to_string();
    let lines = text.lines().flat_map(|line| [printable(line), "\n".into()]);
    Ok(Page::from(lines.collect::<String>()).with_findings(!report.passed()))
}
