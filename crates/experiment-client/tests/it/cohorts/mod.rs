//! Cohorts: reading them, keeping them small, and asking who is in one.

mod context;
mod parse;
mod references;
mod set;
