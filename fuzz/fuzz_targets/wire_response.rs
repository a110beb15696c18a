#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| telamon_fuzz::wire_response::check(data));
