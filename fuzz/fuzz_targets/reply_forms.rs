#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| telamon_fuzz::reply_forms::check(data));
