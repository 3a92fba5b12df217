//! Fuzzes `rtsp`; the laws stand in `src/fuzz.rs` and below it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| srs_may::fuzz::run("rtsp", bytes));
