#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| telamon_fuzz::hpack::check(data));
