//! The command line: parse, run, say what went wrong.

use std::process::ExitCode;

fn main() -> ExitCode {
    whyd::cli::main()
}
