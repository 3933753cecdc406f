//! The port that the transport needs: what a control plane can be asked, in core's words.
//!
//! Invariant: reads and decisions answer at once; what must be durable answers with a future that resolves after it is. No
//! wire format is known here.

pub mod failover;
pub mod group;
pub mod placement;
pub mod region;
pub mod rtt;
pub mod trust;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::eligible::{NoneEligible, Requirement};
use pilothouse_core::event::Event;
use pilothouse_core::id::{AgentName, DecisionId, Digest, KeyName, Label, MemberId};
use pilothouse_core::member::{LoadReport, Member, MemberKind, Registration};
use pilothouse_core::policy::fault::FaultKind;
use pilothouse_core::policy::request::ScalingSample;
use pilothouse_core::policy::{Description, Family, Usage};
use pilothouse_core::registry::{Recommendation, Stats};
use pilothouse_core::scaling::{GroupSpec, Place};
use pilothouse_core::slot::{Candidate, HistoryEntry, Revision, RevisionId, SlotId};
use pilothouse_core::time::WallMs;
use pilothouse_core::trust::Standing;
use tokio::sync::broadcast;

use crate::orchestrator::port::Federation;

/// An answer that comes when it is durable.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ServiceError>> + Send>>;

/// Why a request was not done; a variant per decision of the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// It does not exist; look at the list.
    #[error("{what} `{name}` does not exist")]
    NotFound {
        /// `node`, `cluster`, `slot`, `policy`, `agent`, `decision`.
        what: &'static str,
        /// The name given.
        name: String,
    },
    /// It contradicts something that exists.
    #[error("{0}")]
    Conflict(String),
    /// A field is wrong.
    #[error("`{field}`: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Nobody can take it; wait or ask for less.
    #[error("{}", none_eligible(.0))]
    NoneEligible(NoneEligible),
    /// Everybody who could take it is full; try again later.
    #[error("every eligible member is at capacity or behind an open breaker; try again later")]
    Full,
    /// The policy declined.
    #[error("policy `{policy}` declined: {reason}")]
    Declined {
        /// The policy.
        policy: String,
        /// Its reason.
        reason: String,
    },
    /// A policy was refused; the text says why and what to do.
    #[error("the policy was refused: {0}")]
    PolicyRefused(String),
    /// Others were faster every time; try again.
    #[error("others took the chosen places first, {tries} times in a row; try again")]
    Contended {
        /// How often it was tried.
        tries: usize,
    },
    /// The host has too much to do.
    #[error("the server is busy; try again")]
    Busy,
    /// Writes fail; reads and decisions still work.
    #[error("nothing can be stored: {0}")]
    StoreFailed(String),
    /// The operator did not switch it on.
    #[error("{0}")]
    Disabled(&'static str),
    /// A fault that was put on the member on purpose swallowed it.
    #[error("lost on purpose: chaos is put on `{0}`")]
    Injected(MemberId),
    /// Not in this release.
    #[error("{0}")]
    Unimplemented(&'static str),
}

fn none_eligible(none: &NoneEligible) -> String {
    if none.members == 0 {
        return "no members are registered".to_owned();
    }
    let cut: Vec<String> =
        none.cut.iter().map(|(filter, count)| format!("{filter:?} cut {count}").to_lowercase()).collect();
    let unknown = match none.unknown_names.as_slice() {
        [] => String::new(),
        names => format!("; nobody has ever had {}", names.join(", ")),
    };
    format!("none of {} members is eligible: {}{unknown}", none.members, cut.join(", "))
}

/// A question for a member.
#[derive(Debug, Clone, Default)]
pub struct RouteQuery {
    /// What it demands.
    pub requirement: Requirement,
    /// The strategy, if not the default one.
    pub strategy: Option<String>,
    /// Session key.
    pub session: Option<String>,
    /// How many alternatives to rank.
    pub alternatives: u32,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: WallMs,
    /// Slot that answered.
    pub slot: SlotId,
    /// Who was chosen.
    pub member: MemberId,
    /// Where requests go.
    pub endpoint: String,
    /// Its region.
    pub region: Option<String>,
    /// Score by the policy.
    pub score: f32,
    /// Names and values of the score's parts, if alternatives were asked for.
    pub factors: Vec<(String, f32)>,
    /// The policy's reason.
    pub reason: String,
    /// The policy; `native` = the host's own choice.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// Its revision.
    pub revision: Option<RevisionId>,
    /// Generation of the slot.
    pub generation: u64,
    /// Which link of the fallback chain answered.
    pub link: &'static str,
    /// Faults of the links before.
    pub faults: Vec<String>,
    /// How many were eligible.
    pub eligible: u32,
    /// Epoch of the snapshot.
    pub epoch: u64,
    /// Randomness of the decision.
    pub seed: u64,
    /// Time it took, ns.
    pub took_ns: u64,
    /// Ranked alternatives.
    pub alternatives: Vec<Alternative>,
}

/// A ranked member.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// Who.
    pub member: MemberId,
    /// Score.
    pub score: f32,
    /// Names and values of its parts.
    pub factors: Vec<(String, f32)>,
}

/// A flow that needs a way.
#[derive(Debug, Clone, Default)]
pub struct FlowQuery {
    /// Where it comes from, and what its targets must have.
    pub requirement: Requirement,
    /// The strategy, if not the default one.
    pub strategy: Option<String>,
    /// 0 = most urgent .. 7 = scavenger.
    pub traffic_class: u8,
    /// Wanted round-trip time, ms; 0 = no wish.
    pub latency_goal_ms: f32,
}

/// Where a flow goes.
#[derive(Debug, Clone)]
pub struct FlowRoute {
    /// Slot that answered.
    pub slot: SlotId,
    /// Members with their share, 0..1; shares sum to 1.
    pub targets: Vec<(FlowTarget, f64)>,
    /// Who takes over, in order.
    pub fallbacks: Vec<FlowTarget>,
    /// How long the answer may be reused, ms.
    pub ttl_ms: u32,
    /// The policy's reason.
    pub reason: String,
    /// The policy; `native` = the host's own choice.
    pub policy: String,
    /// Generation of the slot.
    pub generation: u64,
    /// Which link of the fallback chain answered.
    pub link: &'static str,
    /// Faults of the links before.
    pub faults: Vec<String>,
    /// How many were eligible.
    pub eligible: u32,
    /// Time it took, ns.
    pub took_ns: u64,
}

/// A member on the way of a flow.
#[derive(Debug, Clone)]
pub struct FlowTarget {
    /// Who.
    pub member: MemberId,
    /// Where requests go.
    pub endpoint: String,
    /// Its region.
    pub region: Option<String>,
    /// Expected round-trip time, ms; NaN = unknown.
    pub rtt_ms: f32,
}

/// A policy that the host knows.
#[derive(Debug, Clone)]
pub struct PolicyInfo {
    /// Digest of the component.
    pub digest: Digest,
    /// Its family.
    pub family: Family,
    /// What it says of itself.
    pub description: Description,
    /// Size, bytes.
    pub size_bytes: usize,
    /// Where it came from.
    pub origin: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether it ships with the host.
    pub builtin: bool,
    /// What it stands on.
    pub standing: Standing,
}

/// How a slot is.
#[derive(Debug, Clone)]
pub struct SlotInfo {
    /// Its id.
    pub id: SlotId,
    /// Counts exchanges.
    pub generation: u64,
    /// What serves.
    pub active: Option<Revision>,
    /// What that stands on.
    pub standing: Option<Standing>,
    /// What served before.
    pub previous: Option<Revision>,
    /// What is on its way.
    pub candidate: Option<Candidate>,
    /// Workers that serve the active revision, of how many.
    pub serving: (usize, usize),
    /// Who is in quarantine, and for how long still, ms.
    pub quarantined: Vec<(RevisionId, u64)>,
    /// Answers by link of the chain.
    pub answers: Vec<(&'static str, u64)>,
    /// Faults of the active revision.
    pub faults: Vec<(FaultKind, u64)>,
    /// What the active revision used.
    pub usage: Usage,
}

/// A count by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This many.
    Exactly(u32),
    /// So many more, or fewer.
    By(i64),
}

/// How a scaling group is.
#[derive(Debug, Clone)]
pub struct GroupInfo {
    /// What an operator said.
    pub spec: GroupSpec,
    /// Replicas wanted.
    pub replicas: u32,
    /// Where they should be.
    pub places: Vec<Place>,
    /// Replicas for which there is no room.
    pub unplaced: u32,
    /// How long ago the count changed, ms.
    pub changed_ms_ago: Option<u64>,
    /// How long ago a decision last ended, with or without advice, ms.
    pub decided_ms_ago: Option<u64>,
    /// How old the newest sample is, ms.
    pub sampled_ms_ago: Option<u64>,
    /// Samples in the window.
    pub samples: usize,
    /// What happened at the last decision, for people.
    pub last: String,
}

/// A wish for a revision.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The slot.
    pub slot: SlotId,
    /// Name or digest of the policy.
    pub policy: String,
    /// Settings, JSON text.
    pub settings: String,
    /// Even if it is in quarantine.
    pub force: bool,
    /// A signature file that vouches for it, if it did not come with one.
    pub signature: Option<String>,
    /// Even if a newer version of it, signed by a trusted key, was active in the slot.
    pub allow_downgrade: bool,
    /// Who asks.
    pub by: String,
}

/// A component on its way in.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The `.wasm` itself.
    pub bytes: bytes::Bytes,
    /// The signature file that vouches for it.
    pub signature: Option<Vec<u8>>,
    /// The registry it was pulled from, as `REGISTRY/NAME@sha256:…`.
    pub source: Option<String>,
}

/// The server itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Name of this node.
    pub node_id: MemberId,
    /// Version of the program.
    pub version: &'static str,
    /// How long it runs, ms.
    pub uptime_ms: u64,
    /// Counts starts.
    pub boot: u32,
    /// Epoch of the newest snapshot.
    pub epoch: u64,
}

/// What a control plane can be asked.
pub trait ControlPlane: placement::PlacementPlane + failover::FailoverPlane + Send + Sync + 'static {
    /// Who answers.
    fn identity(&self) -> Identity;
    /// Whether it can take requests; the text says why not.
    ///
    /// # Errors
    /// Why it is not ready.
    fn ready(&self) -> Result<(), String>;
    /// Prometheus text.
    fn metrics(&self) -> String;

    /// Members of a kind, by id.
    fn members(&self, kind: Option<MemberKind>) -> Vec<Member>;
    /// One member.
    fn member(&self, id: &MemberId) -> Option<Member>;
    /// Sums over a kind.
    fn stats(&self, kind: MemberKind) -> Stats;
    /// The leader among nodes.
    fn leader(&self) -> Option<Member>;
    /// Registers or updates.
    fn register(&self, registration: Registration) -> Pending<Member>;
    /// Removes.
    fn unregister(&self, id: MemberId) -> Pending<()>;
    /// Takes a report.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn report(&self, id: &MemberId, report: &LoadReport) -> Result<Recommendation, ServiceError>;
    /// Takes the result of work.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn outcome(&self, id: &MemberId, success: bool) -> Result<(), ServiceError>;
    /// Stops or resumes new work.
    fn drain(&self, id: MemberId, draining: bool) -> Pending<Member>;
    /// Makes a node the leader.
    fn promote(&self, id: MemberId) -> Pending<()>;

    /// Which member takes this task?
    ///
    /// # Errors
    /// [`ServiceError`].
    fn route(&self, query: &RouteQuery) -> Result<Decided, ServiceError>;
    /// Which members serve this flow?
    ///
    /// # Errors
    /// [`ServiceError`].
    fn route_flow(&self, query: &FlowQuery) -> Result<FlowRoute, ServiceError>;
    /// Newest decisions first.
    fn decisions(&self, limit: usize) -> Vec<Decided>;
    /// One decision that is still kept.
    fn decision(&self, id: DecisionId) -> Option<Decided>;

    /// Assigns an agent to a node.
    fn assign(&self, agent: AgentName, query: RouteQuery) -> Pending<Assignment>;
    /// Takes it off.
    fn unassign(&self, agent: AgentName) -> Pending<Assignment>;
    /// Where it is.
    fn assignment(&self, agent: &AgentName) -> Option<Assignment>;
    /// All of them.
    fn assignments(&self) -> Vec<Assignment>;

    /// All slots.
    fn slots(&self) -> Vec<SlotInfo>;
    /// One slot.
    fn slot(&self, id: &SlotId) -> Option<SlotInfo>;
    /// What happened to a slot, oldest first.
    fn history(&self, id: &SlotId) -> Option<Vec<HistoryEntry>>;
    /// All policies.
    fn policies(&self) -> Vec<Arc<PolicyInfo>>;
    /// Loads a component.
    fn load(&self, upload: Upload) -> Pending<Arc<PolicyInfo>>;
    /// Makes a revision active; answers when every worker serves it.
    fn activate(&self, activation: Activation) -> Pending<SlotInfo>;
    /// Brings the one before back.
    fn roll_back(&self, slot: SlotId, by: String) -> Pending<SlotInfo>;
    /// Keys whose signatures count, and those that no longer do.
    fn keys(&self) -> Vec<trust::KeyInfo>;
    /// Adds a key.
    fn add_key(&self, name: KeyName, public_key: String, by: String) -> Pending<trust::KeyInfo>;
    /// Ends a key.
    fn revoke_key(&self, name: KeyName, reason: String, by: String) -> Pending<trust::KeyInfo>;

    /// All scaling groups.
    fn groups(&self) -> Vec<GroupInfo>;
    /// One scaling group.
    fn group(&self, name: &Label) -> Option<GroupInfo>;
    /// What a new group takes for what is left out.
    fn group_defaults(&self) -> group::GroupDefaults;
    /// Makes a group, or changes one; `replicas` is where a new one starts.
    fn put_group(&self, spec: GroupSpec, replicas: Option<u32>) -> Pending<GroupInfo>;
    /// Forgets a group.
    fn remove_group(&self, name: Label) -> Pending<()>;
    /// Takes what was measured of a group.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn sample_group(&self, name: &Label, sample: ScalingSample) -> Result<(), ServiceError>;
    /// Sets the count by hand, within the group's limits.
    fn scale_group(&self, name: Label, wanted: Wanted) -> Pending<GroupInfo>;

    /// What is known of ways from regions to members.
    fn round_trips(&self, filter: &rtt::RttFilter) -> Vec<rtt::RttInfo>;
    /// Takes a try to reach a member.
    ///
    /// # Errors
    /// [`ServiceError`].
    fn sample_rtt(&self, sample: &rtt::RttSample) -> Result<(), ServiceError>;
    /// All regions, by name.
    fn regions(&self) -> Vec<region::RegionInfo>;
    /// How far regions are from each other, or one from the others.
    fn lags(&self, from: Option<&Label>) -> Vec<region::Lag>;
    /// The federation of orchestrators.
    fn federation(&self) -> Arc<dyn Federation>;

    /// Events after a number; the flag says that some are no longer kept.
    fn events_since(&self, sequence: u64, limit: usize) -> (Vec<Event>, bool);
    /// Events from now on.
    fn subscribe(&self) -> broadcast::Receiver<Event>;
}
