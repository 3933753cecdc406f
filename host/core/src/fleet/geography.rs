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

/// A way that takes longer for a while, on purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct Slowdown {
    /// Two regions, in either direction; or one, and every way from, to and inside of it.
    pub between: (Label, Option<Label>),
    /// How much longer a round trip takes, ms.
    pub ms: f32,
}

impl Slowdown {
    fn hits(&self, from: &Label, to: &Label) -> bool {
        match &self.between {
            (region, None) => region == from || region == to,
            (a, Some(b)) => (a == from && b == to) || (a == to && b == from),
        }
    }
}

/// Regions with their places and measured distances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Geography {
    /// Where a region is.
    pub places: BTreeMap<Label, Coordinates>,
    /// Measured round-trip times in ms, by (from, to).
    pub measured_rtt_ms: BTreeMap<(Label, Label), f32>,
    /// Ways that take longer for a while.
    pub slowdowns: Vec<Slowdown>,
}

impl Geography {
    /// Round-trip time between two regions in ms: measured in either direction, else estimated from the distance
    /// (100 km of path cost a millisecond, plus 5 ms of access), else NaN; and what slows it down comes on top.
    #[must_use]
    pub fn rtt_ms(&self, from: &Label, to: &Label) -> f32 {
        let slowed = self.slowdowns.iter().filter(|slowdown| slowdown.hits(from, to));
        self.usual_rtt_ms(from, to) + slowed.map(|slowdown| slowdown.ms).sum::<f32>()
    }

    fn usual_rtt_ms(&self, from: &Label, to: &Label) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slowdown_adds_to_its_way_in_both_directions_and_to_no_other() {
        let label = |text| Label::parse(text).unwrap();
        let measured = |from, to, ms| ((label(from), label(to)), ms);
        let slowdown =
            |from, to: Option<&'static str>, ms| Slowdown { between: (label(from), to.map(label)), ms };
        let geography = Geography {
            measured_rtt_ms: [measured("us", "eu", 80.0), measured("eu", "ap", 200.0)].into(),
            slowdowns: vec![slowdown("us", Some("eu"), 500.0), slowdown("ap", None, 7.0)],
            ..Geography::default()
        };
        for (from, to, expected) in [
            ("us", "eu", 580.0),
            ("eu", "us", 580.0),
            ("eu", "ap", 207.0),
            ("ap", "ap", SAME_REGION_RTT_MS + 7.0),
            ("us", "us", SAME_REGION_RTT_MS),
        ] {
            assert!((geography.rtt_ms(&label(from), &label(to)) - expected).abs() < 1e-3, "{from} {to}");
        }
        assert!(geography.rtt_ms(&label("us"), &label("ap")).is_nan(), "unknown stays unknown");
    }
}
