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
mod amplitude_cookie;
mod app;
mod app_exposures;
mod app_fetch;
mod app_files;
mod app_flags;
mod app_storage;
mod cohorts;
mod delivery;
mod delivery_faults;
mod faults;
mod fetch_faults;
mod forked;
mod front;
mod golden;
mod ingestion;
mod local;
mod local_cohorts;
mod proxy;
mod remote;
mod secrets;
mod spool;
mod sse;
mod tls;
mod tracking;
mod transport;
mod variant_resolution;
