//! Where regions are and how far apart.
//!
//! A measured round-trip time wins over the estimate from coordinates; without either it is unknown (NaN).

use std::collections::BTreeMap;

use crate::id::Label;

/// Estimated round trip inside a zone, ms.
pub const SAME_ZONE_RTT_MS: f32 = 0.5;
/// Estimated round trip between zones of a region, ms.
pub const SAME_REGION_RTT_MS: f32 = 1.5;

/// A place on Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    /// North positive, -90..90.
    pub latitude: f64,
    /// East positive, -180..180.
    pub longitude: f64,
}

impl Coordinates {
    /// Great-circle distance in km (haversine, Earth as a sphere of 6,371 km).
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = ((to - from) / 2.0).sin();
        let half_lon = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let a = half_lat * half_lat + from.cos() * to.cos() * half_lon * half_lon;
        2.0 * 6_371.0 * a.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// Regions with their places and measured distances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Geography {
    /// Where a region is.
    pub places: BTreeMap<Label, Coordinates>,
    /// Measured round-trip times in ms, by (from, to).
    pub measured_rtt_ms: BTreeMap<(Label, Label), f32>,
}

impl Geography {
    /// Round-trip time between two regions in ms: measured in either direction, else estimated from the distance
    /// (100 km of path cost a millisecond, plus 5 ms of access), else NaN.
    #[must_use]
    pub fn rtt_ms(&self, from: &Label, to: &Label) -> f32 {
        if from == to {
            return SAME_REGION_RTT_MS;
        }
        let measured = |a: &Label, b: &Label| self.measured_rtt_ms.get(&(a.clone(), b.clone())).copied();
        if let Some(rtt_ms) = measured(from, to).or_else(|| measured(to, from)) {
            return rtt_ms;
        }
        match (self.places.get(from), self.places.get(to)) {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds on Earth fit an f32")]
            (Some(a), Some(b)) => (a.distance_km(*b) / 100.0 + 5.0) as f32,
            _ => f32::NAN,
        }
    }
}
