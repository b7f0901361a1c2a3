//! The `giterd` program.

fn main() {}
