//! Federation of orchestrators: connections to peers, and tasks that are delegated over them.
//!
//! frames -> [`Connection`] (one per peer: health, queue, reconnect) -> [`Ledger`] (all delegations) -> commands for the shell
//!
//! Source: the document of orchestrator federation (messages, 60 s heartbeat time-out, queue of 1,000). Invariant: everything that
//! waits is bounded in number and bytes and has a deadline, and a task is answered exactly once. Sockets, JSON and the choice
//! of who takes a task are not here: the choice is a policy's.

mod connection;
#[cfg(test)]
mod connection_tests;
mod delegation;
mod estimate;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod link;
mod message;
mod notice;

pub use connection::{Connection, MALFORMED_MAX, QUEUE_BYTES_MAX};
pub use delegation::{Executor, Key, LedgerCommand, LedgerEvent, LedgerSettings, MemberLoad, Record, Stage};
pub use ledger::{LIVE_MAX, Ledger, PASSED_MAX, TRIES_MAX};
pub use link::{CloseReason, Command, ConnectionStatus, Event, Health, Outgoing, SendError, Settings};
pub use message::{
    Broadcast, Callback, Complaint, Condition, Delegation, Demands, Grant, Heartbeat, Message, Offer,
    Priority, Progress, Refusal, RefusalKind, Reply, Task,
};
pub use notice::Notice;
