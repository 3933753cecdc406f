//! `policy new|build|test|bench|dev`: what authors of policies do, in every language.
//!
//! [`new`] -> a [`project`] -> [`build`] with the language's [`tools`] -> component -> [`engine`] -> [`test`], [`bench`], [`dev`]
//!
//! Invariant: no command here needs a server, except that `dev` loads into one.

mod bench;
mod build;
mod dev;
mod embedded;
mod engine;
mod measure;
mod new;
mod project;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilothouse_engine::LoadedPolicy;
use serde_json::{Value, json};

use crate::args::author::{BenchArgs, BuildArgs, DevArgs, NewArgs};
use crate::client::Client;
use crate::output::Report;
use project::Project;

/// Folder of compiled code beside a built component.
const CODE: &str = "code";

pub(crate) use project::Language;
pub(crate) use tools::MissingTool;

pub(super) fn new(args: NewArgs) -> anyhow::Result<Report> {
    new::run(args)
}

pub(super) fn build(args: &BuildArgs) -> anyhow::Result<Report> {
    let project = Project::open(&args.dir)?;
    let built = build::build(&project, args.release)?;
    Ok(build::report(&project, &built))
}

pub(super) fn test(args: &BuildArgs) -> anyhow::Result<Report> {
    test::run(&Project::open(&args.dir)?, args.release)
}

pub(super) fn bench(args: &BenchArgs) -> anyhow::Result<Report> {
    bench::run(args)
}

pub(super) fn dev(args: &DevArgs, client: &Client) -> anyhow::Result<()> {
    dev::run(args, client)
}

/// What a decision on a small fleet takes; a problem where it fails even with all that a server can give.
pub(super) fn needs(loaded: LoadedPolicy) -> Value {
    match measure::one(&Arc::new(loaded), measure::SIZES[0]) {
        Ok(taken) => json!(taken),
        Err(error) => json!({ "problem": format!("{error:#}") }),
    }
}

/// Loads a file as a server would; whether it needs the wider bounds. What `policy build` compiled is not compiled again.
pub(super) fn load(file: &Path, bytes: &[u8]) -> anyhow::Result<(LoadedPolicy, bool)> {
    let code = file.with_file_name(CODE);
    let engine::Engine { loaded, is_large, .. } =
        engine::load(bytes, Some(&code).filter(|dir| dir.is_dir()).map(PathBuf::as_path))?;
    Ok((loaded, is_large))
}
