//! The task of one instance: starts, watches, restarts, pauses and ends its process.
//!
//! Invariant: this task alone touches the process. When it ends, however it ends, the process and what it forked are gone.

use std::future::{Future, pending};
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pilothouse_core::time::Now;
use pilothouse_core::workload::{HealthCheck, Probe};
use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::group::{Group, kill_marked};
use super::instance::Shared;
use super::restart::{Action, Event, Machine};
use super::spawn::{self, Port};
use super::{hold, logs};
use crate::driver::{DriverError, State, Stream};

/// How long a start waits for the first successful check, ms.
pub const START_MS_MAX: u64 = 60_000;
/// How long a pause waits for calls that are under way, ms.
pub const DRAIN_MS_MAX: u64 = 5_000;
/// Another process may take the port before the program does.
const START_TRIES_MAX: u32 = 3;
/// Between checks before the first success.
const START_PAUSE: Duration = Duration::from_millis(5);
/// Between looks at whether the rest of the group has ended.
const REST_PAUSE: Duration = Duration::from_millis(10);
/// How long the end of the output is waited for.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(200);
/// Longest text about the state, bytes.
const DETAIL_BYTES_MAX: usize = 256;

/// What the handle wants.
#[derive(Debug)]
pub(super) enum Order {
    Checkpoint(oneshot::Sender<Result<(), DriverError>>),
    Pause(oneshot::Sender<Result<(), DriverError>>),
    Resume(oneshot::Sender<Result<(), DriverError>>),
    Stop(oneshot::Sender<()>),
}

/// A process that runs, or has ended and was not noticed yet.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) port: Port,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
        kill_marked(&[self.group.mark()]);
    }
}

type Check = Pin<Box<dyn Future<Output = bool> + Send>>;

pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) running: Option<Running>,
    /// Processes that stand still; `Some` = paused.
    pub(super) held: Option<Vec<Pid>>,
    machine: Machine,
    begun: Instant,
    check: Option<Check>,
    followers: JoinSet<()>,
}

impl Task {
    /// Starts the process for the first time, and waits until it is well.
    pub(super) async fn start(shared: Arc<Shared>) -> Result<Self, DriverError> {
        let health = shared.program.health.as_ref();
        let machine =
            Machine::new(shared.launch.spec.restart, health.map_or(0, |health| health.failures_max));
        let (begun, followers) = (Instant::now(), JoinSet::new());
        let mut task = Self { shared, running: None, held: None, machine, begun, check: None, followers };
        for attempt in 1.. {
            task.spawn().await?;
            let status = match timeout(Duration::from_millis(START_MS_MAX), task.until_well()).await {
                Ok(None) => break,
                Ok(Some(status)) => status,
                Err(_) => {
                    return Err(DriverError::Failed(format!("it was not well within {START_MS_MAX} ms")));
                }
            };
            let port_taken = task.running.take().is_some_and(|running| running.port.is_taken());
            if !port_taken || attempt >= START_TRIES_MAX {
                task.end_output().await;
                let last = task.shared.log.last().map_or_else(String::new, |line| format!(": {line}"));
                return Err(DriverError::Failed(cut(format!("{} before it was well{last}", said(status)))));
            }
        }
        task.machine.step(Event::Started, task.now());
        if task.shared.program.health.is_some() {
            task.machine.step(Event::Checked { well: true }, task.now());
        }
        task.publish(String::new());
        task.plan_check();
        Ok(task)
    }

    async fn spawn(&mut self) -> Result<(), DriverError> {
        let port = Port::free().map_err(|error| DriverError::Failed(format!("no free port: {error}")))?;
        let Shared { program, launch, log, .. } = &*self.shared;
        let started = spawn::start(program, launch, port.number()).await.map_err(|error| {
            let text =
                cut(format!("cannot start `{}`: {error}", program.command.first().map_or("", |name| name)));
            match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                    DriverError::Unusable(text)
                }
                _ => DriverError::Failed(text),
            }
        })?;
        let mut running = Running { child: started.child, group: started.group, port };
        while self.followers.try_join_next().is_some() {}
        if let Some(stdout) = running.child.stdout.take() {
            self.followers.spawn(logs::follow(stdout, Stream::Stdout, Arc::clone(log)));
        }
        if let Some(stderr) = running.child.stderr.take() {
            self.followers.spawn(logs::follow(stderr, Stream::Stderr, Arc::clone(log)));
        }
        self.shared.port.store(running.port.number(), Ordering::Release);
        self.running = Some(running);
        Ok(())
    }

    /// Waits for the first success of the check; `Some` = it ended first.
    async fn until_well(&mut self) -> Option<ExitStatus> {
        let health = self.shared.program.health.clone()?;
        let checks = async {
            while !check_once(Arc::clone(&self.shared), health.clone()).await {
                sleep(START_PAUSE).await;
            }
        };
        tokio::select! {
            status = ended(&mut self.running) => Some(status),
            () = checks => None,
        }
    }

    /// Until it is stopped or its handle is gone.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let due = self.machine.due().filter(|_| self.held.is_none()).map(|due| self.at(due));
            tokio::select! {
                status = ended(&mut self.running) => self.exited(status).await,
                well = next(&mut self.check) => self.checked(well),
                () = until(due) => self.tick().await,
                order = orders.recv() => match order {
                    Some(Order::Checkpoint(answer)) => drop(answer.send(hold::checkpoint(&mut self).await)),
                    Some(Order::Pause(answer)) => {
                        self.check = None;
                        let paused = hold::pause(&mut self).await;
                        if paused.is_err() {
                            self.plan_check();
                        }
                        let _ = answer.send(paused);
                    }
                    Some(Order::Resume(answer)) => {
                        hold::resume(&mut self);
                        self.plan_check();
                        let _ = answer.send(Ok(()));
                    }
                    Some(Order::Stop(answer)) => {
                        self.stop().await;
                        let _ = answer.send(());
                        return;
                    }
                    None => return,
                },
            }
        }
    }

    async fn exited(&mut self, status: ExitStatus) {
        // What it forked ends with it.
        self.running = None;
        self.check = None;
        self.end_output().await;
        self.machine.step(Event::Exited { success: status.success() }, self.now());
        self.publish(said(status));
    }

    fn checked(&mut self, well: bool) {
        self.check = None;
        self.machine.step(Event::Checked { well }, self.now());
        self.publish(if well { String::new() } else { "its check fails".into() });
        self.plan_check();
    }

    async fn tick(&mut self) {
        if self.machine.step(Event::Tick, self.now()) != Action::Start {
            return;
        }
        match self.spawn().await {
            Ok(()) => {
                self.machine.step(Event::Started, self.now());
                self.publish(String::new());
                self.plan_check();
            }
            Err(error) => {
                self.machine.step(Event::Exited { success: false }, self.now());
                self.publish(error.to_string());
            }
        }
    }

    /// Ends it gently within its grace, then by force.
    async fn stop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let grace = Duration::from_millis(self.shared.launch.spec.stop_grace_ms);
        if let Some(mut running) = self.running.take() {
            running.group.signal(Signal::TERM);
            // What stands still takes the signal when it goes on.
            running.group.signal(Signal::CONT);
            Group::signal_each(&self.held.take().unwrap_or_default(), Signal::CONT);
            let gentle = async {
                let _ = running.child.wait().await;
                while !hold::members(&running.group).await.is_empty() {
                    sleep(REST_PAUSE).await;
                }
            };
            let _ = timeout(grace, gentle).await;
            running.group.signal(Signal::KILL);
            kill_marked(&[running.group.mark()]);
            let _ = running.child.wait().await;
        }
        self.end_output().await;
        self.machine.step(Event::Stop, self.now());
        self.publish("stopped".into());
    }

    async fn end_output(&mut self) {
        let ends = async { while self.followers.join_next().await.is_some() {} };
        let _ = timeout(OUTPUT_PATIENCE, ends).await;
    }

    fn plan_check(&mut self) {
        let Some(health) = self.shared.program.health.clone().filter(|_| self.running.is_some()) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        self.check = Some(Box::pin(async move {
            sleep(Duration::from_millis(health.interval_ms)).await;
            check_once(shared, health).await
        }));
    }

    fn publish(&self, detail: String) {
        let state = State {
            condition: self.machine.condition(),
            detail: cut(detail),
            restarts: self.machine.restarts(),
        };
        self.shared.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    fn now(&self) -> Now {
        Now(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn at(&self, now: Now) -> Instant {
        self.begun + Duration::from_millis(now.0)
    }
}

async fn ended(running: &mut Option<Running>) -> ExitStatus {
    match running {
        Some(running) => running.child.wait().await.unwrap_or_default(),
        None => pending().await,
    }
}

async fn next(check: &mut Option<Check>) -> bool {
    match check {
        Some(check) => check.await,
        None => pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn check_once(shared: Arc<Shared>, health: HealthCheck) -> bool {
    let port = shared.port.load(Ordering::Acquire);
    let probe = async {
        match &health.probe {
            Probe::Http { path } => shared.http.is_well(port, path).await,
            Probe::Tcp => tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok(),
            Probe::Command(parts) => match spawn::check(parts, &shared.program, &shared.launch, port).await {
                Ok(mut child) => child.wait().await.is_ok_and(|status| status.success()),
                Err(_) => false,
            },
        }
    };
    timeout(Duration::from_millis(health.timeout_ms), probe).await.unwrap_or(false)
}

fn said(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(DETAIL_BYTES_MAX));
    text
}
