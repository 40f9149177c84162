#![doc = include_str!("../README.md")]

mod arguments;
mod cases;
mod check;
mod conformance;
mod evaluate;
mod explain;
mod failure;
mod flags;
mod input;
mod json;
mod page;
mod plain_user;
mod results;
mod shell;
mod simulate;
mod stream;
mod subject;
mod table;
mod users;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};

use crate::{
    arguments::{Arguments, Command},
    failure::Failure,
    page::Page,
};

/// The process ends with this code if there are findings.
const FINDINGS: u8 = 1;
/// The process ends with this code after a mistake of usage, or with input that cannot be read.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match run(arguments.command).and_then(|page| print(&page)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(FINDINGS),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.line());
            ExitCode::from(FAILED)
        }
    }
}

fn run(command: Command) -> Result<Page, Failure> {
    match command {
        Command::Evaluate(arguments) => evaluate::evaluate(arguments),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
        Command::Conformance(arguments) => conformance::conformance(&arguments),
        Command::Completions(arguments) => Ok(shell::completions(&arguments)),
        Command::Man(arguments) => shell::man(&arguments),
    }
}

/// Prints a page and returns whether it has findings.
fn print(page: &Page) -> Result<bool, Failure> {
    let mut output = anstream::stdout().lock();
    output
        .write_all(page.text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(Failure::output)?;
    Ok(page.findings)
}

/// One line on standard error.
fn complain(line: &str) {
    let line = page::printable(line);
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(io::stderr(), "xpmt: {line}");
}

/// Prints the help that was asked for, or a mistake of usage in one line.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader who has seen enough of the help may close it.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            complain("a command is missing; `xpmt --help` lists them");
            ExitCode::from(FAILED)
        }
        _ => {
            complain(&one_line(&error.render().to_string()));
            ExitCode::from(FAILED)
        }
    }
}

/// What clap says over several paragraphs, without the usage that follows.
fn one_line(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let said: Vec<String> = message
        .split("\n\n")
        .take_while(|paragraph| {
            !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more")
        })
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_mistake_of_usage_is_told_in_one_line() {
        let error = Arguments::try_parse_from(["xpmt", "check", "--flag", "x"]).unwrap_err();
        assert_eq!(
            one_line(&error.render().to_string()),
            "unexpected argument '--flag' found; tip: a similar argument exists: '--flags'"
        );
    }
}
