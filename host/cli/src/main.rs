//! The `pilothouse` command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    pilothouse_cli::main()
}
