//! See [`timewright_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::config::run(data));
