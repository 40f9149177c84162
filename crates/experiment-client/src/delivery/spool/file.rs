//! The files of a spool: names, rights, locks.
//!
//! All files of one process share a name, the *lane*: `<lane>.lock`, which the process holds locked
//! as long as it lives, and `<lane>.<number>.spool` with its `<lane>.<number>.acks`. Who finds a
//! lane unlocked may lock it, and owns it from then on.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const LOCK: &str = "lock";
const RECORDS: &str = "spool";
const ACKS: &str = "acks";

/// How often a new lane is tried before giving up: others may adopt one in the moment between the
/// making of its lock file and its locking.
const LANE_ATTEMPTS: u32 = 8;

/// A lane that is locked by this process.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) name: String,
    path: PathBuf,
    /// Locked as long as it is open. It is never unlocked by hand: after a fork that would unlock
    /// the parent's, too.
    _lock: File,
}

impl Lane {
    /// A new lane.
    pub(super) fn create(directory: &Path, nonce: u64) -> io::Result<Self> {
        make_directory(directory)?;
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let process = std::process::id();
        for attempt in 0..LANE_ATTEMPTS {
            // The time comes first so that lanes sort by age.
            let name = format!("{nanos:020}-{process}-{nonce:016x}-{attempt}");
            let path = directory.join(format!("{name}.{LOCK}"));
            let lock = match private(OpenOptions::new().write(true).create_new(true)).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            if try_lock(&lock)? {
                return Ok(Self {
                    name,
                    path,
                    _lock: lock,
                });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Locks a lane that a process left, if it did.
    fn adopt(directory: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = directory.join(format!("{name}.{LOCK}"));
        let lock = private(OpenOptions::new().write(true).create(true)).open(&path)?;
        Ok(try_lock(&lock)?.then(|| Self {
            name: name.to_owned(),
            path,
            _lock: lock,
        }))
    }

    /// Removes the lane; nothing else of it must be left.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    /// The numbers of the files that are there, in order.
    pub(super) fn numbers(&self, directory: &Path) -> io::Result<Vec<u32>> {
        let mut numbers: Vec<u32> = names(directory)?
            .remove(&self.name)
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

/// Locks every lane that nobody holds, oldest first.
pub(super) fn adopt_all(directory: &Path, own: &str) -> io::Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for name in names(directory)?.into_keys().filter(|name| name != own) {
        // One that cannot be locked now is there for the next process.
        if let Ok(Some(lane)) = Lane::adopt(directory, &name) {
            lanes.push(lane);
        }
    }
    Ok(lanes)
}

/// The names of all lanes, with the number of each of their files.
fn names(directory: &Path) -> io::Result<BTreeMap<String, Vec<Option<u32>>>> {
    let mut lanes: BTreeMap<String, Vec<Option<u32>>> = BTreeMap::new();
    for file in fs::read_dir(directory)? {
        let file = file?.file_name();
        let Some((lane, rest)) = file.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let number = match rest.split_once('.') {
            None if rest == LOCK => None,
            Some((number, RECORDS | ACKS)) => match number.parse() {
                Ok(number) => Some(number),
                Err(_) => continue,
            },
            _ => continue,
        };
        lanes.entry(lane.to_owned()).or_default().push(number);
    }
    Ok(lanes)
}

/// The two files of one number of a lane.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(super) records: PathBuf,
    pub(super) acks: PathBuf,
}

impl Files {
    pub(super) fn new(directory: &Path, lane: &str, number: u32) -> Self {
        Self {
            records: directory.join(format!("{lane}.{number:08}.{RECORDS}")),
            acks: directory.join(format!("{lane}.{number:08}.{ACKS}")),
        }
    }

    /// Makes the file of the records.
    pub(super) fn create(&self) -> io::Result<File> {
        private(OpenOptions::new().append(true).create_new(true)).open(&self.records)
    }

    /// Removes both. The records go first: without their acks they would be sent again.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.records).or_else(unless_missing)?;
        fs::remove_file(&self.acks).or_else(unless_missing)
    }

    /// Adds whole entries to the acks.
    pub(super) fn add_acks(&self, entries: &[u8]) -> io::Result<()> {
        let mut file = private(OpenOptions::new().append(true).create(true)).open(&self.acks)?;
        let length = file.metadata()?.len();
        // What an earlier write left undone would shift all that follows.
        let entry = super::acks::ENTRY as u64;
        if !length.is_multiple_of(entry) {
            file.set_len(length.saturating_sub(length.rem_euclid(entry)))?;
        }
        io::Write::write_all(&mut file, entries)
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        return Ok(());
    }
    Err(error)
}

/// The content of a file that need not be there.
pub(super) fn read_if_present(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Makes the names of new files survive the death of the machine.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// New files and directories are for the user of the process alone.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    options
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}
