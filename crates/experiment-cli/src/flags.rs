//! [`Flags`]: a file of flags, read and compiled.

use std::io::{self, Write};

use experiment_evaluation::{Diagnostic, FlagHandle, Options, Plan, Severity};
use experiment_model::{FlagSet, read_flags};

use crate::{failure::Failure, input::Input, page::printable};

/// A file of flags, read and compiled.
pub(crate) struct Flags {
    /// Where they come from.
    pub(crate) input: Input,
    /// As they stand there.
    pub(crate) set: FlagSet,
    /// Compiled.
    pub(crate) plan: Plan,
}

impl Flags {
    /// Reads and compiles flags.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the input cannot be read or is no list of flags.
    pub(crate) fn load(input: Input, options: &Options) -> Result<Self, Failure> {
        let json = input.read()?;
        match read_flags(&json) {
            Ok(set) => {
                let plan = Plan::compile(&set, options);
                Ok(Self { input, set, plan })
            }
            Err(source) => Err(Failure::Flags { input, source }),
        }
    }

    /// The flag with this key.
    ///
    /// # Errors
    ///
    /// [`Failure::UnknownFlag`].
    pub(crate) fn find(&self, key: &str) -> Result<FlagHandle<'_>, Failure> {
        self.plan.flag(key).ok_or_else(|| self.unknown(key))
    }

    /// The failure to find a flag.
    pub(crate) fn unknown(&self, key: &str) -> Failure {
        Failure::UnknownFlag {
            key: key.to_owned(),
            input: self.input.clone(),
            flags: self.plan.len(),
        }
    }

    /// What compiling found about a flag.
    pub(crate) fn about(&self, key: &str) -> Vec<Diagnostic> {
        let diagnostics = self.plan.diagnostics().iter();
        diagnostics
            .filter(|diagnostic| diagnostic.flag.as_deref() == Some(key))
            .cloned()
            .collect()
    }
}

/// Prints findings on standard error, one line each.
pub(crate) fn warn(diagnostics: &[Diagnostic]) {
    let mut stderr = io::stderr().lock();
    for diagnostic in diagnostics {
        let text = diagnostic.to_string();
        let (_, what) = text.split_once(": ").unwrap_or(("", &text));
        let severity = match diagnostic.severity() {
            Severity::Note => "note",
            _ => "warning",
        };
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(stderr, "xpmt: {severity}: {}", printable(what));
    }
}
