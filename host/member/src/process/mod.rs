//! The driver of processes: any program, its environment, its port, its output, its health, its end.
//!
//! specification, directory -> [`ProcessDriver`] -> a task per instance: [`restart::Machine`] decides, the system does
//!
//! Invariant: at most one start of an instance runs, in a process group of its own, and nothing of it outlives the instance: not what it
//! forked (found by group and mark), not a member that was killed (the kernel ends the program; [`kill_left_overs`] the rest). A paused
//! instance stands still in every thread. What a program does to itself has a defined answer: it ignores the gentle end (killed after its
//! grace), closes its port (calls wait, then time out; its check fails), writes without end (bounded, see [`logs`]), fills the disk (its
//! own writes fail; the member's log keeps its lines in memory). Linux only: the rest of the system has no `/proc`.

mod group;
mod hold;
mod http;
mod instance;
pub mod logs;
pub mod restart;
mod spawn;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pilothouse_core::workload::Driver as What;

pub use http::CALL_BYTES_MAX;
pub use instance::CALLS_MAX;
pub use spawn::kill_left_overs;
pub use task::{DRAIN_MS_MAX, START_MS_MAX};

use crate::driver::{Driver, DriverError, Instance, Launch, Pending};
use http::Http;

/// Runs programs.
#[derive(Debug, Clone)]
pub struct ProcessDriver {
    http: Http,
}

impl Default for ProcessDriver {
    fn default() -> Self {
        Self { http: Http::new() }
    }
}

impl Driver for ProcessDriver {
    fn start(&self, launch: Launch) -> Pending<Result<Arc<dyn Instance>, DriverError>> {
        let http = self.http.clone();
        Box::pin(async move {
            let What::Process(program) = launch.spec.driver.clone() else {
                return Err(DriverError::Unusable("this driver runs processes".into()));
            };
            launch.spec.check().map_err(|error| DriverError::Unusable(error.to_string()))?;
            let instance: Arc<dyn Instance> =
                Arc::new(instance::ProcessInstance::start(program, launch, http).await?);
            Ok(instance)
        })
    }
}
