//! What a host and its members say to each other, in the words of core and migration.
//!
//! Invariant: a message that exists is well formed (names parsed, specifications checked). What it means is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::{MemberKind, Resources};
use pilothouse_core::workload::{Condition, Spec};
use pilothouse_migration::order::{Order, Reply};
use pilothouse_migration::ticket::{Code, Ticket};
use pilothouse_migration::transfer::{ChunkDigest, StateDigest};

/// From a member to its host.
#[derive(Debug, Clone, PartialEq)]
pub enum FromMember {
    /// First on every link.
    Hello(Hello),
    /// Everything it has.
    Heartbeat(Heartbeat),
    /// How an order went; with the ticket that goes with `Done` for a reservation.
    Reply(Reply, Option<(Ticket, Code)>),
    /// About the second copy of what it owns.
    Replica(ReplicaReport),
    /// A workload's condition changed.
    News(News),
}

/// From a host to a member.
#[derive(Debug, Clone, PartialEq)]
pub enum ToMember {
    /// Answers the hello.
    Welcome(Welcome),
    /// Answers a heartbeat.
    Answer(Answer),
    /// An order of a migration.
    Order(Box<Ordered>),
    /// Run this.
    Assign(Box<Assign>),
    /// Stop this.
    Halt(Halt),
    /// The record of second copies.
    Replica(ReplicaGranted),
}

/// Who it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// Its name.
    pub member: MemberId,
    /// Random, new with every start of its process.
    pub boot: u64,
    /// host:port of its own port.
    pub endpoint: String,
    /// Of its machine.
    pub hostname: String,
    /// Where it is.
    pub region: Option<Label>,
    /// Where in the region.
    pub zone: Option<Label>,
    /// Cluster or node.
    pub kind: MemberKind,
    /// What it can do.
    pub capabilities: BTreeSet<Label>,
    /// Most workloads.
    pub capacity: u32,
    /// What it has in all.
    pub room: Resources,
    /// Names of its drivers.
    pub drivers: BTreeSet<String>,
    /// For operators.
    pub labels: BTreeMap<String, String>,
}

/// What a host tells a member first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Between two heartbeats, ms.
    pub heartbeat_interval_ms: u64,
    /// Length of the leases that answers grant, ms, from when the heartbeat was sent.
    pub lease_ms: u64,
    /// The host's name.
    pub host: String,
}

/// Everything a member has.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// By the member's monotonic clock, ms.
    pub sent_at_ms: u64,
    /// Of the machine.
    pub load: MachineLoad,
    /// What it has of any workload.
    pub held: Vec<Held>,
}

/// Load of a member's machine; shares of 1, `None` = unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MachineLoad {
    /// Of the processors.
    pub cpu: Option<f32>,
    /// Of the memory.
    pub memory: Option<f32>,
    /// Of the disk.
    pub disk: Option<f32>,
    /// Runnable tasks, mean of a minute.
    pub load_average: Option<f32>,
    /// Workloads that run.
    pub active: u32,
}

/// What a member has of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub workload: AgentName,
    /// The newest ownership epoch known there.
    pub epoch: u64,
    /// As what.
    pub role: HeldRole,
    /// Version of the specification it runs; 0 = none.
    pub spec_version: u64,
    /// How it is; `None` = it does not run.
    pub condition: Option<Condition>,
    /// Bytes of its state, as last measured.
    pub state_bytes: u64,
    /// How fast they change.
    pub dirty_bytes_per_s: u64,
}

/// As what a member has a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldRole {
    /// Room.
    Reserved,
    /// A copy that does not serve yet.
    Standby,
    /// The copy.
    Serving,
    /// The copy; its epoch is used up.
    Frozen,
    /// The state of a copy that has ended.
    Stopped,
    /// A second copy of another member's state.
    Replica,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The heartbeat's, ms.
    pub sent_at_ms: u64,
    /// Whatever of the heartbeat is not confirmed as it is.
    pub exceptions: Vec<Exception>,
}

/// The record of a workload, where it differs from what the member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Which.
    pub workload: AgentName,
    /// Who owns it; `None` = it does not exist.
    pub owner: Option<MemberId>,
    /// The record's epoch.
    pub epoch: u64,
    /// No migration of it is under way.
    pub settled: bool,
    /// Length of the lease, ms; 0 = none.
    pub lease_ms: u64,
}

/// Something that happened to a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub workload: AgentName,
    /// Under which epoch.
    pub epoch: u64,
    /// How it is now.
    pub condition: Condition,
    /// For people, at most 256 bytes.
    pub detail: String,
    /// Starts after the first.
    pub restarts: u32,
}

/// What runs, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What runs; checked.
    pub spec: Spec,
    /// Grows with every change, from 1.
    pub version: u64,
    /// The room it takes.
    pub needs: Resources,
}

/// Run this workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assign {
    /// Which.
    pub workload: AgentName,
    /// The ownership epoch.
    pub epoch: u64,
    /// What runs.
    pub job: Job,
    /// What to start from.
    pub from: StartFrom,
    /// Where its second copy is to be kept.
    pub replica: Option<ReplicaPlace>,
    /// Length of the first lease, ms, from when this arrives.
    pub lease_ms: u64,
}

/// What an assigned workload starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartFrom {
    /// A fresh state.
    Nothing,
    /// The second copy that this member keeps, or what it has left.
    LastKnown,
}

/// Where a second copy is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaPlace {
    /// On which member.
    pub member: MemberId,
    /// host:port of it.
    pub endpoint: String,
    /// What lets the owner write there.
    pub ticket: Vec<u8>,
}

/// Stop this workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// Which.
    pub workload: AgentName,
    /// The ownership epoch.
    pub epoch: u64,
    /// Whether its state goes, too.
    pub erase: bool,
}

/// An order of a migration in its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The order.
    pub order: Order,
    /// With a reservation: what will run there.
    pub job: Option<Job>,
    /// With a reservation: who will send.
    pub source: Option<MemberId>,
    /// With a sending: host:port of the target, and its ticket.
    pub target: Option<(String, Ticket, Code)>,
}

/// The owner's view of its second copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// Which workload.
    pub workload: AgentName,
    /// The ownership epoch.
    pub epoch: u64,
    /// Whose copy is complete; `None` = go on without one.
    pub synced: Option<MemberId>,
    /// Grows with every report of this owner.
    pub number: u64,
}

/// What the record of second copies says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaGranted {
    /// Which workload.
    pub workload: AgentName,
    /// The ownership epoch.
    pub epoch: u64,
    /// Whose copy is in force.
    pub replica: Option<MemberId>,
    /// Of the report it answers.
    pub number: u64,
    /// A new place to fill.
    pub next: Option<ReplicaPlace>,
}

/// A call to a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCall {
    /// Which.
    pub workload: AgentName,
    /// Any bytes.
    pub body: Vec<u8>,
    /// How long the caller waits, ms.
    pub timeout_ms: u64,
    /// The same key is answered once; empty = none.
    pub idempotency_key: String,
    /// The epoch under which the caller believes it to be here; 0 = any.
    pub epoch: u64,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAnswer {
    /// Any bytes.
    pub body: Vec<u8>,
    /// Under which it was served.
    pub epoch: u64,
    /// 200, or what a process answered.
    pub status: u16,
}

/// From the source of a migration to its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferItem {
    /// First.
    Ticket(Ticket, Code),
    /// Begins a round.
    Manifest {
        /// From 1.
        round: u32,
        /// Length of the state.
        state_bytes: u64,
        /// Length of every chunk but the last.
        chunk_bytes: u32,
        /// Of the chunks, in order.
        digests: Vec<ChunkDigest>,
    },
    /// A part of the state.
    Chunk {
        /// Of which round.
        round: u32,
        /// Its place.
        index: u32,
        /// Whether the bytes are compressed.
        compressed: bool,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// From the target of a migration to its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferAnswer {
    /// What the target lacks.
    Missing(Vec<Range<u32>>),
    /// What it has written.
    Written(Vec<Range<u32>>),
    /// It has everything of the round.
    Complete(StateDigest),
    /// The transfer ends: a code of the proto and a text for people.
    Refused(String, String),
}

/// From an owner to the holder of second copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaItem {
    /// Begins or renews a copy.
    Open(Box<ReplicaOpen>),
    /// The state as of a version.
    Write(ReplicaWrite),
    /// The copy is not kept any more.
    Close {
        /// Of which workload.
        workload: AgentName,
        /// The owner's epoch.
        epoch: u64,
    },
}

/// Begins or renews a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaOpen {
    /// Of which workload.
    pub workload: AgentName,
    /// The owner's epoch.
    pub epoch: u64,
    /// The owner.
    pub owner: MemberId,
    /// What lets it write here.
    pub ticket: Vec<u8>,
    /// What runs.
    pub job: Job,
}

/// The state as of a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaChange {
    /// What changed.
    pub files: Vec<ReplicaFile>,
    /// What is gone.
    pub removed: Vec<String>,
    /// All files are listed: others are to be removed.
    pub whole: bool,
}

/// One change of a second copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaWrite {
    /// Of which workload.
    pub workload: AgentName,
    /// The owner's epoch.
    pub epoch: u64,
    /// Grows within an epoch.
    pub version: u64,
    /// What changes.
    pub change: ReplicaChange,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaFile {
    /// Relative to the state directory.
    pub path: String,
    /// Where the bytes go.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Length of the file afterwards.
    pub length: u64,
}

/// The holder's answer, in the order of the writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAnswer {
    /// Of which workload.
    pub workload: AgentName,
    /// The owner's epoch.
    pub epoch: u64,
    /// Which write.
    pub version: u64,
    /// Why it was not written: a code of the proto.
    pub refused: Option<String>,
}
