//! The federation's task: time passes, peers are dialled, and at the end every session is flushed.
//!
//! Invariant: at most one dial per peer. The end waits for flushes; the machines bound them.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::orchestrator::{LedgerEvent, Refusal, RefusalKind};
use pilothouse_transport::orchestrator::client::{self, Target};
use tokio::task::JoinSet;

use crate::control::Control;
use crate::tasks::Stop;

/// How often time passes, ms.
const TICK_MS: u64 = 100;
/// How often a stop looks whether all sessions have ended.
const STOP_TICK: Duration = Duration::from_millis(10);

/// Runs until it is told to stop, and then until every session has ended.
pub(crate) async fn run(control: Control, mut stop: Stop) {
    control.orchestrators.executor.forget_all().await;
    let mut dials = JoinSet::new();
    loop {
        let (targets, unsent) = control.orchestrators.tick();
        for target in targets {
            dials.spawn(dial(control.clone(), target));
        }
        for key in unsent {
            let refusal = Refusal::new(RefusalKind::Unreachable, "the peer left before the task was sent");
            control.drive(LedgerEvent::NotSent(key, refusal)).await;
        }
        control.drive(LedgerEvent::Tick).await;
        control.look_after_members().await;
        while dials.try_join_next().is_some() {}
        if !stop.sleep(control.hub.clock.period(TICK_MS)).await {
            break;
        }
    }
    while !control.orchestrators.stop() {
        control.orchestrators.tick();
        tokio::time::sleep(STOP_TICK).await;
    }
}

async fn dial(control: Control, target: Target) {
    if let Err(error) = client::run(&target, Arc::new(control.clone())).await {
        tracing::info!(peer = %target.peer, url = target.url, %error, "no connection to a peer");
    }
    control.orchestrators.dial_ended(&target.peer);
}
