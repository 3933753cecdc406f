//! The port between a member and the drivers that run workloads.
//!
//! specification, directory -> [`Driver::start`] -> [`Instance`]: calls, checkpoints, pauses, an end
//!
//! Invariant: when a call is answered, the state that the answer speaks of is in the state directory (written, not
//! necessarily synced); while an instance is paused it has no effects and its state directory does not change. Ownership,
//! leases, copies and migration are the member's: a driver runs what it is told.

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::id::AgentName;
use pilothouse_core::workload::{Condition, Spec};
use tokio::sync::watch;

/// An answer that comes later.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs workloads of one kind.
pub trait Driver: Debug + Send + Sync {
    /// Starts a copy on the state that is in its directory (empty = a fresh one). Resolves when the copy takes calls, or when
    /// it is clear that it will not.
    fn start(&self, launch: Launch) -> Pending<Result<Arc<dyn Instance>, DriverError>>;
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its name.
    pub workload: AgentName,
    /// The ownership epoch under which it starts.
    pub epoch: u64,
    /// What runs.
    pub spec: Spec,
    /// Where its state is; exists.
    pub state_dir: PathBuf,
    /// Where other files of it may be (logs); exists, is not copied anywhere.
    pub work_dir: PathBuf,
}

/// A call to a workload.
#[derive(Debug, Clone)]
pub struct Call {
    /// Any bytes.
    pub body: Vec<u8>,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Any bytes.
    pub body: Vec<u8>,
    /// 200, or what a process answered.
    pub status: u16,
}

/// One running copy.
pub trait Instance: Debug + Send + Sync {
    /// Hands it a message.
    fn call(&self, call: Call) -> Pending<Result<Answer, DriverError>>;

    /// Brings its state to the state directory; it goes on serving.
    fn checkpoint(&self) -> Pending<Result<(), DriverError>>;

    /// Ends all effects until `resume`, after what is under way; the state is in the directory then.
    fn pause(&self) -> Pending<Result<(), DriverError>>;

    /// Goes on.
    fn resume(&self) -> Pending<Result<(), DriverError>>;

    /// Ends it: gracefully within the specification's grace, then by force. Ends once; later calls do nothing.
    fn stop(&self) -> Pending<()>;

    /// How it is, and what is to be said of it.
    fn condition(&self) -> watch::Receiver<State>;

    /// Its newest lines, oldest first.
    fn logs(&self, tail: usize) -> Vec<LogLine>;
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// How it is.
    pub condition: Condition,
    /// For people, for example `exit status 1`; at most 256 bytes.
    pub detail: String,
    /// Starts after the first.
    pub restarts: u32,
}

/// One line that a workload wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Grows by one within an instance.
    pub number: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Which stream.
    pub stream: Stream,
    /// Without its end; cut at 4 KiB, control characters escaped.
    pub text: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The agent's own log.
    Log,
}

/// Why a driver did not do something; a variant per decision of the member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The specification cannot work here: starting again does not help.
    #[error("cannot be started here: {0}")]
    Unusable(String),
    /// It failed; another try may succeed.
    #[error("{0}")]
    Failed(String),
    /// It did not answer in time; whether the call had an effect is unknown.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It is paused, or has ended.
    #[error("it takes no calls now")]
    NotServing,
    /// More calls wait than may.
    #[error("too many calls wait")]
    Busy,
}
