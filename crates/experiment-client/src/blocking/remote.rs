//! [`RemoteClient`] without async.

use experiment_model::User;

use super::thread::Thread;
use crate::{
    error::Error,
    remote::{FetchOptions, Fetched},
};

/// A [`RemoteClient`](crate::RemoteClient) whose waiting blocks the thread. It may be used anywhere,
/// within a runtime too.
///
/// ```
/// use experiment_client::{FetchOptions, RemoteClient, blocking};
/// # use experiment_client::test_kit::{Answer, InMemoryTransport, Script};
/// use experiment_model::User;
///
/// # let script = Script::new();
/// # script.on("/sdk/v2/vardata", Answer::json(r#"{"checkout": {"key": "on", "value": "on"}}"#));
/// # let transport = InMemoryTransport::new(script);
/// let client = RemoteClient::builder("deployment-key").transport(transport).build()?;
/// let client = blocking::RemoteClient::new(client)?;
/// let fetched = client.fetch(&User::new().with_user_id("user-1"), FetchOptions::new())?;
/// assert!(fetched.variants.get("checkout").is_some_and(|variant| variant.is("on")));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteClient {
    client: crate::RemoteClient,
    thread: Thread,
}

impl RemoteClient {
    /// Wraps a client.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the operating system gives no thread.
    pub fn new(client: crate::RemoteClient) -> Result<Self, Error> {
        Ok(Self {
            client,
            thread: Thread::new()?,
        })
    }

    /// See [`RemoteClient::fetch`](crate::RemoteClient::fetch).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fetch(&self, user: &User, options: FetchOptions) -> Result<Fetched, Error> {
        let (client, user) = (self.client.clone(), user.clone());
        self.thread
            .wait(async move { client.fetch(&user, options).await })?
    }
}
