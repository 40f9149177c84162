//! [`Failure`]: why a command could not do what it was asked.

use std::{error::Error, io, path::PathBuf};

use experiment_conformance::LoadError;
use experiment_model::ReadError;

use crate::{input::Input, json::Malformed};

/// Why a command could not do what it was asked; the process then ends with code 2.
///
/// No message shows a property or an id of a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An input cannot be read.
    #[error("cannot read {input}")]
    Read {
        /// The input.
        input: Input,
        /// What the system says.
        source: io::Error,
    },
    /// Standard output, or a file, cannot be written.
    #[error("cannot write {output}")]
    Write {
        /// Where to.
        output: String,
        /// What the system says.
        source: io::Error,
    },
    /// An input is no list of flags.
    #[error("{input}")]
    Flags {
        /// The input.
        input: Input,
        /// What is wrong, and where.
        source: ReadError,
    },
    /// An input is no user, or no context.
    #[error("{input} line {line} column {column}: {}", .malformed.message)]
    Subject {
        /// The input.
        input: Input,
        /// Line, from 1.
        line: u64,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong.
        malformed: Malformed,
    },
    /// There is no flag with this key.
    #[error("no flag `{key}` in {input}, which has {}", counted(*.flags, "flag"))]
    UnknownFlag {
        /// The key.
        key: String,
        /// Where the flags come from.
        input: Input,
        /// How many flags it has.
        flags: usize,
    },
    /// Two inputs are standard input.
    #[error("standard input can be read only once, but two inputs are `-`")]
    StandardInputTwice,
    /// An option has a value that goes with no other.
    #[error("{0}")]
    Usage(String),
    /// A directory of cases cannot be read.
    #[error(transparent)]
    Cases(#[from] LoadError),
    /// A file is no ledger.
    #[error("`{}` line {} column {}: not a ledger", .path.display(), .source.line(), .source.column())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A thread ended before its work was done.
    #[error("a worker stopped early, the output is incomplete")]
    Incomplete,
}

impl Failure {
    /// The failure to write standard output.
    pub(crate) fn output(source: io::Error) -> Self {
        Self::Write {
            output: "standard output".to_owned(),
            source,
        }
    }

    /// Whether nobody reads the output any more, which is no reason to complain.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure and its causes in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

/// `1 flag`, `2 flags`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
