//! Routers to compare with: what costs no thought.

use std::collections::BTreeMap;

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::policy::fault::PolicyError;
use pilothouse_core::policy::request::{Route, RoutingRequest};

/// An answer of one target, asked anew every time.
fn only(row: u32) -> Route {
    Route { targets: vec![(row, 1)], fallbacks: Vec::new(), ttl_ms: 0, reason: 0 }
}

/// Any candidate, drawn by the seed.
///
/// # Errors
/// None; the type is that of a router.
pub fn random(_: &Fleet, class: &EligibleClass, request: &RoutingRequest) -> Result<Route, PolicyError> {
    let drawn = mix(request.seed) % u64::from(class.count.max(1));
    Ok(only(class.rows().nth(drawn as usize).unwrap_or_default()))
}

/// The least round-trip time that is known now.
///
/// # Errors
/// None; the type is that of a router.
pub fn nearest_known(_: &Fleet, class: &EligibleClass, _: &RoutingRequest) -> Result<Route, PolicyError> {
    Ok(only(nearest(class)))
}

/// The candidate that was nearest at the first question of a source, for ever.
pub fn nearest_at_first() -> impl FnMut(&Fleet, &EligibleClass, &RoutingRequest) -> Result<Route, PolicyError>
{
    let mut first: BTreeMap<u32, u32> = BTreeMap::new();
    move |_, class, _| Ok(only(*first.entry(class.id).or_insert_with(|| nearest(class))))
}

fn nearest(class: &EligibleClass) -> u32 {
    let times = class.rtt_ms.iter().flat_map(|times| times.iter());
    let known = class.rows().zip(times).filter(|(_, rtt_ms)| !rtt_ms.is_nan());
    known.min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(row, _)| row)
}
