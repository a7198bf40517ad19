//! See `keyset_fuzz::duration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::duration(data));
