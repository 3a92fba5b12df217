//! Fuzzes `redis_reply`; the laws stand in `src/fuzz.rs` and below it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| srs_may::fuzz::run("redis_reply", bytes));
