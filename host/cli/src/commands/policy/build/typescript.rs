//! TypeScript and JavaScript: esbuild bundles, componentize-qjs puts the bundle on QuickJS, synchronous and without WASI.

use std::process::Command;

use anyhow::Context as _;

use super::component::Made;
use super::{tools, words};
use crate::commands::policy::project::Project;

const NODE: &str = "apt-get install nodejs npm";

pub(super) fn component(project: &Project, release: bool) -> anyhow::Result<(Vec<u8>, Made)> {
    let bundle = project.target().join("policy.js");
    let mut esbuild = bundler(project)?;
    // What the host offers stays an import, for the engine to resolve.
    esbuild.args(["src/component.ts", "--external:pilothouse:*"]).args(release.then_some("--minify-syntax"));
    esbuild.arg(format!("--outfile={}", bundle.display()));
    tools::run(&mut esbuild)?;
    let component = project.target().join("component.wasm");
    let contract = project.target().join("wit");
    words::contract(&project.dir.join("wit"), &contract)?;
    let modules = tools::node_modules(&project.dir, "componentize-qjs")?;
    let mut qjs = Command::new(modules.join(".bin/componentize-qjs"));
    // Without --sync it would need asynchronous components, which no server takes.
    qjs.current_dir(&project.dir).args(["--sync", "--stub-wasi", "--world", "policy", "--wit"]);
    qjs.arg(&contract).arg("--js").arg(&bundle).arg("--output").arg(&component);
    tools::run(&mut qjs)?;
    let bytes = std::fs::read(&component).with_context(|| format!("cannot read {}", component.display()))?;
    Ok((words::declare(bytes)?, ("JavaScript", "ES2023".to_owned())))
}

pub(super) fn tests(project: &Project) -> anyhow::Result<String> {
    let modules = tools::node_modules(&project.dir, "typescript")?;
    let mut types = Command::new(modules.join(".bin/tsc"));
    tools::run(types.current_dir(&project.dir).args(["--noEmit", "--project", "."]))?;
    let bundle = project.target().join("tests.mjs");
    let mut esbuild = bundler(project)?;
    esbuild.args(["tests/policy.test.ts", "--platform=node"]).arg(format!("--outfile={}", bundle.display()));
    tools::run(&mut esbuild)?;
    tools::run(tools::in_path("node", NODE)?.arg("--test").arg(&bundle))
}

fn bundler(project: &Project) -> anyhow::Result<Command> {
    tools::in_path("node", NODE)?;
    let modules = tools::node_modules(&project.dir, "esbuild")?;
    let mut esbuild = Command::new(modules.join(".bin/esbuild"));
    let define = |name: &str, value: &str| format!("--define:{name}=\"{value}\"");
    esbuild.current_dir(&project.dir).args([
        "--bundle",
        "--format=esm",
        "--target=es2023",
        "--log-level=warning",
    ]);
    esbuild.args([define("POLICY_NAME", &project.name), define("POLICY_VERSION", &project.version)]);
    Ok(esbuild)
}
