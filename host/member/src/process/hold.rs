//! Checkpoints and pauses: the state is on disk, and nothing moves.
//!
//! Invariant: a pause that fails leaves the process running and open for calls, as before.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pilothouse_core::workload::Hook;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use super::group::{Group, all_stopped};
use super::instance::CALLS_MAX;
use super::task::{DRAIN_MS_MAX, Running, Task};
use crate::driver::DriverError;

/// The file that a process makes when it has written its state after a signal.
const CHECKPOINT_FILE: &str = "checkpoint";
/// How long all threads may take to stand still.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks; the shortest that timers know.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// How often processes that left the group are looked for again, because they may fork meanwhile.
const LOOKS_MAX: usize = 16;

/// Has the process write its state, if it has to be told.
pub(super) async fn checkpoint(task: &mut Task) -> Result<(), DriverError> {
    let Some(checkpoint) = task.shared.program.checkpoint.clone() else { return Ok(()) };
    // What has ended has written what it will ever write.
    let Some(running) = &mut task.running else { return Ok(()) };
    let patience = Duration::from_millis(checkpoint.timeout_ms);
    match &checkpoint.hook {
        Hook::Http { path } => {
            let answer = task.shared.http.post(running.port.number(), path, Vec::new(), patience).await?;
            if (200..300).contains(&answer.status) {
                return Ok(());
            }
            Err(DriverError::Failed(format!("its checkpoint answered with status {}", answer.status)))
        }
        Hook::Signal(name) => {
            let written = signal_and_wait(running, name, &task.shared.launch.state_dir);
            timeout(patience, written).await.unwrap_or(Err(DriverError::TimedOut(patience)))
        }
    }
}

async fn signal_and_wait(running: &mut Running, name: &str, state_dir: &Path) -> Result<(), DriverError> {
    let signal = match name {
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "HUP" => Signal::HUP,
        _ => return Err(DriverError::Unusable(format!("no signal `{name}`"))),
    };
    let file = state_dir.join(CHECKPOINT_FILE);
    let stamp = || {
        let metadata = std::fs::metadata(&file).ok()?;
        Some((
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ))
    };
    // A file that is there would hide a new one with the same time.
    if std::fs::remove_file(&file).is_err() && stamp().is_some() {
        return Err(DriverError::Unusable(format!("`{CHECKPOINT_FILE}` in its state directory is no file")));
    }
    let failed = |error: rustix::io::Errno| DriverError::Failed(format!("cannot signal it: {error}"));
    kill_process(running.group.leader(), signal).map_err(failed)?;
    while stamp().is_none() {
        if let Ok(Some(_)) = running.child.try_wait() {
            return Err(DriverError::Failed(format!("it ended at SIG{name} instead of writing its state")));
        }
        sleep(LOOK_PAUSE).await;
    }
    Ok(())
}

/// Closes the door, waits for calls, has the state written, holds every process.
pub(super) async fn pause(task: &mut Task) -> Result<(), DriverError> {
    if task.held.is_some() {
        return Ok(());
    }
    let shared = std::sync::Arc::clone(&task.shared);
    shared.closed.store(true, Ordering::Release);
    let patience = Duration::from_millis(DRAIN_MS_MAX);
    let result = match timeout(patience, shared.permits.acquire_many(CALLS_MAX)).await {
        Ok(Ok(permits)) => {
            let held = async {
                checkpoint(task).await?;
                let Some(running) = &task.running else { return Ok(Vec::new()) };
                stop_all(running.group.clone()).await
            };
            let held = held.await;
            if held.is_ok() {
                permits.forget();
            }
            held
        }
        Ok(Err(_)) => Err(DriverError::NotServing),
        Err(_) => Err(DriverError::TimedOut(patience)),
    };
    match result {
        Ok(held) => {
            task.held = Some(held);
            Ok(())
        }
        Err(error) => {
            shared.closed.store(false, Ordering::Release);
            Err(error)
        }
    }
}

/// Everything goes on.
pub(super) fn resume(task: &mut Task) {
    let Some(held) = task.held.take() else { return };
    if let Some(running) = &task.running {
        running.group.signal(Signal::CONT);
        Group::signal_each(&held, Signal::CONT);
    }
    task.shared.permits.add_permits(CALLS_MAX as usize);
    task.shared.closed.store(false, Ordering::Release);
}

async fn stop_all(group: Group) -> Result<Vec<Pid>, DriverError> {
    let group = &group;
    group.signal(Signal::STOP);
    let mut pids = members(group).await;
    for _ in 0..LOOKS_MAX {
        if pids.iter().all(|(_, inside)| *inside) {
            break;
        }
        let known = pids.len();
        Group::signal_each(&pids.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), Signal::STOP);
        pids = members(group).await;
        if pids.len() == known {
            break;
        }
    }
    let pids: Vec<Pid> = pids.into_iter().map(|(pid, _)| pid).collect();
    let still = async {
        while !all_stopped(&pids) {
            // Most stand still before they are looked at.
            tokio::task::yield_now().await;
            if !all_stopped(&pids) {
                sleep(LOOK_PAUSE).await;
            }
        }
    };
    if timeout(STOP_PATIENCE, still).await.is_err() {
        group.signal(Signal::CONT);
        Group::signal_each(&pids, Signal::CONT);
        return Err(DriverError::TimedOut(STOP_PATIENCE));
    }
    Ok(pids)
}

/// A look at all processes of the machine, which takes a while.
pub(super) async fn members(group: &Group) -> Vec<(Pid, bool)> {
    let group = group.clone();
    tokio::task::spawn_blocking(move || group.members()).await.unwrap_or_default()
}
