//! Compiling within bounds: in a child process that can be killed, or in this one where that is safe.
//!
//! bytes -> child's stdin -> precompiled code on its stdout | [`LoadError::Compile`] with the reason
//!
//! Invariant: one compile at a time per host, and it ends within half as much again as its [`Bounds`] allow in CPU time,
//! whatever the component is. The bytes
//! have passed the pre-check before they come here.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::precheck::{Bounds, LoadError};
use crate::runtime;

/// Tells the child that [`Bounds::LARGE`] are in force.
const LARGE: &str = "PILOTHOUSE_LARGE_COMPONENTS";
/// Address space of a compile, bytes. Twice what honest policies need with all threads of the compiler.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Largest result, bytes: code is some ten times the component.
const CODE_BYTES_MAX: u64 = 256 << 20;

/// How to compile.
#[derive(Debug)]
pub struct Compiler {
    way: Way,
    one_at_a_time: Mutex<()>,
}

#[derive(Debug)]
enum Way {
    Child { program: PathBuf, arguments: Vec<String> },
    Here,
}

impl Compiler {
    /// In a child: `program arguments…` must call [`compile_child_main`].
    #[must_use]
    pub fn child(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { way: Way::Child { program, arguments }, one_at_a_time: Mutex::new(()) }
    }

    /// In this process, without a bound in time: for tests, benches and the lab.
    #[must_use]
    pub fn here() -> Self {
        Self { way: Way::Here, one_at_a_time: Mutex::new(()) }
    }

    /// Compiles a component to what this host's engine maps.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        bounds: Bounds,
    ) -> Result<Vec<u8>, LoadError> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.way {
            Way::Here => engine.precompile_component(bytes).map_err(|error| failed(format!("{error:#}"))),
            Way::Child { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments).env_clear();
                if bounds == Bounds::LARGE {
                    command.env(LARGE, "1");
                }
                in_child(command, bytes, bounds)
            }
        }
    }
}

fn failed(problem: impl Into<String>) -> LoadError {
    let problem: String = problem.into();
    LoadError::Compile { problem: problem.chars().take(400).collect() }
}

fn in_child(mut command: Command, bytes: &[u8], bounds: Bounds) -> Result<Vec<u8>, LoadError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot start the compiler: {error}")))?;
    let outcome = exchange(&mut child, bytes, bounds.compile_cpu_s * 3 / 2);
    // Killing a child that has ended does nothing; waiting frees it in any case.
    let _ = child.kill();
    let status = child.wait().map_err(|error| failed(format!("cannot wait for the compiler: {error}")))?;
    let (code, complaint) = outcome?;
    if status.success() {
        return Ok(code);
    }
    let complaint = String::from_utf8_lossy(&complaint).trim().escape_debug().to_string();
    if complaint.is_empty() {
        return Err(failed(format!(
            "the compiler died ({status}), probably at its limit of {} s CPU or 4 GiB",
            bounds.compile_cpu_s
        )));
    }
    Err(failed(complaint))
}

/// Feeds the child and reads its answer, for so long at most.
fn exchange(child: &mut Child, bytes: &[u8], wall_s: u64) -> Result<(Vec<u8>, Vec<u8>), LoadError> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("the compiler has no pipes"));
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A child that refuses early closes its end; its complaint says more than our broken pipe.
            let _ = stdin.write_all(bytes);
        });
        let errors = scope.spawn(move || {
            let mut complaint = Vec::new();
            let _ = stderr.take(4 << 10).read_to_end(&mut complaint);
            complaint
        });
        scope.spawn(move || {
            let mut code = Vec::new();
            let read = stdout.take(CODE_BYTES_MAX).read_to_end(&mut code);
            let _ = sender.send(read.map(|_| code));
        });
        match receiver.recv_timeout(Duration::from_secs(wall_s)) {
            Ok(Ok(code)) => Ok((code, errors.join().unwrap_or_default())),
            Ok(Err(error)) => Err(failed(format!("cannot read from the compiler: {error}"))),
            Err(_) => {
                let _ = child.kill();
                Err(failed(format!("it took longer than {wall_s} s")))
            }
        }
    })
}

/// The child's side: component on stdin, code on stdout, limits set before a byte is read.
#[must_use]
pub fn compile_child_main() -> ExitCode {
    match child_work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn child_work() -> Result<(), String> {
    let limit = |resource, most| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| error.to_string())
    };
    let bounds = if std::env::var_os(LARGE).is_some() { Bounds::LARGE } else { Bounds::STANDARD };
    limit(Resource::Cpu, bounds.compile_cpu_s)?;
    limit(Resource::As, ADDRESS_SPACE_BYTES)?;
    limit(Resource::Core, 0)?;
    let mut bytes = Vec::new();
    let most = bounds.component_bytes as u64 + 1;
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let engine = runtime::engine().map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&bytes).map_err(|error| format!("{error:#}"))?;
    std::io::stdout().write_all(&code).map_err(|error| error.to_string())
}
