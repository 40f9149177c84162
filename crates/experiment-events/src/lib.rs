#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod assignment;
mod client_exposure;
mod dedupe;
mod event;
mod exposure;
mod insert_id;
mod name;
mod options;
mod result;
mod text_builder;
mod transform;
mod tuple_hash;

pub use crate::{
    assignment::Assignment,
    client_exposure::ClientExposure,
    dedupe::{Decision, DedupeFilter, DedupeLimits, DropReason, Mark},
    event::Event,
    exposure::Exposure,
    insert_id::{InsertIdFormat, Sdk},
    options::{EventOptions, PropertyNames},
    transform::{TransformError, transform},
};
