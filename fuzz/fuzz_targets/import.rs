//! See `keyset_fuzz::import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::import(data));
