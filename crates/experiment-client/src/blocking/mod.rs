//! The clients without async: each waits on a thread of its own that has a runtime.

mod app;
mod local;
mod remote;
mod thread;

pub use self::{app::AppClient, local::LocalClient, remote::RemoteClient};
