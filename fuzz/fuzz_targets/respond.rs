//! See [`timewright_fuzz::respond`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::respond::run(data));
