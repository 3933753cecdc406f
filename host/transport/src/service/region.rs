//! What a control plane can be asked about regions.

use pilothouse_core::fleet::geography::Coordinates;
use pilothouse_core::fleet::measured::RttOrigin;
use pilothouse_core::id::Label;
use pilothouse_core::region::RegionSums;

/// Most regions whose distances are told at once: their number squared is answered.
pub const LAG_REGIONS_MAX: usize = 128;

/// How a region is.
#[derive(Debug, Clone)]
pub struct RegionInfo {
    /// Its name.
    pub id: Label,
    /// Where it is, if configured.
    pub place: Option<Coordinates>,
    /// Its members in numbers.
    pub sums: RegionSums,
}

/// How far one region is from another.
#[derive(Debug, Clone)]
pub struct Lag {
    /// From.
    pub from: Label,
    /// To.
    pub to: Label,
    /// Round-trip time, ms; NaN if unknown.
    pub rtt_ms: f32,
    /// How it is known.
    pub origin: RttOrigin,
}
