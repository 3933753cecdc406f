//! Measured round-trip times, as a snapshot carries them.
//!
//! estimates -> [`Measured::new`] -> `FleetBuilder::measure` -> [`Fleet::round_trips`] -> a class's times
//!
//! Invariant: a value belongs to a member and not to its row: in a row that another member took since, it is not
//! believed. A value that hardly moved stays as it was published, so that guests are not told of noise. How values are
//! measured and when they are too old is not known here.

use std::collections::BTreeMap;

use super::column::Column;
use super::geography::SAME_ZONE_RTT_MS;
use super::{Fleet, geography::Geography};
use crate::id::Label;

/// A value that moved by less than this share, or by less than [`NOISE_MS`], is the same.
const NOISE_SHARE: f32 = 0.02;
/// See [`NOISE_SHARE`].
const NOISE_MS: f32 = 0.2;

/// A measured way from a region to a member.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredPath {
    /// Where it was measured from.
    pub source: Label,
    /// Row of the member.
    pub row: u32,
    /// Who is in the row ([`super::facts::identity`]).
    pub identity: u64,
    /// The member's region.
    pub region: Option<Label>,
    /// Round-trip time to expect, ms; finite.
    pub rtt_ms: f32,
}

/// What was measured from one region.
#[derive(Debug, Clone, Default, PartialEq)]
struct Source {
    /// Identity and time by row.
    members: BTreeMap<u32, (u64, f32)>,
    /// Median over the measured members of a region: what the others there are expected to have.
    regions: BTreeMap<Label, f32>,
}

/// All measured times of a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    sources: BTreeMap<Label, Source>,
}

/// How a round-trip time between two regions is known, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RttOrigin {
    /// Probes or requests measured it.
    Measured,
    /// An operator configured it.
    Configured,
    /// From the distance of the regions' coordinates, or because both are one region.
    Estimated,
    /// Nobody knows.
    Unknown,
}

impl Measured {
    /// The times to publish; those that moved less than noise keep their value of `before`.
    #[must_use]
    pub fn new(paths: Vec<MeasuredPath>, before: &Self) -> Self {
        let mut sources: BTreeMap<Label, Source> = BTreeMap::new();
        let mut by_region: BTreeMap<(Label, Label), Vec<f32>> = BTreeMap::new();
        for MeasuredPath { source, row, identity, region, rtt_ms } in paths {
            let old = before.sources.get(&source).and_then(|old| old.members.get(&row));
            let rtt_ms = match old {
                Some(&(owner, old_ms)) if owner == identity && is_noise(old_ms, rtt_ms) => old_ms,
                _ => rtt_ms,
            };
            if let Some(region) = region {
                by_region.entry((source.clone(), region)).or_default().push(rtt_ms);
            }
            sources.entry(source).or_default().members.insert(row, (identity, rtt_ms));
        }
        for ((source, region), times) in by_region {
            sources.entry(source).or_default().regions.insert(region, median(times));
        }
        Self { sources }
    }

    /// Median of what was measured between two regions, in either direction.
    fn between(&self, from: &Label, to: &Label) -> Option<f32> {
        let measured = |from: &Label, to: &Label| self.sources.get(from)?.regions.get(to).copied();
        measured(from, to).or_else(|| measured(to, from))
    }
}

fn is_noise(old_ms: f32, new_ms: f32) -> bool {
    (new_ms - old_ms).abs() <= (NOISE_SHARE * old_ms).max(NOISE_MS)
}

fn median(mut times: Vec<f32>) -> f32 {
    times.sort_by(f32::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f32::NAN)
}

impl Fleet {
    /// Round-trip time from a region to every row, ms: measured for the member, else (outside of the request's own zone)
    /// measured for its region, else configured, else estimated from the distance, else NaN.
    #[must_use]
    pub fn round_trips(&self, source: &Label, zone: Option<&Label>) -> Vec<f32> {
        let zone = self.names.symbol(zone);
        let measured = self.measured.sources.get(source);
        let mut by_region: BTreeMap<u32, f32> = BTreeMap::new();
        let mut times = |row: u32| {
            let (facts, (block, lane)) = (self.facts(row)?, self.block(row)?);
            if let Some(&(identity, rtt_ms)) = measured.and_then(|source| source.members.get(&row))
                && identity == facts.identity
            {
                return Some(rtt_ms);
            }
            let region = facts.region.as_ref()?;
            if zone != 0 && block.u32(Column::Zone, lane) == zone && region == source {
                return Some(SAME_ZONE_RTT_MS);
            }
            let between = || self.region_rtt_ms(source, region).0;
            Some(*by_region.entry(block.u32(Column::Region, lane)).or_insert_with(between))
        };
        (0..self.rows).map(|row| times(row).unwrap_or(f32::NAN)).collect()
    }

    /// Round-trip time between two regions, ms, and how it is known; NaN if nobody knows it.
    #[must_use]
    pub fn region_rtt_ms(&self, from: &Label, to: &Label) -> (f32, RttOrigin) {
        if let Some(rtt_ms) = self.measured.between(from, to) {
            return (rtt_ms, RttOrigin::Measured);
        }
        let Geography { measured_rtt_ms: configured, .. } = &*self.geography;
        let is_configured = configured.contains_key(&(from.clone(), to.clone()))
            || configured.contains_key(&(to.clone(), from.clone()));
        let rtt_ms = self.geography.rtt_ms(from, to);
        let origin = match is_configured && from != to {
            true => RttOrigin::Configured,
            false if rtt_ms.is_nan() => RttOrigin::Unknown,
            false => RttOrigin::Estimated,
        };
        (rtt_ms, origin)
    }
}

#[cfg(test)]
mod tests;
