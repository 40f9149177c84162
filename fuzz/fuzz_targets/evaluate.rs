//! See `experiment_fuzz::evaluate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::evaluate(data));
