//! `targets/tree.rs` for libFuzzer.

#![no_main]

#[path = "../targets/tree.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::check(data));
