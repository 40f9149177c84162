//! See `experiment_fuzz::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::pattern(data));
