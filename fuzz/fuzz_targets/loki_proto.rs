#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whyd_fuzz::loki_proto(bytes));
