//! See `keyset_fuzz::secret_content`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyset_fuzz::secret_content(data));
