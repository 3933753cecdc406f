//! Tools of languages: found, run, and missed with the command that installs them.
//!
//! Invariant: nothing is installed or downloaded here; a tool that is missing ends the command with what to type.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Folder with `node_modules`, `venv` and `rust` that projects share instead of having their own.
pub(super) const SHARED: &str = "PILOTHOUSE_TOOLS";
/// Lines of a failed tool that are shown.
const LINES_MAX: usize = 60;

/// Something is not installed.
#[derive(Debug, thiserror::Error)]
#[error("{tool} is missing; install it with `{install}`")]
pub(crate) struct MissingTool {
    /// What.
    pub(crate) tool: &'static str,
    /// The command.
    pub(crate) install: String,
}

/// The shared folder, if there is one.
pub(super) fn shared() -> Option<PathBuf> {
    std::env::var_os(SHARED).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Whether a program can be started by its name.
pub(super) fn is_in_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// A program from the PATH.
pub(super) fn in_path(program: &'static str, install: &str) -> anyhow::Result<Command> {
    if is_in_path(program) {
        return Ok(Command::new(program));
    }
    Err(MissingTool { tool: program, install: install.to_owned() }.into())
}

/// The Python of the shared environment or of the project's own.
pub(super) fn python(dir: &Path, module: &'static str) -> anyhow::Result<PathBuf> {
    let folder = shared().map_or_else(|| dir.join(".venv"), |shared| shared.join("venv"));
    let python = folder.join("bin/python");
    let has_module = python.is_file()
        && Command::new(&python)
            .args(["-c", &format!("import {module}")])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if has_module {
        return Ok(python);
    }
    let (venv, requirements) = (folder.display(), dir.join("requirements.txt"));
    let install = format!("python3 -m venv {venv} && {venv}/bin/pip install -r {}", requirements.display());
    Err(MissingTool { tool: module, install }.into())
}

/// The npm packages shared or of the project's own.
pub(super) fn node_modules(dir: &Path, package: &'static str) -> anyhow::Result<PathBuf> {
    let home = shared().unwrap_or_else(|| dir.to_owned());
    let folder = home.join("node_modules");
    if folder.join(package).is_dir() {
        return Ok(folder);
    }
    Err(MissingTool { tool: package, install: format!("npm --prefix {} ci", dir.display()) }.into())
}

/// Runs a command to its end, quietly unless it fails.
pub(super) fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = Path::new(command.get_program()).file_name().map(OsStr::to_string_lossy);
    let name = name.unwrap_or_default().into_owned();
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    let text = [done.stdout, done.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
    if done.status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default().join("\n");
    anyhow::bail!("{name} failed ({}):\n{last}", done.status)
}
