//! See [`timewright_fuzz::keys`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| timewright_fuzz::keys::run(data));
