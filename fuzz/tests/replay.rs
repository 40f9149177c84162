//! The committed corpora and everything that ever failed, without a fuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
};

use experiment_fuzz::{TARGETS, Target};

/// The files of a folder of this crate.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

fn replay(target: Target, files: &[PathBuf]) {
    for file in files {
        // Shown if the target panics.
        println!("{}", file.display());
        target(&fs::read(file).expect("a file"));
    }
}

#[test]
fn corpora_hold() {
    for (name, target) in TARGETS {
        let files = files(&format!("corpus/{name}"));
        assert!(files.len() >= 20, "{name} has {} seeds", files.len());
        replay(target, &files);
    }
}

#[test]
fn what_once_failed_holds() {
    for (name, target) in TARGETS {
        replay(target, &files(&format!("regressions/{name}")));
    }
}
