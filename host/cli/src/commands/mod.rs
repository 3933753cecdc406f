//! One handler per command.

mod bench;
mod config;
pub(crate) mod conform;
mod demo;
mod events;
mod failover;
mod grammar;
mod inspect;
mod lab;
mod orchestrator;
mod place;
mod region;
mod registry;
mod remote;
mod serve;
mod trust;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Args, Command, PolicyCommand};
use crate::client::Client;

pub(crate) use lab::NotFound;

/// Runs a command to its end.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { server, token, ca_file, output, command } = args;
    let client = Client::new(&server, token, ca_file.as_deref())?;
    match command {
        Command::Serve(args) => serve::run(args)?,
        Command::Demo { exit, listen, data_dir } => return demo::run(exit, listen, &data_dir),
        Command::Events { since, no_follow } => events::run(&client, since, no_follow, output)?,
        Command::Config(command) => config::run(&command)?,
        Command::Bench { requests, connections } => {
            bench::run(&client, requests, connections)?.print(output)?
        }
        Command::Lab(command) => lab::run(command, output)?,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "pilothouse", &mut std::io::stdout());
        }
        Command::Compile => anyhow::bail!("`compile` is handled before"),
        Command::Policy(PolicyCommand::Inspect { policy }) if inspect::is_file(&policy) => {
            inspect::run(&policy)?.print(output)?
        }
        Command::Policy(PolicyCommand::Trust(command)) => trust::run(command)?.print(output)?,
        Command::Policy(PolicyCommand::Conform(args)) => return conform::run(&args, output),
        remote => remote::run(&client, remote)?.print(output)?,
    }
    Ok(ExitCode::SUCCESS)
}
