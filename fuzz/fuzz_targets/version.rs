//! See `experiment_fuzz::version`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::version(data));
