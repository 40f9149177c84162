//! See `experiment_fuzz::flags`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment_fuzz::flags(data));
