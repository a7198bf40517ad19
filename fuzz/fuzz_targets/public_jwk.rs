//! See `keyset_fuzz::public_jwk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::public_jwk(data));
