//! See [`timewright_fuzz::leap`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::leap::run(data));
