//! Cohorts: who is in which, kept fresh.

mod json;
pub(crate) mod parse;
mod set;

pub use self::set::{CohortSet, CohortSetBuilder};
