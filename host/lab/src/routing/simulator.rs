//! One run: every source routes one flow in every slice of time.
//!
//! probes -> estimates -> class -> router -> round trip paid -> the request's own round trip is a sample too
//!
//! Invariant: a router learns of the tensor only through what was probed or used before it is asked.

use std::collections::BTreeMap;

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{Route, RoutingRequest};
use pilothouse_core::probe::Estimates;
use pilothouse_core::time::Now;
use serde::Deserialize;

use super::federation::{FLOW_WORK, Federation, class};
use super::{Report, Tensor};
use crate::unit;

const NEAR_ORACLE: f32 = 1.1;
const MS_PER_HOUR: f64 = 3_600_000.0;

/// What a decision may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knowledge {
    /// The probes of its own slice are in before it is made.
    ThisSlice,
    /// Only earlier slices; harder, as a host that probes once per slice would live it.
    EarlierSlices,
}

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario<'a> {
    /// Round-trip times.
    pub tensor: &'a Tensor,
    /// Nodes that serve; all others are sources.
    pub candidates: Vec<usize>,
    /// Probes of a source in a slice.
    pub probes: usize,
    /// What a decision may know.
    pub knowledge: Knowledge,
    /// Of every flow.
    pub traffic_class: u8,
    /// Of every flow, ms; 0 = none.
    pub latency_goal_ms: f32,
    /// Capacity of all candidates over the work of all flows.
    pub headroom: f32,
    /// Prices, draws and requests follow from it.
    pub seed: u64,
}

impl<'a> Scenario<'a> {
    /// Candidates drawn by a seed, 3 probes a slice, twice the capacity needed, flows without a wish.
    #[must_use]
    pub fn draw(tensor: &'a Tensor, candidates: usize, seed: u64) -> Self {
        let mut nodes: Vec<usize> = (0..tensor.nodes()).collect();
        nodes.sort_by_key(|&node| mix(seed ^ mix(node as u64)));
        nodes.truncate(candidates);
        Self {
            tensor,
            candidates: nodes,
            probes: 3,
            knowledge: Knowledge::ThisSlice,
            traffic_class: 3,
            latency_goal_ms: 0.0,
            headroom: 2.0,
            seed,
        }
    }
}

/// What answers: a policy's port, or a function of [`super::reference`].
pub type Router<'a> =
    &'a mut dyn FnMut(&Fleet, &EligibleClass, &RoutingRequest) -> Result<Route, PolicyError>;

/// Runs a router through a scenario.
pub fn run(scenario: &Scenario<'_>, router: Router<'_>) -> Report {
    run_observed(scenario, router, &mut |_, _| {})
}

/// The same, showing the sums after every slice.
pub(crate) fn run_observed(
    scenario: &Scenario<'_>,
    router: Router<'_>,
    observe: &mut dyn FnMut(usize, &Report),
) -> Report {
    let mut run = Run::new(scenario);
    for slice in 0..scenario.tensor.slices() {
        run.step(slice, router);
        observe(slice, &run.report);
    }
    run.report
}

/// A flow's answer in use.
#[derive(Debug)]
struct Flow {
    /// Candidates with shares whose sum is 1.
    shares: Vec<(usize, f32)>,
    main: usize,
    until: Now,
}

struct Run<'a> {
    scenario: &'a Scenario<'a>,
    sources: Vec<usize>,
    federation: Federation,
    estimates: Estimates<usize, usize>,
    flows: BTreeMap<usize, Flow>,
    work: Vec<f32>,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario<'a>) -> Self {
        let sources: Vec<usize> =
            (0..scenario.tensor.nodes()).filter(|node| !scenario.candidates.contains(node)).collect();
        let count = scenario.candidates.len();
        Self {
            scenario,
            federation: Federation::new(count, sources.len(), scenario.headroom, scenario.seed),
            sources,
            estimates: Estimates::default(),
            flows: BTreeMap::new(),
            work: vec![0.0; count],
            report: Report::default(),
        }
    }

    fn step(&mut self, slice: usize, router: Router<'_>) {
        let now = Now((slice as u64 + 1) * self.scenario.tensor.slice_ms());
        let fleet = self.federation.publish(&self.work, now);
        let rows = self.federation.candidates(&fleet);
        self.work.iter_mut().for_each(|work| *work = 0.0);
        for source in self.sources.clone() {
            let seed = mix(self.scenario.seed ^ mix((slice as u64) << 32 | source as u64));
            if self.scenario.knowledge == Knowledge::ThisSlice {
                self.probe(slice, source, seed, now);
            }
            self.route(&fleet, &rows, source, seed, now, router);
            self.pay(slice, source, seed, now);
            if self.scenario.knowledge == Knowledge::EarlierSlices {
                self.probe(slice, source, seed, now);
            }
        }
        let capacity = self.federation.capacity as f32;
        self.report.work += f64::from(self.work.iter().sum::<f32>());
        self.report.overload +=
            f64::from(self.work.iter().map(|work| (work - capacity).max(0.0)).sum::<f32>());
    }

    fn rtt_ms(&self, slice: usize, source: usize, candidate: usize) -> f32 {
        let node = self.scenario.candidates.get(candidate);
        node.map_or(f32::NAN, |&node| self.scenario.tensor.rtt_ms(slice, source, node))
    }

    fn probe(&mut self, slice: usize, source: usize, seed: u64, now: Now) {
        let all: Vec<usize> = (0..self.scenario.candidates.len()).collect();
        for candidate in self.estimates.choose_probes(&source, &all, self.scenario.probes, seed, now) {
            self.sample(slice, source, candidate, now);
        }
    }

    fn sample(&mut self, slice: usize, source: usize, candidate: usize, now: Now) {
        match self.rtt_ms(slice, source, candidate) {
            rtt_ms if rtt_ms.is_nan() => self.estimates.missed(&source, &candidate, now),
            rtt_ms => self.estimates.observe(&source, &candidate, rtt_ms, now),
        }
    }

    /// Asks the router, unless the flow's last answer is still alive.
    fn route(
        &mut self,
        fleet: &Fleet,
        rows: &[Option<usize>],
        source: usize,
        seed: u64,
        now: Now,
        router: Router<'_>,
    ) {
        if self.flows.get(&source).is_some_and(|flow| now < flow.until) {
            return;
        }
        let expected_ms = |candidate: &Option<usize>| {
            candidate.map_or(f32::NAN, |candidate| self.estimates.expected_ms(&source, &candidate, now))
        };
        let class = class(source as u32, now.0, rows.iter().map(expected_ms).collect());
        let request = RoutingRequest {
            seed,
            now_ms: now.0,
            traffic_class: self.scenario.traffic_class,
            latency_goal_ms: self.scenario.latency_goal_ms,
        };
        let answer = router(fleet, &class, &request).ok();
        let flow = answer.and_then(|route| flow(&route, rows, now));
        let Some(flow) = flow else {
            self.flows.remove(&source);
            return;
        };
        let switched = self.flows.get(&source).is_some_and(|before| before.main != flow.main);
        self.report.switches += if switched { 1.0 } else { 0.0 };
        self.flows.insert(source, flow);
    }

    /// Books the flow's round trip, price and work; one of its requests is a sample.
    fn pay(&mut self, slice: usize, source: usize, seed: u64, now: Now) {
        let candidates = 0..self.scenario.candidates.len();
        let oracle_ms =
            candidates.map(|candidate| self.rtt_ms(slice, source, candidate)).fold(f32::INFINITY, f32::min);
        let Some(flow) = self.flows.get(&source) else {
            self.report.unanswered += 1.0;
            return;
        };
        let cheapest = self.federation.prices.iter().copied().fold(f32::INFINITY, f32::min);
        let (mut upto, drawn) = (0.0, unit(mix(seed)));
        let mut sampled = flow.main;
        for &(candidate, share) in &flow.shares {
            let rtt_ms = self.rtt_ms(slice, source, candidate);
            // A path that was never measured has no price to pay; the formats have hardly any.
            if !rtt_ms.is_nan() {
                self.report.paid_ms += f64::from(share * rtt_ms);
                self.report.oracle_ms += f64::from(share * oracle_ms);
                let near = rtt_ms <= NEAR_ORACLE * oracle_ms;
                self.report.near_oracle += if near { f64::from(share) } else { 0.0 };
                self.report.flows += f64::from(share);
            }
            self.report.price +=
                f64::from(share * self.federation.prices.get(candidate).copied().unwrap_or_default());
            if let Some(work) = self.work.get_mut(candidate) {
                *work += share * FLOW_WORK as f32;
            }
            if (upto..upto + f64::from(share)).contains(&drawn) {
                sampled = candidate;
            }
            upto += f64::from(share);
        }
        self.report.cheapest += f64::from(cheapest);
        self.report.flow_hours += self.scenario.tensor.slice_ms() as f64 / MS_PER_HOUR;
        self.sample(slice, source, sampled, now);
    }
}

/// The answer by candidates; `None` if it names a row that no candidate is in, or no weight.
fn flow(route: &Route, rows: &[Option<usize>], now: Now) -> Option<Flow> {
    let sum: f32 = route.targets.iter().map(|&(_, weight)| weight as f32).sum();
    let share = |&(row, weight): &(u32, u32)| {
        let candidate = (*rows.get(row as usize)?)?;
        (sum > 0.0).then_some((candidate, weight as f32 / sum))
    };
    let shares: Vec<(usize, f32)> = route.targets.iter().map(share).collect::<Option<_>>()?;
    let main = shares.iter().copied().reduce(|best, other| if other.1 > best.1 { other } else { best })?.0;
    Some(Flow { shares, main, until: now.plus_ms(u64::from(route.ttl_ms)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::reference;

    /// Three nodes: one source and two candidates, 10 and 20 ms away, that change places half-way.
    fn swapping() -> Tensor {
        Tensor::of(3, 10, 15_000, |slice, _, target| if (target == 1) == (slice < 5) { 10.0 } else { 20.0 })
    }

    fn scenario(tensor: &Tensor) -> Scenario<'_> {
        Scenario { candidates: vec![1, 2], probes: 2, ..Scenario::draw(tensor, 2, 1) }
    }

    #[test]
    fn who_knows_all_pays_what_the_oracle_pays_and_who_is_late_pays_more() {
        let tensor = swapping();
        let late = Scenario { knowledge: Knowledge::EarlierSlices, ..scenario(&tensor) };
        let all = run(&scenario(&tensor), &mut reference::nearest_known);
        assert!((all.rtt_ratio() - 1.0).abs() < 1e-6 && all.near_oracle_share() > 0.999, "{all:?}");
        let late = run(&late, &mut reference::nearest_known);
        assert!(late.rtt_ratio() > 1.05 && late.rtt_ratio() < 1.25, "once or twice of ten: {late:?}");
        let fixed = run(&scenario(&tensor), &mut reference::nearest_at_first());
        assert!((fixed.rtt_ratio() - 1.5).abs() < 1e-6 && fixed.switches_per_hour() == 0.0, "{fixed:?}");
    }

    #[test]
    fn answers_are_reused_for_their_lifetime_and_nonsense_counts_as_none() {
        let tensor = swapping();
        let mut asked = 0;
        let mut answering = |targets: Vec<(u32, u32)>, ttl_ms| {
            run(&scenario(&tensor), &mut |_, _, _| {
                asked += 1;
                Ok(Route { targets: targets.clone(), fallbacks: Vec::new(), ttl_ms, reason: 0 })
            })
        };
        assert!((answering(vec![(0, 3), (1, 1)], 60_000).overload_share()).abs() < f64::EPSILON);
        for (name, targets) in [("no row", vec![(9, 1)]), ("no weight", vec![(0, 0)]), ("nothing", vec![])] {
            assert!((answering(targets, 0).unanswered_share() - 1.0).abs() < f64::EPSILON, "{name}");
        }
        assert_eq!(asked, 3 + 30, "every fourth slice, then every slice");
    }
}
