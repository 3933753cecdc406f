//! Starts the program: its own process group, nothing inherited but `PATH`, and its end if the member's process ends.
//!
//! Invariant: whatever is started carries a mark that was written to the work directory *before*, so a member that was killed finds
//! everything of its earlier life by [`kill_left_overs`], and the kernel kills the program itself at once. A dedicated thread
//! starts all of them, because "parent" means the thread to the kernel.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use pilothouse_core::workload::Process as Program;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::group::{self, Group, MARK};
use crate::driver::Launch;

/// The file in the work directory that names the mark of the newest start.
const MARK_FILE: &str = "run";
/// How often a free port is looked for.
const PORT_TRIES_MAX: usize = 64;

/// A program that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) group: Group,
}

/// Kills what earlier runs of this member left behind, given the work directories of all its workloads. To be called before the
/// member says that it is there. Returns how many processes that were.
#[must_use]
pub fn kill_left_overs<'a>(work_dirs: impl IntoIterator<Item = &'a Path>) -> usize {
    let marks = work_dirs.into_iter().filter_map(|dir| std::fs::read_to_string(dir.join(MARK_FILE)).ok());
    let marks: Vec<String> = marks.filter(|mark| !mark.is_empty()).collect();
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    if marks.is_empty() { 0 } else { group::kill_marked(&marks) }
}

/// Starts a program on a port.
pub(super) async fn start(program: &Program, launch: &Launch, port: u16) -> io::Result<Started> {
    let (name, arguments) = program.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mark = mark()?;
    std::fs::write(launch.work_dir.join(MARK_FILE), &mark)?;
    let mut command = Command::new(name);
    command.args(arguments).envs(environment(program, launch, port)).env(MARK, &mark);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(prepare(command, &launch.state_dir)).await?;
    let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let leader = leader.ok_or(io::ErrorKind::NotFound)?;
    Ok(Started { child, group: Group::new(leader, mark) })
}

/// A command that tries whether the workload is well; no output.
pub(super) async fn check(
    parts: &[String],
    program: &Program,
    launch: &Launch,
    port: u16,
) -> io::Result<Child> {
    let (name, arguments) = parts.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(name);
    command.args(arguments).envs(environment(program, launch, port));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    spawn(prepare(command, &launch.state_dir)).await
}

fn environment(program: &Program, launch: &Launch, port: u16) -> Vec<(OsString, OsString)> {
    let path = std::env::var_os("PATH").map(|path| ("PATH".into(), path));
    let own = program.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let ours: [(OsString, OsString); 4] = [
        ("PILOTHOUSE_WORKLOAD".into(), launch.workload.as_str().into()),
        ("PILOTHOUSE_STATE_DIR".into(), launch.state_dir.clone().into()),
        ("PILOTHOUSE_PORT".into(), port.to_string().into()),
        ("PILOTHOUSE_EPOCH".into(), launch.epoch.to_string().into()),
    ];
    path.into_iter().chain(own).chain(ours).collect()
}

fn prepare(mut command: Command, dir: &Path) -> Command {
    let set: Vec<(OsString, OsString)> = {
        let set = command.as_std().get_envs();
        set.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    };
    command.env_clear().envs(set);
    command.current_dir(dir).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let member = getpid();
    let dies_with_member = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The member may have died before the line above.
        if getppid() == Some(member) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    #[expect(
        unsafe_code,
        reason = "between fork and exec; both calls are plain system calls without allocation or locks"
    )]
    unsafe {
        command.pre_exec(dies_with_member)
    };
    command
}

type Request = (Command, tokio::runtime::Handle, oneshot::Sender<io::Result<Child>>);

/// Has the thread start it that lives as long as this process.
async fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, runtime, answer) in requests {
                let _guard = runtime.enter();
                // Whoever asked may have gone: the child is killed as it is dropped.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, started) = oneshot::channel();
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    starter.send((command, tokio::runtime::Handle::current(), answer)).map_err(|_| gone(()))?;
    started.await.map_err(|_| gone(()))?
}

fn mark() -> io::Result<String> {
    let mut random = [0; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(random.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

/// A port of loopback that was free a moment ago and that no other instance of this member has.
#[derive(Debug)]
pub(super) struct Port(u16);

static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

impl Port {
    pub(super) fn free() -> io::Result<Self> {
        let mut taken = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept open until one is found, so that each try gives another.
        let mut tried = Vec::new();
        for _ in 0..PORT_TRIES_MAX {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            let port = listener.local_addr()?.port();
            if taken.insert(port) {
                return Ok(Self(port));
            }
            tried.push(listener);
        }
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    pub(super) const fn number(&self) -> u16 {
        self.0
    }

    /// Whether somebody listens there, of whom nothing is known.
    pub(super) fn is_taken(&self) -> bool {
        TcpListener::bind(("127.0.0.1", self.0)).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        PORTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
