//! [`CacheFile`]: flags and cohorts on disk, for a start while the network is down.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use crc32fast::Hasher;
use experiment_model::{Text, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    cohort::{Cohort, CohortSet, CohortStore, Key},
    error::Error,
};

/// What errors call the file.
const WHAT: &str = "cache file";

/// What the file starts with: a name and the version of its format.
const MAGIC: &[u8; 8] = b"xpmtlkg\x01";

/// Bytes around the sections: magic, their length, checksum.
const FRAME: usize = 8 + 8 + 4;

/// Bytes in front of each section: its tag and length.
const SECTION_HEAD: usize = 4 + 8;

const HEAD: [u8; 4] = *b"head";
const FLAGS: [u8; 4] = *b"flag";
const COHORT: [u8; 4] = *b"coho";

/// The last good flags and cohorts in a file.
///
/// ```text
/// "xpmtlkg" 1   length of the sections, u64   sections   CRC32 of all that, u32
/// section: tag, 4 bytes   length, u64   content          (numbers are little-endian)
/// head: JSON of stored_at, origin, etag     flag: the flags as they came
/// coho: length, u32   JSON of the cohort without its members   fingerprints, u64 each
/// ```
///
/// It is replaced as a whole, by renaming, so that it is always one that was stored; a file that is
/// cut off or has a wrong bit is not taken. Its owner alone may read it, for conditions may name
/// users, and who knows a set's key could choose ids that are taken for members.
#[derive(Clone, Debug)]
pub(crate) struct CacheFile {
    path: PathBuf,
}

/// The flags, and where and when they come from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FlagsRecord {
    /// When they were stored.
    pub(crate) stored_at: Timestamp,
    /// Whose flags they are: those of another deployment are of no use. Not a key.
    pub(crate) origin: String,
    /// Their version, if the service gave one.
    pub(crate) etag: Option<String>,
    /// JSON, as it came.
    pub(crate) flags: Bytes,
}

/// What was in the file.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) record: FlagsRecord,
    pub(crate) cohorts: CohortStore,
}

#[derive(Serialize, Deserialize)]
struct Head {
    stored_at: Timestamp,
    origin: String,
    etag: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CohortHead {
    id: Text,
    group_type: Text,
    last_modified: Option<i64>,
    loaded_at: Timestamp,
    confirmed_at: Timestamp,
    key: [u64; 2],
}

impl CacheFile {
    /// The file at `path`, which need not exist yet; its directory must.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Replaces the file. It is on the disk when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]; the file is as it was, or has been replaced but may not survive a power
    /// failure.
    pub(crate) fn store(&self, record: &FlagsRecord, cohorts: &CohortStore) -> Result<(), Error> {
        self.replace(record, cohorts).map_err(storage)
    }

    /// What is in the file; `None` if there is none. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if it cannot be read, [`Error::Malformed`] if it is not exactly what was
    /// stored.
    pub(crate) fn load(&self) -> Result<Option<Loaded>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(storage(error)),
        };
        read(&bytes).map(Some).map_err(|reason| Error::Malformed {
            what: WHAT,
            reason: reason.to_owned(),
            attempts: 0,
        })
    }

    fn replace(&self, record: &FlagsRecord, cohorts: &CohortStore) -> io::Result<()> {
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = self.path.file_name().unwrap_or_default();
        // Another process, or thread, has another name: neither writes into the other's file.
        let own = format!(".{}.{:016x}.tmp", std::process::id(), fastrand::u64(..));
        let mut temporary = name.to_owned();
        temporary.push(own);
        let temporary = directory.join(temporary);
        let written = new_file(&temporary)
            .and_then(|file| write(file, record, cohorts))
            .and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            // It may not be there; what matters is why.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_directory(directory)
    }
}

fn storage(source: io::Error) -> Error {
    Error::Storage { what: WHAT, source }
}

/// A file that did not exist, for the owner alone.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A rename is on the disk when its directory is.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()
    } else {
        Ok(())
    }
}

fn write(file: File, record: &FlagsRecord, cohorts: &CohortStore) -> io::Result<()> {
    let head = serde_json::to_vec(&Head {
        stored_at: record.stored_at,
        origin: record.origin.clone(),
        etag: record.etag.clone(),
    })?;
    let cohorts: Vec<(Vec<u8>, &CohortSet)> = cohorts
        .iter()
        .map(|(id, cohort)| Ok((cohort_head(id, cohort)?, cohort.members())))
        .collect::<io::Result<_>>()?;
    let sections = cohorts
        .iter()
        .map(|(head, members)| cohort_length(head, members))
        .chain([head.len(), record.flags.len()])
        .fold(0, |sum: usize, length| {
            sum.saturating_add(SECTION_HEAD).saturating_add(length)
        });
    let mut out = Checked {
        file: BufWriter::new(file),
        checksum: Hasher::new(),
    };
    out.put(MAGIC)?;
    out.put(&(sections as u64).to_le_bytes())?;
    out.section(HEAD, head.len())?;
    out.put(&head)?;
    out.section(FLAGS, record.flags.len())?;
    out.put(&record.flags)?;
    for (head, members) in cohorts {
        out.section(COHORT, cohort_length(&head, members))?;
        let length = u32::try_from(head.len()).map_err(io::Error::other)?;
        out.put(&length.to_le_bytes())?;
        out.put(&head)?;
        for fingerprint in members.fingerprints() {
            out.put(&fingerprint.to_le_bytes())?;
        }
    }
    out.finish()
}

fn cohort_head(id: &str, cohort: &Cohort) -> io::Result<Vec<u8>> {
    let Key(first, second) = cohort.members().key();
    Ok(serde_json::to_vec(&CohortHead {
        id: id.into(),
        group_type: cohort.group_type().into(),
        last_modified: cohort.last_modified(),
        loaded_at: cohort.loaded_at(),
        confirmed_at: cohort.confirmed_at(),
        key: [first, second],
    })?)
}

fn cohort_length(head: &[u8], members: &CohortSet) -> usize {
    let fingerprints = size_of_val(members.fingerprints());
    size_of::<u32>()
        .saturating_add(head.len())
        .saturating_add(fingerprints)
}

/// A file that is being written, and the checksum so far.
struct Checked {
    file: BufWriter<File>,
    checksum: Hasher,
}

impl Checked {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.file.write_all(bytes)
    }

    fn section(&mut self, tag: [u8; 4], length: usize) -> io::Result<()> {
        self.put(&tag)?;
        self.put(&(length as u64).to_le_bytes())
    }

    fn finish(mut self) -> io::Result<()> {
        let checksum = self.checksum.finalize().to_le_bytes();
        self.file.write_all(&checksum)?;
        self.file.into_inner()?.sync_all()
    }
}

/// Reads the whole file, or says why it is not taken.
fn read(file: &Bytes) -> Result<Loaded, &'static str> {
    const NOT_WHOLE: &str = "the file is cut off or damaged";
    const NOT_READABLE: &str = "a section is not what it says";

    let mut rest = &**file;
    if take(&mut rest).as_ref() != Some(MAGIC) {
        return Err("not a cache file of this format");
    }
    let length = take_length(&mut rest).ok_or(NOT_WHOLE)?;
    if length.checked_add(FRAME) != Some(file.len()) {
        return Err(NOT_WHOLE);
    }
    let (checked, mut checksum) = file
        .split_at_checked(file.len().saturating_sub(4))
        .ok_or(NOT_WHOLE)?;
    let checksum = take(&mut checksum).map(u32::from_le_bytes);
    if checksum != Some(crc32fast::hash(checked)) {
        return Err(NOT_WHOLE);
    }
    let mut sections = rest.get(..length).ok_or(NOT_WHOLE)?;
    let (mut head, mut flags, mut cohorts) = (None, None, Vec::new());
    while !sections.is_empty() {
        let (tag, content) = take_section(&mut sections).ok_or(NOT_READABLE)?;
        match tag {
            HEAD => head = serde_json::from_slice::<Head>(content).ok(),
            FLAGS => flags = Some(file.slice_ref(content)),
            COHORT => cohorts.push(read_cohort(content).ok_or(NOT_READABLE)?),
            _ => return Err(NOT_READABLE),
        }
    }
    let (Some(head), Some(flags)) = (head, flags) else {
        return Err(NOT_READABLE);
    };
    Ok(Loaded {
        record: FlagsRecord {
            stored_at: head.stored_at,
            origin: head.origin,
            etag: head.etag,
            flags,
        },
        cohorts: cohorts.into_iter().collect(),
    })
}

fn read_cohort(mut content: &[u8]) -> Option<(Text, Cohort)> {
    let length = u32::from_le_bytes(take(&mut content)?);
    let (head, fingerprints) = content.split_at_checked(usize::try_from(length).ok()?)?;
    let head: CohortHead = serde_json::from_slice(head).ok()?;
    let (fingerprints, rest) = fingerprints.as_chunks();
    if !rest.is_empty() {
        return None;
    }
    let fingerprints = fingerprints
        .iter()
        .copied()
        .map(u64::from_le_bytes)
        .collect();
    let [first, second] = head.key;
    let members = CohortSet::from_parts(Key(first, second), fingerprints)?;
    let cohort = Cohort::new(head.group_type, members, head.loaded_at)
        .with_last_modified(head.last_modified)
        .confirmed(head.confirmed_at);
    Some((head.id, cohort))
}

/// Takes so many bytes off the front.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(take(rest)?)).ok()
}

fn take_section<'a>(rest: &mut &'a [u8]) -> Option<([u8; 4], &'a [u8])> {
    let tag = take(rest)?;
    let length = take_length(rest)?;
    let (content, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some((tag, content))
}

/// Tells where the flags come from, not what is in them.
impl fmt::Debug for FlagsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagsRecord")
            .field("stored_at", &self.stored_at)
            .field("origin", &self.origin)
            .field("etag", &self.etag)
            .field("flags", &format_args!("{} bytes", self.flags.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests;
