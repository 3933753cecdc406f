//! The member's handle of a running process.
//!
//! Invariant: a call is sent only while it holds a permit; a pause takes all permits first, so nothing is under way when the process
//! stands still, and nothing begins before it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use pilothouse_core::workload::{Condition, Process as Program};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::http::Http;
use super::logs::Log;
use super::task::{Order, Task};
use crate::driver::{Answer, Call, DriverError, Instance, Launch, LogLine, Pending, State};

/// Most calls that are under way to one process.
pub const CALLS_MAX: u32 = 1_024;
/// Most orders that wait for an instance.
const ORDERS_MAX: usize = 16;

/// What the handle and the task of an instance share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) program: Program,
    pub(super) launch: Launch,
    pub(super) http: Http,
    pub(super) log: Arc<Log>,
    pub(super) port: AtomicU16,
    pub(super) permits: Semaphore,
    /// No new calls.
    pub(super) closed: AtomicBool,
    pub(super) state: watch::Sender<State>,
}

/// A running process.
#[derive(Debug)]
pub(super) struct ProcessInstance {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    /// Ends with the handle, and ends the process.
    _task: JoinSet<()>,
}

impl ProcessInstance {
    /// Resolves when the process is well, or it is clear that it will not be.
    pub(super) async fn start(program: Program, launch: Launch, http: Http) -> Result<Self, DriverError> {
        let shared = Arc::new(Shared {
            log: Log::new(&launch.work_dir),
            program,
            launch,
            http,
            port: AtomicU16::new(0),
            permits: Semaphore::new(CALLS_MAX as usize),
            closed: AtomicBool::new(false),
            state: watch::Sender::new(State::default()),
        });
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        let task = Task::start(Arc::clone(&shared)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run(receiver));
        Ok(Self { shared, orders, _task: tasks })
    }

    /// Hands the task an order; `None` = it has ended.
    fn order<T: Send + 'static>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Order) -> Pending<Option<T>> {
        let (answer, answered) = oneshot::channel();
        let (order, orders) = (make(answer), self.orders.clone());
        Box::pin(async move {
            orders.send(order).await.ok()?;
            answered.await.ok()
        })
    }
}

impl Instance for ProcessInstance {
    fn call(&self, call: Call) -> Pending<Result<Answer, DriverError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if shared.closed.load(Ordering::Acquire) {
                return Err(DriverError::NotServing);
            }
            let _permit = match shared.permits.try_acquire() {
                Ok(permit) => permit,
                // A pause holds them all.
                Err(_) if shared.closed.load(Ordering::Acquire) => return Err(DriverError::NotServing),
                Err(_) => return Err(DriverError::Busy),
            };
            let mut state = shared.state.subscribe();
            if !serves(&state.borrow_and_update()) {
                return Err(DriverError::NotServing);
            }
            let (port, path) = (shared.port.load(Ordering::Acquire), &shared.program.call_path);
            let exchange = shared.http.post(port, path, call.body, call.timeout);
            tokio::select! {
                answer = exchange => answer,
                // It ended meanwhile: whether the call had an effect is unknown.
                _ = state.wait_for(|state| !serves(state)) => {
                    Err(DriverError::Failed("it ended during the call; whether the call had an effect is unknown".into()))
                }
            }
        })
    }

    fn checkpoint(&self) -> Pending<Result<(), DriverError>> {
        let done = self.order(Order::Checkpoint);
        Box::pin(async move { done.await.unwrap_or(Err(DriverError::NotServing)) })
    }

    fn pause(&self) -> Pending<Result<(), DriverError>> {
        let done = self.order(Order::Pause);
        Box::pin(async move { done.await.unwrap_or(Err(DriverError::NotServing)) })
    }

    fn resume(&self) -> Pending<Result<(), DriverError>> {
        let done = self.order(Order::Resume);
        Box::pin(async move { done.await.unwrap_or(Err(DriverError::NotServing)) })
    }

    fn stop(&self) -> Pending<()> {
        let done = self.order(Order::Stop);
        Box::pin(async move {
            let _ = done.await;
        })
    }

    fn condition(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    fn logs(&self, tail: usize) -> Vec<LogLine> {
        self.shared.log.tail(tail)
    }
}

const fn serves(state: &State) -> bool {
    !matches!(state.condition, Condition::BackingOff | Condition::Ended)
}
