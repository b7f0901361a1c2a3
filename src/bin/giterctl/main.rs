//! The `giterctl` program.

fn main() {}
