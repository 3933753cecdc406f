//! Hard constraints against a brute-force oracle, with a hostile policy: random small federations, random demands.
//!
//! case (from its number) -> host's path (narrow, resolve, advice, guardrail, commit) | oracle (plain loops) -> must agree
//!
//! Invariant tested: nothing is committed that the oracle forbids, nothing is refused that it permits, and the books never
//! exceed a total. The oracle shares no code with the host; ranking is not judged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::guardrail;
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::member::{Health, LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::placement::ledger::Ledger;
use pilothouse_core::placement::relation::{Relation, Rule, Scope};
use pilothouse_core::placement::{Terms, commit};
use pilothouse_core::policy::request::Choice;
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

const CASES: u64 = 120_000;
const NOW: Now = Now(1_000);
/// Measured round trips between regions 0, 1 and 2, ms.
const RTT_MS: [[u32; 3]; 3] = [[1, 30, 80], [30, 1, 200], [80, 200, 1]];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn some<T>(&mut self, one_in: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(one_in).then(|| value(self))
    }

    fn small(&mut self, bound: u64) -> u32 {
        u32::try_from(self.below(bound)).unwrap()
    }

    /// A few of `prefix-0 .. prefix-2`.
    fn labels(&mut self, prefix: &str, one_in: u64) -> BTreeSet<Label> {
        (0..3).filter(|_| self.one_in(one_in)).map(|number| label(prefix, number)).collect()
    }
}

fn label(prefix: &str, number: u64) -> Label {
    Label::parse(&format!("{prefix}-{number}")).unwrap()
}

fn member(index: usize) -> MemberId {
    MemberId::parse(&format!("m{index}")).unwrap()
}

/// A member as the oracle sees it.
struct Plain {
    registration: Registration,
    draining: bool,
    unhealthy: bool,
    healthy: bool,
    latency_ms: Option<f32>,
}

fn draw_member(dice: &mut Dice, index: usize) -> Plain {
    let resources = Resources {
        cpu_millis: dice.small(4) * 1_000,
        memory_mib: dice.small(4) * 100,
        storage_mib: 0,
        accelerator_millis: dice.small(3) * 1_000,
    };
    let registration = Registration {
        id: member(index),
        kind: if dice.one_in(5) { MemberKind::Node } else { MemberKind::Cluster },
        endpoint: format!("e{index}"),
        hostname: String::new(),
        region: (!dice.one_in(6)).then(|| label("region", dice.below(3))),
        zone: (!dice.one_in(6)).then(|| label("zone", dice.below(3))),
        cluster: None,
        role: Role::Worker,
        capacity: dice.small(4),
        weight: 1.0,
        capabilities: dice.labels("can", 2),
        services: BTreeSet::new(),
        compliance: dice.labels("law", 2),
        accelerator_model: dice.some(2, |dice| label("model", dice.below(3))),
        cost_per_hour: f32::NAN,
        carbon_g_per_kwh: f32::NAN,
        resources,
    };
    let unhealthy = dice.one_in(8);
    Plain {
        registration,
        draining: dice.one_in(8),
        unhealthy,
        healthy: !unhealthy && !dice.one_in(3),
        latency_ms: (!dice.one_in(4)).then(|| dice.small(100) as f32),
    }
}

fn draw_terms(dice: &mut Dice) -> Terms {
    let scope = |dice: &mut Dice| [Scope::Member, Scope::Zone, Scope::Region][dice.below(3) as usize];
    let relation = |dice: &mut Dice| Relation {
        rule: match dice.below(3) {
            0 => Rule::Together(label("group", dice.below(2))),
            1 => Rule::Apart(label("group", dice.below(2))),
            _ => Rule::Spread { max_skew: 1 + dice.small(2) },
        },
        scope: scope(dice),
        hard: !dice.one_in(3),
    };
    let needs = Resources {
        cpu_millis: dice.small(5) * 500,
        memory_mib: dice.small(3) * 100,
        storage_mib: dice.small(2),
        accelerator_millis: if dice.one_in(3) { dice.small(5) * 300 } else { 0 },
    };
    Terms {
        requirement: Requirement {
            kind: if dice.one_in(2) { Some(MemberKind::Cluster) } else { None },
            capabilities: dice.labels("can", 20),
            allowed_regions: dice.labels("region", 12),
            denied_regions: dice.labels("region", 15),
            allowed_zones: dice.labels("zone", 15),
            denied_zones: dice.labels("zone", 15),
            excluded: dice.some(6, |dice| member(dice.below(6) as usize)).into_iter().collect(),
            compliance: dice.labels("law", 20),
            accelerator_models: dice.labels("model", 20),
            latency_max_ms: dice.some(8, |dice| dice.small(120)),
            health_min_percent: if dice.one_in(8) { dice.small(101) } else { 0 },
            source_region: dice.some(2, |dice| label("region", dice.below(3))),
            needs,
            ..Requirement::default()
        },
        priority: 0,
        group: dice.some(2, |dice| label("group", dice.below(2))),
        relations: (0..dice.below(3)).map(|_| relation(dice)).collect(),
    }
}

/// What is on which member, in the oracle's books.
struct Placed {
    on: usize,
    terms: Terms,
}

struct Oracle {
    members: Vec<Plain>,
    placed: Vec<Placed>,
}

impl Oracle {
    fn used(&self, on: usize) -> Resources {
        let here = self.placed.iter().filter(|placed| placed.on == on);
        here.fold(Resources::default(), |sum, placed| sum.plus(placed.terms.requirement.needs))
    }

    fn permits(&self, terms: &Terms, on: usize) -> bool {
        self.lasting(terms, on)
            && self.room(terms, on)
            && terms
                .relations
                .iter()
                .filter(|relation| relation.hard)
                .all(|relation| self.keeps(terms, relation, on))
    }

    fn lasting(&self, terms: &Terms, on: usize) -> bool {
        let (plain, asked) = (&self.members[on], &terms.requirement);
        let about = &plain.registration;
        let named = |allowed: &BTreeSet<Label>, denied: &BTreeSet<Label>, is: &Option<Label>| {
            (allowed.is_empty() || is.as_ref().is_some_and(|is| allowed.contains(is)))
                && !is.as_ref().is_some_and(|is| denied.contains(is))
        };
        let health = if plain.healthy { 100 } else { 50 };
        let time_ms = match &asked.source_region {
            None => plain.latency_ms,
            Some(from) => about.region.as_ref().map(|to| rtt_ms(from, to)),
        };
        !plain.draining
            && !plain.unhealthy
            && asked.kind.is_none_or(|kind| kind == about.kind)
            && !asked.excluded.contains(&about.id)
            && asked.capabilities.is_subset(&about.capabilities)
            && asked.compliance.is_subset(&about.compliance)
            && named(&asked.allowed_regions, &asked.denied_regions, &about.region)
            && named(&asked.allowed_zones, &asked.denied_zones, &about.zone)
            && (asked.accelerator_models.is_empty()
                || about.accelerator_model.as_ref().is_some_and(|is| asked.accelerator_models.contains(is)))
            && health >= asked.health_min_percent
            && asked.latency_max_ms.is_none_or(|most| time_ms.is_some_and(|is| is <= most as f32))
    }

    fn room(&self, terms: &Terms, on: usize) -> bool {
        let about = &self.members[on].registration;
        let (total, used, needs) = (about.resources, self.used(on), terms.requirement.needs);
        let fits = |total: u32, used: u32, need: u32| need == 0 || total == 0 || used + need <= total;
        let count = self.placed.iter().filter(|placed| placed.on == on).count();
        (about.capacity == 0 || count < about.capacity as usize)
            && fits(total.cpu_millis, used.cpu_millis, needs.cpu_millis)
            && fits(total.memory_mib, used.memory_mib, needs.memory_mib)
            && fits(total.storage_mib, used.storage_mib, needs.storage_mib)
            && self.devices_hold(on, needs.accelerator_millis)
    }

    /// Whether the devices can take one more, packed as they were: each share to the fullest device that holds it.
    fn devices_hold(&self, on: usize, need: u32) -> bool {
        let whole = self.members[on].registration.resources.accelerator_millis / 1_000;
        let mut free = vec![1_000; whole as usize];
        let here = self.placed.iter().filter(|placed| placed.on == on);
        let needs = here.map(|placed| placed.terms.requirement.needs.accelerator_millis);
        needs.chain([need]).all(|mut need| {
            while need > 0 {
                let part = need.min(1_000);
                let fullest = free.iter_mut().filter(|free| **free >= part).min();
                let Some(device) = fullest else { return false };
                *device -= part;
                need -= part;
            }
            true
        })
    }

    fn keeps(&self, terms: &Terms, relation: &Relation, on: usize) -> bool {
        let domain = |on: usize| {
            let about = &self.members[on].registration;
            match relation.scope {
                Scope::Member => Some(vec![about.id.to_string()]),
                Scope::Region => Some(vec![about.region.as_ref()?.to_string()]),
                Scope::Zone => {
                    Some(vec![about.region.as_ref()?.to_string(), about.zone.as_ref()?.to_string()])
                }
            }
        };
        let Some(here) = domain(on) else { return false };
        let count = |group: &Label, place: &[String]| {
            let of_group = self.placed.iter().filter(|placed| placed.terms.group.as_ref() == Some(group));
            of_group.filter(|placed| domain(placed.on).as_deref() == Some(place)).count()
        };
        let known = |group: &Label| {
            let of_group = self.placed.iter().filter(|placed| placed.terms.group.as_ref() == Some(group));
            of_group.filter(|placed| domain(placed.on).is_some()).count()
        };
        match &relation.rule {
            Rule::Together(group) => {
                count(group, &here) > 0 || known(group) == 0 && terms.group.as_ref() == Some(group)
            }
            Rule::Apart(group) => count(group, &here) == 0,
            Rule::Spread { max_skew } => {
                let hosts = (0..self.members.len()).filter(|&on| self.lasting(terms, on));
                let places: BTreeSet<Vec<String>> = hosts.filter_map(domain).collect();
                let many = |place: &Vec<String>| terms.group.as_ref().map_or(0, |group| count(group, place));
                let fewest = places.iter().map(many).min().unwrap_or(0);
                many(&here) + 1 - fewest <= *max_skew as usize
            }
        }
    }
}

fn rtt_ms(from: &Label, to: &Label) -> f32 {
    let number = |label: &Label| label.as_str()["region-".len()..].parse::<usize>().unwrap();
    if from == to { 1.5 } else { RTT_MS[number(from)][number(to)] as f32 }
}

fn geography() -> Geography {
    let pairs = (0..3).flat_map(|a| (0..3).map(move |b| (a, b)));
    let measured =
        pairs.map(|(a, b)| ((label("region", a), label("region", b)), RTT_MS[a as usize][b as usize] as f32));
    Geography { measured_rtt_ms: measured.collect(), ..Geography::default() }
}

fn register(registry: &mut Registry, plain: &Plain) {
    let (id, _) = registry.register(plain.registration.clone(), NOW, WallMs(0)).unwrap();
    let health = match (plain.unhealthy, plain.healthy) {
        (true, _) => Health::Unhealthy,
        (_, true) => Health::Healthy,
        _ => Health::Degraded,
    };
    let report = LoadReport {
        health: Some(health),
        latency_ms: plain.latency_ms,
        cpu: Some(0.1),
        ..LoadReport::default()
    };
    registry.report(&id, &report, NOW, WallMs(0)).unwrap();
    if plain.draining {
        registry.set_draining(&id, true);
    }
}

/// A policy that answers anything.
fn hostile(dice: &mut Dice) -> Choice {
    let score = [0.5, f32::NAN, f32::INFINITY, -1.0][dice.below(4) as usize];
    Choice { row: if dice.one_in(4) { u32::MAX } else { dice.small(9) }, score, reason: 77 }
}

/// The host's path from advice to a choice that may be committed.
fn choose(fleet: &Fleet, class: &EligibleClass, dice: &mut Dice) -> u32 {
    let advice = guardrail::check(fleet, class, hostile(dice));
    let valid = advice.ok().or_else(|| {
        class
            .rows()
            .find_map(|row| guardrail::check(fleet, class, Choice { row, score: 0.0, reason: 0 }).ok())
    });
    valid.unwrap().get().row
}

struct Host {
    registry: Registry,
    ledger: Ledger,
    classes: Classes,
}

impl Host {
    /// Where the workload was committed, if anywhere.
    fn place(&mut self, name: &str, terms: &Arc<Terms>, dice: &mut Dice) -> Option<usize> {
        self.registry.publish();
        let fleet = self.registry.published().clone();
        let class = (0..=terms.soft_relations()).rev().find_map(|soft| {
            let requirement = terms.narrowed(&fleet, self.ledger.census(), soft);
            self.classes.resolve(&fleet, &requirement).ok()
        })?;
        let row = choose(&fleet, &class, dice);
        let id = fleet.facts(row).unwrap().id.clone();
        if dice.one_in(3) {
            let held = commit::reserve(&mut self.registry, &mut self.ledger, &id, terms, Now(9_000)).unwrap();
            if dice.one_in(2) {
                let agent = AgentName::parse(name).unwrap();
                commit::confirm(&mut self.ledger, held.id, &agent, NOW, WallMs(0)).unwrap();
            }
        } else {
            let agent = AgentName::parse(name).unwrap();
            commit::assign(&mut self.registry, &mut self.ledger, &agent, &id, terms, WallMs(0)).unwrap();
        }
        Some(id.as_str()[1..].parse().unwrap())
    }
}

/// Plays one case; how many workloads found a place.
fn play(case: u64) -> usize {
    let dice = &mut Dice(mix(case));
    let members: Vec<Plain> = (0..=dice.below(6)).map(|index| draw_member(dice, index as usize)).collect();
    let mut host = Host {
        registry: Registry::new(Rules::default(), geography()),
        ledger: Ledger::default(),
        classes: Classes::default(),
    };
    members.iter().for_each(|plain| register(&mut host.registry, plain));
    let mut oracle = Oracle { members, placed: Vec::new() };
    for number in 0..=dice.below(8) {
        let terms = Arc::new(draw_terms(dice));
        let permitted: Vec<usize> =
            (0..oracle.members.len()).filter(|&on| oracle.permits(&terms, on)).collect();
        match host.place(&format!("w{number}"), &terms, dice) {
            None => assert_eq!(permitted, [], "case {case}: refused {terms:?}"),
            Some(on) => {
                assert!(permitted.contains(&on), "case {case}: m{on} is not in {permitted:?} for {terms:?}");
                oracle.placed.push(Placed { on, terms: (*terms).clone() });
            }
        }
        for (on, plain) in oracle.members.iter().enumerate() {
            let held = host.registry.member(&plain.registration.id).unwrap();
            assert_eq!(held.used, oracle.used(on), "case {case}: books of m{on}");
        }
    }
    oracle.placed.len()
}

#[test]
fn what_is_committed_is_what_the_oracle_permits_whatever_the_policy_answers() {
    let placed: usize = (0..CASES).map(play).sum();
    assert!(placed as u64 > CASES, "the cases place something: {placed}");
}
