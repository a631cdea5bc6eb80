#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whyd_fuzz::remote_write1(bytes));
