//! The client against scripted services, in memory and on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that fails says where"
)]

mod fetch_faults;
mod front;
mod golden;
mod proxy;
mod remote;
mod secrets;
mod tls;
mod transport;
