#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| telamon_fuzz::field_path::check(data));
