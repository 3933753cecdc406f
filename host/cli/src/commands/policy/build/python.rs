//! Python: componentize-py puts the sources and CPython into one component, without WASI.

use std::process::Command;

use anyhow::Context as _;

use super::component::Made;
use super::tools;
use crate::commands::policy::project::Project;

pub(super) fn component(project: &Project) -> anyhow::Result<(Vec<u8>, Made)> {
    let python = tools::python(&project.dir, "componentize_py")?;
    let program = python.with_file_name("componentize-py");
    about(project)?;
    let component = project.target().join("component.wasm");
    let mut componentize = Command::new(program);
    componentize.current_dir(&project.dir).args([
        "--quiet",
        "-d",
        "wit",
        "-w",
        "policy",
        "componentize",
        "--stub-wasi",
    ]);
    for folder in ["src", "vendor", "target/python"] {
        componentize.args(["-p", folder]);
    }
    componentize.arg("component").arg("-o").arg(&component);
    tools::run(&mut componentize)?;
    let bytes = std::fs::read(&component).with_context(|| format!("cannot read {}", component.display()))?;
    Ok((bytes, ("Python", "3.14".to_owned())))
}

pub(super) fn tests(project: &Project) -> anyhow::Result<String> {
    about(project)?;
    let mut python = tools::in_path("python3", "apt-get install python3 python3-venv")?;
    let paths = ["src", "vendor", "target/python"].map(|folder| project.dir.join(folder));
    let paths = std::env::join_paths(paths).context("the folder's name has a colon")?;
    python.current_dir(&project.dir).env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
    tools::run(python.args(["-m", "unittest", "discover", "-s", "tests"]))
}

/// What `pilothouse.toml` says, as a module that the policy imports.
fn about(project: &Project) -> anyhow::Result<()> {
    let folder = project.target().join("python");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text = format!("NAME = {:?}\nVERSION = {:?}\n", project.name, project.version);
    let path = folder.join("project_about.py");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
