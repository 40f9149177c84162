//! [`Thread`]: waits for a future on a thread that has a runtime.

use std::{future::Future, sync::mpsc};

use crate::{error::Error, executor::Executor, process::PerProcess};

/// A thread with a runtime, one per client and process.
#[derive(Debug)]
pub(super) struct Thread(PerProcess<Option<Executor>>);

impl Thread {
    /// # Errors
    ///
    /// [`Error::Storage`] if the operating system gives no thread.
    pub(super) fn new() -> Result<Self, Error> {
        let executor = Executor::thread().map_err(no_thread)?;
        Ok(Self(PerProcess::new(Some(executor))))
    }

    /// Waits for `future`. The child of a fork gets a thread of its own here.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the child gets none.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = || no_thread(std::io::Error::other("the thread has ended"));
        let own = self.0.get(|_parents| Executor::thread().ok());
        let executor = own.value.as_ref().ok_or_else(gone)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        executor.spawn(Box::pin(async move {
            // Nobody waits any more if this fails.
            let _ = sender.send(future.await);
        }));
        receiver.recv().map_err(|_| gone())
    }
}

fn no_thread(source: std::io::Error) -> Error {
    Error::Storage {
        what: "thread",
        source,
    }
}
