//! The `dpx` binary: starts the command line.

fn main() {}
