//! The client against scripted services, in memory and on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that fails says where"
)]

mod account;
mod delivery;
mod delivery_faults;
mod ingestion;
mod spool;
