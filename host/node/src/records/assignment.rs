//! How an assignment and what it asks of its place look in the store.
//!
//! Invariant: as for all records, fields are only added, with a default. An assignment without terms (an agent that was
//! assigned by a release without them, or that asks for nothing) is read as one that asks for nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::assignment::Assignment;
use pilothouse_core::device::Devices;
use pilothouse_core::eligible::Requirement;
use pilothouse_core::id::{AgentName, IdError, Label, MemberId};
use pilothouse_core::member::Resources;
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::relation::{Relation, Rule, Scope};
use pilothouse_core::time::WallMs;
use serde::{Deserialize, Serialize};

use super::{RecordError, kind_name, parse_kind};

/// An assignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AssignmentRecord {
    agent: String,
    member: String,
    epoch: u64,
    assigned_at_ms: u64,
    #[serde(default)]
    terms: TermsRecord,
    /// Thousandths of each accelerator device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    devices: Vec<u16>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct TermsRecord {
    #[serde(skip_serializing_if = "is_default")]
    priority: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relations: Vec<RelationRecord>,
    #[serde(skip_serializing_if = "is_default")]
    needs: [u32; 4],
    #[serde(skip_serializing_if = "is_default")]
    requirement: RequirementRecord,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RelationRecord {
    rule: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    max_skew: u32,
    scope: String,
    hard: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct RequirementRecord {
    kind: Option<String>,
    cluster: Option<String>,
    capabilities: Vec<String>,
    preferred_capabilities: Vec<String>,
    services: Vec<String>,
    allowed_regions: Vec<String>,
    denied_regions: Vec<String>,
    allowed_zones: Vec<String>,
    denied_zones: Vec<String>,
    compliance: Vec<String>,
    accelerator_models: Vec<String>,
    latency_max_ms: Option<u32>,
    health_min_percent: u32,
    excluded: Vec<String>,
    source_region: Option<String>,
    source_zone: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

impl AssignmentRecord {
    /// The record of an assignment.
    pub(crate) fn of(assignment: &Assignment) -> Self {
        let Assignment { agent, member, epoch, assigned_at, terms, devices } = assignment;
        let last = devices.millis().iter().rposition(|&millis| millis > 0).map_or(0, |place| place + 1);
        Self {
            agent: agent.to_string(),
            member: member.to_string(),
            epoch: *epoch,
            assigned_at_ms: assigned_at.0,
            terms: TermsRecord::of(terms),
            devices: devices.millis().iter().copied().take(last).collect(),
        }
    }

    /// The assignment.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the key.
    pub(crate) fn into_assignment(self, key: &str) -> Result<Assignment, RecordError> {
        self.read().map_err(|problem| RecordError::Value { key: key.to_owned(), problem })
    }

    fn read(self) -> Result<Assignment, String> {
        Ok(Assignment {
            agent: AgentName::parse(&self.agent).map_err(text)?,
            member: MemberId::parse(&self.member).map_err(text)?,
            epoch: self.epoch,
            assigned_at: WallMs(self.assigned_at_ms),
            terms: Arc::new(self.terms.read()?),
            devices: Devices::new(self.devices),
        })
    }
}

impl TermsRecord {
    fn of(terms: &Terms) -> Self {
        let Terms { requirement, priority, group, relations } = terms;
        let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = requirement.needs;
        Self {
            priority: *priority,
            group: group.as_ref().map(ToString::to_string),
            relations: relations.iter().map(RelationRecord::of).collect(),
            needs: [cpu_millis, memory_mib, storage_mib, accelerator_millis],
            requirement: RequirementRecord::of(requirement),
        }
    }

    fn read(self) -> Result<Terms, String> {
        let [cpu_millis, memory_mib, storage_mib, accelerator_millis] = self.needs;
        let needs = Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis };
        Ok(Terms {
            requirement: self.requirement.read(needs)?,
            priority: self.priority,
            group: self.group.as_deref().map(label).transpose()?,
            relations: self.relations.into_iter().map(RelationRecord::read).collect::<Result<_, _>>()?,
        })
    }
}

impl RelationRecord {
    fn of(relation: &Relation) -> Self {
        let (rule, group, max_skew) = match &relation.rule {
            Rule::Together(group) => ("together", Some(group.to_string()), 0),
            Rule::Apart(group) => ("apart", Some(group.to_string()), 0),
            Rule::Spread { max_skew } => ("spread", None, *max_skew),
        };
        let scope = match relation.scope {
            Scope::Member => "member",
            Scope::Zone => "zone",
            Scope::Region => "region",
        };
        Self { rule: rule.to_owned(), group, max_skew, scope: scope.to_owned(), hard: relation.hard }
    }

    fn read(self) -> Result<Relation, String> {
        let group = self.group.as_deref().map(label).transpose()?;
        let rule = match (self.rule.as_str(), group) {
            ("together", Some(group)) => Rule::Together(group),
            ("apart", Some(group)) => Rule::Apart(group),
            ("spread", None) => Rule::Spread { max_skew: self.max_skew },
            (other, _) => return Err(format!("`{other}` is not a rule")),
        };
        let scope = match self.scope.as_str() {
            "member" => Scope::Member,
            "zone" => Scope::Zone,
            "region" => Scope::Region,
            other => return Err(format!("`{other}` is not a scope")),
        };
        Ok(Relation { rule, scope, hard: self.hard })
    }
}

impl RequirementRecord {
    fn of(requirement: &Requirement) -> Self {
        // Rows are of one snapshot and never stored; needs are stored beside this.
        let Requirement { kind, cluster, capabilities, preferred_capabilities, services, .. } = requirement;
        let Requirement { allowed_regions, denied_regions, allowed_zones, denied_zones, .. } = requirement;
        let Requirement { compliance, accelerator_models, excluded, source_region, source_zone, .. } =
            requirement;
        Self {
            kind: kind.map(|kind| kind_name(kind).to_owned()),
            cluster: cluster.as_ref().map(ToString::to_string),
            capabilities: texts(capabilities),
            preferred_capabilities: texts(preferred_capabilities),
            services: texts(services),
            allowed_regions: texts(allowed_regions),
            denied_regions: texts(denied_regions),
            allowed_zones: texts(allowed_zones),
            denied_zones: texts(denied_zones),
            compliance: texts(compliance),
            accelerator_models: texts(accelerator_models),
            latency_max_ms: requirement.latency_max_ms,
            health_min_percent: requirement.health_min_percent,
            excluded: texts(excluded),
            source_region: source_region.as_ref().map(ToString::to_string),
            source_zone: source_zone.as_ref().map(ToString::to_string),
        }
    }

    fn read(self, needs: Resources) -> Result<Requirement, String> {
        let member = |id: &String| MemberId::parse(id).map_err(text);
        let kind = |name: &str| parse_kind(name).ok_or_else(|| format!("`{name}` is not a kind"));
        Ok(Requirement {
            with_peers: false,
            kind: self.kind.as_deref().map(kind).transpose()?,
            cluster: self.cluster.as_ref().map(member).transpose()?,
            capabilities: labels(&self.capabilities)?,
            preferred_capabilities: labels(&self.preferred_capabilities)?,
            services: labels(&self.services)?,
            allowed_regions: labels(&self.allowed_regions)?,
            denied_regions: labels(&self.denied_regions)?,
            allowed_zones: labels(&self.allowed_zones)?,
            denied_zones: labels(&self.denied_zones)?,
            compliance: labels(&self.compliance)?,
            accelerator_models: labels(&self.accelerator_models)?,
            latency_max_ms: self.latency_max_ms,
            health_min_percent: self.health_min_percent,
            within: None,
            excluded: self.excluded.iter().map(member).collect::<Result<_, _>>()?,
            needs,
            source_region: self.source_region.as_deref().map(label).transpose()?,
            source_zone: self.source_zone.as_deref().map(label).transpose()?,
        })
    }
}

fn text(error: IdError) -> String {
    error.to_string()
}

fn label(name: &str) -> Result<Label, String> {
    Label::parse(name).map_err(text)
}

fn labels(names: &[String]) -> Result<BTreeSet<Label>, String> {
    names.iter().map(|name| label(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_comes_back_with_its_terms_and_one_without_terms_asks_for_nothing() {
        let set = |name: &str| BTreeSet::from([label(name).unwrap()]);
        let requirement = Requirement {
            with_peers: false,
            kind: parse_kind("node"),
            cluster: Some(MemberId::parse("c").unwrap()),
            capabilities: set("gpu"),
            preferred_capabilities: set("ssd"),
            services: set("web"),
            allowed_regions: set("eu"),
            denied_regions: set("us"),
            allowed_zones: set("a"),
            denied_zones: set("b"),
            compliance: set("gdpr"),
            accelerator_models: set("A100"),
            latency_max_ms: Some(50),
            health_min_percent: 80,
            within: None,
            excluded: BTreeSet::from([MemberId::parse("x").unwrap()]),
            needs: Resources { cpu_millis: 1, memory_mib: 2, storage_mib: 3, accelerator_millis: 4 },
            source_region: Some(label("eu").unwrap()),
            source_zone: Some(label("a").unwrap()),
        };
        let relation = |rule, scope, hard| Relation { rule, scope, hard };
        let relations = vec![
            relation(Rule::Together(label("db").unwrap()), Scope::Region, true),
            relation(Rule::Apart(label("web").unwrap()), Scope::Member, false),
            relation(Rule::Spread { max_skew: 2 }, Scope::Zone, true),
        ];
        let group = Some(label("web").unwrap());
        let terms = Arc::new(Terms { requirement, priority: -3, group, relations });
        let (agent, member) = (AgentName::parse("w").unwrap(), MemberId::parse("m").unwrap());
        let full = Assignment {
            agent,
            member,
            epoch: 7,
            assigned_at: WallMs(9),
            terms,
            devices: Devices::new([0, 400]),
        };
        let plain = Assignment { terms: Arc::default(), ..full.clone() };
        for assignment in [full, plain] {
            let bytes = super::super::encode(&AssignmentRecord::of(&assignment));
            let record: AssignmentRecord = super::super::decode("k", &bytes).unwrap();
            assert_eq!(record.into_assignment("k").unwrap(), assignment);
        }
        let old = br#"{"agent":"w","member":"m","epoch":1,"assigned_at_ms":2}"#;
        let record: AssignmentRecord = super::super::decode("k", old).unwrap();
        assert_eq!(*record.into_assignment("k").unwrap().terms, Terms::default());
    }
}
