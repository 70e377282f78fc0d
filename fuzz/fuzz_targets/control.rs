//! See [`timewright_fuzz::control`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::control::run(data));
