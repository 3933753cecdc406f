//! What a workload asks of its place.
//!
//! Invariant: terms that were told can be asked again: `terms_in(terms_out(t))` parses to `t`. Rows that relations leave
//! (`within`) are the host's own and never travel.

use pilothouse_core::eligible::Requirement;
use pilothouse_core::member::{MemberKind, Resources};
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::relation::{Relation, Rule, Scope};
use pilothouse_proto::pilothouse as wire;

use super::{given, text, texts};
use crate::rest::error::Problem;
use crate::rest::v1::members::ResourcesBody;
use crate::rest::v1::placements::{PlaceBody, RelationBody, RuleBody, ScopeBody};
use crate::rest::v1::requirement::RequirementBody;
use crate::service::ServiceError;

pub(super) fn requirement_in(message: wire::Requirement) -> RequirementBody {
    let wire::Requirement {
        kind,
        cluster,
        required_capabilities,
        preferred_capabilities,
        services,
        allowed_regions,
        denied_regions,
        allowed_zones,
        denied_zones,
        compliance,
        accelerator_models,
        max_latency_ms,
        min_health,
        excluded,
        preferred_region,
        source_zone,
    } = message;
    RequirementBody {
        kind: given(kind),
        cluster: given(cluster),
        required_capabilities,
        preferred_capabilities,
        services,
        allowed_regions,
        denied_regions,
        allowed_zones,
        denied_zones,
        compliance,
        accelerator_models,
        max_latency_ms,
        min_health,
        excluded,
        preferred_region: given(preferred_region),
        source_zone: given(source_zone),
    }
}

/// The requirement, and its resources, which travel beside it.
fn requirement_out(requirement: &Requirement) -> (wire::Requirement, Resources) {
    let Requirement {
        kind,
        cluster,
        capabilities,
        preferred_capabilities,
        services,
        allowed_regions,
        denied_regions,
        allowed_zones,
        denied_zones,
        compliance,
        accelerator_models,
        latency_max_ms,
        health_min_percent,
        within: _,
        // Peers are asked by the host itself only.
        with_peers: _,
        excluded,
        needs,
        source_region,
        source_zone,
    } = requirement;
    let kind = match kind {
        None => "any",
        Some(MemberKind::Cluster) => "cluster",
        Some(MemberKind::Node) => "node",
        Some(MemberKind::Orchestrator) => "orchestrator",
    };
    let message = wire::Requirement {
        kind: kind.to_owned(),
        cluster: text(cluster.as_ref()),
        required_capabilities: texts(capabilities),
        preferred_capabilities: texts(preferred_capabilities),
        services: texts(services),
        allowed_regions: texts(allowed_regions),
        denied_regions: texts(denied_regions),
        allowed_zones: texts(allowed_zones),
        denied_zones: texts(denied_zones),
        compliance: texts(compliance),
        accelerator_models: texts(accelerator_models),
        max_latency_ms: *latency_max_ms,
        min_health: *health_min_percent,
        excluded: texts(excluded),
        preferred_region: text(source_region.as_ref()),
        source_zone: text(source_zone.as_ref()),
    };
    (message, *needs)
}

fn resources_in(message: wire::Resources) -> ResourcesBody {
    let wire::Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = message;
    ResourcesBody { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

fn resources_out(resources: Resources) -> wire::Resources {
    let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } = resources;
    wire::Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis }
}

fn relation_in(message: wire::Relation) -> Result<RelationBody, Problem> {
    let missing = |field: &str| {
        let problem = "name one; numbers of a newer version are not known here".to_owned();
        ServiceError::Invalid { field: format!("relations.{field}"), problem }
    };
    let rule = match message.rule() {
        wire::RelationRule::Unspecified => return Err(missing("rule").into()),
        wire::RelationRule::Together => RuleBody::Together,
        wire::RelationRule::Apart => RuleBody::Apart,
        wire::RelationRule::Spread => RuleBody::Spread,
    };
    let scope = match message.scope() {
        wire::RelationScope::Unspecified => return Err(missing("scope").into()),
        wire::RelationScope::Member => ScopeBody::Member,
        wire::RelationScope::Zone => ScopeBody::Zone,
        wire::RelationScope::Region => ScopeBody::Region,
    };
    let wire::Relation { rule: _, scope: _, group, max_skew, soft } = message;
    Ok(RelationBody { rule, group: given(group), max_skew, scope, hard: !soft })
}

fn relation_out(relation: &Relation) -> wire::Relation {
    let Relation { rule, scope, hard } = relation;
    let (rule, group, max_skew) = match rule {
        Rule::Together(group) => (wire::RelationRule::Together, group.to_string(), None),
        Rule::Apart(group) => (wire::RelationRule::Apart, group.to_string(), None),
        Rule::Spread { max_skew } => (wire::RelationRule::Spread, String::new(), Some(*max_skew)),
    };
    let scope = match scope {
        Scope::Member => wire::RelationScope::Member,
        Scope::Zone => wire::RelationScope::Zone,
        Scope::Region => wire::RelationScope::Region,
    };
    wire::Relation { rule: rule.into(), scope: scope.into(), group, max_skew, soft: !hard }
}

/// A request that asks for a place with these terms and nothing else.
pub(super) fn terms_in(message: wire::Terms) -> Result<PlaceBody, Problem> {
    let wire::Terms { requirement, needs, priority, group, relations } = message;
    Ok(PlaceBody {
        needs: resources_in(needs.unwrap_or_default()),
        priority,
        group: given(group),
        relations: relations.into_iter().map(relation_in).collect::<Result<_, _>>()?,
        requirement: requirement_in(requirement.unwrap_or_default()),
        ..PlaceBody::default()
    })
}

pub(super) fn terms_out(terms: &Terms) -> wire::Terms {
    let Terms { requirement, priority, group, relations } = terms;
    let (requirement, needs) = requirement_out(requirement);
    wire::Terms {
        requirement: Some(requirement),
        needs: Some(resources_out(needs)),
        priority: *priority,
        group: text(group.as_ref()),
        relations: relations.iter().map(relation_out).collect(),
    }
}
