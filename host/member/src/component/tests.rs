//! The driver over an agent in memory: order, bounds, faults, pauses.

use std::pin::pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context as Polling, Poll, Waker};
use std::time::Duration;

use pilothouse_core::id::{AgentName, Digest};
use pilothouse_core::workload::{Durability, Restart, Spec};
use tempfile::TempDir;

use super::*;
use crate::driver::{Answer, Call, State};

/// Its state is all messages so far. `wait` blocks until the test lets it go on, `break` breaks after changing it,
/// `huge` makes a state that is too large, `no` is refused.
#[derive(Debug)]
struct Scribe {
    state: Vec<u8>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    arrived: Mutex<mpsc::Sender<()>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct Scribes(Arc<Gate>);

impl AgentRuntime for Scribes {
    fn start(&self, component: &Component, state: Option<Vec<u8>>) -> Result<Box<dyn Agent>, AgentError> {
        if component.settings == "bad" {
            return Err(AgentError::Unusable("bad settings".to_owned()));
        }
        Ok(Box::new(Scribe { state: state.unwrap_or_default(), gate: Arc::clone(&self.0) }))
    }
}

impl Agent for Scribe {
    fn handle(&mut self, message: &[u8], _context: Context) -> Result<Handled, AgentError> {
        if message == b"no" {
            return Err(AgentError::Refused("no".to_owned()));
        }
        if message == b"get" {
            return Ok(Handled { body: self.state.clone(), state: None });
        }
        self.state.extend_from_slice(message);
        match message {
            b"wait" => {
                self.gate.arrived.lock().unwrap().send(()).unwrap();
                self.gate.go_on.lock().unwrap().recv().unwrap();
            }
            b"break" => return Err(AgentError::Broke("trap: broken".to_owned())),
            b"panic" => panic!("a defect of the engine"),
            b"huge" => self.state.resize(STATE_BYTES_MAX + 1, 0),
            _ => {}
        }
        Ok(Handled { body: Vec::new(), state: Some(self.state.clone()) })
    }

    fn take_lines(&mut self) -> Vec<String> {
        vec!["info: handled".to_owned()]
    }
}

struct World {
    driver: ComponentDriver,
    dir: TempDir,
    arrived: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

fn world() -> World {
    let (arrive, arrived) = mpsc::channel();
    let (go_on, going_on) = mpsc::channel();
    let gate = Gate { arrived: Mutex::new(arrive), go_on: Mutex::new(going_on) };
    let contexts: Contexts = Arc::new(|| Context { seed: 1, now_ms: 2 });
    let driver = ComponentDriver::new(Arc::new(Scribes(Arc::new(gate))), contexts, 2).unwrap();
    World { driver, dir: TempDir::new().unwrap(), arrived, go_on }
}

impl World {
    async fn start(&self, name: &str, settings: &str) -> Result<Arc<dyn Instance>, DriverError> {
        let (state_dir, work_dir) = (self.dir.path().join(name).join("state"), self.dir.path().join(name));
        std::fs::create_dir_all(&state_dir).unwrap();
        let component = Component { digest: Digest([0; 32]), settings: settings.to_owned() };
        let spec = Spec {
            driver: Kind::Component(component),
            durability: Durability::Local,
            restart: Restart::Always,
            stop_grace_ms: 0,
        };
        let workload = AgentName::parse(name).unwrap();
        self.driver.start(Launch { workload, epoch: 1, spec, state_dir, work_dir }).await
    }

    fn state(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name).join("state/state")).unwrap_or_default()
    }
}

fn call(instance: &Arc<dyn Instance>, body: &str) -> Pending<Result<Answer, DriverError>> {
    instance.call(Call { body: body.into(), timeout: Duration::from_mins(1) })
}

async fn say(instance: &Arc<dyn Instance>, body: &str) -> String {
    String::from_utf8(call(instance, body).await.unwrap().body).unwrap()
}

/// Whether a future is ready now.
fn is_ready(future: impl Future) -> bool {
    matches!(pin!(future).poll(&mut Polling::from_waker(Waker::noop())), Poll::Ready(_))
}

#[tokio::test]
async fn the_state_is_on_disk_when_the_answer_is_given_and_the_next_start_has_it() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    say(&agent, "x").await;
    assert_eq!(world.state("a"), b"x");
    assert_eq!(agent.condition().borrow().condition, pilothouse_core::workload::Condition::Healthy);
    agent.stop().await;
    assert_eq!(call(&agent, "y").await, Err(DriverError::NotServing));
    let again = world.start("a", "").await.unwrap();
    assert_eq!(say(&again, "get").await, "x");
}

#[tokio::test]
async fn after_a_fault_the_next_message_finds_the_state_of_the_last_answer() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    say(&agent, "x").await;
    for (restarts, message, wanted) in [(1, "break", "trap: broken"), (2, "huge", "at most 4194304 are kept")]
    {
        let Err(DriverError::Failed(problem)) = call(&agent, message).await else { panic!("{message}") };
        assert!(problem.contains(wanted), "{problem}");
        assert_eq!((say(&agent, "get").await.as_str(), world.state("a")), ("x", b"x".to_vec()), "{message}");
        let State { detail, restarts: counted, .. } = agent.condition().borrow().clone();
        assert_eq!((detail, counted), (problem, restarts));
    }
    assert!(matches!(call(&agent, "panic").await, Err(DriverError::Failed(_))));
    assert_eq!(say(&agent, "get").await, "x", "a defect ends one message");
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_not_acknowledged() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    say(&agent, "x").await;
    std::fs::create_dir(world.dir.path().join("a/state.new")).unwrap();
    assert!(matches!(call(&agent, "y").await, Err(DriverError::Failed(_))));
    assert_eq!((say(&agent, "get").await.as_str(), world.state("a")), ("x", b"x".to_vec()));
}

#[tokio::test]
async fn a_refusal_and_bad_settings_are_told_apart_from_faults() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    assert_eq!(call(&agent, "no").await, Ok(Answer { body: b"no".to_vec(), status: 422 }));
    assert_eq!(agent.condition().borrow().restarts, 0);
    assert_eq!(agent.logs(9)[0].text, "info: handled");
    let refused = world.start("b", "bad").await.unwrap_err();
    assert_eq!(refused, DriverError::Unusable("bad settings".to_owned()));
}

#[tokio::test]
async fn messages_are_handled_in_order_and_other_agents_go_on_beside_a_slow_one() {
    let world = world();
    let (slow, other) = (world.start("a", "").await.unwrap(), world.start("b", "").await.unwrap());
    let first = call(&slow, "wait");
    world.arrived.recv().unwrap();
    let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| call(&slow, "x")).collect();
    assert_eq!(call(&slow, "x").await, Err(DriverError::Busy));
    say(&other, "y").await;
    waiting.truncate(1);
    waiting.push(call(&slow, "z"));
    world.go_on.send(()).unwrap();
    first.await.unwrap();
    for answer in waiting {
        let _ = answer.await;
    }
    assert_eq!(say(&slow, "get").await, "waitx", "given up ones are not handled, and one was too many");
}

#[tokio::test]
async fn a_pause_waits_for_the_message_at_hand_and_refuses_what_waits() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    let first = call(&agent, "wait");
    world.arrived.recv().unwrap();
    let waits = call(&agent, "x");
    let mut pausing = agent.pause();
    assert_eq!(waits.await, Err(DriverError::NotServing));
    assert!(!is_ready(&mut pausing), "a message is at hand");
    world.go_on.send(()).unwrap();
    pausing.await.unwrap();
    first.await.unwrap();
    assert_eq!(world.state("a"), b"wait");
    assert_eq!(call(&agent, "x").await, Err(DriverError::NotServing));
    agent.resume().await.unwrap();
    say(&agent, "x").await;
    agent.stop().await;
    assert_eq!(agent.resume().await, Err(DriverError::NotServing), "it ended");
    agent.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_long_and_one_that_is_not_answered_in_time_are_refused() {
    let world = world();
    let agent = world.start("a", "").await.unwrap();
    let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
    let Err(DriverError::Failed(problem)) = call(&agent, &long).await else { panic!("taken") };
    assert!(problem.contains("at most 1048576 bytes"), "{problem}");
    let timeout = Duration::from_millis(1);
    let late = agent.call(Call { body: b"wait".to_vec(), timeout }).await;
    assert_eq!(late, Err(DriverError::TimedOut(timeout)));
    world.go_on.send(()).unwrap();
}
