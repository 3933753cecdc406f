//! The command that makes a report again: what decides its bytes, and nothing else.
//!
//! Invariant: where a report goes, how many threads ran and where the data lie do not show in a report.

use crate::args::lab::{CommonArgs, CompareArgs, LeaderboardArgs, RunArgs};

pub(super) fn run(args: &RunArgs) -> String {
    let config = args.config.as_ref().map(|file| file.to_string_lossy().into_owned());
    let scenarios = options("--scenario", &args.scenario);
    let words = std::iter::once("run".to_owned()).chain(args.policies.iter().cloned());
    line(words.chain(scenarios).chain(options("--config", config.as_slice())), &args.common)
}

pub(super) fn compare(args: &CompareArgs) -> String {
    let words = ["compare", &args.first, &args.second].map(str::to_owned);
    line(words.into_iter().chain(options("--scenario", &args.scenario)), &args.common)
}

pub(super) fn leaderboard(args: &LeaderboardArgs) -> String {
    let words = std::iter::once("leaderboard".to_owned());
    line(words.chain(options("--family", &args.family)).chain(options("--with", &args.with)), &args.common)
}

/// An option before each of its values.
fn options<'a>(name: &'a str, values: &'a [String]) -> impl Iterator<Item = String> + 'a {
    values.iter().flat_map(move |value| [name.to_owned(), value.clone()])
}

fn line(words: impl Iterator<Item = String>, common: &CommonArgs) -> String {
    let seeds: Vec<String> = common.seeds.iter().map(u32::to_string).collect();
    let first = [common.first_seed.to_string()];
    let data = if common.data.folder.is_some() { &["DIR".to_owned()][..] } else { &[] };
    let start = ["pilothouse", "lab"].map(str::to_owned).into_iter();
    let words = start.chain(words).chain(options("--seeds", &seeds)).chain(options("--first-seed", &first));
    words.chain(options("--data", data)).map(quoted).collect::<Vec<_>>().join(" ")
}

/// As a shell takes it.
fn quoted(argument: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command, lab::LabCommand};
    use clap::Parser as _;

    #[test]
    fn what_decides_the_bytes_is_there_and_the_rest_is_not() {
        let given =
            "pilothouse lab compare a.wasm it's --scenario x --seeds 3 --data /d --html /r --threads 2";
        let args = Args::try_parse_from(given.split(' ')).unwrap();
        let Command::Lab(LabCommand::Compare(args)) = args.command else { panic!() };
        let wanted =
            r"pilothouse lab compare a.wasm 'it'\''s' --scenario x --seeds 3 --first-seed 1 --data DIR";
        assert_eq!(compare(&args), wanted);
    }
}
