//! `[regions.NAME]` and `[[rtt]]`: geography.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a region is, in degrees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegionConfig {
    /// North positive.
    pub latitude: f64,
    /// East positive.
    pub longitude: f64,
}

/// A measured round-trip time between two regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RttConfig {
    /// One region.
    pub from: String,
    /// The other.
    pub to: String,
    /// Round trip, ms.
    pub ms: f32,
}
