//! [`Executor`]: where the work in the background is done.

use std::{future::Future, io, pin::Pin, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::mpsc,
};

/// Work that ends by itself when the client it belongs to is gone.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks: on the runtime of the program, or on a thread of its own.
///
/// A thread of its own is for programs without a tokio runtime, and for the children of a fork, in
/// which the threads of the parent's runtime do not exist.
#[derive(Clone, Debug)]
pub(crate) enum Executor {
    Runtime(Handle),
    Thread(mpsc::UnboundedSender<Task>),
}

impl Executor {
    /// The runtime this is called in, or a thread where there is none.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(crate) fn current_or_thread() -> io::Result<Self> {
        match Handle::try_current() {
            Ok(handle) => Ok(Self::Runtime(handle)),
            Err(_) => Self::thread(),
        }
    }

    /// A thread that ends when the last clone is dropped and every task has ended.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(crate) fn thread() -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Task>();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("experiment-client".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let mut tasks = tokio::task::JoinSet::new();
                    while let Some(task) = receiver.recv().await {
                        tasks.spawn(task);
                        while tasks.try_join_next().is_some() {}
                    }
                    while tasks.join_next().await.is_some() {}
                });
            })?;
        Ok(Self::Thread(sender))
    }

    /// Starts `task`.
    pub(crate) fn spawn(&self, task: Task) {
        match self {
            Self::Runtime(handle) => {
                handle.spawn(task);
            }
            // The thread receives as long as there is a sender.
            Self::Thread(sender) => {
                let _ = sender.send(task);
            }
        }
    }
}
