#![doc = include_str!("../README.md")]

mod case;
mod ledger;
mod report;
mod run;
mod subject;
pub mod vectors;

pub use crate::{
    case::{Case, CaseOptions},
    ledger::{Build, Ledger, LedgerEntry},
    report::{Difference, Report, SubjectReport},
    run::run,
    subject::{LoadError, Subject},
};
