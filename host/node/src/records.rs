//! How members, assignments, slots and policy state look in the store: JSON with a version, small and readable.
//!
//! core value <-> record <-> bytes. Keys: `members/ID`, `assignments/AGENT`, `slots/FAMILY/NAME`,
//! `history/FAMILY/NAME/NUMBER`, `state/FAMILY/NAME/…`, `folder/PATH`, `epochs/ended`, and those of
//! [`failover`] and [`trust`].
//!
//! Invariant: what a release wrote, every later one reads: fields are only added, with a default. Unknown fields are
//! kept out of memory but do not stop a start (a newer release may have written them).

pub(crate) mod assignment;
pub(crate) mod failover;
pub(crate) mod trust;

use std::collections::BTreeSet;

use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::{Member, MemberKind, Registration, Resources, Role};
use pilothouse_core::placement::ledger::Ledger;
use pilothouse_core::time::WallMs;
use pilothouse_store::Op;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A stored record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Not the JSON of this record.
    #[error("record `{key}` is not readable")]
    Malformed {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// JSON with a value that core refuses.
    #[error("record `{key}` has a bad value: {problem}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// Bytes of a record.
pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    // Records are plain structs with string keys; their serialisation cannot fail.
    serde_json::to_vec(record).unwrap_or_default()
}

/// A record from bytes.
///
/// # Errors
/// [`RecordError::Malformed`] names the key.
pub(crate) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(bytes).map_err(|source| RecordError::Malformed { key: key.to_owned(), source })
}

/// `members/ID`
#[must_use]
pub(crate) fn member_key(id: &MemberId) -> String {
    format!("members/{id}")
}

/// `assignments/AGENT`
#[must_use]
pub(crate) fn assignment_key(agent: &AgentName) -> String {
    format!("assignments/{agent}")
}

/// Newest ownership epoch that ended with its workload: a number.
pub(crate) const ENDED_EPOCH_KEY: &str = "epochs/ended";

/// Remembers the epochs of workloads that are removed in the same transaction.
pub(crate) fn put_ended_epoch(ledger: &Ledger) -> Op {
    Op::Put(ENDED_EPOCH_KEY.to_owned(), encode(&ledger.ended_epoch()))
}

/// A member: what must survive a restart. Load and status do not: members report again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    id: String,
    kind: String,
    endpoint: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    cluster: Option<String>,
    registered_role: String,
    role: String,
    capacity: u32,
    weight: f32,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    compliance: Vec<String>,
    #[serde(default)]
    accelerator_model: Option<String>,
    #[serde(default)]
    cost_per_hour: Option<f32>,
    #[serde(default)]
    carbon_g_per_kwh: Option<f32>,
    #[serde(default)]
    resources: [u32; 4],
    row: u32,
    #[serde(default)]
    draining: bool,
    registered_at_ms: u64,
    #[serde(default)]
    last_seen_ms: u64,
}

impl MemberRecord {
    /// The record of a member.
    #[must_use]
    pub(crate) fn of(member: &Member) -> Self {
        let registration = &member.registration;
        let names = |labels: &BTreeSet<Label>| labels.iter().map(ToString::to_string).collect();
        let known = |value: f32| (!value.is_nan()).then_some(value);
        Self {
            id: registration.id.to_string(),
            kind: kind_name(registration.kind).to_owned(),
            endpoint: registration.endpoint.clone(),
            hostname: registration.hostname.clone(),
            region: registration.region.as_ref().map(ToString::to_string),
            zone: registration.zone.as_ref().map(ToString::to_string),
            cluster: registration.cluster.as_ref().map(ToString::to_string),
            registered_role: role_name(registration.role).to_owned(),
            role: role_name(member.role).to_owned(),
            capacity: registration.capacity,
            weight: registration.weight,
            capabilities: names(&registration.capabilities),
            services: names(&registration.services),
            compliance: names(&registration.compliance),
            accelerator_model: registration.accelerator_model.as_ref().map(ToString::to_string),
            cost_per_hour: known(registration.cost_per_hour),
            carbon_g_per_kwh: known(registration.carbon_g_per_kwh),
            resources: [
                registration.resources.cpu_millis,
                registration.resources.memory_mib,
                registration.resources.storage_mib,
                registration.resources.accelerator_millis,
            ],
            row: member.row,
            draining: member.draining,
            registered_at_ms: member.registered_at.0,
            last_seen_ms: member.last_seen.0,
        }
    }

    /// The member, as after a restart: nothing is known of its load.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the key.
    pub(crate) fn into_member(self) -> Result<Member, RecordError> {
        let key = format!("members/{}", self.id);
        let bad = |problem: String| RecordError::Value { key: key.clone(), problem };
        let label = |text: &String| Label::parse(text).map_err(|error| bad(error.to_string()));
        let id = |text: &String| MemberId::parse(text).map_err(|error| bad(error.to_string()));
        let role = |text: &str| parse_role(text).ok_or_else(|| bad(format!("`{text}` is not a role")));
        let [cpu_millis, memory_mib, storage_mib, accelerator_millis] = self.resources;
        let registration = Registration {
            id: id(&self.id)?,
            kind: parse_kind(&self.kind).ok_or_else(|| bad(format!("`{}` is not a kind", self.kind)))?,
            endpoint: self.endpoint,
            hostname: self.hostname,
            region: self.region.as_ref().map(label).transpose()?,
            zone: self.zone.as_ref().map(label).transpose()?,
            cluster: self.cluster.as_ref().map(id).transpose()?,
            role: role(&self.registered_role)?,
            capacity: self.capacity,
            weight: self.weight,
            capabilities: self.capabilities.iter().map(label).collect::<Result<_, _>>()?,
            services: self.services.iter().map(label).collect::<Result<_, _>>()?,
            compliance: self.compliance.iter().map(label).collect::<Result<_, _>>()?,
            accelerator_model: self.accelerator_model.as_ref().map(label).transpose()?,
            cost_per_hour: self.cost_per_hour.unwrap_or(f32::NAN),
            carbon_g_per_kwh: self.carbon_g_per_kwh.unwrap_or(f32::NAN),
            resources: Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis },
        };
        Ok(Member {
            role: role(&self.role)?,
            registration,
            row: self.row,
            status: Default::default(),
            standing: Default::default(),
            draining: self.draining,
            health: Default::default(),
            load: Default::default(),
            assigned: 0,
            used: Resources::default(),
            granted: Default::default(),
            reported_at: None,
            registered_at: WallMs(self.registered_at_ms),
            last_seen: WallMs(self.last_seen_ms),
        })
    }
}

fn kind_name(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Cluster => "cluster",
        MemberKind::Node => "node",
        // Lives as long as its connection and is never stored.
        MemberKind::Orchestrator => "orchestrator",
    }
}

fn parse_kind(text: &str) -> Option<MemberKind> {
    [MemberKind::Cluster, MemberKind::Node].into_iter().find(|&kind| kind_name(kind) == text)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Worker => "worker",
        Role::Replica => "replica",
        Role::Standby => "standby",
    }
}

fn parse_role(text: &str) -> Option<Role> {
    [Role::Leader, Role::Worker, Role::Replica, Role::Standby]
        .into_iter()
        .find(|&role| role_name(role) == text)
}
