#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod bucket;
mod coerce;
mod compile;
mod context;
#[doc = include_str!("../DESIGN.md")]
pub mod design {}
mod diagnostic;
mod evaluation;
mod explain;
mod intern;
mod limits;
mod lint;
mod matching;
mod number;
mod order;
mod partial;
mod pattern;
mod plan;
mod short;
mod table;
mod values;
mod version;
mod walk;

pub use crate::{
    context::{Context, Elements, Fields, Members, Node, Path, UserView},
    diagnostic::{Code, CompileError, Diagnostic, Severity},
    evaluation::{Evaluation, Iter, KeysOptions},
    explain::{BucketStep, ConditionStep, Explanation, Reason, SegmentOutcome, SegmentStep},
    limits::{Limits, Options, RegexMatching},
    lint::lint,
    partial::evaluate_partially,
    plan::{FlagHandle, Plan, SPEC_VERSION, VariantId},
};
