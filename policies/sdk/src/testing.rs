//! Runs a policy natively, so that `cargo test` needs no Wasm.
//!
//! [`World::of`] makes an instance, [`World::member`] adds members, [`World::choose`] asks ([`placing`] and
//! [`routing_world`] make instances of those families). A case fits a line.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test helper fails by panicking")]

pub mod scaling;

use std::collections::BTreeMap;

use crate::about::{About, Column, Layout};
use crate::balancing::{Balancing, Request};
use crate::class::Parts;
use crate::fleet::LANES;
use crate::instance::Instance;
use crate::placement::Placement;
use crate::routing::{Answer, Routing};
use crate::settings::{Problem, Settings, Value};
use crate::{Candidate, Choice, Refusal, placement, routing};

/// One member's columns; those not set are 0, or NaN for readings.
#[derive(Debug, Clone, Default)]
pub struct Member {
    values: BTreeMap<&'static str, f64>,
    bits: BTreeMap<&'static str, [u64; 4]>,
    in_flight: u32,
    ineligible: bool,
    rtt_ms: Option<f32>,
}

impl Member {
    /// Sets a column.
    #[must_use]
    pub fn with(mut self, column: Column, value: f64) -> Self {
        self.values.insert(column.name(), value);
        self
    }

    /// Sets capability or service bits (the lowest 64).
    #[must_use]
    pub fn bits(mut self, column: Column, bits: u64) -> Self {
        self.bits.insert(column.name(), [bits, 0, 0, 0]);
        self
    }

    /// Sets the free thousandths of its accelerator devices.
    #[must_use]
    pub fn devices(mut self, free_millis: &[u16]) -> Self {
        let mut words = [0; 4];
        for (device, &millis) in free_millis.iter().enumerate() {
            words[device / 4] |= u64::from(millis) << (16 * (device % 4));
        }
        self.bits.insert(Column::AcceleratorDevices.name(), words);
        self
    }

    /// Sets the work in flight.
    #[must_use]
    pub fn in_flight(mut self, count: u32) -> Self {
        self.in_flight = count;
        self
    }

    /// Sets the round-trip time from the class's source.
    #[must_use]
    pub fn rtt_ms(mut self, rtt_ms: f32) -> Self {
        self.rtt_ms = Some(rtt_ms);
        self
    }

    /// Takes it out of the eligible set.
    #[must_use]
    pub fn ineligible(mut self) -> Self {
        self.ineligible = true;
        self
    }
}

/// An instance of a policy with members.
#[derive(Debug)]
pub struct World<P> {
    /// The instance.
    pub instance: Instance<P>,
    about: About,
    members: Vec<Member>,
    class: Parts,
    epoch: u64,
}

impl<P> World<P> {
    fn make(
        about: About,
        settings: &[(&str, Value)],
        new: fn(&mut Settings) -> P,
    ) -> Result<Self, Vec<Problem>> {
        let mut instance = Instance::default();
        let values = settings.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
        instance.configure(&about, values, new)?;
        let class = Parts { id: 1, ..Parts::default() };
        Ok(Self { instance, about, members: Vec::new(), class, epoch: 0 })
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self.push();
        self
    }

    /// Adds members.
    #[must_use]
    pub fn members(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        self.members.extend(members);
        self.push();
        self
    }

    /// Changes members and pushes what changed.
    pub fn update(&mut self, change: impl FnOnce(&mut Vec<Member>)) {
        change(&mut self.members);
        self.push();
    }

    /// Sets the class's source, by symbols.
    #[must_use]
    pub fn source(mut self, region: u32, zone: u32) -> Self {
        (self.class.source_region, self.class.source_zone) = (region, zone);
        self.push();
        self
    }

    /// Sets the capabilities that requests would like to have (the lowest 64 bits).
    #[must_use]
    pub fn prefers(mut self, bits: u64) -> Self {
        self.class.preferred = vec![bits, 0, 0, 0];
        self.push();
        self
    }

    fn push(&mut self) {
        self.epoch += 1;
        let rows = self.members.len();
        for (index, members) in (0_u32..).zip(self.members.chunks(LANES)) {
            let words = block(&self.about, members);
            self.instance.sync_block(self.epoch, rows as u32, index, words);
        }
        self.instance.fleet.in_flight =
            (0_u32..).zip(&self.members).map(|(row, member)| (row, member.in_flight)).collect();
        self.class.eligible = self
            .members
            .chunks(LANES)
            .map(|members| {
                let bit = |(lane, member): (usize, &Member)| u64::from(!member.ineligible) << lane;
                members.iter().enumerate().map(bit).sum()
            })
            .collect();
        self.class.rtt_ms = self.members.iter().map(|member| member.rtt_ms.unwrap_or(f32::NAN)).collect();
        self.instance.sync_class(self.class.clone());
    }
}

fn block(about: &About, members: &[Member]) -> Vec<u64> {
    let mut words = Vec::new();
    for &column in about.columns {
        let value =
            |lane: usize| members.get(lane).and_then(|member| member.values.get(column.name()).copied());
        let half = |lane: usize| -> u64 {
            let is_count = matches!(
                column.name(),
                "region" | "zone" | "cluster" | "active" | "capacity" | "queue-depth" | "priority"
            ) || column.name().contains("-millis-")
                || column.name().contains("-mib-");
            match value(lane) {
                Some(value) if is_count => u64::from(value as u32),
                Some(value) => u64::from((value as f32).to_bits()),
                None if is_count || lane >= members.len() => 0,
                None => u64::from(f32::NAN.to_bits()),
            }
        };
        match column.layout() {
            Layout::Half => {
                words.extend((0..LANES / 2).map(|pair| half(2 * pair) | half(2 * pair + 1) << 32))
            }
            Layout::Whole => words.extend((0..LANES).map(|lane| value(lane).unwrap_or(0.0) as u64)),
            Layout::Bits => {
                for word in 0..4 {
                    words.extend((0..LANES).map(|lane| {
                        let bits = members.get(lane).and_then(|member| member.bits.get(column.name()));
                        bits.map_or(0, |bits| bits[word])
                    }));
                }
            }
            Layout::Class => {}
        }
    }
    words
}

/// A request with a seed.
#[must_use]
pub fn request(seed: u64) -> Request {
    Request { class: 1, seed, now_ms: 1_000, session: None }
}

impl<P: Balancing> World<P> {
    /// An instance with settings.
    ///
    /// # Errors
    /// What the policy says of its settings.
    pub fn configured(settings: &[(&str, Value)]) -> Result<Self, Vec<Problem>> {
        Self::make(P::ABOUT, settings, P::new)
    }

    /// An instance with default settings.
    ///
    /// # Panics
    /// If the policy refuses its own defaults.
    #[must_use]
    pub fn of() -> Self {
        Self::configured(&[]).unwrap_or_else(|problems| panic!("defaults are refused: {problems:?}"))
    }

    /// Asks for one row.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn choose(&mut self, request: Request) -> Result<Choice, Refusal> {
        self.instance.decide(1, |policy, fleet, class| policy.choose(fleet, class, &request))
    }

    /// The row chosen for a seed.
    ///
    /// # Panics
    /// If the policy refuses.
    pub fn row(&mut self, seed: u64) -> u32 {
        self.choose(request(seed)).unwrap_or_else(|refusal| panic!("refused: {refusal:?}")).row
    }

    /// How often each row is chosen over seeds `0 ..< draws`.
    pub fn counts(&mut self, draws: u64) -> Vec<u32> {
        let mut counts = vec![0; self.members.len()];
        for seed in 0..draws {
            let row = self.row(crate::mix(seed));
            counts[row as usize] += 1;
        }
        counts
    }

    /// Ranks rows.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn rank(&mut self, request: Request, limit: u32) -> Result<Vec<Candidate>, Refusal> {
        self.instance.decide(1, |policy, fleet, class| policy.rank(fleet, class, &request, limit))
    }
}

/// A world for a placement policy.
///
/// # Errors
/// What the policy says of its settings.
pub fn placing<P: Placement>(settings: &[(&str, Value)]) -> Result<World<P>, Vec<Problem>> {
    World::make(P::ABOUT, settings, P::new)
}

impl<P> World<P> {
    /// Ranks rows for a workload.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn rank_placement(
        &mut self,
        needs: placement::Resources,
        seed: u64,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal>
    where
        P: Placement,
    {
        let request = placement::Request { class: 1, seed, now_ms: 1_000, needs, priority: 0 };
        self.instance.decide(1, |policy, fleet, class| policy.rank(fleet, class, &request, limit))
    }
}

/// A world for a routing policy.
///
/// # Errors
/// What the policy says of its settings.
pub fn routing_world<P: Routing>(settings: &[(&str, Value)]) -> Result<World<P>, Vec<Problem>> {
    World::make(P::ABOUT, settings, P::new)
}

/// A flow of a middling traffic class without a wish.
#[must_use]
pub fn flow(seed: u64) -> routing::Request {
    routing::Request { class: 1, seed, now_ms: 1_000, traffic_class: 3, latency_goal_ms: 0.0 }
}

impl<P: Routing> World<P> {
    /// Routes a flow.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn route(&mut self, request: routing::Request) -> Result<Answer, Refusal> {
        self.instance.decide(1, |policy, fleet, class| policy.route(fleet, class, &request))
    }

    /// The rows and weights that a flow gets.
    ///
    /// # Panics
    /// If the policy refuses.
    pub fn targets(&mut self, request: routing::Request) -> Vec<(u32, u32)> {
        let answer = self.route(request).unwrap_or_else(|refusal| panic!("refused: {refusal:?}"));
        answer.targets.iter().map(|target| (target.row, target.weight)).collect()
    }

    /// The row with the largest weight.
    ///
    /// # Panics
    /// If the policy refuses.
    pub fn main_target(&mut self, request: routing::Request) -> u32 {
        let targets = self.targets(request);
        targets
            .iter()
            .max_by_key(|(row, weight)| (*weight, std::cmp::Reverse(*row)))
            .map_or(u32::MAX, |&(row, _)| row)
    }
}
