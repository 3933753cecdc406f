//! Exit codes: what a script can rely on.

use std::process::ExitCode;

use crate::client::ClientError;
use crate::commands::{MissingTool, NotFound};
use crate::output;

/// What `--help` says of exit codes.
pub(crate) const HELP: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reachable, 4 not found, 5 a tool is not installed";

/// Longest line of an error, characters: a message may quote a line of a file, and a file may be one line.
const LINE_CHARS_MAX: usize = 1_000;

/// Prints an error with its causes and gives its code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    output::note(&format!("error: {}", shown(&causes.join(": "))));
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

/// The text with no line beyond [`LINE_CHARS_MAX`].
fn shown(text: &str) -> String {
    let cut = |line: &str| match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", line.get(..end).unwrap_or_default().trim_end()),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_without_an_end_is_cut_and_the_problem_stays() {
        let line = format!("x = {}", "[".repeat(100_000));
        let error = toml::from_str::<toml::Table>(&line).unwrap_err();
        let said = shown(&error.to_string());
        assert!(said.len() < 3 * LINE_CHARS_MAX, "{} bytes", said.len());
        assert!(said.contains("line 1"), "{said}");
        assert_eq!(shown("one\ntwo"), "one\ntwo");
    }
}
