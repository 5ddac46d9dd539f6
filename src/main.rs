//! The binary: hands argv to [`matron::cli`] and its exit code to the operating system.

use std::process::ExitCode;

fn main() -> ExitCode {
    matron::cli::main()
}
