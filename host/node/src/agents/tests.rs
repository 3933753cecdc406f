//! The component driver over the real engine and the example agent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pilothouse_core::id::AgentName;
use pilothouse_core::workload::{Driver as Kind, Durability, Restart, Spec};
use pilothouse_engine::{Cache, Compiler};
use pilothouse_member::component::ComponentDriver;
use pilothouse_member::driver::{Answer, Call, Driver as _, DriverError, Instance as Running, Launch};
use tempfile::TempDir;

use super::*;

/// Agents of a test at once.
const MANY: usize = 1_000;

#[derive(Debug, Default)]
struct Bundle(Arc<AtomicUsize>);

impl Source for Bundle {
    fn bytes(&self, _digest: Digest) -> Result<Vec<u8>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(counter().to_vec())
    }
}

fn counter() -> &'static [u8] {
    pilothouse_policies::AGENTS.iter().find(|agent| agent.name == "counter").unwrap().bytes
}

fn driver(asked: &Arc<AtomicUsize>) -> ComponentDriver {
    let runtime = Runtime::start(Compiler::here(), Cache::none()).unwrap();
    let agents = Agents::new(runtime, Box::new(Bundle(Arc::clone(asked))));
    ComponentDriver::new(Arc::new(agents), Arc::new(|| Context { seed: 1, now_ms: 2 }), 2).unwrap()
}

async fn start(
    driver: &ComponentDriver,
    dir: &TempDir,
    number: usize,
    digest: Digest,
) -> Result<Arc<dyn Running>, DriverError> {
    let work_dir = dir.path().join(format!("counter-{number}"));
    let state_dir = work_dir.join("state");
    std::fs::create_dir_all(&state_dir).unwrap();
    let spec = Spec {
        driver: Kind::Component(Component { digest, settings: String::new() }),
        durability: Durability::Local,
        restart: Restart::Always,
        stop_grace_ms: 0,
    };
    let workload = AgentName::parse(&format!("counter-{number}")).unwrap();
    driver.start(Launch { workload, epoch: 1, spec, state_dir, work_dir }).await
}

async fn say(agent: &Arc<dyn Running>, message: String) -> String {
    let call = Call { body: message.into_bytes(), timeout: Duration::from_mins(2) };
    let Answer { body, status } = agent.call(call).await.unwrap();
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap()
}

/// Adds to every agent at once, and stops them all.
async fn round(driver: &ComponentDriver, dir: &TempDir, wanted: impl Fn(usize) -> usize) {
    let digest = pilothouse_engine::digest(counter());
    let mut agents = Vec::new();
    for number in 0..MANY {
        agents.push(start(driver, dir, number, digest).await.unwrap());
    }
    let mut calls = tokio::task::JoinSet::new();
    for (number, agent) in agents.iter().cloned().enumerate() {
        calls.spawn(async move { (number, say(&agent, format!("add {number}")).await) });
    }
    for (number, answer) in calls.join_all().await {
        assert_eq!(answer, wanted(number).to_string());
    }
    for agent in agents {
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_thousand_agents_answer_at_once_and_go_on_after_their_driver() {
    let (dir, asked) = (TempDir::new().unwrap(), Arc::default());
    round(&driver(&asked), &dir, |number| number).await;
    round(&driver(&asked), &dir, |number| 2 * number).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "once per driver");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_digest_are_not_run() {
    let (dir, asked) = (TempDir::new().unwrap(), Arc::default());
    let refused = start(&driver(&asked), &dir, 0, Digest([7; 32])).await.unwrap_err();
    assert!(refused.to_string().contains("is something else"), "{refused}");
}
