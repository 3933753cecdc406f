//! Exit codes: what a script can rely on.

use std::process::ExitCode;

use crate::client::ClientError;
use crate::commands::{MissingTool, NotFound};
use crate::output;

/// What `--help` says of exit codes.
pub(crate) const HELP: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reachable, 4 not found, 5 a tool is not installed";

/// Prints an error with its causes and gives its code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    output::note(&format!("error: {}", causes.join(": ")));
    if error.downcast_ref::<NotFound>().is_some() {
        return ExitCode::from(4);
    }
    if error.downcast_ref::<MissingTool>().is_some() {
        return ExitCode::from(5);
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => ExitCode::from(3),
        Some(ClientError::Refused { status: 404, .. }) => ExitCode::from(4),
        _ => ExitCode::FAILURE,
    }
}
