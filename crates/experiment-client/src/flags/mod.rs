//! Flags as they arrive.

pub(crate) mod sse;
