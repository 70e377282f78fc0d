//! See [`timewright_fuzz::samples`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::samples::run(data));
