//! See `experiment_fuzz::cohort`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::cohort(data));
