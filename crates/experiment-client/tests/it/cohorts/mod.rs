//! Cohorts: reading them, keeping them small, and asking who is in one.

mod parse;
mod set;
