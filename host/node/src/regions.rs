//! Regions of a running host: the configured ones and those of members, in numbers.
//!
//! registry + snapshot -> [`all`] | [`lags`]
//!
//! Invariant: a region is listed if a member is in it or the configuration names it; what is told is computed when it is
//! asked for, so there is nothing to keep in step.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::id::Label;
use pilothouse_core::member::Member;
use pilothouse_core::region::RegionSums;
use pilothouse_transport::service::region::{LAG_REGIONS_MAX, Lag, RegionInfo};

use crate::hub::Hub;

/// All regions, by name.
pub(crate) fn all(hub: &Hub) -> Vec<RegionInfo> {
    let geography = std::sync::Arc::clone(&hub.fleet.load().geography);
    let registry = hub.registry();
    let mut members: BTreeMap<&Label, Vec<&Member>> = BTreeMap::new();
    for member in registry.members() {
        if let Some(region) = &member.registration.region {
            members.entry(region).or_default().push(member);
        }
    }
    for region in geography.places.keys() {
        members.entry(region).or_default();
    }
    let info = |(id, members): (&Label, Vec<&Member>)| RegionInfo {
        id: id.clone(),
        place: geography.places.get(id).copied(),
        sums: RegionSums::of(members),
    };
    members.into_iter().map(info).collect()
}

/// How far regions are from each other, or one (`from`) from the others; of the first [`LAG_REGIONS_MAX`] by name.
pub(crate) fn lags(hub: &Hub, from: Option<&Label>) -> Vec<Lag> {
    let fleet = hub.fleet.load();
    let mut names: BTreeSet<Label> = fleet.geography.places.keys().cloned().collect();
    names.extend(hub.registry().members().filter_map(|member| member.registration.region.clone()));
    let names: Vec<Label> = names.into_iter().take(LAG_REGIONS_MAX).collect();
    let sources = from.map_or_else(|| names.clone(), |from| vec![from.clone()]);
    let pairs = sources.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| {
            let (rtt_ms, origin) = fleet.region_rtt_ms(from, to);
            Lag { from: from.clone(), to: to.clone(), rtt_ms, origin }
        })
        .collect()
}
