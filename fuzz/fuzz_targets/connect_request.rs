#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| telamon_fuzz::connect_request::check(data));
