//! [`Input`]: what a command reads, and its name in messages.

use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Read},
    path::PathBuf,
};

use crate::failure::Failure;

/// A file, standard input (`-`), or text given with an option.
///
/// `Display` names it in messages and never shows the text of an option, which may be a user.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Standard,
    /// The text of an option.
    Inline {
        /// The option, `--user`.
        option: &'static str,
        /// What was given.
        text: OsString,
    },
}

/// An input that is read piece by piece.
pub(crate) struct Opened {
    /// The bytes.
    pub(crate) reader: Box<dyn Read + Send>,
    /// How many there are; `None` where that is not known in advance.
    pub(crate) size: Option<u64>,
}

impl Input {
    /// A path, or `-` for standard input.
    pub(crate) fn file(path: OsString) -> Self {
        if path == "-" {
            Self::Standard
        } else {
            Self::File(path.into())
        }
    }

    /// The text of an option, or `-` for standard input.
    pub(crate) fn inline(option: &'static str, text: OsString) -> Self {
        if text == "-" {
            Self::Standard
        } else {
            Self::Inline { option, text }
        }
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// [`Failure::Read`] with what the system says.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = match self {
            Self::File(path) => fs::read(path).map(|all| bytes = all),
            Self::Standard => io::stdin().lock().read_to_end(&mut bytes).map(|_| ()),
            Self::Inline { text, .. } => {
                bytes.extend_from_slice(text.as_encoded_bytes());
                Ok(())
            }
        };
        read.map_err(|source| self.unreadable(source))?;
        Ok(bytes)
    }

    /// Opens it to be read piece by piece.
    ///
    /// # Errors
    ///
    /// [`Failure::Read`] with what the system says.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        match self {
            Self::File(path) => {
                let file = fs::File::open(path).map_err(|source| self.unreadable(source))?;
                let facts = file.metadata().ok().filter(fs::Metadata::is_file);
                Ok(Opened {
                    reader: Box::new(file),
                    size: facts.map(|facts| facts.len()),
                })
            }
            Self::Standard => Ok(Opened {
                reader: Box::new(io::stdin()),
                size: None,
            }),
            Self::Inline { .. } => Ok(Opened {
                reader: Box::new(io::Cursor::new(self.read()?)),
                size: None,
            }),
        }
    }

    /// The failure to read it.
    pub(crate) fn unreadable(&self, source: io::Error) -> Failure {
        Failure::Read {
            input: self.clone(),
            source,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Standard => f.write_str("standard input"),
            Self::Inline { option, .. } => f.write_str(option),
        }
    }
}
