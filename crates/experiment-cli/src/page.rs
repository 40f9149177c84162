//! [`Page`]: what a command prints, and the code it ends with.

use std::{borrow::Cow, fmt::Write as _};

use anstyle::{AnsiColor, Style};

/// What a command prints, and whether it found something.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Text for standard output, with styles that are removed where nobody sees them.
    pub(crate) text: String,
    /// Ends the process with code 1.
    pub(crate) findings: bool,
}

impl Page {
    /// The same, with or without findings.
    pub(crate) fn with_findings(self, findings: bool) -> Self {
        Self { findings, ..self }
    }
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        Self {
            text,
            findings: false,
        }
    }
}

/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// What is there, but does not matter.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What holds.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// What does not.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// What deserves a look.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// What is compared.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Text for a terminal: control characters, which could move its cursor, are escaped.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            // A string can always be written.
            let _ = write!(escaped, "{}", char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}
