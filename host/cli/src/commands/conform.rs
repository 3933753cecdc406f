//! `policy conform`: does a component keep the contract? Asked of a file or a default policy, without a server.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use pilothouse_conformance::{Mode, Options, Report, report};
use pilothouse_engine::{Cache, Compiler, Runtime};
use pilothouse_node::conform::conform;
use pilothouse_policies::DefaultPolicy;
use serde_json::{Value, json};

use super::NotFound;
use super::inspect::is_file;
use crate::output::{self, Output};

/// Arguments of `policy conform`.
#[derive(Debug, Args)]
pub(crate) struct ConformArgs {
    /// Path of a .wasm file, or NAME or FAMILY/NAME of a default policy.
    #[arg(required_unless_present = "list")]
    policy: Option<String>,
    /// Fewer inputs: a second or two instead of a minute.
    #[arg(long)]
    quick: bool,
    /// Where the inputs come from; the same seed gives the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these checks or groups.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write JUnit XML to this file.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write one HTML page to this file.
    #[arg(long)]
    html: Option<PathBuf>,
    /// List all checks with why, and end.
    #[arg(long)]
    list: bool,
}

/// Runs the kit; the code says whether the policy conforms.
pub(super) fn run(args: &ConformArgs, output: Output) -> anyhow::Result<ExitCode> {
    let Some(policy) = args.policy.as_deref().filter(|_| !args.list) else {
        print_catalogue(output)?;
        return Ok(ExitCode::SUCCESS);
    };
    let bytes = component(policy)?;
    let program = std::env::current_exe().context("cannot find this program for the compiler's process")?;
    let runtime = Runtime::start(Compiler::child(program, vec!["compile".to_owned()]), Cache::none())?;
    let mode = if args.quick { Mode::Quick } else { Mode::Full };
    let options = Options { mode, seed: args.seed, only: args.only.clone() };
    let report = conform(&runtime, policy, &bytes, &options)?;
    write(args, &report)?;
    match output {
        Output::Json => output::data(&serde_json::to_string_pretty(&report.json())?)?,
        Output::Table => output::data(&report.text(wants_colour()))?,
    }
    Ok(if report.conforms() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Colours are for terminals whose user did not ask for none.
fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn write(args: &ConformArgs, report: &Report) -> anyhow::Result<()> {
    for (path, text) in [(&args.junit, Report::junit as fn(&Report) -> String), (&args.html, Report::html)] {
        if let Some(path) = path {
            std::fs::write(path, text(report)).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn print_catalogue(output: Output) -> anyhow::Result<()> {
    let check = |check: &pilothouse_conformance::Check| -> Value {
        let families: Vec<&str> = check.families.iter().map(|family| family.name()).collect();
        json!({ "id": check.id, "families": families, "severity": check.severity.name(),
            "what": check.what, "why": check.why, "to_do": check.fix })
    };
    let checks: Vec<Value> = pilothouse_conformance::CHECKS.iter().map(check).collect();
    match output {
        Output::Json => output::data(&serde_json::to_string_pretty(&json!({ "checks": checks }))?),
        Output::Table => output::data(report::catalogue().trim_end()),
    }
}

/// The bytes of a file, or of a default policy by NAME or FAMILY/NAME.
fn component(given: &str) -> anyhow::Result<Vec<u8>> {
    if is_file(given) {
        return std::fs::read(given).with_context(|| format!("cannot read {given}"));
    }
    let (family, name) = given.split_once('/').map_or((None, given), |(family, name)| (Some(family), name));
    let is_meant =
        |policy: &&DefaultPolicy| policy.name == name && family.is_none_or(|family| policy.family == family);
    let found: Vec<&DefaultPolicy> = pilothouse_policies::ALL.iter().filter(is_meant).collect();
    let hint = match found.as_slice() {
        [only] => return Ok(only.bytes.to_vec()),
        [] => {
            "give a .wasm file, or NAME or FAMILY/NAME of a default policy such as scaling/hybrid".to_owned()
        }
        several => {
            let full = several.iter().map(|policy| format!("{}/{}", policy.family, policy.name));
            format!("it could be {}", full.collect::<Vec<_>>().join(" or "))
        }
    };
    Err(NotFound { what: "one policy", name: given.to_owned(), hint }.into())
}
