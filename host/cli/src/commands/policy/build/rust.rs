//! Rust: cargo for `wasm32-unknown-unknown`, then componentized. No WASI anywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::component::{Made, encode};
use super::tools::{self, MissingTool};
use crate::commands::policy::project::Project;

const TARGET: &str = "wasm32-unknown-unknown";
const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";
/// What another build around this one must not leak into it.
const CLEARED: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTUP_TOOLCHAIN",
];

pub(super) fn component(project: &Project, release: bool) -> anyhow::Result<(Vec<u8>, Made)> {
    let version = rustc(project)?;
    let mut cargo = cargo(project, "build")?;
    cargo.args(["--target", TARGET]).args(release.then_some("--release"));
    let remap = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned(), remap(&project.dir, &project.name)];
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        flags.push(remap(Path::new(&home), "cargo"));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    tools::run(&mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    let file = format!("{}.wasm", project.name.replace('-', "_"));
    let module = target_dir(project).join(TARGET).join(profile).join(file);
    Ok((encode(&module)?, ("Rust", version)))
}

pub(super) fn tests(project: &Project) -> anyhow::Result<String> {
    tools::run(&mut cargo(project, "test")?)
}

fn target_dir(project: &Project) -> PathBuf {
    tools::shared().map_or_else(|| project.target(), |shared| shared.join("rust"))
}

fn cargo(project: &Project, what: &str) -> anyhow::Result<Command> {
    let mut cargo = tools::in_path("cargo", RUSTUP)?;
    for name in CLEARED {
        cargo.env_remove(name);
    }
    cargo.current_dir(&project.dir).arg(what).arg("--target-dir").arg(target_dir(project));
    Ok(cargo)
}

/// The compiler's version, once it is known that it has the target.
fn rustc(project: &Project) -> anyhow::Result<String> {
    let rustc = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut rustc = tools::in_path("rustc", RUSTUP)?;
        tools::run(rustc.env_remove("RUSTUP_TOOLCHAIN").current_dir(&project.dir).args(arguments))
    };
    let folder = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    if folder.lines().any(|line| Path::new(line.trim()).is_dir()) {
        return Ok(rustc(&["--version"])?.split_whitespace().nth(1).unwrap_or_default().to_owned());
    }
    let install = format!("rustup target add {TARGET}");
    Err(MissingTool { tool: "the Rust target wasm32-unknown-unknown", install }.into())
}
