//! `targets/bundle.rs` for libFuzzer.

#![no_main]

#[path = "../targets/bundle.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
