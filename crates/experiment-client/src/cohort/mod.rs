//! Cohorts: who is in which, kept fresh.

mod context;
mod json;
pub(crate) mod parse;
mod references;
mod set;
mod store;

pub use self::{
    context::Enriched,
    references::References,
    set::{CohortSet, CohortSetBuilder},
    store::{Cohort, CohortStore},
};
