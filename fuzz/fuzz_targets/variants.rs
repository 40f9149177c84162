//! See `experiment_fuzz::variants`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::variants(data));
