//! [`FileStorage`].

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{percent, storage::Storage};
use crate::error::Error;

/// Bytes of one file, unless set otherwise: some thousand flags.
const MAX_FILE_SIZE: usize = 16 * 1024 * 1024;

/// Bytes of a file name; what common file systems allow is 255, less the ending of a temporary file.
const MAX_NAME: usize = 200;

/// Tells the temporary files of several storages in one process apart.
static STORAGES: AtomicU64 = AtomicU64::new(0);

/// Keeps each piece in a file of its own, which only the owner can read (mode 0600 where there are
/// modes).
///
/// A file is replaced as a whole: the new content is written beside it and renamed over it, so that
/// a process that is killed leaves either the old or the new one. It does not wait until the disk has
/// it; after a power failure a file may be damaged, and the client then ignores it.
///
/// ```
/// use experiment_client::{FileStorage, Storage};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("flags");
/// let storage = FileStorage::new(&path)?;
/// storage.set("amp-exp-app-3cFg7a", b"{}")?;
/// assert_eq!(FileStorage::new(&path)?.get("amp-exp-app-3cFg7a")?.as_deref(), Some(&b"{}"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileStorage {
    directory: PathBuf,
    number: u64,
    max_file_size: usize,
    /// Writing is one at a time: all writes of a piece share one temporary file.
    writing: Mutex<()>,
}

impl FileStorage {
    /// Keeps files in `directory`, which is made if it is not there (mode 0700).
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if it cannot be made.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        let directory = directory.into();
        make_private(&directory).map_err(|source| Error::Storage {
            what: "directory of the app client",
            source,
        })?;
        Ok(Self {
            directory,
            number: STORAGES.fetch_add(1, Ordering::Relaxed),
            max_file_size: MAX_FILE_SIZE,
            writing: Mutex::new(()),
        })
    }

    /// Replaces the limit of one file in bytes, read or written. Default: 16 MiB.
    #[must_use]
    pub fn with_max_file_size(mut self, bytes: usize) -> Self {
        self.max_file_size = bytes;
        self
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.directory.join(file_name(name)?))
    }

    fn too_large(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {} bytes", self.max_file_size),
        )
    }
}

impl Storage for FileStorage {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut content = Vec::new();
        let limit = u64::try_from(self.max_file_size).unwrap_or(u64::MAX);
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() > self.max_file_size {
            return Err(self.too_large());
        }
        Ok(Some(content))
    }

    fn set(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if content.len() > self.max_file_size {
            return Err(self.too_large());
        }
        let path = self.path(name)?;
        let temporary = self.directory.join(format!(
            "{}.{}-{}.tmp",
            file_name(name)?,
            std::process::id(),
            self.number
        ));
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = create_private(&temporary)
            .and_then(|mut file| file.write_all(content))
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The name with everything but letters, digits and `-_$.` percent-encoded, and likewise a dot at
/// its start: instance names come from programs and must not lead elsewhere.
fn file_name(name: &str) -> io::Result<String> {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_$.".contains(&byte);
    let mut encoded = percent::encoded(name, kept);
    if let Some(rest) = encoded.strip_prefix('.') {
        encoded = format!("%2E{rest}");
    }
    if encoded.is_empty() || encoded.len() > MAX_NAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name of the piece is empty or too long",
        ));
    }
    Ok(encoded)
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(directory)
}

/// An empty file that nobody else can read, also if one of this name is left over from a crash.
fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_directory_and_apart() {
        for (name, file) in [
            (
                "amp-exp-$default_instance-nt-key",
                "amp-exp-$default_instance-nt-key",
            ),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            ("a b%c", "a%20b%25c"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(file_name(name).expect("a name"), file);
        }
        assert!(file_name("").is_err());
        assert!(file_name(&"x".repeat(MAX_NAME + 1)).is_err());
    }
}
