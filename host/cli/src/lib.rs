//! The `pilothouse` command line.
//!
//! arguments -> [`args`] -> a handler of [`commands`] -> a [`output::Report`] -> stdout; errors -> stderr and [`exit`]
//!
//! Invariant: data goes to stdout and everything else to stderr; handlers return reports and print nothing.

mod args;
mod client;
mod commands;
mod exit;
mod files;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    if matches!(args.command, args::Command::Compile) {
        return pilothouse_engine::compile_child_main();
    }
    match commands::run(args) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
