//! Integration tests of the command, in one binary.

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
