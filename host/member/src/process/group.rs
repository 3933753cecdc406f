//! All processes of one instance: its process group, and whoever left the group but carries its mark.
//!
//! Invariant: a signal goes only to processes of that group or with that mark in their environment, as read just before. A process that
//! leaves the group *and* forgets its environment is out of reach; only a container would hold it.

use std::io;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The variable that marks all processes of one start.
pub(super) const MARK: &str = "PILOTHOUSE_RUN";

/// The processes of one start.
#[derive(Debug, Clone)]
pub(super) struct Group {
    leader: Pid,
    mark: String,
}

/// A process, as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    group: i32,
    state: u8,
}

impl Process {
    const fn is_dead(self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    const fn is_stopped(self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

impl Group {
    pub(super) const fn new(leader: Pid, mark: String) -> Self {
        Self { leader, mark }
    }

    pub(super) const fn leader(&self) -> Pid {
        self.leader
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Signals the group, at once.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.leader, signal);
    }

    /// Those that live, and whether they are in the group. Takes a look at every process of the machine.
    pub(super) fn members(&self) -> Vec<(Pid, bool)> {
        let own = self.leader.as_raw_nonzero().get();
        let living = processes().filter(|process| !process.is_dead());
        let member = |process: Process| {
            let inside = process.group == own;
            (inside || has_mark(process.pid, &[&self.mark])).then_some((process.pid, inside))
        };
        living.filter_map(member).collect()
    }

    /// Signals those that were found by [`Self::members`] and left the group.
    pub(super) fn signal_each(pids: &[Pid], signal: Signal) {
        for pid in pids {
            let _ = kill_process(*pid, signal);
        }
    }
}

/// Kills whatever carries one of these marks.
pub(super) fn kill_marked(marks: &[&str]) -> usize {
    let own = rustix::process::getpid();
    let marked = processes()
        .filter(|process| process.pid != own && !process.is_dead() && has_mark(process.pid, marks));
    let marked: Vec<Pid> = marked.map(|process| process.pid).collect();
    Group::signal_each(&marked, Signal::KILL);
    marked.len()
}

/// Whether every thread of these processes stands still or has ended. One that waits uninterruptibly for a child that stands
/// still (`vfork` returns when the child has begun its program) cannot go on before that one does.
pub(super) fn all_stopped(pids: &[Pid]) -> bool {
    let stopped: Vec<Process> =
        pids.iter().filter_map(|pid| look(*pid)).filter(|it| it.is_stopped()).collect();
    let waits_for_child = |pid: Pid| stopped.iter().any(|child| child.parent == pid.as_raw_nonzero().get());
    pids.iter().all(|pid| {
        let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
        threads.into_iter().flatten().flatten().all(|thread| {
            std::fs::read(thread.path().join("stat")).ok().and_then(|stat| parse(*pid, &stat)).is_none_or(
                |thread| {
                    let waits = thread.state == b'D' && waits_for_child(*pid);
                    waits || thread.is_stopped() || thread.is_dead()
                },
            )
        })
    })
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        look(pid)
    })
}

fn look(pid: Pid) -> Option<Process> {
    parse(pid, &std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// `pid (name) state parent group …`; the name may contain anything.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(behind + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, group, state })
}

fn has_mark(pid: Pid, marks: &[&str]) -> bool {
    let environment: io::Result<Vec<u8>> =
        std::fs::read(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("environ"));
    let Ok(environment) = environment else { return false };
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| {
        let value = variable.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| marks.iter().any(|mark| mark.as_bytes() == value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_state_does_not_confuse() {
        let pid = Pid::from_raw(7).unwrap();
        let read = |stat: &str| parse(pid, stat.as_bytes()).map(|process| (process.state, process.group));
        assert_eq!(parse(pid, b"7 (a b) D 1 7 7 0").map(|process| process.parent), Some(1));
        assert_eq!(read("7 (a) R 1) Z 1 7 7 0"), Some((b'Z', 7)));
        assert_eq!(read("7 (sh) T 1 42 7 0 -1"), Some((b'T', 42)));
        for stat in ["", "7 (sh", "7 (sh)", "7 (sh) R", "7 (sh) R 1 x"] {
            assert_eq!(read(stat), None, "{stat}");
        }
    }
}
