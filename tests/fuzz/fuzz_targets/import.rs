//! `targets/import.rs` for libFuzzer.

#![no_main]

#[path = "../targets/import.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
