//! See `keyset_fuzz::jwk_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::jwk_set(data));
