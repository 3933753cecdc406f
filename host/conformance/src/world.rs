//! Fleets on which a policy is tried: ordinary ones of every size, and extreme ones that a host would hardly see.
//!
//! Invariant: no two worlds share an epoch, so an instance that was shown one is always shown all of the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::eligible::{EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::block::Block;
use pilothouse_core::fleet::column::{BIT_WORDS, BLOCK_ROWS, Column};
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::policy::request::ScalingSample;
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

/// Columns of what members report or register as a number that may be unknown (NaN).
const READINGS: [Column; 8] = [
    Column::Cpu,
    Column::Memory,
    Column::Disk,
    Column::LoadAverage,
    Column::LatencyMs,
    Column::ErrorRate,
    Column::CostPerHour,
    Column::CarbonGPerKwh,
];

/// Columns of counts and amounts.
const COUNTS: [Column; 12] = [
    Column::Active,
    Column::Capacity,
    Column::QueueDepth,
    Column::Priority,
    Column::CpuMillisFree,
    Column::MemoryMibFree,
    Column::StorageMibFree,
    Column::AcceleratorMillisFree,
    Column::CpuMillisTotal,
    Column::MemoryMibTotal,
    Column::StorageMibTotal,
    Column::AcceleratorMillisTotal,
];

/// One fleet, one class of requests over it, and the samples of a group.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// In words, for findings.
    pub(crate) name: String,
    pub(crate) fleet: Fleet,
    pub(crate) class: EligibleClass,
    pub(crate) samples: Vec<ScalingSample>,
}

/// What is extreme about a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extreme {
    Zero,
    Nan,
    Infinite,
    Huge,
    Tiny,
    Duplicates,
}

/// Makes worlds.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    bases: BTreeMap<u32, Fleet>,
    made: u64,
}

impl Maker {
    /// Members of different size, load, price and place; all eligible.
    pub(crate) fn ordinary(&mut self, members: u32) -> World {
        let fleet = self.bases.entry(members).or_insert_with(|| base(members)).clone();
        let rtt_ms = (0..members).map(|row| 5.0 + ((row * 37) % 190) as f32).collect();
        let class = EligibleClass {
            id: 1,
            version: 0,
            requirement: Arc::new(Requirement::default()),
            eligible: fleet.blocks.iter().map(|block| block.present).collect(),
            count: fleet.members(),
            required_capabilities: [0; BIT_WORDS],
            preferred_capabilities: [1, 0, 0, 0],
            source_region: 1,
            source_zone: 0,
            rtt_ms: Some(rtt_ms),
        };
        let name = format!("{members} member{}", if members == 1 { "" } else { "s" });
        self.settle(World { name, fleet, class, samples: samples(20, 3) })
    }

    /// An ordinary world of which every third member is eligible, and the others look better in every respect.
    pub(crate) fn tempting(&mut self, members: u32) -> World {
        let mut world = self.ordinary(members);
        let is_eligible = |row: u32| row % 3 == 1 || members < 3;
        world.each(|block, lane, row| {
            if !is_eligible(row) {
                READINGS.iter().for_each(|&column| block.set_f32(column, lane, 0.0));
                block.set_u32(Column::Active, lane, 0);
                block.set_f32(Column::Weight, lane, 1e6);
            }
        });
        world.restrict(is_eligible);
        world.set_rtt(|row| if is_eligible(row) { 90.0 } else { 0.1 });
        world.name = format!("{members} members, those that are not eligible looking best");
        self.settle(world)
    }

    /// A world that is extreme in one way.
    pub(crate) fn extreme(&mut self, extreme: Extreme, members: u32) -> World {
        let mut world = self.ordinary(members);
        world.each(|block, lane, _| extreme.write(block, lane));
        let (name, reading) = match extreme {
            Extreme::Zero => ("everything 0", 0.0),
            Extreme::Nan => ("readings unknown (NaN)", f32::NAN),
            Extreme::Infinite => ("readings infinite", f32::INFINITY),
            Extreme::Huge => ("everything as large as can be", f32::MAX),
            Extreme::Tiny => ("readings and weights the smallest above 0", f32::from_bits(1)),
            Extreme::Duplicates => ("all members the same", 50.0),
        };
        world.set_rtt(|_| reading);
        world.samples = extreme.samples(reading);
        world.name = format!("{members} members, {name}");
        self.settle(world)
    }

    /// Gives a changed world epochs of its own.
    pub(crate) fn settle(&mut self, mut world: World) -> World {
        self.made += 1;
        world.fleet.epoch = self.made;
        world.class.version = self.made;
        world.class.count = world.class.eligible.iter().map(|word| word.count_ones()).sum();
        for block in &mut world.fleet.blocks {
            Arc::make_mut(block).epoch = self.made;
        }
        world
    }
}

impl World {
    /// Changes every member's columns; settle the world afterwards.
    pub(crate) fn each(&mut self, mut change: impl FnMut(&mut Block, usize, u32)) {
        for (block, index) in self.fleet.blocks.iter_mut().zip(0_u32..) {
            let block = Arc::make_mut(block);
            let present = block.present;
            for (lane, row) in (0..BLOCK_ROWS).zip(index * 64..).filter(|(lane, _)| present >> lane & 1 == 1)
            {
                change(block, lane, row);
            }
        }
    }

    /// Leaves only some rows eligible.
    pub(crate) fn restrict(&mut self, keep: impl Fn(u32) -> bool) {
        let word = |(block, index): (&Arc<Block>, u32)| {
            let kept =
                (0..64).filter(|&lane| keep(index * 64 + lane)).fold(0_u64, |bits, lane| bits | 1 << lane);
            block.present & kept
        };
        self.class.eligible = self.fleet.blocks.iter().zip(0_u32..).map(word).collect();
    }

    /// Sets round-trip times.
    pub(crate) fn set_rtt(&mut self, of: impl Fn(u32) -> f32) {
        self.class.rtt_ms = Some((0..self.fleet.rows).map(of).collect());
    }
}

impl Extreme {
    fn write(self, block: &mut Block, lane: usize) {
        let readings = |block: &mut Block, value| {
            READINGS.iter().for_each(|&column| block.set_f32(column, lane, value));
        };
        let counts = |block: &mut Block, value| {
            COUNTS.iter().for_each(|&column| block.set_u32(column, lane, value));
        };
        match self {
            Self::Zero => {
                let identity = block.u64(Column::Identity, lane);
                block.clear_row(lane);
                block.set_u64(Column::Identity, lane, identity);
            }
            Self::Nan => readings(block, f32::NAN),
            Self::Infinite => readings(block, f32::INFINITY),
            Self::Huge => {
                readings(block, f32::MAX);
                counts(block, u32::MAX);
                block.set_f32(Column::Weight, lane, f32::MAX);
                block.set_u64(Column::ReportedAtMs, lane, u64::MAX);
                block.set_bits(Column::Capabilities, lane, [u64::MAX; BIT_WORDS]);
                block.set_bits(Column::AcceleratorDevices, lane, [u64::MAX; BIT_WORDS]);
            }
            Self::Tiny => {
                readings(block, f32::from_bits(1));
                counts(block, 1);
                block.set_f32(Column::Weight, lane, f32::from_bits(1));
            }
            Self::Duplicates => {
                write_even(block, lane);
                block.set_u64(Column::Identity, lane, 7);
            }
        }
    }

    fn samples(self, reading: f32) -> Vec<ScalingSample> {
        let (ready_replicas, same_time) = match self {
            Self::Zero => (0, false),
            Self::Huge => (u32::MAX, false),
            Self::Duplicates => (5, true),
            Self::Nan | Self::Infinite | Self::Tiny => (5, false),
        };
        let mut samples = samples(20, ready_replicas);
        for sample in &mut samples {
            let ScalingSample {
                at_ms,
                arrivals_per_s,
                completions_per_s,
                queue_depth,
                utilisation,
                service_ms,
                ..
            } = sample;
            for value in [arrivals_per_s, completions_per_s, queue_depth, utilisation, service_ms] {
                *value = reading;
            }
            *at_ms = if same_time { 900_000 } else { *at_ms };
        }
        samples
    }
}

/// Gives a member what every other has: load, room, price and place; its identity stays.
pub(crate) fn write_even(block: &mut Block, lane: usize) {
    READINGS.iter().for_each(|&column| block.set_f32(column, lane, 0.5));
    for (column, value) in [
        (Column::Active, 7),
        (Column::Capacity, 100),
        (Column::QueueDepth, 0),
        (Column::Priority, 0),
        (Column::CpuMillisFree, 32_000),
        (Column::CpuMillisTotal, 64_000),
        (Column::MemoryMibFree, 32_768),
        (Column::MemoryMibTotal, 65_536),
        (Column::StorageMibFree, 500_000),
        (Column::StorageMibTotal, 1_000_000),
        (Column::AcceleratorMillisFree, 0),
        (Column::AcceleratorMillisTotal, 0),
        (Column::Region, 1),
        (Column::Zone, 2),
    ] {
        block.set_u32(column, lane, value);
    }
    block.set_f32(Column::Weight, lane, 1.0);
    block.set_f32(Column::HealthScore, lane, 1.0);
    block.set_u64(Column::ReportedAtMs, lane, 900_000);
    block.set_bits(Column::Capabilities, lane, [1, 0, 0, 0]);
    block.set_bits(Column::AcceleratorDevices, lane, [0; BIT_WORDS]);
}

/// Samples of a calm group, every 15 s up to 1,000 s on the host's clock.
pub(crate) fn samples(count: u32, ready_replicas: u32) -> Vec<ScalingSample> {
    (0..count)
        .map(|index| ScalingSample {
            at_ms: 1_000_000 - 15_000 * u64::from((count - index).min(60)),
            arrivals_per_s: 40.0 + (index % 5) as f32,
            completions_per_s: 40.0 + (index % 4) as f32,
            queue_depth: 20.0 + (index % 7) as f32,
            utilisation: 0.6,
            service_ms: 60.0,
            ready_replicas,
        })
        .collect()
}

/// The registry refuses nothing of what is registered here; should it ever, that member is missing.
fn base(members: u32) -> Fleet {
    let mut registry = Registry::new(Rules::default(), Geography::default());
    let label = |text: String| Label::parse(&text).ok();
    for index in 0..members {
        let Ok(id) = MemberId::parse(&format!("member-{index}")) else { continue };
        let capabilities = [(2, "ssd"), (4, "gpu")].into_iter().filter(|(every, _)| index % every == 0);
        let registration = Registration {
            id: id.clone(),
            kind: MemberKind::Cluster,
            endpoint: format!("member-{index}:1"),
            hostname: String::new(),
            region: label(format!("region-{}", index % 3)),
            zone: label(format!("zone-{}", index % 6)),
            cluster: None,
            role: Role::Worker,
            capacity: 100,
            weight: 1.0 + (index % 3) as f32,
            capabilities: capabilities.filter_map(|(_, name)| label(name.to_owned())).collect(),
            services: BTreeSet::new(),
            compliance: BTreeSet::new(),
            accelerator_model: None,
            cost_per_hour: if index % 9 == 8 { f32::NAN } else { 0.5 + (index % 5) as f32 },
            carbon_g_per_kwh: 100.0 + (index % 400) as f32,
            resources: Resources {
                cpu_millis: 64_000,
                memory_mib: 262_144,
                storage_mib: 1_000_000,
                accelerator_millis: if index % 4 == 0 { 8_000 } else { 0 },
            },
        };
        let report = LoadReport {
            cpu: Some(0.1 + (index % 8) as f32 / 10.0),
            memory: Some(0.5),
            active: Some(index % 90),
            latency_ms: Some(1.0 + (index % 40) as f32),
            error_rate: Some(0.001),
            ..LoadReport::default()
        };
        let _ = registry.register(registration, Now(1_000), WallMs(0));
        if index % 7 != 6 {
            let _ = registry.report(&id, &report, Now(900_000), WallMs(0));
        }
    }
    registry.publish();
    registry.published().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_have_their_size_and_epochs_of_their_own() {
        let mut maker = Maker::default();
        for members in [1, 3, 64, 65] {
            let (first, second) = (maker.ordinary(members), maker.ordinary(members));
            assert_eq!((first.fleet.members(), first.class.count), (members, members));
            assert_ne!(first.fleet.blocks[0].epoch, second.fleet.blocks[0].epoch);
        }
    }

    #[test]
    fn extreme_worlds_keep_their_members_and_their_classes() {
        let mut maker = Maker::default();
        for extreme in [Extreme::Zero, Extreme::Nan, Extreme::Huge, Extreme::Duplicates] {
            let world = maker.extreme(extreme, 70);
            assert_eq!((world.fleet.members(), world.class.count), (70, 70), "{extreme:?}");
        }
        assert!(maker.extreme(Extreme::Nan, 3).fleet.blocks[0].f32(Column::Cpu, 2).is_nan());
        assert_eq!(maker.tempting(9).class.count, 3);
    }
}
