//! A dozen clusters in real cloud regions.
//!
//! Coordinates are those of the metropolitan areas that the providers name; carbon intensities (g CO2e/kWh) are from the provider's
//! published table of 2024 for the same or the nearest region; prices are relative: the cheapest region costs 1.

/// One cluster of the sample federation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    /// Region's name.
    pub region: &'static str,
    /// Latitude and longitude, degrees.
    pub place: (f64, f64),
    /// Price of an hour.
    pub cost_per_hour: f32,
    /// Carbon intensity, g CO2e/kWh.
    pub carbon_g_per_kwh: f32,
    /// Most agents.
    pub max_agents: u32,
    /// Capabilities.
    pub capabilities: &'static [&'static str],
}

/// All sites.
pub const SITES: [Site; 12] = [
    site("us-east1", (33.2, -80.0), 1.00, 576.0, 200, &["gpu", "ssd"]),
    site("us-central1", (41.3, -95.9), 1.00, 413.0, 200, &["ssd"]),
    site("us-west1", (45.6, -121.2), 1.00, 79.0, 150, &["gpu"]),
    site("northamerica-northeast1", (45.5, -73.6), 1.10, 5.0, 100, &[]),
    site("southamerica-east1", (-23.5, -46.6), 1.59, 67.0, 100, &[]),
    site("europe-west1", (50.5, 3.8), 1.10, 103.0, 200, &["ssd"]),
    site("europe-west4", (53.4, 6.8), 1.10, 209.0, 200, &["gpu", "ssd"]),
    site("europe-north1", (60.6, 27.2), 1.10, 39.0, 150, &[]),
    site("asia-south1", (19.1, 72.9), 1.20, 679.0, 100, &[]),
    site("asia-southeast1", (1.3, 103.8), 1.23, 367.0, 150, &["ssd"]),
    site("asia-northeast1", (35.7, 139.7), 1.28, 453.0, 200, &["gpu"]),
    site("australia-southeast1", (-33.9, 151.2), 1.35, 498.0, 100, &[]),
];

const fn site(
    region: &'static str,
    place: (f64, f64),
    cost_per_hour: f32,
    carbon_g_per_kwh: f32,
    max_agents: u32,
    capabilities: &'static [&'static str],
) -> Site {
    Site { region, place, cost_per_hour, carbon_g_per_kwh, max_agents, capabilities }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_distinct_and_on_earth() {
        let names: std::collections::BTreeSet<_> = SITES.iter().map(|site| site.region).collect();
        assert_eq!(names.len(), SITES.len());
        assert!(SITES.iter().all(|site| site.place.0.abs() <= 90.0 && site.place.1.abs() <= 180.0));
    }
}
