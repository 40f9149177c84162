//! `check`: what is wrong with flags, or worth knowing about them.

use std::{collections::BTreeSet, fmt::Write};

use anstyle::Style;
use experiment_evaluation::{Diagnostic, Severity, lint};
use serde::Serialize;

use crate::{
    arguments::{Check, Format},
    failure::{Failure, counted},
    flags::Flags,
    page::{BOLD, CYAN, DIM, Page, RED, YELLOW, printable},
};

/// Runs the command.
///
/// # Errors
///
/// [`Failure`] if the flags cannot be read.
pub(crate) fn check(arguments: Check) -> Result<Page, Failure> {
    let Check {
        flags,
        strict,
        format,
    } = arguments;
    let options = flags.regex.options();
    let flags = Flags::load(flags.flags, &options)?;
    let findings = lint(&flags.set, &options);
    let bad = if strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    let failed = findings.iter().any(|finding| finding.severity() >= bad);
    let text = match format {
        Format::Text => text(&flags, &findings),
        Format::Json => json(&findings),
    };
    Ok(Page::from(text).with_findings(failed))
}

/// A finding as JSON.
#[derive(Serialize)]
struct Finding<'a> {
    severity: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<&'a str>,
    path: &'a str,
    message: &'a str,
    advice: &'static str,
}

impl<'a> From<&'a Diagnostic> for Finding<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity().as_str(),
            code: diagnostic.code.as_str(),
            flag: diagnostic.flag.as_deref(),
            path: &diagnostic.path,
            message: &diagnostic.message,
            advice: diagnostic.advice(),
        }
    }
}

fn json(findings: &[Diagnostic]) -> String {
    let findings: Vec<Finding<'_>> = findings.iter().map(Finding::from).collect();
    let mut json = serde_json::to_string_pretty(&findings).unwrap_or_default();
    json.push('\n');
    json
}

/// The findings by flag, in the order of the flags, and a summary.
fn text(flags: &Flags, findings: &[Diagnostic]) -> String {
    let mut text = String::new();
    let mut told = BTreeSet::new();
    for first in findings {
        if !told.insert(first.flag.as_deref()) {
            continue;
        }
        let heading = match &first.flag {
            Some(key) => format!("flag `{}`", printable(key)),
            None => "flags without a key".to_owned(),
        };
        // A string can always be written, here and below.
        let _ = writeln!(text, "{BOLD}{heading}{BOLD:#}");
        for finding in findings.iter().filter(|finding| finding.flag == first.flag) {
            describe(&mut text, finding);
        }
        text.push('\n');
    }
    let count = |severity| {
        let found = findings
            .iter()
            .filter(|finding| finding.severity() == severity);
        found.count()
    };
    let _ = writeln!(
        text,
        "{}: {}, {}, {}",
        counted(
            flags
                .set
                .flags
                .len()
                .saturating_add(flags.set.malformed.len()),
            "flag"
        ),
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Note), "note"),
    );
    text
}

fn describe(text: &mut String, finding: &Diagnostic) {
    let style = match finding.severity() {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        _ => Style::new(),
    };
    let severity = finding.severity().as_str();
    let code = finding.code.as_str();
    let _ = write!(text, "  {style}{severity}{style:#} {DIM}[{code}]{DIM:#}");
    if !finding.path.is_empty() {
        let _ = write!(text, " {CYAN}{}{CYAN:#}", printable(&finding.path));
    }
    let _ = writeln!(text, "\n    {}", printable(&finding.message));
    let _ = writeln!(text, "    {DIM}→ {}{DIM:#}", finding.advice());
}
