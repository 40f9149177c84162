//! Flags as they arrive.

pub(crate) mod cache_file;
pub(crate) mod sse;
