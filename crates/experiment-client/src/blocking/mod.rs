//! The clients without async: each waits on a thread of its own that has a runtime.

mod local;
mod thread;

pub use self::local::LocalClient;
