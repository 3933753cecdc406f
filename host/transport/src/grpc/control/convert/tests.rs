//! Laws of the conversions: what was told can be asked again and means the same.
//!
//! arbitrary values of core -> message -> bytes -> message -> body -> core
//!
//! Invariant tested: every field that travels in both directions survives; the bytes are protobuf's own.

use std::collections::BTreeSet;

use pilothouse_core::eligible::Requirement;
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::{MemberKind, Resources};
use pilothouse_core::placement::Terms;
use pilothouse_core::placement::relation::{Relation, Rule, Scope};
use pilothouse_core::scaling::GroupSpec;
use pilothouse_proto::pilothouse as wire;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::group::{group_in, group_out};
use super::place::{bulk_in, place_in};
use super::terms::terms_out;
use crate::service::GroupInfo;
use crate::service::group::GroupDefaults;
use crate::service::placement::{Hold, PlaceQuery};

/// Through protobuf's bytes, as between two processes.
fn sent<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn label() -> impl Strategy<Value = Label> {
    "[a-z][a-z0-9.-]{0,8}[a-z0-9]".prop_map(|text| Label::parse(&text).unwrap())
}

fn labels() -> impl Strategy<Value = BTreeSet<Label>> {
    btree_set(label(), 0..3)
}

fn member_id() -> impl Strategy<Value = MemberId> {
    "[a-z][a-z0-9-]{0,8}".prop_map(|text| MemberId::parse(&text).unwrap())
}

fn resources() -> impl Strategy<Value = Resources> {
    any::<[u32; 4]>().prop_map(|[cpu_millis, memory_mib, storage_mib, accelerator_millis]| Resources {
        cpu_millis,
        memory_mib,
        storage_mib,
        accelerator_millis,
    })
}

prop_compose! {
    fn requirement()(
        (kind, cluster, excluded) in (
            prop_oneof![Just(None), Just(Some(MemberKind::Cluster)), Just(Some(MemberKind::Node))],
            option::of(member_id()),
            btree_set(member_id(), 0..3),
        ),
        (capabilities, preferred_capabilities, services) in (labels(), labels(), labels()),
        (allowed_regions, denied_regions) in (labels(), labels()),
        (allowed_zones, denied_zones) in (labels(), labels()),
        (compliance, accelerator_models) in (labels(), labels()),
        (latency_max_ms, health_min_percent) in (option::of(any::<u32>()), any::<u32>()),
        (source_region, source_zone) in (option::of(label()), option::of(label())),
        needs in resources(),
    ) -> Requirement {
        Requirement {
            with_peers: false,
            kind, cluster, excluded, capabilities, preferred_capabilities, services, allowed_regions,
            denied_regions, allowed_zones, denied_zones, compliance, accelerator_models, latency_max_ms,
            health_min_percent, source_region, source_zone, needs, within: None,
        }
    }
}

fn relation() -> impl Strategy<Value = Relation> {
    let rule = prop_oneof![
        label().prop_map(Rule::Together),
        label().prop_map(Rule::Apart),
        (1..u32::MAX).prop_map(|max_skew| Rule::Spread { max_skew }),
    ];
    let scope = prop_oneof![Just(Scope::Member), Just(Scope::Zone), Just(Scope::Region)];
    (rule, scope, any::<bool>()).prop_map(|(rule, scope, hard)| Relation { rule, scope, hard })
}

fn terms() -> impl Strategy<Value = Terms> {
    (requirement(), any::<i32>(), option::of(label()), vec(relation(), 0..4)).prop_map(
        |(requirement, priority, group, relations)| Terms { requirement, priority, group, relations },
    )
}

prop_compose! {
    fn spec()(
        (name, strategy, region, service) in
            (label(), option::of(label()), option::of(label()), option::of(label())),
        [min_replicas, max_replicas, period_ms, start_ms, step_up_max, step_down_max] in any::<[u32; 6]>(),
        (cooldown_ms, confidence_min) in (any::<u64>(), 0.0_f32..=1.0),
    ) -> GroupSpec {
        GroupSpec {
            name, strategy, region, service, min_replicas, max_replicas, period_ms, start_ms, step_up_max,
            step_down_max, cooldown_ms, confidence_min,
        }
    }
}

/// The request that makes a group like one that was told.
fn again(told: wire::Group) -> wire::PutGroupRequest {
    wire::PutGroupRequest {
        name: told.name,
        min_replicas: Some(told.min_replicas),
        max_replicas: Some(told.max_replicas),
        replicas: Some(told.replicas),
        period_ms: Some(told.period_ms),
        start_ms: Some(told.start_ms),
        cooldown_ms: Some(told.cooldown_ms),
        step_up_max: Some(told.step_up_max),
        step_down_max: Some(told.step_down_max),
        confidence_min: Some(told.confidence_min),
        region: told.region,
        service: told.service,
        strategy: told.strategy,
    }
}

fn parsed(message: wire::PlaceRequest) -> Result<PlaceQuery, String> {
    place_in(sent(&message)).and_then(|body| body.parse()).map_err(|problem| problem.parts().1)
}

proptest! {
    #[test]
    fn terms_that_were_told_can_be_asked_again(terms in terms()) {
        let message = wire::PlaceRequest { terms: Some(terms_out(&terms)), ..Default::default() };
        prop_assert_eq!(parsed(message).unwrap().terms, terms);
    }

    #[test]
    fn a_group_that_was_told_can_be_made_again(spec in spec(), replicas in any::<u32>()) {
        let info = GroupInfo {
            spec: spec.clone(),
            replicas,
            places: Vec::new(),
            unplaced: 0,
            changed_ms_ago: None,
            sampled_ms_ago: None,
            decided_ms_ago: None,
            samples: 0,
            last: String::new(),
        };
        let body = group_in(again(sent(&group_out(info))));
        let made = body.parse(GroupDefaults::default()).map_err(|problem| problem.parts().1);
        prop_assert_eq!(made, Ok((spec, Some(replicas))));
    }

    #[test]
    fn what_is_to_happen_with_a_place_survives(
        strategy in option::of("[a-z-]{1,12}"),
        alternatives in any::<u32>(),
        preempt in any::<bool>(),
        hold in prop_oneof![
            Just(Hold::Nothing),
            any::<u64>().prop_map(|ttl_ms| Hold::Reserve { ttl_ms }),
            "[a-z][a-z0-9-]{0,8}".prop_map(|name| Hold::Assign(AgentName::parse(&name).unwrap())),
        ],
    ) {
        use wire::place_request::Hold as Wire;
        let message = wire::PlaceRequest {
            terms: None,
            strategy: strategy.clone().unwrap_or_default(),
            alternatives,
            preempt,
            hold: match &hold {
                Hold::Nothing => None,
                Hold::Reserve { ttl_ms } => Some(Wire::ReserveMs(*ttl_ms)),
                Hold::Assign(name) => Some(Wire::Workload(name.to_string())),
            },
        };
        let query = parsed(message).unwrap();
        prop_assert_eq!(query.terms.requirement.kind, Some(MemberKind::Cluster), "the default");
        prop_assert_eq!((query.strategy, query.alternatives), (strategy, alternatives));
        prop_assert_eq!((query.hold, query.preempt), (hold, preempt));
    }
}

#[test]
fn a_relation_of_an_unknown_kind_is_refused_by_its_field() {
    for (rule, scope, field) in
        [(0, 1, "relations.rule"), (99, 1, "relations.rule"), (1, 0, "relations.scope")]
    {
        let relation = wire::Relation { rule, scope, group: "web".to_owned(), max_skew: None, soft: false };
        let terms = wire::Terms { relations: vec![relation], ..Default::default() };
        let said = parsed(wire::PlaceRequest { terms: Some(terms), ..Default::default() }).unwrap_err();
        assert!(said.contains(field), "{said}");
    }
}

#[test]
fn a_bulk_item_is_as_many_workloads_as_it_says_and_one_if_it_says_nothing() {
    use wire::place_request::Hold;
    let named = |name: &str| {
        Some(wire::PlaceRequest { hold: Some(Hold::Workload(name.to_owned())), ..Default::default() })
    };
    let workloads = vec![
        wire::BulkWorkload { workload: named("web"), count: 2 },
        wire::BulkWorkload { workload: named("db"), count: 0 },
        wire::BulkWorkload { workload: None, count: 1 },
    ];
    let body =
        bulk_in(wire::PlaceBulkRequest { workloads, whole: true }).map_err(|problem| problem.parts().1);
    let body = body.unwrap();
    assert!(body.whole);
    let (queries, names) = body.parse().map_err(|problem| problem.parts().1).unwrap();
    let names: Vec<&str> = names.iter().map(|name| name.as_deref().unwrap_or("-")).collect();
    assert_eq!((queries.len(), names), (4, vec!["web-1", "web-2", "db", "-"]));
}
