//! Integration tests of the events crate, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "as in test functions, which share functions that are none"
)]

mod assignment;
mod client_exposure;
mod compat;
mod costs;
mod dedupe;
mod differences;
mod event;
mod exposure;
mod golden;
mod insert_id;
mod properties;
mod sequences;
mod transformation;
mod uploads;
