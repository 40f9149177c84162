//! [`Storage`]: where an app keeps what it knows from run to run.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Keeps named pieces of bytes from run to run.
///
/// The names are those of the official client-side SDKs, `amp-exp-<instance>-<end of the key>` with
/// or without a suffix, so that an app can put the pieces where its predecessor had them. The pieces
/// hold the variants of a user and the flags of the deployment; keep them as private as other data
/// of the app.
///
/// An implementation must return soon and must not call the client. Whatever it returns, the client
/// goes on: what cannot be read counts as absent, what cannot be written stays in memory, and
/// [`AppClient::storage_findings`](super::AppClient::storage_findings) tells both.
///
/// ```
/// use experiment_client::{MemoryStorage, Storage};
///
/// let storage = MemoryStorage::new();
/// storage.set("amp-exp-app-3cFg7a", b"{}")?;
/// assert_eq!(storage.get("amp-exp-app-3cFg7a")?.as_deref(), Some(&b"{}"[..]));
/// storage.remove("amp-exp-app-3cFg7a")?;
/// assert_eq!(storage.get("amp-exp-app-3cFg7a")?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Storage: Send + Sync + fmt::Debug + 'static {
    /// The piece with this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If there may be one but it cannot be read.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Keeps `content` in place of what was there. Either all of it or nothing must be kept.
    ///
    /// # Errors
    ///
    /// If it was not kept; what was there before should still be.
    fn set(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Forgets the piece with this name, if there is one.
    ///
    /// # Errors
    ///
    /// If it is still there.
    fn remove(&self, name: &str) -> io::Result<()>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        (**self).get(name)
    }

    fn set(&self, name: &str, content: &[u8]) -> io::Result<()> {
        (**self).set(name, content)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }
}

/// Keeps everything until the process ends. The default. Clones share what is kept.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl MemoryStorage {
    /// Nothing kept yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).cloned())
    }

    fn set(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.lock().insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().remove(name);
        Ok(())
    }
}

impl fmt::Debug for MemoryStorage {
    /// Shows how many pieces there are and nothing of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage")
            .field("pieces", &self.lock().len())
            .finish()
    }
}

/// Which of the pieces that a client keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Piece {
    /// The variants of the last fetch.
    Variants,
    /// The flag configurations.
    Flags,
    /// Whether the service is asked to track assignments.
    TrackingOption,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variants => "variants",
            Self::Flags => "flags",
            Self::TrackingOption => "tracking option",
        })
    }
}

/// Something about a stored piece that is not as it should be, and what it meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored {piece} {problem}")]
#[non_exhaustive]
pub struct StorageFinding {
    /// Which piece.
    pub piece: Piece,
    /// What is wrong with it.
    pub problem: StorageProblem,
}

/// What is wrong with a stored piece. Nothing of its content is in here but flag keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageProblem {
    /// The storage failed to read it; it counts as absent.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// It is larger than this many bytes and counts as absent.
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
    /// It is not what the client writes, and counts as absent.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// The entry of one flag is not what the client writes; the others count.
    #[error("has a damaged entry for flag `{0}`")]
    DamagedEntry(String),
    /// The storage failed to keep it: the next run starts from what was kept before.
    #[error("cannot be written: {0}")]
    Unwritable(io::ErrorKind),
}
