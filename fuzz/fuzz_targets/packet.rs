//! See [`timewright_fuzz::packet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::packet::run(data));
