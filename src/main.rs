//! The `dpx` binary: starts the command line.

fn main() -> std::process::ExitCode {
    dpx::cli::main().into()
}
