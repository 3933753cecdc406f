//! `orchestrator`: the grammar of the federation's commands.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum OrchestratorCommand {
    /// This orchestrator and its peers.
    Peers,
    /// Delegate a task. Example: pilothouse orchestrator delegate task-456 "Implement login feature" --needs code-generation
    Delegate(Box<DelegateArgs>),
    /// Delegated tasks.
    Tasks,
    /// One delegated task.
    Status(TaskArgs),
    /// Tell how a task goes that a member has. Example: pilothouse orchestrator report task-456 --progress 50
    Report(ReportArgs),
    /// Tell every peer. Example: pilothouse orchestrator broadcast maintenance '{"at": "22:00"}'
    Broadcast {
        /// What it is about.
        topic: String,
        /// JSON.
        #[arg(default_value = "null")]
        data: String,
        /// How long it is worth anything, ms.
        #[arg(long)]
        ttl_ms: Option<u64>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DelegateArgs {
    /// Names the task; the same name again is the same task.
    pub(crate) id: String,
    /// What is to be done.
    pub(crate) description: String,
    /// What kind of work it is.
    #[arg(long = "type", default_value = "custom")]
    pub(crate) kind: String,
    /// low, medium, high or critical.
    #[arg(long, default_value = "medium")]
    pub(crate) priority: String,
    /// Capability that who takes it must have; repeat for more.
    #[arg(long = "needs")]
    pub(crate) capabilities: Vec<String>,
    /// Tokens that it needs.
    #[arg(long)]
    pub(crate) tokens: Option<u64>,
    /// Only this peer, connected or not.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// How long it may take, ms.
    #[arg(long)]
    pub(crate) timeout_ms: Option<u64>,
    /// JSON object that travels with it.
    #[arg(long, default_value = "{}")]
    pub(crate) context: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TaskArgs {
    /// The task.
    pub(crate) id: String,
    /// The orchestrator that asked; left out = this one.
    #[arg(long)]
    pub(crate) origin: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    #[command(flatten)]
    pub(crate) how: How,
}

/// One of them.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct How {
    /// Percent that is done.
    #[arg(long)]
    pub(crate) progress: Option<f32>,
    /// It is done; JSON of what it came to.
    #[arg(long)]
    pub(crate) result: Option<String>,
    /// It failed; why.
    #[arg(long)]
    pub(crate) error: Option<String>,
}
