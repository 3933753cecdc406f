//! One agent: its queue of messages, its instance if it has one, and what was told of it.
//!
//! Invariant: `at_work` is true while the agent is in the pool's queue or in a thread, so nobody else touches the
//! instance or the file; whoever waits for rest is told when it is false and the agent serves no longer.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_core::workload::{Component, Condition};
use tokio::sync::{oneshot, watch};

use super::file::StateFile;
use super::lines::Lines;
use super::pool::{Pool, Work};
use super::{Agent, AgentError, AgentRuntime, MESSAGE_BYTES_MAX, STATE_BYTES_MAX, Surroundings, WAITING_MAX};
use crate::driver::{Answer, Call, DriverError, Instance, LogLine, Pending, State};

/// Longest detail that is told, bytes.
const DETAIL_BYTES_MAX: usize = 256;
/// Status of an answer, and of a refusal: the agent looked at the message and did not like it.
const ANSWERED: u16 = 200;
const REFUSED: u16 = 422;

type Answering = oneshot::Sender<Result<Answer, DriverError>>;

/// A running agent, as its member holds it.
#[derive(Debug)]
pub(super) struct Cell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Arc<dyn AgentRuntime>,
    contexts: Surroundings,
    component: Component,
    file: StateFile,
    pool: Arc<Pool>,
    turn: Mutex<Turn>,
    condition: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct Turn {
    mode: Mode,
    at_work: bool,
    waiting: VecDeque<Job>,
    agent: Option<Box<dyn Agent>>,
    resting: Vec<oneshot::Sender<()>>,
    lines: Lines,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Serving,
    Paused,
    Ended,
}

#[derive(Debug)]
enum Job {
    Start(oneshot::Sender<Result<(), DriverError>>),
    Message(Vec<u8>, Answering),
}

impl Cell {
    /// Starts an agent; resolves when its instance is there.
    pub(super) fn start(
        runtime: Arc<dyn AgentRuntime>,
        contexts: Surroundings,
        component: Component,
        file: StateFile,
        pool: Arc<Pool>,
    ) -> impl Future<Output = Result<Self, DriverError>> + Send + 'static {
        let (condition, _) = watch::channel(State::default());
        let turn = Mutex::default();
        let inner = Arc::new(Inner { runtime, contexts, component, file, pool, turn, condition });
        let (started, start) = oneshot::channel();
        let queued = inner.enqueue(Job::Start(started));
        async move {
            queued?;
            start.await.unwrap_or_else(|_| Err(DriverError::Failed("it broke off".to_owned())))?;
            Ok(Self(inner))
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        drop(self.0.rest(Mode::Ended));
    }
}

impl Inner {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(self: &Arc<Self>, job: Job) -> Result<(), DriverError> {
        let mut turn = self.turn();
        if turn.mode != Mode::Serving {
            return Err(DriverError::NotServing);
        }
        if turn.waiting.len() >= WAITING_MAX {
            return Err(DriverError::Busy);
        }
        turn.waiting.push_back(job);
        if !std::mem::replace(&mut turn.at_work, true) {
            self.pool.push(Arc::clone(self) as Arc<dyn Work>);
        }
        Ok(())
    }

    /// Takes no more work; what waits is refused. The receiver is told when what is at hand is done.
    fn rest(&self, mode: Mode) -> oneshot::Receiver<()> {
        let (done, rested) = oneshot::channel();
        let mut turn = self.turn();
        if turn.mode != Mode::Ended {
            turn.mode = mode;
        }
        for job in turn.waiting.drain(..) {
            job.refuse(DriverError::NotServing);
        }
        turn.resting.push(done);
        if !turn.at_work {
            turn.rested();
        }
        rested
    }

    /// Has an instance: the one that is there, or one from the file.
    fn ready(&self, agent: Option<Box<dyn Agent>>) -> Result<Box<dyn Agent>, DriverError> {
        if let Some(agent) = agent {
            return Ok(agent);
        }
        let state = self
            .file
            .read()
            .map_err(|error| DriverError::Failed(format!("its state cannot be read: {error}")))?;
        let agent = self.runtime.start(&self.component, state).map_err(|error| match error {
            AgentError::Unusable(problem) => DriverError::Unusable(problem),
            AgentError::Refused(problem) | AgentError::Broke(problem) => DriverError::Failed(problem),
        })?;
        self.say(Condition::Healthy, None);
        Ok(agent)
    }

    /// Handles a message. The instance is given back if it is still good.
    fn handle(
        &self,
        agent: Option<Box<dyn Agent>>,
        message: &[u8],
    ) -> (Option<Box<dyn Agent>>, Result<Answer, DriverError>) {
        let mut agent = match self.ready(agent) {
            Ok(agent) => agent,
            Err(error) => {
                self.say(Condition::Unhealthy, Some(&error.to_string()));
                return (None, Err(error));
            }
        };
        let context = (self.contexts.0)();
        let handled = agent.handle(message, context);
        let lines = agent.take_lines();
        if !lines.is_empty() {
            self.turn().lines.extend(context.now_ms, lines);
        }
        let kept = match handled {
            Ok(handled) => self.keep(handled.state.as_deref()).map(|()| handled.body),
            Err(AgentError::Refused(reason)) => {
                return (Some(agent), Ok(Answer { body: reason.into_bytes(), status: REFUSED }));
            }
            Err(AgentError::Broke(problem) | AgentError::Unusable(problem)) => Err(problem),
        };
        match kept {
            Ok(body) => (Some(agent), Ok(Answer { body, status: ANSWERED })),
            Err(problem) => {
                self.condition.send_modify(|state| state.restarts = state.restarts.saturating_add(1));
                self.say(Condition::Healthy, Some(&problem));
                (None, Err(DriverError::Failed(problem)))
            }
        }
    }

    fn keep(&self, state: Option<&[u8]>) -> Result<(), String> {
        let Some(state) = state else { return Ok(()) };
        if state.len() > STATE_BYTES_MAX {
            return Err(format!("its state has {} bytes, at most {STATE_BYTES_MAX} are kept", state.len()));
        }
        self.file.write(state).map_err(|error| format!("its state cannot be written: {error}"))
    }

    /// Tells how it is; without a detail the one before stays, as the reason of the last restart.
    fn say(&self, condition: Condition, detail: Option<&str>) {
        self.condition.send_if_modified(|state| {
            let before = state.clone();
            state.condition = condition;
            if let Some(detail) = detail {
                state.detail = short(detail);
            }
            *state != before
        });
    }
}

fn short(text: &str) -> String {
    let end = (0..=DETAIL_BYTES_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

impl Turn {
    fn rested(&mut self) {
        if self.mode == Mode::Ended {
            self.agent = None;
        }
        for waiting in self.resting.drain(..) {
            let _ = waiting.send(());
        }
    }
}

impl Job {
    fn refuse(self, error: DriverError) {
        match self {
            Self::Start(started) => drop(started.send(Err(error))),
            Self::Message(_, answering) => drop(answering.send(Err(error))),
        }
    }
}

impl Work for Inner {
    fn run(&self) -> bool {
        let (job, agent) = {
            let mut turn = self.turn();
            (turn.waiting.pop_front(), turn.agent.take())
        };
        // A defect of the engine ends this message, not the thread.
        let done = catch_unwind(AssertUnwindSafe(|| match job {
            None => agent,
            Some(Job::Start(started)) => {
                let ready = self.ready(agent);
                let (agent, told) = match ready {
                    Ok(agent) => (Some(agent), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                let _ = started.send(told);
                agent
            }
            // Its caller has given up before it began.
            Some(Job::Message(_, answering)) if answering.is_closed() => agent,
            Some(Job::Message(message, answering)) => {
                let (agent, answer) = self.handle(agent, &message);
                let _ = answering.send(answer);
                agent
            }
        }));
        let mut turn = self.turn();
        turn.agent = done.unwrap_or_default();
        turn.at_work = !turn.waiting.is_empty();
        if !turn.at_work {
            turn.rested();
        }
        turn.at_work
    }
}

impl Instance for Cell {
    fn call(&self, call: Call) -> Pending<Result<Answer, DriverError>> {
        let Call { body, timeout } = call;
        if body.len() > MESSAGE_BYTES_MAX {
            let problem = format!("a message has at most {MESSAGE_BYTES_MAX} bytes, this one {}", body.len());
            return Box::pin(std::future::ready(Err(DriverError::Failed(problem))));
        }
        let (answering, answer) = oneshot::channel();
        let queued = self.0.enqueue(Job::Message(body, answering));
        Box::pin(async move {
            queued?;
            match tokio::time::timeout(timeout, answer).await {
                // Only a defect of the engine drops the sender: whether there was an effect is not known.
                Ok(answered) => {
                    answered.unwrap_or_else(|_| Err(DriverError::Failed("it broke off".to_owned())))
                }
                Err(_) => Err(DriverError::TimedOut(timeout)),
            }
        })
    }

    fn checkpoint(&self) -> Pending<Result<(), DriverError>> {
        // Its state is in the directory after each message.
        Box::pin(std::future::ready(Ok(())))
    }

    fn pause(&self) -> Pending<Result<(), DriverError>> {
        let rested = self.0.rest(Mode::Paused);
        Box::pin(async move { rested.await.map_err(|_| DriverError::NotServing) })
    }

    fn resume(&self) -> Pending<Result<(), DriverError>> {
        let mut turn = self.0.turn();
        let resumed = if turn.mode == Mode::Ended { Err(DriverError::NotServing) } else { Ok(()) };
        if resumed.is_ok() {
            turn.mode = Mode::Serving;
        }
        drop(turn);
        Box::pin(std::future::ready(resumed))
    }

    fn stop(&self) -> Pending<()> {
        let inner = Arc::clone(&self.0);
        let rested = inner.rest(Mode::Ended);
        Box::pin(async move {
            let _ = rested.await;
            inner.say(Condition::Ended, None);
        })
    }

    fn condition(&self) -> watch::Receiver<State> {
        self.0.condition.subscribe()
    }

    fn logs(&self, tail: usize) -> Vec<LogLine> {
        self.0.turn().lines.tail(tail)
    }
}
