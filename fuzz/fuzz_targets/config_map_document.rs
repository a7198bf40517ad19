//! See `keyset_fuzz::config_map_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::config_map_document(data));
