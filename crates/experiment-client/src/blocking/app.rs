//! [`AppClient`] without async.

use std::ops::Deref;

use experiment_model::User;

use super::thread::Thread;
use crate::{
    app::{FetchOutcome, Started},
    error::Error,
    remote::FetchOptions,
};

/// An [`AppClient`](crate::AppClient) whose waiting blocks the thread. It may be used anywhere,
/// within a runtime too. Everything that does not wait is that client's own.
///
/// ```
/// use experiment_client::{AppClient, blocking};
/// # use experiment_client::test_kit::{Answer, InMemoryTransport, Script};
/// use experiment_model::User;
///
/// # let script = Script::new();
/// # script.on("/sdk/v2/vardata", Answer::json(r#"{"checkout": {"key": "on", "value": "on"}}"#));
/// # script.on("/sdk/v2/flags", Answer::json("[]"));
/// # let transport = InMemoryTransport::new(script);
/// let client = AppClient::builder("client-deployment-key").transport(transport).build()?;
/// let client = blocking::AppClient::new(client)?;
/// client.start(Some(User::new().with_user_id("user-1")))?.into_result()?;
/// assert!(client.variant("checkout", None).is("on"));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Debug)]
pub struct AppClient {
    client: crate::AppClient,
    thread: Thread,
}

impl AppClient {
    /// Wraps a client that has not been started.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the operating system gives no thread.
    pub fn new(client: crate::AppClient) -> Result<Self, Error> {
        Ok(Self {
            client,
            thread: Thread::new()?,
        })
    }

    /// See [`AppClient::start`](crate::AppClient::start).
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] in the child of a fork that gets no thread.
    pub fn start(&self, user: Option<User>) -> Result<Started, Error> {
        let client = self.client.clone();
        self.thread.wait(async move { client.start(user).await })
    }

    /// See [`AppClient::fetch`](crate::AppClient::fetch).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fetch(&self, user: Option<User>, options: FetchOptions) -> Result<FetchOutcome, Error> {
        let client = self.client.clone();
        self.thread
            .wait(async move { client.fetch(user, options).await })?
    }
}

impl Deref for AppClient {
    type Target = crate::AppClient;

    fn deref(&self) -> &crate::AppClient {
        &self.client
    }
}
