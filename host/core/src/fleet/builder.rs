//! Writes members into blocks and publishes snapshots.
//!
//! member changes -> [`FleetBuilder::put`] / [`FleetBuilder::clear`] -> dirty blocks -> [`FleetBuilder::publish`]
//!
//! Invariant: only blocks that were written since the last publication are copied; all others stay the same allocation.
//! Unknown readings become NaN, never zero.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::block::Block;
use super::column::{BIT_WORDS, BLOCK_ROWS, Column};
use super::facts::{BIT_NAMES_MAX, MemberFacts, Names, SYMBOLS_MAX, TooManyNames, identity};
use super::geography::{Geography, Slowdown};
use super::live::Live;
use super::{Fleet, split};
use crate::breaker::Breaker;
use crate::id::Label;
use crate::member::{Health, Member, MemberKind, Registration};

/// The writable side of the fleet.
#[derive(Debug)]
pub struct FleetBuilder {
    master: Vec<Block>,
    dirty: BTreeSet<usize>,
    published: Fleet,
    names: Names,
    names_changed: bool,
    rows: u32,
}

impl FleetBuilder {
    /// An empty fleet.
    #[must_use]
    pub fn new(geography: Geography) -> Self {
        Self {
            master: Vec::new(),
            dirty: BTreeSet::new(),
            published: Fleet {
                epoch: 0,
                rows: 0,
                blocks: Vec::new(),
                names: Arc::new(Names::default()),
                geography: Arc::new(geography),
                live: Arc::new(Live::default()),
            },
            names: Names::default(),
            names_changed: false,
            rows: 0,
        }
    }

    /// Makes sure that every name of a registration has its number, before anything is changed.
    ///
    /// # Errors
    /// [`TooManyNames`] if one does not fit.
    pub fn intern(&mut self, registration: &Registration) -> Result<(), TooManyNames> {
        let Names { symbols, capabilities, services } = &mut self.names;
        let labels = registration.region.iter().chain(&registration.zone).map(Label::as_str);
        for name in labels.chain(registration.cluster.iter().map(|id| id.as_str())) {
            symbols.intern("label", name, SYMBOLS_MAX)?;
        }
        for name in &registration.capabilities {
            capabilities.intern("capability", name.as_str(), BIT_NAMES_MAX)?;
        }
        for name in &registration.services {
            services.intern("service", name.as_str(), BIT_NAMES_MAX)?;
        }
        self.names_changed = true;
        Ok(())
    }

    /// A copy with live counts of its own.
    #[must_use]
    pub fn what_if(&self) -> Self {
        let live = Arc::new(Live::default());
        (0..self.rows).for_each(|row| live.copy_from(self.live(), row));
        Self {
            master: self.master.clone(),
            dirty: self.dirty.clone(),
            published: Fleet { live, ..self.published.clone() },
            names: self.names.clone(),
            names_changed: self.names_changed,
            rows: self.rows,
        }
    }

    /// Live counts of all snapshots.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.published.live
    }

    /// The snapshot published last.
    #[must_use]
    pub fn published(&self) -> &Fleet {
        &self.published
    }

    /// Makes ways between regions longer; an empty list makes all of them as long as usual.
    pub fn slow_down(&mut self, slowdowns: Vec<Slowdown>) {
        if self.published.geography.slowdowns != slowdowns {
            Arc::make_mut(&mut self.published.geography).slowdowns = slowdowns;
            self.dirty.extend(0..self.master.len());
        }
    }

    /// Writes the member's load, status and counts; with `identity_changed` also who it is.
    pub fn put(&mut self, member: &Member, breaker: Breaker, identity_changed: bool) {
        let (index, lane) = split(member.row);
        while self.master.len() <= index {
            self.master.push(Block::empty());
            self.dirty.insert(self.master.len() - 1);
        }
        self.rows = self.rows.max(member.row + 1);
        let symbols = (
            self.names.symbol(member.registration.region.as_ref()),
            self.names.symbol(member.registration.zone.as_ref()),
            member
                .registration
                .cluster
                .as_ref()
                .and_then(|id| self.names.symbols.find(id.as_str()))
                .unwrap_or(0),
        );
        let capability_bits =
            bits_of(&member.registration.capabilities, |name| self.names.capabilities.find(name));
        let service_bits = bits_of(&member.registration.services, |name| self.names.services.find(name));
        let Some(block) = self.master.get_mut(index) else { return };
        self.dirty.insert(index);
        if identity_changed || block.present >> lane & 1 == 0 {
            write_identity(block, lane, member, symbols);
            block.set_bits(Column::Capabilities, lane, capability_bits);
            block.set_bits(Column::Services, lane, service_bits);
        }
        write_load(block, lane, member);
        let set = |bits: &mut u64, on: bool| *bits = *bits & !(1 << lane) | u64::from(on) << lane;
        let (active, capacity) = (member.active(), member.capacity());
        set(&mut block.present, true);
        set(&mut block.clusters, member.registration.kind == MemberKind::Cluster);
        set(&mut block.available, member.takes_work());
        set(&mut block.breaker_open, breaker.gate() == Some(0));
        set(&mut block.full, capacity > 0 && active >= capacity);
    }

    /// Empties a row.
    pub fn clear(&mut self, row: u32) {
        let (index, lane) = split(row);
        let Some(block) = self.master.get_mut(index) else { return };
        block.clear_row(lane);
        for bits in [
            &mut block.present,
            &mut block.clusters,
            &mut block.available,
            &mut block.breaker_open,
            &mut block.full,
        ] {
            *bits &= !(1 << lane);
        }
        if let Some(facts) = Arc::make_mut(&mut block.facts).get_mut(lane) {
            *facts = None;
        }
        self.dirty.insert(index);
        self.published.live.finish(row, u32::MAX);
        self.published.live.set_gate(row, None);
    }

    /// A new snapshot, if anything changed.
    pub fn publish(&mut self) -> Option<Fleet> {
        if self.dirty.is_empty() {
            return None;
        }
        self.published.epoch += 1;
        self.published.rows = self.rows;
        if self.names_changed {
            self.names_changed = false;
            self.published.names = Arc::new(self.names.clone());
        }
        for index in std::mem::take(&mut self.dirty) {
            let Some(master) = self.master.get_mut(index) else { continue };
            master.epoch = self.published.epoch;
            let copy = Arc::new(master.clone());
            match self.published.blocks.get_mut(index) {
                Some(place) => *place = copy,
                None => self.published.blocks.push(copy),
            }
        }
        Some(self.published.clone())
    }
}

fn write_identity(block: &mut Block, lane: usize, member: &Member, (region, zone, cluster): (u32, u32, u32)) {
    let registration = &member.registration;
    let facts = MemberFacts {
        id: registration.id.clone(),
        endpoint: registration.endpoint.clone(),
        region: registration.region.clone(),
        zone: registration.zone.clone(),
        cluster: registration.cluster.clone(),
        capabilities: registration.capabilities.iter().cloned().collect(),
        compliance: registration.compliance.clone(),
        accelerator_model: registration.accelerator_model.clone(),
        identity: identity(registration.id.as_str()),
    };
    block.set_u64(Column::Identity, lane, facts.identity);
    block.set_u32(Column::Region, lane, region);
    block.set_u32(Column::Zone, lane, zone);
    block.set_u32(Column::Cluster, lane, cluster);
    block.set_f32(Column::Weight, lane, registration.weight);
    block.set_f32(Column::CostPerHour, lane, registration.cost_per_hour);
    block.set_f32(Column::CarbonGPerKwh, lane, registration.carbon_g_per_kwh);
    block.set_u32(Column::CpuMillisTotal, lane, registration.resources.cpu_millis);
    block.set_u32(Column::MemoryMibTotal, lane, registration.resources.memory_mib);
    block.set_u32(Column::StorageMibTotal, lane, registration.resources.storage_mib);
    block.set_u32(Column::AcceleratorMillisTotal, lane, registration.resources.accelerator_millis);
    if let Some(place) = Arc::make_mut(&mut block.facts).get_mut(lane) {
        *place = Some(Arc::new(facts));
    }
}

fn write_load(block: &mut Block, lane: usize, member: &Member) {
    let (load, total, used) = (&member.load, member.registration.resources, member.used);
    let accelerators_free = total.accelerator_millis.saturating_sub(used.accelerator_millis);
    for (column, value) in [
        (Column::Cpu, load.cpu),
        (Column::Memory, load.memory),
        (Column::Disk, load.disk),
        (Column::LoadAverage, load.load_average),
        (Column::LatencyMs, load.latency_ms),
        (Column::ErrorRate, load.error_rate),
    ] {
        block.set_f32(column, lane, value.unwrap_or(f32::NAN));
    }
    let health = match member.health {
        Health::Healthy => 1.0,
        Health::Degraded | Health::Unknown => 0.5,
        Health::Unhealthy => 0.0,
    };
    block.set_f32(Column::HealthScore, lane, health);
    for (column, value) in [
        (Column::Active, member.active()),
        (Column::Capacity, member.capacity()),
        (Column::QueueDepth, load.queue_depth.unwrap_or(0)),
        (Column::CpuMillisFree, total.cpu_millis.saturating_sub(used.cpu_millis)),
        (Column::MemoryMibFree, total.memory_mib.saturating_sub(used.memory_mib)),
        (Column::StorageMibFree, total.storage_mib.saturating_sub(used.storage_mib)),
        (Column::AcceleratorMillisFree, accelerators_free),
    ] {
        block.set_u32(column, lane, value);
    }
    let devices = member.free_devices();
    block.set_bits(Column::AcceleratorDevices, lane, devices.words());
    block.set_u64(Column::ReportedAtMs, lane, member.reported_at.map_or(0, |at| at.0));
}

fn bits_of(names: &BTreeSet<Label>, find: impl Fn(&str) -> Option<u32>) -> [u64; BIT_WORDS] {
    let mut words = [0; BIT_WORDS];
    for bit in names.iter().filter_map(|name| find(name.as_str())) {
        if let Some(word) = words.get_mut(bit as usize / BLOCK_ROWS) {
            *word |= 1 << (bit as usize % BLOCK_ROWS);
        }
    }
    words
}
