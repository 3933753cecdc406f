//! Load reports of a simulated site: a daily wave by its longitude, and noise.

use pilothouse_core::fleet::facts::mix;

use crate::unit;
use crate::world::Site;

/// Utilisation of a site, 0..1, at a time of day of the simulation (hours, UTC).
#[must_use]
pub fn utilisation(site: &Site, hour: f64, seed: u64) -> f32 {
    let local_hour = hour + site.place.1 / 15.0;
    let wave = ((local_hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
    let noise = unit(mix(seed ^ hour.to_bits() ^ site.place.0.to_bits())) - 0.5;
    #[expect(clippy::cast_possible_truncation, reason = "a share needs few digits")]
    let share = (0.45 + 0.25 * wave + 0.1 * noise).clamp(0.02, 0.95) as f32;
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SITES;

    #[test]
    fn load_is_a_share_and_follows_its_seed() {
        for site in &SITES {
            for hour in 0..24 {
                let load = utilisation(site, f64::from(hour), 7);
                assert!((0.0..=1.0).contains(&load));
                assert_eq!(load.to_bits(), utilisation(site, f64::from(hour), 7).to_bits());
            }
        }
    }
}
