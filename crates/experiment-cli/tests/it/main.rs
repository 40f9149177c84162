//! Integration tests of the command, in one binary.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests state facts; clippy sees only the functions marked as tests as such"
)]

mod cases;
mod check;
mod command;
mod conformance;
mod evaluate;
mod explain;
mod mistakes;
mod shell;
mod simulate;
mod users;
