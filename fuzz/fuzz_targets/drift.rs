//! See [`timewright_fuzz::drift`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::drift::run(data));
