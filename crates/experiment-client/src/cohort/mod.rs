//! Cohorts: who is in which, kept fresh.

mod context;
pub(crate) mod download;
mod json;
mod options;
pub(crate) mod parse;
mod references;
mod set;
mod store;

pub(crate) use self::set::Key;
pub use self::{
    context::Enriched,
    options::CohortOptions,
    references::References,
    set::{CohortSet, CohortSetBuilder},
    store::{Cohort, CohortStore},
};
