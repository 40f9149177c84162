//! Integration tests of the evaluation crate, in one binary.

mod conformance;
