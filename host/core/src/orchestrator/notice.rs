//! What is told to those who follow the events of the host.

use crate::id::TaskId;

/// Something that happened between this orchestrator and another.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// It is there.
    Connected,
    /// It has not given a sign of life for too long.
    Degraded,
    /// It gives signs of life again.
    Recovered,
    /// It is gone.
    Disconnected {
        /// Why, for people.
        why: String,
    },
    /// It was given a task, or gave one to us and a member has it.
    Delegated {
        /// The task.
        task: TaskId,
        /// Who executes it.
        to: String,
    },
    /// It did not take a task, or we did not take one of it.
    Refused {
        /// The task.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// How a task goes.
    Callback {
        /// The task.
        task: TaskId,
        /// `progress`, `completed` or `failed`.
        status: &'static str,
        /// Percent, if it runs and says so.
        percent: Option<f32>,
    },
    /// It told everybody something.
    Broadcast {
        /// What it is about.
        topic: String,
        /// JSON text.
        data: std::sync::Arc<str>,
    },
}
