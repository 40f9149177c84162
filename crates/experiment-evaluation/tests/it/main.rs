//! Integration tests of the evaluation crate, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "as in test functions, which share functions that are none"
)]

mod arbitrary;
mod buckets;
mod conformance;
mod hostile;
mod lint;
mod order;
mod partial;
mod poison;
mod properties;
mod schema;
mod traces;
mod users;
