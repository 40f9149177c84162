//! [`Subject`]: the cases of one file.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use crate::{case::Case, vectors};

/// The cases about one subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subject {
    /// The name of the file without its ending.
    pub name: String,
    /// The cases in order.
    pub cases: Vec<Case>,
}

/// A file of cases that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file or directory cannot be opened.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a list of cases.
    #[error("`{}` line {line} column {column}: not a list of cases", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// There are no cases at all, so nothing would be checked.
    #[error("no cases in `{}`", .path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

/// The case files that are part of this crate.
const FILES: &[(&str, &str)] = &include!("files.in");

/// Large random configurations, compressed.
const LARGE: &[(&str, &[u8])] = &[
    (
        "large-normal",
        include_bytes!("../large/dev-normal.jsonl.gz"),
    ),
    ("large-edge", include_bytes!("../large/dev-edge.jsonl.gz")),
];

impl Subject {
    /// The hand-made cases of this crate and those that follow from its vectors.
    ///
    /// # Panics
    ///
    /// Never: the files are part of the crate and a test reads them all.
    pub fn built_in() -> Vec<Self> {
        let mut subjects: Vec<Self> = FILES
            .iter()
            .map(|(name, json)| Self {
                name: (*name).to_owned(),
                cases: read(json),
            })
            .collect();
        subjects.extend(vectors::subjects());
        subjects
    }

    /// The 8,000 random configurations of this crate, labelled by the canonical engine with all
    /// decisions applied. Unpacking them takes a second.
    pub fn large() -> Vec<Self> {
        LARGE
            .iter()
            .map(|(name, packed)| {
                let mut lines = String::new();
                // The files are part of the crate; a truncated one would fail the count below.
                let _ = GzDecoder::new(*packed).read_to_string(&mut lines);
                let cases = lines
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok());
                Self {
                    name: (*name).to_owned(),
                    cases: cases.collect(),
                }
            })
            .collect()
    }

    /// Reads every `*.json` (a list of cases) and `*.jsonl` (a case per line) of a directory, in
    /// the order of their names.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with the file, and the place in it, that cannot be read.
    pub fn load(directory: &Path) -> Result<Vec<Self>, LoadError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| LoadError::Io { path, source }
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(io(directory))? {
            let path = entry.map_err(io(directory))?.path();
            if path
                .extension()
                .is_some_and(|ending| ending == "json" || ending == "jsonl")
            {
                files.push(path);
            }
        }
        files.sort();
        let mut subjects = Vec::new();
        for path in files {
            let text = fs::read_to_string(&path).map_err(io(&path))?;
            let cases = if path.extension().is_some_and(|ending| ending == "jsonl") {
                let mut cases = Vec::new();
                for (index, line) in text
                    .lines()
                    .enumerate()
                    .filter(|(_, line)| !line.trim().is_empty())
                {
                    let line_number = index.saturating_add(1);
                    let case = serde_json::from_str(line).map_err(|source| LoadError::Format {
                        path: path.clone(),
                        line: line_number,
                        column: source.column(),
                        source,
                    })?;
                    cases.push(case);
                }
                cases
            } else {
                serde_json::from_str(&text).map_err(|source| LoadError::Format {
                    path: path.clone(),
                    line: source.line(),
                    column: source.column(),
                    source,
                })?
            };
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            subjects.push(Self { name, cases });
        }
        if subjects.iter().all(|subject| subject.cases.is_empty()) {
            return Err(LoadError::Empty {
                path: directory.to_owned(),
            });
        }
        Ok(subjects)
    }
}

fn read(json: &str) -> Vec<Case> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_crate_is_read_in_full() {
        for (name, json) in FILES {
            serde_json::from_str::<Vec<Case>>(json)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let hand_made: usize = FILES.iter().map(|(_, json)| read(json).len()).sum();
        assert!(hand_made >= 1_494, "{hand_made} cases");
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        assert_eq!(
            fs::read_dir(directory).unwrap().count(),
            FILES.len(),
            "a file is not listed"
        );
        let large: Vec<usize> = Subject::large()
            .iter()
            .map(|subject| subject.cases.len())
            .collect();
        assert_eq!(large, [4_000, 4_000]);
    }
}
