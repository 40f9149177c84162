//! [`LocalClient`] without async.

use std::{ops::Deref, time::Duration};

use super::thread::Thread;
use crate::{account::Account, error::Error};

/// A [`LocalClient`](crate::LocalClient) whose waiting blocks the thread. It may be used anywhere,
/// within a runtime too. Everything that does not wait is that client's own.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::{LocalClient, Updates, blocking};
/// use experiment_model::User;
///
/// let client = blocking::LocalClient::new(
///     LocalClient::builder("server-deployment-key")
///         .updates(Updates::Off)
///         .bootstrap(r#"[{"key": "search", "variants": {"on": {"key": "on", "value": "on"}},
///             "segments": [{"variant": "on"}]}]"#)
///         .build()?,
/// )?;
/// client.start(Duration::from_secs(1))?;
/// assert!(client.variant(&User::new().with_user_id("user-1"), "search").is_some());
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalClient {
    client: crate::LocalClient,
    thread: Thread,
}

impl LocalClient {
    /// Wraps a client that has not been started.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the operating system gives no thread.
    pub fn new(client: crate::LocalClient) -> Result<Self, Error> {
        Ok(Self {
            client,
            thread: Thread::new()?,
        })
    }

    /// See [`LocalClient::start`](crate::LocalClient::start).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start(&self, deadline: Duration) -> Result<(), Error> {
        let client = self.client.clone();
        self.thread
            .wait(async move { client.start(deadline).await })?
    }

    /// See [`LocalClient::flush`](crate::LocalClient::flush).
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] in the child of a fork that gets no thread.
    pub fn flush(&self, deadline: Duration) -> Result<Account, Error> {
        let client = self.client.clone();
        self.thread
            .wait(async move { client.flush(deadline).await })
    }

    /// See [`LocalClient::shutdown`](crate::LocalClient::shutdown).
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] in the child of a fork that gets no thread.
    pub fn shutdown(&self, deadline: Duration) -> Result<Account, Error> {
        let client = self.client.clone();
        self.thread
            .wait(async move { client.shutdown(deadline).await })
    }
}

impl Deref for LocalClient {
    type Target = crate::LocalClient;

    fn deref(&self) -> &crate::LocalClient {
        &self.client
    }
}
