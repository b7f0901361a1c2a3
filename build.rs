//! Build-time tables.

fn main() {}
