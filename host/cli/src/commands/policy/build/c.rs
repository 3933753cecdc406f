//! C: bindings from `wit/`, then Zig's or Debian's clang with wasi-libc, as a reactor that imports no WASI.
//!
//! src/*.c, vendor/*.c + `wit-bindgen`'s C -> core module -> component
//!
//! Invariant: tests are compiled for this machine without `vendor/component.c`, the only file that knows the bindings.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use wit_parser::Resolve;

use super::component::{Made, encode};
use super::tools::{self, MissingTool};
use crate::commands::policy::project::Project;

/// wasi-libc as Debian packages it.
const WASI_LIBC: &str = "/usr/include/wasm32-wasi";
/// Zig's own default is 16 MiB, all that a policy may have.
const STACK: &str = "-Wl,-z,stack-size=65536";
/// The only file that knows the bindings.
const GLUE: &str = "component.c";

pub(super) fn component(project: &Project, release: bool) -> anyhow::Result<(Vec<u8>, Made)> {
    let bindings = project.target().join("bindings");
    generate(project, &bindings)?;
    let module = project.target().join("module.wasm");
    let mut compiler = compiler(project)?;
    let version = version(project)?;
    compiler.arg("--target=wasm32-wasi").args(["-mexec-model=reactor", STACK, "-o"]).arg(&module);
    compiler.args(if release { ["-O3", "-Wl,--strip-all", "-DNDEBUG"] } else { ["-O1", "-g0", "-Wall"] });
    include(&mut compiler, project).arg("-I").arg(&bindings);
    for folder in ["src", "vendor"] {
        compiler.args(sources(&project.dir.join(folder))?);
    }
    compiler.arg(bindings.join("policy.c")).arg(bindings.join("policy_component_type.o"));
    tools::run(&mut compiler)?;
    Ok((encode(&module)?, ("C", version)))
}

pub(super) fn tests(project: &Project) -> anyhow::Result<String> {
    let program = project.target().join("tests");
    std::fs::create_dir_all(project.target())?;
    let mut compiler = compiler(project)?;
    compiler.args(["-O1", "-g", "-Wall", "-Wextra", "-o"]).arg(&program);
    include(&mut compiler, project);
    for folder in ["src", "tests"] {
        compiler.args(sources(&project.dir.join(folder))?);
    }
    let vendored = sources(&project.dir.join("vendor"))?;
    compiler.args(vendored.into_iter().filter(|path| !path.ends_with(GLUE))).arg("-lm");
    tools::run(&mut compiler)?;
    tools::run(&mut Command::new(program))
}

fn include<'a>(compiler: &'a mut Command, project: &Project) -> &'a mut Command {
    let define = |name: &str, value: &str| format!("-D{name}=\"{value}\"");
    compiler.arg("-I").arg(project.dir.join("vendor")).args([
        "-std=c11".to_owned(),
        define("POLICY_NAME", &project.name),
        define("POLICY_VERSION", &project.version),
    ])
}

/// Zig from the Python environment or the PATH, else clang with Debian's wasi-libc.
fn compiler(project: &Project) -> anyhow::Result<Command> {
    if let Ok(python) = tools::python(&project.dir, "ziglang") {
        let mut zig = Command::new(python);
        zig.args(["-m", "ziglang", "cc"]);
        return Ok(zig);
    }
    if tools::is_in_path("zig") {
        let mut zig = Command::new("zig");
        zig.arg("cc");
        return Ok(zig);
    }
    if tools::is_in_path("clang") && Path::new(WASI_LIBC).is_dir() {
        return Ok(Command::new("clang"));
    }
    let MissingTool { install, .. } = match tools::python(&project.dir, "ziglang") {
        Err(error) => error.downcast::<MissingTool>()?,
        Ok(_) => anyhow::bail!("the compiler of Zig came and went"),
    };
    let debian = "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32";
    Err(MissingTool { tool: "a C compiler for WebAssembly", install: format!("{install}` or `{debian}") }
        .into())
}

fn version(project: &Project) -> anyhow::Result<String> {
    let said = tools::run(compiler(project)?.arg("--version"))?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    found.sort();
    Ok(found)
}

/// Writes the bindings and the object that tells the linker's output which world it implements.
fn generate(project: &Project, folder: &Path) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(project.dir.join("wit")).context("wit/ is not as it was made")?;
    let world = resolve.select_world(&[package], Some("policy"))?;
    let mut files = wit_bindgen_core::Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, content) in files.iter() {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
