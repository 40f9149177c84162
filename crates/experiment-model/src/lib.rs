#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod flag;
mod flag_set;
mod group;
mod object;
mod objects_only;
mod operator;
mod text;
mod timestamp;
mod user;
mod user_field;
mod value;
mod variant;

pub use crate::{
    flag::{Allocation, Bucket, Condition, Distribution, Flag, Segment, Selector},
    flag_set::{FlagSet, Malformed, ReadError, for_each_flag, read_flags},
    group::{Group, Groups},
    object::{Entry, Object},
    operator::Operator,
    text::Text,
    timestamp::Timestamp,
    user::{User, UserFieldError},
    user_field::UserField,
    value::Value,
    variant::{Variant, Variants},
};
