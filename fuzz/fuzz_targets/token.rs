//! See `keyset_fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::token(data));
