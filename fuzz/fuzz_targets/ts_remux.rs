//! Fuzzes `ts_remux`; the laws stand in `src/fuzz.rs` and below it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| srs_may::fuzz::run("ts_remux", bytes));
